//! Where a message is, in the platform's own ids.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Platform;

/// A chat, and the thread or topic in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The platform.
    pub platform: Platform,
    /// Its chat or channel: `-1001234`, `C0123`, a snowflake.
    pub chat: String,
    /// A forum topic, the first message of a thread, a thread's own channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
}

impl Place {
    /// A chat as a whole.
    pub fn chat(platform: Platform, chat: impl Into<String>) -> Self {
        Self {
            platform,
            chat: chat.into(),
            thread: None,
        }
    }
}

/// As in the audit log: `telegram:-1001234`, with its thread `telegram:-1001234/7`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.platform, self.chat)?;
        self.thread
            .as_ref()
            .map_or(Ok(()), |thread| write!(f, "/{thread}"))
    }
}

/// A message that was sent, to edit it later.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MessageRef {
    /// Where it is.
    pub place: Place,
    /// Its id there: a number, Slack's `ts`, a snowflake.
    pub id: String,
}
