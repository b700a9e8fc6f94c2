//! One frame: header, tabs, the screen below them, the footer, and what lies on top.
//!
//! Pure: everything is drawn from the state into cells. A window that is too small says so
//! and asks for room; nothing is drawn half.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use supervisor::Status as State;

use super::app::{App, Link, Screen, Top};
use super::keys::{self, Mode};
use super::overlay::{approvals, confirm, help};
use super::paint::{Pieces, Theme, middle, put, put_pieces, put_pieces_right};
use super::screens::{brain, events, logs, processes};
use crate::output::figures::{cpu, memory, span};
use crate::output::state;
use crate::output::style::Tone;
use crate::output::text::width;

/// Columns and rows without which there is no room for what matters.
pub(crate) const LEAST: (u16, u16) = (50, 12);
/// Without news for so long, the screen says how old it is.
const STALE: std::time::Duration = std::time::Duration::from_secs(4);

/// Draws all of it.
pub(crate) fn draw(app: &App, buf: &mut Buffer, theme: Theme) {
    let area = buf.area;
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let size = format!("This window is {}×{}.", area.width, area.height);
        let wish = format!("monit needs {}×{}; q quits", LEAST.0, LEAST.1);
        middle(buf, area, &size, &wish, theme);
        return;
    }
    let row = |y| Rect {
        y,
        height: 1,
        ..area
    };
    let body = Rect {
        y: area.y + 3,
        height: area.height - 4,
        ..area
    };
    header(app, buf, row(area.y), theme);
    tabs(app, buf, row(area.y + 1), theme);
    match app.screen {
        Screen::Processes => processes::draw(app, buf, body, theme),
        Screen::Logs => logs::draw(app, buf, body, theme),
        Screen::Brain => brain::draw(app, buf, body, theme),
        Screen::Events => events::draw(app, buf, body, theme),
    }
    match &app.top {
        Top::Nothing | Top::Typing(_) => {}
        Top::Confirm(doubt) => confirm::draw(doubt, buf, body, theme),
        Top::Approvals(selected) => approvals::draw(app, selected.as_deref(), buf, body, theme),
        Top::Help(first) => help::draw(app, *first, buf, body, theme),
    }
    footer(app, buf, row(area.bottom() - 1), theme);
}

/// How the fleet is, and how late it is. Where there is no room, signs stand without words,
/// and then what it uses gives way: both are in the table.
fn header(app: &App, buf: &mut Buffer, area: Rect, theme: Theme) {
    let columns = usize::from(area.width - 2);
    let is_up = matches!(app.link, Link::Up(_));
    let mut choices = [(true, is_up), (false, is_up), (false, false)].into_iter();
    let (left, right) = loop {
        let Some((words, usage)) = choices.next() else {
            break (fleet(app, false, theme), Pieces::new());
        };
        let (left, right) = (fleet(app, words, theme), around(app, usage, theme));
        if left.width() + right.width() <= columns {
            break (left, right);
        }
    };
    let taken = put_pieces_right(buf, (area.x + 1, area.y), area.width - 2, &right);
    let room = area.width.saturating_sub(taken + 3);
    put_pieces(buf, (area.x + 1, area.y), room, &left);
}

/// What waits for a person, what all of it uses, how late it is.
fn around(app: &App, usage: bool, theme: Theme) -> Pieces {
    let mut line = Pieces::new();
    let questions = app.questions().len();
    if questions > 0 {
        let text = format!("? {questions} to approve: a  ");
        line.push(text, theme.tone(Tone::Busy));
    }
    if app.loaded && usage {
        let rows = &app.table.rows;
        // Adding zero turns the negative zero of an empty sum into a plain one.
        let used = rows.iter().filter_map(|row| row.cpu).sum::<f64>() + 0.0;
        let held: u64 = rows.iter().filter_map(|row| row.memory).sum();
        line = line
            .and("cpu ", theme.quiet())
            .and(cpu(used), Style::new())
            .and("  mem ", theme.quiet())
            .and(memory(held), Style::new())
            .and("  ", Style::new());
    }
    let clock = app.now.to_zoned(app.zone.clone());
    line.and(clock.strftime("%H:%M:%S").to_string(), theme.quiet())
}

/// Whether there is a daemon, and how many processes are how.
fn fleet(app: &App, words: bool, theme: Theme) -> Pieces {
    let mut line = Pieces::new().and("mhost  ", theme.accent());
    let daemon = match &app.link {
        Link::Connecting => return line.and("connecting …", theme.quiet()),
        Link::Down(since, why) => {
            let ago = span(supervisor::until(*since, app.now));
            return line
                .and(format!("◌ away for {ago}"), theme.tone(Tone::Busy))
                .and(format!("  {why}; trying again"), theme.quiet());
        }
        Link::Up(daemon) => daemon,
    };
    let silent = app.heard.map(|heard| supervisor::until(heard, app.now));
    if let Some(silent) = silent.filter(|silent| *silent >= STALE) {
        let text = format!("◌ no answer for {}  ", span(silent));
        line.push(text, theme.tone(Tone::Busy));
    }
    if let Some(trouble) = daemon.degraded.first() {
        let text = format!("! {}  ", super::text::harmless(trouble));
        line.push(text, theme.tone(Tone::Bad));
    }
    let kinds = [
        State::Errored,
        State::Starting,
        State::Stopping,
        State::Online,
        State::Stopped,
    ];
    for kind in kinds {
        let count = app.table.rows.iter().filter(|row| row.state == kind);
        let count = count.count();
        if count > 0 {
            let label = state::label(kind, "");
            let (sign, word) = label.split_once(' ').unwrap_or((&label, ""));
            let text = match words {
                true => format!("{sign} {count} {word}  "),
                false => format!("{sign} {count}  "),
            };
            line.push(text, theme.tone(state::tone(kind)));
        }
    }
    line
}

/// The tabs, and what is special about the current one.
fn tabs(app: &App, buf: &mut Buffer, area: Rect, theme: Theme) {
    let mut x = area.x;
    for (place, screen) in Screen::ALL.into_iter().enumerate() {
        let current = screen == app.screen;
        let text = format!(" {} {} ", place + 1, screen.title());
        let style = if current {
            theme.accent().patch(theme.selected())
        } else {
            theme.quiet()
        };
        x += put(buf, (x, area.y), area.right() - x, &text, style);
    }
    let mut right = Pieces::new();
    let typed = app.typed();
    if !typed.is_empty() && app.mode() != Mode::Typing {
        let word = if app.screen == Screen::Logs {
            "search"
        } else {
            "filter"
        };
        right = right
            .and(format!("{word} "), theme.quiet())
            .and(super::text::harmless(typed), theme.tone(Tone::Busy))
            .and("  Esc clears", theme.quiet());
    } else if app.screen == Screen::Processes && app.table.rows.len() > 1 {
        let order = if app.table.reverse { "↑" } else { "↓" };
        right.push(
            format!("by {} {order}", app.table.sort.word()),
            theme.quiet(),
        );
    }
    let room = area.right().saturating_sub(x + 2);
    put_pieces_right(buf, (x + 1, area.y), room, &right);
}

/// What was done just now, what is typed, or which keys there are.
fn footer(app: &App, buf: &mut Buffer, area: Rect, theme: Theme) {
    let place = (area.x + 1, area.y);
    let room = area.width - 2;
    let mode = app.mode();
    if mode == Mode::Typing {
        let word = if app.screen == Screen::Logs {
            "search"
        } else {
            "filter"
        };
        let hints = hints(app, mode, usize::from(room) / 2, theme);
        let taken = put_pieces_right(buf, place, room, &hints);
        let typed = super::text::harmless(app.typed());
        let line = Pieces::new()
            .and(format!("{word} /"), theme.accent())
            .and(
                tail(&typed, usize::from(room - taken).saturating_sub(14)),
                Style::new(),
            )
            .and(" ", theme.selected());
        put_pieces(buf, place, room - taken, &line);
        return;
    }
    match &app.status {
        Some(status) if mode == Mode::Normal || mode == Mode::Approvals => {
            put(buf, place, room, &status.text, theme.tone(status.tone));
        }
        _ => {
            let hints = hints(app, mode, usize::from(room), theme);
            put_pieces(buf, place, room, &hints);
        }
    }
}

/// The end of what was typed, when it is longer than its place.
fn tail(text: &str, columns: usize) -> &str {
    let mut rest = text;
    while width(rest) > columns {
        let mut chars = rest.chars();
        chars.next();
        rest = chars.as_str();
    }
    rest
}

/// The keys of the table that have a word for the footer, as many as there is room for. The
/// way to the help and the way out are always there.
fn hints(app: &App, mode: Mode, room: usize, theme: Theme) -> Pieces {
    let piece = |binding: &keys::Binding| {
        Pieces::new()
            .and(binding.shown, theme.accent())
            .and(format!(" {}   ", binding.hint), theme.quiet())
    };
    let shown: Vec<&keys::Binding> = keys::rows(mode, app.screen)
        .filter(|binding| !binding.hint.is_empty())
        .collect();
    let (last, first) = shown.split_at(shown.len() - shown.len().min(2));
    let (first, last) = (last, first);
    let kept: usize = last.iter().map(|binding| piece(binding).width()).sum();
    let mut line = Pieces::new();
    for binding in first {
        let next = piece(binding);
        if line.width() + next.width() + kept > room {
            break;
        }
        line.append(next);
    }
    for binding in last {
        line.append(piece(binding));
    }
    line
}

#[cfg(test)]
mod tests;
