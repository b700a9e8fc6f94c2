//! Makes the side index of a segment anew, when that is lost and the lines are not.
//!
//! ```text
//!   index thread: plan() reads the lines ──Plan──► ingest thread: write() puts the index in place
//! ```
//!
//! When a line came is known from what it says itself, if that lies between the line before it
//! and the time at which the file was last written; else it is the time of the line before it.
//! All such times are marked as guesses. Lines are read by the thread that may be slow; the
//! one that captures only writes the file, and nothing when there is an index again.

use std::io;

use super::line;
use super::names::Names;
use super::reader::{Bare, StreamReader};
use super::record;
use super::scan::Forward;
use super::segment::{Sequence, write_index};
use super::side::{GUESSED, Header, Index, Record, START};

/// What a lost side index will say.
#[derive(Debug)]
pub(super) struct Plan {
    names: Names,
    header: Header,
    is_current: bool,
    /// Up to here lines were read.
    end: u64,
    /// When the file was last written.
    written_ms: i64,
    /// Where lines begin that came later than those before them.
    times: Vec<(u64, i64)>,
}

/// One for each segment of a stream that has no side index.
pub(super) fn plans(names: Names) -> io::Result<Vec<Plan>> {
    let Some(mut reader) = StreamReader::open(names)? else {
        return Ok(Vec::new());
    };
    let mut plans: Vec<Plan> = Vec::new();
    for mut segment in reader.bare()? {
        let last = plans.last().and_then(|plan| plan.times.last());
        segment.least_ms = segment.least_ms.max(last.map_or(i64::MIN, |(_, ms)| *ms));
        plans.push(plan(&mut reader, segment)?);
    }
    Ok(plans)
}

fn plan(reader: &mut StreamReader, segment: Bare) -> io::Result<Plan> {
    let Bare {
        mut header,
        is_current,
        end,
        least_ms,
        written_ms,
    } = segment;
    let written_ms = written_ms.max(least_ms);
    let mut times: Vec<(u64, i64)> = Vec::new();
    let mut forward = Forward::new(header.base, end);
    while let Some(line) = forward.next(reader, None)? {
        let said = record::parse(&line::shown(&line.bytes)).time;
        let said = said.map(jiff::Timestamp::as_millisecond);
        let last = times.last().map_or(least_ms, |(_, ms)| *ms);
        if let Some(ms) = said.filter(|ms| (last..=written_ms).contains(ms))
            && times.last().is_none_or(|(_, last)| ms > *last)
        {
            times.push((line.span.start, ms));
        }
    }
    match times.first_mut() {
        // What stands before the first line that says its time came before it.
        Some(first) => first.0 = header.base,
        None => times.push((header.base, written_ms)),
    }
    if header.epoch == 0 {
        // Nothing is left that knew it.
        header.epoch = times[0].1;
    }
    Ok(Plan {
        names: reader.names().clone(),
        header,
        is_current,
        end,
        written_ms,
        times,
    })
}

impl Plan {
    /// Whose index it is.
    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    /// Puts the index in place. False when that is not needed, or not right any more.
    pub(super) fn write(&self, sequence: &mut Sequence) -> io::Result<bool> {
        let (log, index) = match self.is_current {
            true => (self.names.log(), self.names.index()),
            false => {
                let number = self.header.number;
                let plain = self.names.sealed_log(number);
                let packed = self.names.packed_log(number);
                let log = if plain.exists() { plain } else { packed };
                (log, self.names.sealed_index(number))
            }
        };
        let sealed_meanwhile =
            self.is_current && self.names.sealed()?.last().copied() >= Some(self.header.number);
        if Index::open(&index)?.is_some() || sealed_meanwhile || !log.exists() {
            return Ok(false);
        }
        let end = self.header.base + log.metadata()?.len();
        if self.is_current && end < self.end {
            return Ok(false);
        }
        let grown = self.is_current && end > self.end;
        let rest = grown.then_some((self.end, self.written_ms));
        let record = |(offset, ts_ms)| Record {
            offset,
            ts_ms,
            seq: sequence.next(),
            generation: 0,
            flags: if offset == self.header.base {
                START | GUESSED
            } else {
                GUESSED
            },
        };
        let times = self.times.iter().copied().chain(rest);
        let records: Vec<Record> = times.map(record).collect();
        write_index(&index, &self.header, &records)?;
        Ok(true)
    }
}
