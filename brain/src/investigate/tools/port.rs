//! Who listens on a TCP port of this machine.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::desk::Desk;
use super::args::{number, object, read};
use super::{Found, Tool};

pub(super) const TOOL: Tool = Tool {
    name: "check_port",
    about: "Who listens on a TCP port of this machine: pid, command, and whether it is a \
            process of mhost.",
    parameters: || {
        object(
            json!({"port": {"type": "integer", "minimum": 1, "maximum": 65535}}),
            &["port"],
        )
    },
    run,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    port: i64,
}

fn run(desk: &Desk, arguments: Value) -> Result<Found, String> {
    let args: Args = read(arguments)?;
    let port = number("port", Some(args.port), 1, 1..=65535)?;
    let port = u16::try_from(port).map_err(|error| error.to_string())?;
    let mut answer = Found::new(format!("check_port port={port}"));
    let text = match desk.facts.port_owner(port) {
        None => "nobody listens there".to_owned(),
        Some(owner) => format!(
            "pid {} listens: {}; process of mhost: {}; orphan: {}",
            owner.pid,
            owner.command,
            owner.ours.as_deref().unwrap_or("none"),
            owner.orphan
        ),
    };
    answer.fact(format!("port:{port}"), text);
    Ok(answer)
}
