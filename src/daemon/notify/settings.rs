//! `[notifications]` as the rules take it.
//!
//! The file was checked before; what does not fit together all the same is left out and said.

use std::collections::BTreeMap;

use chat::notify::{
    ChannelSettings, Discord, Email, MailTls, Ntfy, Opsgenie, PagerDuty, QuietHours, Region,
    Severity, Slack, Sms, Target, Teams, Telegram, Wanted, Webhook, link_chain,
};
use chat::{Place, Platform};
use supervisor::config::{
    DaemonConfig, NotificationConfig, NotificationRegion, NotificationSeverity, NotificationTls,
    NotificationType as Type, SeverityMap,
};
use supervisor::secret::Secret;
use tracing::error;

use crate::daemon::chat::places as chat_places;

/// The port of a mail server that is handed mail.
const SUBMISSION: u16 = 587;

/// The channels, in the order of their names.
pub(super) fn channels(config: &DaemonConfig) -> Vec<ChannelSettings> {
    let all = config.notifications.channels.iter();
    let mut channels: Vec<ChannelSettings> = all
        .filter_map(|(name, table)| match channel(name, table, config) {
            Ok(channel) => Some(channel),
            Err(error) => {
                error!(channel = %name, %error, "A channel cannot be used.");
                None
            }
        })
        .collect();
    if let Some(chain) = &config.notifications.escalation {
        link_chain(&mut channels, &chain.chain, chain.escalate_after);
    }
    channels
}

fn channel(
    name: &str,
    table: &NotificationConfig,
    config: &DaemonConfig,
) -> Result<ChannelSettings, String> {
    let events = table.events.iter().map(String::as_str);
    let quiet = table.quiet_hours.as_deref().map(QuietHours::parse);
    let target = target(name, table, config)?;
    Ok(ChannelSettings {
        name: name.to_owned(),
        enabled: table.enabled,
        events: Wanted::of(events).map_err(|error| error.to_string())?,
        processes: table.processes.clone(),
        min_severity: match table.min_severity {
            NotificationSeverity::Info => Severity::Info,
            NotificationSeverity::Warning => Severity::Warning,
            NotificationSeverity::Critical => Severity::Critical,
        },
        throttle: table.throttle,
        escalation_after: table.escalation_after,
        escalation_target: table.escalation_target.clone(),
        quiet_hours: quiet.transpose().map_err(|error| error.to_string())?,
        digest: table.digest,
        cards: target.place().filter(|place| cards(config).contains(place)),
        target,
    })
}

/// The chats that have the cards of incidents.
fn cards(config: &DaemonConfig) -> Vec<Place> {
    let bot = config.bot.as_ref().filter(|bot| bot.enabled);
    let bot = bot.filter(|_| config.brain.enabled);
    bot.map(|bot| chat_places(bot, &config.agent.chats()))
        .unwrap_or_default()
}

/// Where it leads.
fn target(name: &str, table: &NotificationConfig, config: &DaemonConfig) -> Result<Target, String> {
    let kind = table.kind(name).ok_or("it has no type")?;
    if let Some(place) = place(kind, table, config) {
        return Ok(Target::Bot(place));
    }
    let text = |one: &Option<String>| one.clone().unwrap_or_default();
    let secret = |one: &Option<Secret>| one.clone().unwrap_or_else(|| Secret::from(""));
    let base_url = table.base_url.clone();
    Ok(match kind {
        Type::Telegram => Target::Telegram(Telegram {
            bot_token: secret(&table.bot_token),
            chat_id: chat(table),
            thread_id: table.thread_id,
            silent: table.silent,
            base_url,
        }),
        Type::Slack => Target::Slack(Slack {
            webhook_url: secret(&table.webhook_url),
            bot_token: table.bot_token.clone(),
            channel: table.channel.clone(),
            base_url,
        }),
        Type::Discord => Target::Discord(Discord {
            webhook_url: secret(&table.webhook_url),
            base_url,
        }),
        Type::Email => Target::Email(Email {
            smtp_host: text(&table.smtp_host),
            smtp_port: table.smtp_port.unwrap_or(SUBMISSION),
            username: table.username.clone(),
            password: table.password.clone(),
            from: text(&table.from),
            to: table.to.clone(),
            tls: match table.tls {
                NotificationTls::Starttls => MailTls::Starttls,
                NotificationTls::Tls => MailTls::Tls,
                NotificationTls::None => MailTls::None,
            },
            ca_file: table.ca_file.clone(),
        }),
        Type::Sms => Target::Sms(Sms {
            account_sid: text(&table.account_sid),
            auth_token: secret(&table.auth_token),
            from: table.from.clone(),
            messaging_service_sid: table.messaging_service_sid.clone(),
            to: table.to.clone(),
            base_url,
        }),
        Type::Pagerduty => Target::PagerDuty(PagerDuty {
            routing_key: secret(&table.routing_key),
            severity_map: words(&table.severity_map),
            base_url,
        }),
        Type::Opsgenie => Target::Opsgenie(Opsgenie {
            api_key: secret(&table.api_key),
            region: match table.region {
                NotificationRegion::Us => Region::Us,
                NotificationRegion::Eu => Region::Eu,
            },
            responders: table.responders.clone(),
            priority_map: words(&table.priority_map),
            base_url,
        }),
        Type::Webhook => Target::Webhook(Webhook {
            url: secret(&table.url),
            method: table.method.clone().unwrap_or_else(|| "POST".to_owned()),
            headers: table.headers.clone(),
            secret: table.secret.clone(),
            legacy_signature: table.legacy_signature,
        }),
        Type::Teams => Target::Teams(Teams {
            webhook_url: secret(&table.webhook_url),
            base_url,
        }),
        Type::Ntfy => Target::Ntfy(Ntfy {
            url: secret(&table.url).expose().to_owned(),
            topic: secret(&table.topic),
            token: table.token.clone(),
        }),
    })
}

fn chat(table: &NotificationConfig) -> String {
    table
        .chat_id
        .as_ref()
        .map_or_else(String::new, |one| one.0.clone())
}

/// The chat of the bot that speaks for this channel: where the settings say so, and where the
/// token is the one that the bot on Telegram listens with.
fn place(kind: Type, table: &NotificationConfig, config: &DaemonConfig) -> Option<Place> {
    let channel = || table.channel.clone().unwrap_or_default();
    match kind {
        Type::Telegram => {
            let bot = config.bot.as_ref().filter(|bot| bot.enabled);
            let own = bot
                .and_then(|bot| bot.telegram.as_ref())
                .map(|one| &one.token);
            let same = table.bot_token.is_some() && own == table.bot_token.as_ref();
            // What only the other way can do is done the other way.
            let plain = !table.silent && table.base_url.is_none();
            (table.bot || same && plain).then(|| Place {
                thread: table.thread_id.map(|one| one.to_string()),
                ..Place::chat(Platform::Telegram, chat(table))
            })
        }
        Type::Slack => (table.bot).then(|| Place::chat(Platform::Slack, channel())),
        Type::Discord => (table.bot).then(|| Place::chat(Platform::Discord, channel())),
        _ => None,
    }
}

fn words(map: &SeverityMap) -> BTreeMap<Severity, String> {
    let all = [
        (Severity::Critical, &map.critical),
        (Severity::Warning, &map.warning),
        (Severity::Info, &map.info),
    ];
    let said = all
        .into_iter()
        .filter_map(|(severity, word)| Some((severity, word.clone()?)));
    said.collect()
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use chat::notify::EventName;
    use supervisor::config::{
        BotConfig, NOTIFICATION_ALIASES, NOTIFICATION_EVENTS, TelegramConfig,
    };

    use super::*;

    fn config(
        channels: impl IntoIterator<Item = (&'static str, NotificationConfig)>,
    ) -> DaemonConfig {
        let mut config = DaemonConfig::default();
        let channels = channels
            .into_iter()
            .map(|(name, one)| (name.to_owned(), one));
        config.notifications.channels = channels.collect();
        config
    }

    /// What the file may name is what there is.
    #[test]
    fn the_words_of_the_file_are_those_of_the_rules() {
        for word in NOTIFICATION_EVENTS {
            assert!(EventName::from_str(word).is_ok(), "{word}");
        }
        let known: Vec<&str> = EventName::ALL.iter().map(|one| one.as_str()).collect();
        let missing: Vec<&&str> = (known.iter())
            .filter(|word| !NOTIFICATION_EVENTS.contains(word))
            .collect();
        let untold = [
            "deploy_start",
            "deploy_done",
            "deploy_failed",
            "cert_expiring",
            "flapping",
            "digest",
            "test",
        ];
        assert_eq!(missing, untold.iter().collect::<Vec<_>>());
        for (word, _) in NOTIFICATION_ALIASES {
            assert!(Wanted::of([word]).is_ok(), "{word}");
        }
    }

    #[test]
    fn the_bot_speaks_where_it_is_asked_to_and_with_its_own_token() {
        let with = |token: &str| NotificationConfig {
            bot_token: Some(Secret::from(token)),
            chat_id: Some(supervisor::config::ChatId("-100".into())),
            thread_id: Some(7),
            ..NotificationConfig::default()
        };
        let mut config = config([("telegram", with("1:own"))]);
        let target = |config: &DaemonConfig| channels(config).remove(0).target;
        assert!(matches!(target(&config), Target::Telegram(_)));
        config.bot = Some(BotConfig {
            telegram: Some(TelegramConfig {
                token: Secret::from("1:own"),
                base_url: None,
                webhook: None,
            }),
            ..BotConfig::default()
        });
        match target(&config) {
            Target::Bot(place) => assert_eq!(place.to_string(), "telegram:-100/7"),
            other => panic!("{other:?}"),
        }
        config
            .notifications
            .channels
            .insert("telegram".into(), with("1:other"));
        assert!(matches!(target(&config), Target::Telegram(_)));
        let asked = NotificationConfig {
            bot: true,
            ..with("1:other")
        };
        config
            .notifications
            .channels
            .insert("telegram".into(), asked);
        assert!(matches!(target(&config), Target::Bot(_)));
    }

    #[test]
    fn the_chain_links_what_says_nothing_itself() {
        let hook = || NotificationConfig {
            kind: Some(Type::Webhook),
            url: Some(Secret::from("http://h")),
            ..NotificationConfig::default()
        };
        let mut config = config([("a", hook()), ("b", hook())]);
        config.notifications.escalation = Some(supervisor::config::EscalationConfig {
            chain: vec!["a".into(), "b".into()],
            escalate_after: std::time::Duration::from_secs(300),
        });
        let all = channels(&config);
        assert_eq!(all[0].escalation_target.as_deref(), Some("b"));
        assert!(chat::notify::check(&all).is_empty());
    }
}
