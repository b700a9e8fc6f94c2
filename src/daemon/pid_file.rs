//! The only daemon of a home: its pid file, locked, and the name that outlives the folder.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use supervisor::Paths;
use supervisor::sys::{FileLock, Held, HomeName, Part};
use tokio::time::Instant;

use super::run::{StartError, cannot};

/// How long a former daemon may take to let go of the pid file.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);
/// How often that is looked at.
const LOCK_POLL: Duration = Duration::from_millis(20);

/// The pid file: locked while we live, gone afterwards.
pub(super) struct PidFile {
    path: PathBuf,
    _lock: FileLock,
    /// Stays taken when the home is removed, and the lock with it.
    _name: Option<Held>,
}

impl PidFile {
    /// Takes the lock, waiting a while for a former daemon that is about to end.
    pub(super) async fn take(paths: &Paths) -> Result<Self, StartError> {
        let name = || HomeName::take(paths.home(), Part::Daemon);
        Self::take_with(paths.pid_file(), name, FileLock::try_acquire).await
    }

    async fn take_with(
        path: PathBuf,
        name: impl Fn() -> HomeName,
        acquire: impl Fn(&Path) -> io::Result<Option<FileLock>>,
    ) -> Result<Self, StartError> {
        let own = format!("{}\n", std::process::id());
        let deadline = Instant::now() + LOCK_PATIENCE;
        loop {
            let what = || format!("use the pid file {}", path.display());
            let (name, holder) = match name() {
                HomeName::Ours(held) => (Some(held), None),
                HomeName::Taken { pid } => (None, Some(pid)),
                HomeName::Useless => (None, None),
            };
            let lock = match holder {
                Some(_) => None,
                None => acquire(&path).map_err(cannot(what()))?,
            };
            if let Some(mut lock) = lock {
                lock.write(&own).map_err(cannot(what()))?;
                // A former daemon may have removed the file that we had opened already.
                if std::fs::read_to_string(&path).is_ok_and(|text| text == own) {
                    return Ok(Self {
                        path,
                        _lock: lock,
                        _name: name,
                    });
                }
            } else if Instant::now() >= deadline {
                let written = std::fs::read_to_string(&path).unwrap_or_default();
                let pid = holder.flatten().map(|pid| pid.to_string());
                return Err(StartError::Running {
                    pid: pid.unwrap_or_else(|| written.trim().to_owned()),
                });
            }
            tokio::time::sleep(LOCK_POLL).await;
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // It may have been removed by hand, and be another daemon's now.
        let own = format!("{}\n", std::process::id());
        if std::fs::read_to_string(&self.path).is_ok_and(|text| text == own) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn home() -> (tempfile::TempDir, Paths) {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::new(folder.path().join("home")).unwrap();
        paths.create().unwrap();
        (folder, paths)
    }

    fn is_ours(paths: &Paths) -> bool {
        let own = format!("{}\n", std::process::id());
        let path = paths.pid_file();
        std::fs::read_to_string(&path).is_ok_and(|text| text == own)
            && FileLock::try_acquire(&path).unwrap().is_none()
    }

    /// The file was opened before the former daemon removed it, and locked after that: a lock
    /// on a file that nobody else will ever open keeps nobody out.
    #[tokio::test(start_paused = true)]
    async fn a_lock_on_a_file_that_was_removed_is_no_lock() {
        let (_folder, paths) = home();
        let removed = AtomicBool::new(false);
        let acquire = |path: &Path| {
            let lock = FileLock::try_acquire(path)?;
            if !removed.swap(true, Ordering::Relaxed) {
                std::fs::remove_file(path)?;
            }
            Ok(lock)
        };
        let taken = PidFile::take_with(paths.pid_file(), || HomeName::Useless, acquire).await;
        assert!(taken.is_ok());
        assert!(is_ours(&paths));
    }

    #[tokio::test(start_paused = true)]
    async fn the_next_daemon_waits_for_the_end_of_the_former() {
        let (_folder, paths) = home();
        let first = PidFile::take(&paths).await.expect("free");
        let (sender, looked) = tokio::sync::mpsc::unbounded_channel();
        let mut looked = looked;
        let name = || {
            let _ = sender.send(());
            HomeName::take(paths.home(), Part::Daemon)
        };
        let second = PidFile::take_with(paths.pid_file(), name, FileLock::try_acquire);
        let end = async {
            looked.recv().await;
            drop(first);
        };
        let (second, ()) = tokio::join!(second, end);
        assert!(second.is_ok());
        assert!(is_ours(&paths));
        drop(second);
        assert!(!paths.pid_file().exists());
    }

    #[tokio::test(start_paused = true)]
    async fn no_second_daemon_starts_beside_one_also_in_a_folder_made_anew() {
        let (_folder, paths) = home();
        let _first = PidFile::take(&paths).await.expect("free");
        let refused = |taken| match taken {
            Err(StartError::Running { pid }) => pid == std::process::id().to_string(),
            _ => false,
        };
        assert!(refused(PidFile::take(&paths).await));
        std::fs::remove_dir_all(paths.home()).unwrap();
        paths.create().unwrap();
        assert!(matches!(
            PidFile::take(&paths).await,
            Err(StartError::Running { .. })
        ));
    }

    /// Whoever ends removes its own file only.
    #[tokio::test(start_paused = true)]
    async fn the_file_of_another_daemon_stays() {
        let (_folder, paths) = home();
        let ours = PidFile::take(&paths).await.expect("free");
        std::fs::write(paths.pid_file(), "1\n").unwrap();
        drop(ours);
        assert!(paths.pid_file().exists());
    }
}
