//! The number of copies of a process: more are recorded and then started, fewer are called off,
//! recorded, stopped and dropped. Those that stay are not touched.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use serde_json::json;

use super::RegistryHandle;
use super::against::{Against, Moment};
use super::change::gone;
use super::orders::start_all;
use super::target::Pick;
use crate::command::{Reply, ScaleChange, Target};
use crate::control::ControlError;
use crate::event::EventKind;
use crate::ids::{InstanceId, ProcessName};
use crate::instance::{InstanceHandle, Unwanted};
use crate::machine::Input;
use crate::spec::MAX_INSTANCES;
use crate::state::Reason;
use crate::store::{Batch, Desired, ProcessRow};

/// What a change of the number of copies begins with.
struct Resizing {
    /// With the new number, to be recorded.
    row: ProcessRow,
    /// Copies that are there.
    from: u16,
    /// Copies that were wanted.
    before: u16,
    /// As it was before.
    former: ProcessRow,
    former_held: BTreeMap<u16, Moment>,
    /// Copies beyond the new number.
    surplus: Vec<InstanceHandle>,
    /// Of the new ones, those of which a former one may still be on record.
    former_copies: Vec<InstanceId>,
}

impl RegistryHandle {
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
        let _changing = self.settled(name).await.ok_or_else(|| gone(name))?;
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
        let _changing = self.settled(name).await.ok_or_else(|| gone(name))?;
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
        let against = self.ordered_against();
        let Resizing {
            row,
            from,
            before,
            former,
            former_held,
            surplus,
            former_copies,
        } = self.begin_resize(name, to, scaled)?;
        for handle in &surplus {
            // Before it is on record, so that nobody starts one that is not to be.
            handle.call_off(Unwanted::Surplus).await;
        }
        let due = row.due.clone();
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
            if before == to {
                self.owe([name.clone()], former_copies);
            } else {
                // Whoever asked is told that it was not done.
                if let Some(entry) = self.inner().entry_mut(name) {
                    entry.row.scaled = former.scaled;
                    entry.row.down.extend(former.down);
                    if entry.row.due == due {
                        entry.row.due = former.due;
                    }
                    for (index, at) in former_held {
                        entry.held.entry(index).or_insert(at);
                    }
                }
                self.want_counted(name).await;
                self.set_right(vec![name.clone()], former_copies).await;
                self.bump();
                return Err(error);
            }
        }
        self.extend(name, from.min(before)..to, &against, actor)
            .await?;
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
        let (former, before) = (entry.row.clone(), entry.count());
        let former_held = entry.held.clone();
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
            former_held,
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
    /// it is to run, unless a start that waits takes them with it. A copy that nobody has recorded
    /// is one that the next daemon does not know.
    async fn extend(
        &self,
        name: &ProcessName,
        indices: Range<u16>,
        against: &Against,
        actor: &str,
    ) -> Result<(), ControlError> {
        let added = {
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
            added
                .skip(indices.start.into())
                .cloned()
                .collect::<Vec<_>>()
        };
        self.want_counted(name).await;
        // Somebody may have stopped or held it meanwhile.
        let wanted = {
            let inner = self.inner();
            let entry = inner.entry(name).ok_or_else(|| gone(name))?;
            // A start that waits for what is depended on takes them with it.
            let waits = entry.waits_to_begin(0..indices.start);
            let is_to_run = entry.row.desired == Desired::Online && !against.is_stopped(entry);
            let mut wanted = entry.to_start(&Pick::whole(name), against);
            wanted.retain(|one| is_to_run && !waits && added.iter().any(|new| new.is_same(one)));
            wanted
        };
        // Whether they come up is their own affair: the count has changed either way.
        let _ = start_all(&wanted, actor).await;
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
