//! What waits while the disk refuses, and what is said about it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Batch;
use crate::event::NewEvent;
use crate::ids::{InstanceId, ProcessName};
use crate::state::Saved;

/// Events kept in memory while the disk refuses them.
const KEPT_EVENTS: usize = 1_000;

/// What is wrong with the store.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// Why the last transaction failed.
    pub(super) failing: Option<String>,
    /// Processes with a copy whose newest state waits.
    pub(super) waiting: BTreeSet<ProcessName>,
    /// Events dropped because they could not be written for too long.
    pub(super) dropped_events: usize,
    /// What happened at the start.
    pub(super) notes: Vec<String>,
}

impl Health {
    pub(super) fn describe(&self) -> Option<String> {
        let mut parts = self.notes.clone();
        if let Some(failing) = &self.failing {
            parts.push(format!(
                "state is not being recorded: {failing}; supervision goes on from memory"
            ));
        }
        if self.dropped_events > 0 {
            parts.push(format!(
                "{} events could not be recorded and are lost",
                self.dropped_events
            ));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

/// Facts that could not be written yet: the newest state of each instance, and events.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) instances: BTreeMap<InstanceId, Saved>,
    pub(super) events: VecDeque<NewEvent>,
}

impl Kept {
    pub(super) fn is_empty(&self) -> bool {
        self.instances.is_empty() && self.events.is_empty()
    }

    /// Takes the facts of a failed batch; returns how many events had to go.
    pub(super) fn keep(&mut self, batch: Batch) -> usize {
        self.instances.extend(batch.instances);
        self.events.extend(batch.events);
        let surplus = self.events.len().saturating_sub(KEPT_EVENTS);
        self.events.drain(..surplus);
        surplus
    }
}
