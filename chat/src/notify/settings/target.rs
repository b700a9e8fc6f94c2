//! Where a channel leads: what each type of channel needs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use supervisor::secret::Secret;

use crate::notify::Severity;
use crate::{Place, Platform};

/// Where a channel leads. What tells a secret is one, addresses of webhooks included.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each is named after its platform")]
pub enum Target {
    Telegram(Telegram),
    Slack(Slack),
    Discord(Discord),
    Email(Email),
    Sms(Sms),
    PagerDuty(PagerDuty),
    Opsgenie(Opsgenie),
    Webhook(Webhook),
    Teams(Teams),
    Ntfy(Ntfy),
    /// A chat that the fleet is run from: the bot speaks, and its messages have buttons.
    Bot(Place),
}

/// `sendMessage` of a bot.
#[derive(Debug, Clone, PartialEq)]
pub struct Telegram {
    /// The bot's token.
    pub bot_token: Secret,
    /// The chat: a number or `@channel`.
    pub chat_id: String,
    /// A topic of it.
    pub thread_id: Option<i64>,
    /// Without a sound.
    pub silent: bool,
    /// Another server.
    pub base_url: Option<String>,
}

/// An incoming webhook, or an app that writes into a channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Slack {
    /// The address of the webhook; empty with a token.
    pub webhook_url: Secret,
    /// The token of an app, `xoxb-…`.
    pub bot_token: Option<Secret>,
    /// Where the app writes; or another channel than that of the webhook, where the workspace
    /// allows it.
    pub channel: Option<String>,
    /// Another server, in the place of the one in `webhook_url`.
    pub base_url: Option<String>,
}

/// A webhook of a channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Discord {
    /// Its address.
    pub webhook_url: Secret,
    /// Another server, in the place of the one in `webhook_url`.
    pub base_url: Option<String>,
}

/// A mail server that takes mail.
#[derive(Debug, Clone, PartialEq)]
pub struct Email {
    /// Its name.
    pub smtp_host: String,
    /// Its port: 587, 465 or 25.
    pub smtp_port: u16,
    /// Who logs in.
    pub username: Option<String>,
    /// With what.
    pub password: Option<Secret>,
    /// Who it is from: `mhost <mhost@example.com>`.
    pub from: String,
    /// Who it is to.
    pub to: Vec<String>,
    /// How the connection is protected.
    pub tls: MailTls,
    /// Who is believed, as PEM, in the place of the system's authorities.
    pub ca_file: Option<PathBuf>,
}

/// How a connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MailTls {
    /// It becomes TLS before anything is said; else nothing is sent.
    #[default]
    Starttls,
    /// It is TLS from the start.
    Tls,
    /// Not at all.
    None,
}

/// Short messages by Twilio.
#[derive(Debug, Clone, PartialEq)]
pub struct Sms {
    /// The account.
    pub account_sid: String,
    /// Its token.
    pub auth_token: Secret,
    /// The number that it is from.
    pub from: Option<String>,
    /// A service that chooses the number.
    pub messaging_service_sid: Option<String>,
    /// Numbers: `+49…`.
    pub to: Vec<String>,
    /// Another server.
    pub base_url: Option<String>,
}

/// Events API v2.
#[derive(Debug, Clone, PartialEq)]
pub struct PagerDuty {
    /// The key of a service.
    pub routing_key: Secret,
    /// `critical`, `error`, `warning` or `info` for a severity.
    pub severity_map: BTreeMap<Severity, String>,
    /// Another server.
    pub base_url: Option<String>,
}

/// Alerts API.
#[derive(Debug, Clone, PartialEq)]
pub struct Opsgenie {
    /// The key of an integration.
    pub api_key: Secret,
    /// Where the account is.
    pub region: Region,
    /// Who is called: `team:ops`, `user:ana@example.com`, `schedule:…`, `escalation:…`.
    pub responders: Vec<String>,
    /// `P1` to `P5` for a severity.
    pub priority_map: BTreeMap<Severity, String>,
    /// Another server.
    pub base_url: Option<String>,
}

/// Where an account of Opsgenie is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "there are two")]
pub enum Region {
    #[default]
    Us,
    Eu,
}

/// An address of one's own.
#[derive(Debug, Clone, PartialEq)]
pub struct Webhook {
    /// The address; it may hold a secret.
    pub url: Secret,
    /// `POST`, `PUT` or `PATCH`.
    pub method: String,
    /// Sent with each request.
    pub headers: BTreeMap<String, Secret>,
    /// What the body is signed with.
    pub secret: Option<Secret>,
    /// Sign the body alone too, as `X-Signature`.
    pub legacy_signature: bool,
}

/// A workflow that takes Adaptive Cards.
#[derive(Debug, Clone, PartialEq)]
pub struct Teams {
    /// Its address.
    pub webhook_url: Secret,
    /// Another server, in the place of the one in `webhook_url`.
    pub base_url: Option<String>,
}

/// A topic at ntfy.
#[derive(Debug, Clone, PartialEq)]
pub struct Ntfy {
    /// The server: `https://ntfy.sh`.
    pub url: String,
    /// The topic. Who knows it can read it.
    pub topic: Secret,
    /// Needed where the topic is protected.
    pub token: Option<Secret>,
}

impl Target {
    /// The word for its type.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Telegram(_) => "telegram",
            Self::Slack(_) => "slack",
            Self::Discord(_) => "discord",
            Self::Email(_) => "email",
            Self::Sms(_) => "sms",
            Self::PagerDuty(_) => "pagerduty",
            Self::Opsgenie(_) => "opsgenie",
            Self::Webhook(_) => "webhook",
            Self::Teams(_) => "teams",
            Self::Ntfy(_) => "ntfy",
            Self::Bot(place) => place.platform.as_str(),
        }
    }

    /// The chat that it leads to, where that is one that a bot could be in.
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Bot(place) => Some(place.clone()),
            Self::Telegram(one) => Some(Place {
                thread: one.thread_id.map(|one| one.to_string()),
                ..Place::chat(Platform::Telegram, &one.chat_id)
            }),
            Self::Slack(one) => {
                let channel = one.channel.as_ref().filter(|_| one.bot_token.is_some());
                channel.map(|one| Place::chat(Platform::Slack, one))
            }
            Self::Discord(_)
            | Self::Email(_)
            | Self::Sms(_)
            | Self::PagerDuty(_)
            | Self::Opsgenie(_)
            | Self::Webhook(_)
            | Self::Teams(_)
            | Self::Ntfy(_) => None,
        }
    }

    /// Does the platform keep alerts that stay open until they are resolved?
    pub fn keeps_alerts(&self) -> bool {
        matches!(self, Self::PagerDuty(_) | Self::Opsgenie(_))
    }

    /// What is not there although it is needed.
    pub(super) fn missing(&self) -> Option<&'static str> {
        let secret = |one: &Secret, what| one.expose().is_empty().then_some(what);
        match self {
            Self::Telegram(one) => secret(&one.bot_token, "`bot_token`")
                .or_else(|| one.chat_id.is_empty().then_some("`chat_id`")),
            Self::Slack(one) if one.bot_token.is_some() => {
                (one.channel.as_deref().unwrap_or_default().is_empty()).then_some("`channel`")
            }
            Self::Slack(one) => secret(&one.webhook_url, "`webhook_url`"),
            Self::Discord(one) => secret(&one.webhook_url, "`webhook_url`"),
            Self::Email(one) => (one.smtp_host.is_empty().then_some("`smtp_host`"))
                .or_else(|| one.from.is_empty().then_some("`from`"))
                .or_else(|| one.to.is_empty().then_some("`to`"))
                .or_else(|| {
                    let lonely = one.username.is_some() != one.password.is_some();
                    lonely.then_some("both `username` and `password`, or neither")
                }),
            Self::Sms(one) => secret(&one.auth_token, "`auth_token`")
                .or_else(|| one.account_sid.is_empty().then_some("`account_sid`"))
                .or_else(|| one.to.is_empty().then_some("`to`"))
                .or_else(|| {
                    let nobody = one.from.is_none() && one.messaging_service_sid.is_none();
                    nobody.then_some("`from` or `messaging_service_sid`")
                }),
            Self::PagerDuty(one) => secret(&one.routing_key, "`routing_key`"),
            Self::Opsgenie(one) => secret(&one.api_key, "`api_key`"),
            Self::Webhook(one) => secret(&one.url, "`url`"),
            Self::Teams(one) => secret(&one.webhook_url, "`webhook_url`"),
            Self::Ntfy(one) => {
                (one.url.is_empty().then_some("`url`")).or_else(|| secret(&one.topic, "`topic`"))
            }
            Self::Bot(place) => place.chat.is_empty().then_some("a chat"),
        }
    }

    #[cfg(test)]
    pub(crate) fn example() -> Self {
        Self::Webhook(Webhook {
            url: Secret::from("http://127.0.0.1:9/hook"),
            method: "POST".into(),
            headers: BTreeMap::new(),
            secret: None,
            legacy_signature: false,
        })
    }
}
