//! All processes in a line each.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::desk::Desk;
use super::args::{object, read};
use super::{Found, Tool};

pub(super) const TOOL: Tool = Tool {
    name: "processes",
    about: "All processes in a line each (state, copies, memory, restarts, dependencies), and \
            the machine.",
    parameters: || object(json!({}), &[]),
    run,
};

/// Processes that are shown.
const SHOWN: usize = 60;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {}

fn run(desk: &Desk, arguments: Value) -> Result<Found, String> {
    let Args {} = read(arguments)?;
    let names = desk.facts.processes();
    let mut answer = Found::new("processes".to_owned()).note(format!("{} in all", names.len()));
    let host = desk.facts.machine();
    answer.fact(
        "host:now",
        format!(
            "cpus={} load1={:.2} memory_free_mib={} of {} disk_free_mib={}",
            host.cpus,
            host.load1,
            host.mem_free >> 20,
            host.mem_total >> 20,
            host.disk_free >> 20
        ),
    );
    for name in names.into_iter().take(SHOWN) {
        let Some(one) = desk.facts.process(&name) else {
            continue;
        };
        let rss: u64 = one.instances.iter().filter_map(|copy| copy.rss_bytes).sum();
        let depends: Vec<_> = one.depends_on.iter().map(ToString::to_string).collect();
        answer.fact(
            format!("state:{name}"),
            format!(
                "{} copies={} rss_mib={} restarts={} depends_on=[{}]",
                one.detail,
                one.desired,
                rss >> 20,
                one.restarts,
                depends.join(", ")
            ),
        );
    }
    Ok(answer)
}
