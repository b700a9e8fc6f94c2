//! What comes from Telegram, as far as it matters here.
//!
//! Only these fields are read. Types that know all of them refuse a whole message for one kind
//! of formatting that is newer than they are, and a command would be lost without a word.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

/// Who the bot is.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Me {
    pub(super) id: i64,
    #[serde(default)]
    pub(super) first_name: String,
    /// Without `@`. Every bot at Telegram has one.
    pub(super) username: Option<String>,
}

/// What is left of a message that was sent.
#[derive(Debug, Deserialize)]
pub(super) struct Sent {
    pub(super) message_id: i32,
}

/// One update: at most one of them is there.
#[derive(Debug, Deserialize)]
pub(super) struct Update {
    pub(super) message: Option<Message>,
    pub(super) edited_message: Option<Message>,
    pub(super) callback_query: Option<Query>,
}

impl Update {
    /// Its number, and itself if it can be read.
    pub(super) fn of(value: Value) -> Option<(i64, Option<Self>)> {
        let id = value.get("update_id")?.as_i64()?;
        Some((id, serde_json::from_value(value).ok()))
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Message {
    pub(super) message_id: i64,
    pub(super) message_thread_id: Option<i64>,
    #[serde(default)]
    pub(super) is_topic_message: bool,
    pub(super) from: Option<User>,
    pub(super) sender_chat: Option<Chat>,
    pub(super) chat: Chat,
    /// Zero for a message that the bot may no longer see.
    #[serde(default)]
    pub(super) date: i64,
    pub(super) edit_date: Option<i64>,
    pub(super) text: Option<String>,
    #[serde(default)]
    pub(super) entities: Vec<Entity>,
    pub(super) forward_origin: Option<IgnoredAny>,
    /// Instead of the former, from servers before Bot API 7.0.
    pub(super) forward_date: Option<IgnoredAny>,
    #[serde(default)]
    pub(super) is_automatic_forward: bool,
    pub(super) via_bot: Option<IgnoredAny>,
    pub(super) reply_to_message: Option<Replied>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Replied {
    pub(super) from: Option<User>,
    /// In a topic, what is no reply to anything "replies" to the beginning of the topic.
    pub(super) forum_topic_created: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
pub(super) struct User {
    pub(super) id: i64,
    #[serde(default)]
    pub(super) is_bot: bool,
    #[serde(default)]
    pub(super) first_name: String,
    pub(super) last_name: Option<String>,
    pub(super) username: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Chat {
    pub(super) id: i64,
    #[serde(rename = "type", default)]
    pub(super) kind: String,
    pub(super) title: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Entity {
    /// Somebody without a user name who is meant.
    pub(super) user: Option<User>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Query {
    pub(super) id: String,
    pub(super) from: User,
    pub(super) message: Option<Message>,
    pub(super) data: Option<String>,
}
