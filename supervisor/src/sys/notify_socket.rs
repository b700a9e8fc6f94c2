//! The sockets that runs speak to by the protocol of `sd_notify`.
//!
//! ```text
//!   spawn ──open──► NotifySocket ◄──datagrams── processes of the run
//!                      │ ▲
//!                  keep│ │handed      the same socket, with the guard
//!                      ▼ │
//!                    socket_keep ──► guard
//! ```
//!
//! Each run has its own: a program that floods its socket waits for nobody but itself, the
//! rights of the file say who can reach it at all, and nobody has to guess whom a message is
//! about. The guard has a copy, so that what is said while no daemon lives waits in it. When the
//! guard is gone, too, the file is bound anew, and what was said meanwhile was refused.
//!
//! Who of those who reach it is listened to is decided by the launcher.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, Mode, Uid};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, socket_with, sockopt,
};

use super::{cgroup, socket_keep};
use crate::paths::NOTIFY;
use crate::spec::MAX_SOCKET_PATH;
use crate::state::ProcessRef;

/// Where runs of other users have theirs: nobody but its user enters the home. Only root has
/// such runs, and so may make it.
const FOR_OTHERS: &str = "/run";

/// What no name of a process begins with.
const KEY: char = '@';

/// The socket of one run.
#[derive(Debug)]
pub(super) struct NotifySocket {
    path: PathBuf,
    /// Whom the file belongs to, if not to us.
    owner: Option<u32>,
    bound: Mutex<Bound>,
}

#[derive(Debug)]
struct Bound {
    socket: Arc<OwnedFd>,
    /// Device and inode of the file: another one of that name is not ours.
    file: (u64, u64),
    /// What the guard keeps it under.
    key: Option<String>,
}

/// Is this what the guard keeps such a socket under?
pub(super) fn is_key(key: &str) -> bool {
    key.starts_with(KEY)
}

fn key_of(process: &ProcessRef) -> String {
    format!("{KEY}{}.{}", process.pid, process.start_time)
}

/// Where the socket of a run of `owner` lies, if not at `path`, which only we can reach.
pub(super) fn place(path: PathBuf, home: &Path, owner: Option<u32>) -> PathBuf {
    let ours = rustix::process::geteuid().as_raw();
    match (owner.filter(|uid| *uid != ours), path.file_name()) {
        (Some(_), Some(name)) => folder_for_others(home).join(name),
        _ => path,
    }
}

fn folder_for_others(home: &Path) -> PathBuf {
    Path::new(FOR_OTHERS).join(cgroup::name_of(home))
}

impl NotifySocket {
    /// Opens it, at a path that no living run has.
    pub(super) fn open(path: PathBuf, owner: Option<u32>) -> io::Result<Self> {
        let (socket, file) = bind_at(&path, owner)?;
        let bound = Bound {
            socket: Arc::new(socket),
            file,
            key: None,
        };
        Ok(Self {
            path,
            owner,
            bound: Mutex::new(bound),
        })
    }

    /// What a former daemon left of a run with the guard.
    pub(super) fn handed(process: &ProcessRef, owner: Option<u32>) -> Option<Self> {
        let key = key_of(process);
        let socket = Arc::new(socket_keep::take(&key)?);
        let path = path_of(&socket)?;
        // For this daemon, too: the guard may die.
        socket_keep::keep(&key, &socket);
        let file = path.symlink_metadata().map(|file| id_of(&file));
        let bound = Bound {
            socket,
            // Whether somebody has removed it is seen by `is_in_place`.
            file: file.unwrap_or_default(),
            key: Some(key),
        };
        Some(Self {
            path,
            owner,
            bound: Mutex::new(bound),
        })
    }

    fn bound(&self) -> MutexGuard<'_, Bound> {
        self.bound.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn socket(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.bound().socket)
    }

    /// Has the guard keep it, now that the run is known.
    pub(super) fn keep(&self, process: &ProcessRef) {
        let mut bound = self.bound();
        let key = key_of(process);
        socket_keep::keep(&key, &bound.socket);
        bound.key = Some(key);
    }

    /// Does its path still lead to it?
    pub(super) fn is_in_place(&self) -> bool {
        let found = self.path.symlink_metadata();
        found.is_ok_and(|found| id_of(&found) == self.bound().file)
    }

    /// Binds it anew after somebody has removed the file.
    pub(super) fn mend(&self) -> io::Result<Arc<OwnedFd>> {
        let (socket, file) = bind_at(&self.path, self.owner)?;
        let mut bound = self.bound();
        bound.socket = Arc::new(socket);
        bound.file = file;
        if let Some(key) = &bound.key {
            socket_keep::keep(key, &bound.socket);
        }
        Ok(Arc::clone(&bound.socket))
    }

    /// Ends it: the run is over, or never began.
    pub(super) fn close(&self) {
        if let Some(key) = self.bound().key.take() {
            socket_keep::free(&key);
        }
        if self.is_in_place() {
            // What cannot be removed is swept up by a later daemon.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Ends what a former daemon left of a run that is over.
pub(super) fn forget(process: &ProcessRef) {
    let key = key_of(process);
    if let Some(socket) = socket_keep::take(&key) {
        socket_keep::free(&key);
        if let Some(path) = path_of(&socket) {
            remove(&path);
        }
    }
}

/// Removes files that no socket is behind: of daemons that died together with their guard.
pub(super) fn sweep(run: &Path, home: &Path) {
    for folder in [run.to_owned(), folder_for_others(home)] {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let is_ours = path
                .as_os_str()
                .as_encoded_bytes()
                .ends_with(NOTIFY.as_bytes());
            if is_ours && matches!(try_connect(&path), Err(Errno::CONNREFUSED)) {
                remove(&path);
            }
        }
    }
}

fn try_connect(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

/// A new socket at a path, that only its owner can write to, and the id of its file.
fn bind_at(path: &Path, owner: Option<u32>) -> io::Result<(OwnedFd, (u64, u64))> {
    let length = path.as_os_str().len();
    if length > MAX_SOCKET_PATH {
        return Err(io::Error::other(format!(
            "the path has {length} bytes and the system allows {MAX_SOCKET_PATH}; a shorter name of the process, or of the home, makes it fit"
        )));
    }
    let ours = rustix::process::geteuid().as_raw();
    let owner = owner.filter(|uid| *uid != ours);
    if let Some(folder) = path.parent() {
        // Others have to pass through, and see nothing of what is in it.
        let mode = if owner.is_some() { 0o711 } else { 0o700 };
        let mut folders = std::fs::DirBuilder::new();
        folders.recursive(true).mode(mode).create(folder)?;
    }
    match path.symlink_metadata() {
        Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path)?,
        Ok(_) => {
            return Err(io::Error::other(
                "a file of that name is there, and it is not a socket",
            ));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?;
    sockopt::set_socket_passcred(&socket, true)?;
    // The file gets the rights that the socket has when it is bound.
    rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR)?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    if let Some(uid) = owner {
        let uid = Some(Uid::from_raw(uid));
        rustix::fs::chownat(rustix::fs::CWD, path, uid, None, AtFlags::SYMLINK_NOFOLLOW)?;
    }
    let file = id_of(&path.symlink_metadata()?);
    Ok((socket, file))
}

fn id_of(file: &std::fs::Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// Where a socket was bound.
fn path_of(socket: &OwnedFd) -> Option<PathBuf> {
    let copy = socket.as_fd().try_clone_to_owned().ok()?;
    let address = UnixDatagram::from(copy).local_addr().ok()?;
    address.as_pathname().map(Path::to_owned)
}

fn remove(path: &Path) {
    if path
        .symlink_metadata()
        .is_ok_and(|found| found.file_type().is_socket())
    {
        // It is found again by the next sweep.
        let _ = std::fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::comes_true::comes_true;
    use super::super::kernel;
    use super::*;

    fn own() -> i32 {
        i32::try_from(std::process::id()).expect("pids are small")
    }

    #[test]
    fn datagrams_come_with_their_sender_and_long_ones_are_cut() {
        let folder = tempfile::tempdir().expect("temp folder");
        let path = folder.path().join("run/a-0.1.notify");
        let opened = NotifySocket::open(path.clone(), None).expect("opens");
        let mode = path.symlink_metadata().expect("is there").permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        let client = UnixDatagram::unbound().expect("a socket");
        client.send_to(b"READY=1", &path).expect("is sent");
        client.send_to(&[b'x'; 64], &path).expect("is sent");
        let mut buffer = [0; 16];
        let socket = opened.socket();
        let mut next = || kernel::receive_from(socket.as_fd(), &mut buffer);
        let first = next().expect("came");
        assert_eq!((first.length, first.cut, first.sender), (7, false, own()));
        assert!(next().expect("came").cut);
        let error = next().expect_err("is empty");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        opened.close();
        assert!(!path.exists());
    }

    #[test]
    fn one_that_was_removed_is_bound_again() {
        let folder = tempfile::tempdir().expect("temp folder");
        let path = folder.path().join("run/a-0.1.notify");
        let opened = NotifySocket::open(path.clone(), None).expect("opens");
        assert!(opened.is_in_place());
        std::fs::remove_dir_all(folder.path().join("run")).expect("removes");
        assert!(!opened.is_in_place());
        opened.mend().expect("mends");
        assert!(opened.is_in_place());
        let client = UnixDatagram::unbound().expect("a socket");
        client.send_to(b"WATCHDOG=1", &path).expect("is sent");
    }

    #[test]
    fn files_without_a_socket_are_swept_up() {
        let folder = tempfile::tempdir().expect("temp folder");
        let at = |name: &str| folder.path().join(name);
        let lives = NotifySocket::open(at("a-0.1.notify"), None).expect("opens");
        drop(NotifySocket::open(at("a-0.2.notify"), None).expect("opens"));
        drop(UnixDatagram::bind(at("other")).expect("binds"));
        std::fs::write(at("b-0.1.notify"), "").expect("writes");
        // Another test may fork just now and hold a copy until its exec.
        assert!(comes_true(|| {
            sweep(folder.path(), folder.path());
            !at("a-0.2.notify").exists()
        }));
        assert!(lives.is_in_place());
        assert!(at("other").exists() && at("b-0.1.notify").exists());
    }

    #[test]
    fn a_path_that_is_too_long_is_told() {
        let path = Path::new("/tmp").join("x".repeat(MAX_SOCKET_PATH));
        let error = NotifySocket::open(path, None).expect_err("does not fit");
        assert!(error.to_string().contains("112 bytes"), "{error}");
    }
}
