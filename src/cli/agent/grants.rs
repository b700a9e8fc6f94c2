//! `mhost agent allow`, `grants`, `revoke`: leave in advance.

use std::time::Duration;

use agent::grant::Granted;
use brain::Grant;
use clap::Args;
use serde::Deserialize;
use serde_json::json;
use supervisor::units::short::span;

use crate::cli::context::{Context, duration};
use crate::cli::error::CliError;
use crate::exit::Exit;
use crate::output::figures::{NONE, ago, ahead};
use crate::output::style::Tone;
use crate::output::table::{Cell, Column, Table};
use crate::output::text::clean_line;

/// Let a playbook act on a process without asking, for a while
///
/// It belongs to the text of the playbook as it is now: an edited one asks again. What is refused
/// stays refused, and budgets, bounds and quiet hours hold as before.
#[derive(Debug, Args)]
pub(super) struct Allow {
    /// Name of the playbook, as in `mhost brain playbooks`
    playbook: String,
    /// Name of the process
    process: String,
    /// How long, from 1m to 90d
    #[arg(long = "for", value_name = "TIME", default_value = "7d", value_parser = duration)]
    time: Duration,
    /// Up to which risk; when left out, what the playbook can do at most
    #[arg(long, value_name = "RISK", value_parser = ["low", "high"])]
    risk: Option<String>,
}

impl Allow {
    /// Gives it.
    pub(super) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let mut params = json!({
            "playbook": self.playbook,
            "process": self.process,
            "duration_ms": u64::try_from(self.time.as_millis()).unwrap_or(u64::MAX),
        });
        if let Some(risk) = self.risk {
            params["risk"] = json!(risk);
        }
        let grant: Grant = ctx.call("agent.allow", params)?;
        if ctx.output.is_json() {
            ctx.output.json(&grant)?;
        }
        ctx.output.done(&format!(
            "{} may act on {} without asking, up to {} risk, for {} (grant {})",
            clean_line(&grant.playbook.0),
            grant.process,
            grant.risk,
            span(self.time),
            grant.id
        ))?;
        Ok(Exit::Success)
    }
}

#[derive(Debug, Deserialize)]
struct GrantsReply {
    grants: Vec<Granted>,
}

/// Prints `ID PLAYBOOK PROCESS RISK STATE BY USED LAST`.
pub(super) fn list(ctx: &Context) -> Result<Exit, CliError> {
    let GrantsReply { grants } = ctx.call("agent.grants", json!({}))?;
    if ctx.output.is_json() {
        ctx.output.json(&json!({ "grants": grants }))?;
        return Ok(Exit::Success);
    }
    if grants.is_empty() {
        ctx.output
            .note("Nothing is allowed in advance: mhost agent allow <playbook> <process> --for 7d");
        return Ok(Exit::Success);
    }
    let now = ctx.clock.now();
    let mut table = Table::new([
        Column::new("ID", 0),
        Column::new("PLAYBOOK", 0).at_least(8),
        Column::name("PROCESS"),
        Column::new("RISK", 2),
        Column::new("STATE", 0).at_least(8),
        Column::new("BY", 1).at_least(8),
        Column::new("USED", 2),
        Column::new("LAST", 3),
    ]);
    for Granted { grant, state } in &grants {
        let state = match state.as_str() {
            "in force" => Cell::toned(format!("✓ ends {}", ahead(now, grant.ends)), Tone::Good),
            "edited" => Cell::toned("! of no use: the playbook was edited", Tone::Busy),
            "revoked" => Cell::from(format!(
                "revoked by {}",
                grant.revoked_by.as_deref().unwrap_or(NONE)
            )),
            _ => Cell::from(format!("ended {}", ago(now, grant.ends))),
        };
        table.row([
            Cell::from(&grant.id),
            Cell::from(&grant.playbook.0),
            Cell::from(grant.process.as_str()),
            Cell::from(&grant.risk),
            state,
            Cell::from(&grant.by),
            Cell::from(grant.uses.to_string()),
            Cell::from(
                grant
                    .last_used
                    .map_or_else(|| NONE.to_owned(), |at| ago(now, at)),
            ),
        ]);
    }
    ctx.output.table(&table)?;
    Ok(Exit::Success)
}

/// Takes one back.
pub(super) fn revoke(ctx: &Context, id: &str) -> Result<Exit, CliError> {
    let grant: Grant = ctx.call("agent.revoke", json!({ "id": id }))?;
    if ctx.output.is_json() {
        ctx.output.json(&grant)?;
    }
    ctx.output.done(&format!(
        "{} asks again before it acts on {}",
        clean_line(&grant.playbook.0),
        grant.process
    ))?;
    Ok(Exit::Success)
}
