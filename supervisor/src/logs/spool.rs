//! Output that goes through a file: what was read of it, and who tells of more.
//!
//! ```text
//!   program ──append──► spool ──copy──► segment
//!                         │ inotify: more, or the last writer has closed it
//! ```
//!
//! A file is never ready or over in the sense of epoll, so inotify tells of both. How far it
//! was read stands in a small file beside it, for the daemon that comes next: one that is
//! killed between a copy and that note copies the same bytes again.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::SeekFrom;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

use crate::sys;

/// How much is read before its room is given back.
const GIVE_BACK: u64 = 1 << 20;

/// How far one file was read.
#[derive(Debug)]
pub(super) struct Spool {
    /// Holds the offset, eight bytes.
    note: File,
    read: u64,
    given_back: u64,
    /// A program had it open, so that its having none now means the end.
    pub(super) opened: bool,
}

impl Spool {
    /// Opens a file where it was left.
    pub(super) fn open(path: &Path) -> io::Result<(OwnedFd, Self)> {
        // What was read must not be taken for new.
        let resumed = path.try_exists()?;
        let file = sys::open_spool(path)?;
        let note = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(note_path(path))?;
        let mut bytes = [0; 8];
        let read = match note.read_exact_at(&mut bytes, 0) {
            Ok(()) if resumed => u64::from_le_bytes(bytes),
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(error),
            _ => 0,
        };
        rustix::fs::seek(&file, SeekFrom::Start(read))?;
        let spool = Self {
            note,
            read,
            given_back: 0,
            opened: resumed,
        };
        Ok((file, spool))
    }

    /// These bytes are in the log.
    pub(super) fn advance(&mut self, path: &Path, bytes: u64) {
        self.read += bytes;
        self.opened = true;
        // Without the note the next daemon copies more than it needs to; nothing is lost.
        let _ = self.note.write_all_at(&self.read.to_le_bytes(), 0);
        if self.read - self.given_back >= GIVE_BACK {
            self.given_back = self.read;
            // A file system without holes keeps it all until the run ends.
            let _ = sys::give_back_spool(path, self.read);
        }
    }

    /// Nothing is left to read. True when nobody can write any more.
    pub(super) fn is_over(&mut self, file: &OwnedFd) -> bool {
        let Ok(stat) = rustix::fs::fstat(file) else {
            return false;
        };
        if stat.st_size.unsigned_abs() < self.read {
            // The program has truncated it and appends from the start.
            (self.read, self.given_back) = (0, 0);
            let _ = self.note.write_all_at(&0u64.to_le_bytes(), 0);
            return rustix::fs::seek(file, SeekFrom::Start(0)).is_err();
        }
        self.opened && !sys::spool_has_writer(file.as_fd())
    }
}

/// Deletes a file and what belongs to it.
pub(super) fn delete(path: &Path) {
    // Whoever tidied up before us did the same.
    let _ = std::fs::remove_file(path);
    let _ = std::fs::remove_file(note_path(path));
}

fn note_path(path: &Path) -> PathBuf {
    path.with_extension("read")
}

/// What happened to a file.
pub(super) struct News {
    pub(super) token: u64,
    /// Somebody who could write has closed it.
    pub(super) closed: bool,
}

/// Tells which files have news. Made when the first one is watched.
#[derive(Debug, Default)]
pub(super) struct Watches {
    inotify: Option<OwnedFd>,
    /// The descriptor is looked at by whoever asks for news.
    polled: bool,
    tokens: HashMap<i32, u64>,
}

impl Watches {
    /// Watches a file. `poll` has the descriptor looked at, and is asked until that has worked.
    pub(super) fn add(
        &mut self,
        path: &Path,
        token: u64,
        poll: impl FnOnce(&OwnedFd) -> io::Result<()>,
    ) -> io::Result<()> {
        let inotify = match self.inotify.take() {
            Some(inotify) => inotify,
            None => inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?,
        };
        let inotify = self.inotify.insert(inotify);
        if !self.polled {
            poll(inotify)?;
            self.polled = true;
        }
        let flags = WatchFlags::MODIFY | WatchFlags::CLOSE_WRITE;
        let watch = inotify::add_watch(inotify, path, flags)?;
        self.tokens.insert(watch, token);
        Ok(())
    }

    /// Stops watching.
    pub(super) fn remove(&mut self, token: u64) {
        let watch = self.tokens.iter().find(|(_, other)| **other == token);
        if let (Some(inotify), Some(watch)) = (&self.inotify, watch.map(|(watch, _)| *watch)) {
            // The kernel has removed it with the file.
            let _ = inotify::remove_watch(inotify, watch);
            self.tokens.remove(&watch);
        }
    }

    /// What happened since it was asked last; everything, when the kernel lost count.
    pub(super) fn news(&mut self) -> Vec<News> {
        let Some(inotify) = &self.inotify else {
            return Vec::new();
        };
        let mut closed: HashMap<u64, bool> = HashMap::new();
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(inotify, &mut buffer);
        while let Ok(event) = reader.next() {
            if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                closed.extend(self.tokens.values().map(|token| (*token, true)));
            }
            if let Some(token) = self.tokens.get(&event.wd()) {
                *closed.entry(*token).or_default() |=
                    event.events().contains(ReadFlags::CLOSE_WRITE);
            }
        }
        closed
            .into_iter()
            .map(|(token, closed)| News { token, closed })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use super::*;
    use crate::clock::Clock;
    use crate::ids::InstanceId;
    use crate::logs::Ingest;
    use crate::paths::{Paths, Stream};

    /// A program appends while no daemon is there and ends; the next daemon keeps it all once,
    /// and leaves no file behind.
    #[tokio::test]
    async fn what_is_appended_while_nobody_reads_is_kept() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::new(home.path()).unwrap();
        paths.create().unwrap();
        let api = InstanceId::new("api".parse().unwrap(), 0);
        let spool = paths.spool(&api, 1, Stream::Out);
        let start = || Ingest::start(&paths, &Clock::system()).unwrap();
        let attach = async |ingest: &Ingest| {
            let path = paths.output(&api, 1, Stream::Out).unwrap();
            ingest.attach(&api, 1, Stream::Out, &path).await
        };
        let first = start();
        first.attach(&api, 1, Stream::Out, &spool).await.unwrap();
        let mut program = File::options().append(true).open(&spool).unwrap();
        let mut expected = String::new();
        let mut print = |program: &mut File, from: u32| {
            let text: String = (from..from + 300_000).map(|n| format!("{n}\n")).collect();
            program.write_all(text.as_bytes()).unwrap();
            expected += &text;
        };
        print(&mut program, 0);
        let mut grew = first.grew();
        while first.bytes(&api) < spool.metadata().unwrap().len() {
            grew.changed().await.unwrap();
        }
        drop(first);
        print(&mut program, 300_000);
        drop(program);

        let second = start();
        attach(&second).await.unwrap();
        second.drained(&api, 1, Duration::from_secs(60)).await;
        let kept = std::fs::read_to_string(paths.segment(&api, Stream::Out)).unwrap();
        assert!(
            kept == expected,
            "{} of {} bytes",
            kept.len(),
            expected.len()
        );
        assert_eq!(std::fs::read_dir(paths.run()).unwrap().count(), 0);
    }

    /// What a run left in its file while the disk was full comes before what the next one
    /// printed.
    #[tokio::test]
    async fn runs_keep_their_order_over_a_full_disk() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::new(home.path()).unwrap();
        paths.create().unwrap();
        let limits = crate::logs::Limits::default();
        let full = limits.full.clone();
        let ingest = Ingest::start_with(&paths, &Clock::system(), limits).unwrap();
        let mut grew = ingest.grew();
        full.store(true, Ordering::Relaxed);
        let ids: Vec<InstanceId> = (0..8)
            .map(|index| InstanceId::new("api".parse().unwrap(), index))
            .collect();
        let mut programs = Vec::new();
        for id in &ids {
            for generation in [1, 2] {
                let path = paths.spool(id, generation, Stream::Out);
                let attached = ingest.attach(id, generation, Stream::Out, &path).await;
                attached.unwrap();
                let mut program = File::options().append(true).open(&path).unwrap();
                // In one piece: once the disk has refused its begin, the rest waits in the file.
                let mut print = |text: String| program.write_all(text.as_bytes()).unwrap();
                print(format!("{generation}a\n"));
                at_least(&ingest, id, 3, &mut grew).await;
                print(format!("{generation}b\n"));
                programs.push(program);
            }
        }
        full.store(false, Ordering::Relaxed);
        for id in &ids {
            at_least(&ingest, id, 12, &mut grew).await;
            let kept = std::fs::read_to_string(paths.segment(id, Stream::Out)).unwrap();
            assert_eq!(kept, "1a\n1b\n2a\n2b\n", "{id}");
        }
    }

    /// Waits for so many bytes of an instance, a minute at most, and looks again without news.
    async fn at_least(
        ingest: &Ingest,
        id: &InstanceId,
        bytes: u64,
        grew: &mut tokio::sync::watch::Receiver<u64>,
    ) {
        for _ in 0..1_200 {
            if ingest.bytes(id) >= bytes {
                return;
            }
            let moment = std::time::Duration::from_millis(50);
            let _ = tokio::time::timeout(moment, grew.changed()).await;
        }
        panic!("{id}: {} of {bytes} bytes", ingest.bytes(id));
    }

    /// A first file that cannot be watched, as above the user's share of watches, takes the
    /// others nothing.
    #[test]
    fn what_cannot_be_watched_keeps_nobody_from_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "").unwrap();
        let mut watches = Watches::default();
        let mut polled = 0;
        let refused = || Err(io::ErrorKind::OutOfMemory.into());
        assert!(watches.add(&path, 1, |_| refused()).is_err());
        let missing = folder.path().join("b");
        let mut poll = |_: &OwnedFd| -> io::Result<()> {
            polled += 1;
            Ok(())
        };
        assert!(watches.add(&missing, 2, &mut poll).is_err());
        watches.add(&path, 3, &mut poll).unwrap();
        assert_eq!(polled, 1, "it is looked at, and once");
        std::fs::write(&path, "x").unwrap();
        let news: Vec<u64> = watches.news().iter().map(|news| news.token).collect();
        assert_eq!(news, [3]);
    }

    /// What the program cuts off starts again from its beginning.
    #[tokio::test]
    async fn a_truncated_file_is_read_from_its_start() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("api-0.1.out.spool");
        let (file, mut spool) = Spool::open(&path).unwrap();
        std::fs::write(&path, "old\n").unwrap();
        rustix::fs::seek(&file, SeekFrom::Start(4)).unwrap();
        spool.advance(&path, 4);
        std::fs::write(&path, "n\n").unwrap();
        assert!(!spool.is_over(&file));
        let mut bytes = [0; 8];
        assert_eq!(rustix::io::read(&file, &mut bytes).unwrap(), 2);
        spool.advance(&path, 2);
        assert!(spool.is_over(&file));
    }
}
