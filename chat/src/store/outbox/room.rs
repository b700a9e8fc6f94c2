//! How many messages may wait, and which go when there are more.
//!
//! A channel that is dead for long must not fill the disk, and what is critical must not give
//! way to what is only good to know: the mildest goes, of these the oldest, also when that is
//! the one that has just come. Each that goes is counted.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::notify::Outgoing;
use crate::store::{Store, StoreError};

/// Messages of one channel that wait.
pub(super) const MOST_WAITING: i64 = 500;

/// Its table, as it was made.
pub(in crate::store) const STEP: &str = "
    CREATE TABLE dropped (channel TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
";

impl Store {
    /// How many messages went since too many waited, by channel.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn dropped(&self) -> Result<BTreeMap<String, i64>, StoreError> {
        self.with(|connection| {
            let mut rows = connection.prepare("SELECT channel, count FROM dropped")?;
            let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}

/// Puts a message in.
pub(super) fn put(
    connection: &Connection,
    message: &Outgoing,
    now: Timestamp,
) -> Result<(), StoreError> {
    let known = "SELECT 1 FROM outbox WHERE id = ?1";
    let known = connection.query_row(known, params![message.id], |_| Ok(()));
    if known.optional()?.is_some() {
        return Ok(());
    }
    let (stage, result) = match has_place(connection, message)? {
        true => ("waiting", ""),
        false => ("failed", TOO_MANY),
    };
    connection.execute(
        "INSERT INTO outbox (id, channel, stage, severity, at, due, tries, result, message)
         VALUES (?1, ?2, ?3, ?4, ?5, ?5, 0, ?6, ?7)",
        params![
            message.id,
            message.channel,
            stage,
            message.weight(),
            now.as_millisecond(),
            result,
            serde_json::to_string(message)?
        ],
    )?;
    Ok(())
}

/// Is there a place for it? Another one may have to give up its own.
fn has_place(connection: &Connection, message: &Outgoing) -> Result<bool, StoreError> {
    if waiting(connection, &message.channel)? < MOST_WAITING {
        return Ok(true);
    }
    count(connection, &message.channel, 1)?;
    let (number, weight): (i64, i64) = connection.query_row(
        "SELECT number, severity FROM outbox
         WHERE stage = 'waiting' AND channel = ?1 ORDER BY severity, number LIMIT 1",
        params![message.channel],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    if weight > message.weight() {
        return Ok(false);
    }
    connection.execute(
        "UPDATE outbox SET stage = 'failed', result = ?2 WHERE number = ?1",
        params![number, TOO_MANY],
    )?;
    Ok(true)
}

const TOO_MANY: &str = "too many messages waited";

/// So many of a channel went.
pub(super) fn count(connection: &Connection, channel: &str, lost: u32) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO dropped (channel, count) VALUES (?1, ?2)
         ON CONFLICT (channel) DO UPDATE SET count = count + ?2",
        params![channel, lost],
    )?;
    Ok(())
}

fn waiting(connection: &Connection, channel: &str) -> Result<i64, StoreError> {
    Ok(connection.query_row(
        "SELECT count(*) FROM outbox WHERE stage = 'waiting' AND channel = ?1",
        params![channel],
        |row| row.get(0),
    )?)
}
