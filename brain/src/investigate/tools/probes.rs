//! The newest tries of the probes of a process.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::desk::Desk;
use super::args::{Which, object, process, read};
use super::{Found, Tool};

pub(super) const TOOL: Tool = Tool {
    name: "probe_history",
    about: "The newest 20 tries of the probes of a process: how long ago, passed or why not, \
            how long each took.",
    parameters: || object(json!({ "process": process() }), &[]),
    run,
};

/// Tries that are shown.
const TRIES: usize = 20;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    #[serde(default)]
    process: Which,
}

fn run(desk: &Desk, arguments: Value) -> Result<Found, String> {
    let args: Args = read(arguments)?;
    let found = args.process.find(desk)?;
    let tries = desk.facts.attempts(&found.name);
    let mut answer = Found::new(format!("probe_history process={}", found.name));
    let shown = &tries[tries.len().saturating_sub(TRIES)..];
    if !shown.is_empty() {
        let passed = shown.iter().filter(|one| one.passed).count();
        let rows = shown.iter().map(|one| {
            let how = match (&one.error, one.passed) {
                (_, true) => "passed".to_owned(),
                (Some(why), false) => format!("failed ({why})"),
                (None, false) => "failed".to_owned(),
            };
            format!("{:.0}s ago {how} in {} ms", one.age_s, one.took_ms)
        });
        answer.fact(
            format!("probe:{}", found.name),
            format!(
                "{passed} of {} passed: {}",
                shown.len(),
                rows.collect::<Vec<_>>().join("; ")
            ),
        );
    }
    Ok(answer)
}
