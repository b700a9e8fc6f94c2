//! A platform, as the rest of this crate sees it.

use std::time::Duration;

use async_trait::async_trait;

use crate::{Card, Incoming, MessageRef, Place, Platform};

/// One bot on one platform.
///
/// An adapter carries and lays out. It trusts nobody, and decides nothing: who somebody is and
/// what they may do is the router's business.
#[async_trait]
pub trait Channel: Send + Sync {
    /// Which platform.
    fn platform(&self) -> Platform;

    /// Connects, or makes sure that it is connected, and says as whom.
    ///
    /// # Errors
    /// [`ChatError::Unauthorised`] for a wrong token, [`ChatError::Conflict`] when another
    /// program uses it, else what keeps it from connecting.
    async fn connect(&self) -> Result<Identity, ChatError>;

    /// Shows the commands where the platform lists them.
    ///
    /// # Errors
    /// What the platform said.
    async fn menu(&self, entries: &[MenuEntry]) -> Result<(), ChatError>;

    /// Sends a card. One that is longer than the platform takes is cut with a sign, and the
    /// file of a card is sent with it. Waits as long as the platform's limits of pace ask for.
    ///
    /// # Errors
    /// What the platform said; nothing was sent then.
    async fn send(&self, to: &Place, card: &Card) -> Result<MessageRef, ChatError>;

    /// Puts another card in the place of a message. That it is the same already is no error.
    ///
    /// # Errors
    /// What the platform said; [`ChatError::Gone`] when the message is no more.
    async fn edit(&self, message: &MessageRef, card: &Card) -> Result<(), ChatError>;

    /// Answers with a card, as [`send`](Self::send) to where it came from. A platform that
    /// joins answers to what they answer does that here.
    ///
    /// # Errors
    /// What the platform said; nothing was sent then.
    async fn reply(&self, to: &Incoming, card: &Card) -> Result<MessageRef, ChatError> {
        self.send(&to.place, card).await
    }

    /// Answers a press or a command so that only the sender sees it. In a group of a platform
    /// that cannot do that for a text ([`Channel::whispers`]), nothing is sent for one.
    ///
    /// # Errors
    /// What the platform said. Too late is [`ChatError::Gone`].
    async fn answer(&self, to: &Incoming, note: &Note) -> Result<(), ChatError>;

    /// Nothing more follows it. A platform that shows meanwhile that an answer is on its way
    /// stops that here.
    ///
    /// # Errors
    /// What the platform said.
    async fn close(&self, _: &Incoming) -> Result<(), ChatError> {
        Ok(())
    }

    /// Can a text in a group be answered so that only its sender sees it?
    fn whispers(&self) -> bool {
        true
    }

    /// Waits for the next thing that comes in. It may come again until it was [`taken`].
    /// What the platform wants acknowledged within seconds is acknowledged here.
    ///
    /// [`taken`]: Channel::taken
    ///
    /// # Errors
    /// What broke the connection; the next call connects again.
    async fn receive(&self) -> Result<Incoming, ChatError>;

    /// It is on record and need not be delivered again.
    ///
    /// # Errors
    /// When that cannot be told or written down; it may be delivered once more then.
    async fn taken(&self, incoming: &Incoming) -> Result<(), ChatError>;
}

/// Who the bot is on its platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its id.
    pub id: String,
    /// Its name there: `@mhost_bot`, `mhost in Acme`.
    pub name: String,
}

/// A command, for the platform's own list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MenuEntry {
    /// Its word, without a slash.
    pub name: &'static str,
    /// Its arguments: `<app> [n]`.
    pub arguments: &'static str,
    /// What it does, a few words.
    pub about: &'static str,
}

/// A short answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What it says, at most 200 characters: Telegram's limit.
    pub text: String,
    /// The sender has to notice it; a window rather than a line that passes.
    pub alert: bool,
}

impl Note {
    /// A line that passes.
    pub fn passing(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            alert: false,
        }
    }

    /// One that has to be noticed.
    pub fn alert(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            alert: true,
        }
    }
}

/// What a platform said, or why it could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChatError {
    /// The token is wrong or was revoked.
    #[error("the token is refused: {0}")]
    Unauthorised(String),
    /// Somebody else receives with the same token.
    #[error("another program receives with this token: {0}")]
    Conflict(String),
    /// Too fast.
    #[error("the platform asks to wait for {} s", .after.as_secs())]
    TooFast {
        /// When to try again.
        after: Duration,
    },
    /// The chat or message is no more, or the bot was put out of it.
    #[error("it is gone: {0}")]
    Gone(String),
    /// The platform does not take it as it is; the same again would not help.
    #[error("it is refused: {0}")]
    Refused(String),
    /// No answer, or one that says "later".
    #[error("the platform cannot be reached: {0}")]
    Unavailable(String),
    /// The daemon ends, or the bot is switched off.
    #[error("the connection is closed")]
    Closed,
}

impl ChatError {
    /// May the same help later? And not before when, if it was said.
    pub fn retry(&self) -> Option<Duration> {
        match self {
            Self::TooFast { after } => Some(*after),
            Self::Unavailable(_) | Self::Conflict(_) => Some(Duration::ZERO),
            Self::Unauthorised(_) | Self::Gone(_) | Self::Refused(_) | Self::Closed => None,
        }
    }
}
