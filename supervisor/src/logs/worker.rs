//! The ingest thread: epoll over all FIFOs, one move each in turn.
//!
//! Readiness is level-triggered and each ready stream gets one move of at most 1 MiB a round,
//! so that a flood in one stream does not starve another. A stream that is written to all the
//! time in small pieces is looked at each millisecond, not at each write: that makes moves
//! bigger and leaves the processor to the programs.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::backlog::{Backlog, reason};
use super::counter::Counter;
use super::ingest::{Command, Shared, lock};
use super::segment::{Limits, Names, Sequence, Writer, streams_in};
use crate::clock::Clock;
use crate::ids::{Generation, InstanceId};
use crate::paths::Stream;

/// The most one move takes: the size of a big pipe.
const MOVE: usize = 1 << 20;
/// Below this a round was small, and the next one may wait a little to become bigger.
const SMALL: usize = 32 << 10;
/// A full pipe of the default size; a stream that fills it gets a bigger one.
const DEFAULT_PIPE: usize = 64 << 10;
const PACE: Duration = Duration::from_millis(1);
const GREW_EVERY: Duration = Duration::from_millis(20);
/// How often a disk that refused is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// Files of a stream are closed when it was silent for this long.
const REST_AFTER: Duration = Duration::from_secs(5);
/// All that may wait for the disk, over all streams: 64 MiB.
const MEMORY_OF_ALL: usize = 64 << 20;
/// The token of the eventfd.
const WAKE: u64 = 0;

type Key = (InstanceId, Stream);

/// One FIFO.
struct Capture {
    fifo: OwnedFd,
    path: PathBuf,
    key: Key,
    generation: Generation,
    grown: bool,
}

/// Where the bytes of a stream go; runs that overlap share it.
struct Target {
    writer: Writer,
    counter: Arc<Counter>,
    captures: u32,
    backlog: Option<Box<Backlog>>,
    /// The filesystem does not splice.
    by_copy: bool,
    open: bool,
    last_used: Instant,
}

struct Waiter {
    instance: InstanceId,
    generation: Generation,
    done: oneshot::Sender<()>,
}

/// What one move found.
enum Moved {
    Bytes(usize),
    /// Nothing there at the moment.
    Nothing,
    /// No program has it open.
    Ended,
}

pub(super) struct Worker {
    shared: Arc<Shared>,
    folder: PathBuf,
    clock: Clock,
    limits: Limits,
    epoll: OwnedFd,
    captures: HashMap<u64, Capture>,
    targets: HashMap<Key, Target>,
    waiters: Vec<Waiter>,
    sequence: Sequence,
    next_token: u64,
    buffer: Vec<u8>,
    /// A change that followers were not told of yet.
    unseen: bool,
    last_grew: Instant,
    last_tick: Instant,
    last_round: Instant,
    now: Instant,
}

impl Worker {
    pub(super) fn new(
        shared: Arc<Shared>,
        folder: PathBuf,
        clock: Clock,
        limits: Limits,
    ) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(
            &epoll,
            shared.wake(),
            epoll::EventData::new_u64(WAKE),
            epoll::EventFlags::IN,
        )?;
        let now = Instant::now();
        let mut worker = Self {
            shared,
            folder,
            clock,
            limits,
            epoll,
            captures: HashMap::new(),
            targets: HashMap::new(),
            waiters: Vec::new(),
            sequence: Sequence::default(),
            next_token: WAKE + 1,
            buffer: Vec::new(),
            unseen: false,
            last_grew: now,
            last_tick: now,
            last_round: now,
            now,
        };
        worker.recover()?;
        Ok(worker)
    }

    /// Repairs all streams and finds the greatest sequence number.
    fn recover(&mut self) -> io::Result<()> {
        for names in streams_in(&self.folder)? {
            let stem = names.stem().to_owned();
            match Writer::open(names, self.now_ms()) {
                Ok((_, seq)) => self.sequence.0 = self.sequence.0.max(seq),
                Err(error) => {
                    tracing::warn!(stream = stem, %error, "A log segment could not be read.");
                }
            }
        }
        Ok(())
    }

    fn now_ms(&self) -> i64 {
        self.clock.now().as_millisecond()
    }

    pub(super) fn run(mut self) {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(64);
        loop {
            let timeout = self.timeout().map(timespec);
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), timeout.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => {
                    tracing::error!(%error, "The capture of output ended.");
                    return;
                }
            }
            self.now = Instant::now();
            let now_ms = self.now_ms();
            let mut moved = 0;
            let mut biggest = 0;
            let mut woken = false;
            for event in &events {
                let (token, flags) = (event.data.u64(), event.flags);
                if token == WAKE {
                    woken = true;
                } else {
                    let bytes = self.pump(token, flags, now_ms);
                    moved += bytes;
                    biggest = biggest.max(bytes);
                }
            }
            self.unseen |= moved > 0;
            if woken && !self.commands(now_ms) {
                self.tell_followers();
                return;
            }
            if self.now.duration_since(self.last_tick) >= RETRY_EVERY {
                self.last_tick = self.now;
                self.tick();
            }
            if self.unseen && self.now.duration_since(self.last_grew) >= GREW_EVERY {
                self.tell_followers();
            }
            if moved > 0 {
                let soon = self.now.duration_since(self.last_round) < 2 * PACE;
                self.last_round = self.now;
                if soon && biggest < SMALL {
                    self.pace();
                }
            }
        }
    }

    /// Lets small writes gather; a command ends it early.
    fn pace(&self) {
        let mut wake = [PollFd::new(self.shared.wake(), PollFlags::IN)];
        // Interrupted is as good as over.
        let _ = rustix::event::poll(&mut wake, Some(&timespec(PACE)));
    }

    fn timeout(&self) -> Option<Duration> {
        let passed = |since: Instant| self.now.duration_since(since);
        let grew = self
            .unseen
            .then(|| GREW_EVERY.saturating_sub(passed(self.last_grew)));
        let open = self
            .targets
            .values()
            .any(|target| target.open || target.backlog.is_some());
        let tick = open.then(|| RETRY_EVERY.saturating_sub(passed(self.last_tick)));
        // Never zero, or a deadline a little ahead would be a busy loop.
        grew.into_iter()
            .chain(tick)
            .min()
            .map(|wait| wait.max(PACE))
    }

    fn tell_followers(&mut self) {
        self.unseen = false;
        self.last_grew = self.now;
        self.shared.grew.send_modify(|count| *count += 1);
    }

    /// Moves bytes of one stream once. Returns how many.
    fn pump(&mut self, token: u64, flags: epoll::EventFlags, now_ms: i64) -> usize {
        let over = flags.intersects(epoll::EventFlags::HUP | epoll::EventFlags::ERR);
        if !flags.contains(epoll::EventFlags::IN) {
            if over {
                self.end(token, now_ms);
            }
            return 0;
        }
        match self.take(token, now_ms) {
            Moved::Bytes(bytes) => bytes,
            Moved::Nothing => 0,
            Moved::Ended => {
                if over {
                    self.end(token, now_ms);
                }
                0
            }
        }
    }

    fn take(&mut self, token: u64, now_ms: i64) -> Moved {
        let Some(capture) = self.captures.get_mut(&token) else {
            return Moved::Nothing;
        };
        let Some(target) = self.targets.get_mut(&capture.key) else {
            return Moved::Nothing;
        };
        target.last_used = self.now;
        target.open = true;
        let generation = capture.generation as u32;
        if target.backlog.is_none() && !target.by_copy {
            let Self {
                sequence, limits, ..
            } = self;
            let writer = &mut target.writer;
            let moved = writer
                .prepare(now_ms, generation, sequence, limits)
                .and_then(|()| writer.splice_from(capture.fifo.as_fd(), MOVE, limits));
            match moved {
                Ok(0) => return Moved::Ended,
                Ok(bytes) => {
                    target.counter.add(now_ms, bytes as u64);
                    if bytes >= DEFAULT_PIPE && !capture.grown {
                        capture.grown = true;
                        // Refused above the user's share of pipe memory: then it stays small.
                        let _ = rustix::pipe::fcntl_setpipe_size(&capture.fifo, MOVE);
                    }
                    return Moved::Bytes(bytes);
                }
                Err(error) => match error.raw_os_error().map(Errno::from_raw_os_error) {
                    Some(Errno::AGAIN | Errno::INTR) => return Moved::Nothing,
                    Some(Errno::INVAL) => target.by_copy = true,
                    _ => target.backlog = Some(Box::new(Backlog::new(reason(&error), now_ms))),
                },
            }
        }
        self.copy(token, now_ms)
    }

    /// Takes bytes through memory: where splice is not possible or the disk refuses.
    fn copy(&mut self, token: u64, now_ms: i64) -> Moved {
        let Some(capture) = self.captures.get(&token) else {
            return Moved::Nothing;
        };
        self.buffer.resize(DEFAULT_PIPE, 0);
        let bytes = match rustix::io::read(&capture.fifo, &mut self.buffer[..]) {
            Ok(0) => return Moved::Ended,
            Ok(bytes) => bytes,
            Err(_) => return Moved::Nothing,
        };
        let waiting: usize = self
            .targets
            .values()
            .filter_map(|target| target.backlog.as_ref())
            .map(|backlog| backlog.size())
            .sum();
        let Some(target) = self.targets.get_mut(&capture.key) else {
            return Moved::Nothing;
        };
        target.counter.add(now_ms, bytes as u64);
        let generation = capture.generation as u32;
        let mut rest = &self.buffer[..bytes];
        while target.backlog.is_none() && !rest.is_empty() {
            let Self {
                sequence, limits, ..
            } = self;
            let writer = &mut target.writer;
            let written = writer
                .prepare(now_ms, generation, sequence, limits)
                .and_then(|()| writer.write(rest, limits));
            match written {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    target.backlog = Some(Box::new(Backlog::new(reason(&error), now_ms)));
                }
            }
        }
        if let Some(backlog) = &mut target.backlog
            && !rest.is_empty()
        {
            let own = self.limits.memory.saturating_sub(backlog.size());
            let room = own.min(MEMORY_OF_ALL.saturating_sub(waiting));
            backlog.push(rest, now_ms, generation, room);
            if lock(&self.shared.degraded).is_none() {
                self.report();
            }
        }
        Moved::Bytes(bytes)
    }

    /// A stream has reached its end.
    fn end(&mut self, token: u64, now_ms: i64) {
        let Some(capture) = self.captures.remove(&token) else {
            return;
        };
        // The kernel forgets a closed descriptor by itself; an error here changes nothing.
        let _ = epoll::delete(&self.epoll, &capture.fifo);
        let _ = std::fs::remove_file(&capture.path);
        crate::sys::release_output(&capture.path);
        if let Some(target) = self.targets.get_mut(&capture.key) {
            target.captures -= 1;
            if target.backlog.is_none() {
                let ended = target.writer.end_run(
                    now_ms,
                    capture.generation as u32,
                    &mut self.sequence,
                    &self.limits,
                );
                if let Err(error) = ended {
                    tracing::debug!(%error, "The end of a run was not noted.");
                }
            }
            self.drop_if_idle(&capture.key);
        }
        self.unseen = true;
        self.answer_waiters();
    }

    fn drop_if_idle(&mut self, key: &Key) {
        let idle = |target: &Target| target.captures == 0 && target.backlog.is_none();
        if self.targets.get(key).is_some_and(idle) {
            self.targets.remove(key);
        }
    }

    fn answer_waiters(&mut self) {
        let captures = &self.captures;
        let targets = &self.targets;
        let open = |waiter: &Waiter| {
            let of_run = captures.values().any(|capture| {
                capture.key.0 == waiter.instance && capture.generation == waiter.generation
            });
            let waits_for_disk = Stream::BOTH.into_iter().any(|stream| {
                targets
                    .get(&(waiter.instance.clone(), stream))
                    .is_some_and(|target| target.backlog.is_some())
            });
            of_run || waits_for_disk
        };
        for waiter in std::mem::take(&mut self.waiters) {
            if waiter.done.is_closed() {
                continue;
            }
            if open(&waiter) {
                self.waiters.push(waiter);
            } else {
                // Nobody waits any more: fine.
                let _ = waiter.done.send(());
            }
        }
    }

    /// Each second: tries a refusing disk again, closes files of silent streams.
    fn tick(&mut self) {
        let mut recovered = Vec::new();
        let Self {
            targets,
            sequence,
            limits,
            now,
            ..
        } = self;
        for (key, target) in targets.iter_mut() {
            if let Some(backlog) = &mut target.backlog {
                match backlog.write_to(&mut target.writer, sequence, limits) {
                    Ok(()) => {
                        target.backlog = None;
                        recovered.push(key.clone());
                    }
                    Err(error) => backlog.reason = reason(&error),
                }
            } else if target.open && now.duration_since(target.last_used) >= REST_AFTER {
                target.open = false;
                target.writer.rest();
            }
        }
        let was_degraded = lock(&self.shared.degraded).is_some();
        if !recovered.is_empty() || was_degraded {
            self.unseen |= !recovered.is_empty();
            self.report();
            for key in recovered {
                self.drop_if_idle(&key);
            }
            self.answer_waiters();
        }
    }

    /// Says what is wrong, where others can ask.
    fn report(&self) {
        let mut lines: Vec<String> = self
            .targets
            .iter()
            .filter_map(|((instance, stream), target)| {
                let name = format!("{instance} ({})", stream.as_str());
                Some(target.backlog.as_ref()?.describe(&name))
            })
            .collect();
        lines.sort();
        *lock(&self.shared.degraded) = match lines.len() {
            0 => None,
            1 => lines.pop(),
            more => Some(format!("{}; and {} more", lines.remove(0), more - 1)),
        };
    }

    /// Does what was asked. False when the thread is to end.
    fn commands(&mut self, now_ms: i64) -> bool {
        let mut count = [0; 8];
        // It only resets the counter; what is to be done stands in the queue.
        let _ = rustix::io::read(self.shared.wake(), &mut count);
        for command in self.shared.take_commands() {
            match command {
                Command::Attach {
                    instance,
                    generation,
                    stream,
                    fifo,
                    done,
                } => {
                    let result = self.attach((instance, stream), generation, fifo, now_ms);
                    let _ = done.send(result);
                }
                Command::Drained {
                    instance,
                    generation,
                    done,
                } => {
                    self.waiters.push(Waiter {
                        instance: instance.clone(),
                        generation,
                        done,
                    });
                    self.finish_run(&instance, generation, now_ms);
                    self.answer_waiters();
                }
                Command::Remove { instance, done } => {
                    let _ = done.send(self.remove(&instance));
                }
                Command::Flush { instance, done } => {
                    let _ = done.send(self.flush(&instance, now_ms));
                }
                Command::Stop { drain } => {
                    if drain {
                        self.drain_all(now_ms);
                    }
                    return false;
                }
            }
        }
        true
    }

    fn attach(
        &mut self,
        key: Key,
        generation: Generation,
        path: PathBuf,
        now_ms: i64,
    ) -> io::Result<()> {
        let known = self
            .captures
            .values()
            .any(|capture| capture.key == key && capture.generation == generation);
        if known {
            return Ok(());
        }
        let fifo = open_fifo(&path)?;
        if !self.targets.contains_key(&key) {
            let names = Names::new(&self.folder, &key.0, key.1);
            let (writer, seq) = Writer::open(names, now_ms)?;
            self.sequence.0 = self.sequence.0.max(seq);
            let target = Target {
                writer,
                counter: self.shared.counter(&key.0),
                captures: 0,
                backlog: None,
                by_copy: false,
                open: true,
                last_used: self.now,
            };
            self.targets.insert(key.clone(), target);
        }
        let token = self.next_token;
        self.next_token += 1;
        let data = epoll::EventData::new_u64(token);
        epoll::add(&self.epoll, &fifo, data, epoll::EventFlags::IN)?;
        if let Some(target) = self.targets.get_mut(&key) {
            target.captures += 1;
            let started = target.writer.start_run(
                now_ms,
                generation as u32,
                &mut self.sequence,
                &self.limits,
            );
            if let Err(error) = started {
                // The first bytes begin the run then.
                tracing::debug!(%error, "The start of a run was not noted.");
            }
        }
        let capture = Capture {
            fifo,
            path,
            key,
            generation,
            grown: false,
        };
        self.captures.insert(token, capture);
        Ok(())
    }

    /// Takes what is left of a run, and ends its streams that nobody has open, also those
    /// that nobody ever opened: epoll does not tell of these.
    fn finish_run(&mut self, instance: &InstanceId, generation: Generation, now_ms: i64) {
        let tokens: Vec<u64> = self
            .captures
            .iter()
            .filter(|(_, capture)| capture.key.0 == *instance && capture.generation == generation)
            .map(|(token, _)| *token)
            .collect();
        for token in tokens {
            if matches!(self.empty(token, now_ms), Moved::Ended) {
                self.end(token, now_ms);
            }
        }
    }

    /// Moves until nothing is there; at most a few pipes full, as a grandchild may go on.
    fn empty(&mut self, token: u64, now_ms: i64) -> Moved {
        for _ in 0..64 {
            let Some(capture) = self.captures.get(&token) else {
                return Moved::Nothing;
            };
            let waiting = rustix::io::ioctl_fionread(&capture.fifo).unwrap_or(0);
            let moved = match waiting {
                0 => self.copy(token, now_ms),
                _ => self.take(token, now_ms),
            };
            match moved {
                Moved::Bytes(_) => self.unseen = true,
                other => return other,
            }
        }
        Moved::Nothing
    }

    fn drain_all(&mut self, now_ms: i64) {
        let tokens: Vec<u64> = self.captures.keys().copied().collect();
        for token in tokens {
            if matches!(self.empty(token, now_ms), Moved::Ended)
                && self.captures.get(&token).is_some_and(hung_up)
            {
                self.end(token, now_ms);
            }
        }
        self.tick();
    }

    fn remove(&mut self, instance: &InstanceId) -> io::Result<()> {
        let epoll = &self.epoll;
        self.captures.retain(|_, capture| {
            let keep = capture.key.0 != *instance;
            if !keep {
                // Closing it takes it off the list in any case.
                let _ = epoll::delete(epoll, &capture.fifo);
                let _ = std::fs::remove_file(&capture.path);
                crate::sys::release_output(&capture.path);
            }
            keep
        });
        self.targets.retain(|key, _| key.0 != *instance);
        self.shared.forget(instance);
        self.answer_waiters();
        self.report();
        self.unseen = true;
        for stream in Stream::BOTH {
            Names::new(&self.folder, instance, stream).delete()?;
        }
        Ok(())
    }

    fn flush(&mut self, instance: &InstanceId, now_ms: i64) -> io::Result<()> {
        for stream in Stream::BOTH {
            if let Some(target) = self.targets.get_mut(&(instance.clone(), stream)) {
                target.writer.flush()?;
                continue;
            }
            let names = Names::new(&self.folder, instance, stream);
            if names.index().exists() || names.log().exists() {
                Writer::open(names, now_ms)?.0.flush()?;
            }
        }
        self.unseen = true;
        Ok(())
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: duration.as_secs() as i64,
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}

/// A program had it open and none has now.
fn hung_up(capture: &Capture) -> bool {
    let mut fds = [PollFd::new(&capture.fifo, PollFlags::IN)];
    let zero = timespec(Duration::ZERO);
    rustix::event::poll(&mut fds, Some(&zero)).is_ok() && fds[0].revents().contains(PollFlags::HUP)
}

fn open_fifo(path: &PathBuf) -> io::Result<OwnedFd> {
    use rustix::fs::{CWD, fstat, mkfifoat, open};
    match mkfifoat(CWD, path, Mode::RUSR | Mode::WUSR) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
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
