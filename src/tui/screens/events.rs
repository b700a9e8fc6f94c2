//! Screen 4: what happened, newest first.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use supervisor::Event;

use crate::cli::history;
use crate::output::text::width;
use crate::tui::app::App;
use crate::tui::paint::{Theme, middle, put};
use crate::tui::table::first_in_sight;
use crate::tui::text::harmless;

/// Columns of the event's name: the longest one.
const KIND: u16 = 18;

/// Draws the screen.
pub(crate) fn draw(app: &App, buf: &mut Buffer, area: Rect, theme: Theme) {
    let shown = app.shown_events();
    if shown.is_empty() {
        match &app.events.list {
            None => middle(buf, area, "reading …", "", theme),
            Some(list) if list.is_empty() => {
                middle(buf, area, "Nothing has happened yet.", "", theme)
            }
            Some(_) => middle(
                buf,
                area,
                "No event has this text.",
                "Esc shows all of them",
                theme,
            ),
        }
        return;
    }
    let height = usize::from(area.height - 1);
    let selected = app.event_place(&shown);
    let first = first_in_sight(selected, shown.len(), height);
    let rows = &shown[first..shown.len().min(first + height)];
    let name = rows.iter().map(|event| width(&instance(event))).max();
    let name = u16::try_from(
        name.unwrap_or(0)
            .clamp(8, usize::from(area.width / 5).clamp(10, 30)),
    )
    .unwrap_or(10);
    let today = app.now.to_zoned(app.zone.clone()).date();
    let time = |event: &Event| event.at.to_zoned(app.zone.clone());
    let dated = rows.iter().any(|event| time(event).date() != today);
    let (form, clock) = if dated {
        ("%m-%d %H:%M:%S", 14)
    } else {
        ("%H:%M:%S", 8)
    };

    let columns = [
        (area.x + 2, clock),
        (area.x + 4 + clock, KIND),
        (area.x + 6 + clock + KIND, name),
        (
            area.x + 8 + clock + KIND + name,
            area.width.saturating_sub(9 + clock + KIND + name),
        ),
    ];
    for ((x, wide), title) in columns.iter().zip(["TIME", "EVENT", "PROCESS", "DETAIL"]) {
        put(buf, (*x, area.y), *wide, title, theme.quiet());
    }
    for (place, event) in rows.iter().enumerate() {
        let y = area.y + 1 + u16::try_from(place).unwrap_or(0);
        let is_selected = first + place == selected && app.events.selected.is_some();
        if is_selected {
            let bar = " ".repeat(usize::from(area.width));
            put(buf, (area.x, y), area.width, &bar, theme.selected());
            put(buf, (area.x, y), 1, "▸", theme.selected());
        }
        let tone = history::tone(event.kind);
        let sign = match tone {
            Some(crate::output::style::Tone::Bad) => "✗ ",
            Some(crate::output::style::Tone::Good) => "● ",
            _ => "  ",
        };
        let detail = history::detail(event);
        let cells = [
            (time(event).strftime(form).to_string(), theme.quiet()),
            (
                format!("{sign}{}", event.kind),
                tone.map_or_else(Style::new, |tone| theme.tone(tone)),
            ),
            (instance(event), theme.strong()),
            (harmless(&detail).into_owned(), theme.quiet()),
        ];
        for ((x, wide), (text, style)) in columns.iter().zip(&cells) {
            let style = if is_selected {
                theme.selected()
            } else {
                *style
            };
            put(buf, (*x, y), *wide, text, style);
        }
    }
}

fn instance(event: &Event) -> String {
    let name = match event.instance {
        Some(instance) => format!("{}:{instance}", event.process),
        None => event.process.to_string(),
    };
    harmless(&name).into_owned()
}
