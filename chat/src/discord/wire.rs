//! What comes from Discord, as far as it matters here.
//!
//! Only these fields are read. Types that know all of them refuse a whole event for one
//! component that is newer than they are, and a command would be lost without a word.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

/// Who the bot is.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Me {
    pub(super) id: String,
    #[serde(default)]
    pub(super) username: String,
}

/// The application that the bot belongs to.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Application {
    pub(super) id: String,
}

/// Where the gateway is, and how often one may introduce oneself there.
#[derive(Debug, Deserialize)]
pub(super) struct Entrance {
    pub(super) url: String,
    pub(super) session_start_limit: Starts,
}

#[derive(Debug, Deserialize)]
pub(super) struct Starts {
    pub(super) remaining: u32,
    /// In milliseconds.
    pub(super) reset_after: u64,
}

/// A frame of the gateway.
#[derive(Debug, Deserialize)]
pub(super) struct Frame {
    pub(super) op: u8,
    #[serde(default)]
    pub(super) t: Option<String>,
    #[serde(default)]
    pub(super) d: Value,
}

/// What is left of a message that was sent.
#[derive(Debug, Deserialize)]
pub(super) struct Sent {
    pub(super) id: String,
}

/// A channel, a thread or somebody's private chat.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Chat {
    pub(super) id: String,
    #[serde(rename = "type", default)]
    pub(super) kind: u8,
    /// Of a thread: the channel it is in. Of a channel: its category.
    #[serde(default)]
    pub(super) parent_id: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct User {
    pub(super) id: String,
    #[serde(default)]
    pub(super) username: String,
    #[serde(default)]
    pub(super) global_name: Option<String>,
    #[serde(default)]
    pub(super) bot: bool,
    #[serde(default)]
    pub(super) system: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Member {
    pub(super) user: Option<User>,
}

/// Somebody used a command, pressed a button, or types an argument.
#[derive(Debug, Deserialize)]
pub(super) struct Interaction {
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) kind: u8,
    pub(super) token: String,
    #[serde(default)]
    pub(super) data: Option<Data>,
    #[serde(default)]
    pub(super) guild_id: Option<String>,
    #[serde(default)]
    pub(super) channel_id: Option<String>,
    #[serde(default)]
    pub(super) channel: Option<Chat>,
    /// Who, in a server.
    #[serde(default)]
    pub(super) member: Option<Member>,
    /// Who, in a private chat.
    #[serde(default)]
    pub(super) user: Option<User>,
    /// The message with the button.
    #[serde(default)]
    pub(super) message: Option<Under>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Data {
    #[serde(default)]
    pub(super) name: Option<String>,
    #[serde(default)]
    pub(super) options: Vec<Argument>,
    #[serde(default)]
    pub(super) custom_id: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Argument {
    pub(super) name: String,
    #[serde(default)]
    pub(super) value: Value,
    /// It is this one that is being typed.
    #[serde(default)]
    pub(super) focused: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Under {
    pub(super) id: String,
    #[serde(default)]
    pub(super) author: Option<User>,
}

/// A message that somebody wrote or changed.
#[derive(Debug, Deserialize)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) channel_id: String,
    #[serde(default)]
    pub(super) guild_id: Option<String>,
    pub(super) author: User,
    #[serde(default)]
    pub(super) webhook_id: Option<IgnoredAny>,
    #[serde(default)]
    pub(super) content: String,
    #[serde(default)]
    pub(super) mentions: Vec<User>,
    #[serde(rename = "type", default)]
    pub(super) kind: u8,
    #[serde(default)]
    pub(super) edited_timestamp: Option<String>,
    #[serde(default)]
    pub(super) message_reference: Option<Reference>,
    /// The message that it replies to.
    #[serde(default)]
    pub(super) referenced_message: Option<Replied>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Reference {
    #[serde(rename = "type", default)]
    pub(super) kind: u8,
}

#[derive(Debug, Deserialize)]
pub(super) struct Replied {
    #[serde(default)]
    pub(super) author: Option<User>,
}
