//! `mhost ai optimize`: settings that a day of figures supports.

use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};

use super::telling::{Manner, tell};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::exit::Exit;
use crate::output::figures::count;
use crate::output::style::Tone;
use crate::output::text::{clean, clean_line};

/// Suggest settings for a process by what it used in the last day
///
/// Looks at copies, max_memory, probe times and restarts. Nothing is changed.
#[derive(Debug, Args)]
pub(crate) struct Optimize {
    /// The process
    name: String,
    #[command(flatten)]
    manner: Manner,
}

#[derive(Debug, Deserialize)]
struct Reply {
    process: String,
    suggestions: Vec<Suggestion>,
    diff: String,
    seen: Seen,
}

#[derive(Debug, Deserialize)]
struct Suggestion {
    key: String,
    why: String,
}

#[derive(Debug, Deserialize)]
struct Seen {
    seconds: f64,
    samples: usize,
}

impl Optimize {
    /// Asks and shows the diff.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let params = json!({ "name": self.name });
        tell(ctx, "ai.optimize", params, self.manner, |answer| {
            show(ctx, answer)
        })
    }
}

fn show(ctx: &Context, answer: &Value) -> Result<(), CliError> {
    let reply: Reply = super::reply(answer)?;
    let seen = brain::numbers::span(reply.seen.seconds);
    let samples = count(reply.seen.samples, "sample", "samples");
    if reply.suggestions.is_empty() {
        return ctx.output.done(&format!(
            "{}: nothing to change by {samples} in {seen}",
            clean(&reply.process)
        ));
    }
    ctx.output.line(&format!(
        "{}: by {samples} in {seen}",
        clean(&reply.process)
    ))?;
    for one in &reply.suggestions {
        ctx.output
            .line(&format!("  {}: {}", clean(&one.key), clean(&one.why)))?;
    }
    ctx.output.line("")?;
    diff(ctx, &reply.diff)
}

/// Lines of a diff, what goes and what comes in their colours.
pub(super) fn diff(ctx: &Context, text: &str) -> Result<(), CliError> {
    let painter = ctx.output.painter();
    for line in text.lines() {
        let tone = match line.as_bytes().first() {
            Some(b'+') => Tone::Good,
            Some(b'-') => Tone::Bad,
            _ => Tone::Quiet,
        };
        ctx.output.line(&painter.paint(&clean_line(line), tone))?;
    }
    Ok(())
}
