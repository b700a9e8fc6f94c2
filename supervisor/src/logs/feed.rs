//! The live tail over all streams, for those who take every line: sinks, alerts, learning.
//!
//! ```text
//!   segments ──reader──► one round of lines, in time order ──► inbox (bounded) ──► subscriber
//!                └─ one reader per subscriber: each goes at its own pace
//! ```
//!
//! Lines are read back from segments, behind the capture and never in its way. A round reads
//! only streams that grew, and at most so many lines. Each subscriber has a bounded inbox: a
//! full one loses its oldest lines, which are counted. One whose subscriber makes progress may
//! ask the reader to wait instead, but not longer than it takes to be a minute behind. Every
//! line carries its place in its stream, so that a subscriber can go on there after a restart.
//! Without subscribers nothing is read.

mod inbox;
mod reader;

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
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
/// And for a subscriber that is about to end.
const HURRY: Duration = Duration::from_millis(10);
/// A reader that is so far behind waits for nobody: the oldest lines are dropped instead.
const LONGEST_LAG_MS: i64 = 60_000;

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
    tasks: Tasks,
    ingest: Ingest,
    clock: Clock,
    sources: Sources,
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").finish_non_exhaustive()
    }
}

impl Feed {
    /// A feed of the lines that `ingest` keeps. It reads nothing before somebody subscribes.
    pub fn new(tasks: &Tasks, ingest: Ingest, clock: Clock, sources: Sources) -> Self {
        Self {
            tasks: tasks.clone(),
            ingest,
            clock,
            sources,
        }
    }

    /// Gets every line after `places` that `wanted` takes. It ends when the inbox is dropped.
    pub fn subscribe(
        &self,
        places: Places,
        bounds: Bounds,
        wanted: impl Fn(&FeedLine) -> bool + Send + Sync + 'static,
    ) -> Arc<Inbox> {
        let inbox = Arc::new(Inbox::new(places, bounds, Box::new(wanted)));
        let (feed, weak) = (self.clone(), Arc::downgrade(&inbox));
        self.tasks.spawn("log feed", async move {
            tokio::select! {
                () = feed.tasks.cancelled() => {}
                () = feed.fill(weak) => {}
            }
        });
        inbox
    }

    /// Puts new lines into an inbox as long as there is one.
    async fn fill(&self, weak: Weak<Inbox>) {
        let mut grew = self.ingest.grew();
        let mut reader = Reader::default();
        while let Some(inbox) = weak.upgrade() {
            let now_ms = self.clock.now().as_millisecond();
            let room = inbox.room(reader.behind_ms(now_ms) >= LONGEST_LAG_MS);
            if room == 0 {
                inbox.emptied(LOOK_EVERY).await;
                continue;
            }
            grew.mark_unchanged();
            let (sources, ingest) = (self.sources.clone(), self.ingest.clone());
            let round = tokio::task::spawn_blocking(move || {
                reader.round(&sources(), &ingest, &inbox, room, now_ms);
                if !reader.has_more() {
                    inbox.looked();
                }
                reader
            });
            reader = match round.await {
                Ok(back) => back,
                Err(error) => {
                    // The inbox knows how far it is, so that nothing is lost or doubled.
                    error!(%error, "A round of the log feed failed.");
                    tokio::time::sleep(LOOK_EVERY).await;
                    Reader::default()
                }
            };
            if reader.has_more() {
                continue;
            }
            if weak.upgrade().is_some_and(|inbox| inbox.hurries()) {
                tokio::time::sleep(HURRY).await;
                continue;
            }
            match tokio::time::timeout(LOOK_EVERY, grew.changed()).await {
                Ok(Ok(())) => tokio::time::sleep(GATHER).await,
                Ok(Err(_closed)) => tokio::time::sleep(LOOK_EVERY).await,
                Err(_nothing) => {}
            }
        }
    }
}
