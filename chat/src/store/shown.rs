//! Which message shows what, so that it can be edited: a row for each subject and place.
//!
//! A subject is an incident (`inc-7`), or something that belongs to one, with a colon:
//! `digest:<when it began>`, `reminder:inc-7`, `question:k3v9qa`. The place is the one that was
//! asked for; the message may be in another one, when a group was moved or a person's private
//! chat has an id of its own.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use supervisor::until;

use super::{Store, StoreError};
use crate::{MessageRef, Place};

/// The columns of [`super::STEPS`] that were added later.
pub(super) const STEP: &str = "
    ALTER TABLE shown ADD COLUMN began INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE shown ADD COLUMN over INTEGER NOT NULL DEFAULT 0;
    UPDATE shown SET began = at;
";

/// Messages are edited for this long; nobody reads on in an older one.
const KEPT_MS: i64 = 7 * 24 * 3_600 * 1_000;

/// A message and what was last put into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// The message.
    pub message: MessageRef,
    /// Identifies the card that it shows.
    pub card: String,
    /// Nothing more will happen to it.
    pub over: bool,
}

impl Store {
    /// The message that shows this subject at this place.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn shown(&self, subject: &str, place: &Place) -> Result<Option<Shown>, StoreError> {
        let (subject, place) = (subject.to_owned(), place.to_string());
        self.with(move |connection| {
            let row = connection
                .query_row(
                    "SELECT message, card, over FROM shown WHERE subject = ?1 AND place = ?2",
                    params![subject, place],
                    |row| {
                        let message: String = row.get(0)?;
                        Ok((message, row.get::<_, String>(1)?, row.get::<_, bool>(2)?))
                    },
                )
                .optional()?;
            row.map(|(message, card, over)| {
                Ok(Shown {
                    message: serde_json::from_str(&message)?,
                    card,
                    over,
                })
            })
            .transpose()
        })
        .await
    }

    /// Remembers that a message shows this subject now, for this place.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn show(
        &self,
        subject: &str,
        place: &Place,
        shown: &Shown,
    ) -> Result<(), StoreError> {
        let message = serde_json::to_string(&shown.message)?;
        let (subject, place) = (subject.to_owned(), place.to_string());
        let (card, over) = (shown.card.clone(), shown.over);
        let now = self.clock.now().as_millisecond();
        self.with(move |connection| {
            connection.execute("DELETE FROM shown WHERE at < ?1", params![now - KEPT_MS])?;
            connection.execute(
                "INSERT INTO shown (subject, place, message, card, at, began, over)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6)
                 ON CONFLICT (subject, place) DO UPDATE SET
                     message = excluded.message, card = excluded.card,
                     at = excluded.at, over = excluded.over",
                params![subject, place, message, card, now, over],
            )?;
            Ok(())
        })
        .await
    }

    /// Does a message in this very chat show one of these subjects?
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn stands_in(&self, subjects: &[String], chat: &Place) -> Result<bool, StoreError> {
        let (subjects, chat) = (subjects.to_vec(), chat.clone());
        self.with(move |connection| {
            let mut rows = connection.prepare("SELECT message FROM shown WHERE subject = ?1")?;
            for subject in subjects {
                let messages = rows.query_map(params![subject], |row| row.get::<_, String>(0))?;
                for message in messages {
                    let message: MessageRef = serde_json::from_str(&message?)?;
                    let place = message.place;
                    if place.platform == chat.platform && place.chat == chat.chat {
                        return Ok(true);
                    }
                }
            }
            Ok(false)
        })
        .await
    }

    /// Messages that ask questions beside their incidents, by subject: `question:k3v9qa`.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) async fn copies(&self) -> Result<Vec<(String, MessageRef)>, StoreError> {
        self.with(move |connection| {
            let mut rows = connection.prepare(
                "SELECT subject, message FROM shown WHERE NOT over AND subject LIKE 'question:%'",
            )?;
            let rows = rows.query_map([], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
            })?;
            rows.map(|row| {
                let (subject, message) = row?;
                Ok((subject, serde_json::from_str(&message)?))
            })
            .collect()
        })
        .await
    }

    /// How many incidents got a message of their own at this place since then.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn own_since(&self, place: &Place, since: Timestamp) -> Result<usize, StoreError> {
        let (place, since) = (place.to_string(), since.as_millisecond());
        self.with(move |connection| {
            let count: i64 = connection.query_row(
                "SELECT count(*) FROM shown
                 WHERE place = ?1 AND began > ?2 AND subject NOT LIKE '%:%'",
                params![place, since],
                |row| row.get(0),
            )?;
            Ok(usize::try_from(count).unwrap_or(usize::MAX))
        })
        .await
    }

    /// Incidents that were told and are not known to be over, in any place.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn unfinished(&self) -> Result<Vec<String>, StoreError> {
        self.with(move |connection| {
            let mut rows = connection.prepare(
                "SELECT subject FROM shown WHERE NOT over AND subject NOT LIKE '%:%'
                 UNION SELECT incident FROM gathered WHERE NOT over",
            )?;
            let found = rows.query_map([], |row| row.get(0))?;
            Ok(found.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// When a subject was first shown at this place, as the subject says it itself:
    /// the newest `digest:<ms>` that is younger than `window`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) async fn digest_of(
        &self,
        place: &Place,
        window: std::time::Duration,
    ) -> Result<Option<i64>, StoreError> {
        let (place, now) = (place.to_string(), self.clock.now());
        self.with(move |connection| {
            let began: Option<i64> = connection
                .query_row(
                    "SELECT max(digest) FROM gathered WHERE place = ?1",
                    params![place],
                    |row| row.get(0),
                )
                .optional()?
                .flatten();
            Ok(began.filter(|began| {
                let began = Timestamp::from_millisecond(*began).unwrap_or(Timestamp::MIN);
                began <= now && until(began, now) < window
            }))
        })
        .await
    }
}
