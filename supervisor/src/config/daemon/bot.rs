//! `[bot]`: chats that the fleet is run from.
//!
//! The whole table may be missing: then no chat is connected.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::caller::Role;
use crate::secret::Secret;

/// A chat that the fleet is run from. Without this table none is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BotConfig {
    /// Connect it. `mhost bot start` and `stop` write this. Default `true`.
    pub enabled: bool,
    /// Telegram: the token of the bot and where it is reached.
    pub telegram: Option<TelegramConfig>,
    /// Slack: the tokens of the app and how it delivers.
    pub slack: Option<SlackConfig>,
    /// Discord: the token of the bot and where its commands are listed.
    pub discord: Option<DiscordConfig>,
    /// Who may do what, by the platform's id of the user: `"telegram:123" = "admin"`,
    /// `"slack:U0123" = "viewer"`. An id without a platform is one of the only platform there is.
    /// Who is not listed may do nothing.
    pub users: BTreeMap<String, BotRole>,
    /// Users who may do nothing, whatever their role.
    pub blocked: Vec<String>,
    /// The only groups and channels where it answers: `telegram:-1001234`, `slack:C0123`. Private chats are
    /// always allowed. Default: everywhere.
    pub allowed_chats: Vec<String>,
    /// Chats that are told of incidents and asked: `telegram:-1001234`, with a topic
    /// `telegram:-1001234/7`. Default: none but the admins, see `auto_alerts`.
    pub channels: Vec<String>,
    /// Tell the admins of incidents in their private chats. Default `true`.
    pub auto_alerts: bool,
    /// Commands of one person in a minute. Default 30.
    #[schemars(range(min = 1, max = 600))]
    pub rate_limit: u32,
    /// Ask before stop, delete, scale to 0 and whatever meets more than three processes. Default `true`.
    pub confirm_destructive: bool,
    /// Ask before a restart, too. Default `false`.
    pub confirm_restart: bool,
    /// How long such a question is open. Default `30s`.
    #[serde(with = "crate::units::duration")]
    #[schemars(with = "String", extend("x-form" = "duration"))]
    pub confirm_timeout: Duration,
    /// The least role that may ask the agent in words. Default `admin`.
    pub ask_role: BotRole,
}

/// A bot on Telegram.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TelegramConfig {
    /// The token that BotFather gave; better a reference such as `${TELEGRAM_TOKEN}`.
    pub token: Secret,
    /// Another address that speaks the Bot API. Default: Telegram's own.
    #[serde(default)]
    #[schemars(extend("x-form" = "endpoint"))]
    pub base_url: Option<String>,
    /// Let Telegram deliver by itself, instead of asking it. Default: it is asked.
    #[serde(default)]
    pub webhook: Option<WebhookConfig>,
}

/// Where Telegram delivers by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// The address that Telegram is told: `https://mhost.example/telegram`, of a proxy with a
    /// certificate.
    #[schemars(extend("x-form" = "endpoint"))]
    pub url: String,
    /// Address and port where the requests arrive from that proxy: `127.0.0.1:3002`. They count
    /// if they hold a secret that mhost has told Telegram.
    #[schemars(with = "String", extend("x-form" = "socket"))]
    pub listen: SocketAddr,
}

/// A bot on Slack. It needs a way for things to come in: `app_token`, or `signing_secret` and
/// `listen`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlackConfig {
    /// The token of the bot, `xoxb-…`, from OAuth & Permissions; better a reference such as
    /// `${SLACK_BOT_TOKEN}`.
    pub bot_token: Secret,
    /// The token of the app, `xapp-…`, from Basic Information, with the scope
    /// `connections:write`: everything comes by Socket Mode then, and nothing of this machine
    /// has to be reachable.
    #[serde(default)]
    pub app_token: Option<Secret>,
    /// The signing secret, from Basic Information: requests at `listen` count if Slack has
    /// signed them with it.
    #[serde(default)]
    pub signing_secret: Option<Secret>,
    /// Address and port where Slack's requests arrive, from a proxy with a certificate:
    /// `127.0.0.1:3001`. Default: none.
    #[serde(default)]
    #[schemars(with = "Option<String>", extend("x-form" = "socket"))]
    pub listen: Option<SocketAddr>,
    /// Another address that speaks the Web API. Default: Slack's own,
    /// `https://slack.com/api`.
    #[serde(default)]
    #[schemars(extend("x-form" = "endpoint"))]
    pub base_url: Option<String>,
}

impl SlackConfig {
    /// What is missing, and what to do about it.
    fn problems(&self) -> Option<(String, String)> {
        let signed = (self.signing_secret.is_some(), self.listen.is_some());
        let (message, help) = match signed {
            (true, false) => (
                "`[bot.slack]` has a `signing_secret` and no `listen`",
                "say where Slack's requests arrive: listen = \"127.0.0.1:3001\"",
            ),
            (false, true) => (
                "`[bot.slack]` has a `listen` and no `signing_secret`",
                "take it from Basic Information of the app; without it anybody could knock",
            ),
            (false, false) if self.app_token.is_none() => (
                "`[bot.slack]` has no way for anything to come in",
                "set `app_token` for Socket Mode, or `signing_secret` and `listen`",
            ),
            _ => return None,
        };
        Some((message.into(), help.into()))
    }
}

/// A bot on Discord.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscordConfig {
    /// The token that the Developer Portal shows at Bot → Reset Token; better a reference such
    /// as `${DISCORD_TOKEN}`.
    pub token: Secret,
    /// The id of the application, from its page General Information. Default: Discord is asked
    /// for it.
    #[serde(default)]
    pub application_id: Option<String>,
    /// The id of the server that the commands are listed in, at once and nowhere else. Default:
    /// on all servers that have the bot, and in private chats with it.
    #[serde(default)]
    pub guild: Option<String>,
    /// Another address that speaks Discord's API, without its version. Default: Discord's own,
    /// `https://discord.com/api`.
    #[serde(default)]
    #[schemars(extend("x-form" = "endpoint"))]
    pub base_url: Option<String>,
}

/// What somebody in a chat may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BotRole {
    /// Look.
    Viewer,
    /// Also start, restart, reload and scale, and answer questions about that.
    Operator,
    /// Everything that a chat can do.
    Admin,
}

impl From<BotRole> for Role {
    fn from(role: BotRole) -> Self {
        match role {
            BotRole::Viewer => Self::Viewer,
            BotRole::Operator => Self::Operator,
            BotRole::Admin => Self::Admin,
        }
    }
}

impl Default for BotConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            telegram: None,
            slack: None,
            discord: None,
            users: BTreeMap::new(),
            blocked: Vec::new(),
            allowed_chats: Vec::new(),
            channels: Vec::new(),
            auto_alerts: true,
            rate_limit: 30,
            confirm_destructive: true,
            confirm_restart: false,
            confirm_timeout: Duration::from_secs(30),
            ask_role: BotRole::Admin,
        }
    }
}

impl BotConfig {
    /// All it holds that must not be shown.
    pub fn secrets(&self) -> Vec<Secret> {
        let telegram = self.telegram.iter().map(|one| &one.token);
        let slack = self.slack.iter().flat_map(|one| {
            let others = one.app_token.iter().chain(&one.signing_secret);
            std::iter::once(&one.bot_token).chain(others)
        });
        let discord = self.discord.iter().map(|one| &one.token);
        telegram.chain(slack).chain(discord).cloned().collect()
    }

    /// What cannot work, and what to do about it.
    pub(super) fn problems(&self) -> Vec<(String, String)> {
        self.slack
            .iter()
            .filter_map(SlackConfig::problems)
            .collect()
    }
}

/// Where the table of a bot is named, for problems that are about all of it.
pub(super) fn table(text: &str) -> Range<usize> {
    let found = ["[bot.slack]", "[bot"].into_iter().find_map(|name| {
        let at = text.find(name)?;
        Some(at..at + name.len())
    });
    found.unwrap_or(0..0)
}

#[cfg(test)]
mod tests;
