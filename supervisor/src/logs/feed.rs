//! The live tail over all streams, for those who take every line: sinks, alerts, learning.
//!
//! ```text
//!   segments ──reader──► one round of lines, in time order ──► inbox of each subscriber
//!                │                                              (bounded, its own copy)
//!                └─ begins where the subscriber that is furthest back wants to
//! ```
//!
//! Lines are read back from segments, behind the capture and never in its way. A round reads
//! only streams that grew, and at most so many lines. Each subscriber has a bounded inbox: one
//! that is slow loses its own oldest copies, which are counted, and delays nobody. Every line
//! carries its place in its stream, so that a subscriber can go on there after a restart.
//! Without subscribers nothing is read.

mod inbox;
mod reader;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::Notify;
use tracing::error;

use super::{Ingest, Level, Source};
use crate::clock::Clock;
use crate::ids::ProcessName;
use crate::paths::Stream;
use crate::tasks::Tasks;

pub use inbox::{Bounds, Inbox};
use reader::Reader;

/// Longest wait for new lines: an unfinished line becomes visible by time alone.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Lines of this time are taken together.
const GATHER: Duration = Duration::from_millis(100);

/// A kept line, with what was found in it.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedLine {
    /// When it was captured.
    pub ts: Timestamp,
    /// Its place among the lines of its stream that have the same time.
    pub order: u32,
    /// Who printed it.
    pub process: ProcessName,
    /// Which copy.
    pub instance: u16,
    /// Where.
    pub stream: Stream,
    /// The pid of the run, while it is the newest one.
    pub pid: Option<u32>,
    /// The line as it was printed.
    pub text: String,
    /// It was longer and is cut.
    pub truncated: bool,
    /// How bad it says it is.
    pub level: Option<Level>,
    /// What it says to people, where that is not all of it.
    pub message: Option<String>,
    /// What else it says.
    pub fields: Map<String, Value>,
    /// Where it ends.
    pub mark: Mark,
}

/// The end of a line in its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The stream, such as `api-0.out`.
    pub stream: Arc<str>,
    /// Tells a stream from another one that had its name before.
    pub epoch: i64,
    /// Bytes before it.
    pub end: u64,
}

/// How far somebody got in each stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Places {
    /// From when on lines of other streams are wanted, in ms.
    pub since_ms: i64,
    /// Epoch and offset by stream.
    pub streams: BTreeMap<String, (i64, u64)>,
}

impl Places {
    /// Lines from now on.
    pub fn from_now(clock: &Clock) -> Self {
        Self {
            since_ms: clock.now().as_millisecond(),
            streams: BTreeMap::new(),
        }
    }

    fn set(&mut self, mark: &Mark) {
        let place = (mark.epoch, mark.end);
        match self.streams.get_mut(&*mark.stream) {
            Some(known) => *known = place,
            None => {
                self.streams.insert(mark.stream.to_string(), place);
            }
        }
    }
}

/// An instance whose streams are read.
#[derive(Debug, Clone)]
pub struct FeedSource {
    /// Its streams.
    pub source: Source,
    /// The newest run and its pid.
    pub run: Option<(u32, u32)>,
}

/// Gives the instances there are at the moment.
pub type Sources = Arc<dyn Fn() -> Vec<FeedSource> + Send + Sync>;

/// Where one subscribes. Clones are the same feed.
#[derive(Clone)]
pub struct Feed {
    shared: Arc<Shared>,
}

struct Shared {
    inboxes: Mutex<Vec<Weak<Inbox>>>,
    changed: Notify,
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").finish_non_exhaustive()
    }
}

impl Feed {
    /// Starts the reader.
    pub fn start(tasks: &Tasks, ingest: Ingest, clock: Clock, sources: Sources) -> Self {
        let shared = Arc::new(Shared {
            inboxes: Mutex::default(),
            changed: Notify::new(),
        });
        let cancel = tasks.token();
        let work = run(shared.clone(), ingest, clock, sources);
        tasks.spawn("log feed", async move {
            tokio::select! {
                () = cancel.cancelled() => {}
                () = work => {}
            }
        });
        Self { shared }
    }

    /// Gets every line after `places` that `wanted` takes. It ends when the inbox is dropped.
    pub fn subscribe(
        &self,
        places: Places,
        bounds: Bounds,
        wanted: impl Fn(&FeedLine) -> bool + Send + Sync + 'static,
    ) -> Arc<Inbox> {
        let inbox = Arc::new(Inbox::new(places, bounds, Box::new(wanted)));
        self.shared.lock().push(Arc::downgrade(&inbox));
        self.shared.changed.notify_one();
        inbox
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Inbox>>> {
        self.inboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn live(&self) -> Vec<Arc<Inbox>> {
        let mut inboxes = self.lock();
        inboxes.retain(|inbox| inbox.strong_count() > 0);
        inboxes.iter().filter_map(Weak::upgrade).collect()
    }
}

async fn run(shared: Arc<Shared>, ingest: Ingest, clock: Clock, sources: Sources) {
    let mut grew = ingest.grew();
    let mut reader = Reader::default();
    loop {
        let inboxes = shared.live();
        if inboxes.is_empty() {
            reader = Reader::default();
            shared.changed.notified().await;
            continue;
        }
        grew.mark_unchanged();
        let (sources, ingest, now) = (sources.clone(), ingest.clone(), clock.now());
        let round = tokio::task::spawn_blocking(move || {
            let more = reader.round(&sources(), &ingest, &inboxes, now.as_millisecond());
            (reader, more)
        });
        let more = match round.await {
            Ok((back, more)) => {
                reader = back;
                more
            }
            Err(error) => {
                // The inboxes know how far they are, so that nothing is lost or doubled.
                error!(%error, "A round of the log feed failed.");
                reader = Reader::default();
                tokio::time::sleep(LOOK_EVERY).await;
                false
            }
        };
        if more {
            continue;
        }
        tokio::select! {
            () = shared.changed.notified() => {}
            news = tokio::time::timeout(LOOK_EVERY, grew.changed()) => match news {
                Ok(Ok(())) => tokio::time::sleep(GATHER).await,
                Ok(Err(_closed)) => tokio::time::sleep(LOOK_EVERY).await,
                Err(_nothing) => {}
            },
        }
    }
}
