//! Questions to the index. Everything here only reads.
//!
//! One lookup is one read transaction: the rows it finds and the places up to which streams
//! are indexed belong together, so that the rest can be scanned without gap or overlap. Any
//! trouble makes the caller scan everything; a damaged file is deleted, which the indexer sees.

mod counts;

use std::collections::HashMap;
use std::path::Path;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row, ToSql, params_from_iter};

use super::minutes::Span;
use super::{path_in, schema};
use crate::logs::expr::{Param, Sql};

pub(in crate::logs) use super::schema::GRAVE;
pub(in crate::logs) use counts::{Known, is_of_kinds};

/// A stream in the index.
#[derive(Debug, Clone, Copy)]
pub(in crate::logs) struct Indexed {
    pub(in crate::logs) id: i64,
    pub(in crate::logs) epoch: i64,
    pub(in crate::logs) done: u64,
}

/// An open read transaction.
pub(in crate::logs) struct Lookup {
    db: Connection,
    pub(in crate::logs) streams: HashMap<String, Indexed>,
    /// How many rows stand out of order.
    late: usize,
}

/// What is asked of the index.
#[derive(Debug, Clone, Default)]
pub(in crate::logs) struct Ask {
    /// For `MATCH`.
    pub(in crate::logs) words: Option<String>,
    pub(in crate::logs) conditions: Vec<Sql>,
    /// A condition demands at least this level.
    pub(in crate::logs) least_level: Option<u8>,
    pub(in crate::logs) streams: Vec<i64>,
    /// Offsets between which the lines of a stream are gone, and their rows are not yet.
    pub(in crate::logs) holes: Vec<(i64, u64, u64)>,
    pub(in crate::logs) since_ms: Option<i64>,
    pub(in crate::logs) until_ms: Option<i64>,
}

/// A row that was found.
#[derive(Debug, Clone, Copy)]
pub(in crate::logs) struct Hit {
    pub(in crate::logs) stream: i64,
    pub(in crate::logs) offset: u64,
    pub(in crate::logs) ts_ms: i64,
}

impl ToSql for Param {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Param::Whole(number) => ToSqlOutput::from(*number),
            Param::Real(number) => ToSqlOutput::from(*number),
            Param::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

#[cfg(test)]
thread_local! {
    /// For tests: questions of this thread see no index.
    ///
    /// Moving the file away is not the same: the indexer may make another one meanwhile, and two
    /// files that share one `-shm` in one process end it with SIGBUS.
    pub(in crate::logs) static HIDDEN: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

impl Lookup {
    /// Opens the index of a logs folder; `None` when there is none that can be used.
    pub(in crate::logs) fn open(folder: &Path) -> Option<Self> {
        #[cfg(test)]
        if HIDDEN.get() {
            return None;
        }
        let path = path_in(folder);
        match Self::try_open(&path) {
            Ok(lookup) => lookup,
            Err(error) => {
                trouble(folder, &error);
                None
            }
        }
    }

    fn try_open(path: &Path) -> Result<Option<Self>, rusqlite::Error> {
        let Some(db) = schema::open_for_reading(path)? else {
            return Ok(None);
        };
        db.execute_batch("BEGIN")?;
        let mut streams = HashMap::new();
        {
            let mut statement =
                db.prepare("SELECT process, instance, stream, id, epoch, done FROM streams")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let (process, instance, stream): (String, i64, String) =
                    (row.get(0)?, row.get(1)?, row.get(2)?);
                let done: i64 = row.get(5)?;
                let indexed = Indexed {
                    id: row.get(3)?,
                    epoch: row.get(4)?,
                    done: done.max(0) as u64,
                };
                streams.insert(format!("{process}-{instance}.{stream}"), indexed);
            }
        }
        let late: i64 = db.query_row("SELECT count(*) FROM late", [], |row| row.get(0))?;
        Ok(Some(Self {
            db,
            streams,
            late: late.max(0) as usize,
        }))
    }

    /// Rows that stand out of order, and so have to be looked at beyond the wanted number.
    pub(in crate::logs) fn late(&self) -> usize {
        self.late
    }

    /// The first id of rows that may be of this time or later.
    fn first_id_at(&self, ms: i64) -> Result<i64, rusqlite::Error> {
        let id: Option<i64> = self.db.query_row(
            "SELECT min(id) FROM marks WHERE greatest >= ?",
            [ms],
            |row| row.get(0),
        )?;
        Ok(id.unwrap_or(i64::MAX))
    }

    /// An id after all rows that may be of this time or earlier.
    fn first_id_after(&self, ms: i64) -> Result<i64, rusqlite::Error> {
        // Of the last batch that has any, all rows may be; the next one begins after them.
        let id: Option<i64> = self.db.query_row(
            "SELECT min(id) FROM marks \
             WHERE id > coalesce((SELECT max(id) FROM marks WHERE least <= ?), 0)",
            [ms],
            |row| row.get(0),
        )?;
        Ok(id.unwrap_or(i64::MAX))
    }

    /// Hits, newest first, until `take` has enough.
    pub(in crate::logs) fn hits(
        &self,
        ask: &Ask,
        mut take: impl FnMut(Hit) -> bool,
    ) -> Result<(), rusqlite::Error> {
        let what = "r.stream, r.offset, r.ts";
        let order = match &ask.words {
            Some(_) => "ORDER BY w.rowid DESC",
            // The index on grave rows is in this order.
            None if ask.is_grave() => "ORDER BY r.ts DESC, r.id DESC",
            None => "ORDER BY r.id DESC",
        };
        let mut sql = Sql::default();
        sql.push(what);
        self.select(ask, &mut sql)?;
        let mut statement = self.db.prepare(&format!("SELECT {} {order}", sql.text))?;
        let mut rows = statement.query(params_from_iter(&sql.params))?;
        while let Some(row) = rows.next()? {
            if !take(hit(row)?) {
                break;
            }
        }
        Ok(())
    }

    /// Adds to a list of columns where they come from: `rows r`, `streams s` and `words w`.
    fn select(&self, ask: &Ask, sql: &mut Sql) -> Result<(), rusqlite::Error> {
        match &ask.words {
            Some(words) => {
                // Words first: they are the most selective, and come in the order of ids.
                sql.push(
                    " FROM words w CROSS JOIN rows r ON r.id = w.rowid \
                     CROSS JOIN streams s ON s.id = r.stream WHERE words MATCH ",
                );
                sql.bind(Param::Text(words.clone()));
            }
            None if ask.is_grave() => sql.push(
                " FROM rows r INDEXED BY rows_grave CROSS JOIN streams s ON s.id = r.stream \
                 WHERE r.level >= 3",
            ),
            None => sql.push(" FROM rows r CROSS JOIN streams s ON s.id = r.stream WHERE true"),
        }
        let id = if ask.words.is_some() {
            "w.rowid"
        } else {
            "r.id"
        };
        if let Some(since) = ask.since_ms {
            sql.push(" AND r.ts >= ");
            sql.bind(Param::Whole(since));
            if !(ask.words.is_none() && ask.is_grave()) {
                sql.push(&format!(" AND {id} >= "));
                sql.bind(Param::Whole(self.first_id_at(since)?));
            }
        }
        if let Some(until) = ask.until_ms {
            sql.push(" AND r.ts <= ");
            sql.bind(Param::Whole(until));
            if !(ask.words.is_none() && ask.is_grave()) {
                sql.push(&format!(" AND {id} < "));
                sql.bind(Param::Whole(self.first_id_after(until)?));
            }
        }
        for (stream, from, to) in &ask.holes {
            sql.push(" AND NOT (r.stream = ");
            sql.bind(Param::Whole(*stream));
            sql.push(" AND r.offset >= ");
            sql.bind(Param::Whole(*from as i64));
            sql.push(" AND r.offset < ");
            sql.bind(Param::Whole(*to as i64));
            sql.push(")");
        }
        self.narrow(ask, sql);
        Ok(())
    }

    /// Adds the conditions that rows of lines and rows of counts both know.
    fn narrow(&self, ask: &Ask, sql: &mut Sql) {
        if ask.streams.len() < self.streams.len() {
            sql.push(" AND r.stream IN (");
            for (at, id) in ask.streams.iter().enumerate() {
                sql.push(if at == 0 { "" } else { "," });
                sql.push(&id.to_string());
            }
            sql.push(")");
        }
        for condition in &ask.conditions {
            sql.push(" AND ");
            sql.push(&condition.text);
            sql.params.extend(condition.params.iter().cloned());
        }
    }
}

impl Ask {
    /// The same of another time.
    fn between(&self, since_ms: i64, until_ms: i64) -> Self {
        Self {
            since_ms: Some(since_ms),
            until_ms: Some(until_ms),
            ..self.clone()
        }
    }

    /// The time that was asked for, for counts per minute: these do not know which lines are
    /// gone, so that all of it is counted from the lines then.
    fn span(&self) -> Span {
        if self.holes.is_empty() {
            Span::new(self.since_ms, self.until_ms)
        } else {
            Span::of_lines(self.since_ms, self.until_ms)
        }
    }

    fn is_grave(&self) -> bool {
        self.least_level.is_some_and(|level| level >= schema::GRAVE)
    }
}

fn hit(row: &Row<'_>) -> Result<Hit, rusqlite::Error> {
    let offset: i64 = row.get(1)?;
    Ok(Hit {
        stream: row.get(0)?,
        offset: offset.max(0) as u64,
        ts_ms: row.get(2)?,
    })
}

/// What an error of the index means: a damaged file goes, everything else passes by itself.
pub(in crate::logs) fn trouble(folder: &Path, error: &rusqlite::Error) {
    if schema::is_damage(error) {
        tracing::warn!(%error, "The log index is damaged; it is made anew.");
        let _ = std::fs::remove_file(path_in(folder));
    } else {
        tracing::debug!(%error, "The log index could not be asked.");
    }
}
