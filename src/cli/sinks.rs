//! `mhost sinks`: where kept lines are sent, and how that goes.

use clap::{Args, Subcommand};
use serde::Deserialize;
use serde_json::json;
use supervisor::sinks::{SinkState, SinkStatus};

use super::context::Context;
use super::error::CliError;
use crate::exit::Exit;
use crate::output::figures::{NONE, ago};
use crate::output::style::Tone;
use crate::output::table::{Cell, Column, Table};

/// Show where log lines are sent, and how that goes
#[derive(Debug, Args)]
pub(crate) struct Sinks {
    #[command(subcommand)]
    command: SinksCommand,
}

#[derive(Debug, Subcommand)]
enum SinksCommand {
    /// Show every sink with its counters since the start of the daemon
    Status,
}

#[derive(Debug, Deserialize)]
struct SinksReply {
    sinks: Vec<SinkStatus>,
}

impl Sinks {
    /// Prints `NAME TYPE SENT QUEUED DROPPED LAST ERROR`.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let SinksCommand::Status = self.command;
        let SinksReply { sinks } = ctx.call("sinks.status", json!({}))?;
        if ctx.output.is_json() {
            ctx.output.json(&json!({ "sinks": sinks }))?;
            return Ok(Exit::Success);
        }
        if sinks.is_empty() {
            ctx.output.note(
                "No sinks. Add `[sinks.<name>]` to config.toml of the home folder; \
                 the daemon reads it again on SIGHUP.",
            );
            return Ok(Exit::Success);
        }
        ctx.output.table(&table(ctx, &sinks))?;
        Ok(Exit::Success)
    }
}

fn table(ctx: &Context, sinks: &[SinkStatus]) -> Table {
    let mut table = Table::new([
        Column::name("NAME"),
        Column::new("TYPE", 2),
        Column::new("SENT", 1),
        Column::new("QUEUED", 0),
        Column::new("DROPPED", 0),
        Column::new("LAST ERROR", 0).at_least(8),
    ]);
    let now = ctx.clock.now();
    for sink in sinks {
        let dropped = sink.dropped.to_string();
        table.row([
            Cell::from(&sink.name),
            Cell::from(sink.kind.as_str()),
            Cell::from(sink.sent.to_string()),
            Cell::from(sink.queued.to_string()),
            if sink.dropped > 0 {
                Cell::toned(dropped, Tone::Busy)
            } else {
                Cell::from(dropped)
            },
            match &sink.last_error {
                _ if sink.state == SinkState::Off => Cell::from("○ switched off"),
                Some(error) => {
                    let at = sink.last_error_at;
                    let when = at.map(|at| format!(" ({})", ago(now, at)));
                    let text = format!("{error}{}", when.unwrap_or_default());
                    if sink.state == SinkState::Down {
                        Cell::toned(format!("✗ {text}"), Tone::Bad)
                    } else {
                        Cell::from(text)
                    }
                }
                None => Cell::from(NONE),
            },
        ]);
    }
    table
}
