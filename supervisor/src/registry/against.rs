//! What comes after an order to start and ends it.
//!
//! A start waits for what is depended on, and for the stop of a former run. Who stops or holds
//! the process in that time is answered that it is down, so the start finds out when its turn
//! comes: orders are numbered, and those that were there before it are none of its business.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::target::Pick;
use super::{Entry, Inner, RegistryHandle};
use crate::ids::{InstanceId, ProcessName};
use crate::instance::InstanceHandle;

/// The number of an order: a later one has a greater number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(u64);

/// When an order to start came. It gives way to what was ordered against it since then, however
/// long it has to wait for what is depended on.
#[derive(Debug)]
pub(super) struct Against {
    moment: Moment,
    /// What came between that and these moments is none of its business either: then it stopped
    /// what had been started since.
    renewed: BTreeMap<ProcessName, Moment>,
    /// These are not to be started in any case.
    left: BTreeSet<InstanceId>,
}

impl Against {
    /// Was it ordered to stop since then?
    pub(super) fn is_stopped(&self, entry: &Entry) -> bool {
        entry.stopped > self.since(entry)
    }

    /// Was it ordered to stop since then, or a copy of it to be held or stopped?
    pub(super) fn ends_start_of(&self, entry: &Entry) -> bool {
        self.is_stopped(entry)
            || entry
                .handles
                .iter()
                .any(|one| self.is_held(entry, one.id()))
    }

    /// Was it ordered to stop since then, or is none of its copies to run, since they were held
    /// or stopped one by one?
    pub(super) fn is_off(&self, entry: &Entry) -> bool {
        let is_off = |one: &InstanceHandle| {
            self.is_held(entry, one.id()) || entry.row.down.contains(&one.id().index)
        };
        let counted = entry.counted();
        self.is_stopped(entry) || (!counted.is_empty() && counted.iter().all(is_off))
    }

    /// Was this copy ordered to be held, or to stop by itself, since then?
    pub(super) fn is_held(&self, entry: &Entry, copy: &InstanceId) -> bool {
        let held = entry.held.get(&copy.index);
        held.is_some_and(|held| *held > self.since(entry)) || self.left.contains(copy)
    }

    fn since(&self, entry: &Entry) -> Moment {
        self.renewed
            .get(entry.name())
            .copied()
            .unwrap_or(self.moment)
    }

    /// The same for an order that is to start these all the same, since it has stopped them itself
    /// or somebody has started them again: only what came after such a moment is against that.
    pub(super) fn with_renewed(&self, renewed: BTreeMap<ProcessName, Moment>) -> Arc<Self> {
        Arc::new(Self {
            moment: self.moment,
            renewed,
            left: self.left.clone(),
        })
    }
}

impl Entry {
    /// An order to start all of it is an order for those, too, that were stopped by themselves
    /// before it came.
    pub(super) fn bring_back(&mut self, against: &Against) {
        let held = &self.held;
        let came_after = |index: &u16| held.get(index).is_some_and(|at| *at > against.moment);
        self.row.down.retain(came_after);
    }

    /// The copies of a pick that an order to start reaches.
    pub(super) fn to_start(&self, pick: &Pick, against: &Against) -> Vec<InstanceHandle> {
        let is_meant = |handle: &&InstanceHandle| {
            let copy = handle.id();
            let is_down = self.row.down.contains(&copy.index);
            let is_picked = pick.index.is_none_or(|index| index == copy.index);
            is_picked && !is_down && !against.is_held(self, copy)
        };
        let counted = match pick.index {
            Some(_) => &self.handles,
            None => self.counted(),
        };
        counted.iter().filter(is_meant).cloned().collect()
    }
}

impl Inner {
    /// The number of an order against starts that comes now.
    pub(super) fn next_moment(&mut self) -> Moment {
        self.newest_moment.0 += 1;
        self.newest_moment
    }
}

impl RegistryHandle {
    /// What was ordered against starts so far.
    pub(super) fn ordered_against(&self) -> Arc<Against> {
        self.ordered_against_and(BTreeSet::new())
    }

    /// The same for starts that leave these copies as they are.
    pub(super) fn ordered_against_and(&self, left: BTreeSet<InstanceId>) -> Arc<Against> {
        let moment = self.inner().newest_moment;
        Arc::new(Against {
            moment,
            renewed: BTreeMap::new(),
            left,
        })
    }
}
