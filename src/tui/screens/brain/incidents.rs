//! The agent and its incidents, newest first.

use agent::{Entry, Status as AgentStatus};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use serde_json::json;

use crate::output::figures::{NONE, ago, ahead};
use crate::output::style::Tone;
use crate::output::text::cut;
use crate::tui::app::App;
use crate::tui::paint::{Pieces, Theme, put, put_pieces, rule};
use crate::tui::text::harmless;

/// Columns of a name.
const NAMES: usize = 20;

/// Draws both.
pub(super) fn draw(app: &App, buf: &mut Buffer, area: Rect, theme: Theme) {
    if area.height < 2 {
        return;
    }
    let title = match &app.brain.agent {
        Some(agent) => agent_title(app, agent, theme),
        None => Pieces::new().and("agent", theme.strong()),
    };
    rule(buf, area, &title, theme);
    if app.brain.incidents.is_empty() {
        let text = "Nothing has gone wrong yet.";
        put(
            buf,
            (area.x + 2, area.y + 1),
            area.width - 2,
            text,
            theme.quiet(),
        );
        return;
    }
    let mut y = area.y + 1;
    let roomy = area.width < 150 && area.height > 20;
    for entry in &app.brain.incidents {
        if y >= area.bottom() {
            break;
        }
        put_pieces(
            buf,
            (area.x + 2, y),
            area.width - 3,
            &headline(app, entry, theme),
        );
        y += 1;
        if roomy && y + 1 < area.bottom() {
            let what = story(entry);
            put(buf, (area.x + 4, y), area.width - 5, &what, theme.quiet());
            y += 1;
        }
    }
}

fn agent_title(app: &App, agent: &AgentStatus, theme: Theme) -> Pieces {
    let level = json!(agent.level);
    let level = level.as_str().unwrap_or(NONE).to_owned();
    let (word, tone) = match (agent.stopped, agent.enabled) {
        (true, _) => ("stopped".to_owned(), Tone::Busy),
        (false, true) => (level, Tone::Good),
        (false, false) => (format!("playbooks only, {level}"), Tone::Quiet),
    };
    let mut title = Pieces::new()
        .and("agent ", theme.strong())
        .and(word, theme.tone(tone))
        .and(
            format!(
                "  {} of {} actions this hour",
                agent.budget.used, agent.budget.max
            ),
            theme.quiet(),
        );
    if let Some(until) = agent.paused_until.filter(|until| *until > app.now) {
        let text = format!("  paused, ends {}", ahead(app.now, until));
        title.push(text, theme.tone(Tone::Busy));
    }
    match agent.pending.len() {
        0 => {}
        count => title.push(format!("  ? {count} to approve: a"), theme.tone(Tone::Busy)),
    }
    title
}

/// When, who, what, and how it ended, on one line.
fn headline(app: &App, entry: &Entry, theme: Theme) -> Pieces {
    let (sign, word, tone) = outcome(entry);
    let mut line = Pieces::new()
        .and(format!("{:>11}  ", ago(app.now, entry.ts)), theme.quiet())
        .and(format!("{sign} {word:<12} "), theme.tone(tone))
        .and(
            format!("{}  ", cut(entry.process.as_str(), NAMES)),
            theme.strong(),
        )
        .and(harmless(&entry.trigger), Style::new());
    let done: Vec<&str> = entry
        .actions
        .iter()
        .map(|act| act.action.as_str())
        .collect();
    if !done.is_empty() {
        line.push(format!("  → {}", harmless(&done.join(", "))), Style::new());
    }
    if let Some(cause) = &entry.cause {
        line.push(format!("  {}", harmless(cause)), theme.quiet());
    }
    line
}

/// Which playbook, what came of each action.
fn story(entry: &Entry) -> String {
    let mut parts = vec![entry.incident.clone()];
    parts.extend(
        entry
            .playbook
            .as_ref()
            .map(|id| format!("playbook {}", id.0)),
    );
    parts.extend(entry.actions.iter().map(|act| match &act.outcome {
        Some(outcome) => format!("{}: {}, {outcome}", act.action, act.result),
        None => format!("{}: {}", act.action, act.result),
    }));
    if entry.escalated {
        parts.push("a person was told".into());
    }
    harmless(&parts.join(" · ")).into_owned()
}

fn outcome(entry: &Entry) -> (&'static str, String, Tone) {
    let state = json!(entry.state);
    let word = entry
        .outcome
        .clone()
        .unwrap_or_else(|| state.as_str().unwrap_or_default().replace('_', " "));
    let word = harmless(&word).into_owned();
    match word.as_str() {
        "verified" | "recovered" | "success" => ("✓", word, Tone::Good),
        "failed" | "escalated" | "denied" | "refused" => ("✗", word, Tone::Bad),
        "contained" => ("!", word, Tone::Busy),
        "awaiting approval" => ("?", "asks".into(), Tone::Busy),
        _ if entry.closed.is_none() => ("◐", word, Tone::Busy),
        _ => (" ", word, Tone::Quiet),
    }
}
