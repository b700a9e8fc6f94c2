//! Reads rounds of new lines from the segments of all streams.
//!
//! It keeps one place per stream and opens files only of streams that grew since. What of it
//! is wanted is not decided here.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Map;
use tracing::debug;

use super::super::cursor::Key;
use super::super::line;
use super::super::names::Names;
use super::super::reader::StreamReader;
use super::super::scan::Forward;
use super::super::{Ingest, LogError, record};
use super::{FeedLine, FeedSource, Inbox, Mark};
use crate::ids::InstanceId;
use crate::paths::Stream;

/// Most lines of a round.
const ROUND_LINES: usize = 8_192;
/// Most bytes of a round, about.
const ROUND_BYTES: usize = 8 << 20;
/// Most lines of one stream in a round, so that one that floods lets others pass.
const STREAM_LINES: usize = 4_096;

/// What waited in memory for a full disk was counted long before it can be read: so often
/// a stream is looked at although nothing was counted.
const LOOK_ANYWAY_MS: i64 = 10_000;

/// How far each stream was read.
#[derive(Debug, Default)]
pub(super) struct Reader {
    streams: HashMap<(InstanceId, Stream), At>,
    /// The newest run of each instance and its pid: its last lines come when it has ended.
    runs: HashMap<InstanceId, (u32, u32)>,
    /// Where a round begins, so that every stream comes first some time.
    turn: usize,
    /// There was more than a round takes.
    more: bool,
    /// When the last line of the last round came, in ms.
    last_ms: Option<i64>,
}

#[derive(Debug)]
struct At {
    name: Arc<str>,
    index: PathBuf,
    epoch: i64,
    offset: u64,
    /// Bytes the instance had printed when it was read.
    bytes: u64,
    /// Nothing was there although it may have grown: not looked at again before it grows.
    quiet: bool,
    /// When it was looked at, in ms.
    looked_ms: i64,
}

impl At {
    /// Need it not be looked at?
    fn rests(&self, bytes: u64, now_ms: i64) -> bool {
        let lately = now_ms.saturating_sub(self.looked_ms) < LOOK_ANYWAY_MS;
        self.quiet && self.bytes == bytes && lately
    }
}

/// What a round may still read.
struct Budget {
    lines: usize,
    bytes: usize,
}

impl Reader {
    /// Is there more to read at once?
    pub(super) fn has_more(&self) -> bool {
        self.more
    }

    /// How long ago the last line that was read came, when there is more behind it.
    pub(super) fn behind_ms(&self, now_ms: i64) -> i64 {
        let last = self.last_ms.filter(|_| self.more);
        last.map_or(0, |last| now_ms.saturating_sub(last))
    }

    /// One round of at most `room` lines.
    pub(super) fn round(
        &mut self,
        sources: &[FeedSource],
        ingest: &Ingest,
        inbox: &Inbox,
        room: usize,
        now_ms: i64,
    ) {
        self.forget(sources, inbox);
        let mut budget = Budget {
            lines: ROUND_LINES.min(room),
            bytes: ROUND_BYTES,
        };
        let mut found: Vec<(Key, Arc<FeedLine>)> = Vec::new();
        let mut ends = Vec::new();
        let mut more = false;
        let count = sources.len().max(1);
        let first = self.turn % count;
        for step in 0..sources.len() {
            let source = &sources[(first + step) % count];
            let bytes = ingest.bytes(&source.source.instance);
            if let Some(run) = source.run {
                self.runs.insert(source.source.instance.clone(), run);
            }
            for stream in &source.source.streams {
                if budget.lines == 0 || budget.bytes == 0 {
                    more = true;
                    self.turn = first + step;
                    break;
                }
                let key = (source.source.instance.clone(), *stream);
                let at = self.streams.get(&key);
                if at.is_some_and(|at| at.rests(bytes, now_ms)) {
                    continue;
                }
                let run = self.runs.get(&key.0).copied();
                let look = Look {
                    source,
                    run,
                    stream: *stream,
                    inbox,
                    now_ms,
                };
                match look.read(at, bytes, &mut budget, &mut found) {
                    Ok(Some((at, rest))) => {
                        more |= rest;
                        ends.push(Mark {
                            stream: at.name.clone(),
                            epoch: at.epoch,
                            end: at.offset,
                        });
                        self.streams.insert(key, at);
                    }
                    Ok(None) => {}
                    Err(error) => {
                        // The rest is still served; it is tried again when it grows.
                        debug!(%error, "A log could not be read.");
                        if let Some(at) = self.streams.get_mut(&key) {
                            (at.bytes, at.quiet, at.looked_ms) = (bytes, true, now_ms);
                        }
                    }
                }
            }
        }
        found.sort_by_key(|(key, _)| *key);
        let lines: Vec<Arc<FeedLine>> = found.into_iter().map(|(_, line)| line).collect();
        inbox.push(&lines, &ends);
        self.more = more;
        if let Some(last) = lines.last() {
            self.last_ms = Some(last.ts.as_millisecond());
        }
    }

    /// Streams of instances that are no longer there.
    fn forget(&mut self, sources: &[FeedSource], inbox: &Inbox) {
        let here: HashSet<&InstanceId> = sources.iter().map(|s| &s.source.instance).collect();
        let mut gone = Vec::new();
        self.streams.retain(|(instance, _), at| {
            let stays = here.contains(instance);
            // Of an instance that was only scaled away the lines are still there.
            if !stays && !at.index.exists() {
                gone.push(at.name.clone());
            }
            stays
        });
        self.runs.retain(|instance, _| here.contains(instance));
        if !gone.is_empty() {
            inbox.forget(&gone);
        }
    }
}

/// A look at one stream.
struct Look<'a> {
    source: &'a FeedSource,
    run: Option<(u32, u32)>,
    stream: Stream,
    inbox: &'a Inbox,
    now_ms: i64,
}

impl Look<'_> {
    fn read(
        &self,
        at: Option<&At>,
        bytes: u64,
        budget: &mut Budget,
        found: &mut Vec<(Key, Arc<FeedLine>)>,
    ) -> Result<Option<(At, bool)>, LogError> {
        let source = &self.source.source;
        self.try_read(at, bytes, budget, found)
            .map_err(|error| LogError::Read {
                folder: source.folder.clone(),
                source: error,
            })
    }

    fn try_read(
        &self,
        at: Option<&At>,
        bytes: u64,
        budget: &mut Budget,
        found: &mut Vec<(Key, Arc<FeedLine>)>,
    ) -> io::Result<Option<(At, bool)>> {
        let source = &self.source.source;
        let names = Names::new(&source.folder, &source.instance, self.stream);
        let index = names.index();
        let Some(mut reader) = StreamReader::open(names)? else {
            return Ok(None);
        };
        let epoch = reader.epoch();
        let name: Arc<str> = match at {
            Some(at) => at.name.clone(),
            None => reader.stem().into(),
        };
        let from = match at {
            Some(at) if at.epoch == epoch => at.offset.min(reader.end()),
            Some(_) => 0,
            None => {
                let start = self.inbox.start(&name, epoch, |since_ms| {
                    let offset = reader.offset_of_time(since_ms)?;
                    reader.line_start_from(offset)
                })?;
                start.min(reader.end())
            }
        };
        let to = reader.visible_end(self.now_ms)?.max(from);
        let mut forward = Forward::new(from, to);
        let mut left = STREAM_LINES.min(budget.lines);
        let mut offset = to;
        let mut rest = false;
        // It may be gone from the front meanwhile; then the rest begins later.
        let mut last = from;
        loop {
            if left == 0 || budget.bytes == 0 {
                offset = last;
                rest = last < to;
                break;
            }
            let Some(line) = forward.next(&mut reader, None)? else {
                break;
            };
            last = line.span.end;
            left -= 1;
            budget.lines -= 1;
            budget.bytes = budget.bytes.saturating_sub(line.bytes.len());
            let record = reader.record_at(line.span.start)?;
            let key = Key {
                ts_ms: record.ts_ms,
                seq: record.seq,
                delta: line.span.start.saturating_sub(record.offset),
            };
            let mark = Mark {
                stream: name.clone(),
                epoch,
                end: line.span.end,
            };
            found.push((
                key,
                Arc::new(self.line(key, record.generation, &line.bytes, mark)),
            ));
        }
        let at = At {
            name,
            index,
            epoch,
            offset,
            // Bytes may be counted a moment before they can be read, so a stream is quiet
            // only when a second look found the same.
            looked_ms: self.now_ms,
            quiet: offset == reader.end() && at.is_some_and(|at| at.bytes == bytes),
            bytes,
        };
        Ok(Some((at, rest)))
    }

    fn line(&self, key: Key, generation: u32, bytes: &[u8], mark: Mark) -> FeedLine {
        let InstanceId { process, index } = &self.source.source.instance;
        let (text, truncated) = line::message(bytes);
        let record = record::parse(&text);
        let level = record.severity(self.stream);
        let mut fields = Map::new();
        if let Some(time) = record.time {
            fields.insert("time".to_owned(), time.to_string().into());
        }
        fields.extend(record.fields);
        let message = (record.message != text).then(|| record.message.into_owned());
        let run = self.run.filter(|(run, _)| *run == generation);
        FeedLine {
            ts: Timestamp::from_millisecond(key.ts_ms).unwrap_or(Timestamp::UNIX_EPOCH),
            order: u32::try_from(key.delta).unwrap_or(u32::MAX),
            process: process.clone(),
            instance: *index,
            stream: self.stream,
            pid: run.map(|(_, pid)| pid),
            text,
            truncated,
            level,
            message,
            fields,
            mark,
        }
    }
}
