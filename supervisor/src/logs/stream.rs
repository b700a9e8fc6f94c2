//! One captured stream: from a FIFO into the segment, or into memory while the disk refuses.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use tokio::time::Instant;

use super::backlog::{Backlog, reason};
use super::counter::Counter;
use super::segment::{Limits, Sequence, Writer};
use super::spool::Spool;
use crate::ids::{Generation, InstanceId};
use crate::paths::Stream;

/// The most one move takes: the size of a big pipe.
const MOVE: usize = 1 << 20;
/// A full pipe of the default size; a stream that fills it gets a bigger one.
const DEFAULT_PIPE: usize = 64 << 10;
/// All that may wait for the disk, over all streams: 64 MiB.
const MEMORY_OF_ALL: usize = 64 << 20;

pub(super) type Key = (InstanceId, Stream);

/// One FIFO, or file in its place.
#[derive(Debug)]
pub(super) struct Capture {
    pub(super) fifo: OwnedFd,
    pub(super) path: PathBuf,
    pub(super) key: Key,
    pub(super) generation: Generation,
    /// Of output that goes through a file.
    pub(super) spool: Option<Spool>,
    grown: bool,
}

/// Where the bytes of a stream go; runs that overlap share it.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) writer: Writer,
    counter: Arc<Counter>,
    pub(super) captures: u32,
    pub(super) backlog: Option<Box<Backlog>>,
    /// The filesystem does not splice.
    by_copy: bool,
    /// Its files may be open.
    pub(super) open: bool,
    pub(super) last_used: Instant,
}

/// What all streams share.
pub(super) struct Surroundings<'a> {
    pub(super) sequence: &'a mut Sequence,
    pub(super) limits: &'a Limits,
    pub(super) buffer: &'a mut Vec<u8>,
    /// Bytes that wait for the disk, over all streams.
    pub(super) held: usize,
}

/// What one move found.
pub(super) enum Moved {
    Bytes(usize),
    /// Nothing there at the moment.
    Nothing,
    /// No program has it open.
    Ended,
}

impl Capture {
    pub(super) fn new(fifo: OwnedFd, path: PathBuf, key: Key, generation: Generation) -> Self {
        Self {
            fifo,
            path,
            key,
            generation,
            spool: None,
            grown: false,
        }
    }

    /// Opens what the path names, and makes it if it is not there.
    pub(super) fn open(path: PathBuf, key: Key, generation: Generation) -> io::Result<Self> {
        if !crate::paths::is_spool(&path) {
            return Ok(Self::new(open_fifo(&path)?, path, key, generation));
        }
        let (file, spool) = Spool::open(&path)?;
        let spool = Some(spool);
        let capture = Self::new(file, path, key, generation);
        Ok(Self { spool, ..capture })
    }

    /// Deletes what carried the output.
    pub(super) fn delete(&self) {
        if self.spool.is_some() {
            super::spool::delete(&self.path);
        } else {
            let _ = std::fs::remove_file(&self.path);
            crate::sys::release_output(&self.path);
        }
    }

    /// Nothing is there to be read: is it over?
    fn at_end(&mut self) -> Moved {
        let file = &self.fifo;
        match self.spool.as_mut().is_none_or(|spool| spool.is_over(file)) {
            true => Moved::Ended,
            false => Moved::Nothing,
        }
    }

    /// A program had it open and none has now.
    pub(super) fn hung_up(&self) -> bool {
        if self.spool.is_some() {
            // Its end is known from its writers, not from the file.
            return true;
        }
        let mut fds = [PollFd::new(&self.fifo, PollFlags::IN)];
        let zero = timespec(Duration::ZERO);
        rustix::event::poll(&mut fds, Some(&zero)).is_ok()
            && fds[0].revents().contains(PollFlags::HUP)
    }

    /// A program that fills its pipe gets a bigger one, so that it waits less often. Not all
    /// do from the start: pipe memory per user is limited.
    fn grow(&mut self) {
        if !self.grown {
            self.grown = true;
            // Refused above the user's share: then it stays small.
            let _ = rustix::pipe::fcntl_setpipe_size(&self.fifo, MOVE);
        }
    }
}

impl Target {
    pub(super) fn new(writer: Writer, counter: Arc<Counter>, now: Instant) -> Self {
        Self {
            writer,
            counter,
            captures: 0,
            backlog: None,
            by_copy: false,
            open: true,
            last_used: now,
        }
    }

    /// Bytes that wait for the disk.
    pub(super) fn held(&self) -> usize {
        self.backlog.as_ref().map_or(0, |backlog| backlog.size())
    }

    /// Moves what is in the pipe to where it can go.
    pub(super) fn take(
        &mut self,
        capture: &mut Capture,
        now_ms: i64,
        at: &mut Surroundings<'_>,
    ) -> Moved {
        if self.backlog.is_none() && !self.by_copy {
            let generation = capture.generation as u32;
            let writer = &mut self.writer;
            let moved = writer
                .prepare(now_ms, generation, at.sequence, at.limits)
                .and_then(|()| writer.splice_from(capture.fifo.as_fd(), MOVE, at.limits));
            match moved {
                Ok(0) => return Moved::Ended,
                Ok(bytes) => {
                    self.counter.add(now_ms, bytes as u64);
                    if bytes >= DEFAULT_PIPE {
                        capture.grow();
                    }
                    return Moved::Bytes(bytes);
                }
                Err(error) => match error.raw_os_error().map(Errno::from_raw_os_error) {
                    Some(Errno::AGAIN | Errno::INTR) => return Moved::Nothing,
                    Some(Errno::INVAL) => self.by_copy = true,
                    _ => self.refused(&error, now_ms),
                },
            }
        }
        self.copy(capture, now_ms, at)
    }

    /// Takes bytes through memory: where splice is not possible or the disk refuses.
    pub(super) fn copy(
        &mut self,
        capture: &mut Capture,
        now_ms: i64,
        at: &mut Surroundings<'_>,
    ) -> Moved {
        if self.backlog.is_some() && capture.spool.is_some() {
            // It is in a file already and can wait there.
            return Moved::Nothing;
        }
        at.buffer.resize(DEFAULT_PIPE, 0);
        let bytes = match rustix::io::read(&capture.fifo, &mut at.buffer[..]) {
            Ok(0) => return capture.at_end(),
            Ok(bytes) => bytes,
            Err(_) => return Moved::Nothing,
        };
        self.counter.add(now_ms, bytes as u64);
        let generation = capture.generation as u32;
        let mut rest = &at.buffer[..bytes];
        while self.backlog.is_none() && !rest.is_empty() {
            let writer = &mut self.writer;
            let written = writer
                .prepare(now_ms, generation, at.sequence, at.limits)
                .and_then(|()| writer.write(rest, at.limits));
            match written {
                Ok(0) => self.refused(&io::ErrorKind::WriteZero.into(), now_ms),
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.refused(&error, now_ms),
            }
        }
        if let Some(backlog) = &mut self.backlog
            && !rest.is_empty()
        {
            let own = at.limits.memory.saturating_sub(backlog.size());
            let room = own.min(MEMORY_OF_ALL.saturating_sub(at.held));
            let lost = backlog.push(rest, now_ms, generation, room);
            self.counter.lose(lost);
        }
        if let Some(spool) = &mut capture.spool {
            spool.advance(&capture.path, bytes as u64);
        }
        Moved::Bytes(bytes)
    }

    fn refused(&mut self, error: &io::Error, now_ms: i64) {
        self.backlog = Some(Box::new(Backlog::new(reason(error), now_ms)));
    }
}

/// Opens the reading end, and makes the FIFO if it is not there.
pub(super) fn open_fifo(path: &Path) -> io::Result<OwnedFd> {
    use rustix::fs::{fstat, open};
    crate::sys::make_fifo(path)?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let fifo = open(path, flags, Mode::empty())?;
    if FileType::from_raw_mode(fstat(&fifo)?.st_mode) != FileType::Fifo {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{} is not a FIFO", path.display()),
        ));
    }
    Ok(fifo)
}

pub(super) fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: duration.as_secs() as i64,
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}
