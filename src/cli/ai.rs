//! `mhost ai`: what is wrong and what is likely to go wrong, with a model or without one.
//!
//! A file per command; this one only hands over.

mod anomaly;
mod ask;
mod compare;
mod config;
mod diagnose;
pub(super) mod draft;
mod explain;
mod fix;
mod logs;
mod optimize;
mod postmortem;
mod predict;
mod prompts;
mod report;
pub(super) mod setup;
mod suggest;
mod telling;

use clap::{Args, Subcommand};
use serde::de::DeserializeOwned;
use serde_json::Value;

pub(super) use ask::put;
pub(super) use telling::Manner;

use super::context::Context;
use super::error::CliError;
use crate::exit::Exit;

/// Say what is wrong, what will be, and what to change
#[derive(Debug, Args)]
pub(crate) struct Ai {
    #[command(subcommand)]
    command: AiCommand,
}

#[derive(Debug, Subcommand)]
enum AiCommand {
    Diagnose(diagnose::Diagnose),
    Ask(ask::Ask),
    Predict(predict::Predict),
    #[command(visible_alias = "watch")]
    Anomaly(anomaly::Anomaly),
    Compare(compare::Compare),
    Logs(logs::Logs),
    Optimize(optimize::Optimize),
    Suggest(suggest::Suggest),
    Report(report::Report),
    Postmortem(postmortem::Postmortem),
    Explain(explain::Explain),
    Fix(fix::Fix),
    Config(config::Config),
    Setup(setup::Setup),
    Prompts(prompts::Prompts),
}

impl Ai {
    /// Runs the subcommand.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let done = match self.command {
            AiCommand::Diagnose(command) => command.run(ctx),
            AiCommand::Ask(command) => command.run(ctx),
            AiCommand::Predict(command) => command.run(ctx),
            AiCommand::Anomaly(command) => command.run(ctx),
            AiCommand::Compare(command) => command.run(ctx),
            AiCommand::Logs(command) => command.run(ctx),
            AiCommand::Optimize(command) => command.run(ctx),
            AiCommand::Suggest(command) => command.run(ctx),
            AiCommand::Report(command) => command.run(ctx),
            AiCommand::Postmortem(command) => command.run(ctx),
            AiCommand::Explain(command) => command.run(ctx),
            AiCommand::Fix(command) => command.run(ctx),
            AiCommand::Config(command) => command.run(ctx),
            AiCommand::Setup(command) => command.run(ctx),
            AiCommand::Prompts(command) => command.run(ctx),
        };
        // Why there is no model although one is set up.
        ctx.warn_of_settings();
        done
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
