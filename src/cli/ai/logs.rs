//! `mhost ai logs`: what a log says, or the answer to a question about it.

use clap::Args;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Value, json};

use super::telling::{Manner, tell};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::when;
use crate::exit::Exit;
use crate::output::figures::{count, time};
use crate::output::style::Tone;
use crate::output::text::{clean, cut};

/// Rows of each list that are shown.
const ROWS: usize = 10;

/// Say what a log tells: errors by kind, what happened when
///
/// With a question a model says what to look for, mhost looks for it, and the model answers
/// from what was really found.
#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// The process
    name: String,
    /// A question: "why do payments fail since noon?"
    question: Option<String>,
    /// From when on: `30m`, `2026-03-28 14:00` [default: 1h]
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    #[command(flatten)]
    manner: Manner,
}

#[derive(Debug, Deserialize)]
struct Reply {
    process: String,
    lines: u64,
    error_lines: u64,
    kinds: u64,
    errors: Vec<Kind>,
    top: Vec<Kind>,
    timeline: Vec<Moment>,
}

#[derive(Debug, Deserialize)]
struct Kind {
    pattern: String,
    count: u64,
}

#[derive(Debug, Deserialize)]
struct Moment {
    at: jiff::Timestamp,
    what: String,
}

impl Logs {
    /// Asks and shows the answer.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let mut params = json!({ "name": self.name, "question": self.question });
        if let Some(since) = &self.since {
            let zone = TimeZone::system();
            params["since"] = json!(when::parse("--since", since, ctx.clock.now(), &zone)?);
        }
        let asks = self.question.is_some();
        tell(ctx, "ai.logs", params, self.manner, |answer| {
            show(ctx, answer, asks)
        })
    }
}

fn show(ctx: &Context, answer: &Value, asks: bool) -> Result<(), CliError> {
    let reply: Reply = super::reply(answer)?;
    let (output, painter) = (&ctx.output, ctx.output.painter());
    output.line(&format!(
        "{}: {} lines of {}, {} of them errors",
        clean(&reply.process),
        reply.lines,
        count(
            usize::try_from(reply.kinds).unwrap_or(usize::MAX),
            "kind",
            "kinds"
        ),
        reply.error_lines
    ))?;
    let room = output.width().unwrap_or(120).saturating_sub(12).max(20);
    let list = |title: &str, kinds: &[Kind], tone: Tone| -> Result<(), CliError> {
        if kinds.is_empty() {
            return Ok(());
        }
        output.line("")?;
        output.line(&painter.paint(title, Tone::Strong))?;
        for one in kinds.iter().take(ROWS) {
            let pattern = clean(&one.pattern);
            let text = format!("  {:>8}  {}", one.count, cut(&pattern, room));
            output.line(&painter.paint(&text, tone))?;
        }
        Ok(())
    };
    list("errors by kind", &reply.errors, Tone::Bad)?;
    // With a question the answer matters, not the whole.
    if asks {
        return Ok(());
    }
    list("all kinds", &reply.top, Tone::Quiet)?;
    if !reply.timeline.is_empty() {
        output.line("")?;
        output.line(&painter.paint("what happened when", Tone::Strong))?;
        let zone = TimeZone::system();
        for one in &reply.timeline {
            let what = clean(&one.what);
            output.line(&format!(
                "  {}  {}",
                time(one.at, Some(&zone)),
                cut(&what, room)
            ))?;
        }
    }
    Ok(())
}
