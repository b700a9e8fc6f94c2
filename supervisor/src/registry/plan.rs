//! What a command would do, for `--dry-run`.

use super::{Inner, RegistryHandle};
use crate::command::view::{PlannedChange, StartChange};
use crate::command::{Apply, Command};
use crate::control::ControlError;
use crate::instance::detail;

impl RegistryHandle {
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
