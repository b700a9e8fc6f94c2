//! Has the system report changes: one watch per folder that can hold a file that counts.
//!
//! Folders that appear get a watch, and what is already in them counts as changed. Nothing
//! here waits for a burst to end. The thread of the `notify` crate only sorts and queues.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use notify::event::{AccessKind, ModifyKind, RenameMode};
use notify::{ErrorKind, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use rustix::io::Errno;
use tokio::sync::mpsc;

use super::filter::Filter;
use super::scan::{Entry, Stamp, walk};

/// Reports that wait to be looked at. Past that the tree is walked instead.
const QUEUE: usize = 1024;

/// A file whose content and status changed this close together was touched: only its rights
/// changed otherwise.
const TOUCH_NANOS: i128 = 10_000_000;

/// Why the system's reports end.
#[derive(Debug)]
pub(super) enum Refused {
    /// There are no watches left.
    Limit {
        /// What the system said.
        error: String,
        /// A change that came with it.
        changed: Option<PathBuf>,
    },
    /// The working folder was removed or moved.
    NoFolder,
    /// Nobody listens any more.
    Gone,
}

impl Refused {
    fn limit(error: impl std::fmt::Display) -> Self {
        Self::Limit {
            error: error.to_string(),
            changed: None,
        }
    }
}

/// What the system reports, sorted.
#[derive(Debug)]
pub(super) enum Note {
    Appeared(PathBuf),
    Vanished(PathBuf),
    Written(PathBuf),
    Attributes(PathBuf),
    /// Reports were lost.
    Lost,
    Failed(notify::Error),
}

/// The watched folders of one process.
#[derive(Debug)]
pub(super) struct Folders {
    /// Absent only while a thread works on it.
    tree: Option<Tree>,
    notes: mpsc::Receiver<Note>,
    lost: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Tree {
    watcher: RecommendedWatcher,
    filter: Filter,
    /// Each watched folder, and whether it has held a file that counts.
    folders: BTreeMap<PathBuf, bool>,
    /// The newest file that counts: when reports are lost, a newer one means a change.
    newest: Option<Stamp>,
}

impl Folders {
    /// Puts watches on all folders that can hold a file that counts.
    pub(super) async fn open(filter: Filter) -> Result<Folders, Refused> {
        let (sender, notes) = mpsc::channel(QUEUE);
        let lost = Arc::new(AtomicBool::new(false));
        let handler = Handler {
            filter: filter.clone(),
            sender,
            lost: lost.clone(),
        };
        let watcher = notify::recommended_watcher(handler).map_err(Refused::limit)?;
        let mut folders = Folders {
            tree: Some(Tree {
                watcher,
                filter,
                folders: BTreeMap::new(),
                newest: None,
            }),
            notes,
            lost,
        };
        folders
            .off_thread(|tree| {
                let root = tree.filter.root().to_owned();
                tree.add(&root)?;
                match tree.folders.contains_key(&root) {
                    true => Ok(()),
                    false => Err(Refused::limit("the working folder cannot be watched")),
                }
            })
            .await?;
        Ok(folders)
    }

    /// The next report. Cancel safe.
    pub(super) async fn note(&mut self) -> Note {
        if self.lost.swap(false, Ordering::Relaxed) {
            return Note::Lost;
        }
        self.notes.recv().await.unwrap_or(Note::Lost)
    }

    /// What a report means: a path that changed, or nothing.
    pub(super) async fn read(&mut self, note: Note) -> Result<Option<PathBuf>, Refused> {
        self.off_thread(|tree| tree.read(note)).await
    }

    /// File system calls block: they get a thread of their own.
    async fn off_thread<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Tree) -> Result<T, Refused> + Send + 'static,
    ) -> Result<T, Refused> {
        let mut tree = self.tree.take().ok_or(Refused::Gone)?;
        let done = tokio::task::spawn_blocking(move || {
            let result = work(&mut tree);
            (tree, result)
        });
        let (tree, result) = done.await.map_err(|_| Refused::Gone)?;
        self.tree = Some(tree);
        result
    }
}

impl Tree {
    fn read(&mut self, note: Note) -> Result<Option<PathBuf>, Refused> {
        match note {
            Note::Appeared(path) => {
                let is_folder = std::fs::symlink_metadata(&path).is_ok_and(|m| m.is_dir());
                match is_folder {
                    true => self.add(&path),
                    false => Ok(self.changed(path)),
                }
            }
            Note::Vanished(path) if path == self.filter.root() => Err(Refused::NoFolder),
            Note::Vanished(path) => match self.remove(&path) {
                Some(true) => Ok(Some(path)),
                Some(false) => Ok(None),
                None => Ok(self.changed(path)),
            },
            Note::Written(path) => Ok(self.changed(path)),
            Note::Attributes(path) => match touched(&path) {
                true => Ok(self.changed(path)),
                false => Ok(None),
            },
            Note::Lost => {
                let before = self.newest;
                let root = self.filter.root().to_owned();
                self.add(&root)?;
                Ok((self.newest > before).then_some(root))
            }
            Note::Failed(error) if limit(&error) => Err(Refused::limit(error)),
            Note::Failed(error) => {
                tracing::debug!(%error, "A change could not be read.");
                Ok(None)
            }
        }
    }

    /// Watches a folder and all below it. Returns a file that counts, if one is there.
    fn add(&mut self, folder: &Path) -> Result<Option<PathBuf>, Refused> {
        let filter = self.filter.clone();
        let mut found = None;
        let mut refused = None;
        walk(&filter, folder, &mut |entry| match entry {
            Entry::Folder(folder) => {
                if refused.is_some() || self.folders.contains_key(folder) {
                    return;
                }
                match self.watcher.watch(folder, RecursiveMode::NonRecursive) {
                    Ok(()) => {
                        self.folders.insert(folder.to_owned(), false);
                    }
                    Err(error) if limit(&error) => {
                        refused = Some(error.to_string());
                    }
                    // It is gone again, or may not be read.
                    Err(_) => {}
                }
            }
            Entry::File(file) => {
                self.remember(file);
                found.get_or_insert_with(|| file.to_owned());
            }
        });
        match refused {
            Some(error) => Err(Refused::Limit {
                error,
                changed: found,
            }),
            None => Ok(found),
        }
    }

    /// Lets go of a folder and all below it. Says whether it held a file that counts; None
    /// when it was not watched.
    fn remove(&mut self, folder: &Path) -> Option<bool> {
        self.folders.get(folder)?;
        let below: Vec<PathBuf> = self
            .folders
            .range(folder.to_owned()..)
            .map(|(path, _)| path)
            .take_while(|path| path.starts_with(folder))
            .cloned()
            .collect();
        let mut held = false;
        for path in below {
            // The system has dropped the watch of a removed folder itself.
            let _ = self.watcher.unwatch(&path);
            held |= self.folders.remove(&path).unwrap_or(false);
        }
        Some(held)
    }

    fn changed(&mut self, path: PathBuf) -> Option<PathBuf> {
        if !self.filter.wants(&path) {
            return None;
        }
        self.remember(&path);
        Some(path)
    }

    fn remember(&mut self, file: &Path) {
        if let Some(held) = file
            .parent()
            .and_then(|parent| self.folders.get_mut(parent))
        {
            *held = true;
        }
        if let Ok(stamp) = Stamp::of(file) {
            self.newest = self.newest.max(Some(stamp));
        }
    }
}

/// Runs on the thread of `notify`, which also sets watches: it must never wait.
struct Handler {
    filter: Filter,
    sender: mpsc::Sender<Note>,
    lost: Arc<AtomicBool>,
}

impl notify::EventHandler for Handler {
    fn handle_event(&mut self, event: notify::Result<notify::Event>) {
        let note = match event {
            Ok(event) if event.need_rescan() => Some(Note::Lost),
            Ok(event) => self.sort(event),
            Err(error) => Some(Note::Failed(error)),
        };
        if let Some(note) = note
            && self.sender.try_send(note).is_err()
        {
            self.lost.store(true, Ordering::Relaxed);
        }
    }
}

impl Handler {
    /// None for what cannot matter: most reports are about files being opened and read.
    fn sort(&self, event: notify::Event) -> Option<Note> {
        let kind = event.kind;
        let path = event.paths.into_iter().next()?;
        let note = match kind {
            EventKind::Access(AccessKind::Any) | EventKind::Any | EventKind::Other => Note::Written,
            EventKind::Access(_) => return None,
            EventKind::Create(_) => Note::Appeared,
            EventKind::Remove(_) => Note::Vanished,
            EventKind::Modify(ModifyKind::Name(mode)) => match mode {
                RenameMode::From => Note::Vanished,
                // Told once for each side already.
                RenameMode::Both => return None,
                RenameMode::To | RenameMode::Any | RenameMode::Other => Note::Appeared,
            },
            EventKind::Modify(ModifyKind::Metadata(_)) => Note::Attributes,
            EventKind::Modify(_) => Note::Written,
        };
        let note = note(path);
        let matters = match &note {
            Note::Appeared(path) | Note::Vanished(path) => {
                self.filter.wants(path) || self.filter.enters(path)
            }
            Note::Written(path) | Note::Attributes(path) => self.filter.wants(path),
            Note::Lost | Note::Failed(_) => true,
        };
        matters.then_some(note)
    }
}

/// Was the content's time set just now, and not only the rights?
fn touched(file: &Path) -> bool {
    std::fs::symlink_metadata(file).is_ok_and(|metadata| {
        let nanos =
            |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        let content = nanos(metadata.mtime(), metadata.mtime_nsec());
        let status = nanos(metadata.ctime(), metadata.ctime_nsec());
        (status - content).abs() <= TOUCH_NANOS
    })
}

/// Has the system run out of watches, instances or memory for them?
fn limit(error: &notify::Error) -> bool {
    match &error.kind {
        ErrorKind::MaxFilesWatch => true,
        ErrorKind::Io(error) => is_limit(error),
        _ => false,
    }
}

fn is_limit(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::NOSPC | Errno::MFILE | Errno::NFILE | Errno::NOMEM)
    )
}
