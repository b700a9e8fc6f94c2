//! What is so, and could not be recorded.
//!
//! Some things are done although the disk is full: what fills it must be possible to stop and to
//! delete. The registry owes the record of them, and tries each second until it is written;
//! else the next daemon would go by what was before.

use std::collections::BTreeSet;
use std::time::Duration;

use tracing::info;

use super::target::Pick;
use super::{Inner, RegistryHandle};
use crate::command::Done;
use crate::ids::{InstanceId, ProcessName};
use crate::store::Batch;

/// Between two tries: as the store does with what happened.
const AGAIN: Duration = Duration::from_secs(1);

/// What whoever ordered it is told meanwhile.
const NOT_RECORDED: &str =
    "not on record yet; that is tried again each second, see mhost daemon logs";

/// What is owed.
#[derive(Debug, Default)]
pub(super) struct Owed {
    /// The rows of these, or that they are gone.
    processes: BTreeSet<ProcessName>,
    /// That these are gone.
    instances: BTreeSet<InstanceId>,
    /// The rows of these, which are being written now.
    tried: BTreeSet<ProcessName>,
    /// Somebody is at it.
    is_paid: bool,
}

impl Owed {
    fn is_empty(&self) -> bool {
        self.processes.is_empty() && self.instances.is_empty()
    }

    /// Another process of this name comes: what there was of the former is to go with its row.
    pub(super) fn takes_over(&mut self, name: &ProcessName) -> bool {
        self.instances.retain(|id| id.process != *name);
        self.tried.remove(name);
        self.processes.remove(name)
    }

    fn has(&self, name: &ProcessName) -> bool {
        self.processes.contains(name) || self.tried.contains(name)
    }

    /// The copies of a process of which it is owed that they are gone. They come again now.
    pub(super) fn come_again(&mut self, ids: &[InstanceId]) -> Vec<InstanceId> {
        let owed = ids.iter().filter(|id| self.instances.remove(*id));
        owed.cloned().collect()
    }
}

impl Inner {
    /// What is to be on record of these processes now, and that these instances are gone.
    fn record_of<'a>(
        &self,
        processes: impl IntoIterator<Item = &'a ProcessName>,
        instances: Vec<InstanceId>,
    ) -> Batch {
        let mut batch = Batch {
            removed_instances: instances,
            ..Batch::default()
        };
        for name in processes {
            match self.entry(name) {
                Some(entry) => batch.processes.push(entry.row.clone()),
                None => batch.removed.push(name.clone()),
            }
        }
        batch
    }
}

impl RegistryHandle {
    /// The rows of these processes, and that these instances are gone, is not on record.
    pub(super) fn owe(
        &self,
        processes: impl IntoIterator<Item = ProcessName>,
        instances: Vec<InstanceId>,
    ) {
        let is_first = {
            let owed = &mut self.inner().owed;
            owed.processes.extend(processes);
            owed.instances.extend(instances);
            !owed.is_empty() && !std::mem::replace(&mut owed.is_paid, true)
        };
        if is_first {
            let registry = self.clone();
            let tasks = &self.context().tasks;
            tasks.spawn("record again", async move { registry.pay().await });
        }
    }

    /// Says of what was done to these that the next daemon would not know it.
    pub(super) fn note_owed<'a>(
        &self,
        notes: impl IntoIterator<Item = (&'a ProcessName, &'a mut Option<String>)>,
    ) {
        let (inner, journal) = (self.inner(), &self.context().journal);
        for (name, note) in notes {
            // That a copy is held stands in the state of the copy alone.
            if inner.owed.has(name) || journal.is_waiting(name) {
                let before = note.take().map_or_else(String::new, |note| note + "; ");
                *note = Some(before + NOT_RECORDED);
            }
        }
    }

    /// Sets the record of these right after a change that was refused: others may have written it
    /// down with a change of theirs. At once if that is possible, so that it holds for a daemon
    /// that comes a moment later.
    pub(super) async fn set_right(&self, processes: Vec<ProcessName>, instances: Vec<InstanceId>) {
        let batch = self.inner().record_of(&processes, instances.clone());
        if self.journal(batch).await.is_err() {
            self.owe(processes, instances);
        }
    }

    async fn pay(&self) {
        let token = self.context().tasks.token();
        loop {
            let pause = tokio::time::sleep(AGAIN);
            if token.run_until_cancelled(pause).await.is_none() {
                return;
            }
            let (batch, paid) = {
                let mut inner = self.inner();
                let paid = std::mem::take(&mut inner.owed);
                if paid.is_empty() {
                    return;
                }
                inner.owed.is_paid = true;
                inner.owed.tried.clone_from(&paid.processes);
                let instances = paid.instances.iter().cloned().collect();
                (inner.record_of(&paid.processes, instances), paid)
            };
            let written = self.journal(batch).await;
            self.inner().owed.tried.clear();
            if written.is_ok() {
                info!("What is wanted of processes is recorded again.");
            } else {
                let owed = &mut self.inner().owed;
                owed.processes.extend(paid.processes);
                owed.instances.extend(paid.instances);
            }
        }
    }
}

/// What was done to these, for [`RegistryHandle::note_owed`].
pub(super) fn names_and_notes<'a>(
    picks: &'a [Pick],
    done: &'a mut [Done],
) -> impl Iterator<Item = (&'a ProcessName, &'a mut Option<String>)> {
    let notes = done.iter_mut().map(|one| &mut one.note);
    picks.iter().map(|pick| &pick.name).zip(notes)
}
