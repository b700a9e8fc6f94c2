//! Knows every process: name → definition, desired count, instances.
//!
//! ```text
//!   Gate ──Command──► Registry ──Input──► instance tasks
//!                        │  ▲
//!            ProcessRow  ▼  └─ Snapshot (states, to wait for)
//!                      journal
//! ```
//!
//! It orders starts by dependency and stops in reverse, scales, keeps schedules and file
//! watches, and answers questions from snapshots without asking anybody. It never waits for
//! an instance while it holds its lock: the lock guards plain values for a few lines.

mod against;
mod apply;
mod boot;
mod change;
mod due;
mod dump;
mod graph;
mod keeper;
mod orders;
mod owed;
mod plan;
mod probing;
#[cfg(test)]
mod races;
mod reads;
mod reload;
mod removal;
mod resize;
mod restart;
mod stops;
mod target;
mod verdict;
mod view;
mod waiting;
mod wanted;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast;

pub use boot::Foundation;
pub use view::{Glance, Standing, Vitals};

use against::Moment;

use crate::caller::Caller;
use crate::command::{Command, Reply};
use crate::control::ControlError;
use crate::ids::ProcessName;
use crate::instance::{Context, InstanceHandle};
use crate::latest::{Teller, Viewer};
use crate::logs::KnownCopies;
use crate::seams::Archive;
use crate::spec::{GroupSpec, ProcessSpec};
use crate::store::{Batch, Desired, Due, ProcessRow};

/// All processes. Clones are the same registry.
#[derive(Clone)]
pub struct RegistryHandle {
    shared: Arc<Shared>,
}

struct Shared {
    inner: Mutex<Inner>,
    context: Context,
    archive: Arc<dyn Archive>,
    /// Whose lines are kept.
    kept: KnownCopies,
    /// Counts changes of the set of processes.
    changed: Teller<u64>,
    /// What those hear who wait for a process to come up.
    told: broadcast::Sender<(ProcessName, String)>,
    /// The newest of that, and of which runs it is said.
    last_told: Mutex<BTreeMap<ProcessName, (Vec<u64>, String)>>,
    /// One registration at a time, so that two config files cannot take the same name.
    registering: tokio::sync::Mutex<()>,
    started_at: jiff::Timestamp,
    version: String,
}

#[derive(Default)]
struct Inner {
    /// In registration order: the index of a process is its place here.
    processes: Vec<Entry>,
    groups: BTreeMap<String, GroupSpec>,
    /// Not among the processes any longer, but still on the disk.
    going: Vec<ProcessName>,
    owed: owed::Owed,
    closing: bool,
    newest_moment: Moment,
}

struct Entry {
    row: ProcessRow,
    spec: Arc<ProcessSpec>,
    /// Position = index of the instance.
    handles: Vec<InstanceHandle>,
    keeper: Option<keeper::Keeper>,
    /// Held by whoever changes the set of instances, or orders restarts of what is in it.
    lock: Arc<tokio::sync::Mutex<()>>,
    /// The newest order to stop it.
    stopped: Moment,
    /// The newest orders to hold it, or to stop a copy by itself, by index.
    held: BTreeMap<u16, Moment>,
}

impl Entry {
    /// A start that is under way comes to nothing. But what runs by a former definition has yet
    /// to be stopped, and the next daemon would take it for one by the newest.
    fn give_up_start(&mut self) {
        if !self.renews() {
            self.row.due = None;
        }
    }

    /// The same before it is known to be down: what was just started may not be seen to run yet.
    fn give_up_waiting(&mut self) {
        self.row.due.take_if(|due| *due != Due::Renewal);
    }

    /// All that ran by a former definition has been down since the newest holds: from here on it
    /// is a start as any other, if nobody has stopped it.
    fn end_renewal(&mut self) {
        if self.row.due == Some(Due::Renewal) {
            let is_wanted = self.row.desired == Desired::Online;
            self.row.due = is_wanted.then(|| self.due_start()).flatten();
        }
    }

    /// May some copy of it run, or begin, by a definition before the newest?
    fn renews(&self) -> bool {
        let runs = |handle: &InstanceHandle| handle.snapshot().saved.state.has_process();
        let is_taken = Arc::ptr_eq(&self.row.spec, &self.spec);
        self.row.due == Some(Due::Renewal) && (!is_taken || self.handles.iter().any(runs))
    }

    /// What is due when it is started: its copies that have yet to begin.
    fn due_start(&self) -> Option<Due> {
        let (mut after, mut is_done) = (Vec::new(), true);
        for handle in &self.handles {
            let saved = &handle.snapshot().saved;
            let runs = saved.state.has_process();
            let before = saved.counters.generation.saturating_sub(u64::from(runs));
            let is_down = self.row.down.contains(&handle.id().index);
            after.push((!is_down).then_some(before));
            is_done &= runs || is_down;
        }
        (!is_done).then_some(Due::Start { after })
    }

    /// What is due when copies are added to those that are there.
    fn due_growth(&self, from: u16, to: u16) -> Due {
        let mut after = match &self.row.due {
            Some(Due::Start { after }) => after.clone(),
            Some(Due::Renewal) | None => Vec::new(),
        };
        after.resize(from.into(), None);
        after.resize(to.into(), Some(0));
        Due::Start { after }
    }

    fn name(&self) -> &ProcessName {
        &self.row.spec.name
    }

    /// Copies wanted: what `mhost scale` said, else what the definition says that is in force. The
    /// one in the row may be refused yet.
    fn count(&self) -> u16 {
        self.row.scaled.unwrap_or(self.spec.instances)
    }

    /// The copies that are wanted, as far as they are there. Others are about to go.
    fn counted(&self) -> &[InstanceHandle] {
        let count = self.handles.len().min(self.count().into());
        &self.handles[..count]
    }
}

impl Inner {
    fn entry(&self, name: &ProcessName) -> Option<&Entry> {
        self.processes.iter().find(|entry| entry.name() == name)
    }

    fn entry_mut(&mut self, name: &ProcessName) -> Option<&mut Entry> {
        self.processes.iter_mut().find(|entry| entry.name() == name)
    }
}

impl std::fmt::Debug for RegistryHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegistryHandle").finish_non_exhaustive()
    }
}

impl RegistryHandle {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.shared
            .inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn context(&self) -> &Context {
        &self.shared.context
    }

    /// Does what is asked and returns when it is done. Dropping the future does not stop it.
    ///
    /// # Errors
    /// Why it was not done, or not in full.
    pub async fn call(&self, caller: &Caller, command: Command) -> Result<Reply, ControlError> {
        if command.changes() && self.inner().closing && !matches!(command, Command::Shutdown) {
            return Err(ControlError::ShuttingDown);
        }
        let (registry, actor) = (self.clone(), caller.to_string());
        let name = format!("command {}", command.name());
        let work =
            self.context().tasks.spawn(
                name,
                async move { registry.dispatch(&actor, command).await },
            );
        work.await.unwrap_or_else(|error| {
            Err(ControlError::Internal {
                message: error.to_string(),
            })
        })
    }

    async fn dispatch(&self, actor: &str, command: Command) -> Result<Reply, ControlError> {
        match command {
            Command::List { tag } => Ok(Reply::Processes(self.list(tag.as_deref()))),
            Command::Status { target } => self.status(&target).map(Reply::Processes),
            Command::Apply(apply) => self.apply(actor, apply).await.map(Reply::Started),
            Command::Start { target, wait } => {
                self.start(actor, &target, wait).await.map(Reply::Started)
            }
            Command::Stop {
                target,
                force,
                signal,
            } => self
                .stop(actor, &target, force, signal)
                .await
                .map(Reply::Done),
            Command::Restart {
                target,
                update_env,
                reason,
                force,
            } => self
                .restart(
                    actor,
                    &target,
                    restart::Restart {
                        update_env,
                        reason,
                        force,
                        path: None,
                    },
                )
                .await
                .map(Reply::Done),
            Command::Delete {
                target,
                force,
                keep_logs,
            } => self
                .delete(actor, &target, force, keep_logs)
                .await
                .map(Reply::Done),
            Command::Scale { target, change } => self.scale(actor, &target, change).await,
            Command::Signal { target, signal } => {
                self.signal(&target, signal).await.map(Reply::Done)
            }
            Command::Hold { target, reason } => {
                self.hold(actor, &target, reason).await.map(Reply::Done)
            }
            Command::ClearError { target } => {
                self.clear_error(actor, &target).await.map(Reply::Done)
            }
            Command::SetLimit { target, limit } => {
                self.set_limit(actor, &target, limit).await.map(Reply::Done)
            }
            Command::Env { target, reveal } => self.env(&target, reveal).map(Reply::Env),
            Command::History {
                target,
                since,
                limit,
            } => self
                .history(target.as_ref(), since, limit)
                .await
                .map(Reply::Events),
            Command::Health { target } => self.health(target.as_ref()).map(Reply::Health),
            Command::RunProbe { target } => self.run_probes(&target).await.map(Reply::Done),
            Command::Metrics { target } => self.metrics(target.as_ref()).map(Reply::Metrics),
            Command::Cron => Ok(Reply::Cron(self.cron())),
            Command::Limits { target } => self.limits(&target).map(Reply::Limits),
            Command::Links => Ok(Reply::Links(self.links())),
            Command::Logs(query) => self.logs(query).await.map(Reply::Logs),
            Command::LogIndex => Ok(Reply::Index(self.shared.archive.index())),
            Command::Reindex => {
                self.shared.archive.reindex();
                Ok(Reply::Index(self.shared.archive.index()))
            }
            Command::Flush { target } => self.flush(target.as_ref()).await.map(Reply::Done),
            Command::Save => self.save().await,
            Command::Resurrect => self.resurrect(actor).await.map(Reply::Started),
            Command::Version => Ok(Reply::Version(self.version())),
            Command::Reload {
                target,
                timeout,
                wait,
            } => self
                .reload(actor, &target, timeout, wait)
                .await
                .map(Reply::Done),
            Command::Shutdown | Command::ReloadConfig | Command::Port(_) => {
                Err(ControlError::Internal {
                    message: format!("`{}` is not the registry's", command.name()),
                })
            }
        }
    }

    /// Stops everything in reverse order of dependency, for the end of the daemon.
    /// What does not stop within `limit` is named.
    pub async fn close(&self, stop_children: bool, limit: Duration) -> Vec<ProcessName> {
        self.inner().closing = true;
        // A reload that is under way is given up.
        self.bump();
        let keepers: Vec<_> = self
            .inner()
            .processes
            .iter_mut()
            .filter_map(|entry| entry.keeper.take())
            .collect();
        drop(keepers);
        if stop_children {
            self.stop_everything(limit).await
        } else {
            Vec::new()
        }
    }

    /// Counts changes of the set of processes and their definitions.
    fn changed(&self) -> Viewer<u64> {
        self.shared.changed.viewer()
    }

    /// Every row with its instances, to be looked at.
    #[cfg(test)]
    pub(crate) fn entries(&self) -> Vec<(ProcessRow, Vec<InstanceHandle>)> {
        let inner = self.inner();
        let entry = |entry: &Entry| (entry.row.clone(), entry.handles.clone());
        inner.processes.iter().map(entry).collect()
    }

    /// Records a fact that another part of the daemon found out, and tells about it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn record(&self, event: crate::NewEvent) -> Result<(), ControlError> {
        self.journal(Batch {
            events: vec![event],
            ..Batch::default()
        })
        .await
    }

    async fn journal(&self, batch: Batch) -> Result<(), ControlError> {
        let events = self
            .context()
            .journal
            .commit(batch)
            .await
            .map_err(|message| ControlError::Store { message })?;
        for event in events {
            self.context().bus.publish(event);
        }
        Ok(())
    }

    fn bump(&self) {
        self.shared.changed.say(|count| {
            *count += 1;
            true
        });
    }
}
