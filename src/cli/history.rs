//! `mhost history`: what happened to a process.

use clap::Args;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Value, json};
use supervisor::{Event, EventKind};

use super::context::Context;
use super::error::CliError;
use super::when;
use crate::exit::Exit;
use crate::output::figures::{self, NONE};
use crate::output::style::Tone;
use crate::output::table::{Cell, Column, Table};

/// Show what happened to a process, newest first
#[derive(Debug, Args)]
pub(crate) struct History {
    /// Name, name:instance, index, or group; all when left out
    target: Option<String>,
    /// At most so many events
    #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 50)]
    lines: usize,
    /// Only after this time: 1h, "2026-03-28 14:00", RFC 3339
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
}

/// The answer of `process.events`.
#[derive(Debug, Deserialize)]
pub(crate) struct EventsReply {
    /// Newest first.
    pub(crate) events: Vec<Event>,
}

impl History {
    /// Prints `TIME EVENT INSTANCE DETAIL`.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let mut params = json!({ "limit": self.lines });
        if let Some(target) = &self.target {
            params["name"] = json!(target);
        }
        if let Some(since) = &self.since {
            let since = when::parse("--since", since, ctx.clock.now(), &TimeZone::system())?;
            params["since"] = json!(since);
        }
        let EventsReply { events } = ctx.call("process.events", params)?;
        if ctx.output.is_json() {
            ctx.output.json(&json!({ "events": events }))?;
        } else if events.is_empty() {
            ctx.output.note("No events.");
        } else {
            ctx.output.table(&table(&events))?;
        }
        Ok(Exit::Success)
    }
}

/// The events as a table.
pub(crate) fn table(events: &[Event]) -> Table {
    let mut table = Table::new([
        Column::new("TIME", 2),
        Column::new("EVENT", 0),
        Column::new("INSTANCE", 0).at_least(10).at_most(28),
        Column::new("DETAIL", 1).at_least(8),
    ]);
    for event in events {
        let instance = match event.instance {
            Some(index) => format!("{}#{index}", event.process),
            None => event.process.to_string(),
        };
        let kind = event.kind.to_string();
        table.row([
            Cell::from(figures::time(event.at, None)),
            tone(event.kind).map_or_else(|| Cell::from(&kind), |tone| Cell::toned(&kind, tone)),
            Cell::from(instance),
            Cell::from(detail(event)),
        ]);
    }
    table
}

/// The colour of an event.
pub(crate) fn tone(kind: EventKind) -> Option<Tone> {
    match kind {
        EventKind::Crash
        | EventKind::Errored
        | EventKind::SpawnFailed
        | EventKind::HealthFail
        | EventKind::MemoryExceeded
        | EventKind::ReloadFailed
        | EventKind::HealthScoreLow
        | EventKind::DependencyFailed => Some(Tone::Bad),
        EventKind::Online | EventKind::HealthRecover | EventKind::ReloadDone => Some(Tone::Good),
        EventKind::HealthMiss => Some(Tone::Busy),
        EventKind::Start
        | EventKind::Stopping
        | EventKind::Stop
        | EventKind::Exited
        | EventKind::Restart
        | EventKind::ReloadStarted
        | EventKind::Scaled
        | EventKind::Adopted
        | EventKind::ConfigChanged
        | EventKind::Deleted
        | EventKind::Cleared
        | EventKind::NewPattern => None,
    }
}

/// The data of an event on one line; the printed lines of a crash are for `--json`.
pub(crate) fn detail(event: &Event) -> String {
    let mut parts: Vec<String> = Vec::new();
    if let Value::Object(data) = &event.data {
        for (key, value) in data {
            let shown = match value {
                Value::Null | Value::Array(_) => continue,
                Value::String(text) if text.contains(' ') => format!("\"{text}\""),
                Value::String(text) => text.clone(),
                Value::Number(number) if key.ends_with("_ms") => {
                    format!("{}ms", number)
                }
                other => other.to_string(),
            };
            parts.push(format!("{}={shown}", key.trim_end_matches("_ms")));
        }
    }
    if event.actor != "system" && !event.actor.is_empty() {
        parts.push(format!("by {}", event.actor));
    }
    if parts.is_empty() {
        NONE.to_owned()
    } else {
        parts.join(" ")
    }
}
