//! `mhost stop`: end processes and keep them registered.

use clap::Args;
use serde_json::json;
use supervisor::spec;

use super::context::Context;
use super::error::CliError;
use super::target::{self, Targets};
use crate::exit::Exit;

/// Stop processes and keep them registered
///
/// Each gets its stop signal, then its grace period, then SIGKILL. One instance (name:instance)
/// that is stopped by itself stays down until it, or the whole process, is started or restarted.
#[derive(Debug, Args)]
pub(crate) struct Stop {
    #[command(flatten)]
    targets: Targets,
    /// SIGKILL at once
    #[arg(long)]
    force: bool,
    /// Signal to send instead of the configured one, such as SIGINT
    #[arg(long, value_name = "SIGNAL", conflicts_with = "force")]
    signal: Option<spec::Signal>,
}

impl Stop {
    /// Returns when they are gone.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        target::each(
            ctx,
            &self.targets.list(),
            "process.stop",
            "stopped",
            |name| {
                let mut params = json!({ "name": name, "force": self.force });
                if let Some(signal) = &self.signal {
                    params["signal"] = json!(signal);
                }
                params
            },
        )
    }
}
