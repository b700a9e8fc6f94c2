//! Changes of what is registered: definitions and limits.

use std::sync::Arc;

use serde_json::json;

use super::target::copies;
use super::{RegistryHandle, keeper};
use crate::command::{Done, Limit, Target};
use crate::control::ControlError;
use crate::event::{EventKind, NewEvent};
use crate::ids::{InstanceId, ProcessName};
use crate::instance::InstanceHandle;
use crate::spec::ProcessSpec;
use crate::store::Batch;
use crate::units::ByteSize;

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
            self.set_right(vec![name.clone()], Vec::new()).await;
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

pub(super) fn gone(name: &ProcessName) -> ControlError {
    ControlError::NotFound {
        target: name.to_string(),
        near: Vec::new(),
    }
}
