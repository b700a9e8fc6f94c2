//! The ingest thread: epoll over all FIFOs, one move each in turn.
//!
//! Readiness is level-triggered and each ready stream gets one move of at most 1 MiB a round,
//! so that a flood in one stream does not starve another. A stream that is written to all the
//! time in small pieces is looked at each millisecond, not at each write: that makes moves
//! bigger and leaves the processor to the programs.

mod orders;

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, epoll};
use rustix::io::Errno;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::backlog::reason;
use super::ingest::{Shared, lock};
use super::names::streams_in;
use super::reader::PARTIAL_AFTER_MS;
use super::segment::{Limits, Sequence, Writer};
use super::spool::{News, Watches};
use super::stream::{Capture, Key, Moved, Surroundings, Target, timespec};
use crate::clock::Clock;
use crate::ids::{Generation, InstanceId};
use crate::paths::Stream;

/// Below this a round was small, and the next one may wait a little to become bigger.
const SMALL: usize = 32 << 10;
const PACE: Duration = Duration::from_millis(1);
const GREW_EVERY: Duration = Duration::from_millis(20);
/// How often a disk that refused is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// Files of a stream are closed when it was silent for this long.
const REST_AFTER: Duration = Duration::from_secs(5);
const PARTIAL_AFTER: Duration = Duration::from_millis(PARTIAL_AFTER_MS as u64);
/// The token of the eventfd.
const WAKE: u64 = 0;
/// The token of inotify, for output that goes through files.
const NEWS: u64 = u64::MAX;
/// How much of one file is copied before others have their turn.
const FILE_TURN: usize = 4 << 20;

type Run = (InstanceId, Generation);

pub(super) struct Worker {
    shared: Arc<Shared>,
    folder: PathBuf,
    clock: Clock,
    limits: Limits,
    epoll: OwnedFd,
    // Boxed: a table is up to half empty, and these are many and large.
    captures: HashMap<u64, Box<Capture>>,
    targets: HashMap<Key, Box<Target>>,
    /// How many streams of a run are open.
    runs: HashMap<Run, u32>,
    waiters: HashMap<Run, Vec<oneshot::Sender<()>>>,
    watches: Watches,
    /// Files of which more is there than was copied in their turn.
    unread: Vec<u64>,
    sequence: Sequence,
    next_token: u64,
    buffer: Vec<u8>,
    /// Bytes that wait for the disk, over all streams.
    held: usize,
    /// Some stream has open files or waits for the disk.
    busy: bool,
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
            runs: HashMap::new(),
            waiters: HashMap::new(),
            watches: Watches::default(),
            unread: Vec::new(),
            sequence: Sequence::default(),
            next_token: WAKE + 1,
            buffer: Vec::new(),
            held: 0,
            busy: false,
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
        let mut refused = false;
        loop {
            let timeout = self.timeout().map(timespec);
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), timeout.as_ref()) {
                Ok(_) => refused = false,
                Err(Errno::INTR) => {}
                Err(error) => {
                    // Nobody else would take what programs print.
                    if !std::mem::replace(&mut refused, true) {
                        tracing::error!(%error, "The capture of output cannot wait for more.");
                    }
                    let _ = rustix::event::poll(&mut [], Some(&timespec(GREW_EVERY)));
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
                } else if token == NEWS {
                    self.read_news();
                } else {
                    let bytes = self.pump(token, flags, now_ms);
                    moved += bytes;
                    biggest = biggest.max(bytes);
                }
            }
            // In the order in which the runs began: what an ended one left comes first.
            let mut unread = std::mem::take(&mut self.unread);
            unread.sort_unstable();
            unread.dedup();
            for token in unread {
                if self.comes_after_unread(token) {
                    self.unread.push(token);
                    continue;
                }
                moved += self.pump_file(token, now_ms);
                biggest = biggest.max(SMALL);
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
        let tick = self
            .busy
            .then(|| RETRY_EVERY.saturating_sub(passed(self.last_tick)));
        let unread = (!self.unread.is_empty()).then_some(PACE);
        // Never zero, or a deadline a little ahead would be a busy loop.
        grew.into_iter()
            .chain(tick)
            .chain(unread)
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
        // The kernel looks for bytes first and for writers then, without a lock: a last write
        // in between shows as a hang-up with nothing to read. Only a read tells the end.
        let moved = if flags.contains(epoll::EventFlags::IN) {
            self.take(token, now_ms)
        } else {
            self.step(token, now_ms)
        };
        match moved {
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

    /// Learns which files have more to read, or have lost their last writer.
    fn read_news(&mut self) {
        for News { token, closed } in self.watches.news() {
            let capture = self.captures.get_mut(&token);
            if let Some(spool) = capture.and_then(|capture| capture.spool.as_mut()) {
                spool.opened |= closed;
                if !self.unread.contains(&token) {
                    self.unread.push(token);
                }
            }
        }
    }

    /// An earlier run of the same stream has more to read.
    fn comes_after_unread(&self, token: u64) -> bool {
        let key = |token| self.captures.get(token).map(|capture| &capture.key);
        let own = key(&token);
        self.unread.iter().any(|other| key(other) == own)
    }

    /// Copies what a file has, up to its turn. Returns how many bytes.
    fn pump_file(&mut self, token: u64, now_ms: i64) -> usize {
        let mut copied = 0;
        while copied < FILE_TURN {
            match self.copy(token, now_ms) {
                Moved::Bytes(bytes) => copied += bytes,
                Moved::Nothing => return copied,
                Moved::Ended => {
                    self.end(token, now_ms);
                    return copied;
                }
            }
        }
        self.unread.push(token);
        copied
    }

    /// Moves what is there, without a needless record when nothing is.
    fn step(&mut self, token: u64, now_ms: i64) -> Moved {
        if self
            .captures
            .get(&token)
            .is_some_and(|capture| capture.spool.is_some())
        {
            return self.copy(token, now_ms);
        }
        let waiting = self
            .captures
            .get(&token)
            .map(|capture| rustix::io::ioctl_fionread(&capture.fifo).unwrap_or(0));
        match waiting {
            None => Moved::Nothing,
            Some(0) => self.copy(token, now_ms),
            Some(_) => self.take(token, now_ms),
        }
    }

    fn take(&mut self, token: u64, now_ms: i64) -> Moved {
        self.with_target(token, |target, capture, at| {
            target.take(capture, now_ms, at)
        })
    }

    fn copy(&mut self, token: u64, now_ms: i64) -> Moved {
        self.with_target(token, |target, capture, at| {
            target.copy(capture, now_ms, at)
        })
    }

    fn with_target(
        &mut self,
        token: u64,
        work: impl FnOnce(&mut Target, &mut Capture, &mut Surroundings<'_>) -> Moved,
    ) -> Moved {
        let Some(capture) = self.captures.get_mut(&token) else {
            return Moved::Nothing;
        };
        let Some(target) = self.targets.get_mut(&capture.key) else {
            return Moved::Nothing;
        };
        target.last_used = self.now;
        target.open = true;
        self.busy = true;
        let held = target.held();
        let mut at = Surroundings {
            sequence: &mut self.sequence,
            limits: &self.limits,
            buffer: &mut self.buffer,
            held: self.held,
        };
        let moved = work(target, capture, &mut at);
        let holds = target.held();
        self.held = (self.held + holds).saturating_sub(held);
        if target.backlog.is_some() && lock(&self.shared.degraded).is_none() {
            self.report();
        }
        moved
    }

    /// A stream has reached its end.
    fn end(&mut self, token: u64, now_ms: i64) {
        let Some(capture) = self.captures.remove(&token) else {
            return;
        };
        // The kernel forgets a closed descriptor by itself; an error here changes nothing.
        let _ = epoll::delete(&self.epoll, &capture.fifo);
        self.watches.remove(token);
        capture.delete();
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
            // It goes at a tick, if the next run does not come before that.
            self.busy = true;
        }
        self.unseen = true;
        let run = (capture.key.0, capture.generation);
        self.leave_run(&run);
        self.answer_waiters(&run);
    }

    /// Tells those who wait for a run, if it has ended and its bytes are in segments.
    fn answer_waiters(&mut self, run: &Run) {
        let waits_for_disk = Stream::BOTH.into_iter().any(|stream| {
            let target = self.targets.get(&(run.0.clone(), stream));
            target.is_some_and(|target| target.backlog.is_some())
        });
        if self.runs.contains_key(run) || waits_for_disk {
            return;
        }
        for done in self.waiters.remove(run).unwrap_or_default() {
            // Nobody waits any more: fine.
            let _ = done.send(());
        }
    }

    fn answer_all_waiters(&mut self) {
        let runs: Vec<Run> = self.waiters.keys().cloned().collect();
        runs.iter().for_each(|run| self.answer_waiters(run));
    }

    /// A capture of this run is gone.
    fn leave_run(&mut self, run: &Run) {
        if let Some(open) = self.runs.get_mut(run) {
            *open -= 1;
            if *open == 0 {
                self.runs.remove(run);
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
            } else if target.open {
                if target.writer.let_go_of_removed() {
                    tracing::warn!(instance = %key.0, "Log files were removed while they were written; new ones begin.");
                }
                let silent = now.duration_since(target.last_used);
                // An unfinished line becomes visible by time alone: followers look again.
                self.unseen |= (PARTIAL_AFTER..PARTIAL_AFTER + 2 * RETRY_EVERY).contains(&silent);
                if silent >= REST_AFTER {
                    target.open = false;
                    target.writer.rest();
                }
            }
        }
        let now = self.now;
        self.targets.retain(|_, target| {
            target.captures > 0
                || target.backlog.is_some()
                || now.duration_since(target.last_used) < RETRY_EVERY
        });
        let waiting =
            |target: &Target| target.open || target.backlog.is_some() || target.captures == 0;
        self.busy = self.targets.values().any(|target| waiting(target));
        self.held = self.targets.values().map(|target| target.held()).sum();
        let was_degraded = lock(&self.shared.degraded).is_some();
        if !recovered.is_empty() || was_degraded {
            self.unseen |= !recovered.is_empty();
            self.report();
            // Files have waited for that, too.
            let waiting = self
                .captures
                .iter()
                .filter(|(_, capture)| capture.spool.is_some() && recovered.contains(&capture.key));
            self.unread.extend(waiting.map(|(token, _)| *token));
            self.answer_all_waiters();
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
}
