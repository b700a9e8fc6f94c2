//! One message for each incident, edited as it goes on.
//!
//! ```text
//!   seen ─► cause ─► plan ─► asked ─► acting ─► verifying ─► healed | a person has it
//!
//!   update ──► teller of place A ──► its messages        (each at its own pace)
//!          └─► teller of place B ──► its messages
//! ```
//!
//! The message is opened once in each place and is the same one to the end, over restarts of
//! the daemon. When many incidents begin at once, the first ones get messages of their own and
//! the rest share one that counts them: nobody reads a flood.
//!
//! Each place has a [`teller`] of its own: one that is slow or cannot be reached delays no
//! other, and is brought up to date as soon as it can be.

mod incident;
mod teller;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use supervisor::{Clock, Tasks};

use crate::store::Store;
use crate::{Channel, Place};

pub use incident::{Digest, Incident, Phase};
use teller::Teller;

/// Messages of their own that incidents get within [`WINDOW`]; more share one.
const OWN: usize = 2;
/// How long a flood is counted.
const WINDOW: Duration = Duration::from_secs(600);
/// Processes that are named in a digest; more are counted.
pub(crate) const NAMED: usize = 12;

/// The messages about incidents, in all places.
pub struct Threads {
    store: Store,
    clock: Clock,
    tasks: Tasks,
    tellers: Mutex<Vec<Arc<Teller>>>,
    turns: Mutex<BTreeMap<Place, Arc<tokio::sync::Mutex<()>>>>,
}

/// Where incidents are told, and through what.
#[derive(Default)]
pub struct Places {
    /// Bots.
    pub channels: Vec<Arc<dyn Channel>>,
    /// Chats.
    pub places: Vec<Place>,
}

impl std::fmt::Debug for Threads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Threads").finish_non_exhaustive()
    }
}

impl Threads {
    /// Threads that speak nowhere yet.
    pub fn new(store: Store, clock: Clock, tasks: Tasks) -> Self {
        Self {
            store,
            clock,
            tasks,
            tellers: Mutex::default(),
            turns: Mutex::default(),
        }
    }

    /// Speaks through these bots in these places from now on. Places that stay keep what they
    /// still have to say.
    pub fn speak_in(&self, places: Places) {
        let mut wanted: Vec<(Place, Arc<dyn Channel>)> = Vec::new();
        for place in places.places {
            let bot = |one: &&Arc<dyn Channel>| one.platform() == place.platform;
            let known = wanted.iter().any(|(known, _)| *known == place);
            if let Some(channel) = places.channels.iter().find(bot)
                && !known
            {
                wanted.push((place, channel.clone()));
            }
        }
        let mut tellers = self.lock();
        let before = std::mem::take(&mut *tellers);
        for (place, channel) in wanted {
            let same = before.iter().find(|one| one.is(&place, &channel));
            let teller = same.cloned().unwrap_or_else(|| {
                let token = self.tasks.token().child_token();
                let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
                let turn = turns.entry(place.clone()).or_default().clone();
                let teller = Arc::new(Teller::new(
                    place,
                    channel,
                    self.store.clone(),
                    self.clock.clone(),
                    token,
                    turn,
                ));
                self.tasks.spawn("chat teller", teller.clone().run());
                teller
            });
            tellers.push(teller);
        }
        for one in before {
            if !tellers.iter().any(|kept| Arc::ptr_eq(kept, &one)) {
                one.end();
            }
        }
    }

    /// Brings all messages about an incident up to date, each when its place can take it.
    /// Never waits.
    pub fn update(&self, incident: &Incident) {
        for teller in self.lock().iter() {
            teller.update(incident.clone());
        }
    }

    /// Ends the messages about an incident that nobody knows any more: it was taken into another
    /// one, or forgotten.
    pub async fn forget(&self, id: &str) {
        match self.store.process_of(id).await {
            Ok(Some(process)) => self.update(&Incident::forgotten(id, process, self.clock.now())),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, incident = id, "Its messages cannot be ended.");
            }
        }
    }

    /// Says once more that a question waits: an edit wakes nobody. Never waits.
    pub fn remind(&self, incident: &Incident) {
        for teller in self.lock().iter() {
            teller.remind(incident.clone());
        }
    }

    /// Incidents that were told and not known to be over: what happened to them since, their
    /// messages do not say. Ids as in [`Incident::id`].
    pub async fn unfinished(&self) -> Vec<String> {
        match self.store.unfinished().await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, "Messages of before cannot be brought up to date.");
                Vec::new()
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Teller>>> {
        self.tellers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until every place is up to date.
    #[cfg(test)]
    async fn settled(&self) {
        let tellers = self.lock().clone();
        for one in tellers {
            one.settled().await;
        }
    }
}

#[cfg(test)]
mod tests;
