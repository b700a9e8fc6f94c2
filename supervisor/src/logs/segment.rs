//! Writes the segments of one stream: append at an offset, rotate, forget the oldest.
//!
//! ```text
//! api-0.out.log     api-0.out.idx       the current segment: plain text
//! api-0.out.7.log   api-0.out.7.idx     sealed ones, oldest has the lowest number
//! ```
//!
//! Sealing is rename log, link index, replace index by a new one; each step can be the last
//! before a crash, and [`Writer::open`] finishes what was begun. A reader that has the files
//! open does not notice.
//! It is one piece although it is long: one writer, and the steps of a rotation.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, splice};

use super::lost;
use super::names::{Names, gone};
use super::packed::Bytes;
use super::side::{END, GUESSED, HEADER, Header, Index, RECORD, Record, START};

/// How far a segment may grow over its limit while it waits for a line end: 1 MiB, the most
/// one read moves.
const OVERSHOOT: u64 = 1 << 20;

/// How much is kept.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Where a segment is sealed, in bytes.
    pub raw_max_size: u64,
    /// How many sealed segments are kept per stream.
    pub raw_keep: u64,
    /// How much of a stream is kept in memory while the disk is full, in bytes.
    pub memory: usize,
    /// Every write fails as on a full disk while this is set: how tests fill a disk.
    pub full: Arc<AtomicBool>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            raw_max_size: 50 << 20,
            raw_keep: 5,
            memory: 4 << 20,
            full: Arc::default(),
        }
    }
}

impl Limits {
    /// Fails as a full disk does, where a test wants that.
    pub(super) fn check(&self) -> io::Result<()> {
        if self.full.load(Ordering::Relaxed) {
            return Err(Errno::NOSPC.into());
        }
        Ok(())
    }
}

/// Where and when the last record was.
#[derive(Debug, Clone, Copy, Default)]
struct Last {
    ts_ms: i64,
    /// Nothing once the run has ended: the next record starts a run, whichever.
    generation: Option<u32>,
    /// The current segment has a record that covers its end.
    covers: bool,
}

/// Hands out sequence numbers, over all streams.
#[derive(Debug, Default)]
pub(super) struct Sequence(pub(super) u64);

impl Sequence {
    pub(super) fn next(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

/// Appends to the current segment of one stream. Only the ingest thread has one.
#[derive(Debug)]
pub(super) struct Writer {
    names: Names,
    header: Header,
    /// Logical end.
    end: u64,
    records: u64,
    last: Last,
    files: Option<Files>,
    /// The disk had no room for its index yet: it is opened with the next bytes.
    pending: bool,
}

/// Open only while bytes come: three descriptors per idle stream would be too many.
#[derive(Debug)]
struct Files {
    log: File,
    index: File,
}

impl Writer {
    /// Goes on where the stream was left, after repairing what a crash may have left behind.
    pub(super) fn open(names: Names, now_ms: i64) -> io::Result<(Self, u64)> {
        let mut index = match Index::open(&names.index())? {
            Some(index) => index,
            None => {
                begin_anew(&names, now_ms)?;
                Index::open(&names.index())?.ok_or(io::ErrorKind::InvalidData)?
            }
        };
        let header = index.header;
        let log_size = match std::fs::metadata(names.log()) {
            Ok(metadata) => Some(metadata.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let sealed_size = match log_size {
            // One that is damaged is not there; one that cannot be read now is.
            None => match Bytes::sealed_size(&names, header.number) {
                Err(error) if error.raw_os_error().is_some() => return Err(error),
                size => size.ok().flatten(),
            },
            Some(_) => None,
        };
        let last_offset = index.last()?.map_or(header.base, |last| last.offset);
        // A flush that was cut short leaves records and no bytes: what they spoke of is gone.
        let flushed = log_size.is_none() && sealed_size.is_none() && last_offset > header.base;
        let end = match sealed_size {
            _ if flushed => last_offset,
            Some(sealed) => header.base + sealed,
            None => header.base + log_size.unwrap_or(0),
        };
        // After a power cut the index may be ahead of the bytes.
        let records = index.prefix(|record| record.offset <= end)?;
        let last = match records.checked_sub(1) {
            Some(place) => index.get(place)?,
            None => None,
        };
        let seq = last.map_or(0, |last| last.seq);
        let mut writer = Self {
            names,
            header,
            end,
            records,
            last: last.map_or(Last::default(), |last| Last {
                ts_ms: last.ts_ms,
                generation: (!last.ends()).then_some(last.generation),
                covers: true,
            }),
            files: None,
            pending: false,
        };
        if sealed_size.is_some() {
            writer.seal_index()?;
        } else if flushed {
            writer.names.begins_with(header.number + 1)?;
            writer.replace_index()?;
        } else {
            let file = OpenOptions::new().write(true).open(writer.names.index())?;
            let whole = HEADER + records * RECORD;
            if file.metadata()?.len() > whole {
                file.set_len(whole)?;
            }
        }
        Ok((writer, seq))
    }

    /// As [`Self::open`], if the stream has ever printed anything.
    pub(super) fn open_existing(names: Names, now_ms: i64) -> io::Result<Option<(Self, u64)>> {
        let is_missing = |path: PathBuf| match path.symlink_metadata() {
            Ok(_) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        };
        if is_missing(names.index())? && is_missing(names.log())? {
            return Ok(None);
        }
        Self::open(names, now_ms).map(Some)
    }

    /// A stream without files: it has printed nothing yet, or could not be opened. They are
    /// made when there is something to write, so that a full disk does not keep a program
    /// from starting.
    pub(super) fn pending(names: Names) -> Self {
        Self {
            names,
            header: Header {
                number: 0,
                base: 0,
                epoch: 0,
            },
            end: 0,
            records: 0,
            last: Last::default(),
            files: None,
            pending: true,
        }
    }

    /// What is there already has its numbers: the next are greater.
    fn open_pending(&mut self, now_ms: i64, sequence: &mut Sequence) -> io::Result<()> {
        if self.pending || (self.files.is_none() && self.was_removed()) {
            let (opened, newest) = Self::open(self.names.clone(), now_ms)?;
            sequence.0 = sequence.0.max(newest);
            *self = opened;
        }
        Ok(())
    }

    /// Somebody removed the files to get room. What went into them from now on would be lost.
    fn was_removed(&self) -> bool {
        let there = |path: PathBuf| path.symlink_metadata().is_ok();
        !there(self.names.index())
            || (self.end > self.header.base
                && !there(self.names.log())
                && !there(self.names.sealed_log(self.header.number))
                && !there(self.names.packed_log(self.header.number)))
    }

    /// Lets go of files that were removed while they were open. True when that was so.
    pub(super) fn let_go_of_removed(&mut self) -> bool {
        let unlinked = |file: &File| file.metadata().is_ok_and(|found| found.nlink() == 0);
        let removed = self
            .files
            .as_ref()
            .is_some_and(|files| unlinked(&files.log) || unlinked(&files.index));
        if removed {
            self.files = None;
        }
        removed
    }

    fn files(&mut self) -> io::Result<&Files> {
        if self.files.is_none() {
            let open = |path: PathBuf| {
                OpenOptions::new()
                    .read(true)
                    .write(true)
                    .create(true)
                    .truncate(false)
                    .mode(0o600)
                    .open(path)
            };
            self.files = Some(Files {
                log: open(self.names.log())?,
                index: open(self.names.index())?,
            });
        }
        self.files.as_ref().ok_or(io::ErrorKind::NotFound.into())
    }

    /// Closes the files until the next bytes come.
    pub(super) fn rest(&mut self) {
        self.files = None;
    }

    fn mark(
        &mut self,
        now_ms: i64,
        generation: u32,
        flags: u16,
        sequence: &mut Sequence,
        limits: &Limits,
    ) -> io::Result<()> {
        limits.check()?;
        self.open_pending(now_ms, sequence)?;
        let ts_ms = now_ms.max(self.last.ts_ms);
        let starts = self.last.generation != Some(generation);
        let flags = if starts { flags | START } else { flags };
        let record = Record {
            offset: self.end,
            ts_ms,
            seq: sequence.next(),
            generation,
            flags,
        };
        let at = HEADER + self.records * RECORD;
        self.files()?.index.write_all_at(&record.encode(), at)?;
        self.records += 1;
        self.last = Last {
            ts_ms,
            generation: (flags & END == 0).then_some(generation),
            covers: true,
        };
        Ok(())
    }

    /// Notes that a run begins here; nothing when it is the one that was going on.
    pub(super) fn start_run(
        &mut self,
        now_ms: i64,
        generation: u32,
        sequence: &mut Sequence,
        limits: &Limits,
    ) -> io::Result<()> {
        // Without a file the first bytes begin the run.
        if self.pending || self.last.generation == Some(generation) {
            return Ok(());
        }
        self.mark(now_ms, generation, 0, sequence, limits)
    }

    /// Notes that a run ended here.
    pub(super) fn end_run(
        &mut self,
        now_ms: i64,
        generation: u32,
        sequence: &mut Sequence,
        limits: &Limits,
    ) -> io::Result<()> {
        if self.pending {
            return Ok(());
        }
        self.mark(now_ms, generation, END, sequence, limits)
    }

    /// Makes the bytes that come next covered: by a new record, or by the last one when that
    /// is of this millisecond and this run. Rotates first where that is due.
    pub(super) fn prepare(
        &mut self,
        now_ms: i64,
        generation: u32,
        sequence: &mut Sequence,
        limits: &Limits,
    ) -> io::Result<()> {
        limits.check()?;
        self.open_pending(now_ms, sequence)?;
        if self.end - self.header.base >= limits.raw_max_size {
            self.rotate_at_line_end(limits)?;
        }
        let Last {
            ts_ms,
            generation: last,
            covers,
        } = self.last;
        if covers && last == Some(generation) && ts_ms >= now_ms {
            return Ok(());
        }
        self.mark(now_ms, generation, 0, sequence, limits)
    }

    /// Moves up to `most` bytes from a pipe without copying them through this process. The
    /// kernel takes them off the pipe only once they are in the file.
    pub(super) fn splice_from(
        &mut self,
        pipe: BorrowedFd<'_>,
        most: usize,
        limits: &Limits,
    ) -> io::Result<usize> {
        limits.check()?;
        let mut at = self.end - self.header.base;
        let log = &self.files()?.log;
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        let moved = splice(pipe, None, log, Some(&mut at), most, flags)?;
        self.end += moved as u64;
        Ok(moved)
    }

    /// Writes some of the bytes.
    pub(super) fn write(&mut self, bytes: &[u8], limits: &Limits) -> io::Result<usize> {
        limits.check()?;
        let at = self.end - self.header.base;
        let written = self.files()?.log.write_at(bytes, at)?;
        self.end += written as u64;
        Ok(written)
    }

    /// The last byte is a line end, or there is none.
    pub(super) fn at_line_end(&mut self) -> io::Result<bool> {
        let size = self.end - self.header.base;
        let Some(last) = size.checked_sub(1) else {
            return Ok(true);
        };
        let mut byte = [0];
        self.files()?.log.read_exact_at(&mut byte, last)?;
        Ok(byte == *b"\n")
    }

    fn rotate_at_line_end(&mut self, limits: &Limits) -> io::Result<()> {
        let size = self.end - self.header.base;
        if size < limits.raw_max_size + OVERSHOOT && !self.at_line_end()? {
            return Ok(());
        }
        self.seal(limits)
    }

    /// Seals the current segment where no line goes on, so that it can be thinned out.
    pub(super) fn seal_for_age(
        &mut self,
        now_ms: i64,
        sequence: &mut Sequence,
        limits: &Limits,
    ) -> io::Result<()> {
        self.open_pending(now_ms, sequence)?;
        let ended = self.last.generation.is_none();
        if self.end == self.header.base || !(ended || self.at_line_end()?) {
            return Ok(());
        }
        self.seal(limits)
    }

    fn seal(&mut self, limits: &Limits) -> io::Result<()> {
        limits.check()?;
        if self.names.first().is_none() {
            let oldest = self.names.sealed()?.first().copied();
            self.names
                .begins_with(oldest.unwrap_or(self.header.number))?;
        }
        let sealed = self.names.sealed_log(self.header.number);
        gone(std::fs::rename(self.names.log(), sealed))?;
        self.seal_index()?;
        self.forget_oldest(limits)
    }

    /// Deletes what is more than `raw_keep` full segments. One that is thinned out, or was
    /// sealed for its age, counts for what it has.
    fn forget_oldest(&self, limits: &Limits) -> io::Result<()> {
        let mut room = limits.raw_keep.saturating_mul(limits.raw_max_size);
        let mut full = false;
        for number in self.names.sealed()?.into_iter().rev() {
            // One that cannot be read counts as whole.
            let size = Bytes::kept_size(&self.names, number).ok().flatten();
            let size = size.map_or(limits.raw_max_size, |size| size.min(limits.raw_max_size));
            full |= size > room;
            if full {
                self.names.let_go(number)?;
            } else {
                room -= size;
            }
        }
        Ok(())
    }

    /// The second half of sealing, once the log has its new name.
    fn seal_index(&mut self) -> io::Result<()> {
        let (index, sealed) = (
            self.names.index(),
            self.names.sealed_index(self.header.number),
        );
        match std::fs::hard_link(&index, &sealed) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            // Some filesystems know no links; readers find no index for a moment.
            Err(_) => std::fs::rename(&index, &sealed)?,
        }
        self.replace_index()
    }

    /// Begins the next segment at the present end.
    fn replace_index(&mut self) -> io::Result<()> {
        let header = Header {
            number: self.header.number + 1,
            base: self.end,
            epoch: self.header.epoch,
        };
        write_index(&self.names.index(), &header, &[])?;
        self.header = header;
        self.records = 0;
        self.last.covers = false;
        self.files = None;
        Ok(())
    }

    /// Deletes what was captured so far. Offsets go on, so that followers stay where they are.
    pub(super) fn flush(&mut self, now_ms: i64, sequence: &mut Sequence) -> io::Result<()> {
        self.open_pending(now_ms, sequence)?;
        self.files = None;
        let first = self.header.number + 1;
        let noted = self.names.begins_with(first);
        for number in self.names.sealed()? {
            self.names.let_go(number)?;
        }
        gone(std::fs::remove_file(self.names.log()))?;
        noted.or_else(|_| self.names.begins_with(first))?;
        self.replace_index()
    }
}

/// Puts an index in place in one step.
pub(super) fn write_index(path: &Path, header: &Header, records: &[Record]) -> io::Result<()> {
    let fresh = path.with_extension("idx.new");
    let mut bytes = header.encode().to_vec();
    bytes.extend(records.iter().flat_map(Record::encode));
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)?;
    file.write_all_at(&bytes, 0)?;
    std::fs::rename(fresh, path)
}

/// Makes an index for a stream that has none: a new one, or one whose index was lost. Bytes
/// without a record get the time at which the segment was last written.
fn begin_anew(names: &Names, now_ms: i64) -> io::Result<()> {
    if let Some(folder) = names.index().parent() {
        // It may have been removed with all that was in it.
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let sealed = lost::end_below(names, u64::MAX)?;
    let header = Header {
        number: sealed
            .map_or(1, |end| end.number + 1)
            .max(names.first().unwrap_or(1)),
        base: sealed.map_or(0, |end| end.offset),
        epoch: sealed.and_then(|end| end.epoch).unwrap_or(now_ms),
    };
    let first = match std::fs::metadata(names.log()) {
        Ok(metadata) if metadata.len() > 0 => Some(Record {
            offset: header.base,
            ts_ms: metadata
                .modified()
                .ok()
                .and_then(|time| jiff::Timestamp::try_from(time).ok())
                .map_or(now_ms, |time| time.as_millisecond()),
            seq: 0,
            generation: 0,
            flags: START | GUESSED,
        }),
        _ => None,
    };
    write_index(&names.index(), &header, first.as_slice())
}
