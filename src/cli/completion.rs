//! `mhost completion`: what the shell needs to complete commands and flags.

use clap::Args;
use clap_complete::Shell;
use serde_json::json;

use super::context::Context;
use super::error::CliError;
use crate::exit::Exit;

/// Print the completion script of a shell
///
/// For bash: mhost completion bash > ~/.local/share/bash-completion/completions/mhost
#[derive(Debug, Args)]
pub(crate) struct Completion {
    /// The shell
    shell: Shell,
}

impl Completion {
    /// Writes the script, made from the same tree that reads the command line.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::tree(), "mhost", &mut script);
        let script = String::from_utf8_lossy(&script);
        if ctx.output.is_json() {
            let shell = self.shell.to_string();
            ctx.output
                .json(&json!({ "shell": shell, "script": script }))?;
        } else {
            ctx.output.write(&script)?;
        }
        Ok(Exit::Success)
    }
}
