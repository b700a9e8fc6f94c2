//! `mhost audit`: who asked for what, and what came of it.

use std::collections::BTreeSet;

use clap::Args;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::json;
use supervisor::audit::{AuditRow, Phase};

use super::context::Context;
use super::error::CliError;
use super::when;
use crate::exit::Exit;
use crate::output::figures::{NONE, count, time};
use crate::output::style::Tone;
use crate::output::table::{Cell, Column, Table};

/// Show who asked for what, and what came of it
#[derive(Debug, Args)]
pub(crate) struct Audit {
    /// At most so many rows
    #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 50)]
    lines: usize,
    /// Only after this time: 1h, "2026-03-28 14:00", RFC 3339
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Check that no byte of what is kept was changed, added or taken away
    ///
    /// Each row holds a hash of itself and of all before it. Exit code 1 if something is wrong.
    #[arg(long, conflicts_with_all = ["lines", "since"])]
    verify: bool,
}

#[derive(Debug, Deserialize)]
struct AuditReply {
    rows: Vec<AuditRow>,
}

impl Audit {
    /// Prints `TIME WHO COMMAND SUBJECT RESULT`, one row per attempt, newest first.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        if self.verify {
            return verify(ctx);
        }
        // An attempt has up to two rows.
        let mut params = json!({ "limit": self.lines.saturating_mul(2) });
        if let Some(since) = &self.since {
            let since = when::parse("--since", since, ctx.clock.now(), &TimeZone::system())?;
            params["since"] = json!(since);
        }
        let AuditReply { rows } = ctx.call("audit.query", params)?;
        let attempts = attempts(rows, self.lines);
        if ctx.output.is_json() {
            ctx.output.json(&json!({ "rows": attempts }))?;
        } else if attempts.is_empty() {
            ctx.output.note("Nothing has been changed yet.");
        } else {
            ctx.output.table(&table(&attempts))?;
        }
        Ok(Exit::Success)
    }
}

/// Looks at the files themselves: whoever stands between would have to be trusted.
fn verify(ctx: &Context) -> Result<Exit, CliError> {
    let log = supervisor::audit::Audit::new(&ctx.paths()?, ctx.clock.clone());
    let found = log
        .verify()
        .map_err(|error| CliError::failure(format!("the audit log cannot be read: {error}")))?;
    let intact = found.problems.is_empty();
    if ctx.output.is_json() {
        ctx.output
            .json(&json!({ "intact": intact, "found": found }))?;
    } else if intact {
        ctx.output.done(&format!(
            "{}, and no byte of them was changed",
            count(
                usize::try_from(found.rows).unwrap_or(usize::MAX),
                "row",
                "rows"
            )
        ))?;
        if found.before > 0 {
            ctx.output.note(&format!(
                "  {} before them, of a version without hashes, as they were when it ended",
                count(
                    usize::try_from(found.before).unwrap_or(usize::MAX),
                    "line",
                    "lines"
                )
            ));
        }
    } else {
        return Err(
            CliError::failure("the audit log was changed".to_owned()).with_details(found.problems)
        );
    }
    Ok(if intact { Exit::Success } else { Exit::Failure })
}

/// The row that says most of each attempt, newest first.
fn attempts(mut rows: Vec<AuditRow>, most: usize) -> Vec<AuditRow> {
    rows.sort_by(|a, b| {
        (b.ts, &b.id, b.phase != Phase::Intent).cmp(&(a.ts, &a.id, a.phase != Phase::Intent))
    });
    let mut told = BTreeSet::new();
    let finished: BTreeSet<String> = rows
        .iter()
        .filter(|row| row.phase != Phase::Intent)
        .map(|row| row.id.clone())
        .collect();
    rows.retain(|row| {
        (row.phase != Phase::Intent || !finished.contains(&row.id)) && told.insert(row.id.clone())
    });
    rows.truncate(most);
    rows
}

fn table(rows: &[AuditRow]) -> Table {
    let mut table = Table::new([
        Column::new("TIME", 2),
        Column::new("WHO", 1).at_least(8).at_most(24),
        Column::new("COMMAND", 0).at_least(8),
        Column::new("SUBJECT", 1).at_least(8).at_most(32),
        Column::new("RESULT", 0).at_least(8),
    ]);
    for row in rows {
        let error = row.error.as_deref().unwrap_or(NONE);
        let result = match (row.phase, row.ok) {
            (Phase::Denied, _) => Cell::toned(format!("✗ denied: {error}"), Tone::Bad),
            (Phase::Intent, _) => Cell::toned("… no result recorded", Tone::Busy),
            (Phase::Result, Some(true)) => Cell::toned("✓ done", Tone::Good),
            (Phase::Result, _) => Cell::toned(format!("✗ failed: {error}"), Tone::Bad),
        };
        let command = if row.dry_run {
            format!("{} (dry run)", row.command)
        } else {
            row.command.clone()
        };
        let subject = if row.subject.is_empty() {
            NONE
        } else {
            &row.subject
        };
        table.row([
            Cell::from(time(row.ts, None)),
            Cell::from(&row.who),
            Cell::from(command),
            Cell::from(subject),
            result,
        ]);
    }
    table
}
