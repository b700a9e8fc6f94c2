//! `mhost ai suggest`: what to change about the fleet before anything happens.

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::telling::{Manner, tell};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::exit::Exit;
use crate::output::style::Tone;
use crate::output::table::{Cell, Column, Table};

/// Suggest what to change about your processes before anything happens
///
/// Rules look at every definition and its last day: probes, limits, restarts, secrets.
#[derive(Debug, Args)]
pub(crate) struct Suggest {
    #[command(flatten)]
    manner: Manner,
}

#[derive(Debug, Deserialize)]
struct Reply {
    suggestions: Vec<Row>,
    processes: usize,
}

#[derive(Debug, Deserialize)]
struct Row {
    weight: String,
    process: String,
    what: String,
    why: String,
    how: String,
}

impl Suggest {
    /// Asks and shows the list.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        tell(ctx, "ai.suggest", json!({}), self.manner, |answer| {
            show(ctx, answer)
        })
    }
}

fn show(ctx: &Context, answer: &Value) -> Result<(), CliError> {
    let reply: Reply = super::reply(answer)?;
    if reply.suggestions.is_empty() {
        return ctx.output.done(&format!(
            "nothing to change about {}",
            crate::output::figures::count(reply.processes, "process", "processes")
        ));
    }
    let mut table = Table::new(vec![
        Column::new("WEIGHT", 0),
        Column::name("PROCESS"),
        Column::new("WHAT", 0).at_least(16),
        Column::new("WHY", 1).at_least(16),
        Column::new("HOW", 2).at_least(16),
    ]);
    for row in &reply.suggestions {
        let tone = match row.weight.as_str() {
            "high" => Tone::Bad,
            "medium" => Tone::Busy,
            _ => Tone::Quiet,
        };
        table.row(vec![
            Cell::toned(&row.weight, tone),
            Cell::from(&row.process),
            Cell::from(&row.what),
            Cell::from(&row.why),
            Cell::from(&row.how),
        ]);
    }
    ctx.output.table(&table)
}
