//! The lines of one stream, from the end or from a place on.
//!
//! Both directions read blocks that grow from 16 KiB to 1 MiB, so that the last hundred lines
//! of a big log take one read, and a search through all of it streams with bounded memory.

use std::collections::VecDeque;
use std::io;

use memchr::{memchr, memrchr};

use super::filter::Sieve;
use super::line::{MAX_LINE, split};
use super::names::Names;
use super::reader::StreamReader;

const FIRST_BLOCK: u64 = 16 << 10;
/// For a single line.
const ONE_BLOCK: u64 = 1 << 10;
/// Of a line longer than this only so much is searched.
const LAST_BLOCK: u64 = 1 << 20;
/// What is kept of a line: enough to be cut, and to see that it was.
const KEEP: usize = MAX_LINE + 2;

/// Where a line stands in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u64,
    /// After its line end, if it has one.
    pub(super) end: u64,
}

/// A line, with at most the first 64 KiB of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) span: Span,
    pub(super) bytes: Vec<u8>,
}

/// The block that was read last.
#[derive(Debug, Default)]
struct Block {
    at: u64,
    bytes: Vec<u8>,
}

impl Block {
    fn line(&self, span: Span) -> Line {
        let from = (span.start - self.at) as usize;
        let to = ((span.end - self.at) as usize).min(self.bytes.len());
        Line {
            span,
            bytes: self.bytes[from..to.min(from + KEEP)].to_vec(),
        }
    }

    /// The lines from `from` to the end of the block.
    fn spans(
        &self,
        reader: &mut StreamReader,
        from: usize,
        to: usize,
        sieve: Option<&Sieve<'_>>,
    ) -> io::Result<std::vec::IntoIter<Span>> {
        let start = self.at + from as u64;
        let cuts: Vec<usize> = reader
            .boundaries(start, self.at + to as u64)?
            .into_iter()
            .map(|offset| (offset - start) as usize)
            .collect();
        let bytes = &self.bytes[from..to];
        let lines = match sieve {
            Some(sieve) => sieve.split(reader, start, bytes, &cuts)?,
            None => split(bytes, &cuts, None),
        };
        // What is not kept any more reads as empty lines.
        let gaps = reader.has_gaps();
        let spans: Vec<Span> = lines
            .into_iter()
            .map(|line| Span {
                start: start + line.start as u64,
                end: start + line.end as u64,
            })
            .filter(|span| !gaps || !reader.is_gap(span.start))
            .collect();
        Ok(spans.into_iter())
    }
}

/// Lines from a place backwards, newest first.
#[derive(Debug)]
pub(super) struct Backward {
    low: u64,
    at: u64,
    size: u64,
    block: Block,
    spans: Vec<Span>,
}

impl Backward {
    /// Lines that start at `low` or after and end at `from` or before. Both are line starts.
    pub(super) fn new(low: u64, from: u64) -> Self {
        Self {
            low,
            at: from,
            size: FIRST_BLOCK,
            block: Block::default(),
            spans: Vec::new(),
        }
    }

    /// The next older line, or the next older one that matches.
    pub(super) fn next(
        &mut self,
        reader: &mut StreamReader,
        sieve: Option<&Sieve<'_>>,
    ) -> io::Result<Option<Line>> {
        loop {
            if let Some(span) = self.spans.pop() {
                return Ok(Some(self.block.line(span)));
            }
            let wanted = self.at.saturating_sub(self.size);
            let from = reader.reach(wanted.max(self.low))?.max(self.low);
            if self.at <= from {
                return Ok(None);
            }
            reader.read(from, self.at, &mut self.block.bytes)?;
            self.block.at = from;
            // The block begins within a line, unless it begins where the stream does.
            let whole = if from <= self.low || from <= reader.first() && wanted < from {
                Some(from)
            } else {
                let newline = memchr(b'\n', &self.block.bytes);
                let after = newline.map_or(self.at, |at| from + at as u64 + 1);
                let cut = reader.boundaries(from, after)?.first().copied();
                Some(cut.unwrap_or(after)).filter(|start| *start < self.at)
            };
            let grown = (self.size * 2).min(LAST_BLOCK);
            let Some(start) = whole else {
                if self.size < LAST_BLOCK {
                    self.size = grown;
                    continue;
                }
                let end = self.at;
                let start = reader.line_start_before(end)?.max(self.low);
                self.at = start;
                if let Some(line) = giant(reader, &mut self.block, start, end, sieve)? {
                    return Ok(Some(line));
                }
                continue;
            };
            let (skip, len) = ((start - from) as usize, self.block.bytes.len());
            let spans = self.block.spans(reader, skip, len, sieve)?;
            self.spans.extend(spans);
            self.at = start;
            self.size = grown;
        }
    }
}

/// Lines from a place on, oldest first.
#[derive(Debug)]
pub(super) struct Forward {
    at: u64,
    to: u64,
    size: u64,
    block: Block,
    spans: VecDeque<Span>,
}

impl Forward {
    /// The one line that begins at `at`: few bytes are read for it.
    pub(super) fn one(at: u64, to: u64) -> Self {
        Self {
            size: ONE_BLOCK,
            ..Self::new(at, to)
        }
    }

    /// Lines from `at` on; the last one ends at `to`. What stands at `at` counts as a start.
    pub(super) fn new(at: u64, to: u64) -> Self {
        Self {
            at,
            to,
            size: FIRST_BLOCK,
            block: Block::default(),
            spans: VecDeque::new(),
        }
    }

    /// The next line, or the next one that matches.
    pub(super) fn next(
        &mut self,
        reader: &mut StreamReader,
        sieve: Option<&Sieve<'_>>,
    ) -> io::Result<Option<Line>> {
        loop {
            if let Some(span) = self.spans.pop_front() {
                return Ok(Some(self.block.line(span)));
            }
            self.at = self.at.max(reader.reach(self.at)?);
            if self.at >= self.to {
                return Ok(None);
            }
            let to = (self.at + self.size).min(self.to);
            reader.read(self.at, to, &mut self.block.bytes)?;
            self.block.at = self.at;
            let whole = if to == self.to {
                self.block.bytes.len()
            } else {
                let newline = memrchr(b'\n', &self.block.bytes).map_or(0, |at| at + 1);
                let from = self.at + newline.saturating_sub(1) as u64;
                let cut = reader.boundaries(from, to)?.last().copied();
                cut.map_or(newline, |cut| (cut - self.at) as usize)
                    .max(newline)
            };
            let grown = (self.size * 2).min(LAST_BLOCK);
            if whole == 0 {
                if self.size < LAST_BLOCK {
                    self.size = grown;
                    continue;
                }
                let start = self.at;
                let end = reader.line_start_from(to)?.min(self.to);
                self.at = end;
                if let Some(line) = giant(reader, &mut self.block, start, end, sieve)? {
                    return Ok(Some(line));
                }
                continue;
            }
            let spans = self.block.spans(reader, 0, whole, sieve)?;
            self.spans.extend(spans);
            self.at += whole as u64;
            self.size = grown;
        }
    }
}

/// A line too long for a block: its first part is searched and shown.
fn giant(
    reader: &mut StreamReader,
    block: &mut Block,
    start: u64,
    end: u64,
    sieve: Option<&Sieve<'_>>,
) -> io::Result<Option<Line>> {
    if reader.is_gap(start) {
        return Ok(None);
    }
    reader.read(start, end.min(start + LAST_BLOCK), &mut block.bytes)?;
    block.at = start;
    let found = match sieve {
        Some(sieve) => sieve.passes(reader, start, &block.bytes)?,
        None => true,
    };
    Ok(found.then(|| block.line(Span { start, end })))
}

/// How many lines of other runs are skipped in search of those of one: a grandchild of an
/// older run may still print, and so may a newer run already.
const SKIP: usize = 4_096;

/// The last lines that a run printed, oldest first, also an unfinished one.
pub(super) fn tail_of_run(names: Names, run: u32, n: usize) -> io::Result<Vec<String>> {
    let Some(mut reader) = StreamReader::open(names)? else {
        return Ok(Vec::new());
    };
    let start = reader.start_of(run)?;
    let mut lines = Vec::new();
    let mut backward = Backward::new(0, reader.end());
    let mut skipped = 0;
    while lines.len() < n && skipped < SKIP {
        let Some(line) = backward.next(&mut reader, None)? else {
            break;
        };
        if start.is_some_and(|start| line.span.start < start) {
            break;
        }
        if reader.record_at(line.span.start)?.generation == run {
            lines.push(super::line::message(&line.bytes).0);
        } else {
            skipped += 1;
        }
    }
    lines.reverse();
    Ok(lines)
}
