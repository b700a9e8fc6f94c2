//! Brings definitions about: what is new is started, what changed is restarted, what is
//! unchanged is left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::json;

use super::RegistryHandle;
use super::against::{Against, Moment};
use super::orders::started;
use super::verdict::Verdict;
use crate::command::view::{StartChange, StartOutcome, Started};
use crate::command::{Apply, ScaleChange, Target};
use crate::control::ControlError;
use crate::event::EventKind;
use crate::ids::ProcessName;
use crate::instance::{InstanceHandle, Unwanted};
use crate::machine::Input;
use crate::spec::{GroupSpec, ProcessSpec};
use crate::state::Reason;
use crate::store::{Batch, Desired, Due, ProcessRow, Removal};

/// Definitions that are on record, with what ran by former ones taken down.
struct CarriedOut {
    outcome: StartOutcome,
    /// What is to be started now.
    start: Vec<ProcessName>,
    /// Since when what was taken down is to run again.
    renewed: BTreeMap<ProcessName, Moment>,
}

impl RegistryHandle {
    /// Registers and starts.
    pub(super) async fn apply(
        &self,
        actor: &str,
        apply: Apply,
    ) -> Result<StartOutcome, ControlError> {
        let against = self.ordered_against();
        let registering = self.shared.registering.lock().await;
        for spec in &apply.processes {
            // One that is on its way out is registered anew, and not changed.
            self.until_removed(&spec.name).await;
        }
        let (verdicts, left_over) = {
            let inner = self.inner();
            inner.check(&apply)?;
            let verdicts: Vec<Verdict> = apply
                .processes
                .iter()
                .map(|spec| inner.verdict(spec, apply.force))
                .collect();
            (verdicts, inner.left_over(&apply))
        };
        let carried = self.carry_out(actor, &apply, &verdicts, left_over, &against);
        let outcome = carried.await;
        drop(registering);
        let CarriedOut {
            mut outcome,
            start,
            renewed,
        } = outcome?;
        let against = against.with_renewed(renewed);
        let mut results = self.bring_up(&start, &against, actor, apply.wait).await?;
        if apply.wait.is_some() {
            let unchanged = |one: &&Started| one.change == StartChange::Unchanged;
            for one in outcome.processes.iter().filter(unchanged) {
                // It is not started again, but it is not called online for that.
                let up = self.wait_until_up(&one.name, apply.wait).await;
                results.insert(one.name.clone(), up);
            }
        }
        for started in &mut outcome.processes {
            if let Some(Err(error)) = results.get(&started.name) {
                started.online = false;
                started.error = Some(error.clone());
            }
        }
        self.annotate(&mut outcome);
        Ok(outcome)
    }

    async fn carry_out(
        &self,
        actor: &str,
        apply: &Apply,
        verdicts: &[Verdict],
        left_over: Vec<ProcessName>,
        against: &Against,
    ) -> Result<CarriedOut, ControlError> {
        self.register(actor, apply, verdicts, against).await?;
        let mut outcome = StartOutcome {
            processes: Vec::new(),
            left_over: Vec::new(),
            pruned: Vec::new(),
        };
        if apply.prune {
            let removal = Removal { keep_logs: false };
            let done = self.remove(&left_over, removal, false, actor).await;
            for (name, done) in left_over.into_iter().zip(done) {
                // What still runs must not be lost from sight.
                if let Some(error) = done.error {
                    let left = started(name, StartChange::LeftOver, Err(error));
                    outcome.processes.push(left);
                } else {
                    outcome.pruned.push(name);
                }
            }
        } else {
            outcome.left_over = left_over;
        }
        let (mut start, mut renewed) = (Vec::new(), BTreeMap::new());
        for (spec, verdict) in apply.processes.iter().zip(verdicts) {
            // What fails of one is told of that one: all are on record, and the others go on.
            let result = if verdict.renews() {
                self.replace(actor, spec, apply, against, &mut renewed)
                    .await
            } else if apply.reset_scale && verdict.change == StartChange::Unchanged {
                self.reset_scale(actor, spec).await
            } else {
                Ok(())
            };
            let result = result.map_err(|error| error.to_string());
            let mut one = started(spec.name.clone(), verdict.change, result);
            // That its number of copies is another one does not take it down.
            one.online |= verdict.change == StartChange::Unchanged;
            outcome.processes.push(one);
            match verdict.change {
                // What ran is not left down, even if its number of copies could not be changed.
                StartChange::Created | StartChange::Started | StartChange::Updated => {
                    start.push(spec.name.clone());
                }
                StartChange::Unchanged
                | StartChange::Registered
                | StartChange::Removed
                | StartChange::LeftOver => {}
            }
        }
        Ok(CarriedOut {
            outcome,
            start,
            renewed,
        })
    }

    /// Writes all definitions of a file in one transaction.
    async fn register(
        &self,
        actor: &str,
        apply: &Apply,
        verdicts: &[Verdict],
        against: &Against,
    ) -> Result<(), ControlError> {
        let now = self.context().clock.now();
        let mut batch = Batch {
            groups: apply.groups.clone(),
            ..Batch::default()
        };
        let (mut new, mut changed, mut surplus) = (Vec::new(), Vec::new(), Vec::new());
        {
            let mut inner = self.inner();
            for (spec, verdict) in apply.processes.iter().zip(verdicts) {
                let mut spec = spec.clone();
                inner.share_environment(&mut spec);
                let Some(entry) = inner.entry_mut(&spec.name) else {
                    // Of a former one of this name nothing is to be left.
                    inner.owed.takes_over(&spec.name);
                    batch.removed.push(spec.name.clone());
                    let row = ProcessRow {
                        spec: Arc::new(spec),
                        position: (inner.processes.len() + new.len()) as u32,
                        desired: Desired::Stopped,
                        scaled: None,
                        previous: None,
                        changed_at: None,
                        removal: None,
                        due: None,
                        down: BTreeSet::new(),
                    };
                    batch.processes.push(row.clone());
                    new.push(row);
                    continue;
                };
                let before = entry.row.clone();
                if verdict.keys.iter().any(|key| key != "--force") {
                    entry.row.previous =
                        Some(std::mem::replace(&mut entry.row.spec, Arc::new(spec)));
                    entry.row.changed_at = Some(now);
                    let data = json!({ "keys": verdict.keys });
                    batch.events.push(self.new_event(
                        entry.name(),
                        EventKind::ConfigChanged,
                        data,
                        actor,
                    ));
                } else if entry.row.spec.env.os != spec.env.os {
                    // The newest caller's environment is the one the next run gets.
                    let own = Arc::make_mut(&mut entry.row.spec);
                    own.env.os.clone_from(&spec.env.os);
                }
                if verdict.starts() {
                    entry.bring_back(against);
                }
                if verdict.renews() {
                    entry.row.due = Some(Due::Renewal);
                    entry.row.desired = Desired::Online;
                    let count = entry.row.scaled.unwrap_or(entry.row.spec.instances);
                    surplus.extend(entry.handles.iter().skip(count.into()).cloned());
                }
                batch.processes.push(entry.row.clone());
                changed.push((before, entry.row.clone()));
            }
        }
        for copy in &surplus {
            // Before it is on record, so that nobody starts one that is not to be.
            copy.call_off(Unwanted::Surplus).await;
        }
        if let Err(error) = self.journal(batch).await {
            // Whoever asked is told that it was not done.
            self.take_back(changed, new).await;
            return Err(error);
        }
        for (before, row) in changed {
            if !Arc::ptr_eq(&before.spec, &row.spec) {
                self.take_definition(&row.spec.name, &row.spec).await;
            }
        }
        self.take_in(&apply.groups, new);
        Ok(())
    }

    /// New processes and groups are on record now.
    fn take_in(&self, groups: &[GroupSpec], new: Vec<ProcessRow>) {
        {
            let mut inner = self.inner();
            for group in groups {
                inner.groups.insert(group.name.clone(), group.clone());
            }
            for row in new {
                let mut entry = self.entry_of(row);
                let count = entry.count();
                entry.handles = (0..count)
                    .map(|index| self.new_instance(entry.name(), index, &entry.spec))
                    .collect();
                inner.processes.push(entry);
            }
        }
        self.refresh_order();
        self.bump();
    }

    /// Definitions could not be recorded, so those before them go on.
    async fn take_back(&self, changed: Vec<(ProcessRow, ProcessRow)>, new: Vec<ProcessRow>) {
        let mut names: Vec<ProcessName> = new.iter().map(|row| row.spec.name.clone()).collect();
        for (before, row) in changed {
            let name = &row.spec.name;
            if let Some(entry) = self.inner().entry_mut(name)
                && Arc::ptr_eq(&entry.row.spec, &row.spec)
            {
                entry.row.spec = before.spec;
                (entry.row.previous, entry.row.changed_at) = (before.previous, before.changed_at);
                entry.row.down.extend(before.down);
                if entry.row.due == Some(Due::Renewal) {
                    entry.row.due = before.due;
                    // Unless somebody has stopped it meanwhile.
                    if entry.row.desired == Desired::Online {
                        entry.row.desired = before.desired;
                    }
                }
            }
            self.want_counted(name).await;
            names.push(name.clone());
        }
        self.set_right(names, Vec::new()).await;
    }

    /// Stops the old revision and brings the number of copies in line. `bring_up` starts it.
    async fn replace(
        &self,
        actor: &str,
        spec: &ProcessSpec,
        apply: &Apply,
        against: &Against,
        renewed: &mut BTreeMap<ProcessName, Moment>,
    ) -> Result<(), ControlError> {
        // A reload or a scaling that is under way ends first.
        let changing = self.settled(&spec.name).await;
        let _changing = changing.ok_or_else(|| super::change::gone(&spec.name))?;
        let is_left_held = {
            let inner = self.inner();
            let entry = inner.entry(&spec.name);
            let entry = entry.ok_or_else(|| super::change::gone(&spec.name))?;
            let is_held = |one: &InstanceHandle| one.snapshot().saved.state.is_held();
            let is_left_held = against.is_off(entry) && entry.handles.iter().all(is_held);
            if entry.row.desired == Desired::Online && !is_left_held {
                // Who has stopped it since has started it again, and it is started after this.
                renewed.insert(spec.name.clone(), inner.newest_moment);
            }
            is_left_held
        };
        if renewed.contains_key(&spec.name) {
            self.write_rows(std::slice::from_ref(&spec.name), |entry| {
                entry.row.due = Some(Due::Renewal);
            })
            .await;
        }
        if !is_left_held {
            let stop = Input::Stop {
                reason: Reason::Manual,
                force: false,
                signal: None,
            };
            self.take_down_former(&spec.name, stop, actor).await;
        }
        let scaled = self
            .inner()
            .entry(&spec.name)
            .and_then(|entry| entry.row.scaled);
        match scaled.filter(|_| !apply.reset_scale) {
            Some(_) => Ok(()),
            None => self.resize(&spec.name, spec.instances, actor, false).await,
        }
    }

    async fn reset_scale(&self, actor: &str, spec: &ProcessSpec) -> Result<(), ControlError> {
        let scaled = self
            .inner()
            .entry(&spec.name)
            .is_some_and(|entry| entry.row.scaled.is_some());
        if scaled {
            self.scale(
                actor,
                &Target::process(&spec.name),
                ScaleChange::To(spec.instances),
            )
            .await?;
        }
        Ok(())
    }
}
