//! The journal on a disk that is slow, full, or fine; it outlives every daemon.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use regex::Regex;

use super::life::Life;
use super::os::Os;
use super::promises::{Intention, Promises};
use crate::event::Event;
use crate::ids::{EventId, Generation, InstanceId};
use crate::paths::Stream;
use crate::seams::{Capture, Journal};
use crate::state::{Saved, State};
use crate::store::{Batch, EventFilter};

/// What is on the disk. Clones are the same one.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    inner: Arc<Mutex<Inner>>,
    promises: Promises,
}

#[derive(Debug)]
struct Inner {
    rng: fastrand::Rng,
    saved: BTreeMap<InstanceId, Saved>,
    events: EventId,
    full: bool,
    slow: bool,
    /// What these have done since is not on record.
    missing: BTreeMap<InstanceId, u32>,
}

impl Disk {
    pub(super) fn new(seed: u64, promises: Promises) -> Self {
        let inner = Inner {
            rng: fastrand::Rng::with_seed(seed),
            saved: BTreeMap::new(),
            events: 0,
            full: false,
            slow: false,
            missing: BTreeMap::new(),
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
            promises,
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no panic")
    }

    pub(super) fn set(&self, full: bool, slow: bool) {
        let mut inner = self.inner();
        (inner.full, inner.slow) = (full, slow);
    }

    /// What a new daemon reads.
    pub(super) fn saved(&self, instance: &InstanceId) -> Saved {
        let inner = self.inner();
        inner.saved.get(instance).cloned().unwrap_or_default()
    }

    /// Is the last that this instance did not on record?
    pub(super) fn lacks(&self, instance: &InstanceId) -> bool {
        self.inner().missing.contains_key(instance)
    }

    /// What is on record about a run that begins.
    pub(super) fn intention(&self, instance: &InstanceId, generation: Generation) -> Intention {
        let inner = self.inner();
        match inner.saved.get(instance).map(|saved| &saved.state) {
            _ if inner.missing.contains_key(instance) => Intention::DiskFull,
            Some(State::Spawning {
                generation: intended,
                ..
            }) if *intended == generation => Intention::Recorded,
            _ => Intention::Missing,
        }
    }

    fn write(&self, batch: Batch) -> Result<Vec<Event>, String> {
        let mut inner = self.inner();
        if inner.full {
            for (instance, _) in batch.instances {
                *inner.missing.entry(instance).or_default() += 1;
            }
            return Err("the disk is full".to_owned());
        }
        let mut backwards = Vec::new();
        for (instance, saved) in batch.instances {
            inner.missing.remove(&instance);
            if let Some(before) = inner.saved.get(&instance) {
                let (was, is) = (before.counters, saved.counters);
                if is.generation < was.generation || is.restarts_total < was.restarts_total {
                    backwards.push(format!("{instance}: {was:?} became {is:?}"));
                }
            }
            inner.saved.insert(instance, saved);
        }
        let events = batch.events.into_iter().map(|event| {
            inner.events += 1;
            event.with_id(inner.events)
        });
        let events = events.collect();
        drop(inner);
        for text in backwards {
            self.promises.broke(text);
        }
        Ok(events)
    }

    async fn commit(&self, batch: Batch) -> Result<Vec<Event>, String> {
        let wait = {
            let mut inner = self.inner();
            let most = if inner.slow { 3_000 } else { 3 };
            Duration::from_millis(inner.rng.u64(0..=most))
        };
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        self.write(batch)
    }
}

/// The journal of one life.
pub(super) struct Book {
    pub(super) disk: Disk,
    pub(super) os: Os,
    pub(super) life: Arc<Life>,
}

#[async_trait]
impl Journal for Book {
    async fn commit(&self, batch: Batch) -> Result<Vec<Event>, String> {
        let commit = async {
            for (instance, saved) in &batch.instances {
                self.os.is_written(instance, &saved.state);
            }
            self.disk.commit(batch).await
        };
        self.life.call(commit).await
    }

    async fn events(&self, _: EventFilter) -> Result<Vec<Event>, String> {
        self.life.call(async { Ok(Vec::new()) }).await
    }

    fn events_now(&self, _: &EventFilter) -> Result<Vec<Event>, String> {
        Ok(Vec::new())
    }

    fn degraded(&self) -> Option<String> {
        None
    }
}

/// Programs that print nothing.
pub(super) struct Silence {
    pub(super) life: Arc<Life>,
}

#[async_trait]
impl Capture for Silence {
    async fn attach(
        &self,
        _: &InstanceId,
        _: Generation,
        _: Stream,
        _: &Path,
    ) -> std::io::Result<()> {
        self.life.call(async { Ok(()) }).await
    }

    fn finish(&self, _: &InstanceId, _: Generation) {}

    async fn printed(&self, _: &InstanceId, _: Generation, _: Timestamp, _: Regex) {
        std::future::pending().await
    }

    async fn last_words(&self, _: &InstanceId, _: Generation) -> Vec<String> {
        self.life.call(async { Vec::new() }).await
    }
}
