//! `mhost daemon run`: what a service manager, or the first command, starts.

use clap::Args;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::daemon;

/// Run the daemon in the foreground, with the guard that starts it again when it dies
#[derive(Debug, Args)]
pub(super) struct Run {
    /// Start what `mhost save` wrote down
    #[arg(long)]
    resurrect: bool,
    /// Run the daemon proper: what the guard starts
    #[arg(long, hide = true)]
    core: bool,
    /// Run the guard of a daemon that has lost its former one
    #[arg(long, hide = true, value_name = "PID", conflicts_with_all = ["core", "resurrect"])]
    guard_of: Option<i32>,
}

impl Run {
    /// Ends the process with the daemon's own exit code, which its guard reads.
    pub(super) fn run(self, ctx: &Context) -> Result<std::convert::Infallible, CliError> {
        let paths = ctx.paths()?;
        let code = match self.guard_of {
            Some(pid) => daemon::run_new_guard(&paths, pid),
            None if self.core => daemon::run_core(&paths, self.resurrect),
            None => daemon::run_guard(&paths, self.resurrect),
        };
        std::process::exit(i32::from(code))
    }
}
