//! What the adapter has to be told, and what of it cannot be right.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::Url;
use supervisor::config::{SlackConfig, is_here};
use supervisor::secret::Secret;

/// Where Slack's Web API is.
const OFFICIAL: &str = "https://slack.com/api";
/// Hosts that Slack hands out addresses of: sockets, uploads, answers.
const SLACK: [&str; 2] = ["slack.com", "slack-gov.com"];
/// 10 s between two pings of ours: Slack's own libraries ask every 5 to 10 s.
const PING: Duration = Duration::from_secs(10);
/// 30 s without a frame and the connection is dead: as in Slack's own libraries.
const SILENCE: Duration = Duration::from_secs(30);
/// Slack counts a delivery as failed after 3 s; one second is left for the way there.
const LATEST: Duration = Duration::from_secs(2);

/// How to reach a bot.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The token of the bot: `xoxb-…`.
    pub bot_token: Secret,
    /// The token of the app, with which Socket Mode is opened: `xapp-…`.
    pub app_token: Option<Secret>,
    /// Where signed requests are listened for, if they are.
    pub signed: Option<Signed>,
    /// Where the Web API is: Slack itself, or another address that speaks it.
    pub base_url: String,
    /// How often a connection is asked whether it lives.
    pub ping: Duration,
    /// How long it may say nothing before it counts as dead.
    pub silence: Duration,
    /// When a delivery is acknowledged at the latest, though it is not on record yet.
    pub latest: Duration,
}

/// Deliveries by requests that Slack signs.
#[derive(Debug, Clone)]
pub struct Signed {
    /// What Slack signs its requests with.
    pub secret: Secret,
    /// Where to listen.
    pub listen: SocketAddr,
}

/// Why settings are of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// It cannot be the token of a bot.
    #[error(
        "this is no token of a Slack bot, which begins with `xoxb-`; \
         it stands under OAuth & Permissions of the app"
    )]
    BotToken,
    /// It cannot be the token of an app.
    #[error(
        "this is no token of a Slack app, which begins with `xapp-`; make one under Basic \
         Information, App-Level Tokens, with the scope connections:write"
    )]
    AppToken,
    /// It cannot be a signing secret.
    #[error("this is no signing secret; it stands under Basic Information of the app")]
    SigningSecret,
    /// There is no way for anything to come in.
    #[error("nothing can come in: set `app_token`, or `signing_secret` and `listen`")]
    Deaf,
    /// It is no address, or one that the token would travel to in the clear.
    #[error(
        "`{0}` is no address for a bot; use https://…, or http:// on this machine, \
         or leave `base_url` out for Slack itself"
    )]
    Address(String),
    /// No way out of this machine can be prepared.
    #[error("no connection can be prepared: {0}; are ca-certificates installed?")]
    Client(String),
}

impl Settings {
    /// A bot at Slack itself, which hears nothing yet.
    pub fn new(bot_token: impl Into<Secret>) -> Self {
        Self {
            bot_token: bot_token.into(),
            app_token: None,
            signed: None,
            base_url: OFFICIAL.to_owned(),
            ping: PING,
            silence: SILENCE,
            latest: LATEST,
        }
    }

    /// Tokens become headers, so nothing else may stand in them.
    pub(super) fn check(&self) -> Result<(), SettingsError> {
        let bot = self.bot_token.expose();
        if !is_token(bot, "xoxb-") && !is_token(bot, "xoxe.xoxb-") {
            return Err(SettingsError::BotToken);
        }
        let app = self.app_token.as_ref();
        if app.is_some_and(|token| !is_token(token.expose(), "xapp-")) {
            return Err(SettingsError::AppToken);
        }
        if let Some(signed) = &self.signed {
            let secret = signed.secret.expose();
            if secret.len() < 8 || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(SettingsError::SigningSecret);
            }
        }
        if self.app_token.is_none() && self.signed.is_none() {
            return Err(SettingsError::Deaf);
        }
        let url = &self.base_url;
        let safe = Url::parse(url).is_ok_and(|url| {
            let bare = url.query().is_none() && url.fragment().is_none();
            bare && (url.scheme() == "https"
                || (url.scheme() == "http" && is_here(self.base_url.as_str())))
        });
        if safe {
            return Ok(());
        }
        Err(SettingsError::Address(url.chars().take(100).collect()))
    }

    /// An address that Slack has given: of Slack's own hosts or the one that was set, and on no
    /// way where others listen.
    pub(super) fn trusted(&self, address: &str) -> Option<Url> {
        let url = Url::parse(address).ok()?;
        let base = Url::parse(&self.base_url).ok()?;
        let host = url.host_str()?;
        let of_slack = SLACK.iter().any(|one| {
            let rest = host.strip_suffix(one);
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        });
        let is_known = of_slack || base.host_str() == Some(host);
        let is_safe = matches!(url.scheme(), "https" | "wss");
        let is_local = is_here(&self.base_url) && is_here(address);
        let is_web = matches!(url.scheme(), "https" | "http" | "wss" | "ws");
        ((is_safe && is_known) || (is_local && is_web)).then_some(url)
    }
}

impl From<&SlackConfig> for Settings {
    fn from(config: &SlackConfig) -> Self {
        let official = Self::new(config.bot_token.clone());
        let signed = config.signing_secret.clone().zip(config.listen);
        Self {
            app_token: config.app_token.clone(),
            signed: signed.map(|(secret, listen)| Signed { secret, listen }),
            base_url: config.base_url.clone().unwrap_or(official.base_url.clone()),
            ..official
        }
    }
}

fn is_token(token: &str, prefix: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let rest = token.strip_prefix(prefix);
    token.len() <= 500 && rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Settings {
        Settings {
            app_token: Some("xapp-1-A0-1-abc".into()),
            ..Settings::new("xoxb-1-abc")
        }
    }

    #[test]
    fn what_cannot_be_right_is_refused() {
        assert_eq!(good().check(), Ok(()));
        for token in ["", "xoxb-", "xoxp-1", "xapp-1", "xoxb-a b", "xoxb-a\n"] {
            let settings = Settings {
                bot_token: token.into(),
                ..good()
            };
            assert_eq!(settings.check(), Err(SettingsError::BotToken), "{token}");
        }
        let with = |change: &dyn Fn(&mut Settings)| {
            let mut settings = good();
            change(&mut settings);
            settings.check()
        };
        assert_eq!(
            with(&|one| one.app_token = Some("xoxb-1".into())),
            Err(SettingsError::AppToken)
        );
        assert_eq!(with(&|one| one.app_token = None), Err(SettingsError::Deaf));
        let signed = |secret: &str| Signed {
            secret: secret.into(),
            listen: "127.0.0.1:0".parse().unwrap(),
        };
        assert_eq!(
            with(&|one| one.signed = Some(signed("x"))),
            Err(SettingsError::SigningSecret)
        );
        assert_eq!(
            with(&|one| {
                one.app_token = None;
                one.signed = Some(signed("8f742231b10e8888"));
            }),
            Ok(())
        );
        for url in [
            "",
            "http://slack.example/api",
            "https://a/?b",
            "ftp://127.0.0.1",
        ] {
            let wrong = with(&|one| one.base_url = url.into());
            assert!(matches!(wrong, Err(SettingsError::Address(_))), "{url}");
        }
    }

    #[test]
    fn only_addresses_of_slack_are_gone_to() {
        let here = Settings {
            base_url: "http://127.0.0.1:80/api".into(),
            ..good()
        };
        for url in [
            "wss://wss-primary.slack.com/link/?ticket=1",
            "https://files.slack.com/upload/v1/abc",
            "https://hooks.slack.com/actions/T/1/abc",
        ] {
            assert!(good().trusted(url).is_some(), "{url}");
        }
        for url in [
            "ws://wss-primary.slack.com/link",
            "https://slack.com.evil.example/",
            "https://evilslack.com/",
            "https://evil.example/?slack.com",
            "http://127.0.0.1:9/x",
            "file:///etc/passwd",
            "x",
        ] {
            assert!(good().trusted(url).is_none(), "{url}");
        }
        assert!(here.trusted("ws://127.0.0.1:9/x").is_some());
        assert!(here.trusted("http://10.0.0.1/x").is_none());
    }
}
