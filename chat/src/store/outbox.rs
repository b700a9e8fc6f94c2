//! Messages of the notifier: what has to be sent, how far it got, and what the rules remember.
//!
//!   waiting ──tried──► waiting (later) … ──► sent
//!                                       ├──► failed (the dead letters)
//!                                       └──► left out (a card tells it)
//!
//! A message and the rules' memory of it are one transaction. A try is counted before it is
//! made, and a message that was sent when the daemon was killed is sent again under the same
//! id. Every list is bounded: `room` says what goes when too many wait.

mod room;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use supervisor::after;

use super::{Store, StoreError, cards};
use crate::notify::{Outgoing, State};
use room::{count, put};

pub(super) use room::STEP as ROOM;

/// Messages that are remembered, of all channels: sent ones, and dead letters.
const MOST_KEPT: i64 = 1_000;
/// Longest result that is kept, in bytes.
const RESULT: usize = 400;

/// The table, as it was made.
pub(super) const STEP: &str = "
    CREATE TABLE outbox (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        channel TEXT NOT NULL,
        stage TEXT NOT NULL,
        severity INTEGER NOT NULL,
        at INTEGER NOT NULL,
        due INTEGER NOT NULL,
        tries INTEGER NOT NULL,
        result TEXT NOT NULL,
        message TEXT NOT NULL
    );
    CREATE INDEX outbox_waiting ON outbox (stage, channel, number);
    CREATE TABLE rules (one INTEGER PRIMARY KEY CHECK (one = 1), state TEXT NOT NULL);
";

/// How a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// It has to be sent.
    Waiting,
    /// It was taken.
    Sent,
    /// It was given up.
    Failed,
    /// The card of its incident, in the same chat, tells it.
    LeftOut,
}

impl Delivery {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::LeftOut => "left out",
        }
    }

    fn of(word: &str) -> Self {
        match word {
            "waiting" => Self::Waiting,
            "sent" => Self::Sent,
            "left out" => Self::LeftOut,
            _ => Self::Failed,
        }
    }
}

/// A message with its history.
#[derive(Debug, Clone, PartialEq)]
pub struct Letter {
    /// Rises with time.
    pub number: i64,
    /// The id of the message.
    pub id: String,
    /// The channel that it is for.
    pub channel: String,
    /// The message; or why it cannot be read, as one of another version may not be.
    pub message: Result<Outgoing, String>,
    /// How it stands.
    pub delivery: Delivery,
    /// When it was put in; once it is sent or failed, when that was.
    pub at: Timestamp,
    /// Not to be tried before.
    pub due: Timestamp,
    /// How often it was tried.
    pub tries: u32,
    /// What was said to the last try: a status, or why not.
    pub result: String,
}

impl Store {
    /// What the rules remembered; nothing when there is nothing that this version can read.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn rules(&self) -> Result<State, StoreError> {
        self.with(|connection| {
            let text: Option<String> = connection
                .query_row("SELECT state FROM rules", [], |row| row.get(0))
                .optional()?;
            let read = text.map(|text| serde_json::from_str(&text));
            Ok(read.and_then(Result::ok).unwrap_or_default())
        })
        .await
    }

    /// Puts messages in, together with what the rules remember now, and counts those that were
    /// `lost` on the way, by their channels. An id that is there is not put in again.
    ///
    /// # Errors
    /// When it cannot be written: then none of it is.
    pub async fn post(
        &self,
        state: &State,
        messages: &[Outgoing],
        lost: &BTreeMap<String, u32>,
    ) -> Result<(), StoreError> {
        let (state, lost) = (serde_json::to_string(state)?, lost.clone());
        let now = self.clock.now();
        let messages = messages.to_vec();
        self.with(move |connection| {
            let transaction = connection.transaction()?;
            transaction.execute(
                "INSERT INTO rules (one, state) VALUES (1, ?1)
                 ON CONFLICT (one) DO UPDATE SET state = ?1",
                params![state],
            )?;
            for message in &messages {
                put(&transaction, message, now)?;
            }
            for (channel, lost) in lost {
                count(&transaction, &channel, lost)?;
            }
            transaction.commit()?;
            Ok(())
        })
        .await
    }

    /// The message of a channel whose turn it is, if it is due; else when it will be. They go
    /// out in the order in which they came in, so that an end never overtakes its beginning.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn head(&self, channel: &str) -> Result<Option<Letter>, StoreError> {
        let channel = channel.to_owned();
        self.with(move |connection| {
            let found = connection.query_row(
                &format!(
                    "SELECT {COLUMNS} FROM outbox
                     WHERE stage = 'waiting' AND channel = ?1 ORDER BY number LIMIT 1"
                ),
                params![channel],
                letter,
            );
            Ok(found.optional()?)
        })
        .await
    }

    /// A try begins.
    ///
    /// # Errors
    /// When it cannot be written: then it is not made.
    pub async fn tried(&self, number: i64) -> Result<(), StoreError> {
        self.with(move |connection| {
            connection.execute(
                "UPDATE outbox SET tries = tries + 1 WHERE number = ?1",
                params![number],
            )?;
            Ok(())
        })
        .await
    }

    /// How a try ended, and a message that takes over, if one does.
    ///
    /// # Errors
    /// When it cannot be written: then it is tried again.
    pub async fn ended(
        &self,
        number: i64,
        end: End,
        result: &str,
        instead: Option<Outgoing>,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mut result = result.to_owned();
        result.truncate(result.floor_char_boundary(RESULT));
        self.with(move |connection| {
            let transaction = connection.transaction()?;
            let (stage, due) = match end {
                End::Sent => ("sent", now),
                End::Failed => ("failed", now),
                End::LeftOut => ("left out", now),
                End::Later(wait) => ("waiting", after(now, wait)),
            };
            transaction.execute(
                "UPDATE outbox SET stage = ?2, due = ?3, result = ?4, at =
                    CASE WHEN ?2 = 'waiting' THEN at ELSE ?5 END
                 WHERE number = ?1",
                params![
                    number,
                    stage,
                    due.as_millisecond(),
                    result,
                    now.as_millisecond()
                ],
            )?;
            if end == End::LeftOut {
                cards::count(&transaction, number)?;
            }
            if let Some(message) = &instead {
                put(&transaction, message, now)?;
            }
            for kept in ["sent", "failed", "left out"] {
                transaction.execute(
                    "DELETE FROM outbox WHERE stage = ?1 AND number <= (
                        SELECT number FROM outbox WHERE stage = ?1
                        ORDER BY number DESC LIMIT 1 OFFSET ?2)",
                    params![kept, MOST_KEPT],
                )?;
            }
            transaction.commit()?;
            Ok(())
        })
        .await
    }

    /// The newest messages, newest first; of one kind, or all.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn letters(
        &self,
        kind: Option<Delivery>,
        most: u32,
    ) -> Result<Vec<Letter>, StoreError> {
        let kind = kind.map(Delivery::as_str);
        self.with(move |connection| {
            let mut rows = connection.prepare(&format!(
                "SELECT {COLUMNS} FROM outbox WHERE ?1 IS NULL OR stage = ?1
                 ORDER BY number DESC LIMIT ?2"
            ))?;
            let rows = rows.query_map(params![kind, most], letter)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Gives up what waits for channels that are not among these.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn abandon(&self, known: Vec<String>) -> Result<usize, StoreError> {
        let known = serde_json::to_string(&known)?;
        self.with(move |connection| {
            connection.execute(
                "DELETE FROM dropped WHERE channel NOT IN (SELECT value FROM json_each(?1))",
                params![known],
            )?;
            connection.execute(
                "DELETE FROM left_out WHERE channel NOT IN (SELECT value FROM json_each(?1))",
                params![known],
            )?;
            Ok(connection.execute(
                "UPDATE outbox SET stage = 'failed', result = 'the channel is no more'
                 WHERE stage = 'waiting' AND channel NOT IN (SELECT value FROM json_each(?1))",
                params![known],
            )?)
        })
        .await
    }

    /// Makes what waits for these channels due now.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn hasten(&self, channels: Vec<String>) -> Result<usize, StoreError> {
        if channels.is_empty() {
            return Ok(0);
        }
        let (channels, now) = (serde_json::to_string(&channels)?, self.clock.now());
        self.with(move |connection| {
            Ok(connection.execute(
                "UPDATE outbox SET due = ?2
                 WHERE stage = 'waiting' AND channel IN (SELECT value FROM json_each(?1))",
                params![channels, now.as_millisecond()],
            )?)
        })
        .await
    }

    /// Puts the dead letters of a channel back in, and says how many.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn revive(&self, channel: &str) -> Result<usize, StoreError> {
        let (channel, now) = (channel.to_owned(), self.clock.now());
        self.with(move |connection| {
            Ok(connection.execute(
                "UPDATE outbox SET stage = 'waiting', tries = 0, due = ?2
                 WHERE number IN (SELECT number FROM outbox
                    WHERE stage = 'failed' AND channel = ?1 ORDER BY number DESC LIMIT ?3)",
                params![channel, now.as_millisecond(), room::MOST_WAITING],
            )?)
        })
        .await
    }
}

#[cfg(test)]
impl Store {
    /// Makes the first message unreadable.
    pub(crate) async fn spoil(&self) {
        let spoilt = self.with(|connection| {
            connection.execute("UPDATE outbox SET message = '{}' WHERE number = 1", [])?;
            Ok(())
        });
        spoilt.await.unwrap();
    }
}

/// How a try ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was taken.
    Sent,
    /// It is given up.
    Failed,
    /// A card tells it.
    LeftOut,
    /// It is tried again after this.
    Later(Duration),
}

const COLUMNS: &str = "number, id, channel, message, stage, at, due, tries, result";

fn letter(row: &Row<'_>) -> rusqlite::Result<Letter> {
    let time = |column: usize| -> rusqlite::Result<Timestamp> {
        Ok(Timestamp::from_millisecond(row.get(column)?).unwrap_or_default())
    };
    let (message, stage): (String, String) = (row.get(3)?, row.get(4)?);
    Ok(Letter {
        number: row.get(0)?,
        id: row.get(1)?,
        channel: row.get(2)?,
        message: serde_json::from_str(&message).map_err(|error| error.to_string()),
        delivery: Delivery::of(&stage),
        at: time(5)?,
        due: time(6)?,
        tries: row.get(7)?,
        result: row.get(8)?,
    })
}

#[cfg(test)]
mod tests;
