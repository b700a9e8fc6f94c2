//! The file that carries a program's output where that must never wait for a reader.
//!
//! The program appends to it and the daemon copies what is new into the log. What was copied
//! is given back to the file system as a hole, so that the file takes no more room than what
//! is still to be read. It decides nothing about when to read.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FallocateFlags, FileType, Mode, OFlags};

/// Names the signal of a lease; not in `libc`. The same number on all architectures of Linux.
const F_SETSIG: libc::c_int = 10;

/// Opens the file for a program, made (0600) if it is not there; gives it to `owner`.
pub(super) fn open_for_child(path: &Path, owner: Option<u32>) -> io::Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE;
    let file = open(path, flags)?;
    if let Some(uid) = owner {
        // So that the program can open /dev/stdout again under its own name.
        rustix::fs::fchown(&file, Some(rustix::fs::Uid::from_raw(uid)), None)?;
    }
    Ok(file)
}

/// Opens the file for reading, made (0600) if it is not there.
pub(crate) fn open_to_read(path: &Path) -> io::Result<OwnedFd> {
    open(path, OFlags::RDONLY | OFlags::CREATE)
}

fn open(path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?;
    if FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) != FileType::RegularFile {
        return Err(io::Error::other("it is not a plain file"));
    }
    Ok(file)
}

/// Gives back the room of the first `bytes` bytes; where they were, zeros are read.
pub(crate) fn give_back(path: &Path, bytes: u64) -> io::Result<()> {
    let file = open(path, OFlags::WRONLY)?;
    let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    Ok(rustix::fs::fallocate(&file, mode, 0, bytes)?)
}

/// Has anybody the file open for writing? `file` itself is open for reading only.
pub(crate) fn has_writer(file: BorrowedFd<'_>) -> bool {
    // A read lease is granted only while nobody has the file open for writing. Should
    // somebody open it while we hold the lease, we get a signal: one that is ignored unless
    // asked for.
    // SAFETY: `fcntl` with these commands takes numbers and touches no memory of ours.
    unsafe {
        libc::fcntl(file.as_raw_fd(), F_SETSIG, libc::SIGURG);
        if libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_RDLCK) == 0 {
            libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_UNLCK);
            return false;
        }
    }
    // Only this answer speaks of writers; a file system without leases says something else.
    io::Error::last_os_error().raw_os_error() == Some(libc::EAGAIN)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::fs::MetadataExt;

    use super::super::comes_true::comes_true;
    use super::*;

    #[test]
    fn writers_are_seen_and_room_is_given_back() {
        let folder = tempfile::tempdir().expect("temp folder");
        let path = folder.path().join("a.spool");
        let reader = open_to_read(&path).expect("opens");
        assert!(!has_writer(reader.as_fd()));
        let mut child = std::fs::File::from(open_for_child(&path, None).expect("opens"));
        assert!(has_writer(reader.as_fd()));
        child.write_all(&vec![b'x'; 1 << 20]).expect("writes");
        let before = path.metadata().expect("there");
        give_back(&path, 1 << 19).expect("punches");
        let after = path.metadata().expect("there");
        assert_eq!(after.len(), before.len());
        assert!(after.blocks() < before.blocks());
        drop(child);
        // A child that another test forks just now has it, too, until it executes.
        assert!(comes_true(|| !has_writer(reader.as_fd())));
    }
}
