//! What instances may know of each other.
//!
//! Each instance publishes a snapshot; the board finds them by process. It is read to keep a
//! process from being restarted for its dependency's fault.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use super::Snapshot;
use crate::ids::{InstanceId, ProcessName};
use crate::latest::Viewer;
use crate::state::State;

/// The snapshots of all instances, and who depends on whom. Clones are the same board.
#[derive(Debug, Clone, Default)]
pub(crate) struct Board {
    inner: Arc<RwLock<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    snapshots: BTreeMap<InstanceId, Viewer<Arc<Snapshot>>>,
    dependencies: BTreeMap<ProcessName, Vec<ProcessName>>,
}

impl Board {
    pub(super) fn put(&self, id: InstanceId, snapshot: Viewer<Arc<Snapshot>>) {
        self.inner
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .snapshots
            .insert(id, snapshot);
    }

    /// Forgets an instance that was removed.
    pub(crate) fn remove(&self, id: &InstanceId) {
        self.inner
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .snapshots
            .remove(id);
    }

    /// Says what a process depends on.
    pub(crate) fn depends(&self, process: &ProcessName, on: Vec<ProcessName>) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        inner.dependencies.insert(process.clone(), on);
    }

    /// Does it depend on anything?
    pub(crate) fn has_dependencies(&self, process: &ProcessName) -> bool {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner
            .dependencies
            .get(process)
            .is_some_and(|on| !on.is_empty())
    }

    /// A dependency, direct or not, that is not well: it is not online, or a probe of it has
    /// just failed, were it only once.
    pub(crate) fn ailing_dependency(&self, process: &ProcessName) -> Option<ProcessName> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let mut seen = BTreeSet::new();
        let mut open: Vec<&ProcessName> = inner
            .dependencies
            .get(process)
            .into_iter()
            .flatten()
            .collect();
        while let Some(dependency) = open.pop() {
            if !seen.insert(dependency) {
                continue;
            }
            let ails = inner
                .snapshots
                .iter()
                .filter(|(id, _)| id.process == *dependency)
                .any(|(_, snapshot)| ails(&snapshot.get()));
            if ails {
                return Some(dependency.clone());
            }
            open.extend(inner.dependencies.get(dependency).into_iter().flatten());
        }
        None
    }
}

fn ails(snapshot: &Snapshot) -> bool {
    !matches!(snapshot.saved.state, State::Online { .. }) || snapshot.failing_since.is_some()
}
