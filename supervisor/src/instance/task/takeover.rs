//! Taking over what a former daemon left behind, before anybody is listened to.

use std::sync::{Arc, PoisonError};

use serde_json::json;
use tracing::{info, warn};

use super::{InstanceTask, SYSTEM};
use crate::clock::after;
use crate::event::EventKind;
use crate::ids::Generation;
use crate::instance::{Standing, leftovers};
use crate::launch::{Found, Scope};
use crate::machine::{Input, KILL_WAIT};
use crate::spec::Signal;
use crate::state::{Hold, Run, State};

/// So many runs in a row may have had a number that the disk had no room for.
const MOST_UNRECORDED: Generation = 1_000_000;

impl InstanceTask {
    /// Takes over what a former daemon left behind.
    pub(super) async fn resume(&mut self) {
        // First of all what it prints is read again: a full FIFO would block it.
        if let State::Starting { run, .. }
        | State::Online { run, .. }
        | State::Stopping { run, .. } = &self.saved.state
        {
            self.attach(run.generation).await;
        }
        if self.standing == Standing::Owner && !self.is_new {
            self.end_strays().await;
        }
        match self.saved.state.clone() {
            State::Stopped
            | State::Errored {
                hold:
                    Hold::Retrying { .. } | Hold::Breaker | Hold::Held { .. } | Hold::NoAutorestart,
            } => {}
            State::Spawning { generation, .. } => {
                self.attach(generation).await;
                let found = self
                    .context
                    .launcher
                    .find_unrecorded(&self.id, generation)
                    .await;
                let _ = self
                    .take(found.map_or(Input::SpawnLost, Input::Spawned), SYSTEM)
                    .await;
                // It runs, and nobody watches it yet.
                if let Some(run) = self.saved.state.run().cloned()
                    && self.live.is_none()
                {
                    self.adopt(run).await;
                }
            }
            State::Starting { run, .. }
            | State::Online { run, .. }
            | State::Stopping { run, .. }
            | State::Errored {
                hold: Hold::Unkillable { run, .. },
            } => self.adopt(run).await,
        }
        self.show();
    }

    /// A daemon that died in the middle of a reload leaves two generations, and one that died
    /// while it ended the remains of a run leaves those. The recorded run is the one that
    /// counts. A newer one has not proven itself, or its beginning could not be recorded, and goes
    /// at once, as does the new copy of a reload during which this one had to begin again; an
    /// older one was about to go and has its grace period.
    pub(super) async fn end_strays(&mut self) {
        let newest = self.saved.newest();
        let replaced = self.saved.replaced.clone();
        let is_replaced = |stray: &_| {
            let mut all = replaced.iter().flat_map(|one| one.processes());
            all.any(|one| one == stray)
        };
        let counted = match &self.saved.state {
            State::Spawning { generation, .. } => Some(*generation),
            state => state.run().map(|run| run.generation),
        };
        let launcher = Arc::clone(&self.context.launcher);
        let mut old = Vec::new();
        for (generation, stray) in launcher.strays(&self.id, counted).await {
            let is_shadow = self.saved.shadows.contains(&generation);
            if generation > newest || is_shadow {
                // Its number was given, though the disk had no room for it: it is not given again.
                self.count_from(generation);
                warn!(process = %self.id.process, instance = self.id.index, pid = stray.pid, "Ending the new generation of an unfinished reload.");
                launcher
                    .signal(&self.id, &stray, Signal::KILL, Scope::Group)
                    .await;
                // Nothing begins before it is gone.
                old.push(stray);
            } else if self.rules.kill_tree || is_replaced(&stray) {
                warn!(process = %self.id.process, instance = self.id.index, pid = stray.pid, "Ending what an earlier run left behind.");
                // It may have more to say while it ends.
                self.attach(generation).await;
                old.push(stray);
            } else {
                launcher.forget(&stray);
            }
        }
        if !old.is_empty() {
            let (id, signal, grace) = (
                self.id.clone(),
                self.rules.stop_signal,
                self.rules.grace_period,
            );
            self.cleanup = Some(Box::pin(leftovers::end_strays(
                launcher, id, old, signal, grace,
            )));
        }
    }

    fn count_from(&self, generation: Generation) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        // A program can give itself whatever mark it likes.
        if generation <= newest.saturating_add(MOST_UNRECORDED) {
            *newest = generation.max(*newest);
        }
    }

    pub(super) async fn adopt(&mut self, run: Run) {
        self.renew_kill_wait();
        let unread = self.attach(run.generation).await.is_some();
        match self.context.launcher.adopt(&run.process).await {
            Found::Alive(_) => {
                info!(process = %self.id.process, instance = self.id.index, pid = run.process.pid, "Adopted a running instance.");
                let data = json!({ "pid": run.process.pid, "generation": run.generation });
                self.enter_run(run.clone());
                if unread {
                    self.attach_later(run.generation);
                }
                self.record(vec![(EventKind::Adopted, data)], SYSTEM).await;
                self.signal_again(&run).await;
                if let State::Stopping { exit: Some(_), .. } = self.saved.state {
                    self.await_tree(run);
                }
            }
            Found::Ended(status) => {
                if unread {
                    self.attach_before_it_goes(run.generation).await;
                }
                // The leader has gone; the rest of its tree may have heard nothing yet.
                self.signal_again(&run).await;
                let is_waited_for = match self.saved.state {
                    State::Stopping { exit, .. } => exit.is_some(),
                    State::Errored {
                        hold: Hold::Unkillable { .. },
                    } => self.rules.kill_tree,
                    _ => false,
                };
                if is_waited_for {
                    self.await_tree(run);
                } else {
                    self.live = None;
                    let _ = self.take(Input::Exited(status), SYSTEM).await;
                }
            }
        }
    }

    /// Sends the signal of a stop again: its intention was written, but whether it went out
    /// before the daemon died is not known.
    async fn signal_again(&mut self, run: &Run) {
        let killed = match self.saved.state {
            State::Stopping { killed, .. } => killed,
            State::Errored {
                hold: Hold::Unkillable { .. },
            } => true,
            _ => return,
        };
        let signal = if killed {
            Signal::KILL
        } else {
            self.rules.stop_signal
        };
        self.send(run, signal, self.rules.scope(run.generation))
            .await;
    }

    /// Nobody saw what died while there was no daemon, so what was sent SIGKILL has its whole
    /// time again before it is called unkillable.
    fn renew_kill_wait(&mut self) {
        if let State::Stopping {
            killed: true,
            deadline,
            ..
        } = &mut self.saved.state
        {
            *deadline = after(self.context.clock.now(), KILL_WAIT);
        }
    }
}
