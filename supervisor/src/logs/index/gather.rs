//! New lines of all streams, in the order of their time.
//!
//! Only whole lines are gathered: one that may still grow is left to the scan. So that ids
//! ascend with time, lines of the last moments wait for the next round: another stream may
//! still get one that is older.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::ids::InstanceId;
use crate::logs::cursor::Key;
use crate::logs::names::{Names, streams_in};
use crate::logs::reader::StreamReader;
use crate::logs::scan::{Forward, Line};
use crate::paths::Stream;

/// Lines younger than this wait: a chunk is stamped before it is in its segment.
const SETTLE_MS: i64 = 20;

/// What the index knows of a stream.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) id: i64,
    pub(super) epoch: i64,
    /// Up to here its lines are in the index.
    pub(super) done: u64,
}

/// A stream with lines to come.
pub(super) struct Source {
    pub(super) instance: InstanceId,
    pub(super) stream: Stream,
    pub(super) stem: String,
    pub(super) epoch: i64,
    /// Up to here lines were taken.
    pub(super) done: u64,
    reader: StreamReader,
    forward: Forward,
    end: u64,
    head: Option<(Key, Line)>,
}

/// A line of [`Gather`].
pub(super) struct Gathered {
    pub(super) source: usize,
    pub(super) ts_ms: i64,
    pub(super) line: Line,
}

/// Identity and size of a stream's current file when nothing was left to take from it.
type Seen = (u64, u64);

/// What streams looked like when they were last read to their end.
#[derive(Default)]
pub(super) struct Settled(HashMap<String, Seen>);

fn look(names: &Names) -> Option<Seen> {
    let metadata = std::fs::metadata(names.log()).ok()?;
    Some((metadata.ino(), metadata.len()))
}

/// One round over all streams that changed.
pub(super) struct Gather {
    pub(super) sources: Vec<Source>,
    /// How the files looked before they were opened.
    looks: Vec<(String, Option<Seen>)>,
    heap: BinaryHeap<Reverse<(Key, usize)>>,
    horizon: i64,
    /// Lines are left that are too young.
    pub(super) waits: bool,
    /// All streams there are, also those that did not change.
    pub(super) stems: Vec<String>,
}

impl Gather {
    /// Opens what changed.
    pub(super) fn open(
        folder: &Path,
        known: &HashMap<String, Known>,
        settled: &Settled,
        now_ms: i64,
    ) -> io::Result<Self> {
        let mut gather = Self {
            sources: Vec::new(),
            looks: Vec::new(),
            heap: BinaryHeap::new(),
            horizon: now_ms - SETTLE_MS,
            waits: false,
            stems: Vec::new(),
        };
        for names in streams_in(folder)? {
            let stem = names.stem().to_owned();
            gather.stems.push(stem.clone());
            let seen = look(&names);
            if seen.is_some() && settled.0.get(&stem) == seen.as_ref() {
                continue;
            }
            let Some((instance, stream)) = names.owner() else {
                continue;
            };
            gather.looks.push((stem.clone(), seen));
            match Source::open(names, instance, stream, known.get(&stem)) {
                Ok(Some(source)) => gather.add(source)?,
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(stream = stem, %error, "A stream could not be read for the index.");
                }
            }
        }
        Ok(gather)
    }

    fn add(&mut self, mut source: Source) -> io::Result<()> {
        source.advance()?;
        if let Some((key, _)) = &source.head {
            self.heap.push(Reverse((*key, self.sources.len())));
        }
        self.sources.push(source);
        Ok(())
    }

    /// The next line in order.
    pub(super) fn next(&mut self) -> io::Result<Option<Gathered>> {
        let Some(Reverse((key, at))) = self.heap.peek().copied() else {
            return Ok(None);
        };
        if key.ts_ms > self.horizon {
            self.waits = true;
            return Ok(None);
        }
        self.heap.pop();
        let source = &mut self.sources[at];
        let Some((key, line)) = source.head.take() else {
            return Ok(None);
        };
        source.done = line.span.end;
        source.advance()?;
        if let Some((next, _)) = &source.head {
            self.heap.push(Reverse((*next, at)));
        }
        Ok(Some(Gathered {
            source: at,
            ts_ms: key.ts_ms,
            line,
        }))
    }

    /// The streams that had changed.
    pub(super) fn looked_at(&self) -> impl Iterator<Item = &str> {
        self.looks.iter().map(|(stem, _)| stem.as_str())
    }

    /// The time of the oldest line that is left.
    pub(super) fn oldest(&self) -> Option<i64> {
        self.heap.peek().map(|Reverse((key, _))| key.ts_ms)
    }

    /// Bytes that are left.
    pub(super) fn left(&self) -> u64 {
        let left = |source: &Source| source.end.saturating_sub(source.done);
        self.sources.iter().map(left).sum()
    }

    /// Remembers the streams that have nothing left, so that they are not opened again before
    /// they change.
    pub(super) fn settle(&self, settled: &mut Settled) {
        for (stem, seen) in &self.looks {
            let source = self.sources.iter().find(|source| source.stem == *stem);
            let empty = source.is_none_or(|source| source.head.is_none());
            match (empty, seen) {
                (true, Some(seen)) => settled.0.insert(stem.clone(), *seen),
                _ => settled.0.remove(stem),
            };
        }
    }
}

impl Source {
    fn open(
        names: Names,
        instance: InstanceId,
        stream: Stream,
        known: Option<&Known>,
    ) -> io::Result<Option<Self>> {
        let stem = names.stem().to_owned();
        let Some(mut reader) = StreamReader::open(names)? else {
            return Ok(None);
        };
        let end = reader.whole_end()?;
        let epoch = reader.epoch();
        let from = known
            .filter(|known| known.epoch == epoch && known.done <= reader.end())
            .map_or(0, |known| known.done);
        let done = reader.reach(from)?;
        Ok(Some(Self {
            instance,
            stream,
            stem,
            epoch,
            done,
            forward: Forward::new(done, end.max(done)),
            reader,
            end,
            head: None,
        }))
    }

    /// Where its whole lines end.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    fn advance(&mut self) -> io::Result<()> {
        self.head = match self.forward.next(&mut self.reader, None)? {
            Some(line) => {
                let record = self.reader.record_at(line.span.start)?;
                let key = Key {
                    ts_ms: record.ts_ms,
                    seq: record.seq,
                    delta: line.span.start.saturating_sub(record.offset),
                };
                Some((key, line))
            }
            None => None,
        };
        Ok(())
    }
}
