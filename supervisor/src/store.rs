//! The state database: what is wanted, where every instance stands, and what happened.
//!
//!   registry, instances ──Batch──► writer thread ──one transaction──► db.sqlite (WAL)
//!                                        └─Work─► settle thread: fsync of the WAL at most
//!                                                  every 100 ms, snapshot files each second
//!
//! One thread owns the only read-write connection. It commits whatever is queued as one
//! transaction, so a lone batch is answered at once and a crowd shares a commit. A state
//! move and its event are in the same batch, hence in the same transaction. Readers open
//! their own read-only connection. No SQL stands outside this module.
//!
//! When the disk is full or the file is locked, a commit fails quickly and supervision goes
//! on from memory. What has *happened* (states and events) is kept and written later; what
//! was *ordered* (definitions) is refused, so that a refused order never comes true later.

mod error;
mod handle;
mod kept;
mod queue;
mod reader;
mod rows;
mod schema;
mod settle;
mod snapshot;
#[cfg(test)]
pub(crate) mod testing;
mod writer;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::{Event, EventKind, NewEvent};
use crate::ids::{EventId, Generation, InstanceId, ProcessName};
use crate::spec::{GroupSpec, ProcessSpec};
use crate::state::Saved;

pub use error::StoreError;
pub use handle::{StoreHandle, StoreThread};

/// What the user last asked of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Desired {
    /// It should run.
    Online,
    /// It should not.
    Stopped,
}

/// A registered process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessRow {
    /// Its definition.
    #[serde(with = "crate::shared")]
    pub spec: Arc<ProcessSpec>,
    /// Its place in registration order.
    pub position: u32,
    /// What was last asked of it.
    pub desired: Desired,
    /// Copies, where `mhost scale` changed the number.
    pub scaled: Option<u16>,
    /// The definition before the newest, which a rollback goes back to.
    #[serde(with = "crate::shared::option")]
    pub previous: Option<Arc<ProcessSpec>>,
    /// When the definition last changed.
    pub changed_at: Option<Timestamp>,
    /// It is being deleted. Whoever finds this finishes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removal: Option<Removal>,
    /// What was ordered and may not have been done in full. Whoever finds this finishes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Due>,
    /// Copies that were stopped or held by themselves: the process is to run without them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub down: BTreeSet<u16>,
}

/// An order that takes more than one step of more than one instance, written before the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Due {
    /// It is to run. A copy has yet to begin whose newest run is this one, by index, and that
    /// does not run.
    Start {
        /// The newest runs; none where a copy is not to begin.
        after: Vec<Option<Generation>>,
    },
    /// It is to run as it is defined now: what runs may go by the definition before.
    Renewal,
}

/// The intention to delete a process, written before its first instance is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// Its log lines stay.
    pub keep_logs: bool,
}

/// Things to be written together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// Processes to insert or replace.
    pub processes: Vec<ProcessRow>,
    /// Processes to remove, with their instances. Their events stay.
    pub removed: Vec<ProcessName>,
    /// Instances to insert or replace.
    pub instances: Vec<(InstanceId, Saved)>,
    /// Instances to remove.
    pub removed_instances: Vec<InstanceId>,
    /// Groups to insert or replace.
    pub groups: Vec<GroupSpec>,
    /// Groups to remove.
    pub removed_groups: Vec<String>,
    /// Events to append, in order.
    pub events: Vec<NewEvent>,
    /// Recorded events of which more is known now: their data is replaced.
    pub amended: Vec<Event>,
}

impl Batch {
    /// Only facts: states and events, which are true whether they are recorded or not.
    pub(crate) fn is_fact(&self) -> bool {
        self.processes.is_empty()
            && self.removed.is_empty()
            && self.removed_instances.is_empty()
            && self.groups.is_empty()
            && self.removed_groups.is_empty()
    }
}

/// Everything a new daemon needs to go on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Loaded {
    /// In registration order.
    pub processes: Vec<ProcessRow>,
    /// Every instance.
    pub instances: Vec<(InstanceId, Saved)>,
    /// Groups.
    pub groups: Vec<GroupSpec>,
}

/// Which events are asked for. Newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EventFilter {
    /// Only of these processes; all when empty.
    pub processes: Vec<ProcessName>,
    /// Only of these kinds; all when empty.
    pub kinds: Vec<EventKind>,
    /// Only with this reason.
    pub reason: Option<String>,
    /// Only of this instance.
    pub instance: Option<u16>,
    /// At or after this time.
    pub since: Option<Timestamp>,
    /// At or before this time.
    pub until: Option<Timestamp>,
    /// With a greater id.
    pub after: Option<EventId>,
    /// At most so many.
    pub limit: usize,
}
