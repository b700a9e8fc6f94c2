//! `mhost brain playbook list`, `show`, `enable`, `disable`, `trust`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Level, reply};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::exit::Exit;
use crate::output::style::Tone;
use crate::output::table::{Cell, Column, Table};
use crate::output::text;

#[derive(Debug, Deserialize)]
struct PlaybooksReply {
    playbooks: Vec<PlaybookRow>,
}

#[derive(Debug, Deserialize)]
struct PlaybookRow {
    name: String,
    source: String,
    on: Vec<String>,
    #[serde(default)]
    risk: String,
    level: String,
    #[serde(default)]
    trust: String,
    runs: u64,
    ok: u64,
    failed: u64,
    state: String,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    line: usize,
    #[serde(default)]
    column: usize,
}

/// All of them, in the order in which they are asked.
pub(super) fn list(ctx: &Context) -> Result<Exit, CliError> {
    let answer: Value = ctx.call("brain.playbooks", json!({}))?;
    if ctx.output.is_json() {
        ctx.output.json(&answer)?;
        return Ok(Exit::Success);
    }
    let PlaybooksReply { playbooks } = reply(&answer)?;
    let mut table = Table::new([
        Column::name("NAME"),
        Column::new("SOURCE", 2),
        Column::new("ON", 3).at_least(8),
        Column::new("RISK", 1),
        Column::new("LEVEL", 2),
        Column::new("RUNS", 1),
        Column::new("OK", 1),
        Column::new("FAIL", 1),
        Column::new("STATE", 0).at_least(8),
    ]);
    for row in &playbooks {
        let state = match &row.error {
            Some(error) if row.line > 0 => Cell::toned(
                format!("✗ {}: {}:{}: {error}", row.state, row.line, row.column),
                Tone::Bad,
            ),
            Some(error) => Cell::toned(format!("✗ {}: {error}", row.state), Tone::Bad),
            // How far a learned one is believed says more than that it is well.
            None if row.source == "learned" => Cell::from(&row.trust),
            None if row.state == "disabled" => Cell::toned("disabled", Tone::Quiet),
            None => Cell::from(&row.state),
        };
        table.row([
            Cell::from(&row.name),
            Cell::from(&row.source),
            Cell::from(row.on.join(",")),
            match row.risk.as_str() {
                "high" => Cell::toned("high", Tone::Busy),
                other => Cell::from(other),
            },
            Cell::from(&row.level),
            Cell::from(row.runs.to_string()),
            Cell::from(row.ok.to_string()),
            Cell::from(row.failed.to_string()),
            state,
        ]);
    }
    ctx.output.table(&table)?;
    Ok(Exit::Success)
}

/// The text of one.
pub(super) fn show(ctx: &Context, name: &str) -> Result<Exit, CliError> {
    let answer: Value = ctx.call("brain.playbook_show", json!({ "name": name }))?;
    if ctx.output.is_json() {
        ctx.output.json(&answer)?;
        return Ok(Exit::Success);
    }
    let plain = |key: &str| answer[key].as_str().map(text::clean_block);
    ctx.output
        .line(plain("text").unwrap_or_default().trim_end())?;
    if let Some(script) = plain("script") {
        ctx.output.line("\n# It becomes this script:\n")?;
        ctx.output.line(script.trim_end())?;
    }
    Ok(Exit::Success)
}

/// Lets it be asked, or not.
pub(super) fn enable(ctx: &Context, name: &str, enabled: bool) -> Result<Exit, CliError> {
    let word = if enabled { "enabled" } else { "disabled" };
    set(ctx, name, json!({ "name": name, "enabled": enabled }), word)
}

/// Says how far it is believed.
pub(super) fn trust(ctx: &Context, name: &str, level: Level) -> Result<Exit, CliError> {
    let word = match level {
        Level::Trusted => "trusted",
        Level::Probation => "on probation",
        Level::Retired => "retired",
    };
    let trust = match level {
        Level::Trusted => "trusted",
        Level::Probation => "probation",
        Level::Retired => "retired",
    };
    set(ctx, name, json!({ "name": name, "trust": trust }), word)
}

fn set(ctx: &Context, name: &str, params: Value, word: &str) -> Result<Exit, CliError> {
    let answer: Value = ctx.call("brain.playbook_set", params)?;
    if ctx.output.is_json() {
        ctx.output.json(&answer)?;
        return Ok(Exit::Success);
    }
    ctx.output.done(&format!("{name} is {word}"))?;
    if let Some(note) = answer["note"].as_str() {
        ctx.output.note(note);
    }
    Ok(Exit::Success)
}
