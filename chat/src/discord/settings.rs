//! What the adapter has to be told, and what of it cannot be right.

use reqwest::header::HeaderValue;
use supervisor::config::{DiscordConfig, is_here};
use supervisor::secret::Secret;

/// Where Discord is, without the version of its API.
const OFFICIAL: &str = "https://discord.com/api";
/// Most characters of a token; those of today have about 70.
const TOKEN: usize = 200;

/// How to reach a bot.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The token of the Developer Portal, of the page "Bot": `MTk4….Cl2FMQ.ZnCjm…`.
    pub token: Secret,
    /// The id of the application. `None`: Discord is asked for it.
    pub application_id: Option<String>,
    /// The server that the commands are listed in, by its id. `None`: in all servers and in
    /// private chats.
    pub guild: Option<String>,
    /// Where the API is: Discord itself, or a server of one's own.
    pub base_url: String,
}

/// Why settings are of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// It cannot be a token.
    #[error(
        "this is no token of a Discord bot, which looks like `MTk4….Cl2FMQ.ZnCjm…`; \
         the Developer Portal shows it once, at Bot → Reset Token"
    )]
    Token,
    /// It is no id.
    #[error("`{value}` is no id for `{key}`, which is a number of 17 to 20 digits")]
    Id {
        /// The key.
        key: &'static str,
        /// What stands there.
        value: String,
    },
    /// It is no address, or one that the token would travel to in the clear.
    #[error(
        "`{0}` is no address for a bot; use https://…, or http:// on this machine, \
         or leave `base_url` out for Discord itself"
    )]
    Address(String),
    /// No way out of this machine can be prepared.
    #[error("no connection can be prepared: {0}; are ca-certificates installed?")]
    Client(String),
}

impl Settings {
    /// A bot at Discord itself, whose commands are listed everywhere.
    pub fn new(token: impl Into<Secret>) -> Self {
        Self {
            token: token.into(),
            application_id: None,
            guild: None,
            base_url: OFFICIAL.to_owned(),
        }
    }

    /// Is each of them possible?
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        let token = self.token.expose();
        // Three parts of base64; whatever else there is must at least fit into a header.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'=');
        let parts = token.split('.');
        let whole = |part: &str| !part.is_empty() && part.bytes().all(plain);
        if parts.clone().count() != 3
            || !parts.clone().all(whole)
            || token.len() > TOKEN
            || HeaderValue::from_str(token).is_err()
        {
            return Err(SettingsError::Token);
        }
        for (key, value) in [
            ("application_id", &self.application_id),
            ("guild", &self.guild),
        ] {
            if let Some(value) = value.as_ref().filter(|value| !is_id(value)) {
                let value = value.chars().take(40).collect();
                return Err(SettingsError::Id { key, value });
            }
        }
        let url = &self.base_url;
        let safe = reqwest::Url::parse(url).is_ok_and(|parsed| {
            let bare = parsed.query().is_none() && parsed.fragment().is_none();
            bare && (parsed.scheme() == "https" || (parsed.scheme() == "http" && is_here(url)))
        });
        if safe {
            return Ok(());
        }
        Err(SettingsError::Address(url.chars().take(100).collect()))
    }
}

impl From<&DiscordConfig> for Settings {
    fn from(config: &DiscordConfig) -> Self {
        let official = Self::new(config.token.clone());
        Self {
            application_id: config.application_id.clone(),
            guild: config.guild.clone(),
            base_url: config.base_url.clone().unwrap_or(official.base_url),
            token: official.token,
        }
    }
}

/// An id of Discord: a number that counts the milliseconds since 2015 in its upper bits.
pub(super) fn is_id(text: &str) -> bool {
    (15..=20).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && text.parse::<u64>().is_ok_and(|id| id > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_right_is_refused() {
        let good = Settings::new("MTk4NjIy.Cl2FMQ.ZnCjm-VW7_o");
        assert_eq!(good.check(), Ok(()));
        for token in [
            "", "abc", "a.b", "a..c", "a.b.c.d", "a.b.c d", "a.b.ä", "123:ABC",
        ] {
            assert_eq!(
                Settings::new(token).check(),
                Err(SettingsError::Token),
                "{token}"
            );
        }
        for id in ["", "7", "ops", "-1234567890123456", "123456789012345678901"] {
            let wrong = Settings {
                guild: Some(id.into()),
                ..good.clone()
            };
            let key = "guild";
            let value = id.to_owned();
            assert_eq!(wrong.check(), Err(SettingsError::Id { key, value }));
        }
        let at = |url: &str| Settings {
            base_url: url.to_owned(),
            ..good.clone()
        };
        for url in ["http://127.0.0.1:80/api", "https://bots.example/api"] {
            assert_eq!(at(url).check(), Ok(()), "{url}");
        }
        for url in [
            "",
            "x",
            "http://bots.example",
            "ws://127.0.0.1",
            "https://a/?b",
        ] {
            assert!(
                matches!(at(url).check(), Err(SettingsError::Address(_))),
                "{url}"
            );
        }
    }
}
