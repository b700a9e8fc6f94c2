//! The tables, and how an older file becomes a newer one.
//!
//! `user_version` counts the migrations that have run. A migration is never edited once it
//! has been released; a change is a new one at the end.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::StoreError;

/// How long a statement waits for another program's lock. Short: supervision waits behind it.
const LOCK_WAIT: Duration = Duration::from_millis(200);

const MIGRATIONS: [&str; 1] = ["
CREATE TABLE processes (
    name     TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    row      TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE instances (
    process TEXT NOT NULL,
    idx     INTEGER NOT NULL,
    saved   TEXT NOT NULL,
    PRIMARY KEY (process, idx)
) WITHOUT ROWID;
CREATE TABLE groups (
    name TEXT PRIMARY KEY,
    spec TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE events (
    id        INTEGER PRIMARY KEY,
    ts_ms     INTEGER NOT NULL,
    process   TEXT NOT NULL,
    instance  INTEGER,
    event     TEXT NOT NULL,
    data_json TEXT NOT NULL,
    actor     TEXT NOT NULL
);
-- Ends in the row id, so it gives the newest of a process without sorting.
CREATE INDEX events_by_process ON events (process);
"];

/// Opens the file for the writer, makes it (0600) if it is not there, and brings it up to date.
pub(super) fn open_for_writing(path: &Path) -> Result<Connection, StoreError> {
    let failed = |source: io::Error| StoreError::Open {
        path: path.to_owned(),
        source: Arc::new(source),
    };
    // SQLite gives the -wal and -shm files the mode of the database.
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    let mut db = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    db.busy_timeout(LOCK_WAIT)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "NORMAL")?;
    db.pragma_update(None, "cache_size", -128)?;
    db.set_prepared_statement_cache_capacity(16);
    let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = MIGRATIONS.len() as i64;
    if found > known {
        return Err(StoreError::Newer {
            path: path.to_owned(),
            found,
            known,
        });
    }
    for (index, migration) in MIGRATIONS.iter().enumerate().skip(found.max(0) as usize) {
        let transaction = db.transaction()?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "user_version", index as i64 + 1)?;
        transaction.commit()?;
    }
    Ok(db)
}

/// Opens the file for a reader.
pub(super) fn open_for_reading(path: &Path) -> Result<Connection, StoreError> {
    let db = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    db.busy_timeout(LOCK_WAIT)?;
    db.pragma_update(None, "cache_size", -256)?;
    db.set_prepared_statement_cache_capacity(4);
    Ok(db)
}
