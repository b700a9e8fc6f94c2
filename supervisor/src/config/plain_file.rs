//! Reads files, and nothing that only looks like one.
//!
//! A FIFO without a writer or a terminal would be waited for without an end, and a device may
//! have no end at all. None of them is meant where a config is named.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// All bytes of a file.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens a file without waiting for anybody.
///
/// # Errors
/// As opening does, and for all that is no plain file.
pub fn open(path: &Path) -> io::Result<File> {
    // Looked at first, since opening a device can do something.
    refuse_others(&std::fs::metadata(path)?)?;
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    refuse_others(&file.metadata()?)?;
    Ok(file)
}

fn refuse_others(found: &std::fs::Metadata) -> io::Result<()> {
    let kind = found.file_type();
    let what = match () {
        () if kind.is_file() => return Ok(()),
        () if kind.is_dir() => "it is a folder",
        () if kind.is_fifo() => "it is a FIFO, not a file",
        () if kind.is_socket() => "it is a socket, not a file",
        () => "it is a device, not a file",
    };
    Err(io::Error::other(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_are_read() {
        let folder = tempfile::tempdir().expect("temp folder");
        let (file, fifo) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::write(&file, "text").expect("writes");
        crate::sys::make_fifo(&fifo).expect("makes");
        let refused = |path: &Path| read(path).expect_err("no file").to_string();
        assert_eq!(read(&file).expect("reads"), b"text");
        assert_eq!(refused(&fifo), "it is a FIFO, not a file");
        assert_eq!(
            refused(Path::new("/dev/zero")),
            "it is a device, not a file"
        );
        assert_eq!(refused(folder.path()), "it is a folder");
    }
}
