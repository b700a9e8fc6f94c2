//! Answers to interactions: what has become of each, and which token a message is reached by.
//!
//! ```text
//!   acknowledged ─► open ──card──► answered
//!                    │ └─note─► noted ──card──► answered
//!                    └─note for one─► closed
//!   acknowledged too late ─► missed
//! ```
//!
//! An interaction that was acknowledged shows "thinking …" until there is an answer in its
//! place, so at its end there must be one, or it is taken away. Messages that were made so are
//! reached by the interaction's token for a quarter of an hour, also in channels that the bot
//! itself cannot see.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// Interactions and messages that are remembered; the oldest are forgotten.
const MOST: usize = 500;

/// Where the answer to an interaction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    /// "Thinking …", for all or for the sender alone.
    Open {
        /// Only the sender sees what comes in its place.
        private: bool,
    },
    /// A line that a card may still take the place of.
    Noted,
    /// A card.
    Answered,
    /// It was taken away, or is for the sender alone.
    Closed,
    /// It was acknowledged too late: the sender was told that it failed.
    Missed,
}

/// How a message is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Way {
    /// The interaction's token.
    pub(super) token: String,
    /// Its id there: `@original` for the answer in the place of "thinking …".
    pub(super) message: String,
}

/// What is remembered.
#[derive(Debug, Default)]
pub(super) struct Replies {
    stands: HashMap<String, (Stand, Instant)>,
    ways: HashMap<String, (Way, Instant)>,
}

impl Replies {
    /// Where the answer stands. What is not known was acknowledged by a daemon before this one.
    pub(super) fn stand(&self, interaction: &str) -> Stand {
        let known = self.stands.get(interaction).map(|(stand, _)| *stand);
        known.unwrap_or(Stand::Open { private: false })
    }

    /// It stands there now, and is forgotten after so long.
    pub(super) fn set(&mut self, interaction: &str, stand: Stand, left: Duration) {
        let until = Instant::now() + left;
        keep(&mut self.stands, interaction, (stand, until));
    }

    /// Nothing more follows. Says where it stood.
    pub(super) fn end(&mut self, interaction: &str) -> Option<Stand> {
        self.stands.remove(interaction).map(|(stand, _)| stand)
    }

    /// The message is reached so for so long.
    pub(super) fn reach(&mut self, message: &str, way: Way, left: Duration) {
        keep(&mut self.ways, message, (way, Instant::now() + left));
    }

    /// How a message is reached, if not as all others.
    pub(super) fn way(&self, message: &str) -> Option<Way> {
        let (way, until) = self.ways.get(message)?;
        (*until > Instant::now()).then(|| way.clone())
    }

    /// That way is over.
    pub(super) fn lose(&mut self, message: &str) {
        self.ways.remove(message);
    }
}

fn keep<T>(all: &mut HashMap<String, (T, Instant)>, key: &str, value: (T, Instant)) {
    if all.len() >= MOST && !all.contains_key(key) {
        let now = Instant::now();
        all.retain(|_, (_, until)| *until > now);
        let oldest = all.iter().min_by_key(|(_, (_, until))| *until);
        let oldest = oldest.map(|(key, _)| key.clone());
        if let Some(oldest) = oldest.filter(|_| all.len() >= MOST) {
            all.remove(&oldest);
        }
    }
    all.insert(key.to_owned(), value);
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEFT: Duration = Duration::from_secs(870);

    #[tokio::test(start_paused = true)]
    async fn a_way_ends_with_its_token() {
        let mut replies = Replies::default();
        let way = Way {
            token: "t".into(),
            message: "@original".into(),
        };
        replies.reach("1", way.clone(), LEFT);
        assert_eq!(replies.way("1"), Some(way));
        assert_eq!(replies.way("2"), None);
        tokio::time::advance(LEFT).await;
        assert_eq!(replies.way("1"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_are_forgotten() {
        let mut replies = Replies::default();
        for number in 0..2 * MOST {
            tokio::time::advance(Duration::from_millis(1)).await;
            replies.set(&number.to_string(), Stand::Noted, LEFT);
        }
        assert_eq!(replies.stands.len(), MOST);
        assert_eq!(replies.stand("999"), Stand::Noted);
        assert_eq!(replies.stand("0"), Stand::Open { private: false });
        assert_eq!(replies.end("999"), Some(Stand::Noted));
        assert_eq!(replies.end("999"), None);
    }
}
