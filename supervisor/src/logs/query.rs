//! Questions about kept lines, over any number of streams.
//!
//! Without `after`: the last lines of the selection, read backwards from the end. With
//! `after`: the first lines after that place, so that a follower that asks again with `next`
//! sees every line once, whatever the size of a page. Lines of different streams are merged by
//! time, then sequence number.
//!
//! Words and conditions are asked of the index as far as it goes, and of the lines themselves
//! beyond that, so that an answer is over all kept lines at any moment.

mod after;
mod context;
mod indexed;
mod lost;
mod templates;

use std::collections::BinaryHeap;
use std::io;
use std::path::PathBuf;

use jiff::Timestamp;

use super::count::CountBy;
use super::cursor::{self, Cursor, Key, Place};
use super::filter::Filter;
use super::index::lookup::{Indexed, Lookup, trouble};
use super::line;
use super::missing::Hole;
use super::names::Names;
use super::reader::StreamReader;
use super::scan::{Backward, Line, Span};
use super::{LogError, LogLine, LogPage, LogQuery, Source};
use crate::clock::Clock;
use crate::ids::InstanceId;
use crate::paths::{Paths, Stream};
use indexed::IndexError;

/// Bytes of lines in one answer, with what each line costs beside its text: some 200,000 short
/// lines. Whoever wants more asks again.
const ROOM: usize = 48 << 20;
/// What a line costs beside its text while an answer is put together.
const LINE_COST: usize = 128;
/// The best lines are looked for among so many of the newest that match.
const RATED: usize = 5_000;
/// Most lines around a hit.
pub const MOST_CONTEXT: usize = 1_000;

/// Counts what an answer has room for, with the lines around its hits.
#[derive(Debug, Default)]
struct Room {
    used: usize,
}

impl Room {
    /// Takes a line; false when it was the last one.
    fn takes(&mut self, line: &Line) -> bool {
        self.used += line.bytes.len() + LINE_COST;
        !self.is_full()
    }

    fn is_full(&self) -> bool {
        self.used >= ROOM
    }
}

/// Answers a query. Reads files: call it where blocking is fine.
///
/// # Errors
/// When the pattern or the cursor is not one, or a segment cannot be read.
pub fn query(paths: &Paths, sources: &[Source], query: &LogQuery) -> Result<LogPage, LogError> {
    let now_ms = Clock::system().now().as_millisecond();
    let filter = Filter::new(query, now_ms)?;
    let by = query.count_by.as_deref().map(CountBy::parse).transpose()?;
    let after = query.after.as_deref().map(cursor::parse).transpose()?;
    let failed = |source| LogError::Read {
        folder: paths.logs(),
        source,
    };
    // Before the streams are opened, so that no line is in neither.
    let asks_index =
        after.is_none() && (query.templates || indexed::is_worth_asking(&filter, by.as_ref()));
    let lookup = asks_index.then(|| Lookup::open(&paths.logs())).flatten();
    let mut tracks = Vec::new();
    for source in sources {
        for stream in &source.streams {
            if query.stream.is_none_or(|only| only == *stream) {
                tracks.extend(Track::open(source, *stream, query, now_ms).map_err(failed)?);
            }
        }
    }
    if after.is_none() {
        lost::find_holes(&paths.logs(), &mut tracks).map_err(failed)?;
    }
    let mut search = Search {
        tracks,
        // Without a filter every line is a hit and nothing is around it.
        context: match filter.is_empty() {
            true => 0,
            false => query.context.min(MOST_CONTEXT),
        },
        filter,
        folder: paths.logs(),
        lines: query.lines,
        since_ms: query.since.map(Timestamp::as_millisecond),
        until_ms: query.until.map(Timestamp::as_millisecond),
        best: query.rank && query.search.is_some(),
        now_ms,
    };
    let page = match (by, after) {
        _ if query.templates => search.templates(lookup.as_ref()),
        (Some(by), None) => search.counted(&by, lookup.as_ref()),
        (_, Some(cursor)) => search.page_after(&cursor),
        (None, None) => search.last_page(lookup.as_ref()),
    };
    page.map_err(failed)
}

/// One stream of the selection.
struct Track {
    instance: InstanceId,
    stream: Stream,
    reader: StreamReader,
    /// Line starts are in `low..high`.
    low: u64,
    high: u64,
    /// Up to where a follower has seen it then.
    visible: u64,
    /// What is missing of it.
    holes: Vec<Hole>,
}

/// A line with its place in the order.
struct Found {
    key: Key,
    track: usize,
    line: Line,
    context: bool,
    /// Less is better.
    score: f64,
}

struct Search {
    tracks: Vec<Track>,
    filter: Filter,
    folder: PathBuf,
    lines: usize,
    context: usize,
    since_ms: Option<i64>,
    until_ms: Option<i64>,
    /// The best hits instead of the newest.
    best: bool,
    now_ms: i64,
}

/// Hits, newest first or nearly so.
#[derive(Default)]
struct Hits {
    found: Vec<Found>,
    /// There was no room for more: older ones were not looked at.
    from: Option<Key>,
}

impl Found {
    fn hit(key: Key, track: usize, line: Line) -> Self {
        Self {
            key,
            track,
            line,
            context: false,
            score: 0.0,
        }
    }

    fn around(key: Key, track: usize, line: Line) -> Self {
        Self {
            context: true,
            ..Self::hit(key, track, line)
        }
    }
}

impl Track {
    fn open(
        source: &Source,
        stream: Stream,
        query: &LogQuery,
        now_ms: i64,
    ) -> io::Result<Option<Self>> {
        let names = Names::new(&source.folder, &source.instance, stream);
        let Some(mut reader) = StreamReader::open(names)? else {
            return Ok(None);
        };
        let visible = reader.visible_end(now_ms)?;
        let low = match query.since {
            Some(since) => {
                // Times of lines are cut to milliseconds, so this one is too.
                let offset = reader.offset_of_time(since.as_millisecond())?;
                reader.line_start_from(offset)?
            }
            None => 0,
        };
        let high = match query.until {
            Some(until) => {
                let after = until.as_millisecond().saturating_add(1);
                let offset = reader.offset_of_time(after)?;
                reader.line_start_from(offset)?.min(visible)
            }
            None => visible,
        };
        Ok(Some(Self {
            instance: source.instance.clone(),
            stream,
            reader,
            low,
            high,
            visible,
            holes: Vec::new(),
        }))
    }

    /// What the index has of it; nothing of another stream that had its name.
    fn indexed(&self, lookup: &Lookup) -> Option<Indexed> {
        let known = lookup.streams.get(self.reader.stem())?;
        (known.epoch == self.reader.epoch() && known.done <= self.reader.end()).then_some(*known)
    }

    /// The next older line that passes.
    fn older_hit(&mut self, scan: &mut Backward, filter: &Filter) -> io::Result<Option<Line>> {
        let sieve = filter.of(&self.instance, self.stream);
        scan.next(&mut self.reader, (!filter.is_empty()).then_some(&sieve))
    }

    fn key(&mut self, span: Span) -> io::Result<Key> {
        let record = self.reader.record_at(span.start)?;
        Ok(Key {
            ts_ms: record.ts_ms,
            seq: record.seq,
            delta: span.start.saturating_sub(record.offset),
        })
    }

    fn place(&self, offset: u64) -> Place {
        Place {
            stem: self.reader.stem().to_owned(),
            epoch: self.reader.epoch(),
            offset,
            pending: 0,
            unseen: 0,
        }
    }

    /// Where a follower with this cursor goes on.
    fn resume(&mut self, cursor: &Cursor) -> io::Result<Place> {
        match cursor {
            Cursor::Places(time, places) => {
                let stem = self.reader.stem();
                match places.iter().find(|place| place.stem == stem) {
                    Some(place) if place.epoch == self.reader.epoch() => Ok(Place {
                        // It may have been flushed, or rotated away.
                        offset: place.offset.min(self.reader.end()),
                        ..place.clone()
                    }),
                    // Deleted and made anew: all of it is new.
                    Some(_) => Ok(self.place(0)),
                    None => {
                        let offset = self.reader.offset_of_time(*time)?;
                        let start = self.reader.line_start_from(offset)?;
                        Ok(self.place(start))
                    }
                }
            }
            Cursor::Line(key, partial) => {
                let Some(record) = self.reader.record_of(key.ts_ms, key.seq)? else {
                    let at = (key.ts_ms, key.seq);
                    let after = self
                        .reader
                        .offset_where(|record| (record.ts_ms, record.seq) <= at)?;
                    let start = self.reader.line_start_from(after)?;
                    return Ok(self.place(start));
                };
                let start = record.offset.saturating_add(key.delta);
                let end = match partial {
                    Some(length) => start.saturating_add(*length),
                    None => self.reader.line_start_from(start.saturating_add(1))?,
                };
                Ok(self.place(end.min(self.reader.end())))
            }
        }
    }
}

impl Search {
    fn last_page(&mut self, lookup: Option<&Lookup>) -> io::Result<LogPage> {
        let lows: Vec<u64> = self.tracks.iter().map(|track| track.low).collect();
        let mut found = None;
        if let Some(lookup) = lookup {
            // What the index has need not be scanned.
            for track in &mut self.tracks {
                track.low = track
                    .low
                    .max(track.indexed(lookup).map_or(0, |known| known.done));
            }
            match self.indexed_hits(lookup) {
                Ok(hits) => found = Some(hits),
                Err(IndexError::Sql(error)) => trouble(&self.folder, &error),
                Err(IndexError::Read(error)) => return Err(error),
            }
        }
        if found.is_none() {
            for (track, low) in self.tracks.iter_mut().zip(&lows) {
                track.low = *low;
            }
        }
        let found = found.unwrap_or_default();
        let scanned = self.scanned_hits()?;
        // Where one of both looked no further, older hits of the other would leave a gap.
        let from = found.from.max(scanned.from);
        let mut found: Vec<Found> = found.found.into_iter().chain(scanned.found).collect();
        found.retain(|found| from.is_none_or(|from| found.key >= from));
        for (track, low) in self.tracks.iter_mut().zip(lows) {
            track.low = low;
        }
        if self.best {
            self.rate(&mut found)?;
            found.sort_by(|a, b| a.score.total_cmp(&b.score).then(b.key.cmp(&a.key)));
        } else {
            found.sort_by_key(|found| std::cmp::Reverse(found.key));
        }
        found.truncate(self.lines);
        // For fewer lines than wanted, and for the best, all of it was looked through.
        let whole = self.best || from.is_none() && found.len() < self.lines;
        let oldest = found.iter().map(|found| found.key.ts_ms).min();
        let lost = self.lost(oldest.filter(|_| !whole))?;
        let mut places: Vec<Place> = self
            .tracks
            .iter()
            .map(|track| track.place(track.visible))
            .collect();
        let mut cut = from.is_some() && found.len() < self.lines;
        if self.context > 0 {
            let mut room = Room::default();
            for found in &found {
                room.takes(&found.line);
            }
            for (track, place) in places.iter_mut().enumerate() {
                self.surround(track, &mut found, place, &mut room)?;
            }
            cut |= room.is_full();
        }
        let page = self.page(found, &places);
        Ok(LogPage { cut, lost, ..page })
    }

    /// How many hits are enough, when the newest come first.
    fn wanted(&self) -> usize {
        if self.best {
            self.lines.max(RATED)
        } else {
            self.lines
        }
    }

    /// The newest lines that pass, newest first, read backwards.
    fn scanned_hits(&mut self) -> io::Result<Hits> {
        let most = self.wanted();
        let mut room = Room::default();
        let filter = &self.filter;
        let mut scans: Vec<Backward> = self
            .tracks
            .iter()
            .map(|track| Backward::new(track.low, track.high))
            .collect();
        let mut heads: Vec<Option<Line>> = Vec::new();
        let mut heap = BinaryHeap::new();
        let mut found: Vec<Found> = Vec::new();
        if most == 0 {
            return Ok(Hits::default());
        }
        for (place, (track, scan)) in self.tracks.iter_mut().zip(&mut scans).enumerate() {
            let head = track.older_hit(scan, filter)?;
            if let Some(line) = &head {
                heap.push((track.key(line.span)?, place));
            }
            heads.push(head);
        }
        while let Some((key, place)) = heap.pop() {
            if let Some(line) = heads[place].take() {
                let last = !room.takes(&line);
                found.push(Found::hit(key, place, line));
                if last {
                    let from = Some(key);
                    return Ok(Hits { found, from });
                }
            }
            if found.len() >= most {
                break;
            }
            let track = &mut self.tracks[place];
            heads[place] = track.older_hit(&mut scans[place], filter)?;
            if let Some(line) = &heads[place] {
                heap.push((track.key(line.span)?, place));
            }
        }
        Ok(Hits { found, from: None })
    }

    fn page(&mut self, mut found: Vec<Found>, places: &[Place]) -> LogPage {
        if !self.best {
            found.sort_by_key(|found| found.key);
        }
        let lines = found
            .into_iter()
            .map(|found| self.log_line(found))
            .collect();
        LogPage {
            lines,
            next: cursor::places(self.now_ms, places),
            cut: false,
            lost: Vec::new(),
            counts: None,
            templates: None,
        }
    }

    fn log_line(&mut self, found: Found) -> LogLine {
        let Found {
            key,
            track,
            line,
            context,
            score: _,
        } = found;
        let track = &mut self.tracks[track];
        let (message, truncated) = line::message(&line.bytes);
        let Span { start, end } = line.span;
        let length = end - start;
        // Only the last line of a stream can go on later.
        let last = end == track.reader.end();
        let open = last && line.bytes.last() != Some(&b'\n');
        let unfinished = open || last && truncated;
        // The last words of a program need no line end.
        let ended = open && track.reader.ends_at(end).unwrap_or(false);
        LogLine {
            id: key.id(unfinished.then_some(length)),
            ts: Timestamp::from_millisecond(key.ts_ms).unwrap_or(Timestamp::UNIX_EPOCH),
            process: track.instance.process.clone(),
            instance: track.instance.index,
            stream: track.stream,
            message,
            truncated,
            partial: open && !truncated && !ended,
            guessed: track
                .reader
                .record_at(start)
                .is_ok_and(|record| record.is_guessed()),
            context: context && !self.filter.is_empty(),
        }
    }
}

/// Up to `count` lines before `end`, as many as there is room for, oldest first, none of which
/// begins before `low`.
fn before(
    reader: &mut StreamReader,
    low: u64,
    end: u64,
    count: usize,
    room: &mut Room,
) -> io::Result<Vec<Line>> {
    let mut backward = Backward::new(low, end);
    let mut lines = Vec::new();
    while lines.len() < count
        && !room.is_full()
        && let Some(line) = backward.next(reader, None)?
    {
        room.takes(&line);
        lines.push(line);
    }
    lines.reverse();
    Ok(lines)
}
