//! `process.*`, `group.*`, `health.*`, `metrics.*` and `link.get`: parameters to commands.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use supervisor::command::{Apply, Limit, ScaleChange};
use supervisor::secret::EnvVars;
use supervisor::spec::Signal;
use supervisor::state::Reason;
use supervisor::{Command, OsText, Target};

use super::definition;
use super::message::RpcError;
use super::params::{MaybeNamed, Named, Params, TargetText};

/// How long a start waits when the caller does not say.
const START_WAIT_MS: u64 = 30_000;
/// Events that are told when the caller does not say how many.
const EVENTS: usize = 50;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    tag: Option<String>,
    group: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Start {
    name: TargetText,
    #[serde(default = "yes")]
    wait: bool,
    timeout_ms: Option<u64>,
}

/// What the command line has read and sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Defined {
    apply: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupStart {
    name: String,
    #[serde(default = "yes")]
    wait: bool,
    timeout_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupStop {
    name: String,
    #[serde(default)]
    force: bool,
    signal: Option<Signal>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupRestart {
    name: String,
    #[serde(default)]
    force: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stop {
    name: TargetText,
    #[serde(default)]
    force: bool,
    signal: Option<Signal>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Restart {
    name: TargetText,
    update_env: Option<EnvVars<OsText>>,
    #[serde(default)]
    force: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reload {
    name: TargetText,
    timeout_ms: Option<u64>,
    #[serde(default = "yes")]
    wait: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delete {
    name: TargetText,
    #[serde(default)]
    force: bool,
    #[serde(default)]
    keep_logs: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scale {
    name: TargetText,
    instances: Option<u16>,
    delta: Option<i32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SendSignal {
    name: TargetText,
    signal: Signal,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hold {
    name: TargetText,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetLimit {
    name: TargetText,
    limit: Limit,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Env {
    name: TargetText,
    #[serde(default)]
    reveal: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Events {
    name: Option<TargetText>,
    since: Option<Timestamp>,
    #[serde(default = "events")]
    limit: usize,
}

fn yes() -> bool {
    true
}

fn events() -> usize {
    EVENTS
}

/// The methods of this file.
pub(super) const METHODS: [&str; 20] = [
    "process.list",
    "process.status",
    "process.start",
    "process.stop",
    "process.restart",
    "process.reload",
    "process.delete",
    "process.scale",
    "process.signal",
    "process.hold",
    "process.clear_error",
    "process.set_limit",
    "process.env",
    "process.events",
    "process.save",
    "process.resurrect",
    "process.cron",
    "process.limits",
    "health.status",
    "metrics.snapshot",
];

/// The methods about groups. Each means the command of a process with the group as target.
pub(super) const GROUP_METHODS: [&str; 4] =
    ["group.list", "group.start", "group.stop", "group.restart"];

/// The command that a method means. `None` when it is not one of this file's.
pub(super) fn command(params: Params<'_>) -> Option<Result<Command, RpcError>> {
    let command = match params.method {
        "process.list" => list(params),
        "process.status" => named(params, |target| Command::Status { target }),
        "process.start" => start(params),
        "process.stop" => params.read::<Stop>().map(|stop| Command::Stop {
            target: stop.name.0,
            force: stop.force,
            signal: stop.signal,
        }),
        "process.restart" => params.read::<Restart>().map(|restart| Command::Restart {
            target: restart.name.0,
            update_env: restart.update_env,
            reason: Reason::Manual,
            force: restart.force,
        }),
        "process.reload" => params.read::<Reload>().map(|reload| Command::Reload {
            target: reload.name.0,
            timeout: reload.timeout_ms.map(Duration::from_millis),
            wait: reload.wait,
        }),
        "process.delete" => params.read::<Delete>().map(|delete| Command::Delete {
            target: delete.name.0,
            force: delete.force,
            keep_logs: delete.keep_logs,
        }),
        "process.scale" => scale(params),
        "process.signal" => params.read::<SendSignal>().map(|send| Command::Signal {
            target: send.name.0,
            signal: send.signal,
        }),
        "process.hold" => params.read::<Hold>().map(|hold| Command::Hold {
            target: hold.name.0,
            reason: hold.reason,
        }),
        "process.clear_error" => named(params, |target| Command::ClearError { target }),
        "process.set_limit" => params.read::<SetLimit>().map(|set| Command::SetLimit {
            target: set.name.0,
            limit: set.limit,
        }),
        "process.env" => params.read::<Env>().map(|env| Command::Env {
            target: env.name.0,
            reveal: env.reveal,
        }),
        "process.events" => params.read::<Events>().map(|events| Command::History {
            target: events.name.map(|name| name.0),
            since: events.since,
            limit: events.limit,
        }),
        "process.save" => params.none().map(|()| Command::Save),
        "process.resurrect" => params.none().map(|()| Command::Resurrect),
        "process.cron" => params.none().map(|()| Command::Cron),
        "process.limits" => named(params, |target| Command::Limits { target }),
        "health.status" => maybe_named(params, |target| Command::Health { target }),
        "metrics.snapshot" => maybe_named(params, |target| Command::Metrics { target }),
        "link.get" | "group.list" => params.none().map(|()| Command::Links),
        "group.start" => params.read::<GroupStart>().and_then(|start| {
            Ok(Command::Start {
                target: group(&start.name),
                wait: wait(start.wait, start.timeout_ms)?,
            })
        }),
        "group.stop" => params.read::<GroupStop>().map(|stop| Command::Stop {
            target: group(&stop.name),
            force: stop.force,
            signal: stop.signal,
        }),
        "group.restart" => params
            .read::<GroupRestart>()
            .map(|restart| Command::Restart {
                target: group(&restart.name),
                update_env: None,
                reason: Reason::Manual,
                force: restart.force,
            }),
        _ => return None,
    };
    Some(command)
}

fn named(params: Params<'_>, make: fn(Target) -> Command) -> Result<Command, RpcError> {
    Ok(make(params.read::<Named>()?.name.0))
}

fn maybe_named(
    params: Params<'_>,
    make: fn(Option<Target>) -> Command,
) -> Result<Command, RpcError> {
    Ok(make(params.read::<MaybeNamed>()?.name.map(|name| name.0)))
}

fn list(params: Params<'_>) -> Result<Command, RpcError> {
    match params.read::<List>()? {
        List {
            tag: Some(_),
            group: Some(_),
        } => Err(RpcError::bad_params(
            "process.list: either `tag` or `group`, not both",
        )),
        List {
            tag: None,
            group: Some(group),
        } => Ok(Command::Status {
            target: self::group(&group),
        }),
        List { tag, group: None } => Ok(Command::List { tag }),
    }
}

fn group(name: &str) -> Target {
    Target(format!("group:{name}"))
}

/// How long a start is waited for.
///
/// # Errors
/// When it says how long and that it is not waited for at all.
pub(super) fn wait(wait: bool, timeout_ms: Option<u64>) -> Result<Option<Duration>, RpcError> {
    if !wait && timeout_ms.is_some() {
        return Err(RpcError::bad_params(
            "`timeout_ms` says how long to wait, and `wait` is false; leave one out",
        ));
    }
    Ok(wait.then(|| Duration::from_millis(timeout_ms.unwrap_or(START_WAIT_MS))))
}

fn start(params: Params<'_>) -> Result<Command, RpcError> {
    if definition::is_one(&params.values) {
        return definition::read(params).map(Command::Apply);
    }
    let has = |key: &str| params.values.contains_key(key);
    if has("apply") {
        // How long to wait is a part of it.
        let defined = params.read::<Defined>()?;
        return Apply::from_wire(defined.apply)
            .map(Command::Apply)
            .map_err(|error| RpcError::bad_params(format!("process.start: {error}")));
    }
    if !has("name") {
        return Err(RpcError::bad_params(
            "process.start: one of `name`, `config_file`, `script`, `config` and `apply`",
        ));
    }
    let start = params.read::<Start>()?;
    Ok(Command::Start {
        target: start.name.0,
        wait: wait(start.wait, start.timeout_ms)?,
    })
}

fn scale(params: Params<'_>) -> Result<Command, RpcError> {
    let scale = params.read::<Scale>()?;
    let change = match (scale.instances, scale.delta) {
        (Some(count), None) => ScaleChange::To(count),
        (None, Some(delta)) => ScaleChange::By(delta),
        _ => {
            return Err(RpcError::bad_params(
                "process.scale: either `instances` or `delta`",
            ));
        }
    };
    Ok(Command::Scale {
        target: scale.name.0,
        change,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_limit_without_a_wait_is_refused() {
        assert_eq!(wait(false, None).expect("no wait"), None);
        let limit = wait(true, Some(7)).expect("a limit");
        assert_eq!(limit, Some(Duration::from_millis(7)));
        assert!(wait(true, None).expect("the usual").is_some());
        wait(false, Some(7)).expect_err("it would be ignored");
    }
}
