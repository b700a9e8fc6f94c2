//! The journal on a disk that is slow, full, or fine; it outlives every daemon.
//!
//! As with the store, batches are written in the order in which they came, and what happened
//! while the disk was full is kept by the daemon and written with the next batch.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use regex::Regex;

use super::life::Life;
use super::os::Os;
use super::promises::{Intention, Promises};
use crate::event::{Event, EventKind};
use crate::ids::{EventId, Generation, InstanceId, ProcessName};
use crate::logs::IndexView;
use crate::paths::Stream;
use crate::seams::{Archive, Capture, Journal};
use crate::spec::GroupSpec;
use crate::state::{ExitStatus, Hold, Saved, State};
use crate::store::{Batch, EventFilter, Loaded, ProcessRow};

/// Longest that a commit takes, in milliseconds.
const QUICK: u64 = 3;

/// What is on the disk. Clones are the same one.
#[derive(Debug, Clone)]
pub(super) struct Disk {
    inner: Arc<Mutex<Inner>>,
    promises: Promises,
}

#[derive(Debug)]
struct Inner {
    rng: fastrand::Rng,
    rows: BTreeMap<ProcessName, ProcessRow>,
    saved: BTreeMap<InstanceId, Saved>,
    groups: BTreeMap<String, GroupSpec>,
    events: Vec<Event>,
    full: bool,
    slowest: u64,
    /// What these have done since is not on record.
    missing: BTreeMap<InstanceId, u32>,
    /// What is wanted of these now is not on record.
    unwritten: BTreeSet<ProcessName>,
    /// Of these a reload is on record, and not its end.
    renewed: BTreeSet<ProcessName>,
    /// Who waits for whom, while one order starts all that is down.
    order: Vec<(ProcessName, ProcessName)>,
    /// Those that came up under that order.
    up: BTreeSet<InstanceId>,
}

impl Disk {
    pub(super) fn new(seed: u64, promises: Promises) -> Self {
        let inner = Inner {
            rng: fastrand::Rng::with_seed(seed),
            rows: BTreeMap::new(),
            saved: BTreeMap::new(),
            groups: BTreeMap::new(),
            events: Vec::new(),
            full: false,
            slowest: QUICK,
            missing: BTreeMap::new(),
            unwritten: BTreeSet::new(),
            renewed: BTreeSet::new(),
            order: Vec::new(),
            up: BTreeSet::new(),
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
            promises,
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no panic")
    }

    /// It is full, or a commit takes so many milliseconds at most; or neither.
    pub(super) fn set(&self, full: bool, slowest: Option<u64>) {
        let mut inner = self.inner();
        (inner.full, inner.slowest) = (full, slowest.unwrap_or(QUICK));
    }

    /// What a new daemon reads of an instance.
    pub(super) fn saved(&self, instance: &InstanceId) -> Saved {
        let inner = self.inner();
        inner.saved.get(instance).cloned().unwrap_or_default()
    }

    /// What a new daemon reads of everything. What the one before it was at is over.
    pub(super) fn load(&self) -> Loaded {
        let mut inner = self.inner();
        inner.renewed.clear();
        inner.order.clear();
        inner.unwritten.clear();
        let mut processes: Vec<_> = inner.rows.values().cloned().collect();
        processes.sort_by_key(|row| row.position);
        Loaded {
            processes,
            instances: inner.saved.clone().into_iter().collect(),
            groups: inner.groups.values().cloned().collect(),
        }
    }

    /// The row of a process.
    pub(super) fn row(&self, process: &ProcessName) -> Option<ProcessRow> {
        self.inner().rows.get(process).cloned()
    }

    /// All that is on record of instances.
    pub(super) fn instances(&self) -> Vec<InstanceId> {
        self.inner().saved.keys().cloned().collect()
    }

    /// Is the last that this instance did not on record?
    pub(super) fn lacks(&self, instance: &InstanceId) -> bool {
        self.inner().missing.contains_key(instance)
    }

    /// Is the last not on record that some instance of this process did?
    pub(super) fn lacks_of(&self, process: &ProcessName) -> bool {
        let inner = self.inner();
        inner.missing.keys().any(|id| id.process == *process)
    }

    /// Is what is wanted of this process now not on record?
    pub(super) fn lacks_row_of(&self, process: &ProcessName) -> bool {
        self.inner().unwritten.contains(process)
    }

    /// From now on one order starts what is down, and each of these pairs is a process and what
    /// it waits for.
    pub(super) fn watch_order(&self, order: Vec<(ProcessName, ProcessName)>) {
        let mut inner = self.inner();
        inner.order = order;
        inner.up.clear();
    }

    /// What a process had to wait for and did not; it need not a second time.
    pub(super) fn did_not_wait_for(&self, process: &ProcessName) -> Option<ProcessName> {
        let mut inner = self.inner();
        let first = |(after, first): &(ProcessName, ProcessName)| {
            let count = inner.rows.get(first).map_or(0, copies);
            let is_up = |index| inner.up.contains(&InstanceId::new(first.clone(), index));
            let row = inner.rows.get(after);
            let has_schedule = row.is_some_and(|row| row.spec.config.cron_restart.is_some());
            // Then the start has ended, and the schedule may begin another.
            let is_over = has_schedule && inner.has_failed(first.as_str());
            after == process && !is_over && !(0..count).all(is_up)
        };
        let found = inner.order.iter().find(|pair| first(pair)).cloned();
        inner.order.retain(|(after, _)| after != process);
        found.map(|(_, first)| first)
    }

    /// Is a reload of this process under way?
    pub(super) fn renews(&self, process: &ProcessName) -> bool {
        self.inner().renewed.contains(process)
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

    fn write(&self, batch: Batch, kept: &mut Batch) -> Result<Vec<Event>, String> {
        let mut inner = self.inner();
        inner.look_who_came_up(&batch);
        if inner.full {
            for (instance, _) in &batch.instances {
                *inner.missing.entry(instance.clone()).or_default() += 1;
            }
            let names = batch.processes.iter().map(|row| row.spec.name.clone());
            inner.unwritten.extend(names);
            if batch.is_fact() {
                kept.instances.extend(batch.instances);
                kept.events.extend(batch.events);
            }
            return Err("the disk is full".to_owned());
        }
        let mut broken = Vec::new();
        inner.put(std::mem::take(kept), &mut broken);
        let gone = (batch.removed.clone(), batch.removed_instances.clone());
        let events = inner.put(batch, &mut broken);
        drop(inner);
        for process in gone.0 {
            self.promises.forget(|id| id.process == process);
        }
        for instance in gone.1 {
            self.promises.forget(|id| *id == instance);
        }
        for text in broken {
            self.promises.broke(text);
        }
        Ok(events)
    }

    async fn commit(&self, batch: Batch, kept: &Mutex<Batch>) -> Result<Vec<Event>, String> {
        let wait = {
            let mut inner = self.inner();
            let most = inner.slowest;
            Duration::from_millis(inner.rng.u64(0..=most))
        };
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        self.write(batch, &mut kept.lock().expect("no panic"))
    }
}

impl Inner {
    /// Did its start fail, or that of something it depends on?
    fn has_failed(&self, process: &str) -> bool {
        let mut rows = self.rows.values();
        let Some(row) = rows.find(|row| row.spec.name.as_str() == process) else {
            return false;
        };
        let mut all = (0..copies(row)).map(|index| InstanceId::new(row.spec.name.clone(), index));
        let mut before = row.spec.config.depends_on.iter();
        all.any(|copy| self.saved.get(&copy).is_some_and(gave_up))
            || before.any(|name| self.has_failed(name))
    }

    fn look_who_came_up(&mut self, batch: &Batch) {
        for (instance, saved) in &batch.instances {
            let has_done_its_work = saved.last_exit == Some(ExitStatus::Code(0));
            match saved.state {
                State::Online { .. } => self.up.insert(instance.clone()),
                State::Stopped if has_done_its_work => self.up.insert(instance.clone()),
                _ => false,
            };
        }
    }

    fn put(&mut self, batch: Batch, broken: &mut Vec<String>) -> Vec<Event> {
        for process in &batch.removed {
            self.rows.remove(process);
            self.unwritten.remove(process);
            self.saved.retain(|id, _| id.process != *process);
            self.missing.retain(|id, _| id.process != *process);
        }
        for instance in &batch.removed_instances {
            self.saved.remove(instance);
            self.missing.remove(instance);
        }
        for row in batch.processes {
            self.unwritten.remove(&row.spec.name);
            self.rows.insert(row.spec.name.clone(), row);
        }
        for group in batch.groups {
            self.groups.insert(group.name.clone(), group);
        }
        for (instance, saved) in batch.instances {
            self.missing.remove(&instance);
            if let Some(before) = self.saved.get(&instance) {
                let (was, is) = (before.counters, saved.counters);
                if saved.newest() < before.newest() || is.restarts_total < was.restarts_total {
                    broken.push(format!("{instance}: {was:?} became {is:?}"));
                }
            }
            self.saved.insert(instance, saved);
        }
        let mut written = Vec::new();
        for event in batch.events {
            match event.kind {
                EventKind::ReloadStarted => {
                    self.renewed.insert(event.process.clone());
                }
                EventKind::ReloadDone | EventKind::ReloadFailed => {
                    self.renewed.remove(&event.process);
                }
                _ => {}
            }
            let id = self.events.len() as EventId + 1;
            let event = event.with_id(id);
            self.events.push(event.clone());
            written.push(event);
        }
        written
    }
}

/// The journal of one life.
pub(super) struct Book {
    disk: Disk,
    os: Os,
    life: Arc<Life>,
    /// Who came first is written first.
    turn: tokio::sync::Mutex<()>,
    /// Facts that could not be written yet.
    kept: Mutex<Batch>,
}

impl Book {
    pub(super) fn new(disk: &Disk, os: &Os, life: &Arc<Life>) -> Self {
        Self {
            disk: disk.clone(),
            os: os.clone(),
            life: Arc::clone(life),
            turn: tokio::sync::Mutex::default(),
            kept: Mutex::default(),
        }
    }

    /// Tries again each second to write what could not be written, for as long as it lives.
    pub(super) async fn retry(&self) {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let has_kept = {
                let kept = self.kept.lock().expect("no panic");
                !kept.instances.is_empty() || !kept.events.is_empty()
            };
            if has_kept {
                // It is tried again.
                let _ = self.commit(Batch::default()).await;
            }
        }
    }
}

#[async_trait]
impl Journal for Book {
    async fn commit(&self, batch: Batch) -> Result<Vec<Event>, String> {
        let write = async {
            let _turn = self.turn.lock().await;
            for (instance, saved) in &batch.instances {
                self.os.is_written(instance, &saved.state);
            }
            self.disk.commit(batch, &self.kept).await
        };
        self.life.call(write).await
    }

    async fn events(&self, filter: EventFilter) -> Result<Vec<Event>, String> {
        self.life.call(async { self.events_now(&filter) }).await
    }

    fn events_now(&self, filter: &EventFilter) -> Result<Vec<Event>, String> {
        let inner = self.disk.inner();
        let such = |event: &&Event| {
            let processes = &filter.processes;
            (processes.is_empty() || processes.contains(&event.process))
                && (filter.kinds.is_empty() || filter.kinds.contains(&event.kind))
        };
        let newest = inner.events.iter().rev().filter(such);
        Ok(newest.take(filter.limit).cloned().collect())
    }

    fn degraded(&self) -> Option<String> {
        self.disk
            .inner()
            .full
            .then(|| "the disk is full".to_owned())
    }

    fn is_waiting(&self, process: &ProcessName) -> bool {
        let kept = self.kept.lock().expect("no panic");
        let mut ids = kept.instances.iter().map(|(id, _)| id);
        ids.any(|id| id.process == *process)
    }
}

/// Programs that print nothing, so that nothing is kept of it.
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

#[async_trait]
impl Archive for Silence {
    async fn remove(&self, _: &InstanceId) -> std::io::Result<()> {
        self.life.call(async { Ok(()) }).await
    }

    async fn flush(&self, _: &InstanceId) -> std::io::Result<()> {
        self.life.call(async { Ok(()) }).await
    }

    fn index(&self) -> IndexView {
        IndexView::default()
    }

    fn reindex(&self) {}

    fn degraded(&self) -> Option<String> {
        None
    }
}

/// Is it left as it is, after an end that was none of its own will?
fn gave_up(saved: &Saved) -> bool {
    let is_tried = |hold: &Hold| matches!(hold, Hold::Retrying { .. });
    matches!(&saved.state, State::Errored { hold } if !is_tried(hold))
}

/// Copies wanted.
pub(super) fn copies(row: &ProcessRow) -> u16 {
    row.scaled.unwrap_or(row.spec.instances)
}
