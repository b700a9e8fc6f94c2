//! `mhost ai config`: a config file from a description.

use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::telling::{Manner, context};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::exit::Exit;
use crate::output::text::clean_text;

/// Write a valid mhost.toml from a description
///
/// Needs a model. What it writes is checked as any other file before you see it; nothing is
/// started.
#[derive(Debug, Args)]
pub(crate) struct Config {
    /// What is to run: "two copies of server.js on ports 3000 and 3001, and a worker"
    description: String,
    /// Write it to this file, which must not exist
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    manner: Manner,
}

impl Config {
    /// Asks, and prints or writes the file.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let params = json!({ "description": self.description });
        if let Some(shown) = context(ctx, "ai.config", &params, self.manner)? {
            return Ok(shown);
        }
        let mut answer: Value = ctx.call_heard("ai.config", params, |_| ())?;
        let text = clean_text(answer["toml"].as_str().unwrap_or_default());
        if let Some(file) = &self.output {
            create(file, &text)?;
            answer["written"] = json!(file);
        }
        if ctx.output.is_json() {
            ctx.output.json(&answer)?;
        } else if let Some(file) = &self.output {
            ctx.output.done(&format!("wrote {}", file.display()))?;
            ctx.output.note("  read it, then: mhost start");
        } else {
            ctx.output.write(&text)?;
        }
        Ok(Exit::Success)
    }
}

fn create(file: &std::path::Path, text: &str) -> Result<(), CliError> {
    let shown = file.display();
    let created = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(file)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    created.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => CliError::failure(format!("{shown} exists already")),
        _ => CliError::failure(format!("could not write {shown}: {error}")),
    })
}
