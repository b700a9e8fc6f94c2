//! `mhost reload`: replace without a gap.

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::error::CliError;
use super::target::{self, Targets};
use crate::exit::Exit;

/// Replace processes without a gap
///
/// New copies are started beside the old ones. When all pass their probes the old ones are
/// stopped; when one fails, the old ones stay and the exit code is 6. A process without probes
/// is restarted. In [process.NAME.reload] of the config file `surge` does it in batches,
/// `mode = "signal"` sends a signal to one copy after another instead, and `timeout` says how
/// long the new ones may take (30s); --timeout comes before it.
#[derive(Debug, Args)]
pub(crate) struct Reload {
    #[command(flatten)]
    targets: Targets,
    /// Return when the old copies are gone, and not when the new ones have passed their probes
    #[arg(long)]
    wait: bool,
}

impl Reload {
    /// Returns when the new ones have passed, or with `--wait` when the old ones are gone.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let limit = ctx.global.timeout.map(|limit| limit.as_millis() as u64);
        target::each(
            ctx,
            &self.targets.list(),
            "process.reload",
            "reloaded",
            |name| {
                let mut params = json!({ "name": name, "wait": self.wait });
                if let Some(limit) = limit {
                    params["timeout_ms"] = json!(limit);
                }
                params
            },
        )
    }
}
