//! Rows whose lines are gone: streams that were deleted or made anew, segments that were
//! rotated away or have expired, and lines whose level is kept for a shorter time.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, OptionalExtension, params};

use super::gather::{Known, Source};
use super::minutes::{Changes, Kind, minute};
use crate::logs::levels::Levels;

/// Rows deleted in one transaction.
const CHUNK: i64 = 5_000;

/// The number of a stream. One that has the name of an older stream takes its place.
pub(super) fn stream_id(
    db: &Connection,
    source: &Source,
    known: &HashMap<String, Known>,
) -> Result<i64, rusqlite::Error> {
    if let Some(known) = known.get(&source.stem)
        && known.epoch == source.epoch
    {
        return Ok(known.id);
    }
    // Its old rows keep their number until they are cleaned away.
    db.prepare_cached("DELETE FROM streams WHERE process = ? AND instance = ? AND stream = ?")?
        .execute(params![
            source.instance.process.as_str(),
            source.instance.index,
            source.stream.as_str()
        ])?;
    // Numbers are never used twice (AUTOINCREMENT), or old rows would belong to the new stream.
    db.prepare_cached(
        "INSERT INTO streams(process, instance, stream, epoch, done) VALUES (?, ?, ?, ?, 0)",
    )?
    .insert(params![
        source.instance.process.as_str(),
        source.instance.index,
        source.stream.as_str(),
        source.epoch
    ])
}

/// What is to be cleaned away, found bit by bit so that indexing goes on in between.
#[derive(Debug, Default)]
pub(super) struct Cleaning {
    /// Numbers of streams that are gone.
    gone: HashSet<i64>,
    /// First kept offset of streams that lost segments.
    first: HashMap<i64, u64>,
    /// Segments of streams that lost the lines of some levels.
    thinned: HashMap<i64, Vec<Thinned>>,
    /// Where the walk over the rows is.
    at: Option<i64>,
}

/// Only lines of some levels are left between two offsets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Thinned {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) kept: Levels,
}

/// A row that is looked at.
struct Row {
    stream: i64,
    offset: u64,
    level: Option<u8>,
}

impl Cleaning {
    /// A stream is no more.
    pub(super) fn forget(&mut self, stream: i64) {
        self.gone.insert(stream);
        self.at = Some(0);
    }

    /// A stream begins at `first` now.
    pub(super) fn begins_at(&mut self, stream: i64, first: u64) {
        self.first.insert(stream, first);
        self.at = Some(0);
    }

    /// A segment of a stream lost lines.
    pub(super) fn thinned(&mut self, stream: i64, thinned: Thinned) {
        let known = self.thinned.entry(stream).or_default();
        known.retain(|other| other.from != thinned.from);
        known.push(thinned);
        self.at = Some(0);
    }

    fn is_dead(&self, row: &Row) -> bool {
        let first = self.first.get(&row.stream).copied().unwrap_or(0);
        let thinned = self.thinned.get(&row.stream).into_iter().flatten();
        self.gone.contains(&row.stream)
            || row.offset < first
            || thinned.into_iter().any(|part| {
                (part.from..part.to).contains(&row.offset) && !part.kept.has_rank(row.level)
            })
    }

    pub(super) fn is_idle(&self) -> bool {
        self.at.is_none()
    }

    /// Cleans one chunk.
    pub(super) fn step(&mut self, db: &mut Connection) -> Result<u64, rusqlite::Error> {
        let Some(at) = self.at else {
            return Ok(0);
        };
        let work = db.transaction()?;
        let last: Option<i64> = work
            .query_row(
                "SELECT id FROM rows WHERE id > ? ORDER BY id LIMIT 1 OFFSET ?",
                params![at, 20 * CHUNK],
                |row| row.get(0),
            )
            .optional()?;
        let mut dead: Vec<i64> = Vec::new();
        let mut minutes = Changes::default();
        let joined = joined(&work)?;
        {
            let mut rows = work.prepare_cached(
                "SELECT id, stream, offset, level, template, ts FROM rows \
                 WHERE id > ? AND id <= ? ORDER BY id",
            )?;
            let mut rows = rows.query(params![at, last.unwrap_or(i64::MAX)])?;
            while let Some(row) = rows.next()? {
                let offset: i64 = row.get(2)?;
                let at = Row {
                    stream: row.get(1)?,
                    offset: offset.max(0) as u64,
                    level: row.get(3)?,
                };
                if self.is_dead(&at) {
                    dead.push(row.get(0)?);
                    let template: i64 = row.get(4)?;
                    minutes.add(Kind {
                        template: joined.get(&template).copied().unwrap_or(template),
                        stream: at.stream,
                        level: at.level,
                        minute: minute(row.get(5)?),
                    });
                }
                if dead.len() as i64 == CHUNK {
                    break;
                }
            }
        }
        {
            let mut words = work.prepare_cached("DELETE FROM words WHERE rowid = ?")?;
            let mut rows = work.prepare_cached("DELETE FROM rows WHERE id = ?")?;
            let mut late = work.prepare_cached("DELETE FROM late WHERE id = ?")?;
            for id in &dead {
                words.execute([id])?;
                rows.execute([id])?;
                late.execute([id])?;
            }
        }
        minutes.take_back(&work)?;
        let full = dead.len() as i64 == CHUNK;
        let reached = if full { dead.last().copied() } else { last };
        if reached.is_none() {
            // The whole of it was seen.
            for stream in &self.gone {
                work.execute("DELETE FROM streams WHERE id = ?", [stream])?;
                work.execute("DELETE FROM minutes WHERE stream = ?", [stream])?;
                work.execute("DELETE FROM cleaned WHERE stream = ?", [stream])?;
            }
            for (stream, parts) in &self.thinned {
                for part in parts {
                    work.execute(
                        "INSERT OR REPLACE INTO cleaned(stream, begins, kept) VALUES (?, ?, ?)",
                        params![stream, part.from as i64, part.kept.bits()],
                    )?;
                }
            }
            work.execute(
                "DELETE FROM marks WHERE id < coalesce((SELECT max(id) FROM marks \
                 WHERE id <= (SELECT min(id) FROM rows)), 0)",
                [],
            )?;
        }
        work.commit()?;
        self.at = reached;
        if reached.is_none() {
            self.gone.clear();
            self.first.clear();
            self.thinned.clear();
        }
        Ok(dead.len() as u64)
    }
}

/// Templates that have become another one: rows name the one they had when they came.
fn joined(db: &Connection) -> Result<HashMap<i64, i64>, rusqlite::Error> {
    db.prepare_cached("SELECT number, joined FROM templates WHERE joined IS NOT NULL")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}
