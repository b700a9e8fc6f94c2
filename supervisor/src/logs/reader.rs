//! One stream as a reader sees it: all its segments as one run of bytes, with their times.
//!
//! A reader is a snapshot: it opens the files there are, and bytes that come later are for the
//! next one. Open files stay readable when they are sealed or deleted meanwhile. Older
//! segments are opened only when they are needed. What was lost of one is told in its place,
//! and the rest served. It is one piece because every question to it
//! is about the same list of open segments.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;

use memchr::{memchr, memrchr};

use super::lost;
use super::missing::Hole;
use super::names::Names;
use super::packed::{Bytes, damage};
use super::side::{Header, Index, Record};

/// How much is read at a time when only a line end is looked for.
const STEP: u64 = 16 << 10;

/// How old the last bytes are before an unfinished line counts as one.
pub(super) const PARTIAL_AFTER_MS: i64 = 1_000;

/// A stream, up to the end it had when it was opened. All offsets are logical.
#[derive(Debug)]
pub(super) struct StreamReader {
    names: Names,
    segments: VecDeque<Segment>,
    exhausted: bool,
    epoch: i64,
    end: u64,
}

#[derive(Debug)]
struct Segment {
    number: u64,
    base: u64,
    log: Option<Bytes>,
    index: Index,
}

/// A segment without a side index.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bare {
    pub(super) header: Header,
    pub(super) is_current: bool,
    pub(super) end: u64,
    /// When the last line came before it of which that is known.
    pub(super) least_ms: i64,
    /// When the file was last written.
    pub(super) written_ms: i64,
}

fn open_if_there(path: std::path::PathBuf) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl StreamReader {
    /// Opens a stream; `None` when nothing was ever captured.
    pub(super) fn open(names: Names) -> io::Result<Option<Self>> {
        // A segment may be sealed between opening its two files; then they do not belong
        // together. That happens every 50 MB, so a second look always suffices.
        for _ in 0..100 {
            let Some(mut index) = Index::open(&names.index())? else {
                return Self::open_damaged(names);
            };
            let header = index.header;
            let log = match open_if_there(names.log())? {
                None => Bytes::open_sealed(&names, header.number)?,
                Some(file) => Some(Bytes::Plain(file)),
            };
            let now = std::fs::metadata(names.index());
            let now = now.ok().map(|now| (now.dev(), now.ino()));
            if now != index.identity()? {
                continue;
            }
            let size = match &log {
                Some(Bytes::Plain(log)) => log.metadata()?.len(),
                // Sealed and compressed while this one looked: another look finds the next.
                Some(Bytes::Packed(_) | Bytes::Lost(_)) => continue,
                None => 0,
            };
            // After the size was taken, so that every byte up to it has its record.
            index.refresh()?;
            return Ok(Some(Self {
                names,
                segments: VecDeque::from([Segment {
                    number: header.number,
                    base: header.base,
                    log,
                    index,
                }]),
                exhausted: false,
                epoch: header.epoch,
                end: header.base + size,
            }));
        }
        Err(io::Error::other("the log is being rotated all the time"))
    }

    /// Opens a stream whose current side index is gone or damaged: its bytes came when the file
    /// was last written. The capture makes a new one when it opens the stream the next time.
    fn open_damaged(names: Names) -> io::Result<Option<Self>> {
        // Most streams without an index never printed: the folder is not searched for each.
        let Some(log) = open_if_there(names.log())? else {
            return Ok(None);
        };
        let sealed = lost::end_below(&names, u64::MAX)?;
        damage::tell(&names.index(), "a side index is missing or has no header");
        let header = Header {
            number: sealed.map_or(1, |end| end.number + 1),
            base: sealed.map_or(0, |end| end.offset),
            epoch: sealed.and_then(|end| end.epoch).unwrap_or(0),
        };
        let metadata = log.metadata()?;
        let written_ms = metadata.mtime() * 1_000 + metadata.mtime_nsec() / 1_000_000;
        let last = sealed.and_then(|end| end.last);
        let (ts_ms, seq) = last.map_or((written_ms, 0), |(last_ms, seq)| {
            (written_ms.max(last_ms), seq + 1)
        });
        Ok(Some(Self {
            names,
            segments: VecDeque::from([Segment {
                number: header.number,
                base: header.base,
                log: Some(Bytes::Plain(log)),
                index: Index::in_place_of(header, ts_ms, seq),
            }]),
            exhausted: false,
            epoch: header.epoch,
            end: header.base + metadata.len(),
        }))
    }

    /// The name it has in cursors.
    pub(super) fn stem(&self) -> &str {
        self.names.stem()
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    /// The number of the current segment.
    pub(super) fn current(&self) -> u64 {
        self.segments.back().map_or(0, |segment| segment.number)
    }

    /// The oldest opened segment: its number, and where it begins.
    pub(super) fn oldest(&self) -> (u64, u64) {
        let oldest = self.segments.front();
        oldest.map_or((0, 0), |segment| (segment.number, segment.base))
    }

    /// The segments without a side index, oldest first; opens all there are.
    pub(super) fn bare(&mut self) -> io::Result<Vec<Bare>> {
        while self.older()? {}
        let ends: Vec<u64> = self.segments.iter().map(|segment| segment.base).collect();
        let ends = ends.into_iter().skip(1).chain([self.end]);
        let current = self.current();
        let mut all = Vec::new();
        let mut least_ms = i64::MIN;
        for (segment, end) in self.segments.iter_mut().zip(ends) {
            if !segment.index.is_in_place_of_one() {
                least_ms = segment.index.last()?.map_or(least_ms, |last| last.ts_ms);
                continue;
            }
            let number = segment.number;
            let paths = match number == current {
                true => vec![self.names.log()],
                false => vec![self.names.sealed_log(number), self.names.packed_log(number)],
            };
            // One whose bytes are gone, too, has nothing to be read.
            let written = paths.iter().find_map(|path| path.metadata().ok());
            all.extend(written.map(|written| Bare {
                header: segment.index.header,
                is_current: number == current,
                end,
                least_ms,
                written_ms: written.mtime() * 1_000 + written.mtime_nsec() / 1_000_000,
            }));
        }
        Ok(all)
    }

    /// The segments whose files are gone; opens all there are.
    pub(super) fn lost(&mut self) -> io::Result<Vec<Hole>> {
        while self.older()? {}
        let newer = self.segments.iter().skip(1);
        let lost = self.segments.iter().zip(newer).filter(|(segment, _)| {
            let log = self.names.sealed_log(segment.number);
            matches!(segment.log, Some(Bytes::Lost(_)))
                && !log.exists()
                && !self.names.packed_log(segment.number).exists()
        });
        let hole = |(segment, newer): (&Segment, &Segment)| Hole {
            from: segment.base,
            to: newer.base,
            number: segment.number,
            count: newer.number.saturating_sub(segment.number),
            sized: true,
        };
        Ok(lost.map(hole).collect())
    }

    /// Tells a stream from another one that had its name before.
    pub(super) fn epoch(&self) -> i64 {
        self.epoch
    }

    /// Where it ended when it was opened.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Where the opened segments begin.
    pub(super) fn first(&self) -> u64 {
        self.segments.front().map_or(0, |segment| segment.base)
    }

    /// Opens the next older segment. False when there is none.
    pub(super) fn older(&mut self) -> io::Result<bool> {
        if self.exhausted {
            return Ok(false);
        }
        match self.open_older()? {
            Some(segment) => self.segments.push_front(segment),
            None => self.exhausted = true,
        }
        Ok(!self.exhausted)
    }

    fn open_older(&mut self) -> io::Result<Option<Segment>> {
        let Some(newer) = self.segments.front_mut() else {
            return Ok(None);
        };
        let Some(number) = newer.number.checked_sub(1) else {
            return Ok(None);
        };
        let path = self.names.sealed_index(number);
        let index = Index::open(&path)?;
        let log = match Bytes::open_sealed(&self.names, number) {
            Err(error) if lost::is_damage(&error) => {
                damage::tell(&self.names.packed_log(number), &error.to_string());
                None
            }
            log => log?,
        };
        let (number, base) = match (&log, &index) {
            (_, Some(index)) => (number, index.header.base),
            (Some(log), None) => (number, newer.base.saturating_sub(log.size())),
            // Nothing says how much it was: all from the next older one on.
            (None, None) => match lost::end_below(&self.names, number)? {
                Some(end) => (end.number + 1, end.offset.min(newer.base)),
                None => return Ok(None),
            },
        };
        let log = match log {
            Some(log) => log,
            // The oldest, which is being deleted at this moment.
            None if !self.names.packed_log(number).exists()
                && self.names.first().is_none_or(|first| number < first)
                && lost::end_below(&self.names, number)?.is_none() =>
            {
                return Ok(None);
            }
            None => {
                damage::tell(
                    &self.names.sealed_log(number),
                    "a sealed segment is missing",
                );
                Bytes::Lost(newer.base.saturating_sub(base))
            }
        };
        let index = match index {
            Some(index) => index,
            None => {
                damage::tell(&path, "a side index is missing or has no header");
                let header = Header {
                    number,
                    base,
                    epoch: self.epoch,
                };
                // They came before those of the next segment; nobody knows how long before.
                let (ts_ms, seq) = newer.index.get(0)?.map_or((self.epoch, 0), |first| {
                    (first.ts_ms, first.seq.saturating_sub(1))
                });
                Index::in_place_of(header, ts_ms, seq)
            }
        };
        Ok(Some(Segment {
            number,
            base,
            log: Some(log),
            index,
        }))
    }

    /// Opens segments until `offset` is in one, as far as there are any. Returns the offset, or
    /// the first there is.
    pub(super) fn reach(&mut self, offset: u64) -> io::Result<u64> {
        while self.first() > offset && self.older()? {}
        Ok(offset.max(self.first()).min(self.end))
    }

    /// Lines may be missing in the opened segments.
    pub(super) fn has_gaps(&self) -> bool {
        let logs = || {
            self.segments
                .iter()
                .filter_map(|segment| segment.log.as_ref())
        };
        logs().any(Bytes::has_gaps)
    }

    /// The line that began at `offset` is not kept any more.
    pub(super) fn is_gap(&self, offset: u64) -> bool {
        let after = self
            .segments
            .partition_point(|segment| segment.base <= offset);
        let segment = after.checked_sub(1).and_then(|at| self.segments.get(at));
        segment.is_some_and(|segment| {
            let log = segment.log.as_ref();
            log.is_some_and(|log| log.is_gap(offset - segment.base))
        })
    }

    /// Where a sealed segment begins and ends, and what is missing in it; opens all down to it.
    pub(super) fn sealed(&mut self, number: u64) -> io::Result<Option<(u64, u64)>> {
        while self
            .segments
            .front()
            .is_some_and(|first| first.number > number)
        {
            if !self.older()? {
                return Ok(None);
            }
        }
        let at = self
            .segments
            .partition_point(|segment| segment.number < number);
        let found = self
            .segments
            .get(at)
            .filter(|segment| segment.number == number);
        let next = self.segments.get(at + 1);
        Ok(found.zip(next).map(|(found, next)| (found.base, next.base)))
    }

    fn segment_of(&mut self, offset: u64) -> Option<&mut Segment> {
        let place = self
            .segments
            .partition_point(|segment| segment.base <= offset);
        self.segments.get_mut(place.checked_sub(1)?)
    }

    /// Reads the bytes from `from` to `to`, which must be within the opened segments.
    pub(super) fn read(&self, from: u64, to: u64, into: &mut Vec<u8>) -> io::Result<()> {
        into.clear();
        into.resize(to.saturating_sub(from) as usize, 0);
        for (place, segment) in self.segments.iter().enumerate() {
            let end = match self.segments.get(place + 1) {
                Some(next) => next.base,
                None => self.end,
            };
            let (start, stop) = (from.max(segment.base), to.min(end));
            let (Some(log), true) = (&segment.log, start < stop) else {
                continue;
            };
            let mut part = &mut into[(start - from) as usize..(stop - from) as usize];
            let mut at = start - segment.base;
            while !part.is_empty() {
                match log.read_at(part, at) {
                    // Somebody cut the file: what is missing stays zero.
                    Ok(0) => break,
                    Ok(count) => {
                        at += count as u64;
                        part = &mut part[count..];
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// When the byte at `offset` came.
    pub(super) fn record_at(&mut self, offset: u64) -> io::Result<Record> {
        let unknown = Record {
            offset: self.first(),
            ts_ms: self.epoch,
            seq: 0,
            generation: 0,
            flags: 0,
        };
        let Some(segment) = self.segment_of(offset) else {
            return Ok(unknown);
        };
        let found = match segment.index.place_of(offset)? {
            Some(place) => segment.index.get(place)?,
            None => None,
        };
        Ok(found.unwrap_or(unknown))
    }

    /// Offsets between `from` and `to`, both excluded, at which another run begins.
    pub(super) fn boundaries(&mut self, from: u64, to: u64) -> io::Result<Vec<u64>> {
        let mut found = Vec::new();
        for segment in &mut self.segments {
            let mut place = segment.index.prefix(|record| record.offset <= from)?;
            while let Some(record) = segment.index.get(place)? {
                if record.offset >= to {
                    break;
                }
                if record.starts() && found.last() != Some(&record.offset) {
                    found.push(record.offset);
                }
                place += 1;
            }
        }
        Ok(found)
    }

    fn run_starts_at(&mut self, offset: u64) -> io::Result<bool> {
        let Some(segment) = self.segment_of(offset) else {
            return Ok(false);
        };
        let mut after = segment.index.prefix(|record| record.offset <= offset)?;
        while after > 0 {
            after -= 1;
            match segment.index.get(after)? {
                Some(record) if record.offset == offset && record.starts() => return Ok(true),
                Some(record) if record.offset == offset => {}
                _ => break,
            }
        }
        Ok(false)
    }

    /// The first start of a line at or after `offset`; the end when there is none.
    pub(super) fn line_start_from(&mut self, offset: u64) -> io::Result<u64> {
        let offset = self.reach(offset)?;
        if offset <= self.first() || offset >= self.end || self.run_starts_at(offset)? {
            return Ok(offset);
        }
        // The byte before counts: it may be a line end.
        let mut bytes = Vec::new();
        let mut at = offset - 1;
        let mut found = self.end;
        while at < self.end {
            let to = (at + STEP).min(self.end);
            self.read(at, to, &mut bytes)?;
            if let Some(newline) = memchr(b'\n', &bytes) {
                found = at + newline as u64 + 1;
                break;
            }
            at = to;
        }
        let other_run = self.boundaries(offset, found)?;
        Ok(other_run.first().copied().unwrap_or(found))
    }

    /// The start of the line whose last byte is before `end`.
    pub(super) fn line_start_before(&mut self, end: u64) -> io::Result<u64> {
        let mut bytes = Vec::new();
        // The last byte itself may be the line's own end.
        let mut to = end.saturating_sub(1);
        let start = loop {
            if to <= self.first() && !self.older()? {
                break self.first();
            }
            let from = to.saturating_sub(STEP).max(self.first());
            self.read(from, to, &mut bytes)?;
            if let Some(newline) = memrchr(b'\n', &bytes) {
                break from + newline as u64 + 1;
            }
            to = from;
        };
        let other_runs = self.boundaries(start, end)?;
        Ok(other_runs.last().copied().unwrap_or(start))
    }

    /// The last record, wherever it is.
    pub(super) fn last_record(&mut self) -> io::Result<Option<Record>> {
        if let Some(segment) = self.segments.back_mut()
            && let Some(last) = segment.index.last()?
        {
            return Ok(Some(last));
        }
        if self.segments.len() == 1 && !self.older()? {
            return Ok(None);
        }
        match self.segments.len().checked_sub(2) {
            Some(place) => self.segments[place].index.last(),
            None => Ok(None),
        }
    }

    /// Where a run begins, if that stands among the last records.
    pub(super) fn start_of(&mut self, run: u32) -> io::Result<Option<u64>> {
        let Some(segment) = self.segments.back_mut() else {
            return Ok(None);
        };
        let count = segment.index.count();
        for place in (count.saturating_sub(256)..count).rev() {
            if let Some(record) = segment.index.get(place)?
                && record.generation == run
                && record.starts()
            {
                return Ok(Some(record.offset));
            }
        }
        Ok(None)
    }

    /// A run ended there, and nothing came after it.
    pub(super) fn ends_at(&mut self, offset: u64) -> io::Result<bool> {
        let last = self.last_record()?;
        Ok(last.is_some_and(|last| last.offset == offset && (last.ends() || last.starts())))
    }

    /// The end up to which lines are shown: without a last line that is still being written.
    pub(super) fn visible_end(&mut self, now_ms: i64) -> io::Result<u64> {
        let end = self.end;
        if end <= self.first() && !self.older()? {
            return Ok(end);
        }
        let mut last_byte = Vec::new();
        self.read(end - 1, end, &mut last_byte)?;
        if last_byte == b"\n" {
            return Ok(end);
        }
        let shown = match self.last_record()? {
            // A later end of the run means that more bytes came than this snapshot has.
            Some(last) if last.offset > end => false,
            Some(last) => {
                (last.offset == end && (last.ends() || last.starts()))
                    || now_ms - last.ts_ms >= PARTIAL_AFTER_MS
            }
            None => true,
        };
        if shown {
            return Ok(end);
        }
        self.line_start_before(end)
    }

    /// The end of the last line that cannot grow any more.
    pub(super) fn whole_end(&mut self) -> io::Result<u64> {
        // With no time passed, an unfinished line is never shown.
        self.visible_end(i64::MIN / 2)
    }

    /// Where a stream begins now: the first offset of its oldest segment.
    ///
    /// # Errors
    /// Also when that is damaged: nobody may take its lines for gone.
    pub(super) fn first_kept(names: &Names) -> io::Result<u64> {
        for number in names.sealed()? {
            let path = names.sealed_index(number);
            if let Some(index) = Index::open(&path)? {
                return Ok(index.header.base);
            }
            if Index::is_damaged(&path) || Bytes::sealed_size(names, number)?.is_some() {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        Ok(Index::open(&names.index())?.map_or(0, |index| index.header.base))
    }

    /// Where the first bytes are that came at `ms` or later.
    pub(super) fn offset_of_time(&mut self, ms: i64) -> io::Result<u64> {
        self.offset_where(|record| record.ts_ms < ms)
    }

    /// Where the first record is that does not satisfy `before`, which must hold for a prefix
    /// of all records.
    pub(super) fn offset_where(
        &mut self,
        before: impl Fn(&Record) -> bool + Copy,
    ) -> io::Result<u64> {
        loop {
            let first = match self.segments.front_mut() {
                Some(segment) => segment.index.get(0)?,
                None => None,
            };
            if first.is_some_and(|record| before(&record)) || !self.older()? {
                break;
            }
        }
        for segment in &mut self.segments {
            let place = segment.index.prefix(before)?;
            if let Some(record) = segment.index.get(place)? {
                return Ok(record.offset.min(self.end));
            }
        }
        Ok(self.end)
    }

    /// The record of a sequence number, if this stream has it.
    pub(super) fn record_of(&mut self, ts_ms: i64, seq: u64) -> io::Result<Option<Record>> {
        self.offset_where(|record| (record.ts_ms, record.seq) < (ts_ms, seq))?;
        for segment in &mut self.segments {
            let place = segment
                .index
                .prefix(|record| (record.ts_ms, record.seq) < (ts_ms, seq))?;
            if let Some(record) = segment.index.get(place)? {
                return Ok((record.seq == seq && record.ts_ms == ts_ms).then_some(record));
            }
        }
        Ok(None)
    }
}
