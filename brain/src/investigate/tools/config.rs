//! How a process is defined, without the values of its environment, and how it stands.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::desk::Desk;
use super::args::{Which, object, process, read};
use super::{Found, Tool};

pub(super) const TOOL: Tool = Tool {
    name: "config",
    about: "Definition of a process (values of the environment masked), its state and its copies.",
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
    let mut answer = Found::new(format!("config process={}", found.name));
    let depends: Vec<_> = found.depends_on.iter().map(ToString::to_string).collect();
    answer.fact(
        format!("state:{}", found.name),
        format!(
            "{} held={} wanted={} copies={} restarts={} max_memory={} max_restarts={} depends_on=[{}] has_previous={}",
            found.detail,
            found.held,
            found.wanted,
            found.desired,
            found.restarts,
            found.max_memory.map_or_else(|| "none".to_owned(), |bytes| format!("{} MiB", bytes >> 20)),
            found.max_restarts,
            depends.join(", "),
            found.has_previous,
        ),
    );
    answer.members(&format!("config:{}", found.name), &found.config);
    for copy in &found.instances {
        answer.fact(
            format!("copy:{}#{}", found.name, copy.index),
            format!(
                "{} pid={} uptime_s={} rss_mib={} cpu={} probe={:?} failures={} {}",
                copy.state.as_str(),
                copy.pid
                    .map_or_else(|| "none".to_owned(), |pid| pid.to_string()),
                copy.uptime_ms.unwrap_or(0) / 1000,
                copy.rss_bytes.unwrap_or(0) >> 20,
                copy.cpu_percent.unwrap_or(0.0),
                copy.health,
                copy.probe_failures,
                copy.probe_error.as_deref().unwrap_or_default(),
            ),
        );
    }
    Ok(answer)
}
