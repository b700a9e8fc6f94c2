//! Replace without a gap: the new set comes up beside the old one and only then takes over.
//!
//! Any new instance that fails ends the reload: all new ones are killed and the old set has
//! not been touched. The new set proves itself by its probes; without probes there is nothing
//! to prove it by, so the reload is an ordinary restart and says so.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use serde_json::json;

use super::restart::Restart;
use super::target::Pick;
use super::waiting::wait_up;
use super::{Entry, RegistryHandle};
use crate::command::{Done, Target};
use crate::control::ControlError;
use crate::event::EventKind;
use crate::ids::ProcessName;
use crate::instance::{InstanceHandle, Standing};
use crate::machine::Input;
use crate::spec::ProcessSpec;
use crate::state::{Reason, State};
use crate::store::{Batch, Desired};

/// How long the new set may take: the figure of the peer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How long a new instance has to stay online. On a shared port its probe may be answered by
/// the old one while it is about to die of `EADDRINUSE`.
const PROOF: Duration = Duration::from_secs(1);

/// Tells a program that another copy may hold its port.
const REUSEPORT: &str = "MHOST_REUSEPORT";

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
                    "`{}` is one instance; a reload replaces a whole process",
                    pick.text()
                );
                return Err(ControlError::Conflict { message });
            }
            done.push(
                self.reload_process(actor, &pick, timeout.unwrap_or(TIMEOUT), wait)
                    .await?,
            );
        }
        Ok(done)
    }

    async fn reload_process(
        &self,
        actor: &str,
        pick: &Pick,
        timeout: Duration,
        wait: bool,
    ) -> Result<Done, ControlError> {
        let name = &pick.name;
        let lock = {
            let inner = self.inner();
            let entry = inner.entry(name).ok_or_else(|| super::change::gone(name))?;
            Arc::clone(&entry.lock)
        };
        let changing = lock.lock_owned().await;
        // Read under the lock: another reload may have replaced the whole set meanwhile.
        let (spec, old) = {
            let inner = self.inner();
            let entry = inner.entry(name).ok_or_else(|| super::change::gone(name))?;
            (Arc::clone(&entry.spec), entry.handles.clone())
        };
        let probed = !spec.config.health.is_empty();
        let all_online = old
            .iter()
            .all(|handle| matches!(handle.snapshot().saved.state, State::Online { .. }));
        if !probed || !all_online || old.is_empty() {
            let why = if old.is_empty() {
                None
            } else if probed {
                Some("was not online")
            } else {
                Some("has no health probe to prove a new set by")
            };
            drop(changing);
            let mut done = self
                .restart(actor, &Target::process(name), Restart::by(Reason::Manual))
                .await?;
            let mut done = done.pop().ok_or_else(|| super::change::gone(name))?;
            if let Some(why) = why {
                done.note = Some(format!("{why}, so this was an ordinary restart"));
            }
            return Ok(done);
        }
        self.want(std::slice::from_ref(name), Desired::Online).await;
        self.tell(
            name,
            EventKind::ReloadStarted,
            json!({ "mode": "replace" }),
            actor,
        )
        .await?;
        let new = self.shadows(name, &spec, &old);
        let mut proven = tokio::select! {
            proven = self.prove(&new, actor, timeout) => proven,
            () = self.until_unwanted(name, &old) => Ok(()),
        };
        if proven.is_ok() && !self.put_in_place(name, &old, &new) {
            proven = Err("it was stopped or deleted meanwhile".to_owned());
        }
        if let Err(error) = proven {
            self.abandon(&new, actor).await;
            self.tell(
                name,
                EventKind::ReloadFailed,
                json!({ "error": error }),
                actor,
            )
            .await?;
            return Err(ControlError::ReloadFailed {
                process: name.to_string(),
                error,
            });
        }
        self.take_over(name, &old, &new).await;
        let (registry, name, actor) = (self.clone(), name.clone(), actor.to_owned());
        let rest = self.context().tasks.spawn("end of a reload", async move {
            let finished = registry.retire(&name, &old, &new, &actor).await;
            // Until now: the next change finds one set.
            drop(changing);
            finished
        });
        if wait {
            rest.await.map_err(|error| ControlError::Internal {
                message: error.to_string(),
            })??;
        }
        Ok(Done {
            target: pick.text(),
            changed: true,
            note: (!wait).then(|| "its old copies are being stopped".into()),
            error: None,
        })
    }

    /// Stops the old set, one after another.
    async fn retire(
        &self,
        name: &ProcessName,
        old: &[InstanceHandle],
        new: &[InstanceHandle],
        actor: &str,
    ) -> Result<(), ControlError> {
        for handle in old {
            let stop = Input::Stop {
                reason: Reason::Reload,
                force: false,
                signal: None,
            };
            // A task that has ended has nothing left to stop.
            let _ = handle.order(stop, actor).await;
            handle
                .until(None, |snapshot| {
                    snapshot.is_down() || matches!(snapshot.saved.state, State::Errored { .. })
                })
                .await;
        }
        let generation = new
            .iter()
            .map(|handle| handle.snapshot().saved.counters.generation)
            .max();
        self.tell(
            name,
            EventKind::ReloadDone,
            json!({ "generation": generation }),
            actor,
        )
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

    /// One new task beside each old one, with its counters.
    fn shadows(
        &self,
        name: &ProcessName,
        spec: &ProcessSpec,
        old: &[InstanceHandle],
    ) -> Vec<InstanceHandle> {
        let mut spec = spec.clone();
        spec.env.flags.insert(REUSEPORT.into(), "1".into());
        let spec = Arc::new(spec);
        debug_assert!(
            old.iter().all(|handle| handle.id().process == *name),
            "handles of one process"
        );
        old.iter()
            .map(|handle| handle.start_shadow(Arc::clone(&spec), self.context().clone()))
            .collect()
    }

    /// Starts the new set and waits until all of it is online and stays so.
    async fn prove(
        &self,
        new: &[InstanceHandle],
        actor: &str,
        timeout: Duration,
    ) -> Result<(), String> {
        let starts = new.iter().map(|handle| async move {
            let restart = Input::Restart { reason: Reason::Reload, force: false, path: None };
            handle.order(restart, actor).await.map_err(|error| error.to_string())?;
            wait_up(handle, Some(timeout)).await?;
            let fell = handle.until(Some(PROOF), |snapshot| !matches!(snapshot.saved.state, State::Online { .. })).await;
            if fell {
                let lines = self.context().capture.last_words(handle.id(), handle.snapshot().saved.counters.generation).await;
                let taken = lines.iter().any(|line| line.contains("EADDRINUSE") || line.contains("ddress already in use"));
                return Err(if taken {
                    "a new instance found its port taken by the old one; bind with SO_REUSEPORT when MHOST_REUSEPORT is set, or use `mhost restart`".to_owned()
                } else {
                    "a new instance came up and fell at once".to_owned()
                });
            }
            Ok(())
        });
        join_all(starts).await.into_iter().collect()
    }

    /// Kills the new set; the old one has not been touched.
    async fn abandon(&self, new: &[InstanceHandle], actor: &str) {
        let stops = new.iter().map(|handle| async move {
            let kill = Input::Stop {
                reason: Reason::Reload,
                force: true,
                signal: None,
            };
            // A task that has ended has nothing left to stop.
            let _ = handle.order(kill, actor).await;
            handle
                .until(None, |snapshot| {
                    snapshot.is_down() || matches!(snapshot.saved.state, State::Errored { .. })
                })
                .await;
        });
        join_all(stops).await;
    }

    /// The new set becomes the one that orders reach, if the process is still wanted.
    fn put_in_place(
        &self,
        name: &ProcessName,
        old: &[InstanceHandle],
        new: &[InstanceHandle],
    ) -> bool {
        let mut inner = self.inner();
        let Some(entry) = inner.entry_mut(name) else {
            return false;
        };
        let wanted = is_wanted(entry, old);
        if wanted {
            entry.handles = new.to_vec();
        }
        wanted
    }

    /// Waits until nobody wants the new set any longer.
    async fn until_unwanted(&self, name: &ProcessName, old: &[InstanceHandle]) {
        let mut changed = self.changed();
        loop {
            let wanted = self
                .inner()
                .entry(name)
                .is_some_and(|entry| is_wanted(entry, old));
            // The sender lives as long as this handle.
            if !wanted || changed.changed().await.is_err() {
                return;
            }
        }
    }

    /// The new set becomes the recorded one.
    async fn take_over(&self, name: &ProcessName, old: &[InstanceHandle], new: &[InstanceHandle]) {
        // It may have been defined anew while the new set proved itself.
        let spec = self
            .inner()
            .entry(name)
            .map(|entry| Arc::clone(&entry.spec));
        for (old, new) in old.iter().zip(new) {
            // Both live in this process, and a task ends only after its handles.
            let _ = old.stand(Standing::Retired).await;
            let _ = new.stand(Standing::Owner).await;
            if let Some(spec) = &spec {
                let _ = new.define(Arc::clone(spec)).await;
            }
            new.show_on(&self.context().board);
        }
        self.bump();
    }
}

/// Is this the set of instances, and is it to run?
fn is_wanted(entry: &Entry, old: &[InstanceHandle]) -> bool {
    // One that was deleted and registered again has other tasks.
    let same = entry.handles.len() == old.len()
        && entry.handles.iter().zip(old).all(|(a, b)| a.is_same(b));
    same && entry.row.desired == Desired::Online && entry.row.removal.is_none()
}
