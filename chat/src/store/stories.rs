//! What came of an incident is told once, whatever daemon told it.

use jiff::Timestamp;
use rusqlite::params;

use super::{Store, StoreError};

/// Its table. A number is used again by a new history, but never for the same time.
pub(super) const STEP: &str = "
    CREATE TABLE told_stories (
        incident TEXT PRIMARY KEY,
        opened INTEGER NOT NULL,
        at INTEGER NOT NULL
    ) WITHOUT ROWID;
";

/// As long as incidents are remembered.
const KEPT_MS: i64 = 90 * 24 * 3_600 * 1_000;

impl Store {
    /// Was it told what came of the incident with this id that was opened then?
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn is_told(&self, incident: &str, opened: Timestamp) -> Result<bool, StoreError> {
        let (incident, opened) = (incident.to_owned(), opened.as_millisecond());
        self.with(move |connection| {
            Ok(connection.query_row(
                "SELECT EXISTS
                     (SELECT 1 FROM told_stories WHERE incident = ?1 AND opened = ?2)",
                params![incident, opened],
                |row| row.get(0),
            )?)
        })
        .await
    }

    /// It was told.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn told(&self, incident: &str, opened: Timestamp) -> Result<(), StoreError> {
        let (incident, opened) = (incident.to_owned(), opened.as_millisecond());
        let now = self.clock.now().as_millisecond();
        self.with(move |connection| {
            connection.execute(
                "DELETE FROM told_stories WHERE at < ?1",
                params![now - KEPT_MS],
            )?;
            connection.execute(
                "INSERT OR REPLACE INTO told_stories (incident, opened, at) VALUES (?1, ?2, ?3)",
                params![incident, opened, now],
            )?;
            Ok(())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use supervisor::Clock;

    use super::*;

    #[tokio::test]
    async fn a_number_that_is_used_again_is_another_incident() {
        let clock = Clock::system();
        let store = Store::in_memory(clock.clone()).unwrap();
        let opened = clock.now();
        assert!(!store.is_told("inc-1", opened).await.unwrap());
        store.told("inc-1", opened).await.unwrap();
        assert!(store.is_told("inc-1", opened).await.unwrap());
        let later = opened + SignedDuration::from_mins(1);
        assert!(!store.is_told("inc-1", later).await.unwrap());
        store.told("inc-1", later).await.unwrap();
        assert!(store.is_told("inc-1", later).await.unwrap());
    }
}
