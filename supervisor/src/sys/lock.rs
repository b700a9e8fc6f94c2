//! Files that are locked while their owner lives, and who is at the other end of a socket.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

/// A lock that the kernel takes back when its owner ends, however that happens.
#[derive(Debug)]
pub struct FileLock {
    file: File,
}

impl FileLock {
    /// Takes the lock, waiting for whoever has it. Blocks.
    ///
    /// # Errors
    /// What the system said.
    pub fn acquire(path: &Path) -> io::Result<Self> {
        let file = open(path)?;
        rustix::io::retry_on_intr(|| flock(&file, FlockOperation::LockExclusive))?;
        Ok(Self { file })
    }

    /// Takes the lock if it is free; `None` when somebody has it.
    ///
    /// # Errors
    /// What the system said.
    pub fn try_acquire(path: &Path) -> io::Result<Option<Self>> {
        let file = open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes `text` the whole content: a pid file tells a person whom to look for.
    ///
    /// # Errors
    /// What the system said.
    pub fn write(&mut self, text: &str) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(text.as_bytes())
    }

    /// What is in the file.
    ///
    /// # Errors
    /// What the system said.
    pub fn read(&mut self) -> io::Result<String> {
        let mut text = String::new();
        self.file.rewind()?;
        self.file.read_to_string(&mut text)?;
        Ok(text)
    }
}

fn open(path: &Path) -> io::Result<File> {
    std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// Who is at the other end of a Unix socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its pid when it connected.
    pub pid: i32,
    /// Its user when it connected.
    pub uid: u32,
}

/// Asks the kernel who connected.
///
/// # Errors
/// What the system said.
pub fn peer(socket: impl AsFd) -> io::Result<Peer> {
    let found = rustix::net::sockopt::socket_peercred(socket)?;
    Ok(Peer {
        pid: found.pid.as_raw_nonzero().get(),
        uid: found.uid.as_raw(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_has_it() {
        let folder = tempfile::tempdir().expect("temp folder");
        let path = folder.path().join("lock");
        let mut first = FileLock::acquire(&path).expect("free");
        first.write("12345\n").expect("writes");
        first.write("7\n").expect("writes");
        assert!(FileLock::try_acquire(&path).expect("asks").is_none());
        drop(first);
        // A child that another test forks just now has it, too, until it executes.
        let mut second = FileLock::acquire(&path).expect("free");
        assert_eq!(second.read().expect("reads"), "7\n");
    }

    #[test]
    fn a_peer_is_known() {
        let (here, _there) = std::os::unix::net::UnixStream::pair().expect("opens");
        let found = peer(&here).expect("answers");
        assert_eq!(found.uid, rustix::process::geteuid().as_raw());
        assert_eq!(found.pid.unsigned_abs(), std::process::id());
    }
}
