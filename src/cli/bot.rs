//! `mhost bot`: the chats that the fleet is run from.
//!
//! Who may do what stands in `config.toml`; these commands change it there, as a whole or not
//! at all, and have the daemon read it again.

mod chats;
mod people;
mod setup;

use chat::BotStatus;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use supervisor::Via;
use supervisor::audit::AuditRow;
use toml_edit::DocumentMut;

use super::context::Context;
use super::error::CliError;
use super::settings;
use crate::exit::Exit;
use crate::output::figures::{NONE, ago, time};
use crate::output::style::Tone;
use crate::output::table::{Cell, Column, Table};
use crate::output::text::clean_line;

/// Run the fleet from a chat, and say who may
#[derive(Debug, Args)]
pub(crate) struct Bot {
    #[command(subcommand)]
    command: BotCommand,
}

#[derive(Debug, Subcommand)]
enum BotCommand {
    Setup(setup::Setup),
    /// Connect the bots of `[bot]` in config.toml
    #[command(visible_alias = "enable")]
    Start,
    /// Leave the chats; what is configured stays
    #[command(visible_alias = "disable")]
    Stop,
    /// Show whether each bot is connected, as whom, and its last error
    Status,
    /// Show who may do what
    Permissions,
    /// Let a user do everything that a chat can do
    AddAdmin(people::User),
    /// Let a user look, start, restart, reload and scale
    AddOperator(people::User),
    /// Let a user look
    AddViewer(people::User),
    /// Take all rights from a user; the last admin stays
    RemoveUser(people::User),
    /// Show what was asked in the chats lately, and what came of it
    Logs {
        /// At most so many rows
        #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 20)]
        lines: usize,
    },
    ChatId(chats::ChatId),
}

/// The answer of `bot.status`.
#[derive(Debug, Deserialize, serde::Serialize)]
struct Told {
    configured: bool,
    enabled: bool,
    users: usize,
    bots: Vec<BotStatus>,
    failure: Option<String>,
}

impl Bot {
    /// Runs the subcommand.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        match self.command {
            BotCommand::Setup(command) => command.run(ctx),
            BotCommand::Start => turn(ctx, true),
            BotCommand::Stop => turn(ctx, false),
            BotCommand::Status => status(ctx),
            BotCommand::Permissions => people::permissions(ctx),
            BotCommand::AddAdmin(user) => user.add(ctx, "admin"),
            BotCommand::AddOperator(user) => user.add(ctx, "operator"),
            BotCommand::AddViewer(user) => user.add(ctx, "viewer"),
            BotCommand::RemoveUser(user) => user.remove(ctx),
            BotCommand::Logs { lines } => logs(ctx, lines),
            BotCommand::ChatId(command) => command.run(ctx),
        }
    }
}

/// Changes `config.toml` and has the daemon read it. Says what the file says then.
fn change(
    ctx: &Context,
    change: impl FnOnce(&mut DocumentMut),
) -> Result<supervisor::config::DaemonConfig, CliError> {
    let checked = settings::check(&ctx.paths()?.config(), change)?;
    let config = checked.config.clone();
    checked.write()?;
    let _: serde_json::Value = ctx.call("daemon.reload_config", json!({}))?;
    Ok(config)
}

fn turn(ctx: &Context, on: bool) -> Result<Exit, CliError> {
    let told: Told = ctx.call("bot.status", json!({}))?;
    if !told.configured {
        return Err(none());
    }
    change(ctx, |document| {
        if let Some(bot) = settings::table(document, "bot") {
            settings::set(bot, "enabled", on);
        }
    })?;
    ctx.output.note(if on {
        "the bots connect; `mhost bot status` shows how that goes"
    } else {
        "the bots leave; `mhost bot start` connects them again"
    });
    Ok(Exit::Success)
}

fn none() -> CliError {
    CliError::config("no bot is configured".to_owned()).with_help("mhost bot setup")
}

fn status(ctx: &Context) -> Result<Exit, CliError> {
    let told: Told = ctx.call("bot.status", json!({}))?;
    if ctx.output.is_json() {
        ctx.output.json(&told)?;
        return Ok(Exit::Success);
    }
    if !told.configured {
        ctx.output.note("No bot is configured: mhost bot setup");
        return Ok(Exit::Success);
    }
    if let Some(failure) = &told.failure {
        ctx.output
            .note(&format!("The chats cannot be connected: {failure}"));
    } else if !told.enabled {
        ctx.output
            .note("The bots are switched off: mhost bot start");
        return Ok(Exit::Success);
    }
    let mut table = Table::new([
        Column::name("PLATFORM"),
        Column::new("CONNECTED", 0),
        Column::new("AS", 1),
        Column::new("SINCE", 1),
        Column::new("USERS", 2),
        Column::new("MESSAGES", 2),
        Column::new("ERRORS", 1),
        Column::new("LAST ERROR", 0).at_least(8),
    ]);
    let now = ctx.clock.now();
    for bot in &told.bots {
        table.row([
            Cell::from(bot.platform.as_str()),
            if bot.connected {
                Cell::toned("● yes", Tone::Good)
            } else {
                Cell::toned("○ no", Tone::Bad)
            },
            Cell::from(bot.name.as_deref().unwrap_or(NONE)),
            Cell::from(ago(now, bot.since)),
            Cell::from(told.users.to_string()),
            Cell::from(bot.messages.to_string()),
            Cell::from(bot.errors.to_string()),
            Cell::from(bot.last_error.as_deref().unwrap_or(NONE)),
        ]);
    }
    ctx.output.table(&table)?;
    Ok(Exit::Success)
}

#[derive(Debug, Deserialize)]
struct Rows {
    rows: Vec<AuditRow>,
}

/// Rows of the audit log that came by a message, newest first.
fn messages(
    ctx: &Context,
    most: usize,
    since: Option<Timestamp>,
) -> Result<Vec<AuditRow>, CliError> {
    // Other ways have their rows between them.
    let params = json!({ "limit": most.saturating_mul(20).max(1_000), "since": since });
    let Rows { rows } = ctx.call("audit.query", params)?;
    let mut rows: Vec<AuditRow> = rows
        .into_iter()
        .filter(|row| row.via == Via::Chat && row.message.is_some())
        .collect();
    rows.truncate(most);
    Ok(rows)
}

fn logs(ctx: &Context, lines: usize) -> Result<Exit, CliError> {
    let rows = messages(ctx, lines, None)?;
    if ctx.output.is_json() {
        ctx.output.json(&json!({ "rows": rows }))?;
        return Ok(Exit::Success);
    }
    if rows.is_empty() {
        ctx.output.note("Nothing has been asked in a chat yet.");
        return Ok(Exit::Success);
    }
    let mut table = Table::new([
        Column::new("TIME", 2),
        Column::new("WHO", 0).at_least(8).at_most(28),
        Column::new("NAME", 2).at_most(20),
        Column::new("COMMAND", 0).at_least(8),
        Column::new("ARGUMENTS", 1).at_least(8).at_most(32),
        Column::new("RESULT", 0).at_least(8),
    ]);
    for row in &rows {
        let Some(message) = &row.message else {
            continue;
        };
        let result = match &row.error {
            None => Cell::toned(format!("✓ {}", message.verdict), Tone::Good),
            Some(error) => Cell::toned(
                format!("✗ {}: {}", message.verdict, clean_line(error)),
                Tone::Bad,
            ),
        };
        table.row([
            Cell::from(time(row.ts, None)),
            Cell::from(row.who.trim_start_matches("chat:")),
            Cell::from(&message.name),
            Cell::from(&row.command),
            Cell::from(if row.subject.is_empty() {
                NONE
            } else {
                &row.subject
            }),
            result,
        ]);
    }
    ctx.output.table(&table)?;
    Ok(Exit::Success)
}
