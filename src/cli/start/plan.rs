//! `mhost start --dry-run`: what would happen.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use supervisor::command::view::PlannedChange;
use supervisor::config::LoadedProject;

use crate::cli::config::warn_of_masks;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::exit::Exit;
use crate::output::style::Tone;
use crate::output::table::{Cell, Column, Table};

#[derive(Debug, Deserialize)]
struct PlanReply {
    plan: Vec<PlannedChange>,
}

/// Shows what starting these would change. No daemon is started to say it: without one, all
/// would be started.
pub(super) fn show(
    ctx: &Context,
    loaded: &[LoadedProject],
    registered: &[String],
) -> Result<Exit, CliError> {
    let mut plan = Vec::new();
    for project in loaded {
        let params = json!({ "apply": project.apply.clone().into_wire(), "dry_run": true });
        match ctx.ask::<PlanReply>("process.start", params) {
            Ok(reply) => plan.extend(reply.plan),
            Err(error) if error.exit() == Exit::NotRunning => plan.extend(without_daemon(project)),
            Err(error) => return Err(error),
        }
    }
    for name in registered {
        let params = json!({ "name": name, "dry_run": true });
        plan.extend(ctx.ask::<PlanReply>("process.start", params)?.plan);
    }
    if ctx.output.is_json() {
        let mut config = Map::new();
        for spec in loaded.iter().flat_map(|project| &project.apply.processes) {
            config.insert(spec.name.to_string(), json!(spec.config));
        }
        let config: Value = json!({ "process": config });
        warn_of_masks(ctx, &config);
        ctx.output
            .json(&json!({ "plan": plan, "config": config }))?;
        return Ok(Exit::Success);
    }
    if plan.is_empty() {
        ctx.output.note("Nothing to do.");
        return Ok(Exit::Success);
    }
    let mut table = Table::new([
        Column::new("ACTION", 0),
        Column::name("PROCESS"),
        Column::new("WHY", 1).at_least(8),
    ]);
    for change in &plan {
        let tone = match change.action.as_str() {
            "start" | "register" => Tone::Good,
            "leave" => Tone::Quiet,
            "stop" | "remove" => Tone::Bad,
            _ => Tone::Busy,
        };
        table.row([
            Cell::toned(&change.action, tone),
            Cell::from(change.process.as_str()),
            Cell::from(&change.why),
        ]);
    }
    ctx.output.table(&table)?;
    ctx.output.note("Nothing was done (--dry-run).");
    Ok(Exit::Success)
}

fn without_daemon(project: &LoadedProject) -> Vec<PlannedChange> {
    let change = |spec: &supervisor::ProcessSpec| PlannedChange {
        process: spec.name.clone(),
        action: if spec.config.enabled {
            "start"
        } else {
            "register"
        }
        .to_owned(),
        why: "no daemon runs".to_owned(),
    };
    project.apply.processes.iter().map(change).collect()
}
