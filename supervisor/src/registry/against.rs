//! What comes after an order to start and ends it.
//!
//! A start waits for what is depended on, and for the stop of a former run. Who stops or holds
//! the process in that time is answered that it is down, so the start finds out when its turn
//! comes: orders are counted, and those that were there before it are none of its business.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Entry, RegistryHandle};
use crate::ids::{InstanceId, ProcessName};
use crate::instance::InstanceHandle;

/// What was ordered against starts at some time. An order to start gives way to what came after
/// it, however long it has to wait for what is depended on.
#[derive(Debug)]
pub(super) struct Against {
    stops: BTreeMap<ProcessName, u64>,
    holds: BTreeMap<InstanceId, u64>,
    /// These are not to be started in any case.
    left: BTreeSet<InstanceId>,
}

impl Against {
    /// Was it ordered to stop since then?
    pub(super) fn is_stopped(&self, entry: &Entry) -> bool {
        entry.stops > self.stops.get(entry.name()).copied().unwrap_or(0)
    }

    /// Was it ordered to stop since then, or a copy of it to be held?
    pub(super) fn ends_start_of(&self, entry: &Entry) -> bool {
        self.is_stopped(entry) || entry.handles.iter().any(|handle| self.is_held(handle))
    }

    /// Was it ordered to be held, or to stop by itself, since then?
    pub(super) fn is_held(&self, handle: &InstanceHandle) -> bool {
        let before = self.holds.get(handle.id()).copied().unwrap_or(0);
        handle.holds() > before || self.left.contains(handle.id())
    }
}

impl RegistryHandle {
    /// What was ordered against starts so far.
    pub(super) fn ordered_against(&self) -> Arc<Against> {
        self.ordered_against_and(BTreeSet::new())
    }

    /// The same for starts that leave these copies as they are.
    pub(super) fn ordered_against_and(&self, left: BTreeSet<InstanceId>) -> Arc<Against> {
        let inner = self.inner();
        let entries = || inner.processes.iter();
        let handles = entries().flat_map(|entry| &entry.handles);
        let hold = |handle: &InstanceHandle| (handle.id().clone(), handle.holds());
        Arc::new(Against {
            stops: entries()
                .map(|entry| (entry.name().clone(), entry.stops))
                .collect(),
            holds: handles.map(hold).collect(),
            left,
        })
    }
}
