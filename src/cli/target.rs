//! The targets of a command, and doing one thing to each of them.

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};
use supervisor::command::Done;

use super::context::Context;
use super::error::CliError;
use crate::exit::Exit;

/// Whom a command is about.
#[derive(Debug, Clone, Args)]
pub(crate) struct Targets {
    /// Name, name:instance, index of `mhost list`, group, glob, or all
    #[arg(value_name = "TARGET", required_unless_present = "group")]
    targets: Vec<String>,
    /// A group, also where a process has the same name
    #[arg(long, value_name = "GROUP")]
    group: Vec<String>,
}

impl Targets {
    /// As the daemon reads them.
    pub(crate) fn list(&self) -> Vec<String> {
        let groups = self.group.iter().map(|group| format!("group:{group}"));
        self.targets.iter().cloned().chain(groups).collect()
    }
}

/// What the daemon answers when it did something to targets.
#[derive(Debug, Deserialize)]
pub(crate) struct DoneReply {
    pub(crate) done: Vec<Done>,
}

/// Calls `method` for each target and tells what came of it. Each target is tried; the worst
/// outcome is the exit code.
pub(crate) fn each(
    ctx: &Context,
    targets: &[String],
    method: &str,
    past: &str,
    params: impl Fn(&str) -> Value,
) -> Result<Exit, CliError> {
    let mut worst = Exit::Success;
    let mut all = Vec::new();
    for target in targets {
        let params = params(target);
        // Where the daemon keeps the limit, it answers what became of it.
        let asked: Result<DoneReply, CliError> = if params.get("timeout_ms").is_some() {
            ctx.call_waiting(method, params)
        } else {
            ctx.call_unlimited(method, params)
        };
        match asked {
            Ok(reply) => all.extend(reply.done),
            Err(error) if targets.len() == 1 => return Err(error),
            Err(error) => {
                if matches!(error.exit(), Exit::NotRunning | Exit::Protocol) {
                    return Err(error);
                }
                ctx.output.error(&error);
                worst = worst.max(error.exit());
            }
        }
    }
    Ok(worst.max(tell(ctx, past, &all)?))
}

/// Tells what was done to each target.
pub(crate) fn tell(ctx: &Context, past: &str, all: &[Done]) -> Result<Exit, CliError> {
    let output = &ctx.output;
    if output.is_json() {
        output.json(&json!({ "done": all }))?;
    }
    let mut exit = Exit::Success;
    for done in all {
        let target = &done.target;
        match (&done.error, &done.note) {
            (Some(error), _) => {
                exit = Exit::Failure;
                if !output.is_json() {
                    output.fail(&format!("{target}: {error}"));
                    output.help(&format!("look at its log: mhost logs {target} --err"));
                }
            }
            (None, Some(note)) if done.changed => {
                output.done(&format!("{target} {past} ({note})"))?;
            }
            (None, Some(note)) => output.done(&format!("{target} {note}"))?,
            (None, None) if done.changed => output.done(&format!("{target} {past}"))?,
            (None, None) => output.done(&format!("{target}: nothing to do"))?,
        }
    }
    Ok(exit)
}
