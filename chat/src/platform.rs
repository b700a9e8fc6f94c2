//! The platforms, and how much each takes in one message.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A chat platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Platform {
    /// Telegram's Bot API.
    Telegram,
    /// Slack: Socket Mode or signed HTTP.
    Slack,
    /// Discord: gateway and REST.
    Discord,
}

impl Platform {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Telegram, Self::Slack, Self::Discord];

    /// Its word, as in `config.toml` and before an id: `telegram:123`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Telegram => "telegram",
            Self::Slack => "slack",
            Self::Discord => "discord",
        }
    }

    /// Its name, for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Telegram => "Telegram",
            Self::Slack => "Slack",
            Self::Discord => "Discord",
        }
    }

    /// Most characters of a message, by the platform's documentation: Telegram 4,096 after its
    /// markup is taken out, Slack 3,000 in a block of text, Discord 2,000.
    pub fn text_limit(self) -> usize {
        match self {
            Self::Telegram => 4_096,
            Self::Slack => 3_000,
            Self::Discord => 2_000,
        }
    }

    /// Most bytes that a button carries: Telegram's `callback_data` 64, Slack's `value` 2,000,
    /// Discord's `custom_id` 100.
    pub fn press_limit(self) -> usize {
        match self {
            Self::Telegram => 64,
            Self::Slack => 2_000,
            Self::Discord => 100,
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No such platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no chat platform; there are telegram, slack and discord")]
pub struct UnknownPlatform(String);

impl FromStr for Platform {
    type Err = UnknownPlatform;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|one| one.as_str() == text)
            .ok_or_else(|| UnknownPlatform(text.chars().take(40).collect()))
    }
}
