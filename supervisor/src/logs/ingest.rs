//! The handle to the capture of what programs print.
//!
//! ```text
//!   Ingest ──Command──► ingest thread ◄──epoll── FIFO of each run and stream
//!     ▲                      │ splice: no byte passes through this process
//!     └── bytes, grew ◄──────┴──► segment + index
//! ```
//!
//! One OS thread serves all streams, so that neither the runtime nor a slow reader of logs can
//! delay a child. A daemon that is killed at any moment loses nothing: bytes are in the FIFO
//! until they are in the segment.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use regex::Regex;
use tokio::sync::{broadcast, oneshot, watch};

use super::awaited;
use super::counter::Counter;
use super::index::{IndexView, LogIndex, NewPattern, Order, Orders};
use super::mend::Plan;
use super::names::Names;
use super::record::Level;
use super::retention::Retention;
use super::scan;
use super::segment::Limits;
use super::worker::Worker;
use crate::clock::Clock;
use crate::ids::{Generation, InstanceId, ProcessName};
use crate::paths::{Paths, Stream};

/// Longest line [`Ingest::tail`] gives, in characters.
const TAIL_CHARS: usize = 2_000;

/// What the thread is asked to do; it answers when it is done.
pub(super) enum Command {
    Attach {
        instance: InstanceId,
        generation: Generation,
        stream: Stream,
        fifo: PathBuf,
        done: oneshot::Sender<io::Result<()>>,
    },
    Drained {
        instance: InstanceId,
        generation: Generation,
        done: oneshot::Sender<()>,
    },
    Remove {
        instance: InstanceId,
        done: oneshot::Sender<io::Result<()>>,
    },
    Flush {
        instance: InstanceId,
        done: oneshot::Sender<io::Result<()>>,
    },
    /// The current segment is old: no more goes into it.
    Seal {
        instance: InstanceId,
        stream: Stream,
    },
    /// A side index was lost.
    Mend(Box<Plan>),
    Stop {
        drain: bool,
    },
}

/// What handle and thread both see.
pub(super) struct Shared {
    /// `None` once the thread has ended: what is asked then is dropped, and so answered.
    commands: Mutex<Option<Vec<Command>>>,
    wake: OwnedFd,
    counters: Mutex<HashMap<InstanceId, Arc<Counter>>>,
    pub(super) degraded: Mutex<Option<String>>,
    pub(super) grew: watch::Sender<u64>,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn wake(&self) -> &OwnedFd {
        &self.wake
    }

    pub(super) fn take_commands(&self) -> Vec<Command> {
        let mut commands = lock(&self.commands);
        commands.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Nobody answers any more; whoever waits learns of it.
    pub(super) fn close(&self) {
        *lock(&self.commands) = None;
    }

    pub(super) fn counter(&self, instance: &InstanceId) -> Arc<Counter> {
        lock(&self.counters)
            .entry(instance.clone())
            .or_default()
            .clone()
    }

    pub(super) fn forget(&self, instance: &InstanceId) {
        lock(&self.counters).remove(instance);
    }

    fn send(&self, command: Command) {
        match lock(&self.commands).as_mut() {
            Some(commands) => commands.push(command),
            None => return,
        }
        // The counter can only be full when the thread is awake anyway.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }
}

/// Captures what programs print. Cheap to clone; the thread ends with the last handle.
#[derive(Clone)]
pub struct Ingest {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
    index: OnceLock<LogIndex>,
    folder: PathBuf,
    clock: Clock,
}

impl std::fmt::Debug for Ingest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ingest")
            .field("folder", &self.inner.folder)
            .finish_non_exhaustive()
    }
}

impl Ingest {
    /// Starts the thread. Repairs what a crash left of the segments.
    ///
    /// # Errors
    /// When the system gives no thread or descriptor, or the folder cannot be read.
    pub fn start(paths: &Paths, clock: &Clock) -> io::Result<Ingest> {
        Self::start_with(paths, clock, Limits::default())
    }

    /// As [`Ingest::start`], with other limits.
    ///
    /// # Errors
    /// As [`Ingest::start`].
    pub fn start_with(paths: &Paths, clock: &Clock, limits: Limits) -> io::Result<Ingest> {
        use rustix::event::{EventfdFlags, eventfd};
        let folder = paths.logs();
        std::fs::create_dir_all(&folder)?;
        let shared = Arc::new(Shared {
            commands: Mutex::new(Some(Vec::new())),
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            counters: Mutex::default(),
            degraded: Mutex::default(),
            grew: watch::Sender::new(0),
        });
        let worker = Worker::new(shared.clone(), folder.clone(), clock.clone(), limits)?;
        let thread = std::thread::Builder::new()
            .name("ingest".to_owned())
            .spawn({
                let shared = shared.clone();
                move || {
                    worker.run();
                    shared.close();
                }
            })?;
        Ok(Ingest {
            inner: Arc::new(Inner {
                shared,
                thread: Mutex::new(Some(thread)),
                index: OnceLock::new(),
                folder,
                clock: clock.clone(),
            }),
        })
    }

    /// Starts the index over what is captured. It ends with the capture.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start_index(&self, paths: &Paths) -> io::Result<()> {
        self.start_index_with(paths, watch::Sender::new(Retention::default()).subscribe())
    }

    /// As [`Ingest::start_index`]; lines are kept as long as `retention` says.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start_index_with(
        &self,
        paths: &Paths,
        retention: watch::Receiver<Retention>,
    ) -> io::Result<()> {
        if self.inner.index.get().is_none() {
            let index = LogIndex::start(
                paths,
                &self.inner.clock,
                self.grew(),
                retention,
                self.orders(),
            )?;
            // Two at once: one of them is dropped, and ends.
            let _ = self.inner.index.set(index);
        }
        Ok(())
    }

    /// Has the thread do what the index finds to be done.
    pub(super) fn orders(&self) -> Orders {
        let shared = self.inner.shared.clone();
        Arc::new(move |order| {
            shared.send(match order {
                Order::Seal(instance, stream) => Command::Seal { instance, stream },
                Order::Mend(plan) => Command::Mend(plan),
            });
        })
    }

    /// How many lines each process printed since the daemon started, by level, as far as they
    /// are indexed.
    pub fn came(&self) -> Vec<(ProcessName, Option<Level>, u64)> {
        self.inner.index.get().map_or_else(Vec::new, LogIndex::came)
    }

    /// How many lines of each process were lost since the daemon started, while the disk took
    /// no bytes and memory was full.
    pub fn dropped(&self) -> HashMap<ProcessName, u64> {
        let mut dropped = HashMap::new();
        for (instance, counter) in lock(&self.inner.shared.counters).iter() {
            *dropped.entry(instance.process.clone()).or_default() += counter.dropped();
        }
        dropped
    }

    /// How the index is; empty when there is none.
    pub fn index(&self) -> IndexView {
        let index = self.inner.index.get();
        index.map_or_else(IndexView::default, LogIndex::view)
    }

    /// Tells of each kind of line that is printed for the first time; `None` without an index.
    pub fn new_patterns(&self) -> Option<broadcast::Receiver<NewPattern>> {
        self.inner.index.get().map(LogIndex::new_patterns)
    }

    /// Makes the index anew. Queries read the segments meanwhile.
    pub fn reindex(&self) {
        if let Some(index) = self.inner.index.get() {
            index.rebuild();
        }
    }

    /// Captures one stream of one run until its end. Makes the FIFO if it is not there, so it
    /// is to be called before the program starts, and again for a program that was re-adopted.
    /// Calling it twice is the same as once.
    ///
    /// # Errors
    /// When the FIFO or the segment cannot be opened, or a file of that name is no FIFO.
    pub async fn attach(
        &self,
        instance: &InstanceId,
        generation: Generation,
        stream: Stream,
        fifo: &Path,
    ) -> io::Result<()> {
        self.ask(|done| Command::Attach {
            instance: instance.clone(),
            generation,
            stream,
            fifo: fifo.to_owned(),
            done,
        })
        .await
    }

    /// Takes what an ended run has left in its FIFOs, before anything that is asked for later.
    /// Does not wait for it.
    pub fn finish(&self, instance: &InstanceId, generation: Generation) {
        let (done, _) = oneshot::channel();
        self.inner.shared.send(Command::Drained {
            instance: instance.clone(),
            generation,
            done,
        });
    }

    /// Waits until both streams of a run have ended and all they printed is in segments; at
    /// most `limit`, since a grandchild may hold them open for ever. Their FIFOs are deleted at
    /// their end. A stream that no program ever opened ends here too.
    pub async fn drained(&self, instance: &InstanceId, generation: Generation, limit: Duration) {
        let (done, ended) = oneshot::channel();
        self.inner.shared.send(Command::Drained {
            instance: instance.clone(),
            generation,
            done,
        });
        // Either it ended, or time is up, or the thread is gone: no more will come.
        let _ = tokio::time::timeout(limit, ended).await;
    }

    /// The last `n` lines that a run printed to a stream, as text, each cut to 2,000
    /// characters. Reads files: call it where blocking is fine.
    pub fn tail(
        &self,
        instance: &InstanceId,
        generation: Generation,
        stream: Stream,
        n: usize,
    ) -> Vec<String> {
        let names = Names::new(&self.inner.folder, instance, stream);
        let lines = scan::tail_of_run(names, generation as u32, n).unwrap_or_default();
        let cut = |line: String| match line.char_indices().nth(TAIL_CHARS) {
            Some((end, _)) => line[..end].to_owned(),
            None => line,
        };
        lines.into_iter().map(cut).collect()
    }

    /// Waits until a run has printed a line that matches, to either stream; at once, if it has
    /// already. `began` is when the run did.
    pub async fn printed(
        &self,
        instance: &InstanceId,
        generation: Generation,
        began: Timestamp,
        pattern: Regex,
    ) {
        let (folder, clock) = (self.inner.folder.clone(), &self.inner.clock);
        awaited::printed(self, folder, clock, instance, generation, began, pattern).await;
    }

    /// Bytes captured for an instance since the daemon started, both streams.
    pub fn bytes(&self, instance: &InstanceId) -> u64 {
        lock(&self.inner.shared.counters)
            .get(instance)
            .map_or(0, |counter| counter.total())
    }

    /// Bytes an instance printed in the last `window`: whole seconds, at most a minute.
    pub fn bytes_in(&self, instance: &InstanceId, window: Duration) -> u64 {
        lock(&self.inner.shared.counters)
            .get(instance)
            .map_or(0, |counter| counter.within(self.now_ms(), window))
    }

    /// The processes that printed anything in the last `window`, in no order and perhaps more
    /// than once.
    pub fn talking(&self, window: Duration) -> Vec<ProcessName> {
        let now = self.now_ms();
        lock(&self.inner.shared.counters)
            .iter()
            .filter(|(_, counter)| counter.within(now, window) > 0)
            .map(|(instance, _)| instance.process.clone())
            .collect()
    }

    /// A number that grows when any segment did, at most every 20 ms.
    pub fn growth(&self) -> u64 {
        *self.inner.shared.grew.borrow()
    }

    /// Changes when any segment grew, at most every 20 ms.
    pub fn grew(&self) -> watch::Receiver<u64> {
        self.inner.shared.grew.subscribe()
    }

    /// Stops capturing an instance and deletes all it printed.
    ///
    /// # Errors
    /// When a file cannot be deleted.
    pub async fn remove(&self, instance: &InstanceId) -> io::Result<()> {
        self.ask(|done| Command::Remove {
            instance: instance.clone(),
            done,
        })
        .await
    }

    /// Deletes what an instance printed so far and goes on capturing.
    ///
    /// # Errors
    /// When a file cannot be deleted or made.
    pub async fn flush(&self, instance: &InstanceId) -> io::Result<()> {
        self.ask(|done| Command::Flush {
            instance: instance.clone(),
            done,
        })
        .await
    }

    /// What is wrong at the moment: which output cannot be written, and what was lost.
    pub fn degraded(&self) -> Option<String> {
        let capture = lock(&self.inner.shared.degraded).clone();
        capture.or_else(|| self.index().degraded())
    }

    /// Takes what is in the FIFOs and ends the thread. Programs go on into their FIFOs.
    pub fn stop(&self) {
        self.inner.end(true);
    }

    fn now_ms(&self) -> i64 {
        self.inner.clock.now().as_millisecond()
    }

    async fn ask(
        &self,
        command: impl FnOnce(oneshot::Sender<io::Result<()>>) -> Command,
    ) -> io::Result<()> {
        let (done, answer) = oneshot::channel();
        self.inner.shared.send(command(done));
        let stopped = |_| io::Error::other("the capture of output has stopped");
        answer.await.unwrap_or_else(|gone| Err(stopped(gone)))
    }
}

impl Inner {
    fn end(&self, drain: bool) {
        let Some(thread) = lock(&self.thread).take() else {
            return;
        };
        self.shared.send(Command::Stop { drain });
        // A panic of the thread was reported where it happened.
        let _ = thread.join();
        self.shared.close();
        if let Some(index) = self.index.get() {
            index.stop();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.end(false);
    }
}
