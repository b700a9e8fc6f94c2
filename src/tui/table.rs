//! The process table: its order, its filter, and which row is selected.
//!
//! The selection is a row, not a place: it stays on the process when the order changes under
//! it. Nothing here draws.

use std::cmp::Ordering;

use super::data::{Row, RowKey};
use supervisor::Status;

/// A column to order by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Sort {
    /// As registered.
    #[default]
    Id,
    /// By name.
    Name,
    /// What needs a look first.
    State,
    /// Most first.
    Cpu,
    /// Most first.
    Memory,
    /// Most first.
    Restarts,
    /// Youngest first: what was restarted just now is on top.
    Uptime,
}

impl Sort {
    const ALL: [Sort; 7] = [
        Sort::Id,
        Sort::Name,
        Sort::State,
        Sort::Cpu,
        Sort::Memory,
        Sort::Restarts,
        Sort::Uptime,
    ];

    /// The next one.
    pub(crate) fn next(self) -> Sort {
        let place = Sort::ALL.iter().position(|sort| *sort == self).unwrap_or(0);
        Sort::ALL[(place + 1) % Sort::ALL.len()]
    }

    /// Its name.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Sort::Id => "id",
            Sort::Name => "name",
            Sort::State => "state",
            Sort::Cpu => "cpu",
            Sort::Memory => "memory",
            Sort::Restarts => "restarts",
            Sort::Uptime => "uptime",
        }
    }

    fn compare(self, a: &Row, b: &Row) -> Ordering {
        // What has no value is below everything that has one.
        let most = |a: Option<f64>, b: Option<f64>| {
            let value = |of: Option<f64>| of.unwrap_or(-1.0);
            value(b).total_cmp(&value(a))
        };
        match self {
            Sort::Id => Ordering::Equal,
            Sort::Name => a.label.cmp(&b.label),
            Sort::State => urgency(a.state).cmp(&urgency(b.state)),
            Sort::Cpu => most(a.cpu, b.cpu),
            Sort::Memory => b.memory.cmp(&a.memory),
            Sort::Restarts => (b.restarts, b.restarts_total).cmp(&(a.restarts, a.restarts_total)),
            Sort::Uptime => b.started_at.cmp(&a.started_at),
        }
        .then_with(|| a.index.cmp(&b.index))
        .then_with(|| a.key.instance.cmp(&b.key.instance))
    }
}

fn urgency(state: Status) -> u8 {
    match state {
        Status::Errored => 0,
        Status::Starting => 1,
        Status::Stopping => 2,
        Status::Online => 3,
        Status::Stopped => 4,
    }
}

/// The table.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// All rows, as registered.
    pub(crate) rows: Vec<Row>,
    /// Places in `rows` of what is shown, in its order.
    shown: Vec<usize>,
    /// What they are ordered by.
    pub(crate) sort: Sort,
    /// The other way around?
    pub(crate) reverse: bool,
    /// Text that shown rows have, as typed.
    pub(crate) filter: String,
    selected: Option<RowKey>,
}

impl Table {
    /// Takes new rows.
    pub(crate) fn replace(&mut self, rows: Vec<Row>) {
        let before = self.place();
        self.rows = rows;
        self.arrange_from(before);
    }

    /// Filters and orders anew.
    pub(crate) fn arrange(&mut self) {
        let before = self.place();
        self.arrange_from(before);
    }

    fn arrange_from(&mut self, before: Option<usize>) {
        let words: Vec<String> = self
            .filter
            .split_whitespace()
            .map(str::to_lowercase)
            .collect();
        let rows = &self.rows;
        self.shown = (0..rows.len())
            .filter(|place| {
                words
                    .iter()
                    .all(|word| rows[*place].haystack.contains(word))
            })
            .collect();
        let (sort, reverse) = (self.sort, self.reverse);
        self.shown.sort_by(|a, b| {
            let order = sort.compare(&rows[*a], &rows[*b]);
            if reverse { order.reverse() } else { order }
        });
        if self.place_of_selected().is_none() {
            // What was selected is gone: its neighbour takes its place.
            self.select(before.unwrap_or(0));
        }
    }

    /// How many rows are shown.
    pub(crate) fn len(&self) -> usize {
        self.shown.len()
    }

    /// The shown rows from a place on.
    pub(crate) fn from(&self, first: usize) -> impl Iterator<Item = &Row> {
        self.shown
            .iter()
            .skip(first)
            .filter_map(|place| self.rows.get(*place))
    }

    /// Where the selection is among the shown rows.
    pub(crate) fn place(&self) -> Option<usize> {
        self.place_of_selected()
    }

    fn place_of_selected(&self) -> Option<usize> {
        let key = self.selected.as_ref()?;
        self.shown
            .iter()
            .position(|place| self.rows.get(*place).is_some_and(|row| row.key == *key))
    }

    /// The selected row.
    pub(crate) fn selected(&self) -> Option<&Row> {
        let place = self.place_of_selected()?;
        self.rows.get(*self.shown.get(place)?)
    }

    /// Selects the shown row at a place, or the last one.
    pub(crate) fn select(&mut self, place: usize) {
        let place = place.min(self.shown.len().saturating_sub(1));
        self.selected = self
            .shown
            .get(place)
            .and_then(|place| self.rows.get(*place))
            .map(|row| row.key.clone())
            .or(self.selected.take());
    }

    /// Selects the first shown copy of a process.
    pub(crate) fn select_name(&mut self, name: &str) {
        let place = self.shown.iter().position(|place| {
            self.rows
                .get(*place)
                .is_some_and(|row| row.key.name == name)
        });
        if let Some(place) = place {
            self.select(place);
        }
    }

    /// Moves the selection by rows.
    pub(crate) fn move_by(&mut self, rows: isize) {
        let place = self.place().unwrap_or(0);
        self.select(place.saturating_add_signed(rows));
    }
}

/// The first row to draw of `count`, so that `selected` is in sight: in the middle, except
/// near the ends. Needs no memory, so that nothing can go out of step.
pub(crate) fn first_in_sight(selected: usize, count: usize, height: usize) -> usize {
    selected
        .saturating_sub(height / 2)
        .min(count.saturating_sub(height))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::testing::row;

    fn labels(table: &Table) -> Vec<&str> {
        table.from(0).map(|row| row.label.as_str()).collect()
    }

    fn table() -> Table {
        let mut table = Table::default();
        table.replace(vec![
            Row {
                cpu: Some(1.0),
                memory: Some(30),
                ..row(0, "web", Status::Online)
            },
            Row {
                cpu: Some(9.0),
                memory: Some(10),
                restarts: 4,
                ..row(1, "api", Status::Online)
            },
            Row {
                cpu: None,
                memory: None,
                ..row(2, "job", Status::Errored)
            },
        ]);
        table
    }

    #[test]
    fn every_column_orders() {
        let mut table = table();
        let wanted = [
            (Sort::Id, ["web", "api", "job"]),
            (Sort::Name, ["api", "job", "web"]),
            (Sort::State, ["job", "web", "api"]),
            (Sort::Cpu, ["api", "web", "job"]),
            (Sort::Memory, ["web", "api", "job"]),
            (Sort::Restarts, ["api", "web", "job"]),
        ];
        for (sort, labels_wanted) in wanted {
            assert_eq!(table.sort, sort);
            assert_eq!(labels(&table), labels_wanted, "{sort:?}");
            table.sort = table.sort.next();
            table.arrange();
        }
        table.sort = table.sort.next();
        assert_eq!(table.sort, Sort::Id);
        table.reverse = true;
        table.arrange();
        assert_eq!(labels(&table), ["job", "api", "web"]);
    }

    #[test]
    fn the_selection_stays_on_its_row() {
        let mut table = table();
        table.select(0);
        table.sort = Sort::Name;
        table.arrange();
        assert_eq!(table.selected().unwrap().label, "web");
        assert_eq!(table.place(), Some(2));
        let mut rows = table.rows.clone();
        rows.remove(0);
        table.replace(rows);
        assert_eq!(table.selected().unwrap().label, "job");
        table.move_by(-100);
        assert_eq!(table.selected().unwrap().label, "api");
        table.replace(Vec::new());
        assert!(table.selected().is_none());
    }

    #[test]
    fn filters_take_all_words_in_any_case() {
        let mut table = table();
        table.filter = "ERR j".into();
        table.arrange();
        assert_eq!(labels(&table), ["job"]);
        table.filter = "nothing".into();
        table.arrange();
        assert_eq!(table.len(), 0);
        assert!(table.selected().is_none());
        table.filter.clear();
        table.arrange();
        assert_eq!(table.selected().unwrap().label, "job");
    }

    #[test]
    fn the_selected_row_is_in_sight() {
        assert_eq!(first_in_sight(0, 100, 10), 0);
        assert_eq!(first_in_sight(50, 100, 10), 45);
        assert_eq!(first_in_sight(99, 100, 10), 90);
        assert_eq!(first_in_sight(3, 5, 10), 0);
    }
}
