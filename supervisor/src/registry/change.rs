//! Changes of what is registered: definitions, numbers of copies, limits.

use std::ops::Range;
use std::sync::Arc;

use serde_json::json;

use super::target::{Pick, copies};
use super::{RegistryHandle, keeper};
use crate::command::{Done, Limit, Reply, ScaleChange, Target};
use crate::control::ControlError;
use crate::event::{EventKind, NewEvent};
use crate::ids::{InstanceId, ProcessName};
use crate::instance::{InstanceHandle, Unwanted};
use crate::machine::Input;
use crate::spec::{MAX_INSTANCES, ProcessSpec};
use crate::state::Reason;
use crate::store::{Batch, Desired, ProcessRow};
use crate::units::ByteSize;

/// What a change of the number of copies begins with.
struct Resizing {
    /// With the new number, to be recorded.
    row: ProcessRow,
    /// Copies that are there.
    from: u16,
    /// Copies that were wanted.
    before: u16,
    /// What `mhost scale` had said before.
    former: Option<u16>,
    /// Copies beyond the new number.
    surplus: Vec<InstanceHandle>,
    /// Of the new ones, those of which a former one may still be on record.
    former_copies: Vec<InstanceId>,
}

impl RegistryHandle {
    pub(super) fn new_event(
        &self,
        process: &ProcessName,
        kind: EventKind,
        data: serde_json::Value,
        actor: &str,
    ) -> NewEvent {
        let at = self.context().clock.now();
        NewEvent {
            at,
            process: process.clone(),
            instance: None,
            kind,
            data,
            actor: actor.to_owned(),
        }
    }

    /// Starts a task for a new instance.
    pub(super) fn new_instance(
        &self,
        name: &ProcessName,
        index: u16,
        spec: &Arc<ProcessSpec>,
    ) -> InstanceHandle {
        let id = InstanceId::new(name.clone(), index);
        InstanceHandle::start(id, Arc::clone(spec), None, self.context().clone())
    }

    /// Changes a definition in place. Instances take it with their next run.
    pub(super) async fn redefine(
        &self,
        name: &ProcessName,
        change: impl FnOnce(&mut ProcessSpec),
    ) -> Result<(), ControlError> {
        let (row, former) = {
            let mut inner = self.inner();
            let entry = inner.entry_mut(name).ok_or_else(|| gone(name))?;
            let former = Arc::clone(&entry.row.spec);
            change(Arc::make_mut(&mut entry.row.spec));
            (entry.row.clone(), former)
        };
        let spec = Arc::clone(&row.spec);
        let batch = Batch {
            processes: vec![row],
            ..Batch::default()
        };
        if let Err(error) = self.journal(batch).await {
            // Whoever asked is told that it was not done.
            if let Some(entry) = self.inner().entry_mut(name)
                && Arc::ptr_eq(&entry.row.spec, &spec)
            {
                entry.row.spec = former;
            }
            self.owe([name.clone()], Vec::new());
            return Err(error);
        }
        self.take_definition(name, &spec).await;
        self.bump();
        Ok(())
    }

    /// A definition that is recorded holds from now on, unless a newer one came meanwhile.
    pub(super) async fn take_definition(&self, name: &ProcessName, spec: &Arc<ProcessSpec>) {
        let handles = match self.inner().entry_mut(name) {
            Some(entry) if Arc::ptr_eq(&entry.row.spec, spec) => {
                entry.spec = Arc::clone(spec);
                entry.keeper = keeper::Keeper::start(self, spec);
                entry.handles.clone()
            }
            Some(_) | None => return,
        };
        for handle in handles {
            // A task that has ended needs no definition.
            let _ = handle.define(Arc::clone(spec)).await;
        }
    }

    /// Changes one limit.
    pub(super) async fn set_limit(
        &self,
        actor: &str,
        target: &Target,
        limit: Limit,
    ) -> Result<Vec<Done>, ControlError> {
        if let Limit::MaxMemory(bytes) = limit
            && ByteSize(bytes) < ByteSize::mib(1)
        {
            let message = format!("a max_memory of {} is less than 1MB", ByteSize(bytes));
            return Err(ControlError::Invalid {
                message,
                details: Vec::new(),
            });
        }
        let picked = self.inner().pick(target)?;
        if let Some(pick) = picked.items.iter().find(|pick| pick.index.is_some()) {
            let name = &pick.name;
            return Err(ControlError::Invalid {
                message: format!(
                    "a limit holds for all copies of a process; name `{name}` and not one of them"
                ),
                details: Vec::new(),
            });
        }
        let mut done = Vec::new();
        for pick in picked.items {
            let mut old = String::new();
            let key = match limit {
                Limit::MaxMemory(_) => "max_memory",
                Limit::MaxRestarts(_) => "max_restarts",
                Limit::GracePeriodMs(_) => "grace_period",
            };
            self.redefine(&pick.name, |spec| {
                let config = &mut spec.config;
                match limit {
                    Limit::MaxMemory(bytes) => {
                        old = config
                            .max_memory
                            .map_or_else(|| "none".into(), |limit| limit.to_string());
                        config.max_memory = Some(ByteSize(bytes));
                    }
                    Limit::MaxRestarts(count) => {
                        old = config.max_restarts.to_string();
                        config.max_restarts = count;
                    }
                    Limit::GracePeriodMs(millis) => {
                        old = crate::units::format_duration(config.grace_period);
                        config.grace_period = std::time::Duration::from_millis(millis);
                    }
                }
            })
            .await?;
            let event = self.new_event(
                &pick.name,
                EventKind::ConfigChanged,
                json!({ "keys": [key], "before": old }),
                actor,
            );
            self.journal(Batch {
                events: vec![event],
                ..Batch::default()
            })
            .await?;
            done.push(Done {
                target: pick.text(),
                changed: true,
                note: Some(format!("{key} was {old}")),
                error: None,
            });
        }
        Ok(done)
    }

    /// Changes the number of copies; those that stay are not touched.
    pub(super) async fn scale(
        &self,
        actor: &str,
        target: &Target,
        change: ScaleChange,
    ) -> Result<Reply, ControlError> {
        let picked = self.inner().pick(target)?;
        let [Pick { name, index: None }] = picked.items.as_slice() else {
            let message = format!(
                "`{}` is not one process; scale one process at a time",
                target.0
            );
            return Err(ControlError::Conflict { message });
        };
        let lock = {
            let inner = self.inner();
            let entry = inner.entry(name).ok_or_else(|| gone(name))?;
            Arc::clone(&entry.lock)
        };
        let _changing = lock.lock().await;
        // Counted under the lock: two people who each add one get two more.
        let from = {
            let inner = self.inner();
            inner.entry(name).ok_or_else(|| gone(name))?.count()
        };
        let to = match change {
            ScaleChange::To(count) => i64::from(count),
            ScaleChange::By(step) => i64::from(from) + i64::from(step),
        };
        let to = u16::try_from(to)
            .ok()
            .filter(|to| *to <= MAX_INSTANCES)
            .ok_or_else(|| ControlError::Conflict {
                message: format!(
                    "`{name}` cannot have {to} instances; the range is 0 to {MAX_INSTANCES}"
                ),
            })?;
        self.resize(name, to, actor, true).await?;
        Ok(Reply::Scaled {
            process: name.clone(),
            from,
            to,
        })
    }

    /// Stops what a former daemon left beyond the wanted number of copies.
    pub(super) async fn shrink(&self, name: &ProcessName) -> Result<(), ControlError> {
        let lock = {
            let inner = self.inner();
            Arc::clone(&inner.entry(name).ok_or_else(|| gone(name))?.lock)
        };
        let _changing = lock.lock().await;
        let (count, scaled) = {
            let inner = self.inner();
            let entry = inner.entry(name).ok_or_else(|| gone(name))?;
            (entry.count(), entry.row.scaled.is_some())
        };
        self.resize(name, count, "system", scaled).await
    }

    /// Brings the number of copies to `to`. Held: the process's lock.
    pub(super) async fn resize(
        &self,
        name: &ProcessName,
        to: u16,
        actor: &str,
        scaled: bool,
    ) -> Result<(), ControlError> {
        let Resizing {
            row,
            from,
            before,
            former,
            surplus,
            former_copies,
        } = self.begin_resize(name, to, scaled)?;
        for handle in &surplus {
            // Before it is on record, so that nobody starts one that is not to be.
            handle.call_off(Unwanted::Surplus).await;
        }
        let mut batch = Batch {
            processes: vec![row],
            removed_instances: former_copies.clone(),
            ..Batch::default()
        };
        if from != to {
            batch.events.push(self.new_event(
                name,
                EventKind::Scaled,
                json!({ "from": from, "to": to }),
                actor,
            ));
        }
        if let Err(error) = self.journal(batch).await {
            self.owe([name.clone()], former_copies);
            if before != to {
                // Whoever asked is told that it was not done.
                if let Some(entry) = self.inner().entry_mut(name) {
                    entry.row.scaled = former;
                }
                self.want_counted(name).await;
                self.bump();
                return Err(error);
            }
        }
        self.extend(name, from.min(before)..to, actor).await?;
        if !surplus.is_empty() && !self.take_away(name, &surplus, actor).await? {
            return Ok(());
        }
        if to == 0 {
            self.close_sockets(name);
        }
        self.bump();
        Ok(())
    }

    /// Sets the number, and looks what is to be done for it.
    fn begin_resize(
        &self,
        name: &ProcessName,
        to: u16,
        scaled: bool,
    ) -> Result<Resizing, ControlError> {
        let mut inner = self.inner();
        if inner.closing {
            // It would be refused here and hold for the next daemon.
            return Err(ControlError::ShuttingDown);
        }
        let entry = inner.entry_mut(name).ok_or_else(|| gone(name))?;
        refuse_removed(entry)?;
        let from = entry.handles.len() as u16;
        let (former, before) = (entry.row.scaled, entry.count());
        // As it is defined on record: a newer definition may be refused yet.
        entry.row.scaled = (scaled && to != entry.spec.instances).then_some(to);
        let surplus = entry.handles.iter().skip(to.into()).cloned().collect();
        // What was said of former copies does not hold for new ones.
        entry.row.down.retain(|index| *index < from.min(to));
        entry.held.retain(|index, _| *index < from.min(to));
        if to > from && !entry.renews() && entry.row.desired == Desired::Online {
            entry.row.due = Some(entry.due_growth(from, to));
        }
        let row = entry.row.clone();
        let new = (from..to).map(|index| InstanceId::new(name.clone(), index));
        let former_copies = inner.owed.come_again(&new.collect::<Vec<_>>());
        Ok(Resizing {
            row,
            from,
            before,
            former,
            surplus,
            former_copies,
        })
    }

    /// Stops copies that are too many and drops them. Says whether the process still had them.
    async fn take_away(
        &self,
        name: &ProcessName,
        surplus: &[InstanceHandle],
        actor: &str,
    ) -> Result<bool, ControlError> {
        let stop = Input::Stop {
            reason: Reason::Scale,
            force: false,
            signal: None,
        };
        for handle in surplus.iter().rev() {
            let _ = handle.order(stop.clone(), actor).await;
            handle
                .until(None, |snapshot| {
                    snapshot.is_down()
                        || snapshot
                            .saved
                            .state
                            .run()
                            .is_some_and(|_| is_stuck(snapshot))
                })
                .await;
            let snapshot = handle.snapshot();
            if !snapshot.is_down() && !is_stuck(&snapshot) {
                // Its row stays, for the next daemon.
                return Err(ControlError::ShuttingDown);
            }
        }
        // By name it may be another one by now: it was deleted and registered again.
        let Some(removed) = self.drop_handles(name, surplus) else {
            return Ok(false);
        };
        removed
            .iter()
            .for_each(|id| self.context().board.remove(id));
        for handle in surplus {
            // Others may have told it something, too.
            handle.retire().await;
        }
        let batch = Batch {
            removed_instances: removed.clone(),
            ..Batch::default()
        };
        if self.journal(batch).await.is_err() {
            // The number is on record already.
            self.owe([], removed);
        }
        Ok(true)
    }

    /// Adds the copies that are missing now that their number is on record, and starts these, if
    /// it is to run. A copy that nobody has recorded is one that the next daemon does not know.
    async fn extend(
        &self,
        name: &ProcessName,
        indices: Range<u16>,
        actor: &str,
    ) -> Result<(), ControlError> {
        let (added, wanted) = {
            let mut inner = self.inner();
            if inner.closing {
                // The next daemon has them.
                return Ok(());
            }
            let entry = inner.entry_mut(name).ok_or_else(|| gone(name))?;
            refuse_removed(entry)?;
            let missing = entry.handles.len() as u16..indices.end;
            let spec = Arc::clone(&entry.spec);
            let new = missing.map(|index| self.new_instance(name, index, &spec));
            entry.handles.extend(new);
            let added = entry.handles.iter().take(indices.end.into());
            let added: Vec<_> = added.skip(indices.start.into()).cloned().collect();
            // A start that waits for what is depended on takes them with it.
            let waits = entry.waits_to_begin(0..indices.start);
            (added, entry.row.desired == Desired::Online && !waits)
        };
        self.want_counted(name).await;
        if wanted {
            for handle in &added {
                // Whether it comes up is its own affair: the count has changed either way.
                let _ = handle.order(Input::Start, actor).await;
            }
        }
        Ok(())
    }

    /// Wants the copies again that count, whoever has called them off.
    pub(super) async fn want_counted(&self, name: &ProcessName) {
        let counted = {
            let inner = self.inner();
            let entry = inner.entry(name);
            entry.map_or_else(Vec::new, |entry| entry.counted().to_vec())
        };
        for handle in &counted {
            handle.want_again(Unwanted::Surplus).await;
        }
    }

    /// Takes these out of the set of instances. `None` when they are not in it.
    fn drop_handles(
        &self,
        name: &ProcessName,
        surplus: &[InstanceHandle],
    ) -> Option<Vec<InstanceId>> {
        let mut inner = self.inner();
        let entry = inner.entry_mut(name)?;
        let before = entry.handles.len();
        let is_surplus = |handle: &InstanceHandle| surplus.iter().any(|one| one.is_same(handle));
        entry.handles.retain(|handle| !is_surplus(handle));
        let found = entry.handles.len() < before;
        found.then(|| surplus.iter().map(|handle| handle.id().clone()).collect())
    }

    /// Empties stored logs.
    pub(super) async fn flush(&self, target: Option<&Target>) -> Result<Vec<Done>, ControlError> {
        let all = Target("all".into());
        let kept = self.kept_copies();
        let picked = self.inner().pick_with(target.unwrap_or(&all), &kept)?;
        let mut done = Vec::new();
        for pick in picked.items {
            let mut error = None;
            let ids = copies(&self.inner(), &pick, &kept);
            for id in ids {
                if let Err(refused) = self.shared.archive.flush(&id).await {
                    error = Some(refused.to_string());
                }
            }
            done.push(Done {
                target: pick.text(),
                changed: true,
                note: None,
                error,
            });
        }
        Ok(done)
    }
}

fn refuse_removed(entry: &super::Entry) -> Result<(), ControlError> {
    if entry.row.removal.is_none() {
        return Ok(());
    }
    let message = format!("`{}` is being deleted", entry.name());
    Err(ControlError::Conflict { message })
}

fn is_stuck(snapshot: &crate::instance::Snapshot) -> bool {
    matches!(snapshot.saved.state, crate::state::State::Errored { .. })
}

pub(super) fn gone(name: &ProcessName) -> ControlError {
    ControlError::NotFound {
        target: name.to_string(),
        near: Vec::new(),
    }
}
