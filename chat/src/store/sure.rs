//! What waits for "are you sure?", so that a yes that was received before a kill is one after it.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::{Store, StoreError};
use crate::confirm::Pending;
use crate::{MessageRef, Place};

/// Its table: one row for each person in each chat.
pub(super) const STEP: &str = "
    CREATE TABLE sure (
        person TEXT NOT NULL,
        place TEXT NOT NULL,
        nonce TEXT NOT NULL,
        chat TEXT NOT NULL,
        written TEXT NOT NULL,
        asked INTEGER NOT NULL,
        expires INTEGER NOT NULL,
        message TEXT,
        -- Answered, or too late: nothing counts any more; its message may still say otherwise.
        closed INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (person, place)
    ) WITHOUT ROWID;
";

/// Questions that wait at once; more are a flood, and the oldest go.
const MOST: i64 = 1_000;

impl Store {
    /// Puts a question in the place of an older one of the same person in the same chat.
    /// Answers with the one that it replaces.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) async fn ask_sure(&self, new: &Pending) -> Result<Option<Pending>, StoreError> {
        let chat = serde_json::to_string(&new.place)?;
        let new = new.clone();
        self.with(move |connection| {
            let transaction = connection.transaction()?;
            let place = new.place.to_string();
            let old = of(&transaction, &new.person, &place)?;
            transaction.execute(
                "INSERT OR REPLACE INTO sure
                     (person, place, nonce, chat, written, asked, expires, message)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, NULL)",
                params![
                    new.person,
                    place,
                    new.nonce,
                    chat,
                    new.written,
                    new.asked.as_millisecond(),
                    new.expires.as_millisecond()
                ],
            )?;
            transaction.execute(
                "DELETE FROM sure WHERE asked < (
                     SELECT asked FROM sure ORDER BY asked DESC LIMIT 1 OFFSET ?1)",
                params![MOST],
            )?;
            transaction.commit()?;
            Ok(old)
        })
        .await
    }

    /// Remembers which message asks. False when another question took its place meanwhile.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) async fn sure_shown(
        &self,
        asked: &Pending,
        message: &MessageRef,
    ) -> Result<bool, StoreError> {
        let message = serde_json::to_string(message)?;
        let (person, place) = (asked.person.clone(), asked.place.to_string());
        let nonce = asked.nonce.clone();
        self.with(move |connection| {
            let there = connection.execute(
                "UPDATE sure SET message = ?4 WHERE person = ?1 AND place = ?2 AND nonce = ?3",
                params![person, place, nonce, message],
            )?;
            Ok(there == 1)
        })
        .await
    }

    /// The question of this person in this chat, while it is open.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) async fn sure(
        &self,
        person: &str,
        place: &Place,
    ) -> Result<Option<Pending>, StoreError> {
        let (person, place) = (person.to_owned(), place.to_string());
        self.with(move |connection| {
            let found = of(connection, &person, &place)?;
            Ok(found.filter(|one| !one.closed))
        })
        .await
    }

    /// Closes this question, so that it is answered once. False when it is closed or gone.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) async fn close_sure(&self, asked: &Pending) -> Result<bool, StoreError> {
        self.mark(
            asked,
            "UPDATE sure SET closed = 1
             WHERE person = ?1 AND place = ?2 AND nonce = ?3 AND NOT closed",
        )
        .await
    }

    /// Forgets this question: its message says what became of it, or never will.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) async fn forget_sure(&self, asked: &Pending) -> Result<bool, StoreError> {
        self.mark(
            asked,
            "DELETE FROM sure WHERE person = ?1 AND place = ?2 AND nonce = ?3",
        )
        .await
    }

    async fn mark(&self, asked: &Pending, statement: &'static str) -> Result<bool, StoreError> {
        let (person, place) = (asked.person.clone(), asked.place.to_string());
        let nonce = asked.nonce.clone();
        self.with(move |connection| {
            let changed = connection.execute(statement, params![person, place, nonce])?;
            Ok(changed == 1)
        })
        .await
    }

    /// All whose time was over then, closed or not.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) async fn expired_sure(&self, then: Timestamp) -> Result<Vec<Pending>, StoreError> {
        self.with(move |connection| {
            let mut rows = connection.prepare(&format!("{READ} WHERE expires <= ?1"))?;
            let rows = rows.query_map(params![then.as_millisecond()], read)?;
            let found = rows.collect::<Result<Vec<_>, _>>()?;
            found.into_iter().map(Row::pending).collect()
        })
        .await
    }
}

const READ: &str = "SELECT person, nonce, chat, written, asked, expires, message, closed FROM sure";

/// As it is stored.
struct Row {
    person: String,
    nonce: String,
    chat: String,
    written: String,
    asked: i64,
    expires: i64,
    message: Option<String>,
    closed: bool,
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        person: row.get(0)?,
        nonce: row.get(1)?,
        chat: row.get(2)?,
        written: row.get(3)?,
        asked: row.get(4)?,
        expires: row.get(5)?,
        message: row.get(6)?,
        closed: row.get(7)?,
    })
}

fn of(
    connection: &rusqlite::Connection,
    person: &str,
    place: &str,
) -> Result<Option<Pending>, StoreError> {
    let row = connection
        .query_row(
            &format!("{READ} WHERE person = ?1 AND place = ?2"),
            params![person, place],
            read,
        )
        .optional()?;
    row.map(Row::pending).transpose()
}

impl Row {
    fn pending(self) -> Result<Pending, StoreError> {
        let at = |ms| Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MIN);
        let message = self.message.map(|one| serde_json::from_str(&one));
        Ok(Pending {
            person: self.person,
            place: serde_json::from_str(&self.chat)?,
            nonce: self.nonce,
            written: self.written,
            asked: at(self.asked),
            expires: at(self.expires),
            message: message.transpose()?,
            closed: self.closed,
        })
    }
}
