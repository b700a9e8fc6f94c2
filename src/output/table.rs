//! Tables that fit the terminal they are shown on.
//!
//! Each column says how much it matters and how narrow it may become. What does not fit is
//! shrunk and then dropped, least important first; the columns of rank 0 always stay.

use std::borrow::Cow;

use super::style::{Painter, Tone};
use super::text;

/// Space between two columns.
const GAP: usize = 2;
/// Not even a column that must stay is made narrower than this.
const NARROWEST: usize = 4;
/// Names longer than this are cut in tables.
const LONGEST_NAME: usize = 24;

/// One column.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    title: Cow<'static, str>,
    rank: u8,
    least: usize,
    most: usize,
}

impl Column {
    /// A column that is shown whole or not at all. The higher the rank, the sooner it goes.
    pub(crate) fn new(title: impl Into<Cow<'static, str>>, rank: u8) -> Self {
        Self {
            title: title.into(),
            rank,
            least: usize::MAX,
            most: usize::MAX,
        }
    }

    /// A column of names.
    pub(crate) fn name(title: &'static str) -> Self {
        Self::new(title, 0).at_least(10).at_most(LONGEST_NAME)
    }

    /// It may shrink to this width.
    pub(crate) fn at_least(mut self, columns: usize) -> Self {
        self.least = columns;
        self
    }

    /// It never gets wider than this.
    pub(crate) fn at_most(mut self, columns: usize) -> Self {
        self.most = columns;
        self
    }
}

/// One field of a row.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    tone: Option<Tone>,
}

impl Cell {
    /// A field in the colour of its meaning.
    pub(crate) fn toned(text: impl AsRef<str>, tone: Tone) -> Self {
        Self {
            text: text::clean(text.as_ref()).into_owned(),
            tone: Some(tone),
        }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self {
            text: text::clean(text.as_ref()).into_owned(),
            tone: None,
        }
    }
}

/// Rows under headings.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(columns: impl Into<Vec<Column>>) -> Self {
        Self {
            columns: columns.into(),
            rows: Vec::new(),
        }
    }

    /// Adds a row with one field per column.
    pub(crate) fn row(&mut self, cells: impl Into<Vec<Cell>>) {
        let cells = cells.into();
        debug_assert_eq!(cells.len(), self.columns.len(), "one field per column");
        self.rows.push(cells);
    }

    /// The lines of the table, each with its line end, in at most `limit` columns.
    pub(crate) fn render(&self, limit: Option<usize>, painter: Painter) -> String {
        let widths = self.fit(limit.unwrap_or(usize::MAX));
        let mut lines = String::new();
        let titles: Vec<Cell> = self
            .columns
            .iter()
            .map(|column| Cell::toned(&column.title, Tone::Strong))
            .collect();
        for row in std::iter::once(&titles).chain(&self.rows) {
            let last = widths.last().map(|(index, _)| *index);
            for (index, width) in &widths {
                let cell = &row[*index];
                let shown = text::cut(&cell.text, *width);
                lines.push_str(&match cell.tone {
                    Some(tone) => painter.paint(&shown, tone),
                    None => shown.to_string(),
                });
                if Some(*index) != last {
                    let missing = width - text::width(&shown).min(*width);
                    lines.push_str(&" ".repeat(missing + GAP));
                }
            }
            while lines.ends_with(' ') {
                lines.pop();
            }
            lines.push('\n');
        }
        lines
    }

    /// Which columns are shown, and how wide.
    fn fit(&self, limit: usize) -> Vec<(usize, usize)> {
        let natural = |index: usize| -> usize {
            let column = &self.columns[index];
            let widest = self.rows.iter().map(|row| text::width(&row[index].text));
            widest
                .chain([text::width(&column.title)])
                .max()
                .unwrap_or(0)
                .min(column.most)
        };
        let mut shown: Vec<(usize, usize)> = (0..self.columns.len())
            .map(|index| (index, natural(index)))
            .collect();
        loop {
            let room = limit.saturating_sub(GAP * shown.len().saturating_sub(1));
            let Some(position) = self.least_important(&shown) else {
                return shown;
            };
            let column = &self.columns[shown[position].0];
            if column.rank == 0 {
                self.shrink(&mut shown, room);
                return shown;
            }
            take(&mut shown, position, room, column.least);
            if total(&shown) <= room {
                return shown;
            }
            shown.remove(position);
        }
    }

    /// Of columns that matter equally little, the last.
    fn least_important(&self, shown: &[(usize, usize)]) -> Option<usize> {
        (0..shown.len()).max_by_key(|&position| self.columns[shown[position].0].rank)
    }

    /// Makes the columns that stay narrower: the last ones first, so that a name is kept
    /// longer than what is said of it.
    fn shrink(&self, shown: &mut [(usize, usize)], room: usize) {
        for position in (0..shown.len()).rev() {
            let least = self.columns[shown[position].0].least;
            take(shown, position, room, least);
        }
        for position in (0..shown.len()).rev() {
            take(shown, position, room, NARROWEST);
        }
    }
}

fn total(shown: &[(usize, usize)]) -> usize {
    shown.iter().map(|(_, width)| width).sum()
}

/// Takes from one column what is too much for `room`, down to `least`.
fn take(shown: &mut [(usize, usize)], position: usize, room: usize, least: usize) {
    let excess = total(shown).saturating_sub(room);
    let width = shown[position].1;
    shown[position].1 = width.saturating_sub(excess).max(least.min(width));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new([
            Column::new("ID", 1),
            Column::name("NAME"),
            Column::new("STATUS", 0).at_least(10),
            Column::new("MEM", 2),
        ]);
        table.row([
            Cell::from("0"),
            Cell::from("a-process-with-a-rather-long-name"),
            Cell::toned("✗ errored (retry in 3.2s, 4)", Tone::Bad),
            Cell::from("48MB"),
        ]);
        table.row([
            Cell::from("1"),
            Cell::from("日本語\u{1b}[2J"),
            Cell::toned("● online", Tone::Good),
            Cell::from("1.2GB"),
        ]);
        table
    }

    #[test]
    fn all_of_it_where_there_is_room() {
        insta::assert_snapshot!(sample().render(None, Painter::PLAIN), @r"
        ID  NAME                      STATUS                        MEM
        0   a-process-with-a-rather…  ✗ errored (retry in 3.2s, 4)  48MB
        1   日本語                    ● online                      1.2GB
        ");
    }

    #[test]
    fn less_of_it_where_there_is_not() {
        insta::assert_snapshot!(sample().render(Some(40), Painter::PLAIN), @r"
        NAME                      STATUS
        a-process-with-a-rather…  ✗ errored (re…
        日本語                    ● online
        ");
    }

    #[test]
    fn no_line_is_ever_wider_than_the_terminal() {
        for limit in 12..=200 {
            for line in sample().render(Some(limit), Painter::PLAIN).lines() {
                assert!(text::width(line) <= limit, "{limit}: {line}");
            }
        }
    }

    #[test]
    fn colour_does_not_move_a_column() {
        let plain = sample().render(Some(60), Painter::PLAIN);
        let painted = sample().render(Some(60), Painter { on: true });
        let stripped = painted.lines().map(text::clean_line).collect::<Vec<_>>();
        assert_eq!(stripped, plain.lines().collect::<Vec<_>>());
    }
}
