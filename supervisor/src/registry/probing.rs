//! Probes that are run because somebody wants to know now.
//!
//! The attempt is one like all others: it counts for the streak of its probe, and what follows
//! from it follows.

use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;

use super::RegistryHandle;
use crate::command::{Done, Target};
use crate::control::ControlError;
use crate::instance::{InstanceHandle, Snapshot};

/// An attempt ends within its own time limit; this is for the way there and back, and for one
/// that was under way already.
const LONGEST: Duration = Duration::from_secs(75);

impl RegistryHandle {
    /// Runs the probes of the copies that are up, and says what came of it.
    pub(super) async fn run_probes(&self, target: &Target) -> Result<Vec<Done>, ControlError> {
        let picked = self.inner().pick(target)?;
        let mut done = Vec::new();
        for pick in picked.items {
            let handles = self.inner().handles(&pick);
            let answers = join_all(handles.iter().map(attempt)).await;
            let tried: Vec<bool> = answers.into_iter().flatten().collect();
            let failed = tried.iter().filter(|passed| !**passed).count();
            let (note, error) = match (tried.len(), failed) {
                (0, _) => (None, Some("no copy is up that has a probe".to_owned())),
                (_, 0) => (Some("its probe passes".to_owned()), None),
                (copies, failed) => {
                    let note = format!("its probe fails for {failed} of {copies} copies");
                    (Some(note), None)
                }
            };
            done.push(Done {
                target: pick.text(),
                changed: false,
                note,
                error,
            });
        }
        Ok(done)
    }
}

/// One attempt with each probe of a copy: do all pass? Nothing without a probe.
async fn attempt(handle: &InstanceHandle) -> Option<bool> {
    let snapshot = handle.snapshot();
    if snapshot.probes.is_empty() || !snapshot.saved.state.has_process() {
        return None;
    }
    let before = oldest(&snapshot);
    handle.probe_now().await.ok()?;
    handle
        .until_some(Some(LONGEST), |now| {
            let over = oldest(now) > before || !now.saved.state.has_process();
            over.then(|| now.probes.iter().all(|probe| probe.failures == 0))
        })
        .await
}

/// When the probe was tried whose newest attempt is the oldest.
fn oldest(snapshot: &Snapshot) -> Option<Timestamp> {
    let probes = snapshot.probes.iter();
    probes.map(|probe| probe.last_check).min().flatten()
}
