//! What a bot is made of: one variant for each platform.
//!
//! Another platform is another variant here, a table in the settings, and nothing else in the
//! daemon.

use std::sync::Arc;

use chat::discord::{Discord, Names};
use chat::slack::Slack;
use chat::telegram::Telegram;
use chat::{Channel, Platform};
use supervisor::config::{BotConfig, DiscordConfig, SlackConfig, TelegramConfig};

/// The settings that a bot was connected with. Others need another bot.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Made {
    /// A bot on Telegram.
    Telegram(TelegramConfig),
    /// A bot on Slack.
    Slack(SlackConfig),
    /// A bot on Discord.
    Discord(DiscordConfig),
}

impl Made {
    /// All bots that the settings ask for.
    pub(super) fn all(config: &BotConfig) -> Vec<Self> {
        if !config.enabled {
            return Vec::new();
        }
        let telegram = config.telegram.clone().map(Self::Telegram);
        let slack = config.slack.clone().map(Self::Slack);
        let discord = config.discord.clone().map(Self::Discord);
        telegram.into_iter().chain(slack).chain(discord).collect()
    }

    /// Where it is.
    pub(super) fn platform(&self) -> Platform {
        match self {
            Self::Telegram(_) => Platform::Telegram,
            Self::Slack(_) => Platform::Slack,
            Self::Discord(_) => Platform::Discord,
        }
    }

    /// Its adapter, which suggests these names where the platform lets people choose from some.
    /// Nothing is asked of the platform yet.
    ///
    /// # Errors
    /// What is wrong with the settings, in words.
    pub(super) fn channel(&self, names: Names) -> Result<Arc<dyn Channel>, String> {
        match self {
            Self::Telegram(config) => {
                let settings = config.try_into();
                let channel = settings.and_then(|settings| Telegram::new(&settings));
                Ok(Arc::new(channel.map_err(|error| error.to_string())?))
            }
            Self::Slack(config) => {
                let channel = Slack::new(&config.into()).map_err(|error| error.to_string())?;
                Ok(Arc::new(channel))
            }
            Self::Discord(config) => {
                let channel =
                    Discord::new(&config.into(), Some(names)).map_err(|error| error.to_string())?;
                Ok(Arc::new(channel))
            }
        }
    }
}
