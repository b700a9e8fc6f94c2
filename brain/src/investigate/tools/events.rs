//! What happened to a process: starts, exits, crashes, probes.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use supervisor::EventKind;

use super::super::desk::Desk;
use super::args::{Span, Which, number, object, process, read, span, told, window};
use super::{Found, Tool};
use crate::words::cut;

pub(super) const TOOL: Tool = Tool {
    name: "events",
    about: "What happened to a process (starts, exits, crashes with last lines, probe failures, \
            restarts with reasons), oldest first.",
    parameters: || {
        object(
            json!({
                "process": process(),
                "kind": {"type": "string", "description": "only this kind, such as crash or health_fail"},
                "window": span("1h"),
                "limit": {"type": "integer", "minimum": 1, "maximum": 40, "description": "default 20"},
            }),
            &[],
        )
    },
    run,
};

/// Longest data of an event that is shown, in characters.
const DATA: usize = 400;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    #[serde(default)]
    process: Which,
    kind: Option<String>,
    window: Option<Span>,
    limit: Option<i64>,
}

fn run(desk: &Desk, arguments: Value) -> Result<Found, String> {
    let args: Args = read(arguments)?;
    let found = args.process.find(desk)?;
    let window = window(args.window.as_ref(), Duration::from_secs(3600))?;
    let limit = number("limit", args.limit, 20, 1..=40)?;
    let kind: Option<EventKind> = match &args.kind {
        None => None,
        Some(word) => Some(
            serde_json::from_value(json!(word))
                .map_err(|error| format!("`kind` is no kind of event: {error}"))?,
        ),
    };
    let events = desk.facts.events(&found.name, kind, window);
    let left_out = events.len().saturating_sub(limit);
    let mut answer = Found::new(format!(
        "events process={} kind={} window={} limit={limit}",
        found.name,
        kind.map_or_else(|| "any".to_owned(), |kind| kind.to_string()),
        told(window)
    ))
    .note(format!(
        "{} events, {left_out} older ones left out",
        events.len()
    ));
    for event in events.into_iter().skip(left_out) {
        let data = cut(&event.data.to_string(), DATA);
        answer.fact(
            format!("event:{}", event.id),
            format!(
                "{} {} by {} {data}",
                event.at.strftime("%H:%M:%S"),
                event.kind,
                event.actor
            ),
        );
    }
    Ok(answer)
}
