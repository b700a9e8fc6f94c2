//! `mhost list`: all processes, one row per copy.

use clap::Args;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use supervisor::Status;
use supervisor::command::view::{InstanceView, ProcessView};

use super::context::Context;
use super::error::CliError;
use crate::exit::Exit;
use crate::output::figures::{NONE, cpu, memory, span_ms};
use crate::output::state;
use crate::output::table::{Cell, Column, Table};

/// List all processes
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those with this tag
    #[arg(long)]
    tag: Option<String>,
}

/// An answer of `process.list`, as far as the table shows it. The rest, which is most of it,
/// is not even read: this is the command that people and scripts run all the time.
#[derive(Debug, Deserialize)]
struct Rows {
    processes: Vec<Row>,
}

/// A process in it.
#[derive(Debug, Deserialize)]
struct Row {
    index: usize,
    name: String,
    state: Status,
    detail: String,
    instances: Vec<InstanceView>,
}

impl List {
    /// Prints a table, or all that is known as JSON.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        if ctx.output.is_json() {
            return print_json(ctx, fetch(ctx, self.tag.as_deref())?);
        }
        let Rows { processes } = ask(ctx, self.tag.as_deref())?;
        if processes.is_empty() {
            ctx.output
                .line("No processes. Start one: mhost start <app>")?;
        } else {
            ctx.output.table(&table(&processes))?;
        }
        Ok(Exit::Success)
    }
}

/// The answer of `process.list` as it came.
pub(crate) fn fetch(ctx: &Context, tag: Option<&str>) -> Result<Value, CliError> {
    ask(ctx, tag)
}

fn ask<T: DeserializeOwned>(ctx: &Context, tag: Option<&str>) -> Result<T, CliError> {
    let params = tag.map_or_else(|| json!({}), |tag| json!({ "tag": tag }));
    ctx.call("process.list", params)
}

/// The processes in an answer of `process.list` or `process.status`.
pub(crate) fn read(mut reply: Value) -> Result<Vec<ProcessView>, CliError> {
    serde_json::from_value(reply["processes"].take()).map_err(|error| {
        CliError::new(
            Exit::Protocol,
            format!("the daemon's answer was not understood: {error}"),
        )
    })
}

/// Prints the processes with `status`, the state with its flags, beside `state`.
pub(crate) fn print_json(ctx: &Context, mut reply: Value) -> Result<Exit, CliError> {
    if let Some(processes) = reply["processes"].as_array_mut() {
        for process in processes {
            process["status"] = process["detail"].clone();
        }
    }
    ctx.output.json(&reply)?;
    Ok(Exit::Success)
}

/// The table of `mhost list`.
fn table(processes: &[Row]) -> Table {
    let several = processes.iter().any(|process| process.instances.len() > 1);
    let mut table = Table::new([
        Column::new("ID", 2),
        Column::name("NAME"),
        // Without it, copies of one process look the same.
        Column::new("INST", if several { 1 } else { 6 }),
        Column::new("PID", 5),
        Column::new("STATUS", 0).at_least(10),
        Column::new("HEALTH", 3),
        Column::new("CPU", 4),
        Column::new("MEM", 1),
        Column::new("RESTARTS", 4),
        Column::new("UPTIME", 5),
    ]);
    for process in processes {
        let id = process.index.to_string();
        for instance in &process.instances {
            table.row([
                Cell::from(&id),
                Cell::from(process.name.as_str()),
                Cell::from(instance.index.to_string()),
                Cell::from(pid(instance)),
                status(instance),
                Cell::toned(
                    instance.health.as_str(),
                    state::health_tone(instance.health),
                ),
                Cell::from(instance.cpu_percent.map_or_else(|| NONE.into(), cpu)),
                Cell::from(instance.memory_bytes.map_or_else(|| NONE.into(), memory)),
                Cell::from(instance.restarts.to_string()),
                Cell::from(instance.uptime_ms.map_or_else(|| NONE.into(), span_ms)),
            ]);
        }
        if process.instances.is_empty() {
            let none = || Cell::from(NONE);
            table.row([
                Cell::from(&id),
                Cell::from(process.name.as_str()),
                none(),
                none(),
                summary(process.state, &process.detail),
                none(),
                none(),
                none(),
                none(),
                none(),
            ]);
        }
    }
    table
}

/// The state of a copy: sign, word and flags.
pub(crate) fn status(instance: &InstanceView) -> Cell {
    Cell::toned(
        state::label(instance.state, &instance.detail),
        state::tone(instance.state),
    )
}

/// The state of a process that has no copies.
pub(crate) fn idle(process: &ProcessView) -> Cell {
    summary(process.state, &process.detail)
}

fn summary(state: Status, detail: &str) -> Cell {
    Cell::toned(state::label(state, detail), state::tone(state))
}

/// The pid, while there is one.
pub(crate) fn pid(instance: &InstanceView) -> String {
    instance
        .pid
        .map_or_else(|| NONE.into(), |pid| pid.to_string())
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;
    use crate::output::style::Painter;

    /// Three processes in different states, as the daemon tells of them.
    pub(crate) fn sample() -> Vec<ProcessView> {
        serde_json::from_value(answer()).expect("a valid answer")
    }

    fn answer() -> Value {
        let instance = |index: u16, pid: Option<i32>, state: &str, detail: &str| {
            json!({
                "index": index, "pid": pid, "state": state, "detail": detail,
                "started_at": "2026-03-28T12:00:00Z", "uptime_ms": pid.map(|_| 223_200_000),
                "restarts": 2, "restarts_total": 7, "exit_code": null, "exit_signal": null,
                "last_exit": null, "cpu_percent": pid.map(|_| 12.34),
                "memory_bytes": pid.map(|_| 50_331_648), "health": "pass", "generation": 3,
                "next_retry_at": null, "held_by": null
            })
        };
        let process = |index: usize, name: &str, state: &str, detail: &str, instances: Value| {
            json!({
                "index": index, "name": name, "state": state, "detail": detail,
                "instances": instances, "restarts": 2, "restarts_total": 7, "health": "pass",
                "group": [], "tags": [], "project": null, "argv": ["node", "server.js"],
                "cwd": "/srv/app", "config": { "command": "node server.js" }
            })
        };
        json!([
            process(
                0,
                "api",
                "online",
                "online",
                json!([
                    instance(0, Some(4711), "online", "online"),
                    instance(1, Some(4712), "starting", "starting"),
                ])
            ),
            process(
                1,
                "a-worker-with-a-very-long-name",
                "errored",
                "errored (retry in 3.2s, 4)",
                json!([instance(0, None, "errored", "errored (retry in 3.2s, 4)")])
            ),
            process(2, "report", "stopped", "stopped", json!([])),
        ])
    }

    fn shown(width: usize) -> String {
        let rows: Vec<Row> = serde_json::from_value(answer()).expect("a valid answer");
        table(&rows).render(Some(width), Painter::PLAIN)
    }

    #[test]
    fn wide_terminals_see_every_column() {
        insta::assert_snapshot!(shown(200), @r"
        ID  NAME                      INST  PID   STATUS                        HEALTH  CPU    MEM   RESTARTS  UPTIME
        0   api                       0     4711  ● online                      pass    12.3%  48MB  2         2d 14h
        0   api                       1     4712  ◐ starting                    pass    12.3%  48MB  2         2d 14h
        1   a-worker-with-a-very-lo…  0     —     ✗ errored (retry in 3.2s, 4)  pass    —      —     2         —
        2   report                    —     —     ○ stopped                     —       —      —     —         —
        ");
    }

    #[test]
    fn eighty_columns_lose_what_matters_least() {
        insta::assert_snapshot!(shown(80), @r"
        ID  NAME                      INST  STATUS                        HEALTH  MEM
        0   api                       0     ● online                      pass    48MB
        0   api                       1     ◐ starting                    pass    48MB
        1   a-worker-with-a-very-lo…  0     ✗ errored (retry in 3.2s, 4)  pass    —
        2   report                    —     ○ stopped                     —       —
        ");
    }

    #[test]
    fn forty_columns_still_say_who_and_how() {
        insta::assert_snapshot!(shown(40), @r"
        NAME                      STATUS
        api                       ● online
        api                       ◐ starting
        a-worker-with-a-very-lo…  ✗ errored (re…
        report                    ○ stopped
        ");
    }
}
