//! `mhost signal`: send a signal to the process group.

use clap::Args;
use serde_json::json;
use supervisor::spec;

use super::context::Context;
use super::error::CliError;
use super::target;
use crate::exit::Exit;

/// Send a signal to a process and its children
#[derive(Debug, Args)]
pub(crate) struct Signal {
    /// Name, name:instance, index, group, glob, or all
    target: String,
    /// Signal, such as SIGHUP or HUP
    signal: spec::Signal,
}

impl Signal {
    /// Returns when it is sent.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let past = format!("got {}", self.signal);
        target::each(
            ctx,
            std::slice::from_ref(&self.target),
            "process.signal",
            &past,
            |name| json!({ "name": name, "signal": self.signal }),
        )
    }
}
