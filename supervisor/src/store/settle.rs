//! The slow half of recording: flushing to the disk, and the snapshot files.
//!
//! A flush takes as long as the disk takes and a file for each of many processes takes longer
//! still; no commit waits for either. The writer hands over one piece of work at a time and
//! gathers what comes meanwhile into the next.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use tracing::warn;

use super::snapshot::{Page, Snapshots};

/// What is to be done, in this order.
#[derive(Debug, Default)]
pub(super) struct Work {
    /// Bring what was committed to the disk.
    pub(super) flush: bool,
    /// Snapshots to write.
    pub(super) pages: Vec<Page>,
}

/// The thread that does it. Dropping it waits until it is done.
#[derive(Debug)]
pub(super) struct Settler {
    sender: Option<SyncSender<Work>>,
    thread: Option<JoinHandle<()>>,
}

impl Settler {
    /// For the database at `path`.
    pub(super) fn start(path: &Path, snapshots: Snapshots) -> io::Result<Self> {
        // Nothing waits here: while it is busy the writer keeps what comes.
        let (sender, work) = sync_channel(0);
        let disk = Disk {
            path: path.to_owned(),
            wal: None,
            snapshots,
        };
        let thread = std::thread::Builder::new()
            .name("settle".into())
            .stack_size(256 * 1024)
            .spawn(move || disk.run(&work))?;
        Ok(Self {
            sender: Some(sender),
            thread: Some(thread),
        })
    }

    /// Hands over, unless it is still busy with the last piece.
    pub(super) fn offer(&self, work: Work) -> Result<(), Work> {
        use std::sync::mpsc::TrySendError;
        let Some(sender) = &self.sender else {
            return Err(work);
        };
        sender.try_send(work).map_err(|refused| match refused {
            TrySendError::Full(work) | TrySendError::Disconnected(work) => work,
        })
    }

    /// Hands over, and waits until it is done.
    pub(super) fn finish(mut self, work: Work) {
        if let Some(sender) = self.sender.take() {
            // The thread ends when nothing comes any more, and not before.
            let _ = sender.send(work);
        }
    }
}

impl Drop for Settler {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("The thread that flushes the state ended with a panic.");
        }
    }
}

/// What only the thread touches.
struct Disk {
    path: PathBuf,
    /// Kept open: SQLite holds no lock on the WAL file itself, so this is safe to open.
    wal: Option<File>,
    snapshots: Snapshots,
}

impl Disk {
    fn run(mut self, work: &Receiver<Work>) {
        while let Ok(Work { flush, pages }) = work.recv() {
            if flush {
                self.flush();
            }
            for page in &pages {
                self.snapshots.write(page);
            }
        }
    }

    fn flush(&mut self) {
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
}
