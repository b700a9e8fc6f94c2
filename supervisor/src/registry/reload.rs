//! Renews a process that runs, in the way of its table `reload`.
//!
//! ```text
//!                                      ┌─ replace: a new set beside the old one, by batches
//!   who, and is it well? ──► lock ──►──┤
//!                                      └─ signal: each instance renews itself, one by one
//! ```
//!
//! What cannot be proven is restarted in the ordinary way, and that is said. Here is what the
//! two ways share; each has a file of its own.

mod own;
mod proof;
mod replace;
mod signal;

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use serde_json::json;

use super::against::Against;
use super::orders::DEPENDENCY_SLACK;
use super::restart::Restart;
use super::target::Pick;
use super::waiting::wait_all;
use super::{Entry, RegistryHandle};
use crate::command::{Done, Target};
use crate::control::ControlError;
use crate::event::EventKind;
use crate::ids::ProcessName;
use crate::instance::{InstanceHandle, Snapshot};
use crate::machine::Awaited;
use crate::spec::{ProcessSpec, ReloadMode};
use crate::state::{Reason, State};
use crate::store::{Batch, Desired};

/// Why a reload comes to nothing that a stop, a hold or a deletion has ended.
const UNWANTED: &str = "it was stopped, held or deleted meanwhile";

/// A reload of one process that is under way.
struct Renewal<'a> {
    name: &'a ProcessName,
    spec: Arc<ProcessSpec>,
    /// How long a batch, or an instance that got a signal, may take.
    timeout: Duration,
    actor: &'a str,
    /// What was ordered before it.
    against: Arc<Against>,
}

impl RegistryHandle {
    /// Reloads each process.
    pub(super) async fn reload(
        &self,
        actor: &str,
        target: &Target,
        timeout: Option<Duration>,
        wait: bool,
    ) -> Result<Vec<Done>, ControlError> {
        let picked = self.inner().pick(target)?;
        let mut done = Vec::new();
        for pick in picked.items {
            if pick.index.is_some() {
                let message = format!(
                    "`{}` is one instance; a reload renews a whole process",
                    pick.text()
                );
                return Err(ControlError::Conflict { message });
            }
            done.push(self.reload_process(actor, &pick, timeout, wait).await?);
        }
        Ok(done)
    }

    async fn reload_process(
        &self,
        actor: &str,
        pick: &Pick,
        timeout: Option<Duration>,
        wait: bool,
    ) -> Result<Done, ControlError> {
        let name = &pick.name;
        let against = self.ordered_against();
        let changing = self.settled(name).await;
        let changing = changing.ok_or_else(|| super::change::gone(name))?;
        self.until_grown(name, &against).await;
        // Read under the lock: another reload may have replaced the whole set meanwhile.
        let (spec, set) = {
            let inner = self.inner();
            if inner.closing {
                return Err(ControlError::ShuttingDown);
            }
            let entry = inner.entry(name).ok_or_else(|| super::change::gone(name))?;
            if against.ends_start_of(entry) {
                return Err(ControlError::ReloadFailed {
                    process: name.to_string(),
                    error: UNWANTED.to_owned(),
                });
            }
            (Arc::clone(&entry.spec), entry.handles.clone())
        };
        let obstacle = obstacle(&spec, &set);
        if set.is_empty() || obstacle.is_some() {
            drop(changing);
            return self.restart_instead(actor, name, obstacle).await;
        }
        self.want(std::slice::from_ref(name), Desired::Online).await;
        let spec = match spec.config.reload.mode {
            ReloadMode::Replace => self.with_env_files_of_now(name, actor).await?,
            // The same run goes on, with the environment that it has.
            ReloadMode::Signal => spec,
        };
        let reload = &spec.config.reload;
        let (mode, signal) = (reload.mode, reload.signal);
        let started = json!({ "mode": mode });
        self.tell(name, EventKind::ReloadStarted, started, actor)
            .await?;
        let renewal = Renewal {
            name,
            timeout: timeout.unwrap_or(reload.timeout),
            spec,
            actor,
            against,
        };
        let renewed = match mode {
            ReloadMode::Replace => self.replace_all(&renewal, set).await,
            ReloadMode::Signal => self.signal_each(&renewal, &set).await.map(|()| Vec::new()),
        };
        let replaced = match renewed {
            Ok(replaced) => replaced,
            Err(error) => {
                let error = self.reason(error);
                let failed = json!({ "error": error });
                self.tell(name, EventKind::ReloadFailed, failed, actor)
                    .await?;
                return Err(ControlError::ReloadFailed {
                    process: name.to_string(),
                    error,
                });
            }
        };
        if mode == ReloadMode::Replace {
            let set = self.inner().handles(&Pick::whole(name));
            self.renewed_by(name, &set, &renewal.spec).await;
        }
        let wait = wait || replaced.is_empty();
        let (registry, ended, by) = (self.clone(), name.clone(), actor.to_owned());
        let Renewal {
            spec,
            timeout,
            against,
            ..
        } = renewal;
        let rest = self.context().tasks.spawn("end of a reload", async move {
            let renewal = Renewal {
                name: &ended,
                spec,
                timeout,
                actor: &by,
                against,
            };
            let finished = registry.finish(&renewal, &replaced).await;
            // Until now: the next change finds one set.
            drop(changing);
            finished
        });
        if wait {
            rest.await.map_err(|error| ControlError::Internal {
                message: error.to_string(),
            })??;
        }
        let note = match mode {
            ReloadMode::Replace => (!wait).then(|| "its old copies are being stopped".to_owned()),
            ReloadMode::Signal => Some(format!("with {signal}")),
        };
        Ok(Done {
            target: pick.text(),
            changed: true,
            note,
            error: None,
        })
    }

    /// Where some copies serve and others are on their way up, these come first: the ones that
    /// serve are not to be restarted in the ordinary way for that.
    async fn until_grown(&self, name: &ProcessName, against: &Against) {
        let (set, limit) = {
            let inner = self.inner();
            let Some(entry) = inner.entry(name) else {
                return;
            };
            (entry.handles.clone(), entry.spec.config.start_timeout)
        };
        let begins = |handle: &InstanceHandle| handle.snapshot().saved.state.is_coming_up();
        let grows = set.iter().any(begins) && set.iter().any(is_online);
        if !grows || !set.iter().all(|one| begins(one) || is_online(one)) {
            return;
        }
        let is_over = || {
            let inner = self.inner();
            let entry = inner.entry(name);
            let ends = |entry: &Entry| against.ends_start_of(entry) || entry.row.removal.is_some();
            inner.closing || entry.is_none_or(ends)
        };
        let up = async {
            // One that is restarted has its grace period first.
            let stops = set
                .iter()
                .map(|handle| handle.until(None, |now| !is_stopping(now)));
            join_all(stops).await;
            // Whether they are up is looked at after this.
            let _ = wait_all(&set, Some(limit + DEPENDENCY_SLACK)).await;
        };
        let changed = self.changed();
        tokio::select! {
            biased;
            _ = changed.until(|_| is_over()) => {}
            () = up => {}
        }
    }

    /// The definition, with env files read anew as by a restart that somebody asks for.
    async fn with_env_files_of_now(
        &self,
        name: &ProcessName,
        actor: &str,
    ) -> Result<Arc<ProcessSpec>, ControlError> {
        self.read_env_files(name, actor).await?;
        let inner = self.inner();
        let entry = inner.entry(name).ok_or_else(|| super::change::gone(name))?;
        Ok(Arc::clone(&entry.spec))
    }

    /// Restarts what cannot be reloaded, and says why, unless there was nothing to reload.
    async fn restart_instead(
        &self,
        actor: &str,
        name: &ProcessName,
        why: Option<&str>,
    ) -> Result<Done, ControlError> {
        let restart = Restart::by(Reason::Manual);
        let mut done = self.restart(actor, &Target::process(name), restart).await?;
        let mut done = done.pop().ok_or_else(|| super::change::gone(name))?;
        if let Some(why) = why.filter(|_| done.changed) {
            done.note = Some(format!("{why}, so this was an ordinary restart"));
        }
        Ok(done)
    }

    /// Stops what was replaced last, and tells that the reload is over.
    async fn finish(
        &self,
        renewal: &Renewal<'_>,
        replaced: &[InstanceHandle],
    ) -> Result<(), ControlError> {
        self.retire(renewal, replaced).await;
        let generation = self.inner().entry(renewal.name).and_then(|entry| {
            let generation = |handle: &InstanceHandle| handle.snapshot().saved.counters.generation;
            entry.handles.iter().map(generation).max()
        });
        let done = json!({ "generation": generation });
        self.tell(renewal.name, EventKind::ReloadDone, done, renewal.actor)
            .await
    }

    async fn tell(
        &self,
        name: &ProcessName,
        kind: EventKind,
        data: serde_json::Value,
        actor: &str,
    ) -> Result<(), ControlError> {
        let event = self.new_event(name, kind, data, actor);
        self.journal(Batch {
            events: vec![event],
            ..Batch::default()
        })
        .await
    }

    /// Waits until nobody wants this set any longer.
    async fn until_unwanted(&self, renewal: &Renewal<'_>, set: &[InstanceHandle]) {
        let wanted = || {
            let inner = self.inner();
            let entry = inner.entry(renewal.name);
            !inner.closing && entry.is_some_and(|entry| renewal.is_wanted(entry, set))
        };
        self.changed().until(|_| !wanted()).await;
    }
}

/// Why a process cannot be reloaded, in words that follow its name.
fn obstacle(spec: &ProcessSpec, set: &[InstanceHandle]) -> Option<&'static str> {
    match spec.config.reload.mode {
        ReloadMode::Replace if Awaited::of(&spec.config).is_nothing() => {
            Some("has neither a health probe nor `ready` to prove a new set by")
        }
        _ if !set.iter().all(is_online) => Some("was not online"),
        ReloadMode::Replace | ReloadMode::Signal => None,
    }
}

fn is_stopping(snapshot: &Snapshot) -> bool {
    matches!(snapshot.saved.state, State::Stopping { .. })
}

fn is_online(handle: &InstanceHandle) -> bool {
    matches!(handle.snapshot().saved.state, State::Online { .. })
}

impl Renewal<'_> {
    /// Is this the set of instances, and is it to run?
    fn is_wanted(&self, entry: &Entry, set: &[InstanceHandle]) -> bool {
        // One that was deleted and registered again has other tasks.
        let same = entry.handles.len() == set.len()
            && entry.handles.iter().zip(set).all(|(a, b)| a.is_same(b));
        let is_to_run = entry.row.desired == Desired::Online && entry.row.removal.is_none();
        same && is_to_run && !self.against.ends_start_of(entry)
    }
}
