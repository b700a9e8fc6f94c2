//! `mhost ai predict`: what is likely to go wrong in the next hour.

use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::telling::{Manner, tell};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::exit::Exit;
use crate::output::figures::span;
use crate::output::style::Tone;
use crate::output::table::{Cell, Column, Table};

/// Say which processes are likely to fail in the next hour, and why
///
/// The risk is computed from crashes, the trend of the health score, memory on its way to a
/// limit, and probes that get slower. A model, if one is set up, adds words to it.
#[derive(Debug, Args)]
pub(crate) struct Predict {
    /// The process; all when left out
    name: Option<String>,
    #[command(flatten)]
    manner: Manner,
}

#[derive(Debug, Deserialize)]
struct Reply {
    outlook: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Row {
    process: String,
    risk: f64,
    level: String,
    in_next_ms: f64,
    reasons: Vec<String>,
}

impl Predict {
    /// Asks and shows the table.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let params = match self.name {
            Some(name) => json!({ "name": name }),
            None => json!({}),
        };
        tell(ctx, "ai.predict", params, self.manner, |answer| {
            show(ctx, answer)
        })
    }
}

fn show(ctx: &Context, answer: &Value) -> Result<(), CliError> {
    let reply: Reply = super::reply(answer)?;
    if reply.outlook.is_empty() {
        ctx.output.note("No process is meant to run.");
        return Ok(());
    }
    let mut table = Table::new(vec![
        Column::name("PROCESS"),
        Column::new("RISK", 0),
        Column::new("IN_NEXT", 0),
        Column::new("REASON", 1).at_least(20),
    ]);
    for row in reply.outlook {
        let tone = match row.level.as_str() {
            "down" | "high" => Tone::Bad,
            "medium" => Tone::Busy,
            _ => Tone::Good,
        };
        let time = Duration::from_secs_f64((row.in_next_ms / 1_000.0).clamp(0.0, 86_400.0));
        let when = if time.is_zero() {
            "now".to_owned()
        } else {
            span(time)
        };
        table.row(vec![
            Cell::from(&row.process),
            Cell::toned(format!("{:.0} % {}", row.risk * 100.0, row.level), tone),
            Cell::from(when),
            Cell::from(row.reasons.join("; ")),
        ]);
    }
    ctx.output.table(&table)
}
