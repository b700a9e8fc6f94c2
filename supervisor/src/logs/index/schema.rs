//! The tables of the index.
//!
//! ```text
//! streams   id process instance stream epoch done      up to `done` its lines are in `rows`
//! rows      id ts stream level offset template         a row per line, ids in order of time
//! words     which words are in a line's message and fields, without their places
//! late      ids of rows that came after rows of a later time
//! templates number process id pattern count first last joined   `joined`: became that one
//! minutes   template stream level minute count: how many lines of each kind came when
//! cleaned   segments that lost lines, and whose rows have gone, too
//! marks     per batch: first id, least and greatest time: finds the ids of a time
//! ```
//!
//! `offset` is the logical place in the stream, which names segment and position at once; the
//! text and its fields are read back from there, and so are phrases: a copy of fields and the
//! places of words would make the index twice as big, and bigger than the logs. Ids ascend with time, so that the newest hits of any query are
//! found from the end without sorting; that also makes an index on (ts) or (process, ts)
//! unnecessary, which would cost 30 bytes a line. The view `lines` shows all that by name.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::logs::search;

/// Raised when tables change; another number means that the index is made anew.
const VERSION: i64 = 3;

/// Least level that has an index of its own.
pub(in crate::logs) const GRAVE: u8 = 3;

const TABLES: &str = "
    CREATE TABLE streams (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        process TEXT NOT NULL, instance INTEGER NOT NULL, stream TEXT NOT NULL,
        epoch INTEGER NOT NULL, done INTEGER NOT NULL, first INTEGER NOT NULL DEFAULT 0,
        UNIQUE (process, instance, stream)
    );
    CREATE TABLE rows (
        id INTEGER PRIMARY KEY,
        ts INTEGER NOT NULL, stream INTEGER NOT NULL, level INTEGER,
        offset INTEGER NOT NULL, template INTEGER
    );
    CREATE INDEX rows_grave ON rows (ts, level) WHERE level >= 3;
    CREATE TABLE late (id INTEGER PRIMARY KEY);
    CREATE TABLE marks (
        id INTEGER PRIMARY KEY, least INTEGER NOT NULL, greatest INTEGER NOT NULL
    );
    CREATE TABLE templates (
        number INTEGER PRIMARY KEY,
        process TEXT NOT NULL, id INTEGER NOT NULL, pattern TEXT NOT NULL,
        count INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, joined INTEGER
    );
    CREATE TABLE minutes (
        template INTEGER NOT NULL, stream INTEGER NOT NULL, level INTEGER NOT NULL,
        minute INTEGER NOT NULL, count INTEGER NOT NULL,
        PRIMARY KEY (template, stream, level, minute)
    ) WITHOUT ROWID;
    CREATE TABLE cleaned (
        stream INTEGER NOT NULL, begins INTEGER NOT NULL, kept INTEGER NOT NULL,
        PRIMARY KEY (stream, begins)
    ) WITHOUT ROWID;
    CREATE VIEW lines AS
        SELECT r.id, r.ts, s.process, s.instance, s.stream,
            CASE r.level WHEN 0 THEN 'trace' WHEN 1 THEN 'debug' WHEN 2 THEN 'info'
                WHEN 3 THEN 'warn' WHEN 4 THEN 'error' WHEN 5 THEN 'fatal' END AS level,
            r.offset, r.template
        FROM rows r JOIN streams s ON s.id = r.stream;
";

fn has_version(db: &Connection) -> Result<bool, rusqlite::Error> {
    let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(version == VERSION)
}

/// Opens or makes the index for its one writer. One of another version is made anew.
pub(super) fn open(path: &Path) -> Result<Connection, rusqlite::Error> {
    let db = connect(path)?;
    if has_version(&db)? {
        return Ok(db);
    }
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        create(&db)?;
        return Ok(db);
    }
    drop(db);
    remove(path);
    let db = connect(path)?;
    create(&db)?;
    Ok(db)
}

fn connect(path: &Path) -> Result<Connection, rusqlite::Error> {
    let db = Connection::open(path)?;
    db.busy_timeout(Duration::from_secs(5))?;
    db.pragma_update(None, "journal_mode", "wal")?;
    // It can be made again, so a power cut may take the last batches.
    db.pragma_update(None, "synchronous", "normal")?;
    db.pragma_update(None, "wal_autocheckpoint", 8_000)?;
    db.pragma_update(None, "journal_size_limit", 64 << 20)?;
    db.pragma_update(None, "cache_size", -16_000)?;
    Ok(db)
}

fn create(db: &Connection) -> Result<(), rusqlite::Error> {
    db.execute_batch(&format!(
        "BEGIN; {TABLES} {};
         INSERT INTO words(words, rank) VALUES ('hashsize', 16777216);
         PRAGMA user_version = {VERSION}; COMMIT;",
        search::INDEX
    ))
}

/// Opens the index for one question. `None` when there is none.
pub(super) fn open_for_reading(path: &Path) -> Result<Option<Connection>, rusqlite::Error> {
    if !path.exists() {
        return Ok(None);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(Duration::from_millis(500))?;
    // Not mapped: whoever cuts the file short while it is read must not end the daemon.
    db.pragma_update(None, "mmap_size", 0)?;
    db.pragma_update(None, "cache_size", -8_000)?;
    Ok(has_version(&db)?.then_some(db))
}

/// A file that SQLite keeps beside the index.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Deletes the index with what belongs to it.
pub(super) fn remove(path: &Path) {
    // What was not there needs no deleting; what cannot be deleted fails when it is opened.
    for path in [path.to_owned(), beside(path, "-wal"), beside(path, "-shm")] {
        let _ = std::fs::remove_file(path);
    }
}

/// The file is no database any more, or a damaged one.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}
