//! `mhost limits`: what a process may use, and what it uses.

use clap::Args;
use serde::Deserialize;
use serde_json::json;
use supervisor::command::view::LimitsView;

use super::context::Context;
use super::error::CliError;
use crate::exit::Exit;
use crate::output::figures::{NONE, memory};
use crate::output::table::{Cell, Column, Table};

/// Show the limits of a process and what is used of them
#[derive(Debug, Args)]
pub(crate) struct Limits {
    /// Name, name:instance, index, group, glob, or all
    target: String,
}

#[derive(Debug, Deserialize)]
struct LimitsReply {
    limits: Vec<LimitsView>,
}

impl Limits {
    /// Prints a row per instance.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let LimitsReply { limits } = ctx.call("process.limits", json!({ "name": self.target }))?;
        if ctx.output.is_json() {
            ctx.output.json(&json!({ "limits": limits }))?;
            return Ok(Exit::Success);
        }
        let mut table = Table::new([
            Column::name("NAME"),
            Column::new("INST", 2),
            Column::new("MEM", 1),
            Column::new("MAX MEM", 1),
            Column::new("RESTARTS LEFT", 2),
            Column::new("FDS", 3),
            Column::new("MAX FDS", 4),
            Column::new("MAX CPU", 5),
        ]);
        let number = |value: Option<u64>| value.map_or_else(|| NONE.into(), |n| n.to_string());
        let size = |value: Option<u64>| value.map_or_else(|| NONE.into(), memory);
        for row in limits {
            table.row([
                Cell::from(row.name.as_str()),
                Cell::from(row.instance.to_string()),
                Cell::from(size(row.memory_bytes)),
                Cell::from(size(row.max_memory)),
                Cell::from(
                    row.restarts_left
                        .map_or_else(|| "unlimited".into(), |n| n.to_string()),
                ),
                Cell::from(number(row.fds)),
                Cell::from(number(row.nofile)),
                Cell::from(
                    row.cpu_seconds
                        .map_or_else(|| NONE.into(), |s| format!("{s}s")),
                ),
            ]);
        }
        ctx.output.table(&table)?;
        Ok(Exit::Success)
    }
}
