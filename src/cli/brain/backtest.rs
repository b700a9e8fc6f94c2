//! `mhost brain backtest`: what a playbook would have done.

use brain::{Answered, Tried};
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{files, reply};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::when;
use crate::exit::Exit;
use crate::output::figures::{NONE, count, time};
use crate::output::style::Tone;
use crate::output::table::{Cell, Column, Table};

/// More rows of one kind say nothing new.
const ROWS: usize = 50;

/// One kind of answer.
type Is = fn(&Answered) -> bool;

#[derive(Debug, Deserialize)]
struct Reply {
    tried: Vec<Tried>,
}

/// Asks it about incidents and quiet windows.
pub(super) fn backtest(ctx: &Context, what: &str, since: &str) -> Result<Exit, CliError> {
    let since = when::parse("--since", since, ctx.clock.now(), &TimeZone::system())?;
    let params = match files::find(ctx, what)? {
        Some(found) => json!({
            "name": found.name, "format": found.format, "text": found.text, "since": since,
        }),
        None => json!({ "name": what, "since": since }),
    };
    let answer: Value = ctx.call("brain.backtest", params)?;
    if ctx.output.is_json() {
        ctx.output.json(&answer)?;
        return Ok(Exit::Success);
    }
    let Reply { tried } = reply(&answer)?;
    let (incidents, quiet): (Vec<&Tried>, Vec<&Tried>) =
        tried.iter().partition(|one| one.incident.is_some());
    tell(ctx, &incidents, &quiet)?;
    Ok(Exit::Success)
}

fn tell(ctx: &Context, incidents: &[&Tried], quiet: &[&Tried]) -> Result<(), CliError> {
    let number = |all: &[&Tried], is: fn(&Answered) -> bool| {
        all.iter().filter(|one| is(&one.answered)).count()
    };
    let acts = |it: &Answered| matches!(it, Answered::Acts { .. } | Answered::Rests { .. });
    let loud: Vec<&&Tried> = incidents
        .iter()
        .chain(quiet.iter().filter(|one| acts(&one.answered)))
        .filter(|one| !matches!(one.answered, Answered::Silent | Answered::NotAsked))
        .take(ROWS)
        .collect();
    if !loud.is_empty() {
        ctx.output.table(&table(&loud))?;
        ctx.output.line("")?;
    }
    if incidents.is_empty() && quiet.is_empty() {
        ctx.output
            .note("Nothing is recorded yet that it could be asked about.");
        return Ok(());
    }
    let of = |all: &[&Tried], what: &str| {
        let parts: [(&str, Is); 6] = [
            ("would have acted in", |it| {
                matches!(it, Answered::Acts { .. })
            }),
            ("rested in", |it| matches!(it, Answered::Rests { .. })),
            ("silent in", |it| matches!(it, Answered::Silent)),
            ("not asked in", |it| matches!(it, Answered::NotAsked)),
            ("diverged in", |it| matches!(it, Answered::Diverged { .. })),
            ("failed in", |it| matches!(it, Answered::Failed { .. })),
        ];
        let said: Vec<String> = parts
            .into_iter()
            .map(|(words, is)| (words, number(all, is)))
            .filter(|(_, number)| *number > 0)
            .map(|(words, number)| format!("{words} {number}"))
            .collect();
        format!("{what}: {}", said.join(", "))
    };
    for (all, one, many) in [
        (
            incidents,
            "recorded moment of trouble",
            "recorded moments of trouble",
        ),
        (quiet, "quiet window", "quiet windows"),
    ] {
        if !all.is_empty() {
            ctx.output.line(&of(all, &count(all.len(), one, many)))?;
        }
    }
    let alarms = number(quiet, acts);
    if alarms > 0 {
        ctx.output.warn(&format!(
            "It would have acted {} where nothing was wrong.",
            count(alarms, "time", "times")
        ));
    }
    Ok(())
}

fn table(rows: &[&&Tried]) -> Table {
    let mut table = Table::new([
        Column::new("TIME", 2),
        Column::new("INCIDENT", 1),
        Column::name("PROCESS"),
        Column::new("TRIGGER", 3),
        Column::new("WOULD HAVE", 0).at_least(12),
        Column::new("WAS DONE", 2).at_least(8),
        Column::new("OUTCOME", 3),
    ]);
    for row in rows {
        let would = match &row.answered {
            Answered::Acts { actions, .. } => Cell::toned(actions.join(", "), Tone::Busy),
            Answered::Rests { actions } => Cell::from(format!("rested ({})", actions.join(", "))),
            Answered::Diverged { question } => Cell::toned(
                format!("diverged: {question} was not recorded"),
                Tone::Quiet,
            ),
            Answered::Failed { error } => Cell::toned(format!("✗ {error}"), Tone::Bad),
            Answered::Silent => Cell::from("silent"),
            Answered::NotAsked => Cell::from("not asked"),
        };
        let done = if row.done.is_empty() {
            NONE.to_owned()
        } else {
            row.done.join(", ")
        };
        table.row([
            Cell::from(time(row.at, None)),
            Cell::from(row.incident.as_deref().unwrap_or("quiet")),
            Cell::from(row.process.as_str()),
            Cell::from(&row.trigger),
            would,
            Cell::from(done),
            Cell::from(row.outcome.as_deref().unwrap_or(NONE)),
        ]);
    }
    table
}
