//! Screen 1: every copy of every process, and the selected one in more detail with the end of
//! its log.

mod detail;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use supervisor::{HealthStatus, Status};

use crate::output::figures::{NONE, cpu, memory, span};
use crate::output::state;
use crate::output::style::Tone;
use crate::output::text::width;
use crate::tui::app::{App, Link};
use crate::tui::data::Row;
use crate::tui::paint::{Theme, middle, put, put_right};
use crate::tui::samples::{memory_top, sparkline};
use crate::tui::table::{Sort, first_in_sight};

/// A column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Name,
    State,
    Cpu,
    CpuTrend,
    Memory,
    MemoryTrend,
    Restarts,
    Uptime,
    Health,
    Pid,
    Fds,
    Threads,
    Command,
}

impl Column {
    fn title(self) -> &'static str {
        match self {
            Column::Name => "NAME",
            Column::State => "STATE",
            Column::Cpu => "CPU",
            Column::CpuTrend | Column::MemoryTrend => "",
            Column::Memory => "MEM",
            Column::Restarts => "RESTARTS",
            Column::Uptime => "UPTIME",
            Column::Health => "HEALTH",
            Column::Pid => "PID",
            Column::Fds => "FDS",
            Column::Threads => "THREADS",
            Column::Command => "COMMAND",
        }
    }

    fn sort(self) -> Option<Sort> {
        match self {
            Column::Name => Some(Sort::Name),
            Column::State => Some(Sort::State),
            Column::Cpu => Some(Sort::Cpu),
            Column::Memory => Some(Sort::Memory),
            Column::Restarts => Some(Sort::Restarts),
            Column::Uptime => Some(Sort::Uptime),
            _ => None,
        }
    }

    fn is_number(self) -> bool {
        matches!(
            self,
            Column::Cpu
                | Column::Memory
                | Column::Restarts
                | Column::Uptime
                | Column::Pid
                | Column::Fds
                | Column::Threads
        )
    }

    fn text(self, app: &App, row: &Row) -> String {
        let none = || NONE.to_owned();
        match self {
            Column::Name => row.label.clone(),
            Column::State if is_unwell(row) => {
                format!("{}, failing", state::label(row.state, &row.detail))
            }
            Column::State => state::label(row.state, &row.detail),
            Column::Cpu => row.cpu.map_or_else(none, cpu),
            Column::Memory => row.memory.map_or_else(none, memory),
            Column::CpuTrend | Column::MemoryTrend => {
                let columns = usize::from(TREND);
                let series = app.samples.of(&row.key);
                series.map_or_else(String::new, |series| match self {
                    Column::CpuTrend => sparkline(&series.cpu, columns, 100.0),
                    _ => sparkline(
                        &series.memory,
                        columns,
                        memory_top(&series.memory, row.limit),
                    ),
                })
            }
            Column::Restarts if row.restarts_total > row.restarts => {
                format!("{}/{}", row.restarts, row.restarts_total)
            }
            Column::Restarts => row.restarts.to_string(),
            Column::Uptime => row
                .started_at
                .map_or_else(none, |since| span(supervisor::until(since, app.now))),
            Column::Health => row.health.as_str().to_owned(),
            Column::Pid => row.pid.map_or_else(none, |pid| pid.to_string()),
            Column::Fds => row.fds.map_or_else(none, |fds| fds.to_string()),
            Column::Threads => row.threads.map_or_else(none, |threads| threads.to_string()),
            Column::Command => row.command.clone(),
        }
    }

    fn style(self, row: &Row, theme: Theme) -> Style {
        match self {
            Column::Name => theme.strong(),
            Column::State if is_unwell(row) => theme.tone(Tone::Busy),
            Column::State => theme.tone(state::tone(row.state)),
            Column::Health => theme.tone(state::health_tone(row.health)),
            Column::Memory
                if row
                    .limit
                    .is_some_and(|limit| row.memory.unwrap_or(0) * 10 > limit * 9) =>
            {
                theme.tone(Tone::Busy)
            }
            Column::CpuTrend | Column::MemoryTrend | Column::Command => theme.quiet(),
            _ => Style::new(),
        }
    }
}

/// It runs, but its probe says that it does not work.
fn is_unwell(row: &Row) -> bool {
    row.state == Status::Online && row.health == HealthStatus::Fail
}

/// Columns of a small sparkline.
const TREND: u16 = 16;
/// Columns between two columns.
const GAP: u16 = 2;

/// Draws the screen.
pub(crate) fn draw(app: &App, buf: &mut Buffer, area: Rect, theme: Theme) {
    if app.table.len() == 0 {
        empty(app, buf, area, theme);
        return;
    }
    let rows = u16::try_from(app.table.len()).unwrap_or(u16::MAX);
    // The table gets what it needs, up to somewhat more than half.
    let most = (area.height * 11 / 20).max(4);
    let table = Rect {
        height: (rows + 1).min(most),
        ..area
    };
    let below = Rect {
        y: area.y + table.height,
        height: area.height - table.height,
        ..area
    };
    draw_table(app, buf, table, theme);
    if let Some(row) = app.table.selected() {
        detail::draw(app, row, buf, below, theme);
    }
}

fn empty(app: &App, buf: &mut Buffer, area: Rect, theme: Theme) {
    match (&app.link, app.loaded) {
        (_, true) if !app.table.rows.is_empty() => middle(
            buf,
            area,
            "No process has this text.",
            "Esc shows all of them again",
            theme,
        ),
        (Link::Up(_), true) => middle(
            buf,
            area,
            "No processes yet.",
            "start one in another terminal: mhost start <app>",
            theme,
        ),
        (Link::Down(..), _) => middle(
            buf,
            area,
            "The daemon is away.",
            "this screen goes on when it is back: mhost daemon start",
            theme,
        ),
        _ => {}
    }
}

/// Which columns there is room for, and how wide each is.
fn columns(app: &App, first: usize, height: usize, room: u16) -> Vec<(Column, u16)> {
    let widest = |column: Column, least: usize, most: usize| {
        let shown = app.table.from(first).take(height);
        let widest = shown.map(|row| width(&column.text(app, row))).max();
        u16::try_from(widest.unwrap_or(0).clamp(least, most)).unwrap_or(0)
    };
    let mut chosen = vec![
        (Column::Name, widest(Column::Name, 12, 32)),
        (Column::State, widest(Column::State, 11, 30)),
        (Column::Cpu, 7),
        (Column::Memory, 7),
        (Column::Restarts, 8),
        (Column::Uptime, 7),
    ];
    let used = |chosen: &[(Column, u16)]| -> u16 {
        let all: u16 = chosen.iter().map(|(_, wide)| wide + GAP).sum();
        all.saturating_sub(GAP)
    };
    // On a narrow window name and state give way in turn.
    for (place, least) in [(0, 18), (1, 16), (0, 12), (1, 10)] {
        let over = used(&chosen).saturating_sub(room);
        let wide = &mut chosen[place].1;
        *wide = wide.saturating_sub(over).max(least.min(*wide));
    }
    while used(&chosen) > room && chosen.len() > 2 {
        chosen.pop();
    }
    let extras = [
        (Column::Health, 7, 6),
        (Column::CpuTrend, TREND, 3),
        (Column::Pid, 7, 8),
        (Column::MemoryTrend, TREND, 5),
        (Column::Fds, 5, 10),
        (Column::Threads, 7, 11),
        (Column::Command, 20, 13),
    ];
    for (column, wide, place) in extras {
        if used(&chosen) + GAP + wide > room {
            break;
        }
        chosen.insert(place.min(chosen.len()), (column, wide));
    }
    // What is left goes to the last column of text, or to the name.
    let left = room.saturating_sub(used(&chosen));
    if let Some((_, wide)) = chosen
        .iter_mut()
        .find(|(column, _)| *column == Column::Command)
    {
        *wide += left;
    } else if let Some((_, wide)) = chosen.first_mut() {
        *wide += left;
    }
    chosen
}

fn draw_table(app: &App, buf: &mut Buffer, area: Rect, theme: Theme) {
    let height = usize::from(area.height.saturating_sub(1));
    let selected = app.table.place().unwrap_or(0);
    let first = first_in_sight(selected, app.table.len(), height);
    let columns = columns(app, first, height, area.width.saturating_sub(4));
    let start = area.x + 2;

    let mut x = start;
    for (column, wide) in &columns {
        let sorted = column.sort() == Some(app.table.sort);
        let arrow = match (sorted, app.table.reverse) {
            (false, _) => "",
            (true, false) => "↓",
            (true, true) => "↑",
        };
        let title = format!("{}{arrow}", column.title());
        let style = if sorted {
            theme.accent()
        } else {
            theme.quiet()
        };
        if column.is_number() {
            put_right(buf, (x, area.y), *wide, &title, style);
        } else {
            put(buf, (x, area.y), *wide, &title, style);
        }
        x += wide + GAP;
    }

    for (place, row) in app.table.from(first).take(height).enumerate() {
        let y = area.y + 1 + u16::try_from(place).unwrap_or(0);
        let is_selected = first + place == selected;
        if is_selected {
            let bar = " ".repeat(usize::from(area.width));
            put(buf, (area.x, y), area.width, &bar, theme.selected());
            put(buf, (area.x, y), 1, "▸", theme.selected());
        }
        let mut x = start;
        for (column, wide) in &columns {
            let text = column.text(app, row);
            let style = if is_selected {
                theme.selected()
            } else {
                column.style(row, theme)
            };
            if column.is_number() {
                put_right(buf, (x, y), *wide, &text, style);
            } else {
                put(buf, (x, y), *wide, &text, style);
            }
            x += wide + GAP;
        }
    }
    more(buf, area, (first, app.table.len(), height), theme);
}

/// Says that there are rows above or below, where the bar of a window would be.
fn more(buf: &mut Buffer, area: Rect, (first, count, height): (usize, usize, usize), theme: Theme) {
    let x = area.right() - 1;
    if first > 0 {
        put(buf, (x, area.y + 1), 1, "▴", theme.quiet());
    }
    if first + height < count {
        put(buf, (x, area.bottom() - 1), 1, "▾", theme.quiet());
    }
}
