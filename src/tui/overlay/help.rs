//! The help: the rows of the key map, nothing else.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::tui::app::{App, Screen};
use crate::tui::keys::{Binding, Mode, TABLE};
use crate::tui::paint::{Pieces, Theme, boxed, put_pieces};

/// Columns of one list of keys.
const COLUMN: u16 = 36;

/// Draws it. `first` is the first row in sight, if there is no room for all.
pub(crate) fn draw(app: &App, first: usize, buf: &mut Buffer, area: Rect, theme: Theme) {
    let lines = lines(app.screen, theme);
    // Two lists where one is too long.
    let lists: u16 = if area.width >= COLUMN * 2 + 4 { 2 } else { 1 };
    let per_list = u16::try_from(lines.len().div_ceil(usize::from(lists))).unwrap_or(u16::MAX);
    let inside = boxed(
        buf,
        area,
        (COLUMN * lists + 4, per_list.saturating_add(2)),
        "Keys",
        theme,
    );
    let rows = usize::from(inside.height);
    let last = usize::from(per_list).saturating_sub(rows);
    let first = first.min(last);
    for list in 0..usize::from(lists) {
        let from = list * usize::from(per_list);
        let of = lines.iter().skip(from).take(usize::from(per_list));
        for (place, line) in of.skip(first).take(rows).enumerate() {
            let x = inside.x + COLUMN * u16::try_from(list).unwrap_or(0);
            let y = inside.y + u16::try_from(place).unwrap_or(0);
            put_pieces(buf, (x, y), COLUMN.min(inside.width), line);
        }
    }
    if first < last {
        let text = Pieces::new().and(" ↓ more ", theme.accent());
        put_pieces(buf, (inside.x + 2, inside.bottom()), 10, &text);
    }
}

/// The keys of this screen first, then those of every screen.
fn lines(screen: Screen, theme: Theme) -> Vec<Pieces> {
    let normal = || TABLE.iter().filter(|binding| binding.mode == Mode::Normal);
    let own = normal().filter(|binding| !binding.screens.is_empty() && binding.on(screen));
    let all = normal().filter(|binding| binding.screens.is_empty());
    let mut lines: Vec<Pieces> = vec![Pieces::new().and(screen.title(), theme.strong())];
    lines.extend(own.map(|binding| line(binding, theme)));
    lines.push(Pieces::new());
    lines.push(Pieces::new().and("Everywhere", theme.strong()));
    lines.extend(all.map(|binding| line(binding, theme)));
    lines
}

fn line(binding: &Binding, theme: Theme) -> Pieces {
    Pieces::new()
        .and(format!("{:>7}  ", binding.shown), theme.accent())
        .and(binding.help, Style::new())
}
