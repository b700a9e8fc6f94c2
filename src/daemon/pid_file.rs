//! The only daemon of a home: its pid file, locked, and the name that outlives the folder.

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
    path: std::path::PathBuf,
    _lock: FileLock,
    /// Stays taken when the home is removed, and the lock with it.
    _name: Option<Held>,
}

impl PidFile {
    /// Takes the lock, waiting a while for a former daemon that is about to end.
    pub(super) async fn take(paths: &Paths) -> Result<Self, StartError> {
        let path = paths.pid_file();
        let own = format!("{}\n", std::process::id());
        let deadline = Instant::now() + LOCK_PATIENCE;
        loop {
            let what = || format!("use the pid file {}", path.display());
            let (name, holder) = match HomeName::take(paths.home(), Part::Daemon) {
                HomeName::Ours(held) => (Some(held), None),
                HomeName::Taken { pid } => (None, Some(pid)),
                HomeName::Useless => (None, None),
            };
            let lock = match holder {
                Some(_) => None,
                None => FileLock::try_acquire(&path).map_err(cannot(what()))?,
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
