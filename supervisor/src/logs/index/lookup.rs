//! Questions to the index. Everything here only reads.
//!
//! One lookup is one read transaction: the rows it finds and the places up to which streams
//! are indexed belong together, so that the rest can be scanned without gap or overlap. Any
//! trouble makes the caller scan everything; a damaged file is deleted, which the indexer sees.

use std::collections::HashMap;
use std::path::Path;

use jiff::Timestamp;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row, ToSql, params_from_iter};

use super::{TemplateView, path_in, schema};
use crate::ids::ProcessName;
use crate::logs::count::CountBy;
use crate::logs::expr::{Param, Sql};
use crate::templates::TemplateId;

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
    pub(in crate::logs) since_ms: Option<i64>,
    pub(in crate::logs) until_ms: Option<i64>,
}

/// A row that was found.
#[derive(Debug, Clone, Copy)]
pub(in crate::logs) struct Hit {
    pub(in crate::logs) stream: i64,
    pub(in crate::logs) offset: u64,
    pub(in crate::logs) ts_ms: i64,
    /// Less is better; 0 without words.
    pub(in crate::logs) score: f64,
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

impl Lookup {
    /// Opens the index of a logs folder; `None` when there is none that can be used.
    pub(in crate::logs) fn open(folder: &Path) -> Option<Self> {
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

    /// Hits, newest first or best first, until `take` has enough.
    pub(in crate::logs) fn hits(
        &self,
        ask: &Ask,
        best: bool,
        mut take: impl FnMut(Hit) -> bool,
    ) -> Result<(), rusqlite::Error> {
        let what = match (&ask.words, best) {
            (Some(_), true) => "r.stream, r.offset, r.ts, bm25(words)",
            _ => "r.stream, r.offset, r.ts, 0.0",
        };
        let order = match (&ask.words, best) {
            (Some(_), true) => "ORDER BY bm25(words), w.rowid DESC",
            (Some(_), false) => "ORDER BY w.rowid DESC",
            // The index on grave rows is in this order.
            (None, _) if ask.is_grave() => "ORDER BY r.ts DESC, r.id DESC",
            (None, _) => "ORDER BY r.id DESC",
        };
        let sql = self.select(ask, what, order)?;
        let mut statement = self.db.prepare(&sql.text)?;
        let mut rows = statement.query(params_from_iter(&sql.params))?;
        while let Some(row) = rows.next()? {
            if !take(hit(row)?) {
                break;
            }
        }
        Ok(())
    }

    /// The kinds of lines of these processes, the most frequent first. With a time only those
    /// that were printed then, with their counts of it (in whole minutes).
    pub(in crate::logs) fn templates(
        &self,
        processes: &[ProcessName],
        (since_ms, until_ms): (Option<i64>, Option<i64>),
        most: usize,
    ) -> Result<Vec<TemplateView>, rusqlite::Error> {
        let minute = |ms: Option<i64>, none: i64| ms.map_or(none, |ms| ms.div_euclid(60_000));
        let mut statement = self.db.prepare(
            "SELECT t.process, t.id, t.pattern, sum(m.count) AS n, t.first, t.last \
             FROM templates t JOIN template_minutes m ON m.template = t.number \
             WHERE t.joined IS NULL AND m.minute BETWEEN ? AND ? \
             GROUP BY t.number ORDER BY n DESC, t.first, t.number",
        )?;
        let span = (minute(since_ms, i64::MIN), minute(until_ms, i64::MAX));
        let mut rows = statement.query(span)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()?
            && found.len() < most
        {
            let process: String = row.get(0)?;
            let (id, count): (i64, i64) = (row.get(1)?, row.get(3)?);
            let time = |ms| Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH);
            if let Some(process) = processes.iter().find(|known| known.as_str() == process) {
                found.push(TemplateView {
                    process: process.clone(),
                    id: TemplateId::from_i64(id).to_string(),
                    pattern: row.get(2)?,
                    count: count.max(0) as u64,
                    first: time(row.get(4)?),
                    last: time(row.get(5)?),
                });
            }
        }
        Ok(found)
    }

    /// How often each value occurs.
    pub(in crate::logs) fn counts(
        &self,
        ask: &Ask,
        by: &CountBy,
    ) -> Result<Vec<(Option<String>, u64)>, rusqlite::Error> {
        let mut what = by.sql();
        what.text.push_str(" AS value, count(*)");
        let Sql { text, params } = self.select(ask, &what.text, "GROUP BY value")?;
        let mut statement = self.db.prepare(&text)?;
        let mut rows = statement.query(params_from_iter(what.params.iter().chain(&params)))?;
        let mut counts = Vec::new();
        while let Some(row) = rows.next()? {
            let count: i64 = row.get(1)?;
            counts.push((by.value_of(row.get_ref(0)?), count.max(0) as u64));
        }
        Ok(counts)
    }

    fn select(&self, ask: &Ask, what: &str, tail: &str) -> Result<Sql, rusqlite::Error> {
        let mut sql = Sql::default();
        sql.push("SELECT ");
        sql.push(what);
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
        if ask.streams.len() < self.streams.len() {
            sql.push(" AND r.stream IN (");
            for (at, id) in ask.streams.iter().enumerate() {
                sql.push(if at == 0 { "" } else { "," });
                sql.push(&id.to_string());
            }
            sql.push(")");
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
        }
        for condition in &ask.conditions {
            sql.push(" AND ");
            sql.push(&condition.text);
            sql.params.extend(condition.params.iter().cloned());
        }
        sql.push(" ");
        sql.push(tail);
        Ok(sql)
    }
}

impl Ask {
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
        score: row.get(3)?,
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
