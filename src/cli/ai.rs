//! `mhost ai`: what is wrong and what is likely to go wrong, with a model or without one.
//!
//! A file per command; this one only hands over.

mod diagnose;

use clap::{Args, Subcommand};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::context::Context;
use super::error::CliError;
use crate::exit::Exit;

/// Name the cause of what is wrong
#[derive(Debug, Args)]
pub(crate) struct Ai {
    #[command(subcommand)]
    command: AiCommand,
}

#[derive(Debug, Subcommand)]
enum AiCommand {
    Diagnose(diagnose::Diagnose),
}

impl Ai {
    /// Runs the subcommand.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        match self.command {
            AiCommand::Diagnose(command) => command.run(ctx),
        }
    }
}

/// An answer of the daemon in the form that its command expects.
fn reply<T: DeserializeOwned>(answer: &Value) -> Result<T, CliError> {
    T::deserialize(answer).map_err(|error| {
        CliError::new(
            Exit::Protocol,
            format!("the daemon's answer is not as agreed: {error}"),
        )
        .with_help("the daemon may be of another version: mhost daemon upgrade")
    })
}
