//! `mhost init`: a first `mhost.toml` to edit.

use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::error::CliError;
use crate::exit::Exit;

/// What is written. It is valid as it stands: a test loads it.
pub(crate) const STARTER: &str = include_str!("init/starter.toml");

/// Write a commented mhost.toml to start from
///
/// An existing file is never overwritten.
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// File to write
    #[arg(value_name = "FILE", default_value = "mhost.toml")]
    file: PathBuf,
}

impl Init {
    /// Creates the file, if there is none.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let shown = self.file.display();
        let created = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&self.file)
            .and_then(|mut file| file.write_all(STARTER.as_bytes()));
        match created {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(CliError::failure(format!("{shown} exists already"))
                    .with_help(format!("check what is there: mhost check {shown}")));
            }
            Err(error) => {
                return Err(CliError::failure(format!(
                    "could not write {shown}: {error}"
                )));
            }
        }
        if ctx.output.is_json() {
            ctx.output.json(&json!({ "written": self.file }))?;
        }
        ctx.output.done(&format!("wrote {shown}"))?;
        ctx.output.note("  edit it, then: mhost start");
        Ok(Exit::Success)
    }
}
