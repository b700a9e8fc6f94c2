//! What came in, and how far it got.
//!
//!   taken ──begin──► begun ──end──► (forgotten after a day)
//!     └── after a kill: handled anew        └── after a kill: known to be half-way
//!
//! `begun` is written before anything is changed. What is still `begun` when the daemon comes
//! back may have been done or not: it is never done again by itself.

use jiff::{SignedDuration, Timestamp};
use rusqlite::params;

use super::{Store, StoreError};
use crate::Incoming;

/// Deliveries are remembered this long: no platform delivers again after a day.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(25);

/// How far something got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// On record; nothing was done.
    Taken,
    /// Something is about to be changed for it.
    Begun,
    /// It was answered.
    Done,
}

impl Stage {
    fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Begun => "begun",
            Self::Done => "done",
        }
    }
}

/// Was it new?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Taken {
    /// Yes, and it is on record now.
    New,
    /// It has been delivered before.
    Again,
}

impl Store {
    /// Writes down that something came in.
    ///
    /// # Errors
    /// When it cannot be written: then it must not be acknowledged.
    pub async fn take(&self, incoming: &Incoming) -> Result<Taken, StoreError> {
        let (key, text) = (key(incoming), serde_json::to_string(incoming)?);
        let at = self.clock.now();
        self.with(move |connection| {
            let transaction = connection.transaction()?;
            let old = at.checked_sub(REMEMBERED).unwrap_or(Timestamp::MIN);
            transaction.execute(
                "DELETE FROM inbox WHERE stage = 'done' AND at < ?1",
                params![old.as_millisecond()],
            )?;
            let added = transaction.execute(
                "INSERT OR IGNORE INTO inbox (delivery, at, stage, incoming)
                 VALUES (?1, ?2, 'taken', ?3)",
                params![key, at.as_millisecond(), text],
            )?;
            transaction.commit()?;
            Ok(if added == 1 { Taken::New } else { Taken::Again })
        })
        .await
    }

    /// Moves it on. False when it is not at the stage before: somebody else has it.
    ///
    /// # Errors
    /// When it cannot be written: then nothing may be changed for it.
    pub async fn advance(&self, incoming: &Incoming, to: Stage) -> Result<bool, StoreError> {
        let key = key(incoming);
        self.with(move |connection| {
            let from = match to {
                Stage::Taken => return Ok(false),
                Stage::Begun => "stage = 'taken'",
                Stage::Done => "stage <> 'done'",
            };
            let moved = connection.execute(
                // What was written is nobody's business once it is answered.
                &format!(
                    "UPDATE inbox SET stage = ?2,
                         incoming = CASE ?2 WHEN 'done' THEN '' ELSE incoming END
                     WHERE delivery = ?1 AND {from}"
                ),
                params![key, to.as_str()],
            )?;
            Ok(moved == 1)
        })
        .await
    }

    /// What was not answered when the daemon ended, oldest first, with how far it got.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn unanswered(&self) -> Result<Vec<(Incoming, Stage)>, StoreError> {
        self.with(|connection| {
            let mut rows = connection.prepare(
                "SELECT stage, incoming FROM inbox WHERE stage <> 'done' ORDER BY at, delivery",
            )?;
            let rows = rows.query_map([], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
            })?;
            let mut found = Vec::new();
            for row in rows {
                let (stage, text) = row?;
                // One that this version cannot read was of another one.
                let Ok(incoming) = serde_json::from_str(&text) else {
                    continue;
                };
                let stage = match stage.as_str() {
                    "begun" => Stage::Begun,
                    _ => Stage::Taken,
                };
                found.push((incoming, stage));
            }
            Ok(found)
        })
        .await
    }
}

fn key(incoming: &Incoming) -> String {
    format!("{}:{}", incoming.place.platform, incoming.delivery)
}

#[cfg(test)]
mod tests {
    use supervisor::Clock;

    use super::*;
    use crate::testing::text;

    #[tokio::test]
    async fn a_delivery_is_taken_once_and_survives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chat.sqlite");
        let store = Store::open(&path, Clock::system()).unwrap();
        let first = text("telegram:-1", "1", "/restart api");
        let mut second = first.clone();
        second.delivery = "2".into();
        assert_eq!(store.take(&first).await.unwrap(), Taken::New);
        assert_eq!(store.take(&first).await.unwrap(), Taken::Again);
        assert_eq!(store.take(&second).await.unwrap(), Taken::New);
        assert!(store.advance(&first, Stage::Begun).await.unwrap());
        assert!(!store.advance(&first, Stage::Begun).await.unwrap());
        drop(store);

        let store = Store::open(&path, Clock::system()).unwrap();
        let left = store.unanswered().await.unwrap();
        assert_eq!(
            left,
            [
                (first.clone(), Stage::Begun),
                (second.clone(), Stage::Taken)
            ]
        );
        assert!(store.advance(&first, Stage::Done).await.unwrap());
        assert!(store.advance(&second, Stage::Done).await.unwrap());
        assert!(store.unanswered().await.unwrap().is_empty());
        assert_eq!(store.take(&first).await.unwrap(), Taken::Again);
    }
}
