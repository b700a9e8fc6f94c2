//! The FIFOs that carry a program's output.
//!
//! The child gets them open for reading *and* writing, so that it never sees a broken pipe
//! when the daemon is gone, and opening never blocks.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

/// What a FIFO may hold before the writer has to wait. Pages are taken only when filled.
const CAPACITY: usize = 1 << 20;

/// Makes the FIFO (0600) if it is not there.
pub(crate) fn make(path: &Path) -> io::Result<()> {
    let make = || rustix::fs::mkfifoat(rustix::fs::CWD, path, Mode::RUSR | Mode::WUSR);
    let made = match (make(), path.parent()) {
        // Somebody removed the folder: no program could start until the next daemon came.
        (Err(Errno::NOENT), Some(folder)) => {
            let mut folders = std::fs::DirBuilder::new();
            folders.recursive(true).mode(0o700).create(folder)?;
            make()
        }
        (made, _) => made,
    };
    match made {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Makes the FIFO if needed and opens it for a child; gives it to `owner` if there is one.
pub(super) fn open_for_child(path: &Path, owner: Option<u32>) -> io::Result<OwnedFd> {
    make(path)?;
    let fifo = rustix::fs::open(
        path,
        OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW,
        Mode::empty(),
    )?;
    if FileType::from_raw_mode(rustix::fs::fstat(&fifo)?.st_mode) != FileType::Fifo {
        return Err(io::Error::other("it is not a FIFO"));
    }
    // More than the default is a favour: an ordinary user may have used up the allowance.
    if rustix::pipe::fcntl_getpipe_size(&fifo).is_ok_and(|size| size < CAPACITY) {
        let _ = rustix::pipe::fcntl_setpipe_size(&fifo, CAPACITY);
    }
    if let Some(uid) = owner {
        // So that the program can open /dev/stdout again under its own name.
        rustix::fs::fchown(&fifo, Some(rustix::fs::Uid::from_raw(uid)), None)?;
    }
    Ok(fifo)
}

/// Opens a FIFO for reading without waiting for anybody, only to keep it open.
pub(super) fn open_to_hold(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_file_is_refused() {
        let folder = tempfile::tempdir().expect("temp folder");
        let fifo = folder.path().join("a");
        assert!(open_for_child(&fifo, None).is_ok());
        assert!(open_for_child(&fifo, None).is_ok());
        let file = folder.path().join("b");
        std::fs::write(&file, "x").expect("writes");
        let error = open_for_child(&file, None).expect_err("not a FIFO");
        assert_eq!(error.to_string(), "it is not a FIFO");
    }
}
