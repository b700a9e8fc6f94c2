//! Telling what a start came to.

use serde_json::json;
use supervisor::Stream;
use supervisor::command::Target;
use supervisor::command::view::{StartChange, StartOutcome, Started};
use supervisor::logs::{LogPage, LogQuery};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::{list, status};
use crate::exit::Exit;

/// Lines of a failed process that are shown.
const LAST_LINES: usize = 10;

/// One line per process, then the status table; for each that did not come up its last words.
pub(crate) fn tell(ctx: &Context, outcome: &StartOutcome) -> Result<Exit, CliError> {
    if ctx.output.is_json() {
        ctx.output.json(outcome)?;
    }
    let mut exit = Exit::Success;
    for started in &outcome.processes {
        match &started.error {
            None => ctx.output.done(&line(started))?,
            Some(error) => {
                exit = Exit::Failure;
                if !ctx.output.is_json() {
                    failed(ctx, started, error);
                }
            }
        }
    }
    for name in &outcome.pruned {
        ctx.output.done(&format!("{name} removed"))?;
    }
    for name in &outcome.left_over {
        ctx.output.note(&format!(
            "  {name} is not in the file any more and was left alone (--prune removes it)"
        ));
    }
    if !(ctx.output.is_json() || ctx.output.is_quiet()) {
        let mut processes = list::read(list::fetch(ctx, None)?)?;
        processes.retain(|process| {
            let mut names = outcome.processes.iter().map(|started| &started.name);
            names.any(|name| *name == process.name)
        });
        if !processes.is_empty() {
            ctx.output.line("")?;
            status::print(ctx, &processes)?;
        }
    }
    if exit != Exit::Success && ctx.output.is_json() {
        return Err(CliError::failure("not every process came up"));
    }
    Ok(exit)
}

fn line(started: &Started) -> String {
    let word = match started.change {
        StartChange::Created | StartChange::Started => "started",
        StartChange::Updated => "updated and restarted",
        StartChange::Unchanged => "unchanged",
        StartChange::Registered if started.note.is_some() => "registered, not started",
        StartChange::Registered => "registered, not started (enabled = false)",
        StartChange::Removed => "removed",
        StartChange::LeftOver => "left alone",
    };
    let note = started.note.as_ref();
    let note = note.map_or_else(String::new, |note| format!(" ({note})"));
    format!("{} {word}{note}", started.name)
}

fn failed(ctx: &Context, started: &Started, error: &str) {
    let name = &started.name;
    let what = match started.change {
        StartChange::LeftOver => "could not be removed",
        _ => "did not come up",
    };
    ctx.output.fail(&format!("{name} {what}: {error}"));
    let query = LogQuery {
        target: Some(Target::process(name)),
        lines: LAST_LINES,
        stream: Some(Stream::Err),
        ..LogQuery::default()
    };
    // The reason was told; what it printed is only more of it.
    if let Ok(page) = ctx.call::<LogPage>("logs.query", json!(query)) {
        for line in page.lines {
            ctx.output.indented(&line.message);
        }
    }
    ctx.output
        .help(&format!("see all it printed: mhost logs {name} --err"));
}
