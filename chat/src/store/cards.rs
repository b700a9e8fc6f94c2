//! Which incidents have a card in which chat, and what was left unsaid beside it.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use std::collections::BTreeMap;

use super::{Store, StoreError};
use crate::Place;
use crate::thread::Incident;

/// Its tables.
pub(super) const STEP: &str = "
    CREATE TABLE incidents (
        incident TEXT PRIMARY KEY,
        process TEXT NOT NULL,
        at INTEGER NOT NULL,
        closed INTEGER
    ) WITHOUT ROWID;
    CREATE INDEX incidents_process ON incidents (process);
    CREATE TABLE left_out (channel TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
";

/// As long as messages are edited.
const KEPT_MS: i64 = 7 * 24 * 3_600 * 1_000;
/// What happened so long before or after a card was opened is told by its opening.
const BESIDE_MS: i64 = 60 * 1_000;

impl Store {
    /// Remembers which process an incident is about, and when it ended. A message that was
    /// opened before it began showed another one: numbers begin anew with a new history.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) async fn knows(&self, incident: &Incident) -> Result<(), StoreError> {
        let (id, process) = (incident.id.clone(), incident.process.clone());
        let closed = incident.closed.map(Timestamp::as_millisecond);
        let before = incident.opened.as_millisecond() - BESIDE_MS;
        let now = self.clock.now().as_millisecond();
        self.with(move |connection| {
            let work = connection.transaction()?;
            work.execute(
                "DELETE FROM incidents WHERE at < ?1",
                params![now - KEPT_MS],
            )?;
            work.execute(
                "DELETE FROM shown
                 WHERE subject IN (?1, 'reminder:' || ?1) AND began < ?2",
                params![id, before],
            )?;
            work.execute(
                "DELETE FROM gathered WHERE incident = ?1 AND at < ?2",
                params![id, before],
            )?;
            work.execute(
                "INSERT INTO incidents (incident, process, at, closed) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (incident) DO UPDATE SET process = ?2, at = ?3, closed = ?4",
                params![id, process, now, closed],
            )?;
            Ok(work.commit()?)
        })
        .await
    }

    /// The process of an incident that was told.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) async fn process_of(&self, incident: &str) -> Result<Option<String>, StoreError> {
        let incident = incident.to_owned();
        self.with(move |connection| {
            let found = connection.query_row(
                "SELECT process FROM incidents WHERE incident = ?1",
                params![incident],
                |row| row.get(0),
            );
            Ok(found.optional()?)
        })
        .await
    }

    /// The incident whose card at this place told of what happened to a process at a time, since
    /// it was opened about then: the one that is named, or one that was not over. A card wakes
    /// people when it is opened; what it says later it says silently.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn card_of(
        &self,
        place: &Place,
        process: &str,
        named: Option<&str>,
        at: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        let (place, process) = (place.to_string(), process.to_owned());
        let named = named.map(str::to_owned);
        let at = at.as_millisecond();
        let (since, until) = (at - BESIDE_MS, at + BESIDE_MS);
        self.with(move |connection| {
            let found = connection.query_row(
                "SELECT incident FROM incidents AS one
                 WHERE CASE WHEN ?2 IS NULL THEN process = ?3 ELSE incident = ?2 END
                 AND (closed IS NULL OR closed >= ?4)
                 AND (EXISTS (SELECT 1 FROM shown
                        WHERE subject = one.incident AND place = ?1
                        AND began BETWEEN ?4 AND ?5)
                   -- A shared message that could not be edited does not hold it yet.
                   OR EXISTS (SELECT 1 FROM gathered AS many JOIN shown
                        ON shown.place = many.place
                        AND shown.subject = 'digest:' || many.digest
                        WHERE many.incident = one.incident AND many.place = ?1
                        AND shown.at >= many.at AND began BETWEEN ?4 AND ?5))
                 ORDER BY at DESC LIMIT 1",
                params![place, named, process, since, until],
                |row| row.get(0),
            );
            Ok(found.optional()?)
        })
        .await
    }

    /// How many messages a card told in their place, by channel.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn left_out(&self) -> Result<BTreeMap<String, i64>, StoreError> {
        self.with(|connection| {
            let mut rows = connection.prepare("SELECT channel, count FROM left_out")?;
            let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}

/// One more of a channel.
pub(super) fn count(connection: &rusqlite::Connection, number: i64) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO left_out (channel, count) SELECT channel, 1 FROM outbox WHERE number = ?1
         ON CONFLICT (channel) DO UPDATE SET count = count + 1",
        params![number],
    )?;
    Ok(())
}
