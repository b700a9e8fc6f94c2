//! How many lines of each kind came in each minute: counts without looking at lines.
//!
//! A row counts the lines of one template, stream and level in one minute, so that a question
//! for numbers (which process, which level, which template, when) reads some thousand rows in
//! place of millions. Rows change in the same transaction as the lines they count. What is
//! asked of less than a whole minute is counted from the lines at both ends; see [`Span`].

use std::collections::HashMap;

use rusqlite::{Connection, params};

/// What is counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    pub(super) template: i64,
    pub(super) stream: i64,
    /// The rank of its level.
    pub(super) level: Option<u8>,
    pub(super) minute: i64,
}

/// How no level stands in a key, where nothing cannot stand.
const NO_LEVEL: i64 = -1;

/// The minute of a time.
pub(super) fn minute(ms: i64) -> i64 {
    ms.div_euclid(60_000)
}

/// Changes of one transaction.
#[derive(Debug, Default)]
pub(super) struct Changes(HashMap<Kind, i64>);

impl Changes {
    pub(super) fn add(&mut self, kind: Kind) {
        *self.0.entry(kind).or_default() += 1;
    }

    /// Counts lines that came.
    pub(super) fn write(self, db: &Connection) -> Result<(), rusqlite::Error> {
        let mut more = db.prepare_cached(
            "INSERT INTO minutes(template, stream, level, minute, count) VALUES (?, ?, ?, ?, ?) \
             ON CONFLICT DO UPDATE SET count = count + excluded.count",
        )?;
        for (kind, count) in self.0 {
            more.execute(params![
                kind.template,
                kind.stream,
                kind.level.map_or(NO_LEVEL, i64::from),
                kind.minute,
                count
            ])?;
        }
        Ok(())
    }

    /// Counts lines that went.
    pub(super) fn take_back(self, db: &Connection) -> Result<(), rusqlite::Error> {
        let mut less = db.prepare_cached(
            "UPDATE minutes SET count = count - ?5 \
             WHERE template = ?1 AND stream = ?2 AND level = ?3 AND minute = ?4 RETURNING count",
        )?;
        let mut none = db.prepare_cached(
            "DELETE FROM minutes \
             WHERE template = ?1 AND stream = ?2 AND level = ?3 AND minute = ?4",
        )?;
        for (kind, count) in self.0 {
            let Kind {
                template,
                stream,
                level,
                minute,
            } = kind;
            let level = level.map_or(NO_LEVEL, i64::from);
            let left: Vec<i64> = less
                .query_map(params![template, stream, level, minute, count], |row| {
                    row.get(0)
                })?
                .collect::<Result<_, _>>()?;
            if left.first().is_some_and(|left| *left <= 0) {
                none.execute(params![template, stream, level, minute])?;
            }
        }
        Ok(())
    }
}

/// The lines of a template are those of another one from now on.
pub(super) fn join(db: &Connection, from: i64, into: i64) -> Result<(), rusqlite::Error> {
    db.execute(
        "INSERT INTO minutes(template, stream, level, minute, count) \
         SELECT ?2, stream, level, minute, count FROM minutes WHERE template = ?1 \
         ON CONFLICT DO UPDATE SET count = minutes.count + excluded.count",
        (from, into),
    )?;
    db.execute("DELETE FROM minutes WHERE template = ?", [from])?;
    Ok(())
}

/// A time that was asked for, as whole minutes and what is left at both ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    /// First and last whole minute.
    pub(super) minutes: (i64, i64),
    /// First and last millisecond of what is no whole minute.
    pub(super) edges: Vec<(i64, i64)>,
}

impl Span {
    /// Nothing of it is asked of the counts per minute.
    pub(super) fn of_lines(since_ms: Option<i64>, until_ms: Option<i64>) -> Self {
        Self {
            minutes: (1, 0),
            edges: vec![(since_ms.unwrap_or(i64::MIN), until_ms.unwrap_or(i64::MAX))],
        }
    }

    pub(super) fn new(since_ms: Option<i64>, until_ms: Option<i64>) -> Self {
        let first = since_ms.map_or(i64::MIN, |ms| minute(ms.saturating_add(59_999)));
        let last = until_ms.map_or(i64::MAX, |ms| minute(ms.saturating_add(1)) - 1);
        if first > last {
            return Self::of_lines(since_ms, until_ms);
        }
        let mut edges = Vec::new();
        if let Some(since) = since_ms
            && since < first.saturating_mul(60_000)
        {
            edges.push((since, first.saturating_mul(60_000) - 1));
        }
        if let Some(until) = until_ms
            && until >= (last + 1).saturating_mul(60_000)
        {
            edges.push(((last + 1).saturating_mul(60_000), until));
        }
        Self {
            minutes: (first, last),
            edges,
        }
    }
}

/// Rows of counts in the place of rows of lines, under the same names: `r.level`, `r.stream`,
/// and `r.ts` for the minute. `n` is how many lines each stands for.
pub(super) const AS_ROWS: &str = "(SELECT template, stream, nullif(level, -1) AS level, minute * 60000 AS ts, count AS n \
     FROM minutes WHERE minute BETWEEN ? AND ?)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_whole_minutes_and_its_edges() {
        let span = |since, until| {
            let Span { minutes, edges } = Span::new(since, until);
            (minutes, edges)
        };
        let all = (i64::MIN, i64::MAX);
        assert_eq!(span(None, None), (all, vec![]));
        assert_eq!(span(Some(120_000), None), ((2, i64::MAX), vec![]));
        let one = span(Some(120_001), Some(300_000));
        assert_eq!(one, ((3, 4), vec![(120_001, 179_999), (300_000, 300_000)]));
        assert_eq!(span(Some(60_000), Some(179_999)), ((1, 2), vec![]));
        assert_eq!(span(Some(60_001), Some(60_500)).1, [(60_001, 60_500)]);
        let between = span(Some(60_001), Some(120_500));
        assert_eq!(between, ((1, 0), vec![(60_001, 120_500)]));
    }
}
