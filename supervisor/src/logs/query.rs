//! Questions about kept lines, over any number of streams.
//!
//! Without `after`: the last lines of the selection, read backwards from the end. With
//! `after`: the first lines after that place, so that a follower that asks again with `next`
//! sees every line once, whatever the size of a page. Lines of different streams are merged by
//! time, then sequence number.

use std::collections::BinaryHeap;
use std::io;

use jiff::Timestamp;

use super::cursor::{self, Cursor, Key, Place};
use super::line::{self, Matcher};
use super::names::Names;
use super::reader::StreamReader;
use super::scan::{Backward, Forward, Line, Span};
use super::{LogError, LogLine, LogPage, LogQuery, Source};
use crate::clock::Clock;
use crate::ids::InstanceId;
use crate::paths::{Paths, Stream};

/// Answers a query. Reads files: call it where blocking is fine.
///
/// # Errors
/// When the pattern or the cursor is not one, or a segment cannot be read.
pub fn query(paths: &Paths, sources: &[Source], query: &LogQuery) -> Result<LogPage, LogError> {
    let now_ms = Clock::system().now().as_millisecond();
    let matcher = query.grep.as_deref().map(Matcher::new).transpose();
    let matcher = matcher.map_err(|error| LogError::Pattern {
        pattern: query.grep.clone().unwrap_or_default(),
        source: Box::new(error),
    })?;
    let after = query.after.as_deref().map(cursor::parse).transpose()?;
    let failed = |source| LogError::Read {
        folder: paths.logs(),
        source,
    };
    let mut tracks = Vec::new();
    for source in sources {
        for stream in &source.streams {
            if query.stream.is_none_or(|only| only == *stream) {
                tracks.extend(Track::open(source, *stream, query, now_ms).map_err(failed)?);
            }
        }
    }
    let mut search = Search {
        tracks,
        matcher,
        lines: query.lines,
        // Without a pattern every line is a hit and nothing is around it.
        context: query.grep.as_ref().map_or(0, |_| query.context),
        now_ms,
    };
    match after {
        None => search.last_page(),
        Some(cursor) => search.page_after(&cursor),
    }
    .map_err(failed)
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
}

/// A line with its place in the order.
struct Found {
    key: Key,
    track: usize,
    line: Line,
    context: bool,
}

struct Search {
    tracks: Vec<Track>,
    matcher: Option<Matcher>,
    lines: usize,
    context: usize,
    now_ms: i64,
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
        }))
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
    fn matcher_of(&self) -> Option<&Matcher> {
        self.matcher.as_ref()
    }

    fn last_page(&mut self) -> io::Result<LogPage> {
        let mut scans: Vec<Backward> = self
            .tracks
            .iter()
            .map(|track| Backward::new(track.low, track.high))
            .collect();
        let mut heads: Vec<Option<Line>> = Vec::new();
        let mut heap = BinaryHeap::new();
        let matcher = self.matcher.as_ref();
        for (place, (track, scan)) in self.tracks.iter_mut().zip(&mut scans).enumerate() {
            let head = scan.next(&mut track.reader, matcher)?;
            if let Some(line) = &head {
                heap.push((track.key(line.span)?, place));
            }
            heads.push(head);
        }
        let mut found: Vec<Found> = Vec::new();
        while found.len() < self.lines
            && let Some((key, place)) = heap.pop()
        {
            let track = &mut self.tracks[place];
            let head = scans[place].next(&mut track.reader, self.matcher.as_ref())?;
            if let Some(line) = &head {
                heap.push((track.key(line.span)?, place));
            }
            if let Some(line) = std::mem::replace(&mut heads[place], head) {
                found.push(Found {
                    key,
                    track: place,
                    line,
                    context: false,
                });
            }
        }
        let mut places: Vec<Place> = self
            .tracks
            .iter()
            .map(|track| track.place(track.visible))
            .collect();
        if self.context > 0 {
            for (track, place) in places.iter_mut().enumerate() {
                self.surround(track, &mut found, place)?;
            }
        }
        Ok(self.page(found, &places))
    }

    /// Adds the lines around the hits of one stream.
    fn surround(
        &mut self,
        place: usize,
        found: &mut Vec<Found>,
        next: &mut Place,
    ) -> io::Result<()> {
        let mut hits: Vec<Span> = found
            .iter()
            .filter(|hit| hit.track == place)
            .map(|hit| hit.line.span)
            .collect();
        hits.sort_by_key(|span| span.start);
        let context = self.context;
        let track = &mut self.tracks[place];
        let mut shown = 0;
        for (at, hit) in hits.iter().enumerate() {
            let mut around = before(&mut track.reader, shown, hit.start, context)?;
            shown = hit.end;
            let limit = hits.get(at + 1).map_or(track.visible, |hit| hit.start);
            let mut forward = Forward::new(hit.end, limit);
            let mut missing = context;
            while missing > 0
                && let Some(line) = forward.next(&mut track.reader, None)?
            {
                shown = line.span.end;
                around.push(line);
                missing -= 1;
            }
            if at + 1 == hits.len() && shown >= track.visible {
                next.pending = missing;
            }
            for line in around {
                found.push(Found {
                    key: track.key(line.span)?,
                    track: place,
                    line,
                    context: true,
                });
            }
        }
        next.unseen = next.offset.saturating_sub(shown);
        Ok(())
    }

    fn page_after(&mut self, cursor: &Cursor) -> io::Result<LogPage> {
        let mut walks = Vec::new();
        let mut heap = BinaryHeap::new();
        let matcher = self.matcher.as_ref();
        for (place, track) in self.tracks.iter_mut().enumerate() {
            let from = track.resume(cursor)?;
            let mut walk = Walk::new(track, from, self.context);
            walk.advance(track, matcher)?;
            if let Some(head) = &walk.head {
                heap.push(std::cmp::Reverse((head.0, place)));
            }
            walks.push(walk);
        }
        let mut found = Vec::new();
        let mut hits = 0;
        while hits < self.lines.max(1)
            && let Some(std::cmp::Reverse((_, place))) = heap.pop()
        {
            let (walk, track) = (&mut walks[place], &mut self.tracks[place]);
            let Some((key, line, context)) = walk.head.take() else {
                continue;
            };
            hits += usize::from(!context);
            walk.take(track, key, line, context, place, &mut found)?;
            walk.advance(track, self.matcher.as_ref())?;
            if let Some(head) = &walk.head {
                heap.push(std::cmp::Reverse((head.0, place)));
            }
        }
        let places: Vec<Place> = walks
            .into_iter()
            .zip(&self.tracks)
            .map(|(walk, track)| walk.place(track))
            .collect();
        Ok(self.page(found, &places))
    }

    fn page(&self, mut found: Vec<Found>, places: &[Place]) -> LogPage {
        found.sort_by_key(|found| found.key);
        let lines = found.into_iter().map(|found| self.log_line(found));
        LogPage {
            lines: lines.collect(),
            next: cursor::places(self.now_ms, places),
        }
    }

    fn log_line(&self, found: Found) -> LogLine {
        let Found {
            key,
            track,
            line,
            context,
        } = found;
        let track = &self.tracks[track];
        let (message, truncated) = line::message(&line.bytes);
        let Span { start, end } = line.span;
        let length = end - start;
        // Only the last line of a stream can go on later.
        let last = end == track.reader.end();
        let unfinished = last && (truncated || line.bytes.last() != Some(&b'\n'));
        LogLine {
            id: key.id(unfinished.then_some(length)),
            ts: Timestamp::from_millisecond(key.ts_ms).unwrap_or(Timestamp::UNIX_EPOCH),
            process: track.instance.process.clone(),
            instance: track.instance.index,
            stream: track.stream,
            message,
            truncated,
            context: context && self.matcher_of().is_some(),
        }
    }
}

/// Up to `count` lines before `end`, oldest first, none of which begins before `low`.
fn before(reader: &mut StreamReader, low: u64, end: u64, count: usize) -> io::Result<Vec<Line>> {
    let mut backward = Backward::new(low, end);
    let mut lines = Vec::new();
    while lines.len() < count
        && let Some(line) = backward.next(reader, None)?
    {
        lines.push(line);
    }
    lines.reverse();
    Ok(lines)
}

/// A follower's way through one stream.
struct Walk {
    forward: Forward,
    /// The next line that will be shown, and whether it is context only.
    head: Option<(Key, Line, bool)>,
    /// After the last line that was looked at.
    at: u64,
    /// After the last line that was shown.
    shown: u64,
    pending: usize,
    /// Lines are taken one by one at the moment.
    near: bool,
    context: usize,
    to: u64,
    from: Place,
}

impl Walk {
    fn new(track: &Track, from: Place, context: usize) -> Self {
        let at = from.offset.max(track.low);
        let to = track.high.max(at);
        Self {
            forward: Forward::new(at, to),
            head: None,
            at,
            shown: at.saturating_sub(from.unseen),
            pending: from.pending.min(context),
            near: false,
            context,
            to,
            from,
        }
    }

    /// Finds the next line to show.
    fn advance(&mut self, track: &mut Track, matcher: Option<&Matcher>) -> io::Result<()> {
        let near = self.pending > 0 && matcher.is_some();
        // Lines that are shown in any case are taken one by one; else the next hit is searched.
        let filter = if near { None } else { matcher };
        if near != self.near {
            // What it has read ahead was chosen by the other rule.
            self.near = near;
            self.forward = Forward::new(self.at, self.to);
        }
        self.head = match self.forward.next(&mut track.reader, filter)? {
            Some(line) => {
                let hit = matcher.is_none_or(|matcher| matcher.matches(&line.bytes));
                Some((track.key(line.span)?, line, !hit))
            }
            None => None,
        };
        if self.head.is_none() {
            self.at = self.to;
        }
        Ok(())
    }

    /// Shows the head.
    fn take(
        &mut self,
        track: &mut Track,
        key: Key,
        line: Line,
        context: bool,
        place: usize,
        found: &mut Vec<Found>,
    ) -> io::Result<()> {
        let span = line.span;
        if context {
            self.pending -= 1;
        } else if self.context > 0 {
            for line in before(&mut track.reader, self.shown, span.start, self.context)? {
                found.push(Found {
                    key: track.key(line.span)?,
                    track: place,
                    line,
                    context: true,
                });
            }
            self.pending = self.context;
        }
        found.push(Found {
            key,
            track: place,
            line,
            context,
        });
        self.at = span.end;
        self.shown = span.end;
        Ok(())
    }

    fn place(self, track: &Track) -> Place {
        let offset = match &self.head {
            Some((_, line, _)) => line.span.start,
            None => self.at,
        };
        let context = self.context > 0;
        Place {
            offset,
            pending: if context { self.pending } else { 0 },
            unseen: if context {
                offset.saturating_sub(self.shown)
            } else {
                0
            },
            ..track.place(offset.max(self.from.offset))
        }
    }
}
