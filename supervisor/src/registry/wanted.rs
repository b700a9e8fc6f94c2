//! What is wanted of processes, on record before it is brought about.

use tracing::error;

use super::against::Against;
use super::target::Pick;
use super::{Entry, RegistryHandle};
use crate::ids::ProcessName;
use crate::store::{Batch, Desired, ProcessRow};

/// What an order to run means for the copies of a whole process that were stopped by themselves.
#[derive(Clone, Copy)]
pub(super) enum Whole {
    /// They are to run, too.
    InFull,
    /// They stay down.
    AsItIs,
}

impl RegistryHandle {
    /// Writes down what is wanted of these processes. When the journal cannot write, it is
    /// done all the same: what fills the disk must be possible to stop.
    pub(super) async fn want(&self, names: &[ProcessName], desired: Desired) {
        self.write_rows(names, |entry| {
            entry.row.desired = desired;
            if desired == Desired::Stopped {
                entry.give_up_waiting();
                entry.row.down.clear();
            }
        })
        .await;
    }

    /// Writes down that these are to run. Where one copy of a stopped process is meant, all others
    /// stay down.
    pub(super) async fn want_running(&self, picks: &[Pick], whole: Whole, against: &Against) {
        let names: Vec<ProcessName> = picks.iter().map(|pick| pick.name.clone()).collect();
        self.write_rows(&names, |entry| {
            let was_stopped = entry.row.desired == Desired::Stopped;
            let name = entry.name().clone();
            for pick in picks.iter().filter(|pick| pick.name == name) {
                match (pick.index, whole) {
                    (Some(index), _) => {
                        if was_stopped {
                            entry.row.down.extend(0..entry.handles.len() as u16);
                        }
                        entry.row.down.remove(&index);
                    }
                    (None, Whole::InFull) => entry.bring_back(against),
                    (None, Whole::AsItIs) => {}
                }
            }
            entry.row.desired = Desired::Online;
        })
        .await;
    }

    /// Writes down that these are to run, and which of their copies have yet to begin, so that
    /// the next daemon can finish it. Those that are meant `in_full` get the copies back that were
    /// stopped by themselves before the order came; what was called off since is left as it is.
    pub(super) async fn want_started(
        &self,
        names: &[ProcessName],
        in_full: &[ProcessName],
        against: &Against,
    ) {
        self.write_rows(names, |entry| {
            let is_down = (0..entry.count()).all(|index| entry.row.down.contains(&index));
            if is_down || in_full.contains(entry.name()) {
                entry.bring_back(against);
            }
            if against.is_off(entry) {
                return;
            }
            entry.row.desired = Desired::Online;
            // What runs may go by a former definition, and whoever changed it is still at it.
            if !entry.renews() {
                entry.row.due = entry.due_start();
            }
        })
        .await;
    }

    /// Starts of these that are under way come to nothing.
    pub(super) async fn give_up_starts(&self, names: &[ProcessName]) {
        self.write_rows(names, Entry::give_up_start).await;
    }

    /// Changes rows and writes those that differ then, at once or as soon as that is possible.
    pub(super) async fn write_rows(&self, names: &[ProcessName], change: impl Fn(&mut Entry)) {
        let rows: Vec<ProcessRow> = {
            let mut inner = self.inner();
            let mut rows = Vec::new();
            for name in names {
                if let Some(entry) = inner.entry_mut(name)
                    && entry.row.removal.is_none()
                {
                    let wanted =
                        |row: &ProcessRow| (row.desired, row.due.clone(), row.down.clone());
                    let before = wanted(&entry.row);
                    change(entry);
                    if before != wanted(&entry.row) {
                        rows.push(entry.row.clone());
                    }
                }
            }
            rows
        };
        if rows.is_empty() {
            return;
        }
        self.bump();
        let changed: Vec<ProcessName> = rows.iter().map(|row| row.spec.name.clone()).collect();
        let batch = Batch {
            processes: rows,
            ..Batch::default()
        };
        if let Err(error) = self.journal(batch).await {
            error!(%error, "What is wanted of a process could not be recorded.");
            self.owe(changed, Vec::new());
        }
    }
}
