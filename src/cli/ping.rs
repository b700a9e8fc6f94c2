//! `mhost ping`: is the daemon there?

use clap::Args;
use serde_json::json;
use supervisor::command::view::VersionView;

use super::context::Context;
use super::error::CliError;
use crate::exit::Exit;
use crate::output::figures::span_ms;

/// Ask the daemon whether it is there
///
/// The daemon is not started; exit code 4 says it does not run.
#[derive(Debug, Args)]
pub(crate) struct Ping {}

impl Ping {
    /// Prints `pong v… pid … uptime …`.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let daemon: VersionView = ctx.ask("daemon.version", json!({}))?;
        if ctx.output.is_json() {
            ctx.output.json(&daemon)?;
        } else {
            let VersionView {
                version,
                pid,
                uptime_ms,
                ..
            } = daemon;
            let uptime = span_ms(uptime_ms);
            ctx.output
                .line(&format!("pong v{version} pid {pid} uptime {uptime}"))?;
        }
        Ok(Exit::Success)
    }
}
