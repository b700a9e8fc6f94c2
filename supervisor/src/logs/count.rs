//! What lines are counted by.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::types::ValueRef;
use serde::{Deserialize, Serialize};

use super::LogError;
use super::expr::{Field, Sql, Subject};
use super::record::Level;

/// Most values that are shown.
const MOST: usize = 50;

/// How many lines have a value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Count {
    /// The value; nothing for lines that have none.
    pub value: Option<String>,
    /// Lines.
    pub count: u64,
    /// Share of all lines that were counted, from 0 to 1.
    pub share: f64,
}

/// What lines are counted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CountBy {
    Field(Field),
    /// Spans of time, in milliseconds, from the epoch on.
    Every(i64),
}

impl CountBy {
    pub(super) fn parse(name: &str) -> Result<Self, LogError> {
        let by = match name.to_ascii_lowercase().as_str() {
            "minute" => CountBy::Every(60_000),
            "hour" => CountBy::Every(3_600_000),
            "day" => CountBy::Every(86_400_000),
            _ => {
                let begins =
                    name.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '@'));
                let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '@' | '.' | '-');
                if !begins || !name.chars().all(word) || name.len() > 256 {
                    return Err(LogError::CountBy(name.to_owned()));
                }
                CountBy::Field(Field::of_name(name))
            }
        };
        Ok(by)
    }

    /// Lines themselves are needed: the index does not hold it.
    pub(super) fn needs_text(&self) -> bool {
        matches!(self, CountBy::Field(Field::Message | Field::Named(_)))
    }

    pub(super) fn sql(&self) -> Sql {
        let mut sql = Sql::default();
        match self {
            CountBy::Field(field) => sql.field(field),
            CountBy::Every(ms) => sql.push(&format!("r.ts / {ms}")),
        }
        sql
    }

    /// The value of a row, as it is shown.
    pub(super) fn value_of(&self, value: ValueRef<'_>) -> Option<String> {
        match (self, value) {
            (_, ValueRef::Null | ValueRef::Blob(_)) => None,
            (CountBy::Every(ms), ValueRef::Integer(span)) => Some(span_text(span, *ms)),
            (CountBy::Field(Field::Level), ValueRef::Integer(rank)) => {
                Level::of_rank(rank).map(|level| level.as_str().to_owned())
            }
            (CountBy::Field(Field::Ts), ValueRef::Integer(ms)) => Some(time_text(ms)),
            (_, ValueRef::Integer(number)) => Some(number.to_string()),
            (_, ValueRef::Real(number)) => Some(number.to_string()),
            (_, ValueRef::Text(text)) => Some(String::from_utf8_lossy(text).into_owned()),
        }
    }

    /// The value of a line.
    pub(super) fn value_in(&self, line: &Subject<'_>) -> Option<String> {
        match self {
            CountBy::Every(ms) => Some(span_text(line.ts_ms.div_euclid(*ms), *ms)),
            CountBy::Field(Field::Ts) => Some(time_text(line.ts_ms)),
            CountBy::Field(field) => line.text(field).map(|text| text.into_owned()),
        }
    }
}

fn time_text(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string())
}

/// The beginning of a span: `2026-03-28T14:00Z`, or the day alone.
fn span_text(span: i64, ms: i64) -> String {
    let Ok(time) = Timestamp::from_millisecond(span.saturating_mul(ms)) else {
        return span.to_string();
    };
    let form = if ms == 86_400_000 {
        "%Y-%m-%d"
    } else {
        "%Y-%m-%dT%H:%MZ"
    };
    time.strftime(form).to_string()
}

/// Counts, on their way to being shown.
#[derive(Debug, Default)]
pub(super) struct Counts(HashMap<Option<String>, u64>);

impl Counts {
    pub(super) fn add(&mut self, value: Option<String>, count: u64) {
        *self.0.entry(value).or_default() += count;
    }

    /// The most frequent first.
    pub(super) fn sorted(self) -> Vec<Count> {
        let total: u64 = self.0.values().sum();
        let mut counts: Vec<Count> = self
            .0
            .into_iter()
            .map(|(value, count)| Count {
                value,
                count,
                share: count as f64 / total.max(1) as f64,
            })
            .collect();
        counts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.value.cmp(&b.value)));
        counts.truncate(MOST);
        counts
    }
}
