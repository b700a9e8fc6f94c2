//! Questions for numbers: how many lines there are of each value, and of each template.
//!
//! What depends on nothing but process, instance, stream, level and time is asked of the counts
//! per minute, and of lines only for what is no whole minute at both ends of the time.

use std::collections::HashMap;

use rusqlite::params_from_iter;

use super::{Ask, Lookup};
use crate::logs::count::CountBy;
use crate::logs::expr::{Expr, Field, Param, Sql};
use crate::logs::index::minutes::AS_ROWS;
use crate::templates::{Template, TemplateId};

/// A template of a process, as the index knows it.
#[derive(Debug, Clone)]
pub(in crate::logs) struct Known {
    pub(in crate::logs) process: String,
    pub(in crate::logs) template: Template,
    pub(in crate::logs) first_ms: i64,
    pub(in crate::logs) last_ms: i64,
}

/// How many lines of a template came in a minute.
#[derive(Debug, Clone, Copy)]
pub(in crate::logs) struct Minute {
    /// Its place among the known ones.
    pub(in crate::logs) known: usize,
    pub(in crate::logs) ts_ms: i64,
    pub(in crate::logs) count: u64,
}

/// Counts per minute know all that this condition asks.
pub(in crate::logs) fn is_of_kinds(expr: &Expr) -> bool {
    let known = |field: &Field| {
        matches!(
            field,
            Field::Process | Field::Instance | Field::Stream | Field::Level
        )
    };
    match expr {
        Expr::And(parts) | Expr::Or(parts) => parts.iter().all(is_of_kinds),
        Expr::Not(inner) => is_of_kinds(inner),
        Expr::Compare(field, ..)
        | Expr::In(field, _)
        | Expr::Like(field, _)
        | Expr::IsNull(field)
        | Expr::Between(field, ..) => known(field),
        Expr::Matches(..) => false,
    }
}

impl Lookup {
    /// How often each value occurs. `of_kinds`: the conditions are all such that the counts per
    /// minute know, see [`is_of_kinds`].
    pub(in crate::logs) fn counts(
        &self,
        ask: &Ask,
        by: &CountBy,
        of_kinds: bool,
    ) -> Result<Vec<(Option<String>, u64)>, rusqlite::Error> {
        let by_kind = match by {
            CountBy::Every(ms) => ms % 60_000 == 0,
            CountBy::Field(field) => matches!(
                field,
                Field::Process | Field::Instance | Field::Stream | Field::Level
            ),
        };
        let mut counts = Vec::new();
        if !of_kinds || !by_kind || ask.words.is_some() {
            self.count_lines(ask, by, &mut counts)?;
            return Ok(counts);
        }
        let span = ask.span();
        let mut what = by.sql();
        what.text.push_str(" AS value, sum(r.n)");
        let tables =
            format!(" FROM {AS_ROWS} r CROSS JOIN streams s ON s.id = r.stream WHERE true");
        let mut sql = Sql::default();
        sql.push(&what.text);
        sql.push(&tables);
        sql.params.extend(what.params);
        sql.params.push(Param::Whole(span.minutes.0));
        sql.params.push(Param::Whole(span.minutes.1));
        self.narrow(ask, &mut sql);
        self.numbers(&sql, by, &mut counts)?;
        for (since, until) in &span.edges {
            let edge = ask.between(*since, *until);
            self.count_lines(&edge, by, &mut counts)?;
        }
        Ok(counts)
    }

    fn count_lines(
        &self,
        ask: &Ask,
        by: &CountBy,
        counts: &mut Vec<(Option<String>, u64)>,
    ) -> Result<(), rusqlite::Error> {
        let mut sql = by.sql();
        sql.push(" AS value, count(*)");
        self.select(ask, &mut sql)?;
        self.numbers(&sql, by, counts)
    }

    fn numbers(
        &self,
        sql: &Sql,
        by: &CountBy,
        counts: &mut Vec<(Option<String>, u64)>,
    ) -> Result<(), rusqlite::Error> {
        let text = format!("SELECT {} GROUP BY value", sql.text);
        let mut statement = self.db.prepare(&text)?;
        let mut rows = statement.query(params_from_iter(&sql.params))?;
        while let Some(row) = rows.next()? {
            let count: i64 = row.get(1)?;
            counts.push((by.value_of(row.get_ref(0)?), count.max(0) as u64));
        }
        Ok(())
    }

    /// The templates that are known.
    pub(in crate::logs) fn templates(&self) -> Result<Vec<(i64, Known)>, rusqlite::Error> {
        let mut statement = self.db.prepare(
            "SELECT number, process, id, pattern, count, first, last FROM templates \
             WHERE joined IS NULL ORDER BY number",
        )?;
        let known = statement.query_map([], |row| {
            let count: i64 = row.get(4)?;
            let known = Known {
                process: row.get(1)?,
                template: Template {
                    id: TemplateId::from_i64(row.get(2)?),
                    pattern: row.get(3)?,
                    count: count.max(0) as u64,
                },
                first_ms: row.get(5)?,
                last_ms: row.get(6)?,
            };
            Ok((row.get(0)?, known))
        })?;
        known.collect()
    }

    /// Templates that have become another one.
    fn joined(&self) -> Result<HashMap<i64, i64>, rusqlite::Error> {
        let mut statement = self
            .db
            .prepare("SELECT number, joined FROM templates WHERE joined IS NOT NULL")?;
        let joined = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        joined.collect()
    }

    /// How many lines of each of these templates there are, per minute.
    pub(in crate::logs) fn template_counts(
        &self,
        ask: &Ask,
        known: &[(i64, Known)],
        mut take: impl FnMut(Minute),
    ) -> Result<(), rusqlite::Error> {
        let span = ask.span();
        let mut whole = Sql::default();
        whole.push("r.template, r.ts, sum(r.n) FROM ");
        whole.push(AS_ROWS);
        whole.push(" r CROSS JOIN streams s ON s.id = r.stream WHERE true");
        whole.params.push(Param::Whole(span.minutes.0));
        whole.params.push(Param::Whole(span.minutes.1));
        self.narrow(ask, &mut whole);
        self.template_numbers(&whole, |number| number, known, &mut take)?;
        if span.edges.is_empty() {
            return Ok(());
        }
        // Lines name the template they had when they came; the counts have moved with it.
        let joined = self.joined()?;
        for (since, until) in &span.edges {
            let mut edge = Sql::default();
            edge.push("r.template, r.ts / 60000 * 60000, count(*)");
            self.select(&ask.between(*since, *until), &mut edge)?;
            let now = |number| joined.get(&number).copied().unwrap_or(number);
            self.template_numbers(&edge, now, known, &mut take)?;
        }
        Ok(())
    }

    fn template_numbers(
        &self,
        sql: &Sql,
        now: impl Fn(i64) -> i64,
        known: &[(i64, Known)],
        take: &mut impl FnMut(Minute),
    ) -> Result<(), rusqlite::Error> {
        let mut statement = self
            .db
            .prepare(&format!("SELECT {} GROUP BY 1, 2", sql.text))?;
        let mut rows = statement.query(params_from_iter(&sql.params))?;
        while let Some(row) = rows.next()? {
            let (number, ts_ms, count): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let place = known.binary_search_by_key(&now(number), |(number, _)| *number);
            if let Ok(known) = place {
                take(Minute {
                    known,
                    ts_ms,
                    count: count.max(0) as u64,
                });
            }
        }
        Ok(())
    }
}
