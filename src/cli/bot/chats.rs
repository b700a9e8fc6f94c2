//! `mhost bot chat-id`: the ids of chats that wrote to a bot, for the settings that want one.
//!
//! Only one program may receive what is written to a bot. Of a bot of this mhost that is the
//! daemon, so its record is asked; of any other one the platform is, and nothing is taken from
//! whoever else receives there.

use std::collections::HashSet;
use std::time::Duration;

use chat::telegram::{Settings, Telegram};
use chat::{Channel, ChatError, Incoming};
use clap::Args;
use serde_json::json;
use supervisor::secret::Secret;

use super::{Told, messages, none};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::settings;
use crate::exit::Exit;
use crate::output::figures::ago;
use crate::output::table::{Cell, Column, Table};

/// Rows of the audit log that are looked through.
const ROWS: usize = 1_000;
/// How long somebody may take to write.
const PATIENCE: Duration = Duration::from_secs(60);

/// Print the ids of chats that wrote to a bot
///
/// Without a token those that wrote to the bots of this mhost, the newest first. With the token
/// of another bot Telegram is asked for what was written to it in the last day; if there is
/// nothing, it is waited a minute for a message. Slack and Discord tell nobody: there, write
/// /whoami to the connected bot.
#[derive(Debug, Args)]
pub(super) struct ChatId {
    /// Token of a bot on Telegram
    token: Option<String>,
    /// Address of another Bot API
    #[arg(long, value_name = "URL", requires = "token")]
    base_url: Option<String>,
}

/// A chat, and who wrote there last.
struct Heard {
    /// As the settings want it: `telegram:-1001234`.
    chat: String,
    by: String,
    when: jiff::Timestamp,
}

impl ChatId {
    /// Asks, and prints.
    pub(super) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let checked = settings::check(&ctx.paths()?.config(), |_| {})?;
        let bot = checked.config.bot.as_ref();
        let own = bot.and_then(|bot| bot.telegram.as_ref());
        let is_own = |token: &String| own.is_some_and(|own| own.token.expose() == token);
        let heard = match self.token.filter(|token| !is_own(token)) {
            Some(token) => waiting(ctx, token, self.base_url)?,
            None => recorded(ctx)?,
        };
        shown(ctx, &heard)
    }
}

/// Those on record, the newest first.
fn recorded(ctx: &Context) -> Result<Vec<Heard>, CliError> {
    let told: Told = ctx.call("bot.status", json!({}))?;
    if !told.configured {
        return Err(none());
    }
    let rows = messages(ctx, ROWS, None)?;
    let heard = rows.into_iter().filter_map(|row| {
        let message = row.message?;
        Some(Heard {
            // Without the thread: settings name the chat.
            chat: message.place.split('/').next()?.to_owned(),
            by: message.name,
            when: row.ts,
        })
    });
    Ok(distinct(heard))
}

/// Those that wrote what nobody has received yet, the newest first.
fn waiting(ctx: &Context, token: String, base: Option<String>) -> Result<Vec<Heard>, CliError> {
    let mut settings = Settings::new(Secret::from(token.as_str()));
    if let Some(base) = base {
        settings.base_url = base;
    }
    let channel = Telegram::new(&settings).map_err(|error| CliError::config(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::failure(error.to_string()))?;
    let asked = runtime.block_on(Box::pin(async {
        let name = channel.connect().await?.name;
        ctx.output.note(&format!(
            "What was written to {name}, or is within a minute:"
        ));
        let Ok(first) = tokio::time::timeout(PATIENCE, channel.receive()).await else {
            return Ok(Vec::new());
        };
        let mut all = vec![first?];
        // The rest of the same answer is there already. None of it is taken, so it comes again
        // to whoever receives for that bot.
        while let Ok(Ok(next)) = tokio::time::timeout(Duration::ZERO, channel.receive()).await {
            all.push(next);
        }
        Ok(all)
    }));
    let all: Vec<Incoming> = asked.map_err(|error: ChatError| {
        CliError::failure(error.to_string())
            .with_help("if another program receives with this token, ask there: /whoami")
    })?;
    let heard = all.into_iter().rev().map(|one| Heard {
        chat: format!("{}:{}", one.place.platform, one.place.chat),
        by: one.sender.name,
        when: one.at,
    });
    Ok(distinct(heard))
}

/// Each chat once.
fn distinct(heard: impl Iterator<Item = Heard>) -> Vec<Heard> {
    let mut known = HashSet::new();
    heard.filter(|one| known.insert(one.chat.clone())).collect()
}

fn shown(ctx: &Context, heard: &[Heard]) -> Result<Exit, CliError> {
    if ctx.output.is_json() {
        let chats = heard
            .iter()
            .map(|one| json!({ "chat": one.chat, "by": one.by, "at": one.when }));
        ctx.output
            .json(&json!({ "chats": chats.collect::<Vec<_>>() }))?;
        return Ok(Exit::Success);
    }
    if heard.is_empty() {
        ctx.output.note("Nobody has written to it.");
        return Ok(Exit::Success);
    }
    let mut table = Table::new([
        Column::name("CHAT"),
        Column::new("WRITTEN", 1),
        Column::new("BY", 1).at_most(28),
    ]);
    let now = ctx.clock.now();
    for one in heard {
        table.row([
            Cell::from(one.chat.as_str()),
            Cell::from(ago(now, one.when)),
            Cell::from(&one.by),
        ]);
    }
    ctx.output.table(&table)?;
    Ok(Exit::Success)
}
