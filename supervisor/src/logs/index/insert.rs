//! One batch of lines into the index, in one transaction with the places they end at.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::came::Came;
use super::gather::{Gather, Known};
use super::minutes::{Changes, Kind, minute};
use super::patterns::Patterns;
use crate::logs::line;
use crate::logs::record;

/// Most lines of a transaction: some 300 ms of work.
const LINES: usize = 20_000;
/// Most bytes of a transaction.
const BYTES: usize = 8 << 20;

/// What one batch did.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Done {
    pub(super) lines: u64,
    /// The batch was full: there may be more.
    pub(super) full: bool,
}

/// Where the next row goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tail {
    pub(super) next_id: i64,
    /// The greatest time so far.
    pub(super) ts_ms: i64,
}

/// What the index knows of its streams, and where it ends.
pub(super) fn load(db: &Connection) -> Result<(HashMap<String, Known>, Tail), rusqlite::Error> {
    let mut statement =
        db.prepare("SELECT process, instance, stream, id, epoch, done FROM streams")?;
    let rows = statement.query_map([], |row| {
        let (process, instance, stream): (String, u16, String) =
            (row.get(0)?, row.get(1)?, row.get(2)?);
        let done: i64 = row.get(5)?;
        let known = Known {
            id: row.get(3)?,
            epoch: row.get(4)?,
            done: done.max(0) as u64,
        };
        Ok((format!("{process}-{instance}.{stream}"), known))
    })?;
    let known = rows.collect::<Result<_, _>>()?;
    let last: Option<i64> = db
        .query_row("SELECT max(id) FROM rows", [], |row| row.get(0))
        .optional()?
        .flatten();
    let marked: Option<(i64, i64)> = db
        .query_row("SELECT max(id), max(greatest) FROM marks", [], |row| {
            Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?))
        })
        .map(|(id, ts)| id.zip(ts))?;
    let tail = Tail {
        next_id: last.unwrap_or(0).max(marked.map_or(0, |(id, _)| id)) + 1,
        ts_ms: marked.map_or(i64::MIN, |(_, ts)| ts),
    };
    Ok((known, tail))
}

/// Writes the next lines of the round.
pub(super) fn batch(
    db: &mut Connection,
    gather: &mut Gather,
    known: &mut HashMap<String, Known>,
    tail: &mut Tail,
    patterns: &mut Patterns,
    came: &mut Came,
) -> Result<Done, BatchError> {
    let work = db.transaction()?;
    let mut moved = *tail;
    let mut ids: Vec<Option<i64>> = Vec::new();
    let mut done = Done::default();
    let mut bytes = 0;
    let mut least = i64::MAX;
    let mut minutes = Changes::default();
    {
        let mut row = work.prepare_cached(
            "INSERT INTO rows(id, ts, stream, level, offset, template) \
             VALUES (?, ?, ?, ?, ?, ?)",
        )?;
        let mut words = work.prepare_cached("INSERT INTO words(rowid, line_text) VALUES (?, ?)")?;
        let mut late = work.prepare_cached("INSERT INTO late(id) VALUES (?)")?;
        while done.lines < LINES as u64 && bytes < BYTES {
            let Some(gathered) = gather.next()? else {
                break;
            };
            let source = &gather.sources[gathered.source];
            ids.resize(gather.sources.len(), None);
            let stream = match ids[gathered.source] {
                Some(id) => id,
                None => {
                    let id = super::clean::stream_id(&work, source, known)?;
                    ids[gathered.source] = Some(id);
                    id
                }
            };
            let text = line::shown(&gathered.line.bytes);
            let record = record::parse(&text);
            let process = &source.instance.process;
            let level = record.severity(source.stream).map(record::Level::rank);
            let template = patterns.add(&work, process, &record.message, gathered.ts_ms, level)?;
            let id = moved.next_id;
            let start = gathered.line.span.start;
            came.line(source, start, level);
            minutes.add(Kind {
                template,
                stream,
                level,
                minute: minute(gathered.ts_ms),
            });
            row.execute(params![
                id,
                gathered.ts_ms,
                stream,
                level,
                start as i64,
                template,
            ])?;
            words.execute(params![id, record.search_text()])?;
            if gathered.ts_ms < moved.ts_ms {
                late.execute([id])?;
            }
            moved.next_id += 1;
            moved.ts_ms = moved.ts_ms.max(gathered.ts_ms);
            least = least.min(gathered.ts_ms);
            done.lines += 1;
            bytes += gathered.line.bytes.len();
        }
        if done.lines > 0 {
            work.prepare_cached("INSERT INTO marks(id, least, greatest) VALUES (?, ?, ?)")?
                .execute(params![tail.next_id, least, moved.ts_ms])?;
        }
        let mut place = work.prepare_cached("UPDATE streams SET done = ? WHERE id = ?")?;
        for (source, id) in gather.sources.iter().zip(&ids) {
            if let Some(id) = id {
                place.execute(params![source.done as i64, id])?;
            }
        }
    }
    // Before templates join, which moves their counts.
    minutes.write(&work)?;
    patterns.write(&work)?;
    work.commit()?;
    *tail = moved;
    for (source, id) in gather.sources.iter().zip(ids) {
        if let Some(id) = id {
            let now = Known {
                id,
                epoch: source.epoch,
                done: source.done,
            };
            known.insert(source.stem.clone(), now);
        }
    }
    done.full = done.lines >= LINES as u64 || bytes >= BYTES;
    Ok(done)
}

/// Why a batch failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum BatchError {
    /// The index.
    #[error(transparent)]
    Sql(#[from] rusqlite::Error),
    /// A segment.
    #[error(transparent)]
    Read(#[from] std::io::Error),
}
