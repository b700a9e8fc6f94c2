//! Which events the agent has looked at.
//!
//! Events are published by many tasks, and one that waits for the last lines of its run is
//! published after others with higher ids. So the highest id says nothing about the lower ones.

use std::collections::BTreeSet;

use supervisor::EventId;

/// Ids that are kept apart. What is older than the lowest of them is taken for seen.
const KEPT: usize = 4_096;

/// The ids of events that were looked at.
#[derive(Debug)]
pub(super) struct Seen {
    ids: BTreeSet<EventId>,
    floor: EventId,
}

impl Seen {
    /// Everything up to `last` counts as seen.
    pub(super) fn up_to(last: EventId) -> Self {
        let ids = BTreeSet::new();
        Self { ids, floor: last }
    }

    /// Everything up to here has been seen.
    pub(super) fn floor(&self) -> EventId {
        self.floor
    }

    /// Notes an event. False if it was known. One that could not be recorded has the id 0 and
    /// is told once.
    pub(super) fn is_new(&mut self, id: EventId) -> bool {
        if id == 0 {
            return true;
        }
        if id <= self.floor || !self.ids.insert(id) {
            return false;
        }
        if self.ids.len() > KEPT
            && let Some(lowest) = self.ids.pop_first()
        {
            self.floor = lowest;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_counts_once_in_whatever_order() {
        let mut seen = Seen::up_to(7);
        let ids = [3, 7, 9, 8, 9, 8, 0, 0];
        let new = ids.map(|id| seen.is_new(id));
        assert_eq!(new, [false, false, true, true, false, false, true, true]);
        for id in 10..20_000 {
            assert!(seen.is_new(id));
        }
        assert_eq!(seen.ids.len(), KEPT);
        assert!(!seen.is_new(9));
    }
}
