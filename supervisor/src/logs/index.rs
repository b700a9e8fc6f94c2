//! The derived index: what makes a word among millions of lines findable in milliseconds.
//!
//! ```text
//!  segments ──gather──► indexer thread ──one transaction──► logs.sqlite (rows, words, cursors)
//!      │                                                        │
//!      └────────── scan of what is not indexed yet ──► query ◄──┘ read-only
//! ```
//!
//! Segments are the truth. The index may lag, be deleted or be damaged at any time: a query
//! takes from it what it has and scans the rest, and the indexer makes it again. Rows and the
//! places up to which streams are indexed are written in one transaction, so that a kill at any
//! moment leaves neither a gap nor a line twice. Nothing here stands between a program and its
//! next line.

mod came;
mod clean;
mod gather;
mod insert;
mod keeper;
pub(super) mod lookup;
mod minutes;
mod patterns;
mod schema;
mod worker;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, broadcast, watch};

use super::missing::Lost;
use super::record::Level;
use super::retention::Retention;
use crate::clock::Clock;
use crate::ids::ProcessName;
use crate::paths::Paths;

use keeper::Keeper;
pub(super) use keeper::{Order, Orders};

/// The name of the index in the folder of the logs.
pub(super) const FILE: &str = "logs.sqlite";

/// Where the index of a logs folder is.
pub(super) fn path_in(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

/// How the index is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexView {
    /// Lines in it.
    pub lines: u64,
    /// Bytes of output that are not in it yet; queries scan them.
    pub behind_bytes: u64,
    /// Bytes that it cannot have, because the file with their times is lost; queries scan them.
    #[serde(default)]
    pub apart_bytes: u64,
    /// Files of kept lines that somebody removed, at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<Lost>,
    /// How old the oldest line is that is not in it yet, in milliseconds.
    pub lag_ms: u64,
    /// Its size on disk, in bytes.
    pub size_bytes: u64,
    /// How often it was made anew since the daemon started.
    pub rebuilds: u64,
    /// What is wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Lag that is worth telling, in milliseconds.
const WORTH_TELLING_MS: u64 = 5_000;

impl IndexView {
    /// One sentence for `status` when the index is far behind or broken.
    pub fn degraded(&self) -> Option<String> {
        if let Some(problem) = &self.problem {
            return Some(format!(
                "the log index cannot be written: {problem}; searches read the logs themselves"
            ));
        }
        if let Some(lost) = self.lost.first() {
            let more = match self.lost.len() {
                1 => String::new(),
                count => format!("; {} more files of the logs are missing", count - 1),
            };
            return Some(format!("{lost}{more}"));
        }
        (self.lag_ms > WORTH_TELLING_MS).then(|| {
            format!(
                "the log index is {} s behind ({} MB); searches read the rest of the logs themselves",
                self.lag_ms / 1000,
                self.behind_bytes >> 20
            )
        })
    }
}

/// What handle and thread both see.
#[derive(Debug)]
struct Shared {
    stop: AtomicBool,
    rebuild: AtomicBool,
    wake: Notify,
    view: Mutex<IndexView>,
    patterns: broadcast::Sender<NewPattern>,
    came: Mutex<HashMap<(ProcessName, Option<Level>), u64>>,
}

/// A process printed a line of a kind that it had not printed before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewPattern {
    /// The process.
    pub process: ProcessName,
    /// The name of the template.
    pub id: String,
    /// Its text, with `<*>` for values.
    pub pattern: String,
    /// When its first line came, in epoch milliseconds.
    pub ts_ms: i64,
    /// The level of that line.
    pub level: Option<Level>,
    /// How long the process had printed by then, as far as that is known.
    pub age_ms: i64,
}

/// A kind of line that a process prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateView {
    /// The process.
    pub process: ProcessName,
    /// The name of the template; stable.
    pub id: String,
    /// Its text, with `<*>` for values.
    pub pattern: String,
    /// Lines of it.
    pub count: u64,
    /// When the first one came.
    pub first: Timestamp,
    /// When the last one came.
    pub last: Timestamp,
    /// How many came when.
    #[serde(default)]
    pub trend: Trend,
}

/// Counts of equal parts of a time, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trend {
    /// When the first part begins.
    pub from: Timestamp,
    /// How long each part is, in milliseconds.
    pub every_ms: u64,
    /// Lines in each part.
    pub counts: Vec<u64>,
}

/// New patterns that wait for a slow listener; then it loses the oldest.
const PATTERNS: usize = 256;

impl Shared {
    fn update(&self, change: impl FnOnce(&mut IndexView)) {
        change(&mut self.view.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Lines that came.
    fn count(&self, lines: HashMap<came::Whose, u64>) {
        let mut all = self.came.lock().unwrap_or_else(PoisonError::into_inner);
        for ((process, rank), count) in lines {
            let level = rank.and_then(|rank| Level::of_rank(rank.into()));
            *all.entry((process, level)).or_default() += count;
        }
    }
}

/// The indexer. Cheap to clone; the thread ends with the last handle.
#[derive(Debug, Clone)]
pub struct LogIndex {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl LogIndex {
    /// Starts the thread, which goes on where the last one was. `grew` tells it of new lines;
    /// `orders` has the capture do what only that may do.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(
        paths: &Paths,
        clock: &Clock,
        grew: watch::Receiver<u64>,
        retention: watch::Receiver<Retention>,
        orders: Orders,
    ) -> std::io::Result<LogIndex> {
        let shared = Arc::new(Shared {
            stop: AtomicBool::default(),
            rebuild: AtomicBool::default(),
            wake: Notify::default(),
            view: Mutex::default(),
            patterns: broadcast::Sender::new(PATTERNS),
            came: Mutex::default(),
        });
        let keeper = Keeper::new(retention, orders);
        let worker = worker::Worker::new(paths.logs(), clock.clone(), shared.clone(), grew, keeper);
        let thread = std::thread::Builder::new()
            .name("log index".to_owned())
            .spawn(move || worker.run())?;
        Ok(LogIndex {
            inner: Arc::new(Inner {
                shared,
                thread: Mutex::new(Some(thread)),
            }),
        })
    }

    /// Throws the index away and makes it again from the segments. Returns at once; queries
    /// scan until it has caught up.
    pub fn rebuild(&self) {
        self.inner.shared.rebuild.store(true, Ordering::Release);
        self.inner.shared.update(|view| {
            view.lines = 0;
            view.behind_bytes = view.behind_bytes.max(1);
        });
        self.inner.shared.wake.notify_one();
    }

    /// Tells of each kind of line that is printed for the first time.
    pub fn new_patterns(&self) -> broadcast::Receiver<NewPattern> {
        self.inner.shared.patterns.subscribe()
    }

    /// How many lines were printed since the daemon started, as far as they are indexed.
    pub fn came(&self) -> Vec<(ProcessName, Option<Level>, u64)> {
        let came = self.inner.shared.came.lock();
        let came = came.unwrap_or_else(PoisonError::into_inner);
        let lines = came.iter();
        lines
            .map(|((process, level), count)| (process.clone(), *level, *count))
            .collect()
    }

    /// How it is.
    pub fn view(&self) -> IndexView {
        let view = self.inner.shared.view.lock();
        view.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the thread after its present batch.
    pub fn stop(&self) {
        self.inner.end();
    }
}

impl Inner {
    fn end(&self) {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(thread) = thread.take() else {
            return;
        };
        self.shared.stop.store(true, Ordering::Release);
        self.shared.wake.notify_one();
        // A panic of the thread was reported where it happened.
        let _ = thread.join();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.end();
    }
}
