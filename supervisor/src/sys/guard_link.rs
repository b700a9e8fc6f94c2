//! The daemon's end of the link to its guard.
//!
//! One line per message, short enough to be written in one piece:
//!
//! ```text
//! reap <pid>     collect this zombie: its exit has been read
//! exec <path>    start this binary at the next exit with code 85
//! up             the daemon answers: an upgrade has worked
//! bye <code>     an orderly exit with this code follows
//! later <code>   the same, and what kept this daemon from coming up may pass
//! hold <path>    keep this FIFO open for reading: what is in it must outlive the daemon
//! drop <path>    it has been read to its end
//! keep <socket>  keep the socket that comes with this open for the next daemon
//! free <socket>  close it
//! ```
//!
//! The guard gives one end to the daemon by number in `MHOST_REAP_FD`; in it lie the sockets
//! that it keeps. A daemon whose guard has died starts another one and gives it its end in
//! `MHOST_GUARD_FD`. See [`super::socket_keep`] for the sockets.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::{daemonize, kernel, process, reap, socket_keep};

/// The variable that tells the daemon which descriptor leads to its guard.
pub const REAP_FD: &str = "MHOST_REAP_FD";

/// The variable that tells a guard which descriptor leads from the daemon that started it.
pub const GUARD_FD: &str = "MHOST_GUARD_FD";

/// The exit code by which the daemon asks the guard for the binary named by `exec`.
pub const EXIT_FOR_UPGRADE: i32 = 85;

static CURRENT: Mutex<Option<Arc<GuardLink>>> = Mutex::new(None);

/// The guard that watches this daemon.
#[derive(Debug)]
pub struct GuardLink {
    pid: i32,
    pidfd: OwnedFd,
    link: OwnedFd,
    /// It is our parent, so what we leave behind moves up to it.
    parent: bool,
}

impl GuardLink {
    fn current(self) -> Arc<Self> {
        let link = Arc::new(self);
        *CURRENT.lock().unwrap_or_else(PoisonError::into_inner) = Some(link.clone());
        link
    }

    /// The guard that started this process, if one did. Called once, early.
    pub fn from_env() -> Option<Arc<Self>> {
        let number: i32 = std::env::var(REAP_FD).ok()?.parse().ok()?;
        // The parent opened it for us and nobody else knows of it.
        if number < 3 || std::fs::metadata(format!("/proc/self/fd/{number}")).is_err() {
            return None;
        }
        // SAFETY: the descriptor is open (checked above), was made by the guard for this
        // process, and is taken only here, once, before any other descriptor is opened.
        let link = unsafe { OwnedFd::from_raw_fd(number) };
        let _ = rustix::io::fcntl_setfd(&link, rustix::io::FdFlags::CLOEXEC);
        socket_keep::take_over(link.as_fd());
        let pid = rustix::process::getppid()?.as_raw_nonzero().get();
        let pidfd = process::open_patiently(pid).ok()?;
        let link = Self {
            pid,
            pidfd,
            link,
            parent: true,
        };
        Some(link.current())
    }

    /// Starts `exe args…` as a new guard, after the former one has died. It watches this
    /// daemon with [`super::guard::watch`]; its arguments must tell it this daemon's pid.
    /// What runs already does not move up to it when the daemon dies, but to init.
    ///
    /// # Errors
    /// What the system said.
    pub fn start_another(exe: &Path, args: &[OsString]) -> io::Result<Arc<Self>> {
        let (guards, link) = socket_keep::link()?;
        let (pid, pidfd) = daemonize::spawn_with(exe, args, GUARD_FD, guards.as_fd())?;
        reap::own(pid);
        let link = Self {
            pid,
            pidfd,
            link,
            parent: false,
        };
        let link = link.current();
        socket_keep::hand_all(link.link.as_fd());
        Ok(link)
    }

    /// The guard's pid.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Asks the guard to collect a zombie.
    pub fn reap(&self, pid: i32) {
        // A guard that is gone has left its zombies to somebody who collects them anyway.
        let _ = self.tell(format!("reap {pid}\n").as_bytes());
    }

    /// Asks the guard to start `binary` when this daemon exits with [`EXIT_FOR_UPGRADE`].
    ///
    /// # Errors
    /// When the guard is gone, or the path cannot be told in one line.
    pub fn exec_next(&self, binary: &Path) -> io::Result<()> {
        let path = binary.as_os_str().as_bytes();
        if !binary.is_absolute() || path.contains(&b'\n') {
            return Err(io::Error::other("the path must be absolute, in one line"));
        }
        self.tell(&[b"exec ", path, b"\n"].concat())
    }

    /// Tells the guard that this daemon answers now.
    pub fn up(&self) {
        let _ = self.tell(b"up\n");
    }

    /// Tells the guard that this daemon is about to exit of its own will.
    pub fn bye(&self, code: i32) {
        let _ = self.tell(format!("bye {code}\n").as_bytes());
    }

    /// Tells the guard that this daemon could not come up, and that the next one may.
    pub fn later(&self, code: i32) {
        let _ = self.tell(format!("later {code}\n").as_bytes());
    }

    fn tell_of(&self, verb: &[u8], path: &Path) {
        let path = path.as_os_str().as_bytes();
        if !path.contains(&b'\n') {
            // A guard that is gone holds nothing; the next one is told of the next run.
            let _ = self.tell(&[verb, path, b"\n"].concat());
        }
    }

    fn tell(&self, line: &[u8]) -> io::Result<()> {
        socket_keep::send(self.link.as_fd(), line, &[])
    }

    /// Is the guard still there?
    pub fn is_alive(&self) -> bool {
        !kernel::has_exited(&self.pidfd)
    }

    /// Waits until the guard has ended: then the daemon starts another one.
    ///
    /// # Errors
    /// When the descriptor cannot be watched.
    pub async fn gone(&self) -> io::Result<()> {
        let watched = kernel::watch(self.pidfd.try_clone()?)?;
        kernel::until_exited(&watched).await
    }
}

impl Drop for GuardLink {
    fn drop(&mut self) {
        if !self.parent {
            reap::collect(self.pidfd.as_fd());
            reap::disown(self.pid);
        }
    }
}

/// Says something to the guard of the moment, if there is one.
pub(super) fn tell_current(say: impl FnOnce(BorrowedFd<'_>)) {
    if let Some(guard) = &*CURRENT.lock().unwrap_or_else(PoisonError::into_inner) {
        say(guard.link.as_fd());
    }
}

/// Asks the guard to keep a run's FIFO open. The kernel throws a pipe's content away with its
/// last descriptor, so a program that ends while no daemon lives would take its last lines
/// with it.
pub(crate) fn hold_output(path: &Path) {
    if let Some(guard) = &*CURRENT.lock().unwrap_or_else(PoisonError::into_inner) {
        guard.tell_of(b"hold ", path);
    }
}

/// Tells the guard that a FIFO has been read to its end.
pub(crate) fn release_output(path: &Path) {
    if let Some(guard) = &*CURRENT.lock().unwrap_or_else(PoisonError::into_inner) {
        guard.tell_of(b"drop ", path);
    }
}

/// The living guard that is our parent.
pub(super) fn parent_guard() -> Option<Arc<GuardLink>> {
    CURRENT
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
        .filter(|guard| guard.parent && guard.is_alive())
}
