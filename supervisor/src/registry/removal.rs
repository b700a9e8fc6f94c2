//! Takes processes out of the registry.
//!
//! The intention is written before anything is stopped, so that a daemon which dies on the way
//! leaves something that the next one finishes. From then on nobody starts an instance again:
//! a start, a scaling or a reload that is under way comes to nothing.

use tracing::error;

use super::target::{Pick, copies};
use super::{Entry, RegistryHandle};
use crate::command::{Done, Target};
use crate::control::ControlError;
use crate::event::EventKind;
use crate::ids::ProcessName;
use crate::instance::Unwanted;
use crate::machine::Input;
use crate::state::Reason;
use crate::store::{Batch, Desired, Removal};

/// The actor of a deletion that a former daemon began.
const SYSTEM: &str = "system";

impl RegistryHandle {
    /// Stops processes and forgets them.
    pub(super) async fn delete(
        &self,
        actor: &str,
        target: &Target,
        force: bool,
        keep_logs: bool,
    ) -> Result<Vec<Done>, ControlError> {
        let picked = self.inner().pick(target)?;
        if let Some(pick) = picked.items.iter().find(|pick| pick.index.is_some()) {
            let message = format!(
                "`{}` is one instance; use `mhost scale {} -1` to have one fewer",
                pick.text(),
                pick.name
            );
            return Err(ControlError::Conflict { message });
        }
        let names: Vec<ProcessName> = picked.items.into_iter().map(|pick| pick.name).collect();
        let removal = Removal { keep_logs };
        Ok(self.remove(&names, removal, force, actor).await)
    }

    /// Stops these and forgets those that are down then.
    pub(super) async fn remove(
        &self,
        names: &[ProcessName],
        removal: Removal,
        force: bool,
        actor: &str,
    ) -> Vec<Done> {
        // Others may be at it already; then it is theirs to forget them.
        let ours = self.intend(names, removal).await;
        self.end_and_forget(names, &ours, removal, force, actor)
            .await
    }

    /// Does what was intended, if it is ours, and else waits for it.
    async fn end_and_forget(
        &self,
        names: &[ProcessName],
        ours: &[ProcessName],
        removal: Removal,
        force: bool,
        actor: &str,
    ) -> Vec<Done> {
        let picks: Vec<Pick> = names.iter().map(Pick::whole).collect();
        for pick in &picks {
            let handles = self.inner().handles(pick);
            for handle in handles {
                handle.call_off(Unwanted::Removal).await;
            }
        }
        let stop = Input::Stop {
            reason: Reason::Manual,
            force,
            signal: None,
        };
        let stopped = self.take_down(&picks, stop, actor).await;
        let mut done = Vec::with_capacity(names.len());
        // From the last to the first: whatever comes after a removed one is written again with
        // its new position, and so nothing does.
        for (name, stopped) in names.iter().zip(stopped).rev() {
            let error = match (stopped.error, ours.contains(name)) {
                (Some(error), true) => {
                    // When the daemon ends, the intention is for the next one.
                    if !self.context().tasks.token().is_cancelled() {
                        self.keep(name).await;
                    }
                    Some(error)
                }
                (None, true) => {
                    // The new set of a reload that this has ended goes first.
                    self.until_settled(name).await;
                    let forgotten = self.forget(name, removal.keep_logs, actor).await;
                    forgotten.err().map(|error| error.to_string())
                }
                (failed, false) => {
                    self.until_removed(name).await;
                    failed
                }
            };
            done.push(Done {
                target: name.to_string(),
                changed: true,
                note: None,
                error,
            });
        }
        done.reverse();
        done
    }

    /// Goes on where a former daemon died.
    pub(super) async fn finish_removal(&self, name: &ProcessName, removal: Removal) -> Done {
        let names = std::slice::from_ref(name);
        let mut done = self
            .end_and_forget(names, names, removal, false, SYSTEM)
            .await;
        done.pop().unwrap_or_else(|| Done {
            target: name.to_string(),
            changed: false,
            note: None,
            error: None,
        })
    }

    /// Returns when nobody is removing it (any longer).
    pub(super) async fn until_removed(&self, name: &ProcessName) {
        let is_going = || {
            let inner = self.inner();
            let entry = inner.entry(name);
            inner.going.contains(name) || entry.is_some_and(|entry| entry.row.removal.is_some())
        };
        self.changed().until(|_| !is_going()).await;
    }

    /// Writes down that these go. Returns those of which nobody had written it yet.
    async fn intend(&self, names: &[ProcessName], removal: Removal) -> Vec<ProcessName> {
        let rows: Vec<_> = {
            let mut inner = self.inner();
            let mut rows = Vec::new();
            for name in names {
                if let Some(entry) = inner.entry_mut(name)
                    && entry.row.removal.is_none()
                {
                    entry.row.removal = Some(removal);
                    entry.row.desired = Desired::Stopped;
                    entry.row.due = None;
                    entry.keeper = None;
                    rows.push(entry.row.clone());
                }
            }
            rows
        };
        self.bump();
        let ours: Vec<ProcessName> = rows.iter().map(|row| row.spec.name.clone()).collect();
        let batch = Batch {
            processes: rows,
            ..Batch::default()
        };
        // What fills the disk must be possible to get rid of.
        if let Err(error) = self.journal(batch).await {
            error!(%error, "The intention to delete could not be recorded.");
            self.owe(ours.clone(), Vec::new());
        }
        ours
    }

    /// It could not be stopped, so it stays.
    async fn keep(&self, name: &ProcessName) {
        let (row, handles) = {
            let mut inner = self.inner();
            let Some(entry) = inner.entry_mut(name) else {
                return;
            };
            entry.row.removal = None;
            entry.keeper = super::keeper::Keeper::start(self, &entry.spec);
            (entry.row.clone(), entry.handles.clone())
        };
        for handle in handles {
            handle.want_again(Unwanted::Removal).await;
        }
        self.bump();
        let batch = Batch {
            processes: vec![row],
            ..Batch::default()
        };
        if let Err(error) = self.journal(batch).await {
            error!(process = %name, %error, "That a deletion was given up could not be recorded.");
            self.owe([name.clone()], Vec::new());
        }
    }

    /// Removes a process that is down.
    async fn forget(
        &self,
        name: &ProcessName,
        keep_logs: bool,
        actor: &str,
    ) -> Result<(), ControlError> {
        let kept = self.kept_copies();
        // Copies that were scaled away have left lines, too.
        let ids = copies(&self.inner(), &Pick::whole(name), &kept);
        let mut remains = None;
        if !keep_logs {
            // Before the row: with it goes the last trace of whose they are.
            for id in &ids {
                remains = self.shared.archive.remove(id).await.err().or(remains);
            }
        }
        let handles = self.inner().handles(&Pick::whole(name));
        for handle in handles {
            // Others may have told it something, too.
            handle.retire().await;
        }
        let (entry, rows) = {
            let mut inner = self.inner();
            let Some(place) = inner
                .processes
                .iter()
                .position(|entry| entry.name() == name)
            else {
                return Ok(());
            };
            let entry = inner.processes.remove(place);
            inner.going.push(name.clone());
            let mut rows = Vec::new();
            for (position, entry) in (0..).zip(&mut inner.processes) {
                if entry.row.position != position {
                    entry.row.position = position;
                    rows.push(entry.row.clone());
                }
            }
            (entry, rows)
        };
        let Entry { handles, .. } = entry;
        for handle in &handles {
            self.context().board.remove(handle.id());
        }
        self.context().launcher.close_sockets(name);
        self.refresh_order();
        let event = self.new_event(name, EventKind::Deleted, serde_json::json!({}), actor);
        let moved: Vec<ProcessName> = rows.iter().map(|row| row.spec.name.clone()).collect();
        let batch = Batch {
            processes: rows,
            removed: vec![name.clone()],
            events: vec![event],
            ..Batch::default()
        };
        let recorded = self.journal(batch).await;
        if recorded.is_err() {
            // It is no more, whether that can be recorded or not.
            self.owe(moved.into_iter().chain([name.clone()]), Vec::new());
        }
        // Only now may it be registered again: its row would be removed with the old one.
        self.inner().going.retain(|going| going != name);
        self.bump();
        recorded?;
        match remains {
            None => Ok(()),
            Some(error) => Err(ControlError::Internal {
                message: format!("log files remain: {error}"),
            }),
        }
    }
}
