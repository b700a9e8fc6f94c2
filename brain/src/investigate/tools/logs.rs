//! Lines of a log that match an expression.

use std::time::Duration;

use regex::Regex;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::desk::Desk;
use super::args::{Span, Which, number, object, process, read, span, told, window};
use super::{Found, Tool};
use crate::words::cut;

pub(super) const TOOL: Tool = Tool {
    name: "search_logs",
    about: "Newest log lines of a process that match a regular expression (Rust syntax; \
            `(?i)` ignores case). Says how many match in all.",
    parameters: || {
        object(
            json!({
                "process": process(), "pattern": {"type": "string", "maxLength": PATTERN},
                "window": span("10m"),
                "limit": {"type": "integer", "minimum": 1, "maximum": 40, "description": "default 15"},
            }),
            &["pattern"],
        )
    },
    run,
};

/// Longest expression.
const PATTERN: usize = 200;
/// Longest line that is shown, in characters.
const LINE: usize = 300;
/// Largest compiled expression: what a short text can blow up to is bounded.
const COMPILED: usize = 1 << 20;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    #[serde(default)]
    process: Which,
    pattern: String,
    window: Option<Span>,
    limit: Option<i64>,
}

/// An expression that may be searched for.
pub(super) fn checked(pattern: &str) -> Result<(), String> {
    if pattern.is_empty() || pattern.chars().count() > PATTERN {
        return Err(format!("`pattern` has 1 to {PATTERN} characters"));
    }
    let built = regex::RegexBuilder::new(pattern)
        .size_limit(COMPILED)
        .build();
    let _: Regex = built.map_err(|error| format!("`pattern` is no regular expression: {error}"))?;
    Ok(())
}

fn run(desk: &Desk, arguments: Value) -> Result<Found, String> {
    let args: Args = read(arguments)?;
    let found = args.process.find(desk)?;
    checked(&args.pattern)?;
    let window = window(args.window.as_ref(), Duration::from_secs(600))?;
    let limit = number("limit", args.limit, 15, 1..=40)?;
    let lines = desk
        .facts
        .log_lines(&found.name, &args.pattern, window, limit);
    let count = if lines.len() < limit {
        lines.len() as u64
    } else {
        desk.facts.log_count(&found.name, &args.pattern, window)
    };
    let mut answer = Found::new(format!(
        "search_logs process={} pattern={} window={} limit={limit}",
        found.name,
        json!(args.pattern),
        told(window)
    ))
    .note(format!(
        "{count} lines match; the newest {} follow, oldest first",
        lines.len()
    ));
    for line in lines {
        let text = cut(&line.text, LINE);
        answer.fact(
            format!("log:{}", line.id),
            format!("{} {text}", line.at.strftime("%H:%M:%S%.3f")),
        );
    }
    Ok(answer)
}
