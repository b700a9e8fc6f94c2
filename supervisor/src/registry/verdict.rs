//! Compares what is asked for with what is registered: new, changed, the same, or refused.
//!
//! Nothing is changed here, so a dry run asks the same questions as a start.

use std::collections::BTreeMap;

use super::Inner;
use crate::command::Apply;
use crate::command::view::StartChange;
use crate::control::ControlError;
use crate::ids::ProcessName;
use crate::instance::InstanceHandle;
use crate::secret::exposed;
use crate::spec::{GroupSpec, ProcessSpec};
use crate::state::{Hold, State};
use crate::store::Desired;

/// What is to be done about one process of an apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) change: StartChange,
    /// Keys that differ.
    pub(super) keys: Vec<String>,
}

impl Verdict {
    /// Is what there is to be brought in line with another definition, and to run?
    pub(super) fn renews(&self) -> bool {
        self.starts() && !self.keys.is_empty()
    }

    /// Is what is registered to be started, in full?
    pub(super) fn starts(&self) -> bool {
        matches!(self.change, StartChange::Started | StartChange::Updated)
    }
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
    pub(super) fn verdict(&self, spec: &ProcessSpec, force: bool) -> Verdict {
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
            (state.has_process() && !state.is_going_down())
                || matches!(
                    state,
                    State::Errored {
                        hold: Hold::Retrying { .. }
                    }
                )
        };
        let busy = |handle: &InstanceHandle| busy(&handle.snapshot().saved.state);
        // What somebody stops or holds just now is started as if it were down.
        let runs = entry.row.desired == Desired::Online && entry.handles.iter().any(busy);
        // A copy that was stopped by itself is brought up as a whole process is.
        let runs_in_full = runs && entry.row.down.is_empty();
        let change = if !spec.config.enabled {
            StartChange::Registered
        } else if keys.is_empty() && runs_in_full {
            StartChange::Unchanged
        } else if !keys.is_empty() && runs {
            StartChange::Updated
        } else {
            StartChange::Started
        };
        Verdict { change, keys }
    }

    /// Refuses what contradicts other projects or itself.
    pub(super) fn check(&self, apply: &Apply) -> Result<(), ControlError> {
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

    /// Processes of the same file that it no longer names, whichever of them are wanted now.
    pub(super) fn left_over(&self, apply: &Apply) -> Vec<ProcessName> {
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
            .filter(|name| !apply.others.contains(name))
            .cloned()
            .collect()
    }
}
