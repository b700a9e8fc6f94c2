//! Restarts a process when its schedule or its files say so.
//!
//! One task per process that has a schedule or a watch; it ends with the definition.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{info, warn};

use super::RegistryHandle;
use super::restart::Restart;
use crate::command::Target;
use crate::schedule::Schedule;
use crate::spec::{ProcessSpec, Watch};
use crate::state::Reason;
use crate::store::Desired;
use crate::watch::Watcher;

/// Ends its task when it is dropped.
#[derive(Debug)]
pub(super) struct Keeper {
    _end: DropGuard,
}

impl Keeper {
    /// Starts the task, if this definition needs one.
    pub(super) fn start(registry: &RegistryHandle, spec: &Arc<ProcessSpec>) -> Option<Self> {
        let watched = spec.config.watch != Watch::Off;
        if spec.config.cron_restart.is_none() && !watched {
            return None;
        }
        let token = CancellationToken::new();
        let (registry, spec, end) = (registry.clone(), Arc::clone(spec), token.clone());
        let tasks = registry.context().tasks.clone();
        tasks.spawn(format!("keeper {}", spec.name), async move {
            keep(registry, spec, end).await
        });
        Some(Self {
            _end: token.drop_guard(),
        })
    }
}

async fn keep(registry: RegistryHandle, spec: Arc<ProcessSpec>, end: CancellationToken) {
    let shutdown = registry.context().tasks.token();
    let schedule = spec.config.cron_restart.as_ref().and_then(|expression| {
        Schedule::parse(expression, &spec.config.timezone)
            .inspect_err(|error| warn!(process = %spec.name, %error, "A schedule cannot be read."))
            .ok()
    });
    let (changed, mut changes) = mpsc::channel(4);
    let watcher = Watcher::start(&spec, &registry.context().tasks, changed)
        .inspect_err(|error| warn!(process = %spec.name, %error, "Files cannot be watched."))
        .ok()
        .flatten();
    let clock = registry.context().clock.clone();
    loop {
        let next = schedule
            .as_ref()
            .and_then(|schedule| schedule.next_after(clock.now()));
        tokio::select! {
            biased;
            () = end.cancelled() => break,
            () = shutdown.cancelled() => break,
            () = at(&registry, next) => restart(&registry, &spec, Reason::Cron, None).await,
            path = changes.recv(), if watcher.is_some() => match path {
                Some(path) => restart(&registry, &spec, Reason::Watch, Some(path)).await,
                None => break,
            },
        }
    }
}

/// Sleeps until a wall time. It looks at the clock each minute, because that may be set.
async fn at(registry: &RegistryHandle, when: Option<Timestamp>) {
    let Some(when) = when else {
        return std::future::pending().await;
    };
    let clock = &registry.context().clock;
    loop {
        let left = crate::clock::until(clock.now(), when);
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(std::time::Duration::from_secs(60))).await;
    }
}

async fn restart(
    registry: &RegistryHandle,
    spec: &ProcessSpec,
    reason: Reason,
    path: Option<PathBuf>,
) {
    let wanted = registry.inner().entry(&spec.name).is_some_and(|entry| {
        // A start that waits for what it depends on is new enough when it comes.
        entry.row.desired == Desired::Online && !entry.waits_to_begin(0..entry.count())
    });
    if !wanted {
        return;
    }
    let path = path.map(|path| path.display().to_string());
    info!(process = %spec.name, reason = reason.as_str(), path, "A restart is due.");
    let wanted = Restart {
        path: path.map(String::into_boxed_str),
        ..Restart::by(reason)
    };
    if let Err(error) = registry
        .restart("system", &Target::process(&spec.name), wanted)
        .await
    {
        warn!(process = %spec.name, %error, "A due restart failed.");
    }
}
