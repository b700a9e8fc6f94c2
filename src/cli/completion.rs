//! `mhost completion`: what the shell needs to complete commands and flags.

use clap::Args;
use clap_complete::Shell;

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
        ctx.output.write(&String::from_utf8_lossy(&script))?;
        Ok(Exit::Success)
    }
}
