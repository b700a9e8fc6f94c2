//! One guard per home, also when the home was removed under it.
//!
//! A command that finds no daemon starts a guard, also when the one that is there is just
//! about to bring its dead daemon back. The second guard waits for the first to end, and
//! leaves as soon as a daemon answers.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use supervisor::Paths;
use supervisor::sys::{FileLock, Held, HomeName, Part};

/// How often the former guard is looked at.
const POLL: Duration = Duration::from_millis(20);
/// How often at most: 10 s.
const POLLS: u32 = 500;

/// What the only guard holds.
#[derive(Debug)]
pub(super) struct Place {
    _lock: FileLock,
    /// Outlives the folder.
    _name: Option<Held>,
}

/// Takes the place of the only guard. `None` when it is not free: somebody else's daemon
/// answers, or the home cannot be used, which has then been told.
pub(super) fn only_guard(paths: &Paths) -> Option<Place> {
    match wait_for_lock(paths) {
        Ok(Some(lock)) => Some(lock),
        Ok(None) => {
            say("another daemon runs for this home; ask it with: mhost daemon status");
            None
        }
        Err(error) => {
            say(&error);
            None
        }
    }
}

fn wait_for_lock(paths: &Paths) -> Result<Option<Place>, String> {
    paths
        .create()
        .map_err(|error| super::run::with_source(&error))?;
    let path = paths.guard_lock();
    for _ in 0..POLLS {
        let place = place(paths);
        match place.map_err(|error| format!("cannot use {}: {error}", path.display()))? {
            Some(place) => return Ok(Some(place)),
            None if UnixStream::connect(paths.socket()).is_ok() => return Ok(None),
            None => pause(),
        }
    }
    Ok(None)
}

fn place(paths: &Paths) -> io::Result<Option<Place>> {
    let name = match HomeName::take(paths.home(), Part::Guard) {
        HomeName::Ours(held) => Some(held),
        HomeName::Taken { .. } => return Ok(None),
        HomeName::Useless => None,
    };
    let lock = FileLock::try_acquire(&paths.guard_lock())?;
    Ok(lock.map(|lock| Place {
        _lock: lock,
        _name: name,
    }))
}

/// Nothing tells a guard that another one has ended, so it looks again after a while.
fn pause() {
    let time = rustix::event::Timespec {
        tv_sec: 0,
        tv_nsec: i64::from(POLL.subsec_nanos()),
    };
    // Waking early only means looking early.
    let _ = rustix::event::poll(&mut [], Some(&time));
}

fn say(text: &str) {
    // The daemon's log may be full; then there is nobody left to tell.
    let _ = writeln!(io::stderr(), "guard: {text}");
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_second_guard_leaves_when_a_daemon_answers() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::new(folder.path()).unwrap();
        let first = only_guard(&paths).expect("free");
        let _daemon = UnixListener::bind(paths.socket()).unwrap();
        assert!(only_guard(&paths).is_none());
        drop(first);
        assert!(only_guard(&paths).is_some());
    }

    #[test]
    fn a_second_guard_leaves_also_when_the_home_was_removed() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::new(folder.path().join("home")).unwrap();
        let _first = only_guard(&paths).expect("free");
        std::fs::remove_dir_all(paths.home()).unwrap();
        paths.create().unwrap();
        let _daemon = UnixListener::bind(paths.socket()).unwrap();
        assert!(only_guard(&paths).is_none());
    }

    #[test]
    fn a_second_guard_takes_over_from_one_that_ends() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::new(folder.path()).unwrap();
        let first = only_guard(&paths).expect("free");
        let second = std::thread::spawn(move || only_guard(&paths).is_some());
        pause();
        drop(first);
        assert!(second.join().unwrap());
    }
}
