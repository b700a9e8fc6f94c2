//! What a process prints, by pattern: what is frequent, what is new.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::desk::Desk;
use super::args::{Span, Which, number, object, process, read, span, told, window};
use super::{Found, Tool};
use crate::facts::LogHit;
use crate::incident::fingerprint::{template, trouble};
use crate::words::cut;

pub(super) const TOOL: Tool = Tool {
    name: "log_patterns",
    about: "What a process prints, grouped by pattern: how often each, since when, until when, \
            and the newest example. Patterns that sound like trouble first.",
    parameters: || {
        object(
            json!({
                "process": process(), "window": span("10m"),
                "limit": {"type": "integer", "minimum": 1, "maximum": 25, "description": "default 10"},
            }),
            &[],
        )
    },
    run,
};

/// Lines that are grouped.
const LINES: usize = 2_000;
/// Longest example, in characters.
const EXAMPLE: usize = 200;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    #[serde(default)]
    process: Which,
    window: Option<Span>,
    limit: Option<i64>,
}

struct Group {
    newest: LogHit,
    first: jiff::Timestamp,
    count: usize,
    trouble: u8,
}

fn run(desk: &Desk, arguments: Value) -> Result<Found, String> {
    let args: Args = read(arguments)?;
    let found = args.process.find(desk)?;
    let window = window(args.window.as_ref(), Duration::from_secs(600))?;
    let limit = number("limit", args.limit, 10, 1..=25)?;
    let lines = desk.facts.log_lines(&found.name, ".", window, LINES);
    let all = lines.len();
    let mut groups: HashMap<String, Group> = HashMap::new();
    for line in lines {
        let group = groups.entry(template(&line.text)).or_insert_with(|| Group {
            first: line.at,
            trouble: trouble(&line.text),
            newest: line.clone(),
            count: 0,
        });
        group.count += 1;
        group.newest = line;
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.sort_by(|a, b| {
        let key = |one: &Group| (one.trouble.min(1), one.count);
        key(b).cmp(&key(a)).then(a.first.cmp(&b.first))
    });
    let mut answer = Found::new(format!(
        "log_patterns process={} window={} limit={limit}",
        found.name,
        told(window)
    ))
    .note(format!("{} patterns in {all} lines", groups.len()));
    for group in groups.into_iter().take(limit) {
        let text = cut(&group.newest.text, EXAMPLE);
        answer.fact(
            format!("log:{}", group.newest.id),
            format!(
                "{} times, {} to {}: {text}",
                group.count,
                group.first.strftime("%H:%M:%S"),
                group.newest.at.strftime("%H:%M:%S")
            ),
        );
    }
    Ok(answer)
}
