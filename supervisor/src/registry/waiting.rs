//! Waiting for instances: when one has come up, when it never will, and in which words.
//!
//! It looks at snapshots and orders nothing. Who waits also hears when a person is needed.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::broadcast;

use super::against::Against;
use super::orders::DEPENDENCY_SLACK;
use super::target::Pick;
use super::{Entry, RegistryHandle};
use crate::control::ControlError;
use crate::ids::ProcessName;
use crate::instance::{InstanceHandle, Snapshot};
use crate::spec::Signal;
use crate::state::{ExitStatus, Hold, Reason, State};

/// How long others may take to say that they are up when it is known that one will not be.
const A_MOMENT: Duration = Duration::from_millis(300);

/// News that may wait for somebody who waits.
pub(super) const TOLD: usize = 16;

/// Crashes in a row after which a start is not waited for any longer.
const HOPELESS_CRASHES: u32 = 2;

/// Why a start comes to nothing that a stop has overtaken.
pub(super) const STOPPED: &str = "it was stopped meanwhile";

/// The same of a deletion.
pub(super) const DELETED: &str = "it was deleted meanwhile";

/// The same where its copies were called off one by one, or held.
pub(super) const CALLED_OFF: &str = "it was stopped or held meanwhile";

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
            hold: Hold::Unkillable { run, .. },
        } => Some(Err(format!(
            "pid {} does not die of SIGKILL",
            run.process.pid
        ))),
        State::Spawning { .. } | State::Starting { .. } | State::Stopping { .. } => None,
    }
}

/// How its last run ended.
pub(super) fn ending(snapshot: &Snapshot) -> String {
    if let State::Errored {
        hold: Hold::Retrying { cause, .. },
    } = snapshot.saved.state
    {
        if cause == Reason::Memory {
            return "it is over its max_memory soon after each start".into();
        }
        if cause == Reason::StartTimeout {
            return format!("it waited in vain for {}", snapshot.awaited.name());
        }
    }
    match snapshot.saved.last_exit {
        Some(ExitStatus::Code(code)) => format!("it exited with code {code}"),
        Some(ExitStatus::Signal(signal)) => format!("{} ended it", Signal(signal)),
        Some(ExitStatus::Unknown) | None => "it ended".into(),
    }
}

fn not_online(snapshot: &Snapshot, limit: Duration) -> String {
    let limit = crate::units::format_duration(limit);
    let awaited = snapshot.awaited;
    match snapshot.saved.state {
        State::Starting { .. } if awaited.sign.is_some() => {
            format!("not online after {limit}: it waits for {}", awaited.name())
        }
        _ => format!("not online after {limit}"),
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

impl RegistryHandle {
    /// Waits until these copies of a pick are up, as far as nobody has stopped them since. Fails
    /// when all of it is off.
    pub(super) async fn wait_all_started(
        &self,
        pick: &Pick,
        handles: &[InstanceHandle],
        against: &Against,
        limit: Duration,
    ) -> Result<(), String> {
        let waits = handles.iter();
        let waits = waits.map(|handle| self.wait_started(pick, handle, against, limit));
        let up: Result<Vec<()>, String> = join_all(waits).await.into_iter().collect();
        self.refuse_if_off(pick, against)?;
        up.map(drop)
    }

    /// Waits until one copy is up. Of several one that is stopped by itself is nothing that
    /// failed.
    pub(super) async fn wait_started(
        &self,
        pick: &Pick,
        handle: &InstanceHandle,
        against: &Against,
        limit: Duration,
    ) -> Result<(), String> {
        let up = wait_up(handle, Some(limit)).await;
        let inner = self.inner();
        let is_held = |entry: &Entry| against.is_held(entry, handle.id());
        match (inner.entry(&pick.name).is_some_and(is_held), pick.index) {
            (false, _) => up,
            (true, None) => Ok(()),
            (true, Some(_)) => Err(CALLED_OFF.to_owned()),
        }
    }

    /// What was stopped, held or deleted since is not called up, however its run ended.
    pub(super) fn refuse_if_off(&self, pick: &Pick, against: &Against) -> Result<(), String> {
        if self.is_ending() {
            return Err(ControlError::ShuttingDown.to_string());
        }
        let inner = self.inner();
        let entry = inner.entry(&pick.name);
        let entry = entry.filter(|entry| entry.row.removal.is_none());
        let entry = entry.ok_or(DELETED)?;
        if against.is_stopped(entry) {
            return Err(STOPPED.into());
        }
        if against.is_off(entry) {
            return Err(CALLED_OFF.into());
        }
        Ok(())
    }

    /// Waits for a start that a former daemon has begun.
    pub(super) async fn wait_for_start(
        &self,
        name: &ProcessName,
        against: &Against,
    ) -> Result<(), String> {
        let pick = Pick::whole(name);
        let (handles, limit) = {
            let inner = self.inner();
            let entry = inner.entry(name).ok_or(DELETED)?;
            let handles = entry.to_start(&pick, against);
            (handles, entry.spec.config.start_timeout + DEPENDENCY_SLACK)
        };
        self.wait_all_started(&pick, &handles, against, limit).await
    }

    /// A person is needed for a process. Who waits for it to come up is told so now, and need not
    /// wait until the time is over; the process goes on as it was.
    pub fn tell_waiting(&self, name: &ProcessName, text: &str) {
        if let Some(runs) = self.starting(name) {
            let said = (runs, text.to_owned());
            self.last_told().insert(name.clone(), said);
            // Nobody may be waiting.
            let _ = self.shared.told.send((name.clone(), text.to_owned()));
        }
    }

    /// What was said of these while they were starting, if they still are and in the same runs.
    pub(super) fn told_before(&self, names: &[ProcessName]) -> BTreeMap<ProcessName, String> {
        let mut last = self.last_told();
        last.retain(|name, (runs, _)| self.starting(name).as_ref() == Some(runs));
        let of = |name: &ProcessName| Some((name.clone(), last.get(name)?.1.clone()));
        names.iter().filter_map(of).collect()
    }

    fn last_told(&self) -> MutexGuard<'_, BTreeMap<ProcessName, (Vec<u64>, String)>> {
        let last = &self.shared.last_told;
        last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The runs of a process of which a copy is starting.
    fn starting(&self, name: &ProcessName) -> Option<Vec<u64>> {
        let handles = self.inner().entry(name)?.handles.clone();
        let starts = |handle: &InstanceHandle| {
            let state = &handle.snapshot().saved.state;
            matches!(state, State::Spawning { .. } | State::Starting { .. })
        };
        let run = |handle: &InstanceHandle| handle.snapshot().saved.counters.generation;
        let runs = handles.iter().map(run).collect();
        handles.iter().any(starts).then_some(runs)
    }

    pub(super) fn hear(&self) -> broadcast::Receiver<(ProcessName, String)> {
        self.shared.told.subscribe()
    }
}

/// Waits for the end of `work`, at most for `limit`, or until what was told of these processes
/// leaves no hope. Answers with what was told.
pub(super) async fn until_told(
    names: &[ProcessName],
    mut told: BTreeMap<ProcessName, String>,
    mut hears: broadcast::Receiver<(ProcessName, String)>,
    hopeless: impl Fn(&BTreeMap<ProcessName, String>) -> bool,
    work: impl Future,
    limit: Duration,
) -> BTreeMap<ProcessName, String> {
    let over = tokio::time::sleep(limit);
    tokio::pin!(work, over);
    if !told.is_empty() {
        // What is up already says so in a moment.
        tokio::select! {
            biased;
            _ = &mut work => return told,
            () = tokio::time::sleep(A_MOMENT) => {}
        }
        if hopeless(&told) {
            return told;
        }
    }
    loop {
        tokio::select! {
            biased;
            _ = &mut work => return told,
            () = &mut over => return told,
            news = hears.recv() => match news {
                Ok((name, text)) if names.contains(&name) => {
                    told.insert(name, text);
                    if hopeless(&told) {
                        return told;
                    }
                }
                // Of others, or too many to remember.
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => {
                    tokio::select! {
                        biased;
                        _ = &mut work => {}
                        () = &mut over => {}
                    }
                    return told;
                }
            },
        }
    }
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
            Some(limit) => not_online(&handle.snapshot(), limit),
            None => "it is gone".into(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn news_of_others_are_not_listened_to() {
        let name = |text: &str| -> ProcessName { text.parse().expect("a name") };
        let (tell, hears) = broadcast::channel(TOLD);
        let second = Duration::from_secs(1);
        for who in ["other", "api"] {
            tell.send((name(who), "its port is held".into()))
                .expect("heard");
        }
        let hopeless = |told: &BTreeMap<ProcessName, String>| told.len() > 1;
        let (names, none) = ([name("api")], BTreeMap::new());
        let never = std::future::pending::<()>();
        let told = until_told(&names, none, hears, hopeless, never, second).await;
        assert_eq!(told.into_keys().collect::<Vec<_>>(), names);
    }
}
