//! Tells when files of a process change.
//!
//! One task per watched process. It has the system report changes of the folders that can
//! hold a watched file, and says so once a burst of them is over:
//!
//!   inotify ─► Folders ─┐
//!                       ├─ wanted? ─► burst (300 ms of quiet) ─► changed path
//!   scan each second ───┘
//!      (when the system has no watches left)
//!
//! Ignored folders are never entered, so that `node_modules` costs nothing. What a change
//! leads to is not decided here.

mod filter;
mod folders;
mod scan;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::warn;

use filter::Filter;
use folders::{Folders, Refused};
use scan::Snapshot;

use crate::spec::{ProcessSpec, Watch};
use crate::tasks::Tasks;

/// A burst is over when nothing has changed for this long.
const QUIET: Duration = Duration::from_millis(300);

/// A burst that does not end is reported after this long.
const LONGEST_BURST: Duration = Duration::from_secs(3);

/// How often files are looked at where the system cannot report changes.
const SCAN_INTERVAL: Duration = Duration::from_secs(1);

/// Watches the files of one process. Dropping it ends that.
#[derive(Debug)]
pub struct Watcher {
    _stop: DropGuard,
}

/// Why files cannot be watched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WatchError {
    /// A pattern that cannot be read.
    #[error("`{glob}` is not a glob: {why}")]
    Glob {
        /// The pattern.
        glob: String,
        /// What is wrong with it.
        why: String,
    },
    /// A pattern that leaves the working folder.
    #[error(
        "`{glob}` lies outside the working folder {cwd}; `watch` and `ignore` take globs below it"
    )]
    Outside {
        /// The pattern.
        glob: String,
        /// The working folder.
        cwd: PathBuf,
    },
    /// The working folder cannot be read.
    #[error("cannot watch {path}: {error}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        error: String,
    },
}

impl Watcher {
    /// Starts to watch; each burst of changes sends one changed path. None when the process
    /// does not ask for it.
    ///
    /// # Errors
    /// A pattern or the working folder that cannot be used.
    pub fn start(
        spec: &ProcessSpec,
        tasks: &Tasks,
        changed: mpsc::Sender<PathBuf>,
    ) -> Result<Option<Watcher>, WatchError> {
        if spec.config.watch == Watch::Off {
            return Ok(None);
        }
        let filter = Filter::new(&spec.cwd, &spec.config.watch, &spec.config.ignore)?;
        std::fs::read_dir(&spec.cwd).map_err(|error| WatchError::Folder {
            path: spec.cwd.clone(),
            error: error.to_string(),
        })?;
        let stop = tasks.token().child_token();
        let task = Task {
            process: spec.name.to_string(),
            filter,
            changed,
        };
        let cancelled = stop.clone();
        tasks.spawn(format!("watch {}", spec.name), async move {
            cancelled.run_until_cancelled(task.run()).await;
        });
        Ok(Some(Watcher {
            _stop: CancellationToken::drop_guard(stop),
        }))
    }
}

struct Task {
    process: String,
    filter: Filter,
    changed: mpsc::Sender<PathBuf>,
}

impl Task {
    async fn run(self) {
        loop {
            let mut burst = None;
            let refused = match Folders::open(self.filter.clone()).await {
                Ok(folders) => self.follow(folders, &mut burst).await,
                // What was there before the start has not changed.
                Err(Refused::Limit { error, .. }) => Refused::Limit {
                    error,
                    changed: None,
                },
                Err(refused) => refused,
            };
            match refused {
                Refused::Gone => return,
                Refused::NoFolder => {
                    // A deployment may put another folder in its place.
                    while std::fs::metadata(self.filter.root()).is_err() {
                        tokio::time::sleep(SCAN_INTERVAL).await;
                    }
                    let root = self.filter.root().to_owned();
                    if self.changed.send(root).await.is_err() {
                        return;
                    }
                }
                Refused::Limit { error, changed } => {
                    warn!(
                        process = %self.process,
                        %error,
                        "The system has no file watches left, so files are looked at each \
                         second. Raise fs.inotify.max_user_watches or max_user_instances."
                    );
                    let unsent = burst.map(|burst| burst.path).or(changed);
                    return self.poll(unsent).await;
                }
            }
        }
    }

    /// Follows what the system reports, until that fails or nobody listens.
    async fn follow(&self, mut folders: Folders, burst: &mut Option<Burst>) -> Refused {
        loop {
            let deadline = burst.as_ref().map(Burst::deadline);
            let quiet = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            let note = tokio::select! {
                biased;
                () = quiet => None,
                note = folders.note() => Some(note),
            };
            match note {
                Some(note) => match folders.read(note).await {
                    Ok(Some(path)) => Burst::add(burst, path),
                    Ok(None) => {}
                    Err(refused) => return refused,
                },
                None => {
                    if let Some(burst) = burst.take()
                        && self.changed.send(burst.path).await.is_err()
                    {
                        return Refused::Gone;
                    }
                }
            }
        }
    }

    /// Compares the tree with how it looked a second ago, after saying what is `unsent`.
    async fn poll(&self, unsent: Option<PathBuf>) {
        let Ok(mut seen) = scan::scan(self.filter.clone()).await else {
            return;
        };
        if let Some(path) = unsent
            && self.changed.send(path).await.is_err()
        {
            return;
        }
        loop {
            tokio::time::sleep(SCAN_INTERVAL).await;
            let Ok(now) = scan::scan(self.filter.clone()).await else {
                return;
            };
            let Some(path) = seen.first_difference(&now) else {
                continue;
            };
            let Some(rested) = self.at_rest(now).await else {
                return;
            };
            seen = rested;
            if self.changed.send(path).await.is_err() {
                return;
            }
        }
    }

    /// Waits until the tree has not changed for a while.
    async fn at_rest(&self, mut seen: Snapshot) -> Option<Snapshot> {
        let began = Instant::now();
        loop {
            tokio::time::sleep(QUIET).await;
            let now = scan::scan(self.filter.clone()).await.ok()?;
            if now == seen || began.elapsed() >= LONGEST_BURST {
                return Some(now);
            }
            seen = now;
        }
    }
}

/// Changes that follow each other closely.
#[derive(Debug)]
struct Burst {
    path: PathBuf,
    began: Instant,
    last: Instant,
}

impl Burst {
    fn add(burst: &mut Option<Burst>, path: PathBuf) {
        let now = Instant::now();
        match burst {
            Some(burst) => burst.last = now,
            None => {
                *burst = Some(Burst {
                    path,
                    began: now,
                    last: now,
                });
            }
        }
    }

    fn deadline(&self) -> Instant {
        (self.last + QUIET).min(self.began + LONGEST_BURST)
    }
}
