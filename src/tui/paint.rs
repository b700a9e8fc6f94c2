//! Putting text into cells.
//!
//! All drawing goes through these few functions. They keep to the columns they are given and
//! cut with an ellipsis; a style is chosen by what it means, and with `NO_COLOR` the meaning
//! is left to signs, words, bold and reverse.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};

use crate::output::style::Tone;
use crate::output::text::{cut, width};

/// How meanings look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Theme {
    /// With colour?
    pub(crate) colour: bool,
}

impl Theme {
    /// The style of a meaning. Only the sixteen colours of the terminal and no backgrounds, so
    /// that it reads on dark and on light.
    pub(crate) fn tone(self, tone: Tone) -> Style {
        let coloured = |colour| {
            if self.colour {
                Style::new().fg(colour)
            } else {
                Style::new()
            }
        };
        match tone {
            Tone::Good => coloured(Color::Green),
            Tone::Busy => coloured(Color::Yellow),
            Tone::Bad => coloured(Color::Red).add_modifier(Modifier::BOLD),
            Tone::Quiet => self.quiet(),
            Tone::Strong => Style::new().add_modifier(Modifier::BOLD),
        }
    }

    /// Not interesting.
    pub(crate) fn quiet(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// A heading.
    pub(crate) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What stands out: our own name, keys, the current tab.
    pub(crate) fn accent(self) -> Style {
        let style = self.strong();
        if self.colour {
            style.fg(Color::Cyan)
        } else {
            style
        }
    }

    /// A line that is a picture or a name beside others: coloured, not bold.
    pub(crate) fn accent_line(self) -> Style {
        if self.colour {
            Style::new().fg(Color::Cyan)
        } else {
            Style::new()
        }
    }

    /// The colour of a meaning without the weight.
    pub(crate) fn colour_only(self, tone: Tone) -> Style {
        self.tone(tone).remove_modifier(Modifier::BOLD)
    }

    /// The selected row. Reverse works on every terminal.
    pub(crate) fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// What a search found.
    pub(crate) fn found(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}

/// A line of pieces, each with its style.
#[derive(Debug, Default, Clone)]
pub(crate) struct Pieces(Vec<(String, Style)>);

impl Pieces {
    /// Without any.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// And this.
    #[must_use]
    pub(crate) fn and(mut self, text: impl Into<String>, style: Style) -> Self {
        self.push(text, style);
        self
    }

    /// And this.
    pub(crate) fn push(&mut self, text: impl Into<String>, style: Style) {
        self.0.push((text.into(), style));
    }

    /// And those.
    pub(crate) fn append(&mut self, other: Pieces) {
        self.0.extend(other.0);
    }

    /// Columns of all of it.
    pub(crate) fn width(&self) -> usize {
        self.0.iter().map(|(text, _)| width(text)).sum()
    }
}

/// Puts text at a place, in at most `columns`. Gives the columns it took.
pub(crate) fn put(
    buf: &mut Buffer,
    (x, y): (u16, u16),
    columns: u16,
    text: &str,
    style: Style,
) -> u16 {
    let area = buf.area;
    if y >= area.bottom() || x >= area.right() {
        return 0;
    }
    let columns = columns.min(area.right() - x);
    let text = cut(text, usize::from(columns));
    let (end, _) = buf.set_stringn(x, y, text.as_ref(), usize::from(columns), style);
    end - x
}

/// Puts text so that it ends with the last of its columns.
pub(crate) fn put_right(
    buf: &mut Buffer,
    (x, y): (u16, u16),
    columns: u16,
    text: &str,
    style: Style,
) {
    let taken = u16::try_from(width(text)).unwrap_or(u16::MAX).min(columns);
    put(buf, (x + columns - taken, y), taken, text, style);
}

/// Puts pieces one after the other. Gives the columns they took.
pub(crate) fn put_pieces(
    buf: &mut Buffer,
    (x, y): (u16, u16),
    columns: u16,
    pieces: &Pieces,
) -> u16 {
    let mut used = 0;
    for (text, style) in &pieces.0 {
        used += put(buf, (x + used, y), columns - used, text, *style);
        if used >= columns {
            break;
        }
    }
    used
}

/// Puts pieces so that they end with the last of their columns.
pub(crate) fn put_pieces_right(
    buf: &mut Buffer,
    (x, y): (u16, u16),
    columns: u16,
    pieces: &Pieces,
) -> u16 {
    let taken = u16::try_from(pieces.width())
        .unwrap_or(u16::MAX)
        .min(columns);
    put_pieces(buf, (x + columns - taken, y), taken, pieces)
}

/// A rule across, with a title on it.
pub(crate) fn rule(buf: &mut Buffer, area: Rect, title: &Pieces, theme: Theme) {
    let line = "─".repeat(usize::from(area.width));
    put(buf, (area.x, area.y), area.width, &line, theme.quiet());
    if title.width() > 0 && area.width > 6 {
        let mut padded = Pieces::new().and(" ", Style::new());
        padded.0.extend(title.0.iter().cloned());
        padded.push(" ", Style::new());
        put_pieces(buf, (area.x + 2, area.y), area.width - 4, &padded);
    }
}

/// A sentence in the middle of an area, and one below it.
pub(crate) fn middle(buf: &mut Buffer, area: Rect, first: &str, second: &str, theme: Theme) {
    let y = area.y + area.height.saturating_sub(2) / 2;
    for (text, y, style) in [(first, y, Style::new()), (second, y + 1, theme.quiet())] {
        let taken = u16::try_from(width(text))
            .unwrap_or(u16::MAX)
            .min(area.width);
        if y < area.bottom() {
            put(
                buf,
                (area.x + (area.width - taken) / 2, y),
                taken,
                text,
                style,
            );
        }
    }
}

/// A cleared box with a border in the middle of an area; gives what is inside it.
pub(crate) fn boxed(
    buf: &mut Buffer,
    area: Rect,
    (columns, rows): (u16, u16),
    title: &str,
    theme: Theme,
) -> Rect {
    let outer = Rect {
        x: area.x + area.width.saturating_sub(columns) / 2,
        y: area.y + area.height.saturating_sub(rows) / 2,
        width: columns.min(area.width),
        height: rows.min(area.height),
    };
    for y in outer.top()..outer.bottom() {
        // A wide character to the left would reach into the box.
        if outer.x > 0
            && let Some(cell) = buf.cell_mut((outer.x - 1, y))
            && width(cell.symbol()) > 1
        {
            cell.set_symbol(" ");
        }
        for x in outer.left()..outer.right() {
            if let Some(cell) = buf.cell_mut((x, y)) {
                cell.reset();
            }
        }
    }
    if outer.width < 4 || outer.height < 3 {
        return outer;
    }
    let line = "─".repeat(usize::from(outer.width - 2));
    let (left, right) = (outer.x, outer.right() - 1);
    put(
        buf,
        (left, outer.y),
        outer.width,
        &format!("╭{line}╮"),
        theme.quiet(),
    );
    put(
        buf,
        (left, outer.bottom() - 1),
        outer.width,
        &format!("╰{line}╯"),
        theme.quiet(),
    );
    for y in outer.y + 1..outer.bottom() - 1 {
        put(buf, (left, y), 1, "│", theme.quiet());
        put(buf, (right, y), 1, "│", theme.quiet());
    }
    if !title.is_empty() {
        put(
            buf,
            (left + 2, outer.y),
            outer.width - 4,
            &format!(" {title} "),
            theme.accent(),
        );
    }
    Rect {
        x: outer.x + 2,
        y: outer.y + 1,
        width: outer.width - 4,
        height: outer.height - 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_keeps_to_its_columns() {
        let mut buf = Buffer::empty(Rect::new(0, 0, 8, 1));
        assert_eq!(put(&mut buf, (0, 0), 5, "日本語日本語", Style::new()), 5);
        put_right(&mut buf, (6, 0), 2, "x", Style::new());
        put(&mut buf, (20, 9), 5, "outside", Style::new());
        let drawn: String = (0..8).map(|x| buf[(x, 0)].symbol()).collect();
        assert!(drawn.starts_with("日"), "{drawn}");
        assert_eq!(buf[(4, 0)].symbol(), "…");
        assert_eq!(buf[(7, 0)].symbol(), "x");
    }

    #[test]
    fn without_colour_nothing_is_coloured() {
        let theme = Theme { colour: false };
        for tone in [Tone::Good, Tone::Busy, Tone::Bad, Tone::Quiet, Tone::Strong] {
            assert_eq!(theme.tone(tone).fg, None);
        }
        assert_eq!(theme.accent().fg, None);
    }
}
