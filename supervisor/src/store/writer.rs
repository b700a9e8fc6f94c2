//! The thread that owns the read-write connection.
//!
//! Each round takes what is queued, writes it in one transaction and answers. What takes
//! longer than that, flushing and snapshots, it leaves to `settle`.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior, params};
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::kept::{Health, Kept};
use super::queue::Receiver;
use super::rows::{put_batch, put_event, put_instance};
use super::settle::{Settler, Work};
use super::snapshot::{Page, Snapshots};
use super::{Batch, Loaded, StoreError, reader, schema};
use crate::clock::Clock;
use crate::event::Event;
use crate::ids::ProcessName;

/// At most this much can be lost in a power failure, and at most this often is the disk flushed.
const SYNC_INTERVAL: Duration = Duration::from_millis(100);
/// How often the snapshot files follow the database.
const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(1);
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

/// The thread's own state.
#[derive(Debug)]
pub(super) struct Writer {
    db: Connection,
    path: PathBuf,
    settler: Settler,
    health: Arc<Mutex<Health>>,
    kept: Kept,
    /// When the first change came that was not flushed yet.
    unsynced: Option<Instant>,
    /// The same for what the snapshots do not say yet.
    stale: Option<Instant>,
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
        let existed = match fs::metadata(path) {
            Ok(file) => file.len() > 0,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            // Snapshots, which are older, must not come over what may be there.
            Err(source) => {
                return Err(StoreError::Open {
                    path: path.to_owned(),
                    source: Arc::new(source),
                });
            }
        };
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
        let settler =
            Settler::start(path, snapshots.clone()).map_err(|source| StoreError::Open {
                path: path.to_owned(),
                source: Arc::new(source),
            })?;
        let mut writer = Self {
            db,
            path: path.to_owned(),
            settler,
            health,
            kept: Kept::default(),
            unsynced: None,
            stale: None,
            dirty: BTreeSet::new(),
            dirty_groups: false,
            grown: BTreeSet::new(),
            new_events: 0,
            last_retry: None,
        };
        if lost {
            let batch = snapshots.read();
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
            let first = receiver.recv(self.next_deadline());
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
                next = receiver.try_recv();
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
                        let waiting = batch.instances.iter().map(|(id, _)| id.process.clone());
                        self.lock_health().waiting.extend(waiting);
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
        let now = Instant::now();
        self.unsynced.get_or_insert(now);
        self.stale.get_or_insert(now);
        self.dirty
            .extend(self.kept.instances.keys().map(|id| id.process.clone()));
        self.new_events += self.kept.events.len();
        self.kept = Kept::default();
        self.lock_health().waiting.clear();
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
        let left = |since: Option<Instant>, interval: Duration| {
            since.map(|since| interval.saturating_sub(since.elapsed()))
        };
        let retry = (!self.kept.is_empty()).then_some(RETRY_INTERVAL);
        [
            left(self.unsynced, SYNC_INTERVAL),
            left(self.stale, SNAPSHOT_INTERVAL),
            retry,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Has things flushed and snapshots written, and drops old events, where that is due.
    fn settle(&mut self) {
        let is_due = |since: Option<Instant>, interval: Duration| {
            since.is_some_and(|since| since.elapsed() >= interval)
        };
        // From the first change on: the flush of a crash must not delay the restart after it.
        let flush = is_due(self.unsynced, SYNC_INTERVAL);
        let write = is_due(self.stale, SNAPSHOT_INTERVAL);
        if !flush && !write {
            return;
        }
        let pages = if write { self.pages() } else { Vec::new() };
        let now = Instant::now();
        match self.settler.offer(Work { flush, pages }) {
            Ok(()) => {
                if flush {
                    self.unsynced = None;
                }
                if write {
                    self.stale = None;
                    self.dirty.clear();
                    self.dirty_groups = false;
                }
            }
            // It is still at the last piece.
            Err(_) => {
                self.unsynced = self.unsynced.map(|_| now);
                self.stale = self.stale.map(|_| now);
            }
        }
        if self.new_events >= RETENTION_STEP {
            self.new_events = 0;
            if let Err(error) = self.retain() {
                warn!(%error, "Old events could not be removed.");
            }
        }
    }

    /// The snapshots that are to be written.
    fn pages(&self) -> Vec<Page> {
        let mut pages = Vec::with_capacity(self.dirty.len());
        for name in &self.dirty {
            match Snapshots::process(&self.db, name.as_str()) {
                Ok(page) => pages.push(page),
                Err(error) => {
                    warn!(process = %name, %error, "A process snapshot could not be written.");
                }
            }
        }
        if self.dirty_groups {
            match Snapshots::groups(&self.db) {
                Ok(page) => pages.push(page),
                Err(error) => warn!(%error, "The snapshot of the groups could not be written."),
            }
        }
        pages
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
        self.unsynced.get_or_insert_with(Instant::now);
        Ok(())
    }

    fn close(self) {
        let work = Work {
            flush: self.unsynced.is_some(),
            pages: self.pages(),
        };
        self.settler.finish(work);
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
