//! Mode `replace`: new instances come up beside the old ones, and only then take over.
//!
//! ```text
//!   batch: start new ─► all proven ─► they are the instances ─► stop old ─► next batch
//!                          └ one failed: kill the new ones of the batch, end
//! ```
//!
//! Without `surge` all instances are one batch. A batch that fails has not touched its old
//! instances, and what batches before it have replaced stays so. Each new instance is recorded
//! in the place of its old one at once, so that a daemon that dies at any point leaves to the
//! next one which of the two it keeps.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;

use super::{Renewal, UNWANTED};
use crate::ids::ProcessName;
use crate::instance::InstanceHandle;
use crate::machine::Input;
use crate::registry::{Entry, RegistryHandle};
use crate::state::{Reason, State};
use crate::store::Desired;

/// Tells a program that another copy may hold its port.
const REUSEPORT: &str = "MHOST_REUSEPORT";

/// The limit of the reload is the one that counts for a new instance, not its `start_timeout`.
const MARGIN: Duration = Duration::from_secs(5);

impl RegistryHandle {
    /// Replaces the set batch by batch. Gives the old instances of the last batch, which run.
    pub(super) async fn replace_all(
        &self,
        renewal: &Renewal<'_>,
        mut set: Vec<InstanceHandle>,
    ) -> Result<Vec<InstanceHandle>, String> {
        let total = set.len();
        let size = renewal.spec.config.reload.surge.map_or(total, usize::from);
        let mut replaced = Vec::new();
        for begin in (0..total).step_by(size.max(1)) {
            // Before more are started: their memory is what batches are for.
            self.retire(renewal, &replaced).await;
            let batch = begin..total.min(begin + size);
            replaced = self
                .replace_batch(renewal, &mut set, batch)
                .await
                .map_err(|error| match self.is_over(renewal) {
                    // Whatever ended it has its say in what runs.
                    true => error,
                    false => with_kept(&error, begin, total),
                })?;
        }
        Ok(replaced)
    }

    /// Replaces some of the set, which is then the new one. Gives the old instances.
    async fn replace_batch(
        &self,
        renewal: &Renewal<'_>,
        set: &mut Vec<InstanceHandle>,
        batch: Range<usize>,
    ) -> Result<Vec<InstanceHandle>, String> {
        let old = set[batch.clone()].to_vec();
        // A former daemon may have died in a reload: two copies live at a time, and not three.
        let cleaned = old
            .iter()
            .map(|handle| handle.until(None, |now| !now.cleaning));
        tokio::select! {
            biased;
            () = self.until_unwanted(renewal, set) => return Err(UNWANTED.to_owned()),
            _ = join_all(cleaned) => {}
        }
        let new = self.shadows(renewal, &old);
        let mut next = set.clone();
        next[batch].clone_from_slice(&new);
        let proven = tokio::select! {
            biased;
            () = self.until_unwanted(renewal, set) => Err(UNWANTED.to_owned()),
            proven = self.prove(&new, renewal) => proven,
        };
        let placed = proven.and_then(|()| self.put_in_place(renewal, set, &next));
        if let Err(error) = placed {
            self.abandon(&new, renewal.actor).await;
            return Err(error);
        }
        *set = next;
        self.take_over(renewal.name, &old, &new).await;
        Ok(old)
    }

    /// One new task beside each old one, with its counters.
    fn shadows(&self, renewal: &Renewal<'_>, old: &[InstanceHandle]) -> Vec<InstanceHandle> {
        let mut spec = (*renewal.spec).clone();
        spec.env.flags.insert(REUSEPORT.into(), "1".into());
        spec.config.start_timeout = renewal.timeout.saturating_add(MARGIN);
        let spec = Arc::new(spec);
        debug_assert!(
            old.iter()
                .all(|handle| handle.id().process == *renewal.name),
            "handles of one process"
        );
        old.iter()
            .map(|handle| handle.start_shadow(Arc::clone(&spec), self.context().clone()))
            .collect()
    }

    /// Kills new instances; the old ones have not been touched.
    async fn abandon(&self, new: &[InstanceHandle], actor: &str) {
        let kills = new.iter().map(|handle| end(handle, true, actor));
        join_all(kills).await;
    }

    /// Stops old instances, one after another; all at once when nothing of it is to run any more.
    pub(super) async fn retire(&self, renewal: &Renewal<'_>, old: &[InstanceHandle]) {
        let actor = renewal.actor;
        let one_by_one = async {
            for handle in old {
                end(handle, false, actor).await;
            }
        };
        let changed = self.changed();
        tokio::select! {
            () = one_by_one => {}
            _ = changed.until(|_| self.is_over(renewal)) => {
                join_all(old.iter().map(|handle| end(handle, false, actor))).await;
            }
        }
    }

    /// Is none of the process to run any more?
    fn is_over(&self, renewal: &Renewal<'_>) -> bool {
        let inner = self.inner();
        let is_to_run =
            |entry: &Entry| entry.row.desired == Desired::Online && !renewal.against.is_off(entry);
        inner.closing || !inner.entry(renewal.name).is_some_and(is_to_run)
    }

    /// These become the instances that orders reach, if the process is still wanted.
    fn put_in_place(
        &self,
        renewal: &Renewal<'_>,
        set: &[InstanceHandle],
        next: &[InstanceHandle],
    ) -> Result<(), String> {
        let mut inner = self.inner();
        let is_closing = inner.closing;
        match inner.entry_mut(renewal.name) {
            Some(entry) if !is_closing && renewal.is_wanted(entry, set) => {
                entry.handles = next.to_vec();
                Ok(())
            }
            Some(_) | None => Err(UNWANTED.to_owned()),
        }
    }

    /// The new instances become the recorded ones.
    async fn take_over(&self, name: &ProcessName, old: &[InstanceHandle], new: &[InstanceHandle]) {
        // It may have been defined anew while they proved themselves.
        let spec = self
            .inner()
            .entry(name)
            .map(|entry| Arc::clone(&entry.spec));
        for (old, new) in old.iter().zip(new) {
            // Both live in this process, and a task ends only after its handles.
            let _ = new.replace(old).await;
            if let Some(spec) = &spec {
                let _ = new.define(Arc::clone(spec)).await;
            }
            new.show_on(&self.context().board);
        }
        self.bump();
    }
}

/// Ends one instance and waits until it is gone, or given up.
async fn end(handle: &InstanceHandle, force: bool, actor: &str) {
    let stop = Input::Stop {
        reason: Reason::Reload,
        force,
        signal: None,
    };
    // A task that has ended has nothing left to stop.
    let _ = handle.order(stop, actor).await;
    handle
        .until(None, |snapshot| {
            snapshot.is_down() || matches!(snapshot.saved.state, State::Errored { .. })
        })
        .await;
}

/// Why a reload failed, and what runs now: of `total` instances the first `new` are replaced.
fn with_kept(error: &str, new: usize, total: usize) -> String {
    let span = |instances: Range<usize>| match instances.len() {
        1 => format!("instance {}", instances.start),
        _ => format!("instances {} to {}", instances.start, instances.end - 1),
    };
    match new {
        0 => format!("{error}; the old instances were kept"),
        new => format!(
            "{error}; new: {}, kept as before: {}",
            span(0..new),
            span(new..total)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_told() {
        assert_eq!(
            with_kept("it fell", 0, 4),
            "it fell; the old instances were kept"
        );
        assert_eq!(
            with_kept("it fell", 1, 4),
            "it fell; new: instance 0, kept as before: instances 1 to 3"
        );
        assert_eq!(
            with_kept("it fell", 2, 3),
            "it fell; new: instances 0 to 1, kept as before: instance 2"
        );
    }
}
