//! The thread that owns the read-write connection.
//!
//! Each round takes what is queued, writes it in one transaction, answers, and only then
//! syncs the WAL and writes snapshots, both at most every 100 ms.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::snapshot::Snapshots;
use super::{Batch, Loaded, ProcessRow, StoreError, reader, schema};
use crate::clock::Clock;
use crate::event::{Event, NewEvent};
use crate::ids::{InstanceId, ProcessName};
use crate::secret::exposed;
use crate::spec::GroupSpec;
use crate::state::Saved;

/// At most this much can be lost in a power failure, and at most this often is the disk flushed.
const SYNC_INTERVAL: Duration = Duration::from_millis(100);
/// How often facts that could not be written are tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Batches written in one transaction.
const GROUP: usize = 256;
/// Events kept per process.
const EVENTS_PER_PROCESS: i64 = 10_000;
/// Events kept in all.
const EVENTS_IN_ALL: i64 = 100_000;
/// New events between two looks at the limits.
const RETENTION_STEP: usize = 1_000;
/// Events kept in memory while the disk refuses them.
const KEPT_EVENTS: usize = 1_000;

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the handle asks of the thread.
#[derive(Debug)]
pub(super) enum Message {
    Commit {
        /// Boxed, because the queue has room for many and they are large.
        batch: Box<Batch>,
        reply: Answer<Vec<Event>>,
    },
    Load {
        reply: Answer<Loaded>,
    },
    Close,
}

/// What is wrong with the store.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Why the last transaction failed.
    failing: Option<String>,
    /// Events dropped because they could not be written for too long.
    dropped_events: usize,
    /// What happened at the start.
    notes: Vec<String>,
}

impl Health {
    pub(super) fn describe(&self) -> Option<String> {
        let mut parts = self.notes.clone();
        if let Some(failing) = &self.failing {
            parts.push(format!(
                "state is not being recorded: {failing}; supervision goes on from memory"
            ));
        }
        if self.dropped_events > 0 {
            parts.push(format!(
                "{} events could not be recorded and are lost",
                self.dropped_events
            ));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

/// Facts that could not be written yet: the newest state of each instance, and events.
#[derive(Debug, Default)]
struct Kept {
    instances: BTreeMap<InstanceId, Saved>,
    events: VecDeque<NewEvent>,
}

impl Kept {
    fn is_empty(&self) -> bool {
        self.instances.is_empty() && self.events.is_empty()
    }

    /// Takes the facts of a failed batch; returns how many events had to go.
    fn keep(&mut self, batch: Batch) -> usize {
        self.instances.extend(batch.instances);
        self.events.extend(batch.events);
        let surplus = self.events.len().saturating_sub(KEPT_EVENTS);
        self.events.drain(..surplus);
        surplus
    }
}

/// The thread's own state.
#[derive(Debug)]
pub(super) struct Writer {
    db: Connection,
    path: PathBuf,
    snapshots: Snapshots,
    health: Arc<Mutex<Health>>,
    kept: Kept,
    /// Kept open: SQLite holds no lock on the WAL file itself, so this is safe to open.
    wal: Option<File>,
    unsynced: bool,
    /// The first change since the last flush.
    changed_at: Option<Instant>,
    dirty: BTreeSet<ProcessName>,
    dirty_groups: bool,
    /// Processes with new events since the last look at the limits.
    grown: BTreeSet<ProcessName>,
    new_events: usize,
    last_retry: Option<Instant>,
}

impl Writer {
    /// Opens the database; replaces a damaged or lost one from the snapshots.
    pub(super) fn open(
        path: &Path,
        clock: Clock,
        health: Arc<Mutex<Health>>,
    ) -> Result<Self, StoreError> {
        let snapshots = Snapshots::new(path.with_file_name("processes"));
        let existed = fs::metadata(path).is_ok_and(|file| file.len() > 0);
        let mut notes = Vec::new();
        let (db, lost) = match open_checked(path) {
            Ok((db, unreadable)) => {
                notes.extend(unreadable.into_iter().map(|what| {
                    format!("{what} in the state database cannot be read and is ignored")
                }));
                (db, !existed)
            }
            Err(error @ StoreError::Corrupt(_)) => {
                let aside = move_aside(path, &clock)?;
                error!(
                    path = %aside.display(), %error,
                    "THE STATE DATABASE WAS DAMAGED. It was moved aside and a new one was made from the process snapshots."
                );
                notes.push(format!(
                    "the state database was damaged and was moved to {}; processes were restored from their snapshots, events are lost",
                    aside.display()
                ));
                (open_checked(path)?.0, true)
            }
            Err(other) => return Err(other),
        };
        let mut writer = Self {
            db,
            path: path.to_owned(),
            snapshots,
            health,
            kept: Kept::default(),
            wal: None,
            unsynced: false,
            changed_at: None,
            dirty: BTreeSet::new(),
            dirty_groups: false,
            grown: BTreeSet::new(),
            new_events: 0,
            last_retry: None,
        };
        if lost {
            let batch = writer.snapshots.read();
            if !batch.processes.is_empty() {
                warn!(
                    processes = batch.processes.len(),
                    "Processes were restored from their snapshots."
                );
                writer.transact(std::slice::from_ref(&batch))?;
            }
        }
        writer.lock_health().notes = notes;
        Ok(writer)
    }

    /// Works until it is told to close, or until nobody is left who could ask.
    pub(super) fn run(mut self, receiver: &Receiver<Message>) {
        loop {
            let first = match self.next_deadline() {
                None => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(wait) => receiver.recv_timeout(wait),
            };
            let mut open = true;
            match first {
                Ok(message) => open = self.round(message, receiver),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => open = false,
            }
            self.retry_kept();
            if !open {
                break;
            }
            self.settle();
        }
        self.close();
    }

    /// Handles one message and what is queued behind it. False when told to close.
    fn round(&mut self, first: Message, receiver: &Receiver<Message>) -> bool {
        let mut batches = Vec::new();
        let mut replies = Vec::new();
        let mut next = Some(first);
        let mut open = true;
        while let Some(message) = next.take() {
            match message {
                Message::Commit { batch, reply } => {
                    batches.push(*batch);
                    replies.push(reply);
                }
                Message::Load { reply } => {
                    self.commit_group(std::mem::take(&mut batches), std::mem::take(&mut replies));
                    let _ = reply.send(reader::load(&self.db).map(|(loaded, _)| loaded));
                }
                Message::Close => {
                    open = false;
                }
            }
            if batches.len() < GROUP {
                next = receiver.try_recv().ok();
            }
        }
        self.commit_group(batches, replies);
        open
    }

    fn commit_group(&mut self, batches: Vec<Batch>, replies: Vec<Answer<Vec<Event>>>) {
        if batches.is_empty() {
            return;
        }
        match self.transact(&batches) {
            Ok(events) => {
                self.succeeded();
                for (reply, events) in replies.into_iter().zip(events) {
                    let _ = reply.send(Ok(events));
                }
            }
            // One of them may be at fault: each gets its own transaction.
            Err(error) if batches.len() > 1 && !error.concerns_all() => {
                for (batch, reply) in batches.into_iter().zip(replies) {
                    self.commit_group(vec![batch], vec![reply]);
                }
            }
            Err(error) => {
                self.failed(&error);
                for (batch, reply) in batches.into_iter().zip(replies) {
                    if batch.is_fact() {
                        let dropped = self.kept.keep(batch);
                        self.lock_health().dropped_events += dropped;
                    }
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }

    /// Writes kept facts and then the batches, all or nothing. Returns the events of each.
    fn transact(&mut self, batches: &[Batch]) -> Result<Vec<Vec<Event>>, StoreError> {
        let transaction = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (id, saved) in &self.kept.instances {
            put_instance(&transaction, id, saved)?;
        }
        for event in &self.kept.events {
            put_event(&transaction, event)?;
        }
        let mut written = Vec::with_capacity(batches.len());
        for batch in batches {
            written.push(put_batch(&transaction, batch)?);
        }
        transaction.commit()?;
        self.unsynced = true;
        self.dirty
            .extend(self.kept.instances.keys().map(|id| id.process.clone()));
        self.new_events += self.kept.events.len();
        self.kept = Kept::default();
        for batch in batches {
            self.note_changes(batch);
        }
        Ok(written)
    }

    fn note_changes(&mut self, batch: &Batch) {
        self.dirty
            .extend(batch.processes.iter().map(|row| row.spec.name.clone()));
        self.dirty.extend(batch.removed.iter().cloned());
        self.dirty
            .extend(batch.instances.iter().map(|(id, _)| id.process.clone()));
        self.dirty
            .extend(batch.removed_instances.iter().map(|id| id.process.clone()));
        self.dirty_groups |= !batch.groups.is_empty() || !batch.removed_groups.is_empty();
        self.grown
            .extend(batch.events.iter().map(|event| event.process.clone()));
        self.new_events += batch.events.len();
    }

    fn retry_kept(&mut self) {
        let due = self
            .last_retry
            .is_none_or(|last| last.elapsed() >= RETRY_INTERVAL);
        if self.kept.is_empty() || !due {
            return;
        }
        match self.transact(&[]) {
            Ok(_) => self.succeeded(),
            Err(error) => self.failed(&error),
        }
    }

    fn succeeded(&mut self) {
        if self.lock_health().failing.take().is_some() {
            info!("State is being recorded again.");
        }
    }

    fn failed(&mut self, error: &StoreError) {
        self.last_retry = Some(Instant::now());
        let text = error.to_string();
        let known = self.lock_health().failing.replace(text.clone());
        if known.as_ref() != Some(&text) {
            error!(path = %self.path.display(), %error, "State cannot be recorded; supervision goes on from memory.");
        }
    }

    /// How long the thread may sleep, if there is something to do without being asked.
    fn next_deadline(&self) -> Option<Duration> {
        if self.unsynced || !self.dirty.is_empty() || self.dirty_groups {
            let passed = self.changed_at.map_or(SYNC_INTERVAL, |at| at.elapsed());
            return Some(SYNC_INTERVAL.saturating_sub(passed));
        }
        (!self.kept.is_empty()).then_some(RETRY_INTERVAL)
    }

    /// Syncs, writes snapshots and drops old events, where that is due.
    fn settle(&mut self) {
        if !(self.unsynced || !self.dirty.is_empty() || self.dirty_groups) {
            return;
        }
        // From the first change on: the flush of a crash must not delay the restart after it.
        let changed_at = *self.changed_at.get_or_insert_with(Instant::now);
        if changed_at.elapsed() < SYNC_INTERVAL {
            return;
        }
        self.changed_at = None;
        self.sync();
        self.write_snapshots();
        if self.new_events >= RETENTION_STEP {
            self.new_events = 0;
            if let Err(error) = self.retain() {
                warn!(%error, "Old events could not be removed.");
            }
        }
    }

    fn sync(&mut self) {
        if !std::mem::take(&mut self.unsynced) {
            return;
        }
        if self.wal.is_none() {
            let mut name = self.path.clone().into_os_string();
            name.push("-wal");
            self.wal = File::open(name).ok();
        }
        if let Some(wal) = &self.wal
            && let Err(error) = wal.sync_data()
        {
            warn!(%error, "The state database could not be flushed to the disk.");
        }
    }

    fn write_snapshots(&mut self) {
        for name in std::mem::take(&mut self.dirty) {
            if let Err(error) = self.snapshots.process(&self.db, name.as_str()) {
                warn!(process = %name, %error, "A process snapshot could not be written.");
            }
        }
        if std::mem::take(&mut self.dirty_groups)
            && let Err(error) = self.snapshots.groups(&self.db)
        {
            warn!(%error, "The snapshot of the groups could not be written.");
        }
    }

    fn retain(&mut self) -> Result<(), StoreError> {
        let grown = std::mem::take(&mut self.grown);
        let transaction = self
            .db
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        for name in &grown {
            transaction
                .prepare_cached(
                    "DELETE FROM events WHERE process = ?1 AND id <= (SELECT id FROM events \
                     WHERE process = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                )?
                .execute(params![name.as_str(), EVENTS_PER_PROCESS])?;
        }
        transaction.execute(
            "DELETE FROM events WHERE id <= (SELECT id FROM events ORDER BY id DESC LIMIT 1 OFFSET ?1)",
            [EVENTS_IN_ALL],
        )?;
        transaction.commit()?;
        self.unsynced = true;
        Ok(())
    }

    fn close(mut self) {
        self.sync();
        self.write_snapshots();
        if !self.kept.is_empty() {
            error!(
                events = self.kept.events.len(),
                instances = self.kept.instances.len(),
                "Some state could not be recorded before the end."
            );
        }
        // Fails when a reader is in the middle of something; the next start does it then.
        let _ = self
            .db
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err((_, error)) = self.db.close() {
            warn!(%error, "The state database could not be closed.");
        }
    }

    fn lock_health(&self) -> std::sync::MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens the file and reads what a start needs, so that damage shows now and not later.
fn open_checked(path: &Path) -> Result<(Connection, Vec<String>), StoreError> {
    let db = schema::open_for_writing(path)?;
    let (_, unreadable) = reader::load(&db)?;
    db.query_row("SELECT max(id) FROM events", [], |_| Ok(()))?;
    Ok((db, unreadable))
}

fn move_aside(path: &Path, clock: &Clock) -> Result<PathBuf, StoreError> {
    let name = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let aside = name(&format!(".corrupt-{}", clock.now().as_second()));
    fs::rename(path, &aside).map_err(|source| StoreError::Open {
        path: path.to_owned(),
        source: Arc::new(source),
    })?;
    for suffix in ["-wal", "-shm"] {
        let mut target = aside.as_os_str().to_owned();
        target.push(suffix);
        // They are often not there.
        let _ = fs::rename(name(suffix), target);
    }
    Ok(aside)
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    // The next daemon starts the processes with these very values.
    exposed(|| serde_json::to_string(value))
        .map_err(|error| StoreError::from(rusqlite::Error::ToSqlConversionFailure(Box::new(error))))
}

fn put_batch(transaction: &Transaction<'_>, batch: &Batch) -> Result<Vec<Event>, StoreError> {
    for name in &batch.removed {
        for sql in [
            "DELETE FROM processes WHERE name = ?",
            "DELETE FROM instances WHERE process = ?",
        ] {
            transaction.prepare_cached(sql)?.execute([name.as_str()])?;
        }
    }
    for id in &batch.removed_instances {
        transaction
            .prepare_cached("DELETE FROM instances WHERE process = ? AND idx = ?")?
            .execute(params![id.process.as_str(), id.index])?;
    }
    for name in &batch.removed_groups {
        transaction
            .prepare_cached("DELETE FROM groups WHERE name = ?")?
            .execute([name])?;
    }
    for row in &batch.processes {
        put_process(transaction, row)?;
    }
    for (id, saved) in &batch.instances {
        put_instance(transaction, id, saved)?;
    }
    for group in &batch.groups {
        put_group(transaction, group)?;
    }
    batch
        .events
        .iter()
        .map(|event| {
            let id = put_event(transaction, event)?;
            Ok(event.clone().with_id(id))
        })
        .collect()
}

fn put_process(transaction: &Transaction<'_>, row: &ProcessRow) -> Result<(), StoreError> {
    transaction
        .prepare_cached("INSERT OR REPLACE INTO processes (name, position, row) VALUES (?, ?, ?)")?
        .execute(params![row.spec.name.as_str(), row.position, json(row)?])?;
    Ok(())
}

fn put_instance(
    transaction: &Transaction<'_>,
    id: &InstanceId,
    saved: &Saved,
) -> Result<(), StoreError> {
    transaction
        .prepare_cached("INSERT OR REPLACE INTO instances (process, idx, saved) VALUES (?, ?, ?)")?
        .execute(params![id.process.as_str(), id.index, json(saved)?])?;
    Ok(())
}

fn put_group(transaction: &Transaction<'_>, group: &GroupSpec) -> Result<(), StoreError> {
    transaction
        .prepare_cached("INSERT OR REPLACE INTO groups (name, spec) VALUES (?, ?)")?
        .execute(params![group.name, json(group)?])?;
    Ok(())
}

fn put_event(transaction: &Transaction<'_>, event: &NewEvent) -> Result<i64, StoreError> {
    Ok(transaction
        .prepare_cached(
            "INSERT INTO events (ts_ms, process, instance, event, data_json, actor) \
             VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .insert(params![
            event.at.as_millisecond(),
            event.process.as_str(),
            event.instance,
            event.kind.to_string(),
            event.data.to_string(),
            event.actor,
        ])?)
}
