//! Past incidents of a process: what was found, what was done, whether it helped.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::desk::Desk;
use super::args::{Which, number, object, process, read};
use super::{Found, Tool};

pub(super) const TOOL: Tool = Tool {
    name: "incidents",
    about: "Past incidents of a process, newest first: cause, what was done about it, and \
            whether that helped.",
    parameters: || {
        object(
            json!({
                "process": process(),
                "limit": {"type": "integer", "minimum": 1, "maximum": 10, "description": "default 5"},
            }),
            &[],
        )
    },
    run,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    #[serde(default)]
    process: Which,
    limit: Option<i64>,
}

fn run(desk: &Desk, arguments: Value) -> Result<Found, String> {
    let args: Args = read(arguments)?;
    let found = args.process.find(desk)?;
    let limit = number("limit", args.limit, 5, 1..=10)?;
    let mut answer = Found::new(format!("incidents process={} limit={limit}", found.name));
    let Some(memory) = &desk.memory else {
        return Ok(answer.note("there is no history here"));
    };
    let most = u32::try_from(limit).unwrap_or(1);
    let rows = memory
        .latest_incidents(Some(found.name.clone()), most)
        .wait()
        .map_err(|error| format!("the history cannot be read: {error}"))?;
    for row in rows {
        let id = row.incident.id;
        let done = memory.actions(id).wait().unwrap_or_default();
        let done: Vec<String> = done
            .iter()
            .map(|one| {
                let came = one.outcome.as_deref().or(one.result.as_deref());
                format!(
                    "{} ({})",
                    one.action.action.name(),
                    came.unwrap_or("under way")
                )
            })
            .collect();
        answer.fact(
            format!("incident:{id}"),
            format!(
                "{} began with {} ended as {}; cause: {}; done: {}",
                row.incident.opened.strftime("%Y-%m-%d %H:%M:%S"),
                row.trigger.as_str(),
                row.outcome.as_deref().unwrap_or("still open"),
                row.cause.as_deref().unwrap_or(&row.incident.title),
                if done.is_empty() {
                    "nothing".to_owned()
                } else {
                    done.join(", ")
                }
            ),
        );
    }
    Ok(answer)
}
