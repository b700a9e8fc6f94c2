//! Incidents that share a message, in each place: which message, and where each stands.

use rusqlite::{OptionalExtension, params};

use super::{Store, StoreError};
use crate::Place;
use crate::thread::{Digest, Phase};

/// Its table.
pub(super) const STEP: &str = "
    CREATE TABLE gathered (
        place TEXT NOT NULL,
        incident TEXT NOT NULL,
        digest INTEGER NOT NULL,
        process TEXT NOT NULL,
        phase TEXT NOT NULL,
        asks INTEGER NOT NULL,
        -- Nothing more will come of it; and that is shown.
        ended INTEGER NOT NULL,
        over INTEGER NOT NULL,
        at INTEGER NOT NULL,
        PRIMARY KEY (place, incident)
    ) WITHOUT ROWID;
    CREATE INDEX gathered_digest ON gathered (place, digest);
";

/// As long as messages are edited.
const KEPT_MS: i64 = 7 * 24 * 3_600 * 1_000;

/// One incident in a shared message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gathered {
    /// The incident.
    pub(crate) incident: String,
    /// Its process.
    pub(crate) process: String,
    /// Where it stands.
    pub(crate) phase: Phase,
    /// A question of it waits.
    pub(crate) asks: bool,
    /// Nothing more will come of it.
    pub(crate) over: bool,
}

impl Store {
    /// The shared message that this incident is in at this place.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) async fn gathered(
        &self,
        place: &Place,
        incident: &str,
    ) -> Result<Option<i64>, StoreError> {
        let (place, incident) = (place.to_string(), incident.to_owned());
        self.with(move |connection| {
            Ok(connection
                .query_row(
                    "SELECT digest FROM gathered WHERE place = ?1 AND incident = ?2",
                    params![place, incident],
                    |row| row.get(0),
                )
                .optional()?)
        })
        .await
    }

    /// Puts incidents into a shared message, or brings them up to date in it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) async fn gather(
        &self,
        place: &Place,
        digest: i64,
        all: Vec<Gathered>,
    ) -> Result<(), StoreError> {
        let (place, now) = (place.to_string(), self.clock.now().as_millisecond());
        self.with(move |connection| {
            let transaction = connection.transaction()?;
            transaction.execute("DELETE FROM gathered WHERE at < ?1", params![now - KEPT_MS])?;
            for one in all {
                transaction.execute(
                    "INSERT OR REPLACE INTO gathered
                         (place, incident, digest, process, phase, asks, ended, over, at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8)",
                    params![
                        place,
                        one.incident,
                        digest,
                        one.process,
                        one.phase.as_str(),
                        one.asks,
                        one.over,
                        now
                    ],
                )?;
            }
            transaction.commit()?;
            Ok(())
        })
        .await
    }

    /// A shared message shows what is known of its incidents.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) async fn settle(&self, place: &Place, digest: i64) -> Result<(), StoreError> {
        let place = place.to_string();
        self.with(move |connection| {
            connection.execute(
                "UPDATE gathered SET over = ended WHERE place = ?1 AND digest = ?2",
                params![place, digest],
            )?;
            Ok(())
        })
        .await
    }

    /// What a shared message counts.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) async fn digest(&self, place: &Place, digest: i64) -> Result<Digest, StoreError> {
        let place = place.to_string();
        self.with(move |connection| {
            let mut rows = connection.prepare(
                "SELECT process, phase, asks FROM gathered
                 WHERE place = ?1 AND digest = ?2 ORDER BY at, incident",
            )?;
            let mut found = Digest::default();
            let mut rows = rows.query(params![place, digest])?;
            while let Some(row) = rows.next()? {
                let (process, phase, asks): (String, String, bool) =
                    (row.get(0)?, row.get(1)?, row.get(2)?);
                found.add(process, Phase::of(&phase), asks);
            }
            Ok(found)
        })
        .await
    }
}
