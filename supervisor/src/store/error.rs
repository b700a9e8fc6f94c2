//! Why the database did not do what was asked.

use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::ErrorCode;

use crate::control::ControlError;

/// Why the database did not do what was asked. One failure may concern many commits, so it
/// can be cloned.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The file could not be made or opened.
    #[error("cannot open the state database {path}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// A newer mhost wrote it.
    #[error(
        "the state database {path} has version {found} and this mhost knows {known}; run the newer mhost, or move the file away"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// More is waiting than the queue holds.
    #[error("the state database is too busy: its queue is full")]
    Busy,
    /// The disk is full.
    #[error("the disk is full")]
    DiskFull,
    /// Another program holds the file.
    #[error("another program has locked the state database")]
    Locked,
    /// The content is damaged.
    #[error("the state database is damaged")]
    Corrupt(#[source] Arc<rusqlite::Error>),
    /// Anything else SQLite said.
    #[error("the state database failed: {0}")]
    Sql(#[source] Arc<rusqlite::Error>),
    /// The writer has ended.
    #[error("the state database is closed")]
    Closed,
}

impl StoreError {
    /// May the same request succeed later?
    pub fn retryable(&self) -> bool {
        matches!(
            self,
            StoreError::Busy | StoreError::DiskFull | StoreError::Locked | StoreError::Sql(_)
        )
    }

    /// Is the trouble in the surroundings, so that every other transaction fails likewise?
    pub(super) fn concerns_all(&self) -> bool {
        matches!(
            self,
            StoreError::DiskFull | StoreError::Locked | StoreError::Corrupt(_)
        )
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => StoreError::DiskFull,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Locked,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                StoreError::Corrupt(Arc::new(error))
            }
            _ => StoreError::Sql(Arc::new(error)),
        }
    }
}

impl From<StoreError> for ControlError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => ControlError::Busy {
                what: "the queue of the state database is full".into(),
            },
            other => ControlError::Store {
                message: other.to_string(),
            },
        }
    }
}
