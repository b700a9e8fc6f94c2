//! What the chats remember over a restart, in `chat.sqlite`.
//!
//! One connection, and whoever writes waits for the disk: what came in is on record before it
//! is acknowledged to the platform, so that it is neither lost nor done twice.

mod cards;
mod gathered;
mod inbox;
mod outbox;
mod shown;
mod stories;
mod sure;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use supervisor::Clock;

pub(crate) use gathered::Gathered;
pub use inbox::{Stage, Taken};
pub use outbox::{Delivery, End, Letter};
pub use shown::Shown;

/// A new step is added at the end; none is changed.
const STEPS: [&str; 8] = [
    "
    CREATE TABLE inbox (
        delivery TEXT PRIMARY KEY,
        at INTEGER NOT NULL,
        stage TEXT NOT NULL,
        incoming TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX inbox_stage ON inbox (stage, at);
    CREATE TABLE shown (
        subject TEXT NOT NULL,
        place TEXT NOT NULL,
        message TEXT NOT NULL,
        card TEXT NOT NULL,
        at INTEGER NOT NULL,
        PRIMARY KEY (subject, place)
    ) WITHOUT ROWID;
",
    outbox::STEP,
    shown::STEP,
    gathered::STEP,
    sure::STEP,
    outbox::ROOM,
    cards::STEP,
    stories::STEP,
];

/// It could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// What SQLite said.
    #[error("chat.sqlite: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// What is stored is not readable.
    #[error("chat.sqlite holds what cannot be read: {0}")]
    Content(#[from] serde_json::Error),
    /// A newer mhost wrote it.
    #[error("chat.sqlite is of a newer mhost (step {0}); use that one, or move the file away")]
    Newer(usize),
    /// The task ended.
    #[error("chat.sqlite could not be asked: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// A clonable handle.
#[derive(Debug, Clone)]
pub struct Store {
    clock: Clock,
    connection: Arc<Mutex<Connection>>,
}

impl Store {
    /// Opens the file, and makes it where there is none. Blocks.
    ///
    /// # Errors
    /// When it cannot be opened, or a newer version wrote it.
    pub fn open(path: &Path, clock: Clock) -> Result<Self, StoreError> {
        Self::prepare(Connection::open(path)?, clock)
    }

    /// In memory, for tests that kill nothing.
    #[cfg(test)]
    pub(crate) fn in_memory(clock: Clock) -> Result<Self, StoreError> {
        Self::prepare(Connection::open_in_memory()?, clock)
    }

    fn prepare(mut connection: Connection, clock: Clock) -> Result<Self, StoreError> {
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 2000;
             PRAGMA cache_size = -128;",
        )?;
        let done: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let done = usize::try_from(done).unwrap_or(usize::MAX);
        if done > STEPS.len() {
            return Err(StoreError::Newer(done));
        }
        let transaction = connection.transaction()?;
        for step in STEPS.iter().skip(done) {
            transaction.execute_batch(step)?;
        }
        transaction.pragma_update(None, "user_version", STEPS.len() as i64)?;
        transaction.commit()?;
        Ok(Self {
            clock,
            connection: Arc::new(Mutex::new(connection)),
        })
    }

    /// Moves all that was written into the file itself: nobody writes any more.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn checkpoint(&self) -> Result<(), StoreError> {
        let moved = "PRAGMA wal_checkpoint(TRUNCATE)";
        self.with(move |connection| Ok(connection.query_row(moved, [], |_| Ok(()))?))
            .await
    }

    /// One piece of work with the connection, off the runtime.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let connection = self.connection.clone();
        tokio::task::spawn_blocking(move || {
            work(&mut connection.lock().unwrap_or_else(PoisonError::into_inner))
        })
        .await?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_newer_version_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chat.sqlite");
        drop(Store::open(&path, Clock::system()).unwrap());
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        drop(connection);
        assert!(matches!(
            Store::open(&path, Clock::system()),
            Err(StoreError::Newer(99))
        ));
    }

    #[tokio::test]
    async fn a_file_of_the_first_step_is_brought_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chat.sqlite");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch(STEPS[0]).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        drop(connection);
        let store = Store::open(&path, Clock::system()).unwrap();
        assert!(store.head("a").await.unwrap().is_none());
        assert!(store.unanswered().await.unwrap().is_empty());
    }

    /// Messages and deliveries of a version before are still known.
    #[tokio::test]
    async fn rows_of_the_second_step_are_carried_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chat.sqlite");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch(&STEPS[..2].concat()).unwrap();
        connection.pragma_update(None, "user_version", 2).unwrap();
        let place = crate::Place::chat(crate::Platform::Telegram, "-100");
        let message = crate::MessageRef {
            place: place.clone(),
            id: "7".into(),
        };
        let (now, shown) = (
            Clock::system().now(),
            serde_json::to_string(&message).unwrap(),
        );
        connection
            .execute(
                "INSERT INTO shown VALUES ('inc-1', 'telegram:-100', ?1, 'c', ?2)",
                rusqlite::params![shown, now.as_millisecond()],
            )
            .unwrap();
        drop(connection);
        let store = Store::open(&path, Clock::system()).unwrap();
        let known = store.shown("inc-1", &place).await.unwrap().unwrap();
        assert_eq!((known.message, known.over), (message, false));
        assert_eq!(store.unfinished().await.unwrap(), ["inc-1"]);
        let before = now - std::time::Duration::from_secs(1);
        assert_eq!(store.own_since(&place, before).await.unwrap(), 1);
    }
}
