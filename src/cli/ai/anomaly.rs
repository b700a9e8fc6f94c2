//! `mhost ai anomaly`: what is not as it usually is at this hour.

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::telling::{Manner, tell};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::exit::Exit;
use crate::output::figures::count;
use crate::output::style::Tone;
use crate::output::table::{Cell, Column, Table};

/// Find what is unusual: logs, errors, CPU, memory, probes, new kinds of lines
///
/// Each figure is compared with the same hour of earlier days, or with the last 24 hours where
/// there are not enough days, or with the last hour of a young process.
#[derive(Debug, Args)]
pub(crate) struct Anomaly {
    /// The process; all when left out
    name: Option<String>,
    #[command(flatten)]
    manner: Manner,
}

#[derive(Debug, Deserialize)]
struct Reply {
    anomalies: Vec<Row>,
    watched: Vec<Watched>,
}

#[derive(Debug, Deserialize)]
struct Row {
    severity: String,
    process: String,
    what: String,
    evidence: String,
}

#[derive(Debug, Deserialize)]
struct Watched {
    figures: Vec<Figure>,
}

#[derive(Debug, Deserialize)]
struct Figure {
    basis: Option<String>,
}

impl Anomaly {
    /// Asks and shows the list.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let params = match self.name {
            Some(name) => json!({ "name": name }),
            None => json!({}),
        };
        tell(ctx, "ai.anomaly", params, self.manner, |answer| {
            show(ctx, answer)
        })
    }
}

fn show(ctx: &Context, answer: &Value) -> Result<(), CliError> {
    let reply: Reply = super::reply(answer)?;
    let figures = || reply.watched.iter().flat_map(|one| &one.figures);
    let compared = figures().filter(|one| one.basis.is_some()).count();
    let young = figures().count() - compared;
    if reply.anomalies.is_empty() {
        ctx.output.done(&format!(
            "nothing unusual in {} of {}",
            count(compared, "figure", "figures"),
            count(reply.watched.len(), "process", "processes")
        ))?;
    } else {
        let mut table = Table::new(vec![
            Column::new("SEVERITY", 0),
            Column::name("PROCESS"),
            Column::new("WHAT", 0).at_least(24),
            Column::new("EVIDENCE", 1).at_least(16),
        ]);
        for row in &reply.anomalies {
            let tone = match row.severity.as_str() {
                "critical" => Tone::Bad,
                "warning" => Tone::Busy,
                _ => Tone::Quiet,
            };
            table.row(vec![
                Cell::toned(&row.severity, tone),
                Cell::from(&row.process),
                Cell::from(&row.what),
                Cell::from(&row.evidence),
            ]);
        }
        ctx.output.table(&table)?;
    }
    if young > 0 {
        ctx.output.note(&format!(
            "{} too young to compare.",
            count(young, "figure is", "figures are")
        ));
    }
    Ok(())
}
