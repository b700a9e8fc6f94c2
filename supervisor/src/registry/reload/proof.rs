//! The proof of a new instance: its first run comes up in time, answers by itself, and stays up
//! for a moment.
//!
//! It has one try: what dies beside an old instance that is well is not worth a second one.

use std::time::Duration;

use futures::future::try_join_all;
use tokio::time::Instant;

use super::Renewal;
use crate::ids::{Generation, InstanceId};
use crate::instance::{InstanceHandle, Snapshot};
use crate::machine::{Awaited, Input};
use crate::registry::RegistryHandle;
use crate::registry::waiting::ending;
use crate::state::{Reason, State};
use crate::units::format_duration;

/// How long a new instance has to stay online. On a shared port its probe may be answered by
/// the old one while it is about to die of `EADDRINUSE`.
const PROOF: Duration = Duration::from_secs(1);

/// What a new instance died of that found the old one on its port, and what to do about it.
const PORT_TAKEN: &str = "its port is taken by the old one; let mhost open it (`listen`), or bind \
    with SO_REUSEPORT where MHOST_REUSEPORT is set";

impl RegistryHandle {
    /// Starts new instances and waits until all are online and stay so. The first that fails
    /// ends it.
    pub(super) async fn prove(
        &self,
        new: &[InstanceHandle],
        renewal: &Renewal<'_>,
    ) -> Result<(), String> {
        let proofs = new.iter().map(async |handle| {
            let proven = self.prove_one(handle, renewal).await;
            proven.map_err(|error| format!("the new {} failed: {error}", told(handle.id())))
        });
        try_join_all(proofs).await.map(drop)
    }

    async fn prove_one(
        &self,
        handle: &InstanceHandle,
        renewal: &Renewal<'_>,
    ) -> Result<(), String> {
        let start = Input::Restart {
            reason: Reason::Reload,
            force: false,
            path: None,
        };
        let ordered = handle.order(start, renewal.actor).await;
        ordered.map_err(|error| error.to_string())?;
        let run = handle.snapshot().saved.counters.generation;
        let came_up = |snapshot: &Snapshot| match &snapshot.saved.state {
            State::Online { run: up, .. } if up.generation == run => Some(Ok(())),
            _ => end_of(snapshot, run).map(Err),
        };
        let begun = Instant::now();
        let came_up = handle.until_some(Some(renewal.timeout), came_up).await;
        let fell = |snapshot: &Snapshot| end_of(snapshot, run);
        let end = match came_up {
            None => {
                let awaited = Awaited::of(&renewal.spec.config);
                return Err(late(&handle.snapshot(), awaited, renewal.timeout));
            }
            Some(Err(end)) => Some(end),
            Some(Ok(())) => tokio::select! {
                biased;
                end = handle.until_some(None, fell) => end,
                own = self.answer_itself(handle, renewal, begun + renewal.timeout) => {
                    own?;
                    handle.until_some(Some(PROOF), fell).await
                }
            },
        };
        match end {
            None => Ok(()),
            Some(_) if self.found_its_port_taken(handle.id(), run).await => {
                Err(PORT_TAKEN.to_owned())
            }
            Some(end) => Err(end),
        }
    }

    async fn found_its_port_taken(&self, instance: &InstanceId, run: Generation) -> bool {
        let words = self.context().capture.last_words(instance, run).await;
        words.iter().any(|line| says_taken(line))
    }
}

/// How this run ended, or is about to; none while it lives.
pub(super) fn end_of(snapshot: &Snapshot, run: Generation) -> Option<String> {
    if let Some(error) = &snapshot.spawn_error {
        return Some(error.clone());
    }
    let lives = snapshot.saved.counters.generation == run;
    match &snapshot.saved.state {
        State::Spawning { .. } | State::Starting { .. } | State::Online { .. } if lives => None,
        State::Stopping { reason, .. } if lives => Some(match reason {
            Reason::Probe => "its probe failed".to_owned(),
            _ => "it is being stopped".to_owned(),
        }),
        State::Spawning { .. }
        | State::Starting { .. }
        | State::Online { .. }
        | State::Stopping { .. }
        | State::Stopped
        | State::Errored { .. } => Some(ending(snapshot)),
    }
}

/// That what was awaited did not come in time, and what its probes said last.
pub(super) fn late(snapshot: &Snapshot, awaited: Awaited, limit: Duration) -> String {
    let said = snapshot.probes.iter().find_map(|probe| {
        let error = probe.error.as_ref()?;
        Some(format!(" ({}: {error})", probe.probe))
    });
    let missing = match awaited.sign {
        None => "it did not pass its probes".to_owned(),
        Some(_) => format!("it waited in vain for {}", awaited.name()),
    };
    let (limit, said) = (format_duration(limit), said.unwrap_or_default());
    format!("{missing} within {limit}{said}")
}

/// An instance in the words of the command line.
pub(super) fn told(instance: &InstanceId) -> String {
    format!("`{}:{}`", instance.process, instance.index)
}

/// `EADDRINUSE` in the words of programs.
fn says_taken(line: &str) -> bool {
    line.contains("EADDRINUSE") || line.to_ascii_lowercase().contains("address already in use")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_known_by_its_words() {
        for line in [
            "Error: listen EADDRINUSE: address already in use :::3000",
            "OSError: [Errno 98] Address already in use",
            "listen tcp :8080: bind: address already in use",
            "Os { code: 98, kind: AddrInUse, message: \"Address already in use\" }",
        ] {
            assert!(says_taken(line), "{line}");
        }
        assert!(!says_taken("the address is already in the book"));
    }
}
