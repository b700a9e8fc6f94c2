//! What comes in, by long polls.
//!
//! A poll lives as long as the call that waits for it, and nothing is lost when that is
//! dropped: what Telegram was not told about comes with the next one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use supervisor::Clock;
use teloxide_core::payloads::{GetUpdates, GetUpdatesSetters};
use teloxide_core::types::AllowedUpdate;
use tokio::time::Instant;

use super::api::Api;
use super::ledger::Ledger;
use super::wire::{Me, Update};
use super::{ids, lock, read};
use crate::{ChatError, Incoming};

/// What is wanted of all kinds of updates.
pub(super) const KINDS: [AllowedUpdate; 3] = [
    AllowedUpdate::Message,
    AllowedUpdate::EditedMessage,
    AllowedUpdate::CallbackQuery,
];
/// Most updates of one poll.
const BATCH: u8 = 50;
/// Longest poll that Telegram allows.
const LONGEST: Duration = Duration::from_secs(50);
/// A server that answers "nothing" at once is asked no more often than that.
const IDLE: Duration = Duration::from_millis(500);

/// The receiving end of a bot.
pub(super) struct Poll {
    api: Arc<Api>,
    wait: Duration,
    ledger: Mutex<Ledger>,
    /// What came with the last poll and was not handed out. Held while a poll runs: two at
    /// once would end each other.
    waiting: tokio::sync::Mutex<VecDeque<Incoming>>,
}

impl Poll {
    /// One that waits so long for something to come.
    pub(super) fn new(api: Arc<Api>, wait: Duration) -> Self {
        Self {
            api,
            wait: wait.min(LONGEST),
            ledger: Mutex::default(),
            waiting: tokio::sync::Mutex::default(),
        }
    }

    /// The next thing that comes in.
    pub(super) async fn next(&self, me: &Me) -> Result<Incoming, ChatError> {
        let mut waiting = self.waiting.lock().await;
        loop {
            if let Some(incoming) = waiting.pop_front() {
                return Ok(incoming);
            }
            *waiting = self.fetch(me).await?;
        }
    }

    /// It is on record; the next poll may say so.
    pub(super) fn taken(&self, incoming: &Incoming) -> Result<(), ChatError> {
        let id = ids::number(&incoming.delivery, "delivery")?;
        lock(&self.ledger).take(id);
        Ok(())
    }

    /// One poll. What is nothing to us counts as taken.
    async fn fetch(&self, me: &Me) -> Result<VecDeque<Incoming>, ChatError> {
        let offset = lock(&self.ledger).offset();
        let mut poll = GetUpdates::new()
            .limit(BATCH)
            .timeout(u32::try_from(self.wait.as_secs()).unwrap_or_default())
            .allowed_updates(KINDS);
        poll.offset = offset;
        let begun = Instant::now();
        let updates: Vec<Value> = self.api.ask(&poll).await?;
        if updates.is_empty() {
            tokio::time::sleep_until(begun + IDLE.min(self.wait)).await;
        }
        let now = Clock::system().now();
        let mut ledger = lock(&self.ledger);
        ledger.told(offset);
        let mut new = VecDeque::new();
        for (id, update) in updates.into_iter().filter_map(Update::of) {
            if !ledger.admit(id) {
                continue;
            }
            match update.and_then(|update| read::read(id, update, me, now)) {
                Some(incoming) => new.push_back(incoming),
                None => ledger.take(id),
            }
        }
        Ok(new)
    }
}
