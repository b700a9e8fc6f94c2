//! A name in the kernel that stands for a home folder as long as its holder lives.
//!
//! Locks on files in the home go with the home: after `rm -rf ~/.mhost` another daemon would
//! take new ones beside the one that still supervises. An abstract socket is no file, so its
//! name stays taken. It says nothing more than that; nobody is served on it.
//!
//! Anybody on the machine may take such a name, so one that another user holds counts for
//! nothing: the locks in the folder then protect alone.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::lock::peer;

/// Who of a home's two processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The guard.
    Guard,
    /// The daemon proper.
    Daemon,
}

/// What an attempt to take the name found.
#[derive(Debug)]
pub enum HomeName {
    /// It is ours until this is dropped.
    Ours(Held),
    /// Somebody of the same user has it.
    Taken {
        /// Who, where that can be told.
        pid: Option<i32>,
    },
    /// It cannot be used here, or somebody else's process has it.
    Useless,
}

/// The name, while it is held.
#[derive(Debug)]
pub struct Held {
    _listener: OwnedFd,
}

impl HomeName {
    /// Takes the name of a home for one of its parts, if it is free.
    pub fn take(home: &Path, part: Part) -> Self {
        let Ok(address) = SocketAddrUnix::new_abstract_name(name(home, part).as_bytes()) else {
            return HomeName::Useless;
        };
        match listen(&address) {
            Ok(listener) => HomeName::Ours(Held {
                _listener: listener,
            }),
            Err(Errno::ADDRINUSE) => holder(&address),
            Err(_) => HomeName::Useless,
        }
    }
}

fn socket() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

fn listen(address: &SocketAddrUnix) -> Result<OwnedFd, Errno> {
    let listener = socket()?;
    rustix::net::bind(&listener, address)?;
    // So that whoever finds the name taken can ask by whom.
    rustix::net::listen(&listener, 1)?;
    Ok(listener)
}

fn holder(address: &SocketAddrUnix) -> HomeName {
    let connected = socket().and_then(|asking| {
        rustix::net::connect(&asking, address)?;
        Ok(asking)
    });
    match connected.map_err(io::Error::from).and_then(peer) {
        Ok(peer) if peer.uid == rustix::process::geteuid().as_raw() || peer.uid == 0 => {
            HomeName::Taken {
                pid: Some(peer.pid),
            }
        }
        Ok(_) => HomeName::Useless,
        // Nobody accepts, so after the first who asked the queue is full.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => HomeName::Taken { pid: None },
        // It was given back in this moment, or its holder does not listen: not one of us.
        Err(_) => HomeName::Useless,
    }
}

/// The same for every spelling of the path. Containers may share names of sockets and mean
/// different folders by one path, so the view of the file system is part of it.
fn name(home: &Path, part: Part) -> String {
    let view = std::fs::read_link("/proc/self/ns/mnt").unwrap_or_default();
    let home = real(home);
    let bytes = view.as_os_str().as_bytes().iter();
    let hash = fnv(bytes.chain(b"\0").chain(home.as_os_str().as_bytes()));
    let part = match part {
        Part::Guard => "guard",
        Part::Daemon => "daemon",
    };
    format!("mhost/{hash:016x}/{part}")
}

/// The path without links, also while its last part does not exist.
fn real(home: &Path) -> PathBuf {
    let above = || {
        let folder = home.parent()?.canonicalize().ok()?;
        Some(folder.join(home.file_name()?))
    };
    home.canonicalize()
        .ok()
        .or_else(above)
        .unwrap_or_else(|| home.to_owned())
}

/// FNV-1a: the same in every version of this program, which a hash of the library is not.
fn fnv<'a>(bytes: impl Iterator<Item = &'a u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::super::comes_true::comes_true;
    use super::*;

    #[test]
    fn a_name_outlives_the_folder_and_not_its_holder() {
        let folder = tempfile::tempdir().expect("temp folder");
        let home = folder.path().join("home");
        std::fs::create_dir(&home).expect("makes");
        let first = HomeName::take(&home, Part::Daemon);
        assert!(matches!(first, HomeName::Ours(_)), "{first:?}");
        std::fs::remove_dir(&home).expect("removes");
        let own = i32::try_from(std::process::id()).expect("a pid");
        for expected in [Some(own), None, None] {
            let again = HomeName::take(&home, Part::Daemon);
            let HomeName::Taken { pid } = again else {
                panic!("{again:?}");
            };
            assert!(pid == expected || pid == Some(own), "{pid:?}");
        }
        let guard = HomeName::take(&home, Part::Guard);
        assert!(matches!(guard, HomeName::Ours(_)), "{guard:?}");
        let other = HomeName::take(folder.path(), Part::Daemon);
        assert!(matches!(other, HomeName::Ours(_)), "{other:?}");
        drop(first);
        // A child that another test forks just now has it, too, until it executes.
        let is_ours = || matches!(HomeName::take(&home, Part::Daemon), HomeName::Ours(_));
        assert!(comes_true(is_ours), "it is still taken");
    }
}
