//! Playbooks that are about a process.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::desk::Desk;
use super::args::{Which, object, process, read};
use super::{Found, Tool};
use crate::playbook::PlaybookState;

pub(super) const TOOL: Tool = Tool {
    name: "playbooks",
    about: "Playbooks that are about a process: what each is for, on which sign it is asked, \
            and what it would do.",
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
    let mut answer = Found::new(format!("playbooks process={}", found.name));
    let Some(playbooks) = &desk.playbooks else {
        return Ok(answer.note("there are no playbooks here"));
    };
    for one in playbooks.list() {
        let about = one.process == "*" || one.process == found.name.as_str();
        if !about || one.state != PlaybookState::Ok {
            continue;
        }
        answer.fact(
            format!("playbook:{}", one.name),
            format!(
                "{} on [{}] does [{}] trust={}",
                one.description,
                one.on.join(", "),
                one.actions.join(", "),
                one.trust.as_str()
            ),
        );
    }
    Ok(answer)
}
