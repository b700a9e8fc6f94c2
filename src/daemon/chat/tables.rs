//! `[bot]` as the router and the threads take it.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use chat::router::Settings;
use chat::{Pace, People, Place, Platform};
use supervisor::Role;
use supervisor::config::{BotConfig, DaemonConfig};

/// Which platforms have a table.
pub(super) fn platforms(config: &BotConfig) -> Vec<Platform> {
    let telegram = config.telegram.iter().map(|_| Platform::Telegram);
    let slack = config.slack.iter().map(|_| Platform::Slack);
    let discord = config.discord.iter().map(|_| Platform::Discord);
    telegram.chain(slack).chain(discord).collect()
}

/// Who may do what, and when they are asked whether they mean it.
pub(super) fn settings(config: &BotConfig) -> Settings {
    let name = |id: &String| qualified(config, id);
    Settings {
        people: People {
            roles: config
                .users
                .iter()
                .map(|(id, role)| (name(id), Role::from(*role)))
                .collect(),
            blocked: config.blocked.iter().map(name).collect(),
            chats: config.allowed_chats.iter().map(name).collect(),
        },
        asking: config.ask_role.into(),
        confirm_destructive: config.confirm_destructive,
        confirm_restart: config.confirm_restart,
        confirm_timeout: config.confirm_timeout,
    }
}

/// How often somebody may ask, in a minute.
pub(super) fn per_minute(config: &BotConfig) -> NonZeroU32 {
    NonZeroU32::new(config.rate_limit).unwrap_or(Pace::PER_MINUTE)
}

/// Chats that are told of incidents and asked: those that are named, `asked` by the agent, and
/// with `auto_alerts` the private chats of admins. A platform whose private chats do not have the
/// user's id opens them itself.
pub(crate) fn places(config: &BotConfig, asked: &[String]) -> Vec<Place> {
    let named = config.channels.iter().chain(asked);
    let mut places: Vec<Place> = named.filter_map(|one| place(one)).collect();
    if config.auto_alerts {
        let people = settings(config).people;
        for platform in platforms(config) {
            for id in people.with_role(platform, Role::Admin) {
                places.push(Place::chat(platform, id));
            }
        }
    }
    let mut seen = BTreeSet::new();
    places.retain(|place| seen.insert(place.clone()));
    places
}

/// What people in the chats may do, by their id. Whoever is blocked is not there.
pub(crate) fn roles(config: &DaemonConfig) -> BTreeMap<String, Role> {
    let Some(bot) = &config.bot else {
        return BTreeMap::new();
    };
    let mut people = settings(bot).people;
    people.roles.retain(|who, _| !people.blocked.contains(who));
    people.roles
}

/// Who may decide on what the agent asks. A bare id that stands under `[bot.users]` is one of
/// the only platform there is; any other one is left as it is.
pub(crate) fn approvers(config: &DaemonConfig) -> Vec<String> {
    let ids = config.agent.approvers.iter();
    ids.map(|id| {
        let Some(bot) = &config.bot else {
            return id.clone();
        };
        let with_platform = qualified(bot, id);
        let mut users = bot.users.keys().map(|one| qualified(bot, one));
        if users.any(|one| one == with_platform) {
            with_platform
        } else {
            id.clone()
        }
    })
    .collect()
}

/// `telegram:-1001234`, or with a thread `telegram:-1001234/7`.
pub(super) fn place(text: &str) -> Option<Place> {
    let (platform, chat) = text.split_once(':')?;
    let platform: Platform = platform.parse().ok()?;
    let (chat, thread) = match chat.split_once('/') {
        Some((chat, thread)) => (chat, Some(thread.to_owned())),
        None => (chat, None),
    };
    (!chat.is_empty()).then(|| Place {
        thread,
        ..Place::chat(platform, chat)
    })
}

/// An id with its platform: a bare one is of the only platform there is.
fn qualified(config: &BotConfig, id: &String) -> String {
    let known = id
        .split_once(':')
        .is_some_and(|(platform, _)| platform.parse::<Platform>().is_ok());
    match platforms(config).as_slice() {
        [only] if !known => format!("{only}:{id}"),
        _ => id.clone(),
    }
}

#[cfg(test)]
mod tests {
    use supervisor::config::{BotRole, TelegramConfig};

    use super::*;

    fn config() -> BotConfig {
        BotConfig {
            telegram: Some(TelegramConfig {
                token: "1:x".to_owned().into(),
                base_url: None,
                webhook: None,
            }),
            users: [
                ("7".to_owned(), BotRole::Admin),
                ("telegram:8".to_owned(), BotRole::Viewer),
            ]
            .into(),
            channels: vec!["telegram:-100/4".into(), "nowhere".into()],
            ..BotConfig::default()
        }
    }

    #[test]
    fn a_bare_id_is_of_the_only_platform() {
        let people = settings(&config()).people;
        assert_eq!(people.roles["telegram:7"], Role::Admin);
        assert_eq!(people.roles["telegram:8"], Role::Viewer);
    }

    #[test]
    fn admins_are_told_in_private() {
        let all = |asked: &[&str]| {
            let asked: Vec<String> = asked.iter().map(|&one| one.to_owned()).collect();
            let places = places(&config(), &asked).into_iter();
            places.map(|place| place.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(all(&[]), ["telegram:-100/4", "telegram:7"]);
        // The agent's own chats come beside them, each once.
        assert_eq!(
            all(&["telegram:7", "telegram:-100/4", "telegram:-100/5", "ops"]),
            ["telegram:-100/4", "telegram:7", "telegram:-100/5"]
        );
        let quiet = BotConfig {
            auto_alerts: false,
            ..config()
        };
        assert_eq!(places(&quiet, &[]).len(), 1);
    }

    #[test]
    fn whoever_is_blocked_has_no_role() {
        let of = |blocked: &[&str]| {
            roles(&DaemonConfig {
                bot: Some(BotConfig {
                    blocked: blocked.iter().map(|&one| one.to_owned()).collect(),
                    ..config()
                }),
                ..DaemonConfig::default()
            })
        };
        assert_eq!(of(&[])["telegram:7"], Role::Admin);
        assert!(!of(&["7"]).contains_key("telegram:7"));
        assert!(roles(&DaemonConfig::default()).is_empty());
    }

    #[test]
    fn approvers_are_who_the_chats_know_them_as() {
        let of = |ids: &[&str], bot: Option<BotConfig>| {
            let mut all = DaemonConfig {
                bot,
                ..DaemonConfig::default()
            };
            all.agent.approvers = ids.iter().map(|&one| one.to_owned()).collect();
            approvers(&all)
        };
        let ids = ["7", "8", "telegram:8", "cli:ana", "ana"];
        assert_eq!(
            of(&ids, Some(config())),
            ["telegram:7", "telegram:8", "telegram:8", "cli:ana", "ana"]
        );
        assert_eq!(of(&ids, None), ids);
    }
}
