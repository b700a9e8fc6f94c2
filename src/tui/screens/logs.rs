//! Screen 2: the log of one process or of all, as it is printed. Also the end of a log below
//! the table.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use supervisor::logs::Level;

use crate::output::style::Tone;
use crate::output::text::{ELLIPSIS, cut, width};
use crate::tui::app::App;
use crate::tui::log::{Line, LogState};
use crate::tui::paint::{Pieces, Theme, middle, put_pieces, rule};
use crate::tui::text::folded;

/// Rows that a single line may take.
const FOLDS: usize = 12;
/// Columns of a name before a line, when lines of several processes are shown.
const NAMES: usize = 16;

/// Draws the screen.
pub(crate) fn draw(app: &App, buf: &mut Buffer, area: Rect, theme: Theme) {
    rule(buf, area, &title(app, theme), theme);
    let body = Rect {
        y: area.y + 1,
        height: area.height - 1,
        ..area
    };
    if app.log.upwards().next().is_none() {
        nothing(app, buf, body, theme);
        return;
    }
    let several = app.log.wish.target.is_none();
    let height = usize::from(body.height);
    let mut rows: Vec<Pieces> = Vec::new();
    for line in app.log.upwards() {
        let of = drawn(app, line, usize::from(body.width), several, theme);
        rows.extend(of.into_iter().rev());
        if rows.len() >= height {
            break;
        }
    }
    rows.truncate(height);
    for (row, y) in rows.iter().rev().zip(body.y..) {
        put_pieces(buf, (body.x, y), body.width, row);
    }
}

/// Draws the newest lines, one row each.
pub(crate) fn tail(app: &App, buf: &mut Buffer, area: Rect, theme: Theme) {
    if app.log.is_empty() {
        nothing(app, buf, area, theme);
        return;
    }
    let several = app.log.wish.target.is_none();
    let mut rows: Vec<Pieces> = app
        .log
        .newest()
        .take(usize::from(area.height))
        .map(|line| {
            let mut row = head(app, line, several, theme);
            let room = usize::from(area.width).saturating_sub(row.width() + 1);
            row.push(cut(&line.text, room), style(line, theme));
            row
        })
        .collect();
    rows.reverse();
    for (place, row) in rows.iter().enumerate() {
        let y = area.y + u16::try_from(place).unwrap_or(0);
        put_pieces(buf, (area.x, y), area.width, row);
    }
}

fn nothing(app: &App, buf: &mut Buffer, area: Rect, theme: Theme) {
    let log = &app.log;
    match &log.state {
        LogState::Failed(why) => middle(buf, area, "This log cannot be shown.", why, theme),
        LogState::Loading if app.loaded && app.table.rows.is_empty() && !log.all => {
            middle(
                buf,
                area,
                "No processes yet.",
                "start one in another terminal: mhost start <app>",
                theme,
            );
        }
        LogState::Loading => middle(buf, area, "reading …", "", theme),
        LogState::Live if !log.wish.search.is_empty() => {
            middle(
                buf,
                area,
                "No line has this text.",
                "Esc ends the search",
                theme,
            );
        }
        LogState::Live if log.wish.level.is_some() => {
            middle(
                buf,
                area,
                "No line of this level.",
                "l shows other levels",
                theme,
            );
        }
        LogState::Live => middle(buf, area, "No lines yet.", "", theme),
    }
}

/// Whose log, and how it is looked at.
fn title(app: &App, theme: Theme) -> Pieces {
    let log = &app.log;
    let whose = match (&log.wish.target, app.wants().log.is_some()) {
        _ if log.all => "all processes".to_owned(),
        (Some(target), true) => target.clone(),
        _ => "no process".to_owned(),
    };
    let mut title = Pieces::new()
        .and("‹ ", theme.quiet())
        .and(whose, theme.strong())
        .and(" ›  ", theme.quiet());
    if log.follows() {
        title.push("▾ following", theme.tone(Tone::Good));
    } else {
        title.push("‖ holding still", theme.tone(Tone::Busy));
        let below = log.below();
        if below > 0 {
            title.push(format!(", {below} below"), theme.quiet());
        }
    }
    if let Some(level) = log.level {
        title.push("  level ", theme.quiet());
        title.push(level.as_str(), theme.tone(Tone::Busy));
        if level < Level::Error {
            title.push(" and above", theme.quiet());
        }
    }
    title
}

/// Time, sign and name before a line.
fn head(app: &App, line: &Line, several: bool, theme: Theme) -> Pieces {
    let time = line.at.to_zoned(app.zone.clone());
    let same_day = time.date() == app.now.to_zoned(app.zone.clone()).date();
    let form = if same_day {
        "%H:%M:%S"
    } else {
        "%m-%d %H:%M:%S"
    };
    // A sign, so that neither level nor stream is told by colour alone.
    let sign = match (line.level, line.is_err) {
        (Some(Level::Error | Level::Fatal), _) => " ✗ ",
        (Some(Level::Warn), _) => " ! ",
        (None, true) => " · ",
        _ => "   ",
    };
    let mut head = Pieces::new()
        .and(format!(" {}", time.strftime(form)), theme.quiet())
        .and(sign, style(line, theme));
    if several {
        let name = cut(&line.label, NAMES).into_owned();
        let fill = NAMES.saturating_sub(width(&name)) + 1;
        head.push(format!("{name}{}", " ".repeat(fill)), theme.accent_line());
    }
    head
}

fn style(line: &Line, theme: Theme) -> Style {
    match line.level {
        Some(Level::Error | Level::Fatal) => theme.colour_only(Tone::Bad),
        Some(Level::Warn) => theme.tone(Tone::Busy),
        Some(Level::Debug | Level::Trace) => theme.quiet(),
        Some(Level::Info) | None => Style::new(),
    }
}

/// A line in as many rows as it needs.
fn drawn(app: &App, line: &Line, columns: usize, several: bool, theme: Theme) -> Vec<Pieces> {
    let head = head(app, line, several, theme);
    let indent = head.width();
    let room = columns.saturating_sub(indent + 1).max(8);
    let style = style(line, theme);
    let mut rows = Vec::new();
    if line.after_gap {
        let text = format!(
            "{}⋯ lines came too fast to be shown; mhost logs has them all",
            " ".repeat(indent)
        );
        rows.push(Pieces::new().and(text, theme.quiet()));
    }
    let pieces = folded(&line.text, room);
    for (place, piece) in pieces.iter().enumerate().take(FOLDS) {
        let mut row = if place == 0 {
            head.clone()
        } else {
            Pieces::new().and(" ".repeat(indent), Style::new())
        };
        mark(&mut row, piece, &app.log.wish.search, style, theme);
        if place + 1 == FOLDS && pieces.len() > FOLDS {
            row.push(ELLIPSIS, theme.quiet());
        }
        rows.push(row);
    }
    rows
}

/// Text with what the search found in it marked.
fn mark(row: &mut Pieces, text: &str, search: &str, style: Style, theme: Theme) {
    let mut rest = text;
    while let Some((start, end)) = find(rest, search) {
        row.push(&rest[..start], style);
        row.push(&rest[start..end], style.patch(theme.found()));
        rest = &rest[end..];
    }
    row.push(rest, style);
}

/// Where the search is in the text, in any case.
fn find(text: &str, search: &str) -> Option<(usize, usize)> {
    if search.is_empty() {
        return None;
    }
    text.char_indices().find_map(|(start, _)| {
        let mut wanted = search.chars().flat_map(char::to_lowercase);
        let mut next = wanted.next();
        for (offset, c) in text[start..].char_indices() {
            for c in c.to_lowercase() {
                match next {
                    Some(want) if want == c => next = wanted.next(),
                    Some(_) => return None,
                    None => return Some((start, start + offset)),
                }
            }
            if next.is_none() {
                return Some((start, start + offset + c.len_utf8()));
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_found_in_any_case() {
        assert_eq!(find("An Error", "error"), Some((3, 8)));
        assert_eq!(find("ÄÖ", "ö"), Some((2, 4)));
        assert_eq!(find("abc", "abcd"), None);
        assert_eq!(find("abc", ""), None);
    }
}
