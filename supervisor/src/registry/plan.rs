//! What a command would do, for `--dry-run`.

use super::{Inner, RegistryHandle};
use crate::command::view::{PlannedChange, StartChange};
use crate::command::{Apply, Command};
use crate::control::ControlError;
use crate::instance::detail;

impl RegistryHandle {
    /// What a command would do, without doing it.
    ///
    /// # Errors
    /// As the command itself, as far as that can be known.
    pub fn plan(&self, command: &Command) -> Result<Vec<PlannedChange>, ControlError> {
        let inner = self.inner();
        let now = self.context().clock.now();
        if let Command::Apply(apply) = command {
            return inner.plan_apply(apply);
        }
        // Who reveals an environment is recorded, but no process is changed by it.
        let changes = command.changes() && !matches!(command, Command::Env { .. });
        let Some(target) = command.target().filter(|_| changes) else {
            return Err(ControlError::Unavailable {
                what: format!("a dry run of `{}`", command.name()),
                remedy: "there is no process that it would change".into(),
            });
        };
        let action = action(command);
        let picked = inner.pick(target)?;
        let planned = |pick: &super::target::Pick| PlannedChange {
            process: pick.name.clone(),
            action: action.clone(),
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

/// What a command does, in words: the end of its name.
fn action(command: &Command) -> String {
    let name = command.name();
    let (_, verb) = name.rsplit_once('.').unwrap_or(("", name));
    verb.replace('_', " ")
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Target;

    #[test]
    fn an_action_is_said_in_words() {
        let target = || Target("api".into());
        let clear = Command::ClearError { target: target() };
        assert_eq!(action(&clear), "clear error");
        let flush = Command::Flush {
            target: Some(target()),
        };
        assert_eq!(action(&flush), "flush");
    }
}
