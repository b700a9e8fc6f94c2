//! Lists that have pages: only they are turned where they stand.
//!
//! What a button carries is chosen by whoever presses it. Without this, a made-up press would
//! put a list in the place of any message of the bot.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::MessageRef;

/// Lists that are remembered. An older one is answered by a new message.
const MOST: usize = 256;

/// Messages that show a list.
#[derive(Debug, Default)]
pub(super) struct Lists(Mutex<VecDeque<MessageRef>>);

impl Lists {
    /// This message shows one.
    pub(super) fn add(&self, message: MessageRef) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.push_back(message);
        if known.len() > MOST {
            known.pop_front();
        }
    }

    /// Does it?
    pub(super) fn has(&self, message: &MessageRef) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains(message)
    }
}
