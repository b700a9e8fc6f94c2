//! What comes from Slack, as far as it matters here.
//!
//! Only these fields are read. Types that know all of them refuse a whole delivery for one
//! kind of block that is newer than they are, and a command would be lost without a word.

use serde::Deserialize;
use serde_json::Value;

/// Who the bot is: the answer of `auth.test`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Me {
    pub(super) user_id: String,
    #[serde(default)]
    pub(super) user: String,
    pub(super) team_id: String,
    #[serde(default)]
    pub(super) team: String,
    /// Only the token of a bot has one.
    pub(super) bot_id: Option<String>,
    pub(super) enterprise_id: Option<String>,
}

/// What stands around everything in Socket Mode.
#[derive(Debug, Deserialize)]
pub(super) struct Frame {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) envelope_id: Option<String>,
    #[serde(default)]
    pub(super) payload: Value,
    /// Why it is disconnected.
    pub(super) reason: Option<String>,
}

/// Something that was delivered, on either way.
#[derive(Debug)]
pub(super) enum Delivery {
    /// A message, or another thing that happened.
    Event(Box<Callback>),
    /// A slash command.
    Command(Box<Command>),
    /// A press of a button.
    Action(Box<Action>),
}

impl Delivery {
    /// By the name of its kind in Socket Mode. `None` when it is nothing to us.
    pub(super) fn of(kind: &str, payload: Value) -> Option<Self> {
        match kind {
            "events_api" => serde_json::from_value(payload).ok().map(Self::Event),
            "slash_commands" => serde_json::from_value(payload).ok().map(Self::Command),
            "interactive" => serde_json::from_value(payload).ok().map(Self::Action),
            _ => None,
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Callback {
    pub(super) event: Event,
}

#[derive(Debug, Deserialize)]
pub(super) struct Event {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) channel: String,
    pub(super) channel_type: Option<String>,
    #[serde(flatten)]
    pub(super) message: Message,
    /// What was changed, and what it was before.
    #[serde(rename = "message")]
    pub(super) changed: Option<Message>,
    #[serde(rename = "previous_message")]
    pub(super) before: Option<Message>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Message {
    pub(super) subtype: Option<String>,
    pub(super) ts: Option<String>,
    pub(super) thread_ts: Option<String>,
    pub(super) user: Option<String>,
    pub(super) bot_id: Option<String>,
    pub(super) text: Option<String>,
    /// Where the sender is at home: in a channel that is shared, somewhere else.
    pub(super) user_team: Option<String>,
    pub(super) source_team: Option<String>,
    pub(super) team: Option<String>,
    pub(super) edited: Option<Edited>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Edited {
    pub(super) ts: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Command {
    pub(super) trigger_id: String,
    pub(super) channel_id: String,
    pub(super) user_id: String,
    #[serde(default)]
    pub(super) user_name: String,
    pub(super) team_id: Option<String>,
    #[serde(default)]
    pub(super) text: String,
    pub(super) response_url: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Action {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) user: User,
    pub(super) channel: Option<Channel>,
    pub(super) container: Container,
    pub(super) message: Option<Message>,
    #[serde(default)]
    pub(super) actions: Vec<Pressed>,
    pub(super) response_url: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct User {
    pub(super) id: String,
    pub(super) username: Option<String>,
    pub(super) name: Option<String>,
    pub(super) team_id: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Channel {
    pub(super) id: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Container {
    pub(super) message_ts: Option<String>,
    pub(super) channel_id: Option<String>,
    pub(super) thread_ts: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Pressed {
    pub(super) value: Option<String>,
    pub(super) action_ts: Option<String>,
}
