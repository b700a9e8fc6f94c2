//! What the adapter has to be told, and what of it cannot be right.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::Url;
use supervisor::config::{TelegramConfig, is_here};
use supervisor::secret::Secret;

/// Where Telegram is.
const OFFICIAL: &str = "https://api.telegram.org";
/// 30 s: how long an empty poll waits; the longest that Telegram's own libraries ask for.
const POLL: Duration = Duration::from_secs(30);

/// One minute: how often Telegram is asked whether it can deliver.
const CHECK: Duration = Duration::from_secs(60);

/// How to reach a bot.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The token of @BotFather: `123456:ABC…`.
    pub token: Secret,
    /// Where the Bot API is: Telegram itself, or a server of one's own.
    pub base_url: String,
    /// How long a poll waits for something to come, in whole seconds and at most 50.
    pub poll: Duration,
    /// Where Telegram delivers, if it does so by itself.
    pub webhook: Option<Webhook>,
}

/// Deliveries by requests of Telegram's, instead of polls.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// What Telegram is told: `https://…`, of a proxy with a certificate.
    pub url: Url,
    /// Where they arrive from there.
    pub listen: SocketAddr,
    /// How often Telegram is asked whether it can deliver.
    pub check: Duration,
}

impl Webhook {
    /// One that is looked after each minute.
    ///
    /// # Errors
    /// When the address is none that Telegram delivers to.
    pub fn new(url: &str, listen: SocketAddr) -> Result<Self, SettingsError> {
        let wrong = || SettingsError::Webhook(url.chars().take(100).collect());
        Ok(Self {
            url: url.parse().map_err(|_| wrong())?,
            listen,
            check: CHECK,
        })
    }
}

/// Why settings are of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// It cannot be a token.
    #[error(
        "this is no token of a Telegram bot, which looks like `123456:ABC…`; \
         ask @BotFather for it with /token"
    )]
    Token,
    /// It is no address, or one that the token would travel to in the clear.
    #[error(
        "`{0}` is no address for a bot; use https://…, or http:// on this machine, \
         or leave `base_url` out for Telegram itself"
    )]
    Address(String),
    /// Telegram does not deliver there.
    #[error("`{0}` is no address that Telegram delivers to; it begins with https://")]
    Webhook(String),
    /// No way out of this machine can be prepared.
    #[error("no connection can be prepared: {0}; are ca-certificates installed?")]
    Client(String),
}

impl Settings {
    /// A bot at Telegram itself.
    pub fn new(token: impl Into<Secret>) -> Self {
        Self {
            token: token.into(),
            base_url: OFFICIAL.to_owned(),
            poll: POLL,
            webhook: None,
        }
    }

    /// The token becomes a part of addresses, so nothing else may stand in it.
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        let token = self.token.expose();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let fits = token.split_once(':').is_some_and(|(id, key)| {
            !id.is_empty()
                && id.bytes().all(|byte| byte.is_ascii_digit())
                && !key.is_empty()
                && key.bytes().all(plain)
        });
        if !fits || token.len() > 100 {
            return Err(SettingsError::Token);
        }
        if let Some(Webhook { url, .. }) = &self.webhook {
            let is_local = is_here(&self.base_url) && is_here(url.as_str());
            if url.scheme() != "https" && !is_local {
                return Err(SettingsError::Webhook(url.to_string()));
            }
        }
        let url = &self.base_url;
        let safe = reqwest::Url::parse(url).is_ok_and(|url| {
            let bare = url.query().is_none() && url.fragment().is_none();
            bare && (url.scheme() == "https"
                || (url.scheme() == "http" && is_here(self.base_url.as_str())))
        });
        if safe {
            return Ok(());
        }
        Err(SettingsError::Address(url.chars().take(100).collect()))
    }
}

impl TryFrom<&TelegramConfig> for Settings {
    type Error = SettingsError;

    fn try_from(config: &TelegramConfig) -> Result<Self, SettingsError> {
        let mut settings = Self::new(config.token.clone());
        if let Some(url) = &config.base_url {
            settings.base_url.clone_from(url);
        }
        if let Some(webhook) = &config.webhook {
            settings.webhook = Some(Webhook::new(&webhook.url, webhook.listen)?);
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn telegram_delivers_to_https_only() {
        let here = "127.0.0.1:3000".parse().unwrap();
        let at = |url: &str, base: &str| {
            let webhook = Webhook::new(url, here)?;
            Settings {
                webhook: Some(webhook),
                base_url: base.to_owned(),
                ..Settings::new("1:a")
            }
            .check()
        };
        assert_eq!(at("https://bot.example/x", OFFICIAL), Ok(()));
        assert_eq!(at("http://127.0.0.1:1/", "http://127.0.0.1:2"), Ok(()));
        for url in ["http://bot.example/x", "http://127.0.0.1:1/", "x", ""] {
            let wrong = at(url, OFFICIAL);
            assert!(matches!(wrong, Err(SettingsError::Webhook(_))), "{url}");
        }
    }

    #[test]
    fn what_cannot_be_right_is_refused() {
        let good = Settings::new("123456:ABC-def_9");
        assert_eq!(good.check(), Ok(()));
        for token in [
            "", "abc", "123:", ":abc", "12a:abc", "1:a/../b", "1:a b", "1:ä",
        ] {
            assert_eq!(Settings::new(token).check(), Err(SettingsError::Token));
        }
        let at = |url: &str| Settings {
            base_url: url.to_owned(),
            ..good.clone()
        };
        for url in [
            "http://127.0.0.1:80",
            "https://bots.example/tg",
            "http://[::1]:1",
        ] {
            assert_eq!(at(url).check(), Ok(()), "{url}");
        }
        for url in [
            "",
            "x",
            "http://bots.example",
            "ftp://127.0.0.1",
            "https://a/?b",
        ] {
            assert!(
                matches!(at(url).check(), Err(SettingsError::Address(_))),
                "{url}"
            );
        }
    }
}
