//! A question before something is done.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::output::text::{width, wrap};
use crate::tui::app::Doubt;
use crate::tui::paint::{Pieces, Theme, boxed, put, put_pieces};

/// Draws it.
pub(crate) fn draw(doubt: &Doubt, buf: &mut Buffer, area: Rect, theme: Theme) {
    let most = usize::from(area.width.saturating_sub(8)).min(70);
    let remark = wrap(&doubt.remark, most);
    let widest = remark.iter().map(|line| width(line)).max().unwrap_or(0);
    let columns = widest.max(width(&doubt.question)).clamp(36, most);
    let columns = u16::try_from(columns).unwrap_or(70);
    let rows = u16::try_from(remark.len()).unwrap_or(1);
    let inside = boxed(buf, area, (columns + 4, rows + 5), "", theme);
    put(
        buf,
        (inside.x, inside.y),
        inside.width,
        &doubt.question,
        theme.strong(),
    );
    for (place, line) in remark.iter().enumerate() {
        let y = inside.y + 1 + u16::try_from(place).unwrap_or(0);
        put(buf, (inside.x, y), inside.width, line, theme.quiet());
    }
    let keys = Pieces::new()
        .and("y", theme.accent())
        .and(" yes     ", Style::new())
        .and("n", theme.accent())
        .and(" no", Style::new());
    put_pieces(buf, (inside.x, inside.bottom() - 1), inside.width, &keys);
}
