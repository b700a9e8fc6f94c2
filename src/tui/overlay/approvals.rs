//! What the agent asks, and what it would do.

use agent::Question;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::output::figures::{ago, ahead};
use crate::output::style::Tone;
use crate::output::text::wrap;
use crate::tui::app::App;
use crate::tui::paint::{Pieces, Theme, boxed, middle, put, put_pieces};
use crate::tui::text::harmless;

/// Columns of the box.
const COLUMNS: u16 = 76;
/// Rows of the reason.
const REASON: usize = 4;

/// Draws it.
pub(crate) fn draw(app: &App, selected: Option<&str>, buf: &mut Buffer, area: Rect, theme: Theme) {
    let questions = app.questions();
    if questions.is_empty() {
        let inside = boxed(buf, area, (COLUMNS.min(54), 6), "Approvals", theme);
        let why = match &app.brain.off {
            Some(why) => why.as_str(),
            None => "When it wants to act and may not, it asks here.",
        };
        middle(buf, inside, "The agent asks nothing.", why, theme);
        return;
    }
    let place = questions
        .iter()
        .position(|question| Some(question.id.as_str()) == selected)
        .unwrap_or(0);
    let question = &questions[place];
    let reason = wrap(&harmless(&question.reason), usize::from(COLUMNS - 4));
    let reason = &reason[..reason.len().min(REASON)];
    let others = questions.len().min(6);
    let votes = question.so_far();
    let extra = reason.len() + usize::from(votes.is_some());
    let rows = u16::try_from(others + extra).unwrap_or(10) + 8;
    let inside = boxed(buf, area, (COLUMNS, rows), "Approvals", theme);
    let first = crate::tui::table::first_in_sight(place, questions.len(), others);
    let mut y = inside.y;
    for (row, question) in questions.iter().enumerate().skip(first).take(others) {
        let style = if row == place {
            theme.selected()
        } else {
            Style::new()
        };
        let mark = if row == place { "▸" } else { " " };
        let text = format!(
            "{mark} {}  {}  expires {}",
            question.process,
            plan(question),
            ahead(app.now, question.expires)
        );
        put(buf, (inside.x, y), inside.width, &text, style);
        y += 1;
    }
    y += 1;
    let facts = [
        ("plan", plan(question)),
        ("risk", harmless(&question.risk).into_owned()),
        (
            "asked",
            format!(
                "{} for {}",
                ago(app.now, question.created),
                question.incident
            ),
        ),
        ("by", format!("playbook {}", question.playbook.0)),
    ];
    let votes = votes.map(|votes| ("yes", harmless(&votes).into_owned()));
    for (name, value) in facts.iter().chain(&votes) {
        if y >= inside.bottom() {
            return;
        }
        put(buf, (inside.x, y), 6, name, theme.quiet());
        let style = if matches!(*name, "risk" | "yes") {
            theme.tone(Tone::Busy)
        } else {
            Style::new()
        };
        put(buf, (inside.x + 7, y), inside.width - 7, value, style);
        y += 1;
    }
    for line in reason {
        if y >= inside.bottom() {
            return;
        }
        put(buf, (inside.x, y), inside.width, line, Style::new());
        y += 1;
    }
    let keys = Pieces::new()
        .and("y", theme.accent())
        .and(" approve     ", Style::new())
        .and("n", theme.accent())
        .and(" deny     ", Style::new())
        .and("Esc", theme.accent())
        .and(" later", Style::new());
    put_pieces(buf, (inside.x, inside.bottom() - 1), inside.width, &keys);
}

fn plan(question: &Question) -> String {
    harmless(&question.plan.join(", ")).into_owned()
}
