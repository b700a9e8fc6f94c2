//! `mhost status`: the short table, or one process in full.

use std::time::Duration;

use clap::Args;
use serde_json::json;
use supervisor::command::view::ProcessView;

use super::context::{Context, duration};
use super::error::CliError;
use super::{info, list, watch};
use crate::exit::Exit;
use crate::output::figures::{NONE, cpu, memory};
use crate::output::table::{Cell, Column, Table};

/// Show how processes are; with a target, all about it
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Name, name:instance, index, group, glob, or all
    target: Option<String>,
    /// Only those with this tag
    #[arg(long, conflicts_with = "target")]
    tag: Option<String>,
    /// Show it again and again, each second or as given
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = "1s", value_parser = duration)]
    watch: Option<Duration>,
}

impl Status {
    /// Prints the table, or the details of the target.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        watch::repeat(ctx, self.watch, || match &self.target {
            Some(target) => info::show(ctx, target),
            None => self.show(ctx),
        })
    }

    fn show(&self, ctx: &Context) -> Result<Exit, CliError> {
        let reply = list::fetch(ctx, self.tag.as_deref())?;
        if ctx.output.is_json() {
            return list::print_json(ctx, reply);
        }
        print(ctx, &list::read(reply)?)
    }
}

/// Prints the status table.
pub(crate) fn print(ctx: &Context, processes: &[ProcessView]) -> Result<Exit, CliError> {
    if processes.is_empty() {
        ctx.output
            .line("No processes. Start one: mhost start <app>")?;
    } else {
        ctx.output.table(&table(processes))?;
    }
    Ok(Exit::Success)
}

/// The processes that a target means.
pub(crate) fn of(ctx: &Context, target: &str) -> Result<Vec<ProcessView>, CliError> {
    list::read(ctx.call("process.status", json!({ "name": target }))?)
}

fn table(processes: &[ProcessView]) -> Table {
    let mut table = Table::new([
        Column::name("NAME"),
        Column::new("PID", 4),
        Column::new("STATUS", 0).at_least(10),
        Column::new("CPU", 2),
        Column::new("MEM", 1),
        Column::new("RESTARTS", 3),
    ]);
    for process in processes {
        for instance in &process.instances {
            let name = if process.instances.len() > 1 {
                format!("{}:{}", process.name, instance.index)
            } else {
                process.name.to_string()
            };
            table.row([
                Cell::from(name),
                Cell::from(list::pid(instance)),
                list::status(instance),
                Cell::from(instance.cpu_percent.map_or_else(|| NONE.into(), cpu)),
                Cell::from(instance.memory_bytes.map_or_else(|| NONE.into(), memory)),
                Cell::from(instance.restarts.to_string()),
            ]);
        }
        if process.instances.is_empty() {
            let none = || Cell::from(NONE);
            table.row([
                Cell::from(process.name.as_str()),
                none(),
                list::idle(process),
                none(),
                none(),
                none(),
            ]);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::style::Painter;

    #[test]
    fn the_short_table_has_the_documented_columns() {
        let shown = table(&list::tests::sample()).render(Some(80), Painter::PLAIN);
        insta::assert_snapshot!(shown, @r"
        NAME                      STATUS                        CPU    MEM   RESTARTS
        api:0                     ● online                      12.3%  48MB  2
        api:1                     ◐ starting                    12.3%  48MB  2
        a-worker-with-a-very-lo…  ✗ errored (retry in 3.2s, 4)  —      —     2
        report                    ○ stopped                     —      —     —
        ");
    }
}
