//! What instances and the registry need beside the operating system: a journal, a capture and
//! an archive.
//!
//! Three traits of few methods, so that the actors can be tested with paused time and fakes.
//! The real ones are the store and the ingest thread.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use regex::Regex;

use crate::event::Event;
use crate::ids::{Generation, InstanceId, ProcessName};
use crate::logs::{IndexView, Ingest};
use crate::paths::Stream;
use crate::store::{Batch, EventFilter, StoreHandle};

/// How long a crash waits for the last of its output. The reader is awake by then, so this
/// bounds the rare case of a grandchild that keeps the stream open.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// Lines of stderr that a crash event keeps.
pub(crate) const LAST_LINES: usize = 20;

/// Records states and events.
#[async_trait]
pub(crate) trait Journal: Send + Sync {
    /// Writes everything in one transaction. Returns the events with their ids.
    async fn commit(&self, batch: Batch) -> Result<Vec<Event>, String>;

    /// Events that match, newest first.
    async fn events(&self, filter: EventFilter) -> Result<Vec<Event>, String>;

    /// The same at once, for few events.
    fn events_now(&self, filter: &EventFilter) -> Result<Vec<Event>, String>;

    /// What is wrong, for people; `None` when all is well.
    fn degraded(&self) -> Option<String>;

    /// Does a state of this process wait to be written, since it was refused?
    fn is_waiting(&self, process: &ProcessName) -> bool;
}

#[async_trait]
impl Journal for StoreHandle {
    async fn commit(&self, batch: Batch) -> Result<Vec<Event>, String> {
        StoreHandle::commit(self, batch)
            .await
            .map_err(|error| error.to_string())
    }

    async fn events(&self, filter: EventFilter) -> Result<Vec<Event>, String> {
        StoreHandle::events(self, filter)
            .await
            .map_err(|error| error.to_string())
    }

    fn events_now(&self, filter: &EventFilter) -> Result<Vec<Event>, String> {
        StoreHandle::events_now(self, filter).map_err(|error| error.to_string())
    }

    fn degraded(&self) -> Option<String> {
        StoreHandle::degraded(self)
    }

    fn is_waiting(&self, process: &ProcessName) -> bool {
        StoreHandle::is_waiting(self, process)
    }
}

/// Keeps what programs print.
#[async_trait]
pub(crate) trait Capture: Send + Sync {
    /// Starts to read a run's stream. Doing it twice is fine.
    async fn attach(
        &self,
        instance: &InstanceId,
        generation: Generation,
        stream: Stream,
        fifo: &Path,
    ) -> std::io::Result<()>;

    /// A run has ended: what it has printed is taken before anything that is asked for later,
    /// so that it stands before what the next run prints. Does not wait.
    fn finish(&self, instance: &InstanceId, generation: Generation);

    /// Waits until a run that began then has printed a line that matches.
    async fn printed(
        &self,
        instance: &InstanceId,
        generation: Generation,
        began: Timestamp,
        pattern: Regex,
    );

    /// The last lines a run that has just ended printed to stderr, else to stdout.
    async fn last_words(&self, instance: &InstanceId, generation: Generation) -> Vec<String>;
}

#[async_trait]
impl Capture for Ingest {
    async fn attach(
        &self,
        instance: &InstanceId,
        generation: Generation,
        stream: Stream,
        fifo: &Path,
    ) -> std::io::Result<()> {
        Ingest::attach(self, instance, generation, stream, fifo).await
    }

    fn finish(&self, instance: &InstanceId, generation: Generation) {
        Ingest::finish(self, instance, generation);
    }

    async fn printed(
        &self,
        instance: &InstanceId,
        generation: Generation,
        began: Timestamp,
        pattern: Regex,
    ) {
        Ingest::printed(self, instance, generation, began, pattern).await;
    }

    async fn last_words(&self, instance: &InstanceId, generation: Generation) -> Vec<String> {
        self.drained(instance, generation, LAST_WORDS).await;
        let (ingest, instance) = (self.clone(), instance.clone());
        let read = move || {
            let err = ingest.tail(&instance, generation, Stream::Err, LAST_LINES);
            if err.iter().any(|line| !line.trim().is_empty()) {
                err
            } else {
                ingest.tail(&instance, generation, Stream::Out, LAST_LINES)
            }
        };
        tokio::task::spawn_blocking(read).await.unwrap_or_default()
    }
}

/// What programs have printed, as it is kept.
#[async_trait]
pub(crate) trait Archive: Send + Sync {
    /// Deletes all of an instance, which prints nothing any more.
    async fn remove(&self, instance: &InstanceId) -> std::io::Result<()>;

    /// Deletes all of an instance so far.
    async fn flush(&self, instance: &InstanceId) -> std::io::Result<()>;

    /// How the index is.
    fn index(&self) -> IndexView;

    /// Makes the index anew.
    fn reindex(&self);

    /// What is wrong, for people; `None` when all is well.
    fn degraded(&self) -> Option<String>;
}

#[async_trait]
impl Archive for Ingest {
    async fn remove(&self, instance: &InstanceId) -> std::io::Result<()> {
        Ingest::remove(self, instance).await
    }

    async fn flush(&self, instance: &InstanceId) -> std::io::Result<()> {
        Ingest::flush(self, instance).await
    }

    fn index(&self) -> IndexView {
        Ingest::index(self)
    }

    fn reindex(&self) {
        Ingest::reindex(self);
    }

    fn degraded(&self) -> Option<String> {
        Ingest::degraded(self)
    }
}
