//! `mhost daemon upgrade`: another binary in the daemon's place.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use supervisor::after;
use supervisor::command::view::VersionView;

use super::POLL;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::watch::pause;
use crate::exit::Exit;

/// How long the change may take: the new one has 5 s, then the former one starts again.
const PATIENCE: Duration = Duration::from_secs(20);

/// Put another binary in the daemon's place; no process is restarted
///
/// A binary that does not come up within 5 seconds is replaced by the former one.
#[derive(Debug, Args)]
pub(super) struct Upgrade {
    /// The new binary [default: the file the daemon was started from]
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
}

impl Upgrade {
    /// Returns when the new daemon answers.
    pub(super) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let binary = self.binary.map(std::path::absolute).transpose()?;
        let former: VersionView = ctx.ask_any("daemon.version", json!({}))?;
        let answer: Value = ctx.ask_any("daemon.upgrade", json!({ "binary": binary }))?;
        let wanted = PathBuf::from(answer["binary"].as_str().unwrap_or_default());
        let deadline = after(ctx.clock.now(), PATIENCE);
        let now: VersionView = loop {
            match ctx.ask_any::<VersionView>("daemon.version", json!({})) {
                Ok(now) if now.pid != former.pid => break now,
                _ if ctx.clock.now() >= deadline => {
                    return Err(CliError::failure("no daemon answers after the upgrade")
                        .with_help("see what it says: mhost daemon logs"));
                }
                _ => pause(POLL),
            }
        };
        if !runs(now.pid, &wanted) {
            return Err(CliError::failure(format!(
                "`{}` did not come up; mhost {} runs again and no process was touched",
                wanted.display(),
                now.version
            ))
            .with_help("see what it said: mhost daemon logs"));
        }
        if ctx.output.is_json() {
            ctx.output
                .json(&json!({ "from": former.version, "to": now.version, "pid": now.pid }))?;
        }
        ctx.output.done(&format!(
            "daemon upgraded from {} to {} (pid {})",
            former.version, now.version, now.pid
        ))?;
        Ok(Exit::Success)
    }
}

/// Is this binary what the process runs?
fn runs(pid: u32, binary: &Path) -> bool {
    let running = std::fs::read_link(format!("/proc/{pid}/exe"));
    match (running, binary.canonicalize()) {
        (Ok(running), Ok(wanted)) => running == wanted,
        _ => false,
    }
}
