//! A look at one tree: what it starts from, taken while nobody else is kept waiting.

use tokio::time::Instant;

use super::leader::{self, Kept, Leader, Rest};
use super::run::Run;
use crate::ids::InstanceId;
use crate::sys::tree::Key;

/// What a look at one tree starts from.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) instance: InstanceId,
    pub(super) leader: Key,
    pub(super) kept: Option<Kept>,
    pub(super) rest: Option<Rest>,
}

impl Look {
    pub(super) fn new(instance: &InstanceId, run: &Run) -> Self {
        Self {
            instance: instance.clone(),
            leader: run.leader,
            kept: run.kept.clone(),
            rest: run.rest,
        }
    }

    pub(super) fn read(&self, now: Instant) -> Option<Leader> {
        leader::read(self.leader, self.kept.as_ref(), self.rest, now)
    }
}
