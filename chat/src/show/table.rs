//! Columns of plain text, for a block of code.

/// Rows under a head, each column as wide as its widest cell. Figures stand at the right.
pub(super) struct Table {
    head: Vec<&'static str>,
    right: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these titles; one that begins with `>` is of a column of figures.
    pub(super) fn new(titles: &[&'static str]) -> Self {
        Self {
            head: titles
                .iter()
                .map(|one| one.trim_start_matches('>'))
                .collect(),
            right: titles.iter().map(|one| one.starts_with('>')).collect(),
            rows: Vec::new(),
        }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn render(&self) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            let cells = cells.map(|cell| cell.chars().count());
            cells.chain([self.head[column].len()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let padded: Vec<String> = cells
                .enumerate()
                .map(|(column, cell)| {
                    let room = widths.get(column).copied().unwrap_or(0);
                    if self.right.get(column) == Some(&true) {
                        format!("{cell:>room$}")
                    } else {
                        format!("{cell:<room$}")
                    }
                })
                .collect();
            padded.join("  ").trim_end().to_owned()
        };
        let mut lines = vec![line(&mut self.head.iter().copied())];
        for row in &self.rows {
            lines.push(line(&mut row.iter().map(String::as_str)));
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_cells() {
        let mut table = Table::new(&["NAME", ">MEM"]);
        table.row(["api".into(), "48MB".into()]);
        table.row(["größer".into(), "1.2GB".into()]);
        assert_eq!(
            table.render(),
            "NAME      MEM\napi      48MB\ngrößer  1.2GB"
        );
    }
}
