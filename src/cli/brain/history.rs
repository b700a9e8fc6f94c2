//! `mhost brain history`: incidents and what was done about them.

use agent::{Act, Entry};
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Value, json};

use super::reply;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::when;
use crate::exit::Exit;
use crate::output::figures::{NONE, time};
use crate::output::style::Tone;
use crate::output::table::{Cell, Column, Table};

#[derive(Debug, Deserialize)]
struct HistoryReply {
    history: Vec<Entry>,
}

/// Incidents, newest first.
pub(super) fn history(
    ctx: &Context,
    lines: u32,
    process: Option<String>,
    since: Option<String>,
) -> Result<Exit, CliError> {
    let mut params = json!({ "limit": lines });
    if let Some(process) = process {
        params["name"] = json!(process);
    }
    if let Some(since) = since {
        let since = when::parse("--since", &since, ctx.clock.now(), &TimeZone::system())?;
        params["since"] = json!(since);
    }
    let answer: Value = ctx.call("brain.history", params)?;
    if ctx.output.is_json() {
        ctx.output.json(&answer)?;
        return Ok(Exit::Success);
    }
    let HistoryReply { history } = reply(&answer)?;
    if history.is_empty() {
        ctx.output.note("Nothing has gone wrong yet.");
        return Ok(Exit::Success);
    }
    let mut table = Table::new([
        Column::new("TIME", 2),
        Column::new("INCIDENT", 3),
        Column::name("PROCESS"),
        Column::new("VICTIMS", 1).at_most(24),
        Column::new("TRIGGER", 2),
        Column::new("PLAYBOOK", 1).at_least(8).at_most(24),
        Column::new("ACTIONS", 0).at_least(12),
        Column::new("DECIDED", 3),
        Column::new("OUTCOME", 0),
        Column::new("BY", 4).at_least(8).at_most(24),
    ]);
    for row in &history {
        let outcome = row.outcome.clone().unwrap_or_else(|| state(row));
        table.row([
            Cell::from(time(row.ts, None)),
            Cell::from(&row.incident),
            Cell::from(row.process.as_str()),
            Cell::from(victims(row)),
            Cell::from(&row.trigger),
            Cell::from(row.playbook.as_ref().map_or(NONE, |id| id.0.as_str())),
            Cell::from(actions(&row.actions)),
            Cell::from(decided(row.decided_ms)),
            outcome_cell(&outcome),
            Cell::from(&row.by),
        ]);
    }
    ctx.output.table(&table)?;
    Ok(Exit::Success)
}

/// How long it took to decide.
fn decided(ms: Option<f64>) -> String {
    match ms {
        Some(ms) if ms < 10.0 => format!("{ms:.1}ms"),
        Some(ms) => format!("{ms:.0}ms"),
        None => NONE.to_owned(),
    }
}

/// Who suffered from it; for a victim, from what.
fn victims(row: &Entry) -> String {
    if let Some(cause) = &row.merged_into {
        return format!("of {cause}");
    }
    if row.victims.is_empty() {
        return NONE.to_owned();
    }
    let names = row.victims.iter().map(|one| one.process.as_str());
    names.collect::<Vec<_>>().join(", ")
}

fn state(row: &Entry) -> String {
    let word = json!(row.state);
    word.as_str().unwrap_or_default().replace('_', " ")
}

fn outcome_cell(outcome: &str) -> Cell {
    match outcome {
        "verified" | "recovered" | "success" | "passing" => {
            Cell::toned(format!("✓ {outcome}"), Tone::Good)
        }
        "failed" | "escalated" | "denied" | "refused" => {
            Cell::toned(format!("✗ {outcome}"), Tone::Bad)
        }
        "contained" | "awaiting approval" => Cell::toned(format!("! {outcome}"), Tone::Busy),
        _ => Cell::from(outcome),
    }
}

/// `restart, escalate`; what was not done is said.
fn actions(actions: &[Act]) -> String {
    if actions.is_empty() {
        return NONE.to_owned();
    }
    let one = |act: &Act| match act.result.as_str() {
        "done" => act.action.clone(),
        result => {
            let word = result.split(':').next().unwrap_or(result);
            format!("{} ({word})", act.action)
        }
    };
    actions.iter().map(one).collect::<Vec<_>>().join(", ")
}
