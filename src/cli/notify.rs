//! `mhost notify`: the places that are told what happens.
//!
//! Channels stand in `config.toml`; these commands change it there, as a whole or not at all,
//! and have the daemon read it again. What was told, and who looks after what, the daemon knows.

mod channels;
mod delivery;
mod list;
mod setup;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use supervisor::config::DaemonConfig;
use toml_edit::{DocumentMut, Item, Table as TomlTable};

use super::context::Context;
use super::error::CliError;
use super::settings;
use crate::exit::Exit;

/// Be told what happens: in chats, by mail, by pagers and webhooks
#[derive(Debug, Args)]
pub(crate) struct Notify {
    #[command(subcommand)]
    command: NotifyCommand,
}

#[derive(Debug, Subcommand)]
enum NotifyCommand {
    Setup(setup::Setup),
    /// Show the channels, how the last message to each went, and open incidents
    List,
    Test(delivery::Test),
    /// Tell a channel again; what waited for it is sent
    Enable(channels::Channel),
    /// Tell a channel nothing; what waits for it stays
    Disable(channels::Channel),
    /// Remove a channel; what waits for it is given up
    Remove(channels::Channel),
    Events(list::Events),
    History(delivery::History),
    Ack(delivery::Ack),
    Mute(delivery::Mute),
    /// Do nothing: the daemon tells by itself
    #[command(hide = true)]
    Start,
}

impl Notify {
    /// Runs the subcommand.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        match self.command {
            NotifyCommand::Setup(command) => command.run(ctx),
            NotifyCommand::List => list::list(ctx),
            NotifyCommand::Test(command) => command.run(ctx),
            NotifyCommand::Enable(channel) => channel.turn(ctx, true),
            NotifyCommand::Disable(channel) => channel.turn(ctx, false),
            NotifyCommand::Remove(channel) => channel.remove(ctx),
            NotifyCommand::Events(command) => command.run(ctx),
            NotifyCommand::History(command) => command.run(ctx),
            NotifyCommand::Ack(command) => command.run(ctx),
            NotifyCommand::Mute(command) => command.run(ctx),
            NotifyCommand::Start => {
                ctx.output.note(
                    "The daemon tells by itself, as soon as there is a channel: mhost notify setup",
                );
                Ok(Exit::Success)
            }
        }
    }
}

/// Changes `config.toml` and has the daemon read it.
fn change(ctx: &Context, change: impl FnOnce(&mut DocumentMut)) -> Result<(), CliError> {
    settings::check(&ctx.paths()?.config(), change)?.write()?;
    let _: Value = ctx.call("daemon.reload_config", json!({}))?;
    Ok(())
}

/// What the file says, which may be newer than what the daemon has read.
fn configured(ctx: &Context) -> Result<DaemonConfig, CliError> {
    let read = DaemonConfig::load(&ctx.paths()?);
    let (config, _) = read.map_err(|error| CliError::config(error.to_string()))?;
    Ok(config)
}

/// The table of a channel, made if it is not there.
fn channel_table<'a>(document: &'a mut DocumentMut, name: &str) -> Option<&'a mut TomlTable> {
    let all = settings::table(document, "notifications")?;
    // Only the tables in it are written; it has nothing of its own.
    all.set_implicit(true);
    if let Some(inline) = all.get(name).and_then(Item::as_inline_table).cloned() {
        all.insert(name, Item::Table(inline.into_table()));
    }
    all.entry(name)
        .or_insert_with(|| Item::Table(TomlTable::new()))
        .as_table_mut()
}
