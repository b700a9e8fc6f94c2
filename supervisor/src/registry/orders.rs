//! Start, in the order of the graph, and the small orders.
//!
//! Each process gets a future that first waits for those it must come after. All run at
//! once, so independent branches go in parallel and a failure stops only what depends on it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::RegistryHandle;
use super::against::Against;
use super::graph::Order;
use super::target::Pick;
use super::waiting::{CALLED_OFF, DELETED, STOPPED, until_told, wait_all};
use super::wanted::Whole;
use crate::command::view::{StartChange, StartOutcome, Started};
use crate::command::{Done, Target};
use crate::control::ControlError;
use crate::event::{EventKind, NewEvent};
use crate::ids::ProcessName;
use crate::instance::{InstanceHandle, OrderError, Unwanted};
use crate::machine::Input;
use crate::spec::Signal;
use crate::store::{Batch, Desired};

/// What a dependent waits for its dependency beyond that one's own `start_timeout`.
pub(super) const DEPENDENCY_SLACK: Duration = Duration::from_secs(5);

/// What a start that is not waited for takes at most to begin.
const BEGINNING: Duration = Duration::from_secs(2);

/// How the start of a process ended; none until then. Those who wait look at a value and do
/// not poll each other: a chain of a few hundred nested futures overflowed the stack.
type Outcome = watch::Receiver<Option<Result<(), String>>>;

/// Starts that are under way.
pub(super) struct Starts {
    /// Ends when all have ended.
    pub(super) work: JoinHandle<Vec<()>>,
    /// Of those that wait for nobody: that they have begun.
    beginnings: Vec<oneshot::Receiver<()>>,
    outcomes: BTreeMap<ProcessName, Outcome>,
}

impl RegistryHandle {
    /// Starts registered processes, and first what they depend on.
    pub(super) async fn start(
        &self,
        actor: &str,
        target: &Target,
        wait: Option<Duration>,
    ) -> Result<StartOutcome, ControlError> {
        let picked = self.inner().pick(target)?;
        let against = self.ordered_against();
        let mut outcome = StartOutcome {
            processes: Vec::new(),
            left_over: Vec::new(),
            pruned: Vec::new(),
        };
        if let [
            pick @ Pick {
                name,
                index: Some(_),
            },
        ] = picked.items.as_slice()
        {
            let result = self.start_one(pick, &against, actor, wait).await;
            let result = result.map_err(|error| self.reason(error));
            outcome
                .processes
                .push(started(name.clone(), StartChange::Started, result));
            self.annotate(&mut outcome);
            return Ok(outcome);
        }
        self.want_running(&picked.items, Whole::InFull, &against)
            .await;
        let names: Vec<ProcessName> = picked.items.into_iter().map(|pick| pick.name).collect();
        let running: Vec<bool> = names.iter().map(|name| self.is_up(name)).collect();
        let results = self.bring_up(&names, &against, actor, wait).await?;
        for (name, was_running) in names.iter().zip(running) {
            let change = if was_running {
                StartChange::Unchanged
            } else {
                StartChange::Started
            };
            let result = results.get(name).cloned().unwrap_or(Ok(()));
            outcome
                .processes
                .push(started(name.clone(), change, result));
        }
        self.annotate(&mut outcome);
        Ok(outcome)
    }

    /// Adds what a person should know. A process without a copy is started in no sense of the word.
    pub(super) fn annotate(&self, outcome: &mut StartOutcome) {
        let started = &mut outcome.processes;
        self.note_owed(started.iter_mut().map(|one| (&one.name, &mut one.note)));
        let inner = self.inner();
        for one in started {
            let empty = inner
                .entry(&one.name)
                .is_some_and(|entry| entry.count() == 0);
            if empty && one.error.is_none() {
                one.online = false;
                one.change = StartChange::Registered;
                one.note = Some(format!("it {}", no_copy(&one.name)));
            }
        }
    }

    /// Do all its instances have a process already, which is not about to be stopped?
    pub(super) fn is_up(&self, name: &ProcessName) -> bool {
        let inner = self.inner();
        inner.entry(name).is_some_and(|entry| {
            let runs = |handle: &InstanceHandle| {
                let state = &handle.snapshot().saved.state;
                state.has_process() && !state.is_going_down()
            };
            let is_to_run = entry.row.desired == Desired::Online;
            is_to_run && !entry.counted().is_empty() && entry.counted().iter().all(runs)
        })
    }

    /// Starts these and everything they depend on. Without `wait` it answers at once and the
    /// starts go on by themselves.
    pub(super) async fn bring_up(
        &self,
        names: &[ProcessName],
        against: &Arc<Against>,
        actor: &str,
        wait: Option<Duration>,
    ) -> Result<BTreeMap<ProcessName, Result<(), String>>, ControlError> {
        let (order, is_closing) = {
            let inner = self.inner();
            (inner.order(), inner.closing)
        };
        if is_closing {
            // What is written from here on would be for the next daemon to do.
            return Err(ControlError::ShuttingDown);
        }
        let all = order.with_dependencies(names);
        self.want_started(&all, names, against).await;
        let hears = self.hear();
        let Starts {
            work,
            beginnings,
            outcomes,
        } = self.begin_starts(&order, &all, &[], against, actor)?;
        let Some(limit) = wait else {
            // Whoever looks now sees that it has begun, unless remains have to go first.
            let _ = tokio::time::timeout(BEGINNING, join_all(beginnings)).await;
            return Ok(BTreeMap::new());
        };
        let hopeless = |told: &BTreeMap<ProcessName, String>| {
            let mut open = outcomes.iter().filter(|(_, end)| end.borrow().is_none());
            open.all(|(name, _)| {
                let mut behind = order
                    .with_dependencies(std::slice::from_ref(name))
                    .into_iter();
                behind.any(|one| told.contains_key(&one))
            })
        };
        let before = self.told_before(&all);
        let told = until_told(&all, before, hears, hopeless, work, limit).await;
        let late = |name: &ProcessName| match told.get(name) {
            Some(text) => Err(format!("not online yet: {text}")),
            None if !told.is_empty() => Err("not online yet".to_owned()),
            None => Err(format!(
                "not online after {}",
                crate::units::format_duration(limit)
            )),
        };
        let end = |name: &ProcessName, outcome: Outcome| {
            let known = outcome.borrow().clone();
            known.unwrap_or_else(|| late(name))
        };
        let ends = outcomes.iter();
        Ok(ends
            .map(|(name, outcome)| (name.clone(), end(name, outcome.clone())))
            .collect())
    }

    /// Begins to start these, each after those of them and of the awaited ones that it depends on,
    /// except for what was stopped or held since `against` was read.
    pub(super) fn begin_starts(
        &self,
        order: &Order,
        all: &[ProcessName],
        awaited: &[ProcessName],
        against: &Arc<Against>,
        actor: &str,
    ) -> Result<Starts, ControlError> {
        let sorted = order.sorted().map_err(|cycle| ControlError::Conflict {
            message: format!("the dependencies form a cycle: {cycle}"),
        })?;
        let mut outcomes: BTreeMap<ProcessName, Outcome> = BTreeMap::new();
        let (mut starts, mut beginnings) = (Vec::new(), Vec::new());
        for name in sorted {
            let is_awaited = awaited.contains(&name);
            if !is_awaited && !all.contains(&name) {
                continue;
            }
            let first: Vec<(ProcessName, Outcome)> = order
                .before(&name)
                .filter_map(|before| Some((before.clone(), outcomes.get(before)?.clone())))
                .collect();
            let (registry, actor, key) = (self.clone(), actor.to_owned(), name.clone());
            let against = Arc::clone(against);
            let (ended, outcome) = watch::channel(None);
            let (begun, begins) = oneshot::channel();
            if first.is_empty() {
                beginnings.push(begins);
            }
            starts.push(async move {
                let result = if is_awaited {
                    registry.wait_for_start(&name, &against).await
                } else {
                    let order = (&name, &*against);
                    registry.start_after(first, begun, order, &actor).await
                };
                let result = result.map_err(|error| registry.reason(error));
                ended.send_replace(Some(result));
            });
            outcomes.insert(key, outcome);
        }
        let work = self.context().tasks.spawn("bring up", join_all(starts));
        Ok(Starts {
            work,
            beginnings,
            outcomes,
        })
    }

    async fn start_after(
        &self,
        first: Vec<(ProcessName, Outcome)>,
        begun: oneshot::Sender<()>,
        (name, against): (&ProcessName, &Against),
        actor: &str,
    ) -> Result<(), String> {
        for (dependency, mut outcome) in first {
            let result = match outcome.wait_for(Option::is_some).await {
                Ok(result) => result.clone().unwrap_or(Ok(())),
                Err(_) => Err("its start was given up".to_owned()),
            };
            if let Err(error) = result {
                if self.is_ending() {
                    // The next daemon goes on with it.
                    return Err(error);
                }
                self.note_failed_dependency(name, &dependency).await;
                return Err(format!(
                    "its dependency `{dependency}` did not come up: {error}"
                ));
            }
        }
        let (mut handles, limit) = self.still_to_start(name, against)?;
        start_all(&handles, actor).await?;
        // Who scaled it meanwhile has left these to us.
        let (mut added, _) = self.still_to_start(name, against)?;
        added.retain(|one| !handles.iter().any(|other| other.is_same(one)));
        start_all(&added, actor).await?;
        handles.extend(added);
        // Nobody may wait for it.
        let _ = begun.send(());
        self.wait_all_started(&Pick::whole(name), &handles, against, limit)
            .await
    }

    /// The copies of a process that an order to start all of it reaches now, and how long each may
    /// take to come up; else why it reaches none.
    fn still_to_start(
        &self,
        name: &ProcessName,
        against: &Against,
    ) -> Result<(Vec<InstanceHandle>, Duration), String> {
        let inner = self.inner();
        let entry = inner.entry(name).ok_or(DELETED)?;
        if entry.row.removal.is_some() {
            return Err(OrderError::Unwanted(Unwanted::Removal).to_string());
        }
        if entry.row.desired != Desired::Online || against.is_stopped(entry) {
            // Who stopped it was answered that it is down.
            return Err(STOPPED.into());
        }
        let handles = entry.to_start(&Pick::whole(name), against);
        // Where there is none yet, a scaling is about to add and to start them.
        if handles.is_empty() && !entry.counted().is_empty() {
            return Err(CALLED_OFF.into());
        }
        Ok((handles, entry.spec.config.start_timeout + DEPENDENCY_SLACK))
    }

    /// Starts one copy.
    async fn start_one(
        &self,
        pick: &Pick,
        against: &Against,
        actor: &str,
        wait: Option<Duration>,
    ) -> Result<(), String> {
        self.want_running(std::slice::from_ref(pick), Whole::InFull, against)
            .await;
        self.refuse_if_off(pick, against)?;
        let handles = {
            let inner = self.inner();
            let entry = inner.entry(&pick.name).ok_or(DELETED)?;
            entry.to_start(pick, against)
        };
        if handles.is_empty() {
            return Err(CALLED_OFF.into());
        }
        start_all(&handles, actor).await?;
        if let Some(limit) = wait {
            self.wait_all_started(pick, &handles, against, limit)
                .await?;
        }
        Ok(())
    }

    /// Does the daemon end?
    pub(super) fn is_ending(&self) -> bool {
        self.inner().closing || self.context().tasks.token().is_cancelled()
    }

    /// Why something failed: when the daemon ends, all else is a consequence of that.
    pub(super) fn reason(&self, error: String) -> String {
        if self.is_ending() {
            return ControlError::ShuttingDown.to_string();
        }
        error
    }

    async fn note_failed_dependency(&self, name: &ProcessName, dependency: &ProcessName) {
        let event = NewEvent {
            at: self.context().clock.now(),
            process: name.clone(),
            instance: None,
            kind: EventKind::DependencyFailed,
            data: json!({ "dependency": dependency }),
            actor: "system".into(),
        };
        // The start fails with the same words, so a journal that cannot write hides nothing.
        let _ = self
            .journal(Batch {
                events: vec![event],
                ..Batch::default()
            })
            .await;
        // Nor does the next daemon try it.
        self.give_up_starts(std::slice::from_ref(name)).await;
    }

    /// Waits for what is on its way already.
    pub(super) async fn wait_until_up(
        &self,
        name: &ProcessName,
        limit: Option<Duration>,
    ) -> Result<(), String> {
        let handles = {
            let inner = self.inner();
            inner.entry(name).map(|entry| entry.counted().to_vec())
        };
        wait_all(&handles.unwrap_or_default(), limit).await
    }

    /// Leaves the error state.
    pub(super) async fn clear_error(
        &self,
        actor: &str,
        target: &Target,
    ) -> Result<Vec<Done>, ControlError> {
        let picked = self.inner().pick(target)?;
        let mut done = Vec::new();
        for pick in picked.items {
            let handles = self.inner().handles(&pick);
            let changed = handles.iter().any(|handle| {
                matches!(
                    handle.snapshot().saved.state,
                    crate::state::State::Errored { .. }
                )
            });
            let orders = handles
                .iter()
                .map(|handle| handle.order(Input::ClearError, actor));
            let result: Result<Vec<()>, _> = join_all(orders).await.into_iter().collect();
            let error = result.err().map(|error| error.to_string());
            done.push(Done {
                target: pick.text(),
                changed: changed && error.is_none(),
                note: None,
                error,
            });
        }
        Ok(done)
    }

    /// Sends a signal to the process group of each.
    pub(super) async fn signal(
        &self,
        target: &Target,
        signal: Signal,
    ) -> Result<Vec<Done>, ControlError> {
        let picked = self.inner().pick(target)?;
        let launcher = Arc::clone(&self.context().launcher);
        let mut done = Vec::new();
        for pick in picked.items {
            let mut reached = false;
            let handles = self.inner().handles(&pick);
            for handle in handles {
                if let Some(run) = handle.snapshot().saved.state.run() {
                    let scope = crate::launch::Scope::Group;
                    reached |= launcher
                        .signal(handle.id(), &run.process, signal, scope)
                        .await;
                }
            }
            done.push(Done {
                target: pick.text(),
                changed: reached,
                note: None,
                error: (!reached).then(|| "it is not running".to_owned()),
            });
        }
        Ok(done)
    }
}

/// What to tell of a process that has nothing to start, after its name.
pub(super) fn no_copy(name: &ProcessName) -> String {
    format!("has 0 instances; mhost scale {name} 1 starts one")
}

/// Starts instances side by side.
pub(super) async fn start_all(handles: &[InstanceHandle], actor: &str) -> Result<(), String> {
    let starts = handles
        .iter()
        .map(|handle| handle.order(Input::Start, actor));
    let started: Result<(), OrderError> = join_all(starts).await.into_iter().collect();
    started.map_err(|error| error.to_string())
}

pub(super) fn started(
    name: ProcessName,
    change: StartChange,
    result: Result<(), String>,
) -> Started {
    let online = result.is_ok();
    Started {
        name,
        change,
        online,
        error: result.err(),
        note: None,
    }
}
