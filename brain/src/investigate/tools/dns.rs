//! Whether a name that a definition mentions has an address.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::desk::Desk;
use super::args::{Which, object, process, read};
use super::{Found, Tool};

pub(super) const TOOL: Tool = Tool {
    name: "check_dns",
    about: "Whether a host has an address, and whether its port answers. Only hosts that the \
            definition of the process names.",
    parameters: || {
        object(
            json!({"process": process(), "host": {"type": "string", "maxLength": 253}}),
            &["host"],
        )
    },
    run,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    #[serde(default)]
    process: Which,
    host: String,
}

fn run(desk: &Desk, arguments: Value) -> Result<Found, String> {
    let args: Args = read(arguments)?;
    let found = args.process.find(desk)?;
    let known = desk.facts.addresses(&found.name);
    let mut named: Vec<(String, u16)> = known
        .iter()
        .filter(|(host, _)| host.eq_ignore_ascii_case(args.host.trim()))
        .cloned()
        .collect();
    if named.is_empty() {
        let mut hosts: Vec<_> = known.into_iter().map(|(host, _)| host).collect();
        hosts.dedup();
        return Err(format!(
            "the definition of `{}` names no such host; it names: {}",
            found.name,
            if hosts.is_empty() {
                "none".to_owned()
            } else {
                hosts.join(", ")
            }
        ));
    }
    named.truncate(4);
    let host = named[0].0.clone();
    let mut answer = Found::new(format!(
        "check_dns process={} host={}",
        found.name,
        json!(host)
    ));
    for look in desk.facts.reach(&named) {
        let what = match look.answer.as_str() {
            "" => "was not tried",
            answer => answer,
        };
        answer.fact(
            format!("reach:{}:{}", look.host, look.port),
            format!("{what} after {} ms", look.took_ms),
        );
    }
    Ok(answer)
}
