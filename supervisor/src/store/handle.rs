//! What the rest of the program holds of the database.

use std::path::{Path, PathBuf};
use std::sync::mpsc::TrySendError;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::kept::Health;
use super::queue::{Sender, queue};
use super::writer::{Message, Writer};
use super::{Batch, EventFilter, Loaded, StoreError, reader, schema};
use crate::clock::Clock;
use crate::event::Event;
use crate::ids::ProcessName;

/// Batches that may wait. More means the disk does not keep up, and saying so beats waiting.
const QUEUE: usize = 4096;

/// A clonable handle of the writer thread, with a read-only connection of its own for events.
#[derive(Debug, Clone)]
pub struct StoreHandle {
    sender: Sender<Message>,
    health: Arc<Mutex<Health>>,
    reader: Arc<Reader>,
}

#[derive(Debug)]
struct Reader {
    path: PathBuf,
    /// Opened at the first question.
    db: Mutex<Option<Connection>>,
}

/// The writer thread. Dropping it writes what is queued, checkpoints and waits.
#[derive(Debug)]
pub struct StoreThread {
    sender: Sender<Message>,
    thread: Option<JoinHandle<()>>,
}

impl StoreHandle {
    /// Opens or makes the database at `path` and starts its writer. A damaged file is moved
    /// aside and a new one takes its place, filled from the `processes` folder beside it.
    ///
    /// # Errors
    /// [`StoreError::Open`] when the file cannot be made, [`StoreError::Newer`] when a newer
    /// program wrote it, [`StoreError::Locked`] when another one holds it.
    pub fn open(path: &Path, clock: Clock) -> Result<(StoreHandle, StoreThread), StoreError> {
        let health = Arc::new(Mutex::new(Health::default()));
        let writer = Writer::open(path, clock, health.clone())?;
        let (sender, receiver) = queue(QUEUE);
        let thread = std::thread::Builder::new()
            .name("store".into())
            .stack_size(512 * 1024)
            .spawn(move || writer.run(&receiver))
            .map_err(|source| StoreError::Open {
                path: path.to_owned(),
                source: Arc::new(source),
            })?;
        let handle = StoreHandle {
            sender: sender.clone(),
            health,
            reader: Arc::new(Reader {
                path: path.to_owned(),
                db: Mutex::new(None),
            }),
        };
        let thread = StoreThread {
            sender,
            thread: Some(thread),
        };
        Ok((handle, thread))
    }

    /// Writes a batch as one transaction. Resolves after COMMIT with the events and their
    /// ids. Dropping the future does not take the batch back.
    ///
    /// # Errors
    /// Quickly, when the queue is full, the disk is full or the file is locked. A batch of
    /// states and events only is then kept and written later; any other is not.
    pub async fn commit(&self, batch: Batch) -> Result<Vec<Event>, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Commit {
            batch: Box::new(batch),
            reply,
        })?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Reads everything a new daemon needs to go on.
    ///
    /// # Errors
    /// What SQLite said.
    pub async fn load(&self) -> Result<Loaded, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Load { reply })?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Events that match, newest first.
    ///
    /// # Errors
    /// What SQLite said.
    pub async fn events(&self, filter: EventFilter) -> Result<Vec<Event>, StoreError> {
        let handle = self.clone();
        tokio::task::spawn_blocking(move || handle.events_now(&filter))
            .await
            .unwrap_or(Err(StoreError::Closed))
    }

    /// As [`StoreHandle::events`], for threads that may block.
    ///
    /// # Errors
    /// What SQLite said.
    pub fn events_now(&self, filter: &EventFilter) -> Result<Vec<Event>, StoreError> {
        let mut db = self
            .reader
            .db
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let db = match &mut *db {
            Some(db) => db,
            none => none.insert(schema::open_for_reading(&self.reader.path)?),
        };
        reader::events(db, filter)
    }

    /// What is wrong, for people; `None` when all is well.
    pub fn degraded(&self) -> Option<String> {
        self.health
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .describe()
    }

    /// Does a state of this process wait to be written, since it was refused?
    pub fn is_waiting(&self, process: &ProcessName) -> bool {
        let health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        health.waiting.contains(process)
    }

    fn send(&self, message: Message) -> Result<(), StoreError> {
        self.sender.try_send(message).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => StoreError::Closed,
        })
    }
}

impl StoreThread {
    /// Writes what is queued, moves the WAL into the database and ends the thread. Blocks.
    /// Later commits fail with [`StoreError::Closed`].
    pub fn close(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let Some(thread) = self.thread.take() else {
            return;
        };
        self.sender.send_beyond(Message::Close);
        if thread.join().is_err() {
            tracing::error!("The store's thread ended with a panic.");
        }
    }
}

impl Drop for StoreThread {
    fn drop(&mut self) {
        self.end();
    }
}
