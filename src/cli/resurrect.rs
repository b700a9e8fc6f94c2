//! `mhost resurrect`: start what was saved.

use clap::Args;
use serde_json::json;
use supervisor::command::view::StartOutcome;

use super::context::Context;
use super::error::CliError;
use super::start::report;
use crate::exit::Exit;

/// Start what `mhost save` wrote down
///
/// What runs already is left alone.
#[derive(Debug, Args)]
pub(crate) struct Resurrect {}

impl Resurrect {
    /// Names each process and what came of it.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let outcome: StartOutcome = ctx.call_unlimited("process.resurrect", json!({}))?;
        if outcome.processes.is_empty() {
            ctx.output.note("The saved list is empty.");
        }
        report::tell(ctx, &outcome)
    }
}
