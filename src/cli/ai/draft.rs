//! A file that takes the place of another one as a whole, by a rename.
//!
//! Until then only its owner may read it, and it goes away if nothing comes of it.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Result, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The new text, beside its target and on the disk.
pub(in crate::cli) struct Draft(PathBuf);

impl Draft {
    /// Writes it.
    pub(in crate::cli) fn beside(target: &Path, text: &str) -> Result<Self> {
        let mut name = std::ffi::OsString::from(".");
        name.push(target.file_name().unwrap_or_default());
        name.push(format!(".{}", std::process::id()));
        let path = target.with_file_name(name);
        // Left by a former process of that number.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = OpenOptions::new();
        let mut file: File = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        let draft = Self(path);
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        Ok(draft)
    }

    /// Where it is, to be read before it counts.
    pub(in crate::cli) fn path(&self) -> &Path {
        &self.0
    }

    /// Puts it into the target's place; it stays its owner's alone.
    pub(in crate::cli) fn put(self, target: &Path) -> Result<()> {
        std::fs::rename(&self.0, target)
    }

    /// Puts it into the target's place, with the permissions of what was there.
    pub(in crate::cli) fn put_as_before(self, target: &Path) -> Result<()> {
        std::fs::set_permissions(&self.0, target.metadata()?.permissions())?;
        self.put(target)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn nobody_else_reads_a_draft_and_the_target_keeps_its_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("mhost.toml");
        std::fs::write(&target, "old").unwrap();
        std::fs::set_permissions(&target, std::fs::Permissions::from_mode(0o640)).unwrap();
        let draft = Draft::beside(&target, "new").unwrap();
        assert_eq!(mode(draft.path()), 0o600);
        draft.put_as_before(&target).unwrap();
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "new");
        assert_eq!(mode(&target), 0o640);
        drop(Draft::beside(&target, "never mind").unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
