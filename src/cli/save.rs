//! `mhost save`: write the process list down.

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::context::Context;
use super::error::CliError;
use crate::exit::Exit;
use crate::output::figures;

/// Write the process list to dump.toml, for `mhost resurrect`
#[derive(Debug, Args)]
pub(crate) struct Save {}

#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    count: usize,
    path: String,
}

impl Save {
    /// Prints how many and where.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let saved: Saved = ctx.call("process.save", json!({}))?;
        if ctx.output.is_json() {
            ctx.output.json(&saved)?;
        }
        let count = figures::count(saved.count, "process", "processes");
        ctx.output
            .done(&format!("saved {count} to {}", saved.path))?;
        Ok(Exit::Success)
    }
}
