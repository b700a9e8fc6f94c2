//! `mhost delete`: stop and forget.

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::error::CliError;
use super::target::{self, Targets};
use crate::exit::Exit;

/// Stop processes and remove them from the list
///
/// The saved list of `mhost save` is not touched.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    #[command(flatten)]
    targets: Targets,
    /// SIGKILL at once
    #[arg(long)]
    force: bool,
    /// Keep the stored log lines
    #[arg(long)]
    keep_logs: bool,
}

impl Delete {
    /// Returns when they are gone.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        target::each(
            ctx,
            &self.targets.list(),
            "process.delete",
            "deleted",
            |name| json!({ "name": name, "force": self.force, "keep_logs": self.keep_logs }),
        )
    }
}
