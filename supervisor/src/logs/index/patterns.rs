//! The templates of lines, mined while they are indexed: one miner per process.
//!
//! What was mined is in the index with the rows it came from, so that a restart goes on where
//! the last daemon was, and a rebuilt index finds the templates of the kept lines again. How
//! many lines of a template came when stands in `minutes`.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, params};
use tokio::sync::broadcast;

use super::NewPattern;
use crate::ids::ProcessName;
use crate::logs::record::Level;
use crate::templates::{Miner, New, Settings, Template, TemplateId};

/// Templates of a process that are read back: as many as a miner keeps.
const KNOWN: usize = 1_000;
/// Lines older than this are of the past: a rebuilt index announces nothing.
const FRESH_MS: i64 = 60_000;
/// Most patterns of one process that are announced in one batch.
const ANNOUNCED: usize = 20;

/// The miners, and the numbers of their templates in the index.
#[derive(Debug, Default)]
pub(super) struct Patterns(HashMap<ProcessName, Mined>);

#[derive(Debug, Default)]
struct Mined {
    miner: Miner,
    numbers: HashMap<TemplateId, i64>,
    touched: HashMap<TemplateId, Touched>,
    fresh: Vec<Fresh>,
    /// When the first line came that is known of.
    begun_ms: Option<i64>,
}

/// The first line of a template.
#[derive(Debug, Clone, Copy)]
struct Fresh {
    id: TemplateId,
    ts_ms: i64,
    level: Option<u8>,
    age_ms: i64,
}

#[derive(Debug, Clone, Copy)]
struct Touched {
    count: i64,
    first: i64,
    last: i64,
}

impl Patterns {
    /// What was mined before.
    pub(super) fn load(db: &Connection) -> Result<Self, rusqlite::Error> {
        let mut known: HashMap<ProcessName, (i64, Vec<(i64, Template)>)> = HashMap::new();
        let mut statement = db.prepare(
            "SELECT process, number, id, pattern, count, first FROM templates \
             WHERE joined IS NULL ORDER BY process, last DESC",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let process: String = row.get(0)?;
            let Ok(process) = process.parse() else {
                continue;
            };
            let count: i64 = row.get(4)?;
            let template = Template {
                id: TemplateId::from_i64(row.get(2)?),
                pattern: row.get(3)?,
                count: count.max(0) as u64,
            };
            let first: i64 = row.get(5)?;
            let (begun, known) = known.entry(process).or_insert((first, Vec::new()));
            *begun = first.min(*begun);
            if known.len() < KNOWN {
                known.push((row.get(1)?, template));
            }
        }
        let mined = known.into_iter().map(|(process, (begun, templates))| {
            let numbers = templates
                .iter()
                .map(|(number, t)| (t.id, *number))
                .collect();
            let templates = templates.into_iter().rev().map(|(_, template)| template);
            let mined = Mined {
                miner: Miner::restore(Settings::default(), templates),
                numbers,
                begun_ms: Some(begun),
                ..Mined::default()
            };
            (process, mined)
        });
        Ok(Self(mined.collect()))
    }

    /// Takes a line's message; gives the number of its template.
    pub(super) fn add(
        &mut self,
        db: &Connection,
        process: &ProcessName,
        message: &str,
        ts_ms: i64,
        level: Option<u8>,
    ) -> Result<i64, rusqlite::Error> {
        if !self.0.contains_key(process) {
            self.0.insert(process.clone(), Mined::default());
        }
        let Some(mined) = self.0.get_mut(process) else {
            return Ok(0);
        };
        let (id, new) = mined.miner.add(message);
        let begun = *mined.begun_ms.get_or_insert(ts_ms);
        let touched = mined.touched.entry(id).or_insert(Touched {
            count: 0,
            first: ts_ms,
            last: ts_ms,
        });
        touched.count += 1;
        touched.first = touched.first.min(ts_ms);
        touched.last = touched.last.max(ts_ms);
        if let Some(number) = mined.numbers.get(&id) {
            return Ok(*number);
        }
        if new == New::First {
            mined.fresh.push(Fresh {
                id,
                ts_ms,
                level,
                age_ms: ts_ms - begun,
            });
        }
        let number = db
            .prepare_cached(
                "INSERT INTO templates(process, id, pattern, count, first, last) \
                 VALUES (?, ?, '', 0, ?, ?)",
            )?
            .insert(params![process.as_str(), id.to_i64(), ts_ms, ts_ms])?;
        mined.numbers.insert(id, number);
        Ok(number)
    }

    /// Writes what the batch changed.
    pub(super) fn write(&mut self, db: &Connection) -> Result<(), rusqlite::Error> {
        let mut template = db.prepare_cached(
            "UPDATE templates SET pattern = coalesce(?, pattern), count = count + ?, \
             first = min(first, ?), last = max(last, ?) WHERE number = ?",
        )?;
        for mined in self
            .0
            .values_mut()
            .filter(|mined| !mined.touched.is_empty())
        {
            for (id, touched) in mined.touched.drain() {
                let pattern = mined.miner.template(id).map(|template| template.pattern);
                if let Some(number) = mined.numbers.get(&id) {
                    let Touched { count, first, last } = touched;
                    template.execute(params![pattern, count, first, last, number])?;
                }
            }
            for merge in mined.miner.take_merges() {
                let numbers = (
                    mined.numbers.remove(&merge.from),
                    mined.numbers.get(&merge.into),
                );
                if let (Some(from), Some(into)) = numbers {
                    join(db, from, *into)?;
                }
            }
            if mined.numbers.len() > 4 * KNOWN {
                // Those that the miner has forgotten get another one if they come again.
                let living: HashSet<TemplateId> = mined.miner.templates().map(|t| t.id).collect();
                mined.numbers.retain(|id, _| living.contains(id));
            }
        }
        Ok(())
    }

    /// Forgets the templates of processes that have no streams any more.
    pub(super) fn forget_unknown(&mut self, db: &Connection) -> Result<(), rusqlite::Error> {
        db.execute(
            "DELETE FROM templates WHERE process NOT IN (SELECT process FROM streams)",
            [],
        )?;
        let known: Vec<String> = db
            .prepare("SELECT DISTINCT process FROM streams")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        self.0
            .retain(|process, _| known.iter().any(|name| name == process.as_str()));
        Ok(())
    }

    /// Tells of the patterns that were new in the batch, once it is written.
    pub(super) fn announce(&mut self, now_ms: i64, to: &broadcast::Sender<NewPattern>) {
        for (process, mined) in &mut self.0 {
            let mut told = 0;
            // Grave ones first, since not all may be told.
            mined
                .fresh
                .sort_by_key(|fresh| std::cmp::Reverse(fresh.level));
            for fresh in mined.fresh.drain(..) {
                if now_ms - fresh.ts_ms > FRESH_MS || told >= ANNOUNCED {
                    continue;
                }
                told += 1;
                if let Some(template) = mined.miner.template(fresh.id) {
                    // Without anybody who listens it is only not heard.
                    let _ = to.send(NewPattern {
                        process: process.clone(),
                        id: template.id.to_string(),
                        pattern: template.pattern,
                        ts_ms: fresh.ts_ms,
                        level: fresh.level.and_then(|rank| Level::of_rank(rank.into())),
                        age_ms: fresh.age_ms,
                    });
                }
            }
        }
    }
}

/// The lines of a template become those of another one.
fn join(db: &Connection, from: i64, into: i64) -> Result<(), rusqlite::Error> {
    db.execute(
        "UPDATE templates SET count = templates.count + f.count, \
         first = min(templates.first, f.first), \
         last = max(templates.last, f.last) \
         FROM (SELECT count, first, last FROM templates WHERE number = ?1) AS f WHERE number = ?2",
        (from, into),
    )?;
    super::minutes::join(db, from, into)?;
    db.execute(
        "UPDATE templates SET joined = ?2 WHERE joined = ?1 OR number = ?1",
        (from, into),
    )?;
    Ok(())
}
