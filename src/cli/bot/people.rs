//! Who may do what in the chats.

use chat::Platform;
use clap::Args;
use serde_json::json;
use supervisor::config::{BotConfig, BotRole, DaemonConfig};
use toml_edit::{Item, Table as TomlTable};

use super::change;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::settings;
use crate::exit::Exit;
use crate::output::table::{Cell, Column, Table};

/// Longest id of a platform that is taken.
const LONGEST: usize = 64;

/// A user by the platform's id
#[derive(Debug, Args)]
pub(super) struct User {
    /// As /whoami shows it: telegram:123, or 123 with one platform only
    #[arg(value_parser = id)]
    id: String,
}

fn id(text: &str) -> Result<String, String> {
    let bare = match text.split_once(':') {
        Some((platform, id)) => {
            let _: Platform = platform
                .parse()
                .map_err(|error| format!("{error}; write it as /whoami shows it"))?;
            id
        }
        None => text,
    };
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if !bare.is_empty() && bare.len() <= LONGEST && bare.bytes().all(fits) {
        return Ok(text.to_owned());
    }
    Err("an id is letters and digits, and no name; /whoami shows it".into())
}

impl User {
    /// Gives the user a role, in the place of any other.
    pub(super) fn add(self, ctx: &Context, role: &str) -> Result<Exit, CliError> {
        self.keep_an_admin(ctx, role == "admin")?;
        change(ctx, |document| {
            let Some(bot) = settings::table(document, "bot") else {
                return;
            };
            let users = bot
                .entry("users")
                .or_insert_with(|| Item::Table(TomlTable::new()));
            if let Some(users) = users.as_table_like_mut() {
                for name in self.names(users.iter().map(|(key, _)| key.to_owned())) {
                    users.remove(&name);
                }
                users.insert(&self.id, toml_edit::value(role));
            }
        })?;
        ctx.output.note(&format!("{} is {role} now", self.id));
        Ok(Exit::Success)
    }

    /// Takes the role away.
    pub(super) fn remove(self, ctx: &Context) -> Result<Exit, CliError> {
        let bot = self.keep_an_admin(ctx, false)?;
        let known = self.names(bot.users.keys().cloned());
        if known.is_empty() {
            return Err(CliError::failure(format!("{} has no role", self.id))
                .with_help("mhost bot permissions"));
        }
        change(ctx, |document| {
            let users = document
                .get_mut("bot")
                .and_then(|bot| bot.get_mut("users"))
                .and_then(Item::as_table_like_mut);
            if let Some(users) = users {
                for name in &known {
                    users.remove(name);
                }
            }
        })?;
        ctx.output
            .note(&format!("{} may do nothing any more", self.id));
        Ok(Exit::Success)
    }

    /// The keys that mean this user: with and without the platform.
    fn names(&self, keys: impl Iterator<Item = String>) -> Vec<String> {
        let bare = |text: &str| {
            text.split_once(':')
                .map_or_else(|| text.to_owned(), |(_, id)| id.to_owned())
        };
        let same = |key: &String| {
            *key == self.id
                || (key.contains(':') != self.id.contains(':') && bare(key) == bare(&self.id))
        };
        keys.filter(same).collect()
    }

    /// Somebody must be left who can give rights.
    fn keep_an_admin(&self, ctx: &Context, stays_admin: bool) -> Result<BotConfig, CliError> {
        let bot = configured(ctx)?;
        let own = self.names(bot.users.keys().cloned());
        let admins = |mine: bool| {
            bot.users
                .iter()
                .filter(|(id, role)| **role == BotRole::Admin && own.contains(id) == mine)
                .count()
        };
        if !stays_admin && admins(true) > 0 && admins(false) == 0 {
            return Err(CliError::failure(format!("{} is the last admin", self.id))
                .with_help("mhost bot add-admin <another id>, and then again"));
        }
        Ok(bot)
    }
}

/// `[bot]` as the file says, which may be newer than what the daemon has read.
fn configured(ctx: &Context) -> Result<BotConfig, CliError> {
    let read = DaemonConfig::load(&ctx.paths()?);
    let (config, _) = read.map_err(|error| CliError::config(error.to_string()))?;
    config.bot.ok_or_else(super::none)
}

/// Prints `USER ROLE`.
pub(super) fn permissions(ctx: &Context) -> Result<Exit, CliError> {
    let bot = configured(ctx)?;
    if ctx.output.is_json() {
        ctx.output.json(&json!({
            "users": bot.users,
            "blocked": bot.blocked,
            "allowed_chats": bot.allowed_chats,
        }))?;
        return Ok(Exit::Success);
    }
    if bot.users.is_empty() && bot.blocked.is_empty() {
        ctx.output.note(
            "Nobody may do anything: mhost bot add-admin <id>; /whoami in the chat shows it.",
        );
        return Ok(Exit::Success);
    }
    let mut table = Table::new([Column::name("USER"), Column::new("ROLE", 0)]);
    let mut users: Vec<_> = bot.users.iter().collect();
    users.sort_by_key(|(id, role)| (rank(**role), (*id).clone()));
    for (id, role) in users {
        let word = json!(role);
        let blocked = bot.blocked.contains(id);
        let word = word.as_str().unwrap_or_default();
        table.row([
            Cell::from(id),
            Cell::from(if blocked { "blocked" } else { word }),
        ]);
    }
    for id in bot.blocked.iter().filter(|id| !bot.users.contains_key(*id)) {
        table.row([Cell::from(id), Cell::from("blocked")]);
    }
    ctx.output.table(&table)?;
    Ok(Exit::Success)
}

fn rank(role: BotRole) -> u8 {
    match role {
        BotRole::Admin => 0,
        BotRole::Operator => 1,
        BotRole::Viewer => 2,
    }
}
