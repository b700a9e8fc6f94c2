//! `mhost restart`: stop and start again.

use clap::Args;
use serde_json::json;
use supervisor::OsText;
use supervisor::secret::{EnvVars, exposed};

use super::context::Context;
use super::error::CliError;
use super::target::{self, Targets};
use crate::exit::Exit;

/// Stop processes and start them again
///
/// A group is restarted one member at a time, in its order. What was stopped is started.
#[derive(Debug, Args)]
pub(crate) struct Restart {
    #[command(flatten)]
    targets: Targets,
    /// From now on use the environment of this shell
    #[arg(long)]
    update_env: bool,
    /// SIGKILL instead of the stop signal
    #[arg(long)]
    force: bool,
}

impl Restart {
    /// Returns when they run again.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let env = self.update_env.then(environment);
        target::each(
            ctx,
            &self.targets.list(),
            "process.restart",
            "restarted",
            |name| {
                let mut params = json!({ "name": name, "force": self.force });
                if let Some(env) = &env {
                    params["update_env"] = exposed(|| json!(env));
                }
                params
            },
        )
    }
}

/// The environment of the caller, without what mhost itself sets.
fn environment() -> EnvVars<OsText> {
    std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, OsText(value))))
        .filter(|(key, _)| !key.starts_with("MHOST_"))
        .collect()
}
