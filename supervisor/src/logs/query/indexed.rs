//! Hits and counts from the index, completed by the lines it does not have.

use std::io;

use super::{Found, Hits, Room, Search, Track};
use crate::logs::LogPage;
use crate::logs::count::{CountBy, Counts};
use crate::logs::cursor;
use crate::logs::expr::{Expr, Field, Op, Subject};
use crate::logs::filter::Filter;
use crate::logs::index::lookup::{Ask, GRAVE, Hit, Lookup, trouble};
use crate::logs::line;
use crate::logs::record;
use crate::logs::scan::{Forward, Line, Span};

/// Why the index gave no answer.
pub(super) enum IndexError {
    /// Of the index: everything is scanned then.
    Sql(rusqlite::Error),
    /// Of a segment.
    Read(io::Error),
}

impl From<rusqlite::Error> for IndexError {
    fn from(error: rusqlite::Error) -> Self {
        IndexError::Sql(error)
    }
}

impl From<io::Error> for IndexError {
    fn from(error: io::Error) -> Self {
        IndexError::Read(error)
    }
}

/// The index knows a faster way than reading the lines.
pub(super) fn is_worth_asking(filter: &Filter, by: Option<&CountBy>) -> bool {
    let has_sql = filter.exprs.iter().any(|expr| expr.sql().is_some());
    let grave = filter.exprs.iter().filter_map(least_level).max() >= Some(GRAVE);
    let searches = filter
        .search
        .as_ref()
        .is_some_and(|search| search.query().is_none() || search.indexed().is_some());
    match by {
        // The text of each line has to be read in any case.
        Some(by) => !by.needs_text() && !needs_text(filter),
        // Few lines have to be read, or none.
        None => searches || grave || (has_sql && !needs_text(filter)),
    }
}

/// The index alone cannot tell whether a line passes.
fn needs_text(filter: &Filter) -> bool {
    let search = filter.search.as_ref();
    let searches = search.is_some_and(|search| {
        search.query().is_some() && !search.indexed().is_some_and(|indexed| indexed.exact)
    });
    searches || filter.grep.is_some() || !rest(filter).is_empty()
}

/// Conditions that only the lines themselves can answer.
fn rest(filter: &Filter) -> Vec<&Expr> {
    let unknown = |expr: &&Expr| expr.sql().is_none();
    filter.exprs.iter().filter(unknown).collect()
}

/// The least level that a condition lets through.
fn least_level(expr: &Expr) -> Option<u8> {
    let rank = |operand: &crate::logs::expr::Operand| operand.rank();
    match expr {
        Expr::Compare(Field::Level, Op::Equal | Op::AtLeast, value) => rank(value),
        Expr::Compare(Field::Level, Op::Greater, value) => rank(value).map(|rank| rank + 1),
        Expr::In(Field::Level, values) => values.iter().map(rank).min().flatten(),
        Expr::Between(Field::Level, low, _) => rank(low),
        _ => None,
    }
}

impl Search {
    pub(super) fn ask(&self, lookup: &Lookup) -> Ask {
        let streams = self.tracks.iter().filter_map(|track| track.indexed(lookup));
        let holes = self.tracks.iter().flat_map(|track| {
            let id = track.indexed(lookup).map(|known| known.id);
            let holes = track.holes.iter();
            holes.filter_map(move |hole| Some((id?, hole.from, hole.to)))
        });
        let search = self.filter.search.as_ref();
        Ask {
            words: search.and_then(|search| Some(search.indexed()?.query.clone())),
            conditions: self.filter.exprs.iter().filter_map(Expr::sql).collect(),
            least_level: self.filter.exprs.iter().filter_map(least_level).max(),
            streams: streams.map(|known| known.id).collect(),
            holes: holes.collect(),
            since_ms: self.since_ms,
            until_ms: self.until_ms,
        }
    }

    /// A search without any word finds nothing.
    fn finds_nothing(&self) -> bool {
        let search = self.filter.search.as_ref();
        search.is_some_and(|search| search.query().is_none())
    }

    /// The newest or best hits that the index has.
    pub(super) fn indexed_hits(&mut self, lookup: &Lookup) -> Result<Hits, IndexError> {
        let ask = self.ask(lookup);
        let mut found: Vec<Found> = Vec::new();
        if self.finds_nothing() || self.lines == 0 || ask.streams.is_empty() {
            return Ok(Hits::default());
        }
        let most = self.wanted().saturating_add(lookup.late());
        let mut room = Room::default();
        let mut full = false;
        let places: Vec<Option<i64>> = self
            .tracks
            .iter()
            .map(|track| track.indexed(lookup).map(|known| known.id))
            .collect();
        let (filter, tracks) = (&self.filter, &mut self.tracks);
        let needs_text = needs_text(filter);
        let mut failed = None;
        lookup.hits(&ask, |hit| {
            let Some(place) = places.iter().position(|id| *id == Some(hit.stream)) else {
                return true;
            };
            match tracks[place].take(hit, place, filter, needs_text) {
                Ok(Some(hit)) => {
                    full = !room.takes(&hit.line);
                    found.push(hit);
                }
                Ok(None) => {}
                Err(error) => {
                    failed = Some(error);
                    return false;
                }
            }
            found.len() < most && !full
        })?;
        if let Some(error) = failed {
            return Err(error.into());
        }
        if !full {
            return Ok(Hits { found, from: None });
        }
        // So many of those that were not looked at may be newer than some that were.
        found.sort_by_key(|found| std::cmp::Reverse(found.key));
        found.truncate(found.len().saturating_sub(lookup.late()).max(1));
        let from = found.last().map(|oldest| oldest.key);
        Ok(Hits { found, from })
    }

    /// How well the hits match.
    pub(super) fn rate(&self, found: &mut [Found]) -> io::Result<()> {
        let Some(search) = &self.filter.search else {
            return Ok(());
        };
        let lines: Vec<_> = found
            .iter()
            .map(|found| line::shown(&found.line.bytes))
            .collect();
        let records: Vec<_> = lines.iter().map(|line| record::parse(line)).collect();
        let texts: Vec<_> = records.iter().map(|record| record.search_text()).collect();
        let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        let scores = search.scores(&texts).map_err(io::Error::other)?;
        drop(records);
        for (found, score) in found.iter_mut().zip(scores) {
            found.score = score.unwrap_or(0.0);
        }
        Ok(())
    }

    /// How many lines pass, by value.
    pub(super) fn counted(&mut self, by: &CountBy, lookup: Option<&Lookup>) -> io::Result<LogPage> {
        let mut counts = Counts::default();
        let mut counted = false;
        if let Some(lookup) = lookup {
            let ask = self.ask(lookup);
            let nothing = self.finds_nothing() || ask.streams.is_empty();
            match if nothing {
                Ok(Vec::new())
            } else {
                lookup.counts(&ask, by, self.is_of_kinds())
            } {
                Ok(found) => {
                    counted = true;
                    for (value, count) in found {
                        counts.add(value, count);
                    }
                }
                Err(error) => trouble(&self.folder, &error),
            }
        }
        for track in &mut self.tracks {
            let known = lookup
                .filter(|_| counted)
                .and_then(|lookup| track.indexed(lookup));
            let low = track.low.max(known.map_or(0, |known| known.done));
            track.count(low, &self.filter, by, &mut counts)?;
        }
        let places: Vec<_> = self
            .tracks
            .iter()
            .map(|track| track.place(track.visible))
            .collect();
        Ok(LogPage {
            lines: Vec::new(),
            next: cursor::places(self.now_ms, &places),
            cut: false,
            lost: self.lost(None)?,
            counts: Some(counts.sorted()),
            templates: None,
        })
    }
}

impl Track {
    /// The line of a hit; nothing when it is gone, or when the rest of the filter refuses it.
    fn take(
        &mut self,
        hit: Hit,
        place: usize,
        filter: &Filter,
        needs_text: bool,
    ) -> io::Result<Option<Found>> {
        if self.reader.reach(hit.offset)? != hit.offset || hit.offset >= self.visible {
            return Ok(None);
        }
        let mut forward = Forward::one(hit.offset, self.visible);
        let Some(line) = forward.next(&mut self.reader, None)? else {
            return Ok(None);
        };
        if line.span.start != hit.offset {
            // Its level is not kept that long, and the index does not know yet.
            return Ok(None);
        }
        if needs_text && !self.rest_holds(hit.ts_ms, &line, filter)? {
            return Ok(None);
        }
        let key = self.key(line.span)?;
        Ok(Some(Found::hit(key, place, line)))
    }

    fn rest_holds(&self, ts_ms: i64, line: &Line, filter: &Filter) -> io::Result<bool> {
        let grep = filter.grep.as_ref();
        if grep.is_some_and(|grep| !grep.matches(&line.bytes)) {
            return Ok(false);
        }
        let text = line::shown(&line.bytes);
        let record = record::parse(&text);
        let sieve = filter.of(&self.instance, self.stream);
        if !sieve.holds(ts_ms, &record) {
            return Ok(false);
        }
        match &filter.search {
            Some(search) => search
                .matches(&record.search_text())
                .map_err(io::Error::other),
            None => Ok(true),
        }
    }

    /// Counts the lines from `low` on.
    fn count(
        &mut self,
        low: u64,
        filter: &Filter,
        by: &CountBy,
        counts: &mut Counts,
    ) -> io::Result<()> {
        let low = self.reader.reach(low)?;
        let mut forward = Forward::new(low, self.high.max(low));
        let sieve = filter.of(&self.instance, self.stream);
        let sieve = (!filter.is_empty()).then_some(sieve);
        while let Some(line) = forward.next(&mut self.reader, sieve.as_ref())? {
            let Span { start, .. } = line.span;
            if self.is_lost(start) {
                continue;
            }
            let ts_ms = self.reader.record_at(start)?.ts_ms;
            let text = line::shown(&line.bytes);
            let record = record::parse(&text);
            let subject = Subject {
                ts_ms,
                process: self.instance.process.as_str(),
                instance: self.instance.index,
                stream: self.stream,
                level: record.severity(self.stream),
                record: &record,
            };
            counts.add(by.value_in(&subject), 1);
        }
        Ok(())
    }
}
