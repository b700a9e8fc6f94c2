//! What was changed: the definition, its environment files, and what people ordered.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::desk::Desk;
use super::args::{Span, Which, object, process, read, span, told, window};
use super::{Found, Tool};

pub(super) const TOOL: Tool = Tool {
    name: "changes",
    about: "What was changed about a process: keys of its definition with former and new value, \
            environment files, and what people told mhost to do with it.",
    parameters: || object(json!({ "process": process(), "window": span("24h") }), &[]),
    run,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    #[serde(default)]
    process: Which,
    window: Option<Span>,
}

fn run(desk: &Desk, arguments: Value) -> Result<Found, String> {
    let args: Args = read(arguments)?;
    let found = args.process.find(desk)?;
    let window = window(args.window.as_ref(), Duration::from_secs(24 * 3600))?;
    let name = &found.name;
    let mut answer = Found::new(format!("changes process={name} window={}", told(window)));
    if let Some(change) = desk.facts.last_change(name)
        && change.age_s <= window.as_secs_f64()
    {
        let keys = change.keys.iter();
        let keys: Vec<_> = keys
            .map(|(key, old, new)| format!("{key}: {old} -> {new}"))
            .collect();
        answer.fact(
            format!("change:{name}"),
            format!(
                "{:.0}s ago the definition: {}",
                change.age_s,
                keys.join("; ")
            ),
        );
    }
    for file in desk.facts.env_files(name) {
        let changed = file.changed.iter();
        let changed: Vec<_> = changed
            .map(|(key, old, new)| format!("{key}: {old} -> {new}"))
            .collect();
        answer.fact(
            format!("envfile:{name}"),
            format!(
                "{} exists={} written {:.0}s ago, since the last good start: {}",
                file.path,
                file.exists,
                file.written_s,
                if changed.is_empty() {
                    "nothing".to_owned()
                } else {
                    changed.join("; ")
                }
            ),
        );
    }
    for order in desk.facts.orders(name, window) {
        answer.fact(
            format!("order:{}", order.id),
            format!(
                "{:.0}s ago {} ordered {}",
                order.age_s, order.who, order.command
            ),
        );
    }
    Ok(answer)
}
