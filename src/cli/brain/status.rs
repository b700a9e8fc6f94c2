//! `mhost brain status`: how well every process is.

use agent::Status;
use serde::Deserialize;
use serde_json::{Value, json};

use super::reply;
use crate::cli::agent::tell_status;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::exit::Exit;
use crate::output::figures::NONE;
use crate::output::style::Tone;
use crate::output::table::{Cell, Column, Table};

#[derive(Debug, Deserialize)]
struct StatusReply {
    scores: Vec<ScoreRow>,
    agent: Status,
}

#[derive(Debug, Deserialize)]
pub(super) struct ScoreRow {
    name: String,
    score: Option<u8>,
    parts: Option<PartsRow>,
    #[serde(default)]
    trend: Option<String>,
    held: bool,
    incident: Option<String>,
    title: Option<String>,
}

#[derive(Debug, Deserialize)]
struct PartsRow {
    crash: f64,
    probe: f64,
    memory: f64,
    cpu: f64,
}

/// Health of all, or of one.
pub(super) fn status(ctx: &Context, name: Option<String>) -> Result<Exit, CliError> {
    let params = match name {
        Some(name) => json!({ "name": name }),
        None => json!({}),
    };
    let answer: Value = ctx.call("brain.status", params)?;
    if ctx.output.is_json() {
        ctx.output.json(&answer)?;
        return Ok(Exit::Success);
    }
    let StatusReply { scores, agent } = reply(&answer)?;
    if scores.is_empty() {
        ctx.output
            .note("No processes. Start one: mhost start <app>");
    } else {
        ctx.output.table(&scores_table(&scores))?;
    }
    ctx.output.line("")?;
    tell_status(ctx, &agent)?;
    Ok(Exit::Success)
}

pub(super) fn scores_table(scores: &[ScoreRow]) -> Table {
    let mut table = Table::new([
        Column::name("NAME"),
        Column::new("HEALTH", 2),
        Column::new("SCORE", 0),
        Column::new("CRASH", 3),
        Column::new("PROBE", 3),
        Column::new("MEM", 3),
        Column::new("CPU", 3),
        Column::new("HELD", 2),
        Column::new("INCIDENT", 1).at_least(8),
    ]);
    for row in scores {
        let tone = match row.score {
            Some(0..40) => Tone::Bad,
            Some(40..80) => Tone::Busy,
            Some(_) => Tone::Good,
            None => Tone::Quiet,
        };
        let part = |of: fn(&PartsRow) -> f64| match row.parts.as_ref().map(of) {
            Some(taken) if taken >= 0.05 => Cell::from(format!("-{taken:.0}")),
            Some(_) => Cell::from("0"),
            None => Cell::from(NONE),
        };
        let incident = match (&row.incident, &row.title) {
            (Some(id), Some(title)) => format!("{id} {title}"),
            (Some(id), None) => id.clone(),
            (None, _) => NONE.to_owned(),
        };
        table.row([
            Cell::from(&row.name),
            Cell::toned(bar(row.score), tone),
            Cell::toned(
                row.score.map_or_else(
                    || NONE.into(),
                    |score| match row.trend.as_deref() {
                        Some("up") => format!("{score} ↗"),
                        Some("down") => format!("{score} ↘"),
                        Some(_) => format!("{score} →"),
                        None => score.to_string(),
                    },
                ),
                tone,
            ),
            part(|parts| parts.crash),
            part(|parts| parts.probe),
            part(|parts| parts.memory),
            part(|parts| parts.cpu),
            Cell::from(if row.held { "held" } else { NONE }),
            Cell::from(incident),
        ]);
    }
    table
}

/// Ten cells, one for each ten points.
fn bar(score: Option<u8>) -> String {
    let full = usize::from(score.unwrap_or(0)).div_ceil(10).min(10);
    format!("{}{}", "█".repeat(full), "░".repeat(10 - full))
}
