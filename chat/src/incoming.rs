//! What comes in from a platform, in one form for all.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{MessageRef, Place, Platform};

/// A text or a press of a button.
///
/// It can be written down: what was received and not yet answered when the daemon was killed
/// is taken up again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incoming {
    /// The platform's id of this delivery. The same thing delivered twice has the same id.
    pub delivery: String,
    /// Where it was written or pressed.
    pub place: Place,
    /// Who did it.
    pub sender: Sender,
    /// When, by the platform's clock.
    pub at: Timestamp,
    /// What it is.
    pub what: What,
    /// Under which circumstances.
    pub origin: Origin,
    /// What the platform needs for an answer that only the sender sees: Telegram's id of the
    /// callback query, Slack's `response_url`, Discord's interaction token. It is worth
    /// nothing after some minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

/// Who wrote or pressed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sender {
    /// The platform's id, which alone says who it is: `123`, `U0123`, a snowflake.
    pub id: String,
    /// How people call them. Anybody can take any name.
    pub name: String,
}

impl Sender {
    /// As a principal: `telegram:123`.
    pub fn principal(&self, platform: Platform) -> String {
        format!("{platform}:{}", self.id)
    }
}

/// What came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A text: a command or plain words. What addresses the bot (`/cmd@bot`, a mention, the
    /// name of a slash command) is taken off, and a command begins with `/`.
    Text {
        /// The message.
        message: MessageRef,
        /// As it was written, at most [`Incoming::MOST_TEXT`] bytes.
        text: String,
    },
    /// A button.
    Press {
        /// The message that has it.
        message: MessageRef,
        /// What it carries. Anybody who speaks the wire format can send any.
        payload: String,
    },
}

impl Incoming {
    /// Longer texts are cut by the adapter: no command is longer, and no question should be.
    pub const MOST_TEXT: usize = 4_096;

    /// The message it is about.
    pub fn message(&self) -> &MessageRef {
        match &self.what {
            What::Text { message, .. } | What::Press { message, .. } => message,
        }
    }
}

/// Circumstances that decide what it may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Origin {
    /// Only the sender and the bot are there.
    pub private: bool,
    /// In a group: the bot is meant, by a mention, a reply to it or a command.
    pub addressed: bool,
    /// Somebody else wrote it first.
    pub forwarded: bool,
    /// It was changed after it was sent.
    pub edited: bool,
    /// The platform does not say who it is: Telegram's anonymous admins and channels.
    pub anonymous: bool,
    /// A bot sent it.
    pub bot: bool,
}
