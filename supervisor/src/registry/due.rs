//! Finishes what was ordered of a former daemon that died over it.
//!
//! Whoever ordered it may have been answered: a start that is not waited for goes on by itself.
//! What is due was written before the first step, and here are the steps again. Copies that
//! have begun since are left alone, unless they may have the definition before.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use tracing::{error, info};

use super::against::Against;
use super::change::gone;
use super::graph::Order;
use super::target::Pick;
use super::{Entry, RegistryHandle};
use crate::control::ControlError;
use crate::ids::{Generation, InstanceId, ProcessName};
use crate::instance::InstanceHandle;
use crate::machine::Input;
use crate::spec::ProcessSpec;
use crate::state::{Hold, Reason, Saved, State};
use crate::store::{Desired, Due, ProcessRow};

const SYSTEM: &str = "system";

impl ProcessRow {
    /// Has some of what was ordered yet to be done?
    pub(super) fn is_due(&self, saved: &BTreeMap<InstanceId, Saved>) -> bool {
        if self.removal.is_some() {
            return false;
        }
        match &self.due {
            None => false,
            Some(Due::Renewal) => true,
            Some(Due::Start { after }) => {
                let never = Saved::default();
                let is_due = |(index, newest): (u16, &Option<Generation>)| {
                    let id = InstanceId::new(self.spec.name.clone(), index);
                    let is_down = self.down.contains(&index);
                    !is_down && has_yet_to_begin(saved.get(&id).unwrap_or(&never), *newest)
                };
                let count = self.scaled.unwrap_or(self.spec.instances);
                let mut copies = (0..count).zip(after);
                self.desired == Desired::Online && copies.any(is_due)
            }
        }
    }
}

impl Entry {
    /// Does the start of one of these copies wait for what it depends on?
    pub(super) fn waits_to_begin(&self, copies: Range<u16>) -> bool {
        let Some(Due::Start { after }) = &self.row.due else {
            return false;
        };
        let waits = |(handle, newest): (&InstanceHandle, &Option<Generation>)| {
            let index = handle.id().index;
            let is_meant = copies.contains(&index) && !self.row.down.contains(&index);
            is_meant && has_yet_to_begin(&handle.snapshot().saved, *newest)
        };
        let mut counted = self.counted().iter().zip(after);
        self.row.desired == Desired::Online && counted.any(waits)
    }

    /// The copies that stay as they are although others have yet to begin: they have begun before.
    fn left_down(&self) -> Vec<InstanceId> {
        let Some(Due::Start { after }) = &self.row.due else {
            return Vec::new();
        };
        let stays_down = |(handle, newest): &(&InstanceHandle, &Option<Generation>)| {
            let saved = &handle.snapshot().saved;
            waits(&saved.state) && !has_yet_to_begin(saved, **newest)
        };
        let copies = self.handles.iter().zip(after).filter(stays_down);
        copies.map(|(handle, _)| handle.id().clone()).collect()
    }

    /// Is a copy of it on its way up, or between two tries?
    fn is_coming_up(&self) -> bool {
        let comes_up = |handle: &InstanceHandle| {
            let state = &handle.snapshot().saved.state;
            let is_retried = |hold: &Hold| matches!(hold, Hold::Retrying { .. });
            state.is_coming_up() || matches!(state, State::Errored { hold } if is_retried(hold))
        };
        self.row.desired == Desired::Online && self.counted().iter().any(comes_up)
    }
}

/// Has a copy not begun since its newest run was this one?
fn has_yet_to_begin(saved: &Saved, newest: Option<Generation>) -> bool {
    newest.is_some_and(|newest| waits(&saved.state) && saved.counters.generation <= newest)
}

/// Does it stay as it is until somebody starts it?
fn waits(state: &State) -> bool {
    match state {
        State::Stopped => true,
        State::Errored { hold } => match hold {
            Hold::Breaker | Hold::Held { .. } | Hold::NoAutorestart => true,
            Hold::Retrying { .. } | Hold::Unkillable { .. } => false,
        },
        State::Spawning { .. }
        | State::Starting { .. }
        | State::Online { .. }
        | State::Stopping { .. } => false,
    }
}

impl RegistryHandle {
    /// Brings these about, each after those of them that it depends on, and after what else of
    /// that is on its way up.
    pub(super) fn finish_due(&self, names: Vec<ProcessName>) {
        if names.is_empty() {
            return;
        }
        let left: BTreeSet<InstanceId> = {
            let inner = self.inner();
            let entries = names.iter().filter_map(|name| inner.entry(name));
            entries.flat_map(Entry::left_down).collect()
        };
        // As the former daemon has left it: what is stopped from here on was waited for.
        let awaited = self.coming_up(&names);
        let (registry, against) = (self.clone(), self.ordered_against_and(left));
        self.context().tasks.spawn("finish orders", async move {
            for name in &names {
                info!(process = %name, "Finishing what was ordered.");
                if let Err(error) = registry.bring_in_line(name).await {
                    error!(process = %name, %error, "Its number of copies could not be changed.");
                }
            }
            // Not what somebody has stopped or held meanwhile.
            let (order, names) = registry.still_due(names);
            let against = registry.started_again(&against, names.iter().chain(&awaited));
            match registry.begin_starts(&order, &names, &awaited, &against, SYSTEM) {
                Ok(starts) => drop(starts.work.await),
                Err(error) => error!(%error, "What was ordered could not be finished."),
            }
        });
    }

    /// Of what else these depend on, what has begun and is not up yet. The rest was brought up
    /// before, or was not due.
    fn coming_up(&self, names: &[ProcessName]) -> Vec<ProcessName> {
        let inner = self.inner();
        let is_awaited = |name: &ProcessName| {
            !names.contains(name) && inner.entry(name).is_some_and(Entry::is_coming_up)
        };
        let all = inner.order().with_dependencies(names).into_iter();
        all.filter(is_awaited).collect()
    }

    fn still_due(&self, mut names: Vec<ProcessName>) -> (Order, Vec<ProcessName>) {
        let inner = self.inner();
        let is_due = |name: &ProcessName| {
            let entry = inner.entry(name);
            entry.is_some_and(|entry| {
                entry.row.due.is_some() && entry.row.desired == Desired::Online
            })
        };
        names.retain(is_due);
        (inner.order(), names)
    }

    /// What was stopped since, and is to run all the same, was started again by somebody: it is
    /// waited for, and not called stopped.
    fn started_again<'a>(
        &self,
        against: &Against,
        names: impl Iterator<Item = &'a ProcessName>,
    ) -> Arc<Against> {
        let inner = self.inner();
        let is_up_again = |name: &&ProcessName| {
            let entry = inner.entry(name);
            entry.is_some_and(|entry| {
                entry.row.desired == Desired::Online && against.is_stopped(entry)
            })
        };
        let again = names.filter(is_up_again).cloned();
        against.with_renewed(again.map(|name| (name, inner.newest_moment)).collect())
    }

    /// Stops what may have the definition before, and brings the number of copies in line.
    async fn bring_in_line(&self, name: &ProcessName) -> Result<(), ControlError> {
        let _changing = self.settled(name).await.ok_or_else(|| gone(name))?;
        let (row, count) = {
            let inner = self.inner();
            let entry = inner.entry(name).ok_or_else(|| gone(name))?;
            (entry.row.clone(), entry.count())
        };
        if row.due == Some(Due::Renewal) {
            let stop = Input::Stop {
                reason: Reason::Manual,
                force: false,
                signal: None,
            };
            self.take_down_former(name, stop, SYSTEM).await;
        }
        let is_scaled = row.scaled.is_some();
        self.resize(name, count, SYSTEM, is_scaled).await
    }

    /// These begin anew, by this definition. If it is the newest, and nothing else of the process
    /// runs, there is nothing left that a renewal would have to stop. Held: the process's lock.
    pub(super) async fn renewed_by(
        &self,
        name: &ProcessName,
        begun: &[InstanceHandle],
        spec: &Arc<ProcessSpec>,
    ) {
        let has_begun = |one: &InstanceHandle| begun.iter().any(|other| other.is_same(one));
        let runs_on = |one: &InstanceHandle| one.snapshot().saved.state.has_process();
        self.write_rows(std::slice::from_ref(name), |entry| {
            let is_newest = Arc::ptr_eq(&entry.row.spec, spec);
            let mut others = entry.handles.iter().filter(|one| !has_begun(one));
            if is_newest && !others.any(runs_on) {
                entry.end_renewal();
            }
        })
        .await;
    }

    /// Stops what runs by the definition before, and writes down that this is done. Held: the
    /// process's lock.
    pub(super) async fn take_down_former(&self, name: &ProcessName, stop: Input, actor: &str) {
        let done = self.take_down(&[Pick::whole(name)], stop, actor).await;
        if done.iter().all(|one| one.error.is_none()) {
            self.write_rows(std::slice::from_ref(name), Entry::end_renewal)
                .await;
        }
    }
}
