//! Whether messages arrive, and who looks after what they tell.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cli::context::{Context, duration};
use crate::cli::error::CliError;
use crate::exit::Exit;
use crate::output::figures::{NONE, time};
use crate::output::style::Tone;
use crate::output::table::{Cell, Column, Table};
use crate::output::text::clean_line;

/// A message with its history, as the daemon tells it.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Row {
    pub(super) ts: Timestamp,
    channel: String,
    /// None of a message that cannot be read.
    event: Option<String>,
    severity: Option<String>,
    process: String,
    message: String,
    incident_id: Option<String>,
    delivery: String,
    result: String,
    attempts: u32,
    due: Option<Timestamp>,
    id: String,
}

impl Row {
    /// How it went.
    pub(super) fn cell(&self) -> Cell {
        let result = clean_line(&self.result);
        match self.delivery.as_str() {
            "sent" => Cell::toned(format!("✓ {result}"), Tone::Good),
            "left out" => Cell::from(format!("– left out: {result}")),
            "failed" => Cell::toned(format!("✗ failed: {result}"), Tone::Bad),
            _ if result.is_empty() => Cell::toned("… waits", Tone::Busy),
            _ => Cell::toned(format!("… {result}; it is tried again"), Tone::Busy),
        }
    }
}

/// Send a test to a channel, the way all messages go, and say what was answered
#[derive(Debug, Args)]
pub(super) struct Test {
    /// The channel
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    channel: Option<String>,
    /// All channels that are on
    #[arg(long)]
    all: bool,
}

/// What became of a test.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Tested {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    pub(super) ok: bool,
    pub(super) result: String,
}

/// Sends a test to one channel.
pub(super) fn test(ctx: &Context, name: &str) -> Result<Tested, CliError> {
    // A receiver that hangs is given up by the daemon.
    ctx.call_waiting("notify.test", json!({ "name": name }))
}

impl Test {
    /// Exit code 1 says that one did not arrive.
    pub(super) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let names = match self.channel {
            Some(name) => vec![name],
            None => on(ctx)?,
        };
        if names.is_empty() {
            return Err(CliError::config("no channel is on").with_help("mhost notify setup"));
        }
        let mut all = Vec::new();
        for name in names {
            let tested = test(ctx, &name)?;
            if !ctx.output.is_json() {
                let result = clean_line(&tested.result);
                match tested.ok {
                    true => ctx.output.done(&format!("{name}: {result}"))?,
                    false => ctx.output.fail(&format!("{name}: {result}")),
                }
            }
            all.push(tested);
        }
        let good = all.iter().all(|one| one.ok);
        if ctx.output.is_json() {
            ctx.output.json(&json!({ "tests": all }))?;
        }
        Ok(if good { Exit::Success } else { Exit::Failure })
    }
}

/// Channels that are on.
fn on(ctx: &Context) -> Result<Vec<String>, CliError> {
    let listed: Value = ctx.call("notify.list", json!({}))?;
    let channels = listed["channels"].as_array().cloned().unwrap_or_default();
    let on = channels.iter().filter(|one| one["enabled"] == true);
    Ok(on
        .filter_map(|one| one["name"].as_str().map(str::to_owned))
        .collect())
}

/// Show what was told, and whether it arrived; newest first
#[derive(Debug, Args)]
pub(super) struct History {
    /// At most so many messages
    #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 50)]
    lines: u32,
}

#[derive(Debug, Deserialize)]
struct Rows {
    rows: Vec<Row>,
}

impl History {
    /// Prints `TIME CHANNEL EVENT PROCESS RESULT ATTEMPTS`.
    pub(super) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let Rows { rows } = ctx.call("notify.history", json!({ "limit": self.lines }))?;
        if ctx.output.is_json() {
            ctx.output.json(&json!({ "rows": rows }))?;
            return Ok(Exit::Success);
        }
        if rows.is_empty() {
            ctx.output.note("Nothing has been told yet.");
            return Ok(Exit::Success);
        }
        let mut table = Table::new([
            Column::new("TIME", 2),
            Column::name("CHANNEL"),
            Column::new("EVENT", 0),
            Column::new("PROCESS", 1).at_least(8).at_most(24),
            Column::new("RESULT", 0).at_least(10),
            Column::new("ATTEMPTS", 2),
        ]);
        for row in &rows {
            table.row([
                Cell::from(time(row.ts, None)),
                Cell::from(&row.channel),
                Cell::from(row.event.as_deref().unwrap_or(NONE)),
                Cell::from(if row.process.is_empty() {
                    NONE
                } else {
                    &row.process
                }),
                row.cell(),
                Cell::from(row.attempts.to_string()),
            ]);
        }
        ctx.output.table(&table)?;
        Ok(Exit::Success)
    }
}

/// Say that you look after an incident: it is passed on to nobody else
#[derive(Debug, Args)]
pub(super) struct Ack {
    /// Its id, as messages and `mhost notify list` show it, or the name of its process
    incident: String,
}

impl Ack {
    /// Tells the daemon.
    pub(super) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let told: Value = ctx.call("notify.ack", json!({ "id": self.incident }))?;
        if ctx.output.is_json() {
            ctx.output.json(&told)?;
            return Ok(Exit::Success);
        }
        let text = |key: &str| clean_line(told[key].as_str().unwrap_or_default()).into_owned();
        ctx.output.done(&format!(
            "{} of {} is looked after by {}",
            text("id"),
            text("process"),
            text("acknowledged")
        ))?;
        Ok(Exit::Success)
    }
}

/// Tell nothing of a process for a while
#[derive(Debug, Args)]
pub(super) struct Mute {
    /// Its name
    process: String,
    /// How long, such as 30m or 2h; off ends it. Without it until the process has recovered
    #[arg(value_name = "TIME", value_parser = span)]
    time: Option<Span>,
}

#[derive(Debug, Clone, Copy)]
enum Span {
    Off,
    For(Duration),
}

fn span(text: &str) -> Result<Span, String> {
    match text {
        "off" => Ok(Span::Off),
        time => duration(time).map(Span::For),
    }
}

impl Mute {
    /// Tells the daemon.
    pub(super) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let process = &self.process;
        let told: Value = match self.time {
            Some(Span::Off) => ctx.call("notify.unmute", json!({ "process": process }))?,
            Some(Span::For(time)) => {
                let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
                ctx.call(
                    "notify.mute",
                    json!({ "process": process, "duration_ms": ms }),
                )?
            }
            None => ctx.call("notify.mute", json!({ "process": process }))?,
        };
        if ctx.output.is_json() {
            ctx.output.json(&told)?;
            return Ok(Exit::Success);
        }
        let until: Option<Timestamp> = told["until"].as_str().and_then(|text| text.parse().ok());
        ctx.output.done(&match (told["muted"] == true, until) {
            (true, Some(until)) => format!("{process} is muted until {}", time(until, None)),
            (true, None) => format!("{process} is muted until it has recovered"),
            (false, _) => format!("{process} is told of again"),
        })?;
        Ok(Exit::Success)
    }
}
