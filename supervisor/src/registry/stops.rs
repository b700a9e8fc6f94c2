//! Stop and hold, in the reverse order of the graph, and the end of the daemon.
//!
//! All stops run at once, each after those that depend on it; grace periods of one level go in
//! parallel. Whoever stops waits for the process and never for ever: somebody else may start it
//! again meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::{OwnedMutexGuard, watch};

use super::owed::names_and_notes;
use super::target::Pick;
use super::waiting::is_unkillable;
use super::{Entry, Inner, RegistryHandle};
use crate::command::{Done, Target};
use crate::control::ControlError;
use crate::ids::ProcessName;
use crate::instance::{InstanceHandle, Snapshot, Unwanted};
use crate::machine::Input;
use crate::spec::Signal;
use crate::state::{Reason, State};
use crate::store::Desired;

/// How processes are taken down.
#[derive(Clone, Copy)]
enum Down {
    Stopped,
    Held,
}

impl RegistryHandle {
    /// Stops processes, dependents before what they depend on.
    pub(super) async fn stop(
        &self,
        actor: &str,
        target: &Target,
        force: bool,
        signal: Option<Signal>,
    ) -> Result<Vec<Done>, ControlError> {
        let picked = self.inner().pick(target)?;
        let whole: Vec<ProcessName> = picked
            .items
            .iter()
            .filter(|pick| pick.index.is_none())
            .map(|pick| pick.name.clone())
            .collect();
        let waited = self.waiting(&picked.items);
        self.call_off(&picked.items, Down::Stopped).await;
        self.want(&whole, Desired::Stopped).await;
        let input = Input::Stop {
            reason: Reason::Manual,
            force,
            signal,
        };
        let mut done = self.take_down(&picked.items, input, actor).await;
        for (one, _) in done.iter_mut().zip(waited).filter(|(_, waited)| *waited) {
            if one.error.is_none() && !one.changed {
                one.changed = true;
                one.note = Some("was about to start; that is called off".to_owned());
            }
        }
        // Nothing runs by a former definition any more.
        self.give_up_starts(&whole).await;
        for pick in &picked.items {
            // The other set of a reload that this has ended is gone, too.
            self.until_settled(&pick.name).await;
            self.close_sockets(&pick.name);
        }
        self.note_owed(names_and_notes(&picked.items, &mut done));
        Ok(done)
    }

    /// Which of these wait for what they depend on, to be started?
    fn waiting(&self, picks: &[Pick]) -> Vec<bool> {
        let inner = self.inner();
        let waits = |pick: &Pick| {
            let entry = inner.entry(&pick.name);
            let copies = |entry: &Entry| match pick.index {
                Some(index) => index..index.saturating_add(1),
                None => 0..entry.count(),
            };
            entry.is_some_and(|entry| entry.waits_to_begin(copies(entry)))
        };
        picks.iter().map(waits).collect()
    }

    /// What is under way comes to nothing for these, by a stop or a hold that comes now.
    async fn call_off(&self, picks: &[Pick], down: Down) {
        for pick in picks {
            {
                let mut inner = self.inner();
                let moment = inner.next_moment();
                let Some(entry) = inner.entry_mut(&pick.name) else {
                    continue;
                };
                match (pick.index, down) {
                    (Some(index), _) => entry.held.extend([(index, moment)]),
                    (None, Down::Stopped) => entry.stopped = moment,
                    (None, Down::Held) => {
                        // Also those that a scaling is about to add.
                        let all = 0..entry.count().max(entry.handles.len() as u16);
                        entry.held.extend(all.map(|index| (index, moment)));
                    }
                }
            }
            if let Some(index) = pick.index {
                let down = |entry: &mut Entry| {
                    entry.row.down.insert(index);
                };
                self.write_rows(std::slice::from_ref(&pick.name), down)
                    .await;
            }
        }
        // A reload that is under way is given up.
        self.bump();
    }

    /// Closes the sockets of a process that was stopped: connections are refused then, where
    /// those to one that only fell are kept waiting.
    pub(super) fn close_sockets(&self, name: &ProcessName) {
        let is_stopped = |handle: &InstanceHandle| {
            let snapshot = handle.snapshot();
            snapshot.is_down() && matches!(snapshot.saved.state, State::Stopped)
        };
        let stopped = self
            .inner()
            .entry(name)
            .is_none_or(|entry| entry.handles.iter().all(is_stopped));
        if stopped {
            self.context().launcher.close_sockets(name);
        }
    }

    /// Waits for the end of a change of the set of instances that is under way, or of the orders
    /// of a restart.
    pub(super) async fn until_settled(&self, name: &ProcessName) {
        drop(self.settled(name).await);
    }

    /// The same, and no other change begins while the guard lives.
    pub(super) async fn settled(&self, name: &ProcessName) -> Option<OwnedMutexGuard<()>> {
        let entry = |inner: &Inner| Some(Arc::clone(&inner.entry(name)?.lock));
        let lock = entry(&self.inner())?;
        Some(lock.lock_owned().await)
    }

    /// Gives each pick a stopping input, in reverse order of the graph, and waits until it is
    /// down. Answers for each pick, in their order.
    pub(super) async fn take_down(&self, picks: &[Pick], input: Input, actor: &str) -> Vec<Done> {
        let order = self.inner().order();
        let mut places: BTreeMap<&ProcessName, Vec<usize>> = BTreeMap::new();
        for (place, pick) in picks.iter().enumerate() {
            places.entry(&pick.name).or_default().push(place);
        }
        // Cycles are refused when they are registered. Were there one, everything would have
        // to be stopped all the same, if not in order.
        let sorted = order.sorted().unwrap_or_else(|_| order.names());
        let mut ends: BTreeMap<&ProcessName, watch::Receiver<bool>> = BTreeMap::new();
        let mut stops = Vec::new();
        for name in sorted.iter().rev() {
            let Some(mine) = places.remove(name) else {
                continue;
            };
            let after: Vec<_> = order
                .after(name)
                .filter_map(|after| ends.get(after).cloned())
                .collect();
            let (ended, end) = watch::channel(false);
            ends.insert(name, end);
            stops.push((mine, after, Some(ended)));
        }
        // What was deleted meanwhile is answered for, too.
        stops.extend(places.into_values().map(|mine| (mine, Vec::new(), None)));
        let input = &input;
        let stops = stops.into_iter().map(|(mine, after, ended)| async move {
            for mut after in after {
                // All of these futures live and end together.
                let _ = after.wait_for(|ended| *ended).await;
            }
            let stops = mine.iter().map(async |place| {
                let done = self.stop_pick(&picks[*place], input.clone(), actor).await;
                (*place, done)
            });
            let done = join_all(stops).await;
            if let Some(ended) = ended {
                ended.send_replace(true);
            }
            done
        });
        let mut done = join_all(stops).await.concat();
        done.sort_by_key(|(place, _)| *place);
        done.into_iter().map(|(_, done)| done).collect()
    }

    async fn stop_pick(&self, pick: &Pick, input: Input, actor: &str) -> Done {
        let handles = self.inner().handles(pick);
        let was_down = handles
            .iter()
            .all(|handle| matches!(handle.snapshot().saved.state, State::Stopped));
        let stops = handles.iter().map(|handle| async {
            handle
                .order(input.clone(), actor)
                .await
                .map_err(|error| error.to_string())?;
            let stopped = handle.snapshot().saved.counters.generation;
            // Somebody else may start it again, and then it is never seen to be down.
            let again = |snapshot: &Snapshot| {
                let state = &snapshot.saved.state;
                let stopping = matches!(state, State::Stopping { .. });
                state.has_process() && (!stopping || snapshot.saved.counters.generation > stopped)
            };
            let ended = |snapshot: &Snapshot| {
                if is_unkillable(snapshot) {
                    Some(Err("it does not die of SIGKILL".to_owned()))
                } else if snapshot.is_down() {
                    Some(Ok(false))
                } else {
                    again(snapshot).then_some(Ok(true))
                }
            };
            // Its task may end first: then it is the next daemon's to go on.
            handle.until_some(None, ended).await.unwrap_or_else(|| {
                Err("the daemon ended before it was down; the next one goes on with it".to_owned())
            })
        });
        let result: Result<Vec<bool>, String> = join_all(stops).await.into_iter().collect();
        let started_again = result.as_ref().is_ok_and(|again| again.contains(&true));
        let note = if started_again {
            Some("has been started again meanwhile".to_owned())
        } else {
            was_down.then(|| "was already stopped".to_owned())
        };
        Done {
            target: pick.text(),
            changed: !was_down,
            note,
            error: result.err(),
        }
    }

    /// Holds processes: no retry until somebody asks.
    pub(super) async fn hold(
        &self,
        actor: &str,
        target: &Target,
        reason: String,
    ) -> Result<Vec<Done>, ControlError> {
        let picked = self.inner().pick(target)?;
        self.call_off(&picked.items, Down::Held).await;
        let whole = picked.items.iter().filter(|pick| pick.index.is_none());
        let whole: Vec<ProcessName> = whole.map(|pick| pick.name.clone()).collect();
        self.write_rows(&whole, Entry::give_up_waiting).await;
        let input = Input::Hold {
            by: actor.to_owned(),
            reason,
        };
        let mut done = self.take_down(&picked.items, input, actor).await;
        // Nothing runs by a former definition any more.
        self.give_up_starts(&whole).await;
        for pick in &picked.items {
            self.until_settled(&pick.name).await;
        }
        self.note_owed(names_and_notes(&picked.items, &mut done));
        Ok(done)
    }

    /// For the end of the daemon. Names what was still there at the limit.
    pub(super) async fn stop_everything(&self, limit: Duration) -> Vec<ProcessName> {
        let picks: Vec<Pick> = self
            .inner()
            .processes
            .iter()
            .map(|entry| Pick {
                name: entry.name().clone(),
                index: None,
            })
            .collect();
        let input = Input::Stop {
            reason: Reason::Shutdown,
            force: false,
            signal: None,
        };
        for pick in &picks {
            let handles = self.inner().handles(pick);
            for handle in handles {
                // A start that is under way does not bring it up behind our back.
                handle.call_off(Unwanted::End).await;
            }
        }
        let all_down = async {
            self.take_down(&picks, input, "system").await;
            for pick in &picks {
                // Both sets of a reload that was under way are gone.
                self.until_settled(&pick.name).await;
            }
        };
        let _ = tokio::time::timeout(limit, all_down).await;
        // What was stopped with the daemon is not brought up by the next one.
        let names: Vec<ProcessName> = picks.iter().map(|pick| pick.name.clone()).collect();
        self.give_up_starts(&names).await;
        for pick in &picks {
            self.close_sockets(&pick.name);
        }
        let inner = self.inner();
        let alive = |entry: &&Entry| {
            // Somebody is still at another set of it.
            let is_changing = entry.lock.try_lock().is_err();
            let mut handles = entry.handles.iter();
            is_changing || handles.any(|handle| !handle.snapshot().is_down())
        };
        inner
            .processes
            .iter()
            .filter(alive)
            .map(|entry| entry.name().clone())
            .collect()
    }
}
