//! Carrying out one step.
//!
//! An action becomes a [`Command`] and goes through [`Control`] like everybody's; there is no
//! second way to a process. What only talks or waits never leaves this file.

use std::time::Duration;

use async_trait::async_trait;
use brain::{Action, IncidentId};
use serde_json::json;
use supervisor::command::{Apply, PortCommand, ScaleChange};
use supervisor::state::Reason;
use supervisor::{
    Caller, Command, Control, ControlError, ProcessName, ProcessSpec, Reply, Request, Role, Target,
};

use crate::policy::limit_of;

/// The method that moves a stale lock aside.
pub const CLEAR_LOCK: &str = "brain.clear_lock";

/// The longest a plan may wait in one step.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// The longest one command may take. It goes on after that; only nobody waits for it.
const LONGEST_CALL: Duration = Duration::from_secs(300);

/// Definitions that were in force before.
#[async_trait]
pub trait Revisions: Send + Sync {
    /// The definition before the newest, which a rollback goes back to.
    async fn previous(&self, process: &ProcessName) -> Option<ProcessSpec>;
}

/// What an action means in practice.
#[derive(Debug, Clone, PartialEq)]
enum Work {
    /// A command for the supervisor.
    Call(Command),
    /// A command that needs the definition before the newest.
    Rollback,
    /// Nothing but time.
    Wait(Duration),
    /// Words; recording them is all there is to do.
    Say,
    /// The arguments make no sense.
    Nonsense(String),
}

fn work(action: &Action, process: &ProcessName) -> Work {
    let whole = Target::process(process);
    let copy = |instance: &Option<u16>| match instance {
        Some(index) => Target(format!("{process}:{index}")),
        None => Target::process(process),
    };
    let restart = |target, force| {
        Work::Call(Command::Restart {
            target,
            update_env: None,
            reason: Reason::Brain,
            force,
        })
    };
    let scale = |by: i32| {
        Work::Call(Command::Scale {
            target: whole.clone(),
            change: ScaleChange::By(by),
        })
    };
    match action {
        Action::Restart { instance } => restart(copy(instance), false),
        Action::KillRestart { instance } => restart(copy(instance), true),
        Action::Reload => Work::Call(Command::Reload {
            target: whole,
            timeout: None,
            wait: true,
        }),
        Action::Start => Work::Call(Command::Start {
            target: whole,
            wait: None,
        }),
        Action::Halt { reason } => Work::Call(Command::Hold {
            target: whole,
            reason: reason.clone(),
        }),
        Action::Stop => Work::Call(Command::Stop {
            target: whole,
            force: false,
            signal: None,
        }),
        Action::ScaleUp { by } => scale(i32::from(*by)),
        Action::ScaleDown { by } => scale(-i32::from(*by)),
        Action::SetLimit { key, value } => match limit_of(key, value) {
            Some(limit) => Work::Call(Command::SetLimit {
                target: whole,
                limit,
            }),
            None => Work::Nonsense(format!("`{key}` cannot be set to `{value}`")),
        },
        Action::ClearError => Work::Call(Command::ClearError { target: whole }),
        Action::RunProbe => Work::Call(Command::RunProbe { target: whole }),
        Action::Rollback => Work::Rollback,
        // Its proof is made again where it is done.
        Action::ClearLock { path } => Work::Call(Command::Port(PortCommand {
            method: CLEAR_LOCK.to_owned(),
            params: json!({ "name": process, "path": path }),
            role: Role::Operator,
            changes: true,
        })),
        Action::Wait(time) => Work::Wait((*time).min(LONGEST_WAIT)),
        Action::UpdateScore
        | Action::Notify { .. }
        | Action::LogIncident { .. }
        | Action::Escalate { .. } => Work::Say,
    }
}

/// Does one step. The text says why it failed.
pub(crate) async fn perform(
    control: &dyn Control,
    revisions: &dyn Revisions,
    caller: &Caller,
    process: &ProcessName,
    incident: IncidentId,
    action: &Action,
) -> Result<(), String> {
    let command = match work(action, process) {
        Work::Say => return Ok(()),
        Work::Wait(time) => {
            tokio::time::sleep(time).await;
            return Ok(());
        }
        Work::Nonsense(why) => return Err(why),
        Work::Call(command) => command,
        Work::Rollback => match revisions.previous(process).await {
            Some(spec) => Command::Apply(Apply {
                processes: vec![spec],
                groups: Vec::new(),
                prune: false,
                force: true,
                reset_scale: false,
                others: Vec::new(),
                wait: None,
            }),
            None => return Err("there is no definition to go back to".into()),
        },
    };
    let request = Request {
        command,
        dry_run: false,
        incident: Some(incident.to_string()),
    };
    match tokio::time::timeout(LONGEST_CALL, control.call(caller, request)).await {
        Err(_) => Err(format!("no answer within {} s", LONGEST_CALL.as_secs())),
        Ok(Err(error)) => Err(told(&error)),
        Ok(Ok(reply)) => match complaint(&reply) {
            Some(error) => Err(error),
            None => Ok(()),
        },
    }
}

fn told(error: &ControlError) -> String {
    error.to_string()
}

/// What a reply says went wrong with a target, although the command as a whole was done.
fn complaint(reply: &Reply) -> Option<String> {
    match reply {
        Reply::Done(done) => done.iter().find_map(|one| one.error.clone()),
        Reply::Started(outcome) => outcome.processes.iter().find_map(|one| one.error.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use supervisor::command::Limit;

    use super::*;

    #[test]
    fn actions_become_commands() {
        let api: ProcessName = "api".parse().unwrap();
        let call = |action: Action| match work(&action, &api) {
            Work::Call(command) => format!("{} {}", command.name(), command.subject()),
            other => format!("{other:?}"),
        };
        for (action, expected) in [
            (Action::Restart { instance: None }, "process.restart api"),
            (
                Action::KillRestart { instance: Some(2) },
                "process.restart api:2",
            ),
            (Action::Start, "process.start api"),
            (Action::Halt { reason: "x".into() }, "process.hold api"),
            (Action::ClearError, "process.clear_error api"),
            (Action::RunProbe, "health.run api"),
            (Action::ScaleUp { by: 1 }, "process.scale api"),
            (Action::Rollback, "Rollback"),
            (
                Action::ClearLock { path: "/x".into() },
                r#"brain.clear_lock {"name":"api","path":"/x"}"#,
            ),
            (Action::UpdateScore, "Say"),
            (Action::Wait(Duration::from_secs(9000)), "Wait(600s)"),
        ] {
            assert_eq!(call(action.clone()), expected, "{action:?}");
        }
        assert!(matches!(
            work(
                &Action::SetLimit {
                    key: "max_memory".into(),
                    value: "1GB".into()
                },
                &api
            ),
            Work::Call(Command::SetLimit {
                limit: Limit::MaxMemory(0x4000_0000),
                ..
            })
        ));
        assert!(matches!(
            work(&Action::KillRestart { instance: None }, &api),
            Work::Call(Command::Restart { force: true, .. })
        ));
    }
}
