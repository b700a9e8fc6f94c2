//! Which copies have kept lines, also those that are no more.
//!
//! The names of the files say it, so nothing else has to remember a copy that was scaled away
//! or a process that was deleted without its logs. The folder is read again only after it
//! changed: a follower asks many times a second.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::names::Names;
use crate::ids::ProcessName;

/// A folder that changed less than this ago may change again without a new time: the clock of
/// a file system moves in steps, of 10 ms or of 2 s.
const STEP_NS: i128 = 3_000_000_000;

/// The copies of each process that have files of lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copies(BTreeMap<ProcessName, BTreeSet<u16>>);

impl Copies {
    fn read(folder: &Path) -> io::Result<Self> {
        let mut copies = Self::default();
        for entry in std::fs::read_dir(folder)? {
            let name = entry?.file_name();
            let owner = name.to_str().and_then(|name| Names::of_file(folder, name));
            if let Some((instance, _)) = owner.and_then(|names| names.owner()) {
                let of_process = copies.0.entry(instance.process).or_default();
                of_process.insert(instance.index);
            }
        }
        Ok(copies)
    }

    /// The copies of a process, in order.
    pub(crate) fn of<'a>(&'a self, process: &ProcessName) -> impl Iterator<Item = u16> + 'a {
        self.0.get(process).into_iter().flatten().copied()
    }

    /// Is there this copy?
    pub(crate) fn has(&self, process: &ProcessName, index: u16) -> bool {
        self.0.get(process).is_some_and(|all| all.contains(&index))
    }

    /// The process of this name, if lines of it are kept.
    pub(crate) fn named(&self, name: &str) -> Option<&ProcessName> {
        self.0.keys().find(|known| known.as_str() == name)
    }
}

/// Which folder it was, and when it had changed.
type Stamp = (u64, u64, i128);

/// Remembers what was read last.
#[derive(Debug, Default)]
pub(crate) struct KnownCopies(Mutex<Option<(Stamp, Arc<Copies>)>>);

impl KnownCopies {
    /// The copies there are now; none when the folder cannot be read.
    pub(crate) fn now(&self, folder: &Path, now_ns: i128) -> Arc<Copies> {
        let stamp = std::fs::metadata(folder).ok().map(|found| {
            let changed =
                i128::from(found.mtime()) * 1_000_000_000 + i128::from(found.mtime_nsec());
            (found.dev(), found.ino(), changed)
        });
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some((of, copies)), Some(stamp)) = (&*known, stamp)
            && *of == stamp
        {
            return copies.clone();
        }
        let copies = Arc::new(Copies::read(folder).unwrap_or_default());
        // A clock that was set back lies before the change.
        let is_old = |(_, _, changed): &Stamp| now_ns.saturating_sub(*changed) >= STEP_NS;
        *known = stamp.filter(is_old).map(|stamp| (stamp, copies.clone()));
        copies
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path, names: &[&str]) {
        for name in names {
            std::fs::write(folder.join(name), "").unwrap();
        }
    }

    fn name(text: &str) -> ProcessName {
        text.parse().unwrap()
    }

    /// `api:1` and the only copy of `api-1` are not the same.
    #[test]
    fn files_belong_to_one_copy() {
        let folder = tempfile::tempdir().unwrap();
        files(
            folder.path(),
            &[
                "api-0.out.idx",
                "api-0.out.log",
                "api-0.out.7.log.zst",
                "api-2.err.log",
                "api-1-0.out.idx",
                "v1.2-3.err.idx",
                // Nobody's.
                "daemon.log",
                "logs.sqlite",
                "api-01.out.idx",
                "api-+4.out.log",
                "api-70000.out.log",
                "api-9.out.5.idx",
                "api.out.log",
            ],
        );
        let copies = Copies::read(folder.path()).unwrap();
        let of = |text: &str| copies.of(&name(text)).collect::<Vec<_>>();
        assert_eq!(of("api"), [0, 2]);
        assert_eq!((of("api-1"), of("v1.2")), (vec![0], vec![3]));
        assert_eq!(copies.0.len(), 3);
        assert!(copies.has(&name("api"), 2) && !copies.has(&name("api"), 1));
        assert_eq!(copies.named("v1.2"), Some(&name("v1.2")));
    }

    /// What comes and goes is seen, however soon after the last look.
    #[test]
    fn changes_of_the_folder_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        let known = KnownCopies::default();
        let written = || {
            let found = std::fs::metadata(folder.path()).unwrap();
            i128::from(found.mtime()) * 1_000_000_000 + i128::from(found.mtime_nsec())
        };
        assert_eq!(*known.now(folder.path(), written()), Copies::default());
        files(folder.path(), &["api-0.out.idx"]);
        let now = known.now(folder.path(), written());
        assert!(now.has(&name("api"), 0));
        let later = known.now(folder.path(), written() + STEP_NS);
        let again = known.now(folder.path(), written() + STEP_NS);
        assert!(Arc::ptr_eq(&later, &again), "it is not read again");
        std::fs::remove_dir_all(folder.path()).unwrap();
        assert_eq!(*known.now(folder.path(), 0), Copies::default());
    }
}
