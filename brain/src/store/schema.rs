//! The tables, and how the file is opened.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode};

/// Raised by one with each change; [`migrate`] brings an older file up.
const VERSION: i64 = 5;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS incidents (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    process TEXT NOT NULL,
    opened INTEGER NOT NULL,
    closed INTEGER,
    state TEXT NOT NULL,
    class TEXT NOT NULL,
    fingerprint TEXT,
    fingerprint_text TEXT,
    title TEXT NOT NULL,
    symptoms TEXT NOT NULL,
    cause TEXT,
    confidence REAL,
    evidence TEXT NOT NULL DEFAULT '[]',
    playbook TEXT,
    escalated INTEGER NOT NULL DEFAULT 0,
    outcome TEXT,
    merged_into INTEGER
);
CREATE INDEX IF NOT EXISTS incidents_by_process ON incidents (process, opened);
CREATE INDEX IF NOT EXISTS incidents_by_fingerprint ON incidents (fingerprint, opened);
CREATE TABLE IF NOT EXISTS steps (
    incident INTEGER NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
    ts INTEGER NOT NULL,
    kind TEXT NOT NULL,
    data TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS steps_by_incident ON steps (incident);
CREATE TABLE IF NOT EXISTS actions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    incident INTEGER REFERENCES incidents (id) ON DELETE CASCADE,
    process TEXT NOT NULL,
    ts INTEGER NOT NULL,
    actor TEXT NOT NULL,
    playbook TEXT,
    action TEXT NOT NULL,
    args TEXT NOT NULL,
    changes INTEGER NOT NULL,
    risk TEXT NOT NULL,
    gate TEXT NOT NULL,
    approval TEXT,
    result TEXT,
    outcome TEXT
);
CREATE INDEX IF NOT EXISTS actions_by_incident ON actions (incident);
CREATE INDEX IF NOT EXISTS actions_by_time ON actions (ts);
CREATE TABLE IF NOT EXISTS approvals (
    id TEXT PRIMARY KEY,
    incident INTEGER NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
    process TEXT NOT NULL,
    state TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    decided_by TEXT,
    decided_at INTEGER,
    body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS approvals_by_state ON approvals (state);
CREATE INDEX IF NOT EXISTS approvals_by_incident ON approvals (incident);
CREATE TABLE IF NOT EXISTS grants (
    id TEXT PRIMARY KEY,
    playbook TEXT NOT NULL,
    process TEXT NOT NULL,
    ends INTEGER NOT NULL,
    revoked INTEGER,
    uses INTEGER NOT NULL DEFAULT 0,
    last_used INTEGER,
    body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS grants_by_process ON grants (process, playbook);
CREATE TABLE IF NOT EXISTS runs (
    playbook TEXT NOT NULL,
    process TEXT NOT NULL,
    incident INTEGER NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
    ts INTEGER NOT NULL,
    helped INTEGER
);
CREATE INDEX IF NOT EXISTS runs_by_process ON runs (process, ts);
CREATE INDEX IF NOT EXISTS runs_by_playbook ON runs (playbook, ts);
CREATE TABLE IF NOT EXISTS contexts (
    incident INTEGER NOT NULL REFERENCES incidents (id) ON DELETE CASCADE,
    ts INTEGER NOT NULL,
    json TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS contexts_by_incident ON contexts (incident);
CREATE INDEX IF NOT EXISTS contexts_by_time ON contexts (ts);
CREATE TABLE IF NOT EXISTS windows (
    process TEXT NOT NULL,
    ts INTEGER NOT NULL,
    json TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS windows_by_time ON windows (ts);
CREATE TABLE IF NOT EXISTS scores (
    process TEXT NOT NULL,
    ts INTEGER NOT NULL,
    value REAL NOT NULL,
    parts TEXT NOT NULL,
    PRIMARY KEY (process, ts)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS playbooks (
    name TEXT PRIMARY KEY,
    body TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS model_calls (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    ts INTEGER NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    incident INTEGER,
    prompt_tokens INTEGER NOT NULL,
    answer_tokens INTEGER NOT NULL,
    cost_usd REAL NOT NULL,
    result TEXT
);
CREATE INDEX IF NOT EXISTS model_calls_by_time ON model_calls (ts);
";

/// Opens or makes the file, private to its owner's folder.
pub(super) fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    // WAL with NORMAL: a commit costs no fsync, and a crash of the daemon loses nothing.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    // KiB; the system keeps the file in memory anyway.
    connection.pragma_update(None, "cache_size", -256)?;
    migrate(&connection)?;
    Ok(connection)
}

/// Is the content of the file wrong, and not its place or its rights?
pub(super) fn is_damaged(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

/// Moves a damaged file away, and says where to.
pub(super) fn set_aside(path: &Path) -> std::io::Result<PathBuf> {
    let beside = |end: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let aside = beside(".damaged");
    std::fs::rename(path, &aside)?;
    for end in ["-wal", "-shm"] {
        // They are seldom there.
        let _ = std::fs::remove_file(beside(end));
    }
    Ok(aside)
}

fn migrate(connection: &Connection) -> rusqlite::Result<()> {
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    // A file of version 1 or 2 has the table without the column.
    if (1..3).contains(&found) {
        connection.execute_batch("ALTER TABLE incidents ADD COLUMN merged_into INTEGER")?;
    }
    if found < VERSION {
        connection.execute_batch(&format!("BEGIN; {TABLES} COMMIT;"))?;
        connection.pragma_update(None, "user_version", VERSION)?;
    }
    Ok(())
}
