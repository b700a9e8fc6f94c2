//! `mhost ai fix`: keys that a model would change, as a diff, and on demand in the file.

mod edit;

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::optimize::diff;
use super::telling::{Manner, context, note};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::exit::Exit;
use crate::output::text::{clean, clean_block};

/// Say which settings to change so that a process does well, and change them with --apply
///
/// Needs a model. It may change limits, restarts, probes, schedules and the like, never what is
/// run, as whom, or with which environment. Without --apply nothing is changed.
#[derive(Debug, Args)]
pub(crate) struct Fix {
    /// The process
    name: String,
    /// Write the changes to the file it was started from, after a confirmation, and restart it
    #[arg(long)]
    apply: bool,
    #[command(flatten)]
    manner: Manner,
}

#[derive(Debug, Deserialize)]
pub(super) struct Reply {
    pub(super) process: String,
    explanation: String,
    pub(super) changes: Vec<Change>,
    refused: Vec<Refused>,
    diff: String,
    pub(super) project: Option<std::path::PathBuf>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Change {
    pub(super) key: String,
    pub(super) value: Value,
    why: String,
}

#[derive(Debug, Deserialize)]
struct Refused {
    key: String,
    why: String,
}

impl Fix {
    /// Asks, shows the diff, and applies it if that is wanted.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let params = json!({ "name": self.name });
        if let Some(shown) = context(ctx, "ai.fix", &params, self.manner)? {
            return Ok(shown);
        }
        let mut answer: Value = ctx.call_heard("ai.fix", params, |_| ())?;
        let reply: Reply = super::reply(&answer)?;
        if !ctx.output.is_json() {
            show(ctx, &reply)?;
            note(ctx, &answer);
        }
        let mut exit = Exit::Success;
        let mut failed = false;
        if self.apply && !reply.changes.is_empty() {
            let applied = edit::apply(ctx, &reply)?;
            failed = applied
                .outcome
                .processes
                .iter()
                .any(|one| one.error.is_some());
            answer["applied"] = json!(applied.file);
            answer["started"] = json!(applied.outcome);
            exit = applied.exit;
        }
        if ctx.output.is_json() {
            ctx.output.json(&answer)?;
            if failed {
                return Err(CliError::failure(format!(
                    "`{}` did not come up with these changes",
                    reply.process
                ))
                .with_help(format!("see why: mhost logs {}", reply.process)));
            }
        }
        Ok(exit)
    }
}

fn show(ctx: &Context, reply: &Reply) -> Result<(), CliError> {
    if !reply.explanation.is_empty() {
        ctx.output
            .line(clean_block(&reply.explanation).trim_end())?;
        ctx.output.line("")?;
    }
    if reply.changes.is_empty() {
        ctx.output.line("No key is to be changed.")?;
    } else {
        diff(ctx, &reply.diff)?;
        for one in &reply.changes {
            ctx.output
                .line(&format!("  {}: {}", clean(&one.key), clean(&one.why)))?;
        }
    }
    for one in &reply.refused {
        ctx.output.warn(&format!(
            "left out `{}`: {}",
            clean(&one.key),
            clean(&one.why)
        ));
    }
    Ok(())
}
