//! `mhost brain playbook test`: the scenario, then a dry run on what there is.

use brain::Playbooks;
use brain::scenario::{Scenario, Told};
use serde::Deserialize;
use serde_json::{Value, json};

use super::files::{self, Found};
use super::reply;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::exit::Exit;
use crate::output::figures::NONE;
use crate::output::style::Tone;
use crate::output::table::{Cell, Column, Table};
use crate::output::text::clean_line;

#[derive(Debug, Deserialize)]
struct Reply {
    tried: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Row {
    process: String,
    matched: bool,
    #[serde(default)]
    why: Option<String>,
    #[serde(default)]
    cause: Option<String>,
    #[serde(default)]
    evidence: Vec<brain::Evidence>,
    #[serde(default)]
    plan: Vec<String>,
    #[serde(default)]
    risk: Option<String>,
    #[serde(default)]
    gate: Option<String>,
}

/// Runs both. What a scenario proves needs no daemon.
pub(super) fn test(
    ctx: &Context,
    name: &str,
    incident: Option<String>,
    process: Option<String>,
) -> Result<Exit, CliError> {
    let found = files::find(ctx, name)?;
    let told = match &found {
        Some(found) if incident.is_none() => cases(found)?,
        _ => Vec::new(),
    };
    let failed = told.iter().filter(|case| case.wrong.is_some()).count();
    let mut params = json!({ "name": found.as_ref().map_or(name, |found| found.name.as_str()) });
    if let Some(incident) = incident {
        params["incident"] = json!(incident);
    }
    if let Some(process) = process {
        params["process"] = json!(process);
    }
    if let Some(found) = &found {
        params["format"] = json!(found.format);
        params["text"] = json!(found.text);
    }
    let answer: Value = ctx.call("brain.playbook_test", params)?;
    let exit = if failed > 0 {
        Exit::Failure
    } else {
        Exit::Success
    };
    if ctx.output.is_json() {
        let cases: Vec<Value> = told
            .iter()
            .map(|case| json!({ "name": case.name, "wrong": case.wrong }))
            .collect();
        ctx.output
            .json(&json!({ "scenario": cases, "tried": answer["tried"] }))?;
        return Ok(exit);
    }
    for case in &told {
        match &case.wrong {
            None => ctx.output.done(&case.name)?,
            Some(wrong) => {
                ctx.output
                    .fail(&format!("{}: {}", case.name, clean_line(wrong)));
            }
        }
    }
    let Reply { tried } = reply(&answer)?;
    if !told.is_empty() {
        ctx.output.line("")?;
    }
    show(ctx, &tried)?;
    Ok(exit)
}

fn cases(found: &Found) -> Result<Vec<Told>, CliError> {
    let path = files::scenario(&found.path, &found.name);
    let Ok(text) = std::fs::read_to_string(&path) else {
        return Ok(Vec::new());
    };
    let wrong = |error: String| CliError::config(format!("{}: {error}", path.display()));
    let scenario = Scenario::parse(&text).map_err(wrong)?;
    if scenario.playbook != found.name {
        let message = format!("it is about `{}`, not `{}`", scenario.playbook, found.name);
        return Err(wrong(message));
    }
    Ok(scenario.run(&Playbooks::only(&found.name, found.format, &found.text)))
}

fn show(ctx: &Context, tried: &[Row]) -> Result<(), CliError> {
    if tried.is_empty() {
        ctx.output.note("No process to ask it about.");
        return Ok(());
    }
    let mut table = Table::new([
        Column::name("PROCESS"),
        Column::new("MATCH", 0),
        Column::new("PLAN", 0).at_least(12),
        Column::new("RISK", 1),
        Column::new("GATE", 0).at_least(8),
    ]);
    for row in tried {
        let matched = if row.matched {
            Cell::toned("yes", Tone::Busy)
        } else {
            Cell::from("no")
        };
        let gate = row.gate.as_ref().or(row.why.as_ref());
        table.row([
            Cell::from(&row.process),
            matched,
            Cell::from(if row.plan.is_empty() {
                NONE.to_owned()
            } else {
                row.plan.join(", ")
            }),
            Cell::from(row.risk.as_deref().unwrap_or(NONE)),
            Cell::from(gate.map_or(NONE, String::as_str)),
        ]);
    }
    ctx.output.table(&table)?;
    for row in tried.iter().filter(|row| row.matched) {
        if let Some(cause) = &row.cause {
            ctx.output
                .line(&format!("  cause      {}", clean_line(cause)))?;
        }
        for one in &row.evidence {
            let (id, text) = (clean_line(&one.id), clean_line(&one.text));
            ctx.output.line(&format!("  evidence   {id}  {text}"))?;
        }
    }
    Ok(())
}
