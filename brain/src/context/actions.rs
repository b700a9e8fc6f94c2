//! What a script may wish for: constructors that return maps, and the check of what it
//! returned.

use std::time::Duration;

use rhai::{Array, Dynamic, Engine, Map};
use serde_json::Value;

use super::{Answer, failure};
use crate::action::{Action, Severity};
use crate::proposal::{Plan, Step};

/// Steps of one plan.
const STEPS: usize = 10;
/// Longest wait in a plan.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// Why a plan is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PlanError {
    #[error("plan(c) returned {0}, not an array of actions")]
    NotAList(String),
    #[error("plan(c) has {0} steps; {STEPS} are allowed")]
    TooLong(usize),
    #[error("plan(c) holds something that no action constructor made: {0}")]
    Unknown(String),
    #[error("`wait` takes at most 10 minutes")]
    WaitTooLong,
}

pub(super) fn register(engine: &mut Engine) {
    let action = |action: Action| -> Answer<Map> {
        let value = serde_json::to_value(&action).map_err(|error| failure(error.to_string()))?;
        rhai::serde::to_dynamic(&value)?
            .try_cast()
            .ok_or_else(|| failure("an action is not a map"))
    };
    engine
        .register_fn("restart", move || {
            action(Action::Restart { instance: None })
        })
        .register_fn("restart", move |index: i64| {
            action(Action::Restart {
                instance: Some(number(index)?),
            })
        })
        .register_fn("reload", move || action(Action::Reload))
        .register_fn("start", move || action(Action::Start))
        .register_fn("kill_restart", move || {
            action(Action::KillRestart { instance: None })
        })
        .register_fn("kill_restart", move |index: i64| {
            action(Action::KillRestart {
                instance: Some(number(index)?),
            })
        })
        .register_fn("halt", move |reason: &str| {
            action(Action::Halt {
                reason: reason.to_owned(),
            })
        })
        .register_fn("stop", move || action(Action::Stop))
        .register_fn("scale_up", move |by: i64| {
            action(Action::ScaleUp { by: number(by)? })
        })
        .register_fn("scale_down", move |by: i64| {
            action(Action::ScaleDown { by: number(by)? })
        })
        .register_fn("set_limit", move |key: &str, value: Dynamic| {
            if !["max_memory", "max_restarts", "grace_period"].contains(&key) {
                return Err(failure(format!(
                    "set_limit knows max_memory, max_restarts and grace_period, not `{key}`"
                )));
            }
            action(Action::SetLimit {
                key: key.to_owned(),
                value: value.to_string(),
            })
        })
        .register_fn("clear_error", move || action(Action::ClearError))
        .register_fn("update_score", move || action(Action::UpdateScore))
        .register_fn("run_probe", move || action(Action::RunProbe))
        .register_fn("rollback", move || action(Action::Rollback))
        .register_fn("wait", move |time: Dynamic| {
            action(Action::Wait(super::queries::window(&time)?))
        })
        .register_fn("notify", move |severity: &str, text: &str| {
            let severity: Severity = serde_json::from_value(Value::String(severity.to_owned()))
                .map_err(|_| failure("notify takes info, warning or critical"))?;
            action(Action::Notify {
                severity,
                text: text.to_owned(),
            })
        })
        .register_fn("log_incident", move |text: &str| {
            action(Action::LogIncident {
                text: text.to_owned(),
            })
        })
        .register_fn("escalate", move |text: &str| {
            action(Action::Escalate {
                text: text.to_owned(),
            })
        })
        .register_fn("ask", |text: &str| {
            let mut map = Map::new();
            map.insert("action".into(), "ask".into());
            map.insert("text".into(), text.to_owned().into());
            map
        });
}

fn number(value: i64) -> Answer<u16> {
    u16::try_from(value).map_err(|_| failure(format!("{value} is out of range")))
}

/// What `plan(c)` returned, as data.
pub(crate) fn steps_of(returned: Dynamic) -> Result<Vec<Value>, PlanError> {
    let kind = returned.type_name().to_owned();
    let list: Array = returned.try_cast().ok_or(PlanError::NotAList(kind))?;
    list.iter()
        .map(|item| {
            rhai::serde::from_dynamic(item).map_err(|_| PlanError::Unknown(item.to_string()))
        })
        .collect()
}

/// A plan from steps that come from outside, as JSON. Each must be exactly what a constructor
/// makes.
///
/// # Errors
/// What is wrong with the first that is not.
pub fn plan_of(steps: &[Value], why: &str) -> Result<Plan, String> {
    checked(steps.to_vec(), why).map_err(|error| error.to_string())
}

/// A plan from the data of its steps. `why` is put at each.
pub(crate) fn checked(list: Vec<Value>, why: &str) -> Result<Plan, PlanError> {
    if list.len() > STEPS {
        return Err(PlanError::TooLong(list.len()));
    }
    let mut plan = Plan::default();
    for value in list {
        if value["action"] == "ask" {
            plan.ask = Some(value["text"].as_str().unwrap_or_default().to_owned());
            continue;
        }
        let action: Action = serde_json::from_value(value.clone())
            .map_err(|_| PlanError::Unknown(value.to_string()))?;
        // A map with a key that no constructor writes did not come from one.
        let written = serde_json::to_value(&action).unwrap_or(Value::Null);
        let foreign = matches!(action, Action::ClearLock { .. });
        if foreign || keys(&written) != keys(&value) {
            return Err(PlanError::Unknown(value.to_string()));
        }
        if matches!(action, Action::Wait(time) if time > LONGEST_WAIT) {
            return Err(PlanError::WaitTooLong);
        }
        plan.steps.push(Step {
            action,
            why: why.to_owned(),
        });
    }
    Ok(plan)
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value
        .as_object()
        .map(|map| map.keys().map(String::as_str).collect())
        .unwrap_or_default();
    keys.sort_unstable();
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(script: &str) -> Result<Plan, PlanError> {
        let mut engine = crate::sandbox::engine();
        super::super::register(&mut engine);
        checked(
            steps_of(engine.eval::<Dynamic>(script).expect(script))?,
            "because",
        )
    }

    #[test]
    fn constructors_make_every_action() {
        let plan = plan(
            r#"[restart(), restart(1), reload(), start(), kill_restart(), halt("x"),
                scale_up(2), wait("5s"), notify("critical", "t"), ask("may I?")]"#,
        )
        .unwrap();
        let names: Vec<_> = plan.steps.iter().map(|step| step.action.name()).collect();
        assert_eq!(
            names,
            [
                "restart",
                "restart",
                "reload",
                "start",
                "kill_restart",
                "halt",
                "scale_up",
                "wait",
                "notify"
            ]
        );
        assert_eq!(plan.steps[7].action, Action::Wait(Duration::from_secs(5)));
        assert_eq!(plan.ask.as_deref(), Some("may I?"));
        let plan = super::tests::plan(
            r#"[stop(), scale_down(1), set_limit("max_memory", "300MB"), clear_error(),
                update_score(), rollback(), log_incident("l"), escalate("e"), run_probe()]"#,
        )
        .unwrap();
        assert_eq!(plan.steps.len(), 9);
    }

    #[test]
    fn what_no_constructor_made_is_refused() {
        for script in [
            r#"[#{action: "exec", command: "rm"}]"#,
            r#"[#{action: "restart", instance: (), also: 1}]"#,
            r#"["restart"]"#,
            r#"[#{action: "delete"}]"#,
            r#"[#{action: "clear_lock", path: "/etc/passwd"}]"#,
        ] {
            assert!(
                matches!(plan(script), Err(PlanError::Unknown(_))),
                "{script}"
            );
        }
        assert!(matches!(plan("restart()"), Err(PlanError::NotAList(_))));
        assert!(matches!(
            plan("let a = []; for i in 0..11 { a.push(start()); } a"),
            Err(PlanError::TooLong(11))
        ));
        assert!(matches!(
            plan(r#"[wait("11m")]"#),
            Err(PlanError::WaitTooLong)
        ));
    }
}
