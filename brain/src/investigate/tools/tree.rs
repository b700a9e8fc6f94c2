//! The live tree of a process, close up: members, threads, descriptors, sockets, limits.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::desk::Desk;
use super::args::{Which, object, process, read};
use super::{Found, Tool};

pub(super) const TOOL: Tool = Tool {
    name: "process_tree",
    about: "The live tree of a process: members, children, threads and where they wait, open \
            descriptors, limits, listening ports, connections left half closed, zombies.",
    parameters: || object(json!({ "process": process() }), &[]),
    run,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    #[serde(default)]
    process: Which,
}

fn run(desk: &Desk, arguments: Value) -> Result<Found, String> {
    let args: Args = read(arguments)?;
    let found = args.process.find(desk)?;
    let mut answer = Found::new(format!("process_tree process={}", found.name));
    let mut looks = desk.facts.close_look(&found.name);
    if looks.is_empty() {
        looks = desk.facts.last_look(&found.name);
        answer = answer.note("it does not run; this is the newest look at its last run, if any");
    }
    for look in looks {
        answer.members(&format!("tree:{}", look.pid), &json!(look));
    }
    Ok(answer)
}
