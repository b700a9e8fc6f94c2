//! Parts of the daemon that take more than a line to be made.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Duration;

use brain::BrainStore;
use supervisor::logs::Limits;
use supervisor::store::{StoreHandle, StoreThread};
use supervisor::{Clock, Paths, Sampler, Tasks};
use tokio::sync::watch;
use tracing::{error, info, warn};

use super::{StartError, cannot};
use crate::daemon::chat::Memory;
use crate::daemon::settings::Settings;

/// How much of each stream is kept. Read once: a segment keeps the bounds it was begun with.
pub(super) fn limits(settings: &Settings) -> Limits {
    let logs = &settings.current().logs;
    Limits {
        raw_max_size: logs.raw_max_size.0,
        // The key counts the current segment, too.
        raw_keep: u64::from(logs.raw_keep).saturating_sub(1),
        ..Limits::default()
    }
}

/// Looks at processes as often as the settings say, also after they have changed. Answers how
/// long averages of figures are kept.
pub(super) fn follow_metrics(
    settings: &Settings,
    sampler: &Sampler,
    tasks: &Tasks,
) -> watch::Receiver<Duration> {
    let metrics = settings.current().metrics.clone();
    sampler.set_interval(metrics.interval);
    let (sender, kept) = watch::channel(metrics.history);
    let (mut changes, cancel, sampler) = (settings.watch(), tasks.token(), sampler.clone());
    let follow = async move {
        while changes.changed().await.is_ok() {
            let metrics = changes.borrow_and_update().metrics.clone();
            sampler.set_interval(metrics.interval);
            sender.send_replace(metrics.history);
        }
    };
    tasks.spawn("sampling settings", async move {
        cancel.run_until_cancelled(follow).await;
    });
    kept
}

/// What the brain and the chats wrote is moved into their files: nobody writes any more, and
/// what lies beside a file is easily lost when that is copied.
pub(super) async fn close_databases(brain: Option<BrainStore>, chats: &Memory) {
    if let Some(brain) = brain
        && let Err(error) = brain.checkpoint().await
    {
        warn!(%error, "The history of the brain could not be closed.");
    }
    chats.close().await;
}

/// Goes on in a new file after `daemon.log` was moved away.
pub(super) fn reopen_log(paths: &Paths) {
    let reopened = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(paths.daemon_log())
        .and_then(|file| rustix::stdio::dup2_stderr(&file).map_err(Into::into));
    match reopened {
        Ok(()) => info!("The log was opened anew."),
        Err(error) => error!(%error, "The log could not be opened anew."),
    }
}

/// Opens the state database.
pub(super) async fn open_store(
    paths: &Paths,
    clock: &Clock,
) -> Result<(StoreHandle, StoreThread), StartError> {
    let (path, clock) = (paths.database(), clock.clone());
    let opened = tokio::task::spawn_blocking(move || StoreHandle::open(&path, clock)).await;
    match opened {
        Ok(opened) => Ok(opened?),
        Err(error) => Err(cannot("open the state database")(std::io::Error::other(
            error,
        ))),
    }
}
