//! `mhost cron`: which process is restarted when.

use clap::Args;
use serde::Deserialize;
use serde_json::json;
use supervisor::command::view::CronView;

use super::context::Context;
use super::error::CliError;
use crate::exit::Exit;
use crate::output::figures::{NONE, ahead, time};
use crate::output::table::{Cell, Column, Table};

/// Show scheduled restarts
#[derive(Debug, Args)]
pub(crate) struct Cron {}

#[derive(Debug, Deserialize)]
struct CronReply {
    cron: Vec<CronView>,
}

impl Cron {
    /// Prints `NAME SCHEDULE TIMEZONE NEXT LAST`.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let CronReply { cron } = ctx.call("process.cron", json!({}))?;
        if ctx.output.is_json() {
            ctx.output.json(&json!({ "cron": cron }))?;
            return Ok(Exit::Success);
        }
        if cron.is_empty() {
            ctx.output
                .note("No schedules. Set cron_restart in mhost.toml.");
            return Ok(Exit::Success);
        }
        let now = ctx.clock.now();
        let mut table = Table::new([
            Column::name("NAME"),
            Column::new("SCHEDULE", 1).at_least(9),
            Column::new("TIMEZONE", 3),
            Column::new("NEXT", 2),
            Column::new("LAST", 4),
        ]);
        for row in cron {
            let next = row
                .next
                .map(|at| format!("{} ({})", time(at, None), ahead(now, at)));
            table.row([
                Cell::from(row.name.as_str()),
                Cell::from(row.schedule),
                Cell::from(row.timezone),
                Cell::from(next.unwrap_or_else(|| NONE.into())),
                Cell::from(row.last.map_or_else(|| NONE.into(), |at| time(at, None))),
            ]);
        }
        ctx.output.table(&table)?;
        Ok(Exit::Success)
    }
}
