//! `[notifications.<name>]`: the places that are told what happens, and by what rules.
//!
//! One flat table serves all types, as for sinks; which keys a type takes is checked in
//! `check`, with their places. The name `escalation` is taken: it is the short form of who is
//! told when nobody reacts.

mod check;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::secret::{SHORTEST, Secret, passwords_of};
use crate::units::optional_duration;

pub(super) use check::check;
pub use check::{NOTIFICATION_ALIASES, NOTIFICATION_EVENTS};

/// The one name that is no channel.
pub(super) const ESCALATION: &str = "escalation";
/// Shorter parts of an address are names; longer ones may be the token of a webhook.
const TOKEN: usize = 16;
/// Shorter topics are words that stand everywhere.
const TOPIC: usize = 12;

/// Channels by name, and the short form of escalation.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NotificationsConfig {
    /// Who is told after whom.
    pub escalation: Option<EscalationConfig>,
    /// The channels.
    pub channels: BTreeMap<String, NotificationConfig>,
}

/// The short form of escalation: one channel after another, until somebody reacts.
/// A channel's own `escalation_target` and `escalation_after` count more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EscalationConfig {
    /// Names of channels, the first first.
    pub chain: Vec<String>,
    /// How long each waits for somebody to react.
    #[serde(with = "crate::units::duration")]
    #[schemars(with = "String", extend("x-form" = "duration"))]
    pub escalate_after: Duration,
}

/// Where a channel leads.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "each is named after its platform")]
pub enum NotificationType {
    Telegram,
    Slack,
    Discord,
    Email,
    Sms,
    Pagerduty,
    Opsgenie,
    Webhook,
    Teams,
    Ntfy,
}

/// How bad something has to be.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum NotificationSeverity {
    /// Good to know.
    #[default]
    Info,
    /// Somebody should look.
    Warning,
    /// Somebody must act.
    Critical,
}

/// How a connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NotificationTls {
    /// It becomes TLS before anything is said.
    #[default]
    Starttls,
    /// It is TLS from the start.
    Tls,
    /// Not at all.
    None,
}

/// Where an account of Opsgenie is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "there are two")]
pub enum NotificationRegion {
    #[default]
    Us,
    Eu,
}

/// A word of the platform for each severity.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SeverityMap {
    /// For what must be acted on.
    pub critical: Option<String>,
    /// For what should be looked at.
    pub warning: Option<String>,
    /// For what is good to know.
    pub info: Option<String>,
}

/// A place that is told what happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NotificationConfig {
    /// `telegram`, `slack`, `discord`, `email`, `sms`, `pagerduty`, `opsgenie`, `webhook`,
    /// `teams` or `ntfy`. Default: the name of the table.
    #[serde(rename = "type")]
    pub kind: Option<NotificationType>,
    /// Tell it. What waits for a channel that is off stays. Default `true`.
    pub enabled: bool,
    /// Events that it is told of: `["crash", "errored"]`; `mhost notify events` lists them. Default: all.
    pub events: Vec<String>,
    /// Processes that it hears of, as globs. Default: all.
    #[schemars(extend("x-form" = "glob"))]
    pub processes: Vec<String>,
    /// The least that it is told. Default `info`.
    pub min_severity: NotificationSeverity,
    /// One message about the same class of events of a process in this time; the next says how
    /// many were left out. What is worse passes at once. Default `60s`.
    #[serde(with = "crate::units::duration")]
    #[schemars(with = "String", extend("x-form" = "duration"))]
    pub throttle: Duration,
    /// After this time an incident that is still open goes to `escalation_target`. Default: never.
    #[serde(with = "optional_duration")]
    #[schemars(with = "Option<String>", extend("x-form" = "duration"))]
    pub escalation_after: Option<Duration>,
    /// The channel that is told when nobody reacts, or when this one does not work.
    pub escalation_target: Option<String>,
    /// Hours in which only what is critical goes out: `"22:00-07:00 Europe/Paris"`; without a
    /// zone in that of this machine. The rest comes in one message afterwards. Default: none.
    #[schemars(extend("x-form" = "quiet"))]
    pub quiet_hours: Option<String>,
    /// Collect what is not critical for so long, and tell it in one message. Default: off.
    #[serde(with = "optional_duration")]
    #[schemars(with = "Option<String>", extend("x-form" = "duration"))]
    pub digest: Option<Duration>,
    /// Send through the bot that `[bot.<type>]` connects, with buttons under what needs a
    /// person: Restart, Logs, Ack, Mute. Telegram, Slack and Discord. Default `false`.
    pub bot: bool,
    /// The token of a bot; better a reference such as `${TELEGRAM_TOKEN}`. With the token of
    /// `[bot.telegram]` it is as `bot = true`. Telegram; for Slack that of an app, `xoxb-…`,
    /// which writes into `channel` in the place of a webhook.
    pub bot_token: Option<Secret>,
    /// The chat: a number, or `"@channel"`. Telegram.
    pub chat_id: Option<ChatId>,
    /// A topic of the chat. Telegram.
    pub thread_id: Option<i64>,
    /// Without a sound. Default `false`. Telegram.
    pub silent: bool,
    /// The address of an incoming webhook. Slack, Discord and Teams.
    #[serde(alias = "webhook")]
    #[schemars(extend("x-form" = "endpoint", "x-alias" = ["webhook"]))]
    pub webhook_url: Option<Secret>,
    /// The id of a channel. With `bot = true` or the token of an app where it is told; else
    /// another channel than that of Slack's webhook. Slack and Discord.
    pub channel: Option<String>,
    /// The mail server. Email.
    pub smtp_host: Option<String>,
    /// Its port. Default 587. Email.
    #[schemars(range(min = 1), extend("x-form" = "port"))]
    pub smtp_port: Option<u16>,
    /// Who logs in. Email.
    pub username: Option<String>,
    /// With what. Email.
    pub password: Option<Secret>,
    /// Who it is from: an address, or a number for SMS.
    pub from: Option<String>,
    /// Who it is to: addresses, or numbers for SMS.
    pub to: Vec<String>,
    /// How the connection is protected: `starttls`, `tls` or `none`. Default `starttls`. Email.
    pub tls: NotificationTls,
    /// A PEM file of authorities to trust instead of those of the system. Email.
    pub ca_file: Option<PathBuf>,
    /// The account at Twilio. SMS.
    pub account_sid: Option<String>,
    /// Its token. SMS.
    pub auth_token: Option<Secret>,
    /// A messaging service that chooses the number, in the place of `from`. SMS.
    pub messaging_service_sid: Option<String>,
    /// The integration key of a service. PagerDuty.
    pub routing_key: Option<Secret>,
    /// `critical`, `error`, `warning` or `info` for each severity. PagerDuty.
    pub severity_map: SeverityMap,
    /// The key of an integration. Opsgenie.
    pub api_key: Option<Secret>,
    /// `us` or `eu`. Default `us`. Opsgenie.
    pub region: NotificationRegion,
    /// Who is called: `"team:ops"`, `"user:ana@example.com"`. Opsgenie.
    pub responders: Vec<String>,
    /// `P1` to `P5` for each severity. Opsgenie.
    pub priority_map: SeverityMap,
    /// Where to send: the address of the receiver, or the server of ntfy.
    #[schemars(extend("x-form" = "endpoint"))]
    pub url: Option<Secret>,
    /// `POST`, `PUT` or `PATCH`. Default `POST`. Webhook.
    pub method: Option<String>,
    /// Further headers. Webhook.
    pub headers: BTreeMap<String, Secret>,
    /// What each message is signed with, as `X-Mhost-Signature`. Webhook.
    #[serde(alias = "hmac_secret")]
    #[schemars(extend("x-alias" = ["hmac_secret"]))]
    pub secret: Option<Secret>,
    /// Sign the body alone, too, as `X-Signature`. Default `false`. Webhook.
    pub legacy_signature: bool,
    /// The topic; who knows it can read it. Ntfy.
    pub topic: Option<Secret>,
    /// For a topic that is protected. Ntfy.
    pub token: Option<Secret>,
    /// Another server that speaks the protocol of the platform, such as a proxy.
    #[schemars(extend("x-form" = "endpoint"))]
    pub base_url: Option<String>,
}

/// A chat of Telegram: a number, or a name with an `@`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatId(pub String);

impl Default for NotificationConfig {
    fn default() -> Self {
        Self {
            kind: None,
            enabled: true,
            events: Vec::new(),
            processes: Vec::new(),
            min_severity: NotificationSeverity::Info,
            // One message a minute about the same thing: as the peer has it.
            throttle: Duration::from_secs(60),
            escalation_after: None,
            escalation_target: None,
            quiet_hours: None,
            digest: None,
            bot: false,
            bot_token: None,
            chat_id: None,
            thread_id: None,
            silent: false,
            webhook_url: None,
            channel: None,
            smtp_host: None,
            smtp_port: None,
            username: None,
            password: None,
            from: None,
            to: Vec::new(),
            tls: NotificationTls::Starttls,
            ca_file: None,
            account_sid: None,
            auth_token: None,
            messaging_service_sid: None,
            routing_key: None,
            severity_map: SeverityMap::default(),
            api_key: None,
            region: NotificationRegion::Us,
            responders: Vec::new(),
            priority_map: SeverityMap::default(),
            url: None,
            method: None,
            headers: BTreeMap::new(),
            secret: None,
            legacy_signature: false,
            topic: None,
            token: None,
            base_url: None,
        }
    }
}

impl NotificationType {
    /// All of them, in the order of the reference.
    pub const ALL: [Self; 10] = [
        Self::Telegram,
        Self::Slack,
        Self::Discord,
        Self::Email,
        Self::Sms,
        Self::Pagerduty,
        Self::Opsgenie,
        Self::Webhook,
        Self::Teams,
        Self::Ntfy,
    ];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Telegram => "telegram",
            Self::Slack => "slack",
            Self::Discord => "discord",
            Self::Email => "email",
            Self::Sms => "sms",
            Self::Pagerduty => "pagerduty",
            Self::Opsgenie => "opsgenie",
            Self::Webhook => "webhook",
            Self::Teams => "teams",
            Self::Ntfy => "ntfy",
        }
    }

    /// The type of this word.
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }

    /// Its name, for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Telegram => "Telegram",
            Self::Slack => "Slack",
            Self::Discord => "Discord",
            Self::Email => "Mail",
            Self::Sms => "SMS",
            Self::Pagerduty => "PagerDuty",
            Self::Opsgenie => "Opsgenie",
            Self::Webhook => "Webhook",
            Self::Teams => "Teams",
            Self::Ntfy => "ntfy",
        }
    }
}

impl NotificationConfig {
    /// Its type: what is written, or what it is called.
    pub fn kind(&self, name: &str) -> Option<NotificationType> {
        self.kind.or_else(|| NotificationType::named(name))
    }

    /// All it holds that must not be shown.
    fn secrets(&self) -> Vec<Secret> {
        let own = [
            &self.bot_token,
            &self.password,
            &self.auth_token,
            &self.routing_key,
            &self.api_key,
            &self.secret,
            &self.token,
        ];
        let mut secrets: Vec<Secret> = own.into_iter().flatten().cloned().collect();
        secrets.extend(self.headers.values().cloned());
        for address in self.webhook_url.iter().chain(&self.url) {
            let address = address.expose();
            secrets.extend(passwords_of(address));
            let parts = address.split(['/', '?', '&', '=']);
            secrets.extend(parts.filter(|one| one.len() >= TOKEN).map(Secret::from));
        }
        secrets.extend(self.base_url.iter().flat_map(|url| passwords_of(url)));
        secrets.retain(|secret| secret.expose().len() >= SHORTEST);
        let topic = self.topic.iter().cloned();
        secrets.extend(topic.filter(|topic| topic.expose().len() >= TOPIC));
        secrets
    }
}

impl NotificationsConfig {
    /// All they hold that must not be shown.
    pub fn secrets(&self) -> impl Iterator<Item = Secret> {
        self.channels.values().flat_map(NotificationConfig::secrets)
    }
}

impl Serialize for NotificationsConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(escalation) = &self.escalation {
            map.serialize_entry(ESCALATION, escalation)?;
        }
        for (name, channel) in &self.channels {
            map.serialize_entry(name, channel)?;
        }
        map.end()
    }
}

/// By hand, since a derive that puts both together says of a wrong key neither name nor place.
impl<'de> Deserialize<'de> for NotificationsConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Tables;
        impl<'de> Visitor<'de> for Tables {
            type Value = NotificationsConfig;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("tables of channels")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut all = NotificationsConfig::default();
                while let Some(name) = map.next_key::<String>()? {
                    if name == ESCALATION {
                        all.escalation = Some(map.next_value()?);
                    } else {
                        all.channels.insert(name, map.next_value()?);
                    }
                }
                Ok(all)
            }
        }
        deserializer.deserialize_map(Tables)
    }
}

impl JsonSchema for NotificationsConfig {
    fn schema_name() -> Cow<'static, str> {
        "NotificationsConfig".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Places that are told what happens, by name.",
            "type": "object",
            "properties": { ESCALATION: generator.subschema_for::<EscalationConfig>() },
            "additionalProperties": generator.subschema_for::<NotificationConfig>(),
        })
    }
}

impl Serialize for ChatId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ChatId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = ChatId;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or a text such as \"@channel\"")
            }
            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<ChatId, E> {
                Ok(ChatId(value.to_string()))
            }
            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<ChatId, E> {
                Ok(ChatId(value.to_string()))
            }
            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<ChatId, E> {
                Ok(ChatId(value.to_owned()))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for ChatId {
    fn schema_name() -> Cow<'static, str> {
        "ChatId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [{ "type": "integer" }, { "type": "string" }] })
    }
}

#[cfg(test)]
mod tests;
