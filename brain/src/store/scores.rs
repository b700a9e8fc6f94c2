//! Health scores, one a minute for each process.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, params};
use supervisor::ProcessName;

use super::BrainStoreError;
use super::sql::{encode, time};
use crate::score::Score;

type Result<T> = std::result::Result<T, BrainStoreError>;

pub(super) fn keep(
    db: &mut Connection,
    at: Timestamp,
    scores: &[(ProcessName, Score)],
) -> Result<()> {
    // One transaction: a thousand rows cost about as much as one.
    let transaction = db.transaction()?;
    {
        let mut insert = transaction.prepare_cached(
            "INSERT OR REPLACE INTO scores (process, ts, value, parts) VALUES (?1, ?2, ?3, ?4)",
        )?;
        for (process, score) in scores {
            insert.execute(params![
                process.as_str(),
                at.as_millisecond(),
                score.value,
                encode(&[score.crash, score.probe, score.memory, score.cpu])?
            ])?;
        }
    }
    transaction.commit()?;
    Ok(())
}

pub(super) fn of(
    db: &Connection,
    process: &ProcessName,
    since: Timestamp,
) -> Result<Vec<(Timestamp, f64)>> {
    db.prepare_cached("SELECT ts, value FROM scores WHERE process = ?1 AND ts >= ?2 ORDER BY ts")?
        .query_map(params![process.as_str(), since.as_millisecond()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .map(|row| {
            let (at, value) = row?;
            Ok((time(at)?, value))
        })
        .collect()
}

pub(super) fn averages(
    db: &Connection,
    from: Timestamp,
    to: Timestamp,
) -> Result<BTreeMap<String, f64>> {
    let rows = db
        .prepare_cached(
            "SELECT process, avg(value) FROM scores WHERE ts >= ?1 AND ts < ?2 GROUP BY process",
        )?
        .query_map(params![from.as_millisecond(), to.as_millisecond()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(rows)
}

pub(super) fn forget(db: &Connection, before: Timestamp) -> Result<()> {
    db.execute(
        "DELETE FROM scores WHERE ts < ?1",
        [before.as_millisecond()],
    )?;
    Ok(())
}
