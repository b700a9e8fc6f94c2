//! How one life of the daemon hears what a program says.

use std::sync::Arc;

use async_trait::async_trait;

use super::life::Life;
use super::os::Os;
use crate::launch::Ear;
use crate::notice::Notice;
use crate::state::ProcessRef;

/// An ear of one life of the daemon.
#[derive(Debug)]
pub(super) struct Listening {
    os: Os,
    life: Arc<Life>,
    process: ProcessRef,
}

impl Listening {
    pub(super) fn new(os: Os, life: Arc<Life>, process: ProcessRef) -> Self {
        Self { os, life, process }
    }
}

#[async_trait]
impl Ear for Listening {
    async fn heard(&mut self) {
        self.os.speech_of(&self.process).await;
    }

    async fn take(&mut self, notice: Notice, _: usize) -> (Notice, usize) {
        let hear = async { self.os.hear(&self.process, notice) };
        (self.life.call(hear).await, 1)
    }

    async fn mend(&mut self) -> bool {
        false
    }
}
