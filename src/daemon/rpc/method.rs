//! From a method and its parameters to a command, and from a reply to a result object.

use serde::Serialize;
use serde_json::{Map, Value, json};
use supervisor::command::PortCommand;
use supervisor::{Command, Reply, Request};

use super::message::RpcError;
use super::params::{Envelope, Params};
use super::{daemon, logs, process};
use crate::daemon::port::PortMethod;

/// Names of the peer project that mean one of ours.
const ALIASES: [(&str, &str); 6] = [
    ("process.info", "process.status"),
    ("process.cluster", "process.scale"),
    ("daemon.kill", "daemon.stop"),
    ("log.search", "logs.query"),
    ("metrics.show", "metrics.snapshot"),
    ("process.history", "process.events"),
];

/// Methods that open or end a stream; the connection answers them itself.
pub(super) const STREAMS: [&str; 4] = [
    "logs.stream",
    "logs.unsubscribe",
    "events.stream",
    "events.unsubscribe",
];

/// The name that is meant.
pub(super) fn canonical(method: &str) -> &str {
    ALIASES
        .iter()
        .find(|(alias, _)| *alias == method)
        .map_or(method, |(_, name)| name)
}

/// The request that a method and its parameters mean.
pub(super) fn request(
    method: &str,
    mut values: Map<String, Value>,
    port: Option<PortMethod>,
) -> Result<Request, RpcError> {
    let Envelope { dry_run, incident } = Envelope::take(method, &mut values)?;
    let command = match port {
        Some(declared) => Command::Port(PortCommand {
            method: method.to_owned(),
            params: Value::Object(values),
            role: declared.role,
            changes: declared.changes,
        }),
        None => command(method, values)?,
    };
    Ok(Request {
        command,
        dry_run,
        incident,
    })
}

fn command(method: &str, values: Map<String, Value>) -> Result<Command, RpcError> {
    type Group = fn(Params<'_>) -> Option<Result<Command, RpcError>>;
    let group: Group = match method.split('.').next() {
        Some("process" | "health" | "metrics" | "link" | "group") => process::command,
        Some("logs") => logs::command,
        Some("daemon") => daemon::command,
        _ => return Err(unknown(method)),
    };
    group(Params { method, values }).unwrap_or_else(|| Err(unknown(method)))
}

fn unknown(method: &str) -> RpcError {
    let known = process::METHODS
        .iter()
        .chain(&logs::METHODS)
        .chain(&daemon::METHODS)
        .chain(&STREAMS)
        .chain(&process::GROUP_METHODS)
        .chain(&["link.get", "audit.query"]);
    let near = known
        .filter(|name| strsim::levenshtein(name, method) <= 2)
        .take(3)
        .map(|name| (*name).to_owned())
        .collect();
    RpcError::no_method(method, near)
}

/// The result object of a reply, as JSON text: never a bare array.
pub(super) fn result(method: &str, reply: &Reply) -> Result<String, RpcError> {
    let text = match reply {
        Reply::Processes(views) => object("processes", views),
        Reply::Started(outcome) => serde_json::to_string(outcome),
        Reply::Done(done) => object("done", done),
        Reply::Scaled { process, from, to } => {
            Ok(json!({ "process": process, "from": from, "to": to }).to_string())
        }
        Reply::Env(views) => object("env", views),
        Reply::Events(events) => object("events", events),
        Reply::Health(views) => object("health", views),
        Reply::Metrics(views) => object("metrics", views),
        Reply::Cron(views) => object("cron", views),
        Reply::Limits(views) => object("limits", views),
        Reply::Links(view) if method == "group.list" => object("groups", &view.groups),
        Reply::Links(view) => serde_json::to_string(view),
        Reply::Logs(page) => serde_json::to_string(page),
        Reply::Index(view) => object("index", view),
        Reply::Saved { count, path } => Ok(json!({ "count": count, "path": path }).to_string()),
        Reply::Version(version) => serde_json::to_value(version).map(|mut value| {
            if method == "daemon.ping" {
                value["pong"] = json!(true);
            }
            value.to_string()
        }),
        Reply::Plan(plan) => object("plan", plan),
        Reply::Port(value) => Ok(value.to_string()),
        Reply::Ending { stops_processes } => {
            Ok(json!({ "stops_processes": stops_processes }).to_string())
        }
        Reply::Ok => Ok("{}".to_owned()),
    };
    text.map_err(|error| {
        RpcError::from(supervisor::ControlError::Internal {
            message: format!("the answer of `{method}` cannot be written: {error}"),
        })
    })
}

/// An object with one key.
fn object<T: Serialize>(key: &str, value: &T) -> serde_json::Result<String> {
    // The keys are words of ours, with nothing in them to escape.
    serde_json::to_string(value).map(|text| format!("{{\"{key}\":{text}}}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: &str, params: Value) -> Result<Request, RpcError> {
        let Value::Object(values) = params else {
            panic!("params are an object");
        };
        request(method, values, None)
    }

    #[test]
    fn every_method_has_a_command_of_its_name() {
        let name_only = json!({ "name": "api" });
        for method in process::METHODS
            .iter()
            .chain(&logs::METHODS)
            .chain(&daemon::METHODS)
            .chain(&["link.get"])
        {
            let params = match *method {
                "process.scale" => json!({ "name": "api", "delta": -1 }),
                "process.signal" => json!({ "name": 3, "signal": "SIGHUP" }),
                "process.hold" => json!({ "name": "api", "reason": "rapid crash" }),
                "process.set_limit" => json!({ "name": "api", "limit": { "max_restarts": 3 } }),
                "process.list" | "process.save" | "process.resurrect" | "process.cron"
                | "link.get" => json!({}),
                "logs.index" | "logs.reindex" => json!({}),
                method if method.starts_with("daemon.") => json!({}),
                _ => name_only.clone(),
            };
            let read = read(method, params).unwrap_or_else(|error| panic!("{method}: {error:?}"));
            let expected = if *method == "daemon.ping" {
                "daemon.version"
            } else {
                method
            };
            assert_eq!(read.command.name(), expected);
        }
    }

    #[test]
    fn groups_are_targets() {
        let params = || json!({ "name": "web" });
        for (method, means) in [
            ("group.start", "process.start"),
            ("group.stop", "process.stop"),
            ("group.restart", "process.restart"),
        ] {
            let request = read(method, params()).expect(method);
            assert_eq!(request.command.name(), means);
            assert_eq!(request.command.subject(), "group:web");
        }
        assert_eq!(
            read("group.list", json!({})).expect("read").command,
            Command::Links
        );
        assert_eq!(
            read("group.strat", json!({})).expect_err("unknown").code,
            -32601
        );
    }

    #[test]
    fn unknown_keys_and_wrong_types_are_refused() {
        let table = [
            ("process.stop", json!({ "name": "api", "forced": true })),
            ("process.stop", json!({})),
            ("process.stop", json!({ "name": true })),
            ("process.cron", json!({ "x": 1 })),
            ("process.scale", json!({ "name": "a" })),
            (
                "process.scale",
                json!({ "name": "a", "instances": 1, "delta": 1 }),
            ),
            ("process.start", json!({})),
            ("logs.query", json!({ "name": "a", "lnes": 1 })),
            ("logs.query", json!({ "name": "a", "target": "b" })),
            ("process.list", json!({ "dry_run": "yes" })),
        ];
        for (method, params) in table {
            let error = read(method, params.clone()).expect_err(method);
            assert_eq!(error.code, -32602, "{method} {params}");
        }
    }

    #[test]
    fn unknown_methods_name_what_is_near() {
        let error = read("process.stopp", json!({})).expect_err("unknown");
        assert_eq!(error.code, -32601);
        assert_eq!(error.data["near"], json!(["process.stop"]));
        assert_eq!(
            read("nonsense", json!({})).expect_err("unknown").code,
            -32601
        );
    }

    #[test]
    fn the_envelope_is_taken_from_any_method() {
        let request = read(
            "process.stop",
            json!({ "name": "api", "dry_run": true, "incident": "i-1" }),
        )
        .unwrap();
        assert!(request.dry_run);
        assert_eq!(request.incident.as_deref(), Some("i-1"));
    }
}
