//! The selected process: what it uses over time, what it is, and the end of its log.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::output::figures::{NONE, cpu, memory, span};
use crate::output::state;
use crate::tui::app::App;
use crate::tui::data::Row;
use crate::tui::paint::{Pieces, Theme, put, put_pieces, rule};
use crate::tui::samples::{memory_top, sparkline};
use crate::tui::screens::logs;

/// From this width on the details stand beside the log.
const BESIDE: u16 = 130;
/// Columns of the details then.
const SIDE: u16 = 52;

/// Draws it.
pub(super) fn draw(app: &App, row: &Row, buf: &mut Buffer, area: Rect, theme: Theme) {
    if area.height < 3 {
        return;
    }
    if area.width >= BESIDE {
        let side = Rect {
            width: SIDE,
            ..area
        };
        let log = Rect {
            x: area.x + SIDE + 2,
            width: area.width - SIDE - 2,
            ..area
        };
        rule(buf, side, &title(row, theme), theme);
        facts(app, row, buf, inside(side), theme);
        let name = Pieces::new().and(format!("log of {}", row.label), theme.strong());
        rule(buf, log, &name, theme);
        logs::tail(app, buf, inside(log), theme);
        return;
    }
    rule(buf, area, &title(row, theme), theme);
    let line = Rect {
        y: area.y + 1,
        height: 1,
        ..area
    };
    trends(app, row, buf, line, theme);
    let log = Rect {
        y: area.y + 2,
        height: area.height - 2,
        ..area
    };
    logs::tail(app, buf, log, theme);
}

fn inside(area: Rect) -> Rect {
    Rect {
        y: area.y + 1,
        height: area.height - 1,
        ..area
    }
}

fn title(row: &Row, theme: Theme) -> Pieces {
    let mut title = Pieces::new()
        .and(&row.label, theme.strong())
        .and("  ", Style::new())
        .and(
            state::label(row.state, &row.detail),
            theme.tone(state::tone(row.state)),
        );
    if let Some(pid) = row.pid {
        title.push(format!("  pid {pid}"), theme.quiet());
    }
    if let Some(exit) = row.last_exit.as_ref().filter(|_| row.pid.is_none()) {
        title.push(format!("  last {exit}"), theme.quiet());
    }
    title
}

fn used(row: &Row) -> (String, String) {
    let used = row.memory.map_or_else(|| NONE.into(), memory);
    let used = match row.limit {
        Some(limit) => format!("{used} of {}", memory(limit)),
        None => used,
    };
    (row.cpu.map_or_else(|| NONE.into(), cpu), used)
}

fn lines(app: &App, row: &Row, columns: usize) -> (String, String) {
    match app.samples.of(&row.key) {
        Some(series) => (
            sparkline(&series.cpu, columns, 100.0),
            sparkline(
                &series.memory,
                columns,
                memory_top(&series.memory, row.limit),
            ),
        ),
        None => (" ".repeat(columns), " ".repeat(columns)),
    }
}

/// CPU and memory over time, on one line.
fn trends(app: &App, row: &Row, buf: &mut Buffer, area: Rect, theme: Theme) {
    let half = area.width / 2;
    let columns = usize::from(half.saturating_sub(26));
    let (cpu_line, memory_line) = lines(app, row, columns);
    let (cpu_now, memory_now) = used(row);
    let pieces = [
        ("cpu ", cpu_line, cpu_now),
        ("mem ", memory_line, memory_now),
    ];
    for (place, (name, line, now)) in pieces.into_iter().enumerate() {
        let x = area.x + 2 + half * u16::try_from(place).unwrap_or(0);
        let pieces = Pieces::new()
            .and(name, theme.quiet())
            .and(line, theme.accent_line())
            .and(format!("  {now}"), Style::new());
        put_pieces(buf, (x, area.y), half - 2, &pieces);
    }
}

/// All that is known of it.
fn facts(app: &App, row: &Row, buf: &mut Buffer, area: Rect, theme: Theme) {
    let columns = usize::from(area.width.saturating_sub(31));
    let (cpu_line, memory_line) = lines(app, row, columns);
    let (cpu_now, memory_now) = used(row);
    let number = |value: Option<u64>| value.map_or_else(|| NONE.into(), |value| value.to_string());
    let uptime = row.started_at.map_or_else(
        || NONE.into(),
        |since| span(supervisor::until(since, app.now)),
    );
    let restarts = format!(
        "{} since the last start, {} ever",
        row.restarts, row.restarts_total
    );
    let facts = [
        ("cpu", format!("{cpu_line}  {cpu_now}")),
        ("memory", format!("{memory_line}  {memory_now}")),
        ("uptime", uptime),
        ("restarts", restarts),
        ("health", row.health.as_str().to_owned()),
        (
            "last exit",
            row.last_exit.clone().unwrap_or_else(|| NONE.into()),
        ),
        ("open files", number(row.fds)),
        ("threads", number(row.threads)),
        ("folder", row.cwd.clone()),
        ("command", row.command.clone()),
    ];
    let end = area.right();
    for (place, (name, value)) in facts.into_iter().enumerate() {
        let y = area.y + u16::try_from(place).unwrap_or(0);
        if y >= area.bottom() {
            break;
        }
        put(buf, (area.x + 2, y), 10, name, theme.quiet());
        let style = if place < 2 {
            theme.accent_line()
        } else {
            Style::new()
        };
        put(buf, (area.x + 13, y), end - area.x - 13, &value, style);
    }
}
