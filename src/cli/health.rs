//! `mhost health`: what the probes say.

use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use supervisor::HealthStatus;
use supervisor::command::view::HealthView;

use super::context::{Context, duration};
use super::error::CliError;
use super::watch;
use crate::exit::Exit;
use crate::output::figures::{NONE, ago};
use crate::output::state;
use crate::output::table::{Cell, Column, Table};

/// Show what the probes say
#[derive(Debug, Args)]
pub(crate) struct Health {
    /// Name, name:instance, index, or group; all when left out
    target: Option<String>,
    /// Show it again and again, each second or as given
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = "1s", value_parser = duration)]
    watch: Option<Duration>,
    /// Exit with 1 when a probe fails
    #[arg(long)]
    exit_code: bool,
}

#[derive(Debug, Deserialize)]
struct HealthReply {
    health: Vec<HealthView>,
}

impl Health {
    /// Prints `NAME PROBE STATUS LAST CHECK LATENCY`.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        watch::repeat(ctx, self.watch, || self.show(ctx))
    }

    fn show(&self, ctx: &Context) -> Result<Exit, CliError> {
        let params = match &self.target {
            Some(target) => json!({ "name": target }),
            None => json!({}),
        };
        let HealthReply { health } = ctx.call("health.status", params)?;
        if ctx.output.is_json() {
            ctx.output.json(&json!({ "health": health }))?;
        } else if health.is_empty() {
            ctx.output
                .note("No processes. Start one: mhost start <app>");
        } else {
            ctx.output.table(&table(&health, ctx.clock.now()))?;
        }
        let failing = health.iter().any(|row| row.status == HealthStatus::Fail);
        Ok(if self.exit_code && failing {
            Exit::Failure
        } else {
            Exit::Success
        })
    }
}

fn table(health: &[HealthView], now: Timestamp) -> Table {
    let mut table = Table::new([
        Column::name("NAME"),
        Column::new("PROBE", 2),
        Column::new("STATUS", 0),
        Column::new("LAST CHECK", 4),
        Column::new("LATENCY", 3),
        Column::new("ERROR", 1).at_least(8),
    ]);
    let several = |row: &HealthView| {
        health
            .iter()
            .any(|other| other.name == row.name && other.instance != row.instance)
    };
    for row in health {
        let name = if several(row) {
            format!("{}:{}", row.name, row.instance)
        } else {
            row.name.to_string()
        };
        table.row([
            Cell::from(name),
            Cell::from(&row.probe),
            Cell::toned(row.status.as_str(), state::health_tone(row.status)),
            Cell::from(
                row.last_check
                    .map_or_else(|| NONE.into(), |at| ago(now, at)),
            ),
            Cell::from(latency(row)),
            Cell::from(row.error.as_deref().unwrap_or(NONE)),
        ]);
    }
    table
}

/// `12ms`, `timeout`; nothing for a script, whose time says nothing about the service.
fn latency(row: &HealthView) -> String {
    match (row.probe.as_str(), row.error.as_deref(), row.latency_ms) {
        ("script", _, _) | (_, _, None) => NONE.to_owned(),
        (_, Some("timeout"), _) => "timeout".to_owned(),
        (_, _, Some(ms)) => format!("{ms}ms"),
    }
}
