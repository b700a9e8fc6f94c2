//! Shows the channels, and which events each is told of.

use std::collections::BTreeMap;

use chat::notify::OpenIncident;
use clap::Args;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::delivery::Row;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::exit::Exit;
use crate::output::figures::{NONE, ago, ahead, span_ms};
use crate::output::style::Tone;
use crate::output::table::{Cell, Column, Table};
use crate::output::text::clean_line;

/// The answer of `notify.list`.
#[derive(Debug, Deserialize, Serialize)]
struct Listed {
    channels: Vec<Channel>,
    incidents: Vec<OpenIncident>,
    mutes: BTreeMap<String, Option<Timestamp>>,
    failure: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Channel {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    bot: bool,
    enabled: bool,
    events: Vec<String>,
    processes: Vec<String>,
    throttle_ms: u64,
    escalation_target: Option<String>,
    escalation_after_ms: Option<u64>,
    waiting: u64,
    #[serde(default)]
    dropped: u64,
    #[serde(default)]
    left_out: u64,
    last: Option<Row>,
}

/// Prints `NAME TYPE ENABLED EVENTS THROTTLE LAST RESULT`, and what is open.
pub(super) fn list(ctx: &Context) -> Result<Exit, CliError> {
    let listed: Listed = ctx.call("notify.list", json!({}))?;
    if ctx.output.is_json() {
        ctx.output.json(&listed)?;
        return Ok(Exit::Success);
    }
    if let Some(failure) = &listed.failure {
        ctx.output
            .warn(&format!("nobody is told anything: {failure}"));
    }
    if listed.channels.is_empty() {
        ctx.output.note("No channels: mhost notify setup");
    } else {
        ctx.output.table(&channels(ctx, &listed.channels))?;
    }
    for channel in listed.channels.iter().filter(|one| one.left_out > 0) {
        let (name, count) = (&channel.name, channel.left_out);
        ctx.output.note(&format!(
            "{count} messages to {name} were left out: cards of incidents there tell the same"
        ));
    }
    for channel in listed.channels.iter().filter(|one| one.dropped > 0) {
        let (name, dropped) = (&channel.name, channel.dropped);
        ctx.output.warn(&format!(
            "{dropped} messages to {name} were given up, the mildest, since too many waited"
        ));
    }
    if !listed.incidents.is_empty() {
        ctx.output.line("")?;
        ctx.output.table(&incidents(ctx, &listed.incidents))?;
    }
    let now = ctx.clock.now();
    for (process, until) in &listed.mutes {
        let until = match until {
            Some(until) => format!(
                "for another {}",
                ahead(now, *until).trim_start_matches("in ")
            ),
            None => "until it has recovered".to_owned(),
        };
        ctx.output.line(&format!("{process} is muted {until}"))?;
    }
    Ok(Exit::Success)
}

fn channels(ctx: &Context, all: &[Channel]) -> Table {
    let mut table = Table::new([
        Column::name("NAME"),
        Column::new("TYPE", 1),
        Column::new("ENABLED", 0),
        Column::new("EVENTS", 2).at_least(8).at_most(32),
        Column::new("THROTTLE", 3),
        Column::new("LAST", 1),
        Column::new("RESULT", 0).at_least(10),
    ]);
    let now = ctx.clock.now();
    for channel in all {
        let kind = match channel.bot {
            true => format!("{} (bot)", channel.kind),
            false => channel.kind.clone(),
        };
        let events = match channel.events.is_empty() {
            true => "all".to_owned(),
            false => channel.events.join(","),
        };
        let last = channel.last.as_ref();
        let result = match last {
            None => Cell::from(NONE),
            Some(row) => row.cell(),
        };
        table.row([
            Cell::from(&channel.name),
            Cell::from(kind),
            match channel.enabled {
                true => Cell::toned("● yes", Tone::Good),
                false => Cell::from("○ no"),
            },
            Cell::from(events),
            Cell::from(span_ms(channel.throttle_ms)),
            Cell::from(last.map_or_else(|| NONE.to_owned(), |row| ago(now, row.ts))),
            result,
        ]);
    }
    table
}

fn incidents(ctx: &Context, all: &[OpenIncident]) -> Table {
    let mut table = Table::new([
        Column::new("INCIDENT", 0),
        Column::name("PROCESS"),
        Column::new("SINCE", 1),
        Column::new("WHAT", 0).at_least(10),
        Column::new("TOLD", 2).at_least(6).at_most(28),
        Column::new("LOOKED AFTER BY", 1).at_least(6).at_most(24),
    ]);
    let now = ctx.clock.now();
    for one in all {
        let by = match (&one.acknowledged, one.escalates) {
            (Some(by), _) => by.clone(),
            (None, Some(due)) => format!("nobody; passed on {}", ahead(now, due)),
            (None, None) => NONE.to_owned(),
        };
        table.row([
            Cell::from(&one.id),
            Cell::from(&one.process),
            Cell::from(ago(now, one.opened)),
            Cell::from(clean_line(&format!("{}: {}", one.event, one.message))),
            Cell::from(one.told.join(",")),
            Cell::from(by),
        ]);
    }
    table
}

/// Show which events there are, and which channels are told of each
#[derive(Debug, Args)]
pub(super) struct Events {
    /// Only this channel
    channel: Option<String>,
}

/// The answer of `notify.events`.
#[derive(Debug, Deserialize, Serialize)]
struct Known {
    events: Vec<Event>,
    channels: Vec<String>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Event {
    event: String,
    severity: String,
    about: String,
    channels: Vec<String>,
}

impl Events {
    /// Prints `EVENT SEVERITY` and a column for each channel.
    pub(super) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let mut known: Known = ctx.call("notify.events", json!({}))?;
        if let Some(only) = self.channel {
            if !known.channels.contains(&only) {
                let message = format!("there is no channel `{only}`");
                return Err(CliError::new(Exit::NotFound, message).with_help("mhost notify list"));
            }
            for event in &mut known.events {
                event.channels.retain(|one| *one == only);
            }
            known.channels = vec![only];
        }
        if ctx.output.is_json() {
            ctx.output.json(&known)?;
            return Ok(Exit::Success);
        }
        let mut columns = vec![Column::new("EVENT", 0), Column::new("SEVERITY", 2)];
        columns.extend(
            known
                .channels
                .iter()
                .map(|name| Column::new(name.to_uppercase(), 1)),
        );
        columns.push(Column::new("ABOUT", 3).at_least(20));
        let mut table = Table::new(columns);
        for event in &known.events {
            let mut cells = vec![Cell::from(&event.event), Cell::from(&event.severity)];
            cells.extend(
                known
                    .channels
                    .iter()
                    .map(|one| match event.channels.contains(one) {
                        true => Cell::toned("✓", Tone::Good),
                        false => Cell::from(NONE),
                    }),
            );
            cells.push(Cell::from(&event.about));
            table.row(cells);
        }
        ctx.output.table(&table)?;
        Ok(Exit::Success)
    }
}
