//! Waiting for instances: when one has come up, when it never will, and in which words.
//!
//! It looks at snapshots and orders nothing.

use std::time::Duration;

use futures::future::join_all;

use crate::instance::{InstanceHandle, Snapshot};
use crate::spec::Signal;
use crate::state::{ExitStatus, Hold, Reason, State};

/// Crashes in a row after which a start is not waited for any longer.
const HOPELESS_CRASHES: u32 = 2;

/// How an instance looks to somebody who waits for it to come up.
fn came_up(snapshot: &Snapshot) -> Option<Result<(), String>> {
    if let Some(error) = &snapshot.spawn_error {
        return Some(Err(error.clone()));
    }
    match &snapshot.saved.state {
        State::Online { .. } => Some(Ok(())),
        // A job that has done its work.
        State::Stopped if snapshot.saved.last_exit == Some(ExitStatus::Code(0)) => Some(Ok(())),
        State::Stopped => Some(Err("it was stopped".into())),
        State::Errored {
            hold: Hold::Retrying { attempt, .. },
        } => (*attempt >= HOPELESS_CRASHES)
            .then(|| Err(format!("{}; it is being retried", ending(snapshot)))),
        State::Errored {
            hold: Hold::Breaker,
        } => Some(Err(format!("{}; the breaker is open", ending(snapshot)))),
        State::Errored {
            hold: Hold::Held { by, reason },
        } => Some(Err(format!("held by {by}: {reason}"))),
        State::Errored {
            hold: Hold::NoAutorestart,
        } => Some(Err(ending(snapshot))),
        State::Errored {
            hold: Hold::Unkillable { run },
        } => Some(Err(format!(
            "pid {} does not die of SIGKILL",
            run.process.pid
        ))),
        State::Spawning { .. } | State::Starting { .. } | State::Stopping { .. } => None,
    }
}

fn ending(snapshot: &Snapshot) -> String {
    if let State::Errored {
        hold: Hold::Retrying {
            cause: Reason::Memory,
            ..
        },
    } = snapshot.saved.state
    {
        return "it is over its max_memory soon after each start".into();
    }
    match snapshot.saved.last_exit {
        Some(ExitStatus::Code(code)) => format!("it exited with code {code}"),
        Some(ExitStatus::Signal(signal)) => format!("{} ended it", Signal(signal)),
        Some(ExitStatus::Unknown) | None => "it ended".into(),
    }
}

pub(super) fn is_unkillable(snapshot: &Snapshot) -> bool {
    matches!(
        snapshot.saved.state,
        State::Errored {
            hold: Hold::Unkillable { .. }
        }
    )
}

/// Waits until all are up.
pub(super) async fn wait_all(
    handles: &[InstanceHandle],
    limit: Option<Duration>,
) -> Result<(), String> {
    let waits = handles.iter().map(|handle| wait_up(handle, limit));
    join_all(waits).await.into_iter().collect()
}

pub(super) async fn wait_up(
    handle: &InstanceHandle,
    limit: Option<Duration>,
) -> Result<(), String> {
    handle.until_some(limit, came_up).await.unwrap_or_else(|| {
        Err(match limit {
            Some(limit) => format!("not online after {}", crate::units::format_duration(limit)),
            None => "it is gone".into(),
        })
    })
}
