//! Ends what a run left behind.
//!
//! A leader that died on its own may leave a tree: workers, a helper that holds the port.
//! They are ours, so they go before the next run comes, as systemd does it: the stop signal,
//! the grace period, then SIGKILL. So do runs that a daemon left behind when it died in the
//! middle of a reload or of such a clean-up.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tracing::warn;

use crate::ids::{Generation, InstanceId};
use crate::launch::{Launcher, Scope};
use crate::machine::KILL_WAIT;
use crate::spec::Signal;
use crate::state::{ProcessRef, Run};

/// First pause between two looks at the tree; it doubles up to [`MAX_PAUSE`].
const PAUSE: Duration = Duration::from_millis(2);
/// Longest pause between two looks.
const MAX_PAUSE: Duration = Duration::from_millis(50);

/// Waits until nothing of the run's tree is left.
pub(super) async fn gone(launcher: &dyn Launcher, instance: &InstanceId, run: &Run) {
    let mut pause = PAUSE;
    while launcher
        .remaining(instance, &run.process, run.generation)
        .await
        != Some(0)
    {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

/// Is something of the run's tree left? Asks until that can be known.
pub(super) async fn are_there(launcher: &dyn Launcher, instance: &InstanceId, run: &Run) -> bool {
    loop {
        let remaining = launcher.remaining(instance, &run.process, run.generation);
        match remaining.await {
            Some(count) => return count > 0,
            None => tokio::time::sleep(MAX_PAUSE).await,
        }
    }
}

/// The same for this run alone, and nothing of the runs before it.
pub(super) async fn are_of_run(
    launcher: &dyn Launcher,
    instance: &InstanceId,
    generation: Generation,
) -> bool {
    let left = launcher.strays(instance, None).await;
    left.iter().any(|(of, _)| *of == generation)
}

/// Ends the rest of a run's tree.
pub(super) async fn end(
    launcher: Arc<dyn Launcher>,
    instance: InstanceId,
    run: Run,
    stop_signal: Signal,
    grace: Duration,
) {
    launcher
        .signal(
            &instance,
            &run.process,
            stop_signal,
            Scope::Tree(run.generation),
        )
        .await;
    if tokio::time::timeout(grace, gone(&*launcher, &instance, &run))
        .await
        .is_ok()
    {
        return;
    }
    launcher
        .signal(
            &instance,
            &run.process,
            Signal::KILL,
            Scope::Tree(run.generation),
        )
        .await;
    if tokio::time::timeout(KILL_WAIT, gone(&*launcher, &instance, &run))
        .await
        .is_err()
    {
        warn!(instance = %instance, pid = run.process.pid, "Processes of an ended run survive SIGKILL.");
    }
}

/// Kills what one run has left behind, and nothing of the runs before it, until nothing is left.
pub(super) async fn end_run(
    launcher: Arc<dyn Launcher>,
    instance: InstanceId,
    generation: Generation,
) {
    let mut pause = PAUSE;
    loop {
        let mut left = launcher.strays(&instance, None).await;
        left.retain(|(of, _)| *of == generation);
        if left.is_empty() {
            return;
        }
        for (_, stray) in &left {
            launcher
                .signal(&instance, stray, Signal::KILL, Scope::Group)
                .await;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_PAUSE);
        for (_, stray) in &left {
            launcher.forget(stray);
        }
    }
}

/// Ends processes of runs that do not count any longer.
pub(super) async fn end_strays(
    launcher: Arc<dyn Launcher>,
    instance: InstanceId,
    strays: Vec<ProcessRef>,
    stop_signal: Signal,
    grace: Duration,
) {
    for (signal, limit) in [(stop_signal, grace), (Signal::KILL, KILL_WAIT)] {
        for stray in &strays {
            launcher
                .signal(&instance, stray, signal, Scope::Group)
                .await;
        }
        let gone = join_all(strays.iter().map(|stray| launcher.exited(stray)));
        if tokio::time::timeout(limit, gone).await.is_ok() {
            break;
        }
    }
    for stray in &strays {
        launcher.forget(stray);
    }
}
