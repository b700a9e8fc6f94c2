//! `mhost ai report`: what happened, as Markdown to send.

use std::path::PathBuf;

use clap::Args;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::telling::{Manner, context, note};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::when;
use crate::exit::Exit;
use crate::output::text::clean_text;

/// Write a report on the last day as Markdown: incidents, uptime, actions, errors, what to do
///
/// The figures are mhost's own. A model, if one is set up, writes the paragraphs above them.
#[derive(Debug, Args)]
pub(crate) struct Report {
    /// From when on: `7d`, `2026-03-28` [default: 24h]
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Write it to this file
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    manner: Manner,
}

impl Report {
    /// Asks, and prints or writes the text.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let zone = TimeZone::system();
        let mut params = json!({ "zone": zone.iana_name() });
        if let Some(since) = &self.since {
            let since = when::parse("--since", since, ctx.clock.now(), &zone)?;
            params["since"] = json!(since);
        }
        if let Some(shown) = context(ctx, "ai.report", &params, self.manner)? {
            return Ok(shown);
        }
        // Its paragraphs stand within the text, so that it is shown when it is whole.
        let mut answer: Value = ctx.call_heard("ai.report", params, |_| ())?;
        let text = clean_text(answer["markdown"].as_str().unwrap_or_default());
        if let Some(file) = &self.output {
            write(file, &text)?;
            answer["written"] = json!(file);
        }
        if ctx.output.is_json() {
            ctx.output.json(&answer)?;
        } else if let Some(file) = &self.output {
            ctx.output.done(&format!("wrote {}", file.display()))?;
        } else {
            ctx.output.write(&text)?;
        }
        note(ctx, &answer);
        Ok(Exit::Success)
    }
}

/// Writes the file as a whole: who reads it sees the old one or the new one.
fn write(file: &std::path::Path, text: &str) -> Result<(), CliError> {
    let failed = |error: std::io::Error| {
        CliError::failure(format!("could not write {}: {error}", file.display()))
    };
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = file.with_file_name(name);
    std::fs::write(&new, text).map_err(failed)?;
    std::fs::rename(&new, file).map_err(|error| {
        let _ = std::fs::remove_file(&new);
        failed(error)
    })
}
