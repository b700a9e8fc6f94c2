//! Walks the folders a filter enters, and compares two walks.
//!
//! Symbolic links are not followed: a loop of them would never end.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::filter::Filter;

/// When a file was written and how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp {
    seconds: i64,
    nanos: i64,
    size: u64,
    inode: u64,
}

impl Stamp {
    pub(super) fn of(file: &Path) -> io::Result<Stamp> {
        let metadata = std::fs::symlink_metadata(file)?;
        Ok(Stamp {
            seconds: metadata.mtime(),
            nanos: metadata.mtime_nsec(),
            size: metadata.size(),
            inode: metadata.ino(),
        })
    }
}

/// All files that count, at one time.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Snapshot {
    files: BTreeMap<PathBuf, Stamp>,
}

impl Snapshot {
    /// A file that was added, changed or removed.
    pub(super) fn first_difference(&self, newer: &Snapshot) -> Option<PathBuf> {
        let changed = newer
            .files
            .iter()
            .find(|(path, stamp)| self.files.get(*path) != Some(*stamp));
        let removed = || {
            self.files
                .keys()
                .find(|path| !newer.files.contains_key(*path))
        };
        changed.map(|(path, _)| path).or_else(removed).cloned()
    }
}

/// Looks at all files that count, off the runtime's threads.
pub(super) async fn scan(filter: Filter) -> Result<Snapshot, tokio::task::JoinError> {
    tokio::task::spawn_blocking(move || {
        let mut snapshot = Snapshot::default();
        let root = filter.root().to_owned();
        walk(&filter, &root, &mut |entry| {
            if let Entry::File(file) = entry
                && let Ok(stamp) = Stamp::of(file)
            {
                snapshot.files.insert(file.to_owned(), stamp);
            }
        });
        snapshot
    })
    .await
}

/// What a walk meets.
pub(super) enum Entry<'a> {
    /// A folder, before what is in it.
    Folder(&'a Path),
    /// A file that counts.
    File(&'a Path),
}

/// Visits `folder` and everything in it that counts. What cannot be read is left out.
pub(super) fn walk(filter: &Filter, folder: &Path, visit: &mut dyn FnMut(Entry<'_>)) {
    if !filter.enters(folder) {
        return;
    }
    let mut left = vec![folder.to_owned()];
    while let Some(folder) = left.pop() {
        // Visited before it is read: a file that appears in between is either seen here or
        // reported by the watch that the visit has added.
        visit(Entry::Folder(&folder));
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() && filter.enters(&path) => left.push(path),
                Ok(kind) if !kind.is_dir() && filter.wants(&path) => visit(Entry::File(&path)),
                _ => {}
            }
        }
    }
}
