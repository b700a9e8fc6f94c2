//! Brings definitions about: what is new is started, what changed is restarted, what is
//! unchanged is left alone. The same comparison answers a dry run.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use super::orders::started;
use super::{Inner, RegistryHandle, keeper};
use crate::command::view::{PlannedChange, StartChange, StartOutcome, Started};
use crate::command::{Apply, Command, ScaleChange, Target};
use crate::control::ControlError;
use crate::event::EventKind;
use crate::ids::ProcessName;
use crate::instance::detail;
use crate::machine::Input;
use crate::secret::exposed;
use crate::spec::{GroupSpec, ProcessSpec};
use crate::state::{Hold, Reason, State};
use crate::store::{Batch, Desired, ProcessRow};

/// What is to be done about one process of an apply.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Verdict {
    change: StartChange,
    /// Keys that differ.
    keys: Vec<String>,
}

/// The keys in which two definitions differ. The caller's environment is not looked at: it
/// differs between any two shells, and would restart a fleet for nothing.
fn differing_keys(old: &ProcessSpec, new: &ProcessSpec) -> Vec<String> {
    let as_map = |spec: &ProcessSpec| match exposed(|| serde_json::to_value(&spec.config)) {
        Ok(serde_json::Value::Object(map)) => map,
        Ok(_) | Err(_) => serde_json::Map::new(),
    };
    let (old_map, new_map) = (as_map(old), as_map(new));
    let mut keys: Vec<String> = old_map
        .keys()
        .chain(new_map.keys())
        .filter(|key| old_map.get(*key) != new_map.get(*key))
        .cloned()
        .collect();
    let mut also = |differs: bool, key: &str| {
        if differs {
            keys.push(key.to_owned());
        }
    };
    also(old.cwd != new.cwd, "cwd");
    also(old.argv != new.argv, "command");
    also(old.instances != new.instances, "instances");
    also(old.env.files != new.env.files, "env_file");
    also(old.env.flags != new.env.flags, "env");
    keys.sort();
    keys.dedup();
    keys
}

impl Inner {
    fn verdict(&self, spec: &ProcessSpec, force: bool) -> Verdict {
        let Some(entry) = self.entry(&spec.name) else {
            let change = if spec.config.enabled {
                StartChange::Created
            } else {
                StartChange::Registered
            };
            return Verdict {
                change,
                keys: Vec::new(),
            };
        };
        let mut keys = differing_keys(&entry.row.spec, spec);
        if force {
            keys.push("--force".into());
        }
        // What is on its way, or is being retried, is left to its own rules.
        let busy = |state: &State| {
            state.has_process()
                || matches!(
                    state,
                    State::Errored {
                        hold: Hold::Retrying { .. }
                    }
                )
        };
        let runs = entry
            .handles
            .iter()
            .any(|handle| busy(&handle.snapshot().saved.state));
        let change = match (keys.is_empty(), spec.config.enabled, runs) {
            (_, false, _) => StartChange::Registered,
            (true, true, true) => StartChange::Unchanged,
            (true, true, false) => StartChange::Started,
            (false, true, true) => StartChange::Updated,
            (false, true, false) => StartChange::Started,
        };
        Verdict { change, keys }
    }

    /// Refuses what contradicts other projects or itself.
    fn check(&self, apply: &Apply) -> Result<(), ControlError> {
        for spec in &apply.processes {
            let file =
                |spec: &ProcessSpec| spec.project.as_ref().map(|project| project.file.clone());
            let Some(entry) = self.entry(&spec.name) else {
                continue;
            };
            let (old, new) = (file(&entry.row.spec), file(spec));
            if let (Some(old), Some(new)) = (old, new)
                && old != new
                && old.parent() != new.parent()
            {
                let message = format!(
                    "the name `{}` is taken by {}, and {} uses it too; rename one of them",
                    spec.name,
                    old.display(),
                    new.display()
                );
                return Err(ControlError::Conflict { message });
            }
        }
        if let Some(group) = apply.groups.iter().find(|group| {
            self.processes
                .iter()
                .any(|e| e.name().as_str() == group.name)
        }) {
            let message = format!(
                "`{}` is a process already and cannot be a group too",
                group.name
            );
            return Err(ControlError::Conflict { message });
        }
        let (specs, groups) = self.merged(apply);
        let order = super::graph::Order::of(specs.values().copied(), groups.values().copied());
        order
            .sorted()
            .map(drop)
            .map_err(|cycle| ControlError::Invalid {
                message: format!("the dependencies form a cycle: {cycle}"),
                details: Vec::new(),
            })?;
        let unknown = apply.processes.iter().find_map(|spec| {
            let missing = |on: &&String| !specs.keys().any(|name| name.as_str() == on.as_str());
            spec.config
                .depends_on
                .iter()
                .find(missing)
                .map(|on| (spec, on))
        });
        if let Some((spec, on)) = unknown {
            let message = format!("`{}` depends on `{on}`, which does not exist", spec.name);
            return Err(ControlError::Invalid {
                message,
                details: Vec::new(),
            });
        }
        Ok(())
    }

    /// What would be registered afterwards.
    fn merged<'a>(
        &'a self,
        apply: &'a Apply,
    ) -> (
        BTreeMap<ProcessName, &'a ProcessSpec>,
        BTreeMap<&'a str, &'a GroupSpec>,
    ) {
        let mut specs: BTreeMap<ProcessName, &ProcessSpec> = self
            .processes
            .iter()
            .map(|entry| (entry.name().clone(), &*entry.spec))
            .collect();
        specs.extend(apply.processes.iter().map(|spec| (spec.name.clone(), spec)));
        let mut groups: BTreeMap<&str, &GroupSpec> = self
            .groups
            .iter()
            .map(|(name, group)| (name.as_str(), group))
            .collect();
        groups.extend(
            apply
                .groups
                .iter()
                .map(|group| (group.name.as_str(), group)),
        );
        (specs, groups)
    }

    /// Processes of the same file that it no longer names.
    fn left_over(&self, apply: &Apply) -> Vec<ProcessName> {
        let Some(file) = apply
            .processes
            .iter()
            .find_map(|spec| spec.project.as_ref())
            .map(|p| &p.file)
        else {
            return Vec::new();
        };
        self.processes
            .iter()
            .filter(|entry| {
                entry
                    .row
                    .spec
                    .project
                    .as_ref()
                    .is_some_and(|project| project.file == *file)
            })
            .map(super::Entry::name)
            .filter(|name| !apply.processes.iter().any(|spec| spec.name == **name))
            .cloned()
            .collect()
    }
}

impl RegistryHandle {
    /// Registers and starts.
    pub(super) async fn apply(
        &self,
        actor: &str,
        apply: Apply,
    ) -> Result<StartOutcome, ControlError> {
        let registering = self.shared.registering.lock().await;
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
        let outcome = self.carry_out(actor, &apply, &verdicts, left_over).await;
        drop(registering);
        let (mut outcome, start) = outcome?;
        let mut results = self.bring_up(&start, actor, apply.wait).await?;
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
        self.note_empty(&mut outcome);
        Ok(outcome)
    }

    async fn carry_out(
        &self,
        actor: &str,
        apply: &Apply,
        verdicts: &[Verdict],
        left_over: Vec<ProcessName>,
    ) -> Result<(StartOutcome, Vec<ProcessName>), ControlError> {
        self.register(actor, apply, verdicts).await?;
        let mut outcome = StartOutcome {
            processes: Vec::new(),
            left_over: Vec::new(),
            pruned: Vec::new(),
        };
        if apply.prune {
            let picks: Vec<_> = left_over
                .iter()
                .map(|name| super::target::Pick {
                    name: name.clone(),
                    index: None,
                })
                .collect();
            let stop = Input::Stop {
                reason: Reason::Manual,
                force: false,
                signal: None,
            };
            self.take_down(&picks, stop, actor).await;
            for name in &left_over {
                self.forget(name, false, actor).await?;
            }
            outcome.pruned = left_over;
        } else {
            outcome.left_over = left_over;
        }
        let mut start = Vec::new();
        for (spec, verdict) in apply.processes.iter().zip(verdicts) {
            outcome
                .processes
                .push(started(spec.name.clone(), verdict.change, Ok(())));
            match verdict.change {
                StartChange::Created | StartChange::Started => start.push(spec.name.clone()),
                StartChange::Updated => {
                    self.replace(actor, spec, apply).await?;
                    start.push(spec.name.clone());
                }
                StartChange::Unchanged => {
                    if apply.reset_scale {
                        self.reset_scale(actor, spec).await?;
                    }
                }
                StartChange::Registered | StartChange::Removed | StartChange::LeftOver => {}
            }
        }
        Ok((outcome, start))
    }

    /// Writes all definitions of a file in one transaction.
    async fn register(
        &self,
        actor: &str,
        apply: &Apply,
        verdicts: &[Verdict],
    ) -> Result<(), ControlError> {
        let now = self.context().clock.now();
        let mut batch = Batch {
            groups: apply.groups.clone(),
            ..Batch::default()
        };
        let mut defined = Vec::new();
        {
            let mut inner = self.inner();
            for group in &apply.groups {
                inner.groups.insert(group.name.clone(), group.clone());
            }
            for (spec, verdict) in apply.processes.iter().zip(verdicts) {
                if let Some(entry) = inner.entry_mut(&spec.name) {
                    if verdict.keys.iter().any(|key| key != "--force") {
                        entry.row.previous =
                            Some(std::mem::replace(&mut entry.row.spec, spec.clone()));
                        entry.row.changed_at = Some(now);
                        entry.spec = Arc::new(spec.clone());
                        entry.keeper = keeper::Keeper::start(self, &entry.spec);
                        let data = json!({ "keys": verdict.keys });
                        batch.events.push(self.new_event(
                            &spec.name,
                            EventKind::ConfigChanged,
                            data,
                            actor,
                        ));
                        defined.push((Arc::clone(&entry.spec), entry.handles.clone()));
                    } else if entry.row.spec.env.os != spec.env.os {
                        // The newest caller's environment is the one the next run gets.
                        entry.row.spec.env.os.clone_from(&spec.env.os);
                        entry.spec = Arc::new(entry.row.spec.clone());
                        defined.push((Arc::clone(&entry.spec), entry.handles.clone()));
                    }
                    batch.processes.push(entry.row.clone());
                } else {
                    let row = ProcessRow {
                        spec: spec.clone(),
                        position: inner.processes.len() as u32,
                        desired: Desired::Stopped,
                        scaled: None,
                        previous: None,
                        changed_at: None,
                    };
                    batch.processes.push(row.clone());
                    let mut entry = self.entry_of(row);
                    let count = entry.count();
                    entry.handles = (0..count)
                        .map(|index| self.new_instance(&spec.name, index, &entry.spec))
                        .collect();
                    inner.processes.push(entry);
                }
            }
        }
        self.refresh_order();
        self.bump();
        for (spec, handles) in defined {
            for handle in handles {
                // A task that has ended needs no definition.
                let _ = handle.define(Arc::clone(&spec)).await;
            }
        }
        self.journal(batch).await
    }

    /// Stops the old revision and brings the number of copies in line. `bring_up` starts it.
    async fn replace(
        &self,
        actor: &str,
        spec: &ProcessSpec,
        apply: &Apply,
    ) -> Result<(), ControlError> {
        let pick = super::target::Pick {
            name: spec.name.clone(),
            index: None,
        };
        let stop = Input::Stop {
            reason: Reason::Manual,
            force: false,
            signal: None,
        };
        self.take_down(&[pick], stop, actor).await;
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

    /// What a command would do.
    pub(super) fn planned(&self, command: &Command) -> Result<Vec<PlannedChange>, ControlError> {
        let inner = self.inner();
        let now = self.context().clock.now();
        let (target, action) = match command {
            Command::Apply(apply) => return inner.plan_apply(apply),
            Command::Start { target, .. } => (target, "start"),
            Command::Stop { target, .. } => (target, "stop"),
            Command::Restart { target, .. } => (target, "restart"),
            Command::Reload { target, .. } => (target, "reload"),
            Command::Delete { target, .. } => (target, "delete"),
            Command::Scale { target, .. } => (target, "scale"),
            Command::Signal { target, .. } => (target, "signal"),
            Command::Hold { target, .. } => (target, "hold"),
            Command::ClearError { target } => (target, "clear error"),
            Command::SetLimit { target, .. } => (target, "set limit"),
            Command::Flush {
                target: Some(target),
            } => (target, "flush logs"),
            Command::Flush { target: None }
            | Command::List { .. }
            | Command::Status { .. }
            | Command::Env { .. }
            | Command::History { .. }
            | Command::Health { .. }
            | Command::Metrics { .. }
            | Command::Cron
            | Command::Limits { .. }
            | Command::Links
            | Command::Logs(_)
            | Command::LogIndex
            | Command::Reindex
            | Command::Save
            | Command::Resurrect
            | Command::Version
            | Command::Shutdown
            | Command::ReloadConfig
            | Command::Port(_) => {
                let what = format!("a dry run of `{}`", command.name());
                return Err(ControlError::Unavailable {
                    what,
                    remedy: "it has no single process to plan for".into(),
                });
            }
        };
        let picked = inner.pick(target)?;
        let planned = |pick: &super::target::Pick| PlannedChange {
            process: pick.name.clone(),
            action: action.into(),
            why: inner
                .handles(pick)
                .iter()
                .map(|handle| {
                    format!(
                        "{} is {}",
                        handle.id(),
                        detail(&handle.snapshot().saved.state, now)
                    )
                })
                .collect::<Vec<_>>()
                .join(", "),
        };
        Ok(picked.items.iter().map(planned).collect())
    }
}

impl Inner {
    fn plan_apply(&self, apply: &Apply) -> Result<Vec<PlannedChange>, ControlError> {
        self.check(apply)?;
        let mut plan: Vec<PlannedChange> = apply
            .processes
            .iter()
            .map(|spec| {
                let verdict = self.verdict(spec, apply.force);
                let (action, why) = match verdict.change {
                    StartChange::Created => ("start", "new".to_owned()),
                    StartChange::Started if verdict.keys.is_empty() => {
                        ("start", "registered, not running".to_owned())
                    }
                    StartChange::Started => {
                        ("start", format!("changed: {}", verdict.keys.join(", ")))
                    }
                    StartChange::Updated => {
                        ("restart", format!("changed: {}", verdict.keys.join(", ")))
                    }
                    StartChange::Unchanged => ("leave", "unchanged".to_owned()),
                    StartChange::Registered => ("register", "enabled = false".to_owned()),
                    StartChange::Removed | StartChange::LeftOver => ("leave", String::new()),
                };
                PlannedChange {
                    process: spec.name.clone(),
                    action: action.into(),
                    why,
                }
            })
            .collect();
        let action = if apply.prune { "remove" } else { "leave" };
        plan.extend(
            self.left_over(apply)
                .into_iter()
                .map(|process| PlannedChange {
                    process,
                    action: action.into(),
                    why: "no longer in the file".into(),
                }),
        );
        Ok(plan)
    }
}
