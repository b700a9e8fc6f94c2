//! `mhost monit`: the way into the screen.

use std::io::IsTerminal;

use clap::Args;

use super::context::Context;
use super::error::CliError;
use crate::exit::Exit;
use crate::tui::{self, Ended};

/// Watch all processes on one screen: usage, logs, health, events
#[derive(Debug, Args)]
#[command(after_help = "Press ? in it for the keys. It needs a terminal; \
    in a script use mhost list --json.")]
pub(crate) struct Monit {}

impl Monit {
    /// Shows the screen until somebody leaves it.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        if ctx.output.is_json() {
            return Err(CliError::config("monit is a screen and prints no JSON")
                .with_help("for data: mhost list --json, or mhost metrics show --json"));
        }
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
        if dumb || !std::io::stdin().is_terminal() || !ctx.output.is_terminal() {
            return Err(CliError::config("monit needs a terminal, and this is none")
                .with_help("for a script: mhost list --json; to watch: mhost status --watch"));
        }
        ctx.reach()?;
        let paths = ctx.paths()?;
        match tui::run(&paths, ctx.output.painter().on) {
            Ok(Ended::Left) => Ok(Exit::Success),
            Ok(Ended::By(what)) => Err(CliError::failure(format!("monit was ended by {what}"))),
            Err(error) => Err(
                CliError::failure(format!("the terminal cannot be used: {error}"))
                    .with_help("in a script use mhost list --json"),
            ),
        }
    }
}
