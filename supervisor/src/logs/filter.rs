//! All that a query asks of a line: pattern, condition and words, combined with AND.

use std::io;
use std::ops::Range;

use super::expr::{Expr, Subject};
use super::line::{self, Matcher};
use super::reader::StreamReader;
use super::search::Search;
use super::{LogError, LogQuery, record};
use crate::ids::InstanceId;
use crate::paths::Stream;

/// The conditions of a query.
#[derive(Debug, Default)]
pub(super) struct Filter {
    pub(super) grep: Option<Matcher>,
    pub(super) search: Option<Search>,
    /// All of them have to hold.
    pub(super) exprs: Vec<Expr>,
}

impl Filter {
    /// The filter of a query.
    pub(super) fn new(query: &LogQuery, now_ms: i64) -> Result<Self, LogError> {
        let grep = query.grep.as_deref().map(Matcher::new).transpose();
        let grep = grep.map_err(|error| LogError::Pattern {
            pattern: query.grep.clone().unwrap_or_default(),
            source: Box::new(error),
        })?;
        let mut exprs: Vec<Expr> = query.level.map(Expr::at_least).into_iter().collect();
        if let Some(text) = &query.condition {
            exprs.extend(Expr::parse(text, now_ms)?.conjuncts());
        }
        let search = query.search.as_deref().map(Search::new).transpose();
        Ok(Self {
            grep,
            search: search.map_err(|error| LogError::Search(Box::new(error)))?,
            exprs,
        })
    }

    /// Every line passes.
    pub(super) fn is_empty(&self) -> bool {
        self.grep.is_none() && self.search.is_none() && self.exprs.is_empty()
    }

    /// The filter for the lines of one stream.
    pub(super) fn of<'a>(&'a self, instance: &'a InstanceId, stream: Stream) -> Sieve<'a> {
        Sieve {
            filter: self,
            instance,
            stream,
        }
    }
}

/// A [`Filter`] that knows whose lines it sees.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sieve<'a> {
    filter: &'a Filter,
    instance: &'a InstanceId,
    stream: Stream,
}

impl Sieve<'_> {
    /// The lines among `bytes` that pass; they begin at `start` of the stream.
    pub(super) fn split(
        &self,
        reader: &mut StreamReader,
        start: u64,
        bytes: &[u8],
        cuts: &[usize],
    ) -> io::Result<Vec<Range<usize>>> {
        let lines = line::split(bytes, cuts, self.filter.grep.as_ref());
        if self.filter.search.is_none() && self.filter.exprs.is_empty() {
            return Ok(lines);
        }
        self.keep(reader, start, bytes, lines)
    }

    /// Does this line pass?
    pub(super) fn passes(
        &self,
        reader: &mut StreamReader,
        start: u64,
        line: &[u8],
    ) -> io::Result<bool> {
        if self.filter.is_empty() {
            return Ok(true);
        }
        let grep = self.filter.grep.as_ref();
        if grep.is_some_and(|grep| !grep.matches(line)) {
            return Ok(false);
        }
        let whole = 0..line.len();
        Ok(!self.keep(reader, start, line, vec![whole])?.is_empty())
    }

    /// The level and the conditions only.
    pub(super) fn holds(&self, ts_ms: i64, record: &record::Record<'_>) -> bool {
        let subject = Subject {
            ts_ms,
            process: self.instance.process.as_str(),
            instance: self.instance.index,
            stream: self.stream,
            level: record.severity(self.stream),
            record,
        };
        self.filter.exprs.iter().all(|expr| expr.holds(&subject))
    }

    fn keep(
        &self,
        reader: &mut StreamReader,
        start: u64,
        bytes: &[u8],
        lines: Vec<Range<usize>>,
    ) -> io::Result<Vec<Range<usize>>> {
        let search = self.filter.search.as_ref();
        let mut kept = Vec::new();
        let mut texts: Vec<String> = Vec::new();
        for range in lines {
            let raw = &bytes[range.clone()];
            if search.is_some_and(|search| !search.may_match(raw)) {
                continue;
            }
            let text = line::shown(raw);
            let record = record::parse(&text);
            if !self.filter.exprs.is_empty() {
                let came = reader.record_at(start + range.start as u64)?;
                if !self.holds(came.ts_ms, &record) {
                    continue;
                }
            }
            if search.is_some() {
                texts.push(record.search_text().into_owned());
            }
            kept.push(range);
        }
        if let Some(search) = search {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let scores = search.scores(&texts).map_err(io::Error::other)?;
            let mut scores = scores.into_iter();
            kept.retain(|_| scores.next().flatten().is_some());
        }
        Ok(kept)
    }
}
