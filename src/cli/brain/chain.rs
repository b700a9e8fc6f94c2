//! `mhost brain chain`: which brains are asked, and how those of other people did.

use serde::Deserialize;
use serde_json::{Value, json};

use super::reply;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::exit::Exit;
use crate::output::figures::NONE;
use crate::output::style::Tone;
use crate::output::table::{Cell, Column, Table};

#[derive(Debug, Deserialize)]
struct Reply {
    chain: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Row {
    name: String,
    kind: String,
    #[serde(default)]
    autonomy: Option<String>,
    #[serde(default)]
    statistics: Option<Statistics>,
    /// Why the model cannot be asked.
    #[serde(default)]
    unavailable: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Statistics {
    asked: u64,
    proposed: u64,
    failed: u64,
    average_ms: f64,
    last_error: Option<String>,
}

/// In the order in which they are asked.
pub(super) fn chain(ctx: &Context) -> Result<Exit, CliError> {
    let answer: Value = ctx.call("brain.chain", json!({}))?;
    if ctx.output.is_json() {
        ctx.output.json(&answer)?;
        return Ok(Exit::Success);
    }
    let Reply { chain } = reply(&answer)?;
    let mut table = Table::new([
        Column::name("NAME"),
        Column::new("KIND", 1),
        Column::new("LEVEL", 1),
        Column::new("ASKED", 0),
        Column::new("PROPOSED", 2),
        Column::new("FAILED", 0),
        Column::new("AVERAGE", 3),
        Column::new("LAST ERROR", 2).at_least(10),
    ]);
    for row in &chain {
        let figure = |of: fn(&Statistics) -> String| {
            row.statistics.as_ref().map_or_else(|| NONE.to_owned(), of)
        };
        let error = row
            .statistics
            .as_ref()
            .and_then(|one| one.last_error.as_deref())
            .or(row.unavailable.as_deref());
        table.row([
            Cell::from(&row.name),
            Cell::from(&row.kind),
            Cell::from(row.autonomy.as_deref().unwrap_or(NONE)),
            Cell::from(figure(|one| one.asked.to_string())),
            Cell::from(figure(|one| one.proposed.to_string())),
            Cell::from(figure(|one| one.failed.to_string())),
            Cell::from(figure(|one| format!("{:.0}ms", one.average_ms))),
            match error {
                Some(error) => Cell::toned(error, Tone::Bad),
                None => Cell::from(NONE),
            },
        ]);
    }
    ctx.output.table(&table)?;
    Ok(Exit::Success)
}
