//! Who speaks in one place.
//!
//! What has to be said is kept by incident, the newest of each; it is taken together, said, and
//! put back when the place cannot be reached, so that a message never stays behind for want of
//! another change.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;
use supervisor::Clock;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Incident, OWN, WINDOW};
use crate::store::{Gathered, Shown, Store, StoreError};
use crate::{Card, Channel, ChatError, Place, show};

/// First and longest wait before a place that failed is tried again.
const WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Incidents that wait to be told in a place that cannot be reached; the oldest ones go.
const MOST: usize = 2_000;

/// Who speaks in one place.
pub(super) struct Teller {
    place: Place,
    channel: Arc<dyn Channel>,
    store: Store,
    clock: Clock,
    token: CancellationToken,
    /// One at a time speaks in a place: who was replaced finishes its word first.
    turn: Arc<tokio::sync::Mutex<()>>,
    waiting: Mutex<Waiting>,
    news: Notify,
}

/// What has to be said.
#[derive(Default)]
struct Waiting {
    incidents: BTreeMap<String, Incident>,
    reminders: BTreeMap<String, Incident>,
    /// Something is being said.
    busy: bool,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.incidents.is_empty() && self.reminders.is_empty()
    }
}

/// Why the place is not up to date.
#[derive(Debug, thiserror::Error)]
enum TellError {
    #[error(transparent)]
    Chat(#[from] ChatError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl TellError {
    /// The same would fail again.
    fn is_final(&self) -> bool {
        matches!(self, Self::Chat(ChatError::Gone(_) | ChatError::Refused(_)))
    }
}

impl Teller {
    pub(super) fn new(
        place: Place,
        channel: Arc<dyn Channel>,
        store: Store,
        clock: Clock,
        token: CancellationToken,
        turn: Arc<tokio::sync::Mutex<()>>,
    ) -> Self {
        Self {
            place,
            channel,
            store,
            clock,
            token,
            turn,
            waiting: Mutex::default(),
            news: Notify::new(),
        }
    }

    /// Does it speak there, through this?
    pub(super) fn is(&self, place: &Place, channel: &Arc<dyn Channel>) -> bool {
        self.place == *place && Arc::ptr_eq(&self.channel, channel)
    }

    /// More is known of an incident.
    pub(super) fn update(&self, incident: Incident) {
        let mut waiting = self.lock();
        // A reminder that still waits speaks of what is so now.
        if waiting.reminders.remove(&incident.id).is_some() && incident.asks().is_some() {
            let again = incident.clone();
            waiting.reminders.insert(incident.id.clone(), again);
        }
        waiting.incidents.insert(incident.id.clone(), incident);
        if waiting.incidents.len() > MOST {
            let oldest = waiting.incidents.values().min_by_key(|one| one.opened);
            if let Some(id) = oldest.map(|one| one.id.clone()) {
                waiting.incidents.remove(&id);
            }
        }
        drop(waiting);
        self.news.notify_one();
    }

    /// Its question still waits.
    pub(super) fn remind(&self, incident: Incident) {
        let mut waiting = self.lock();
        if waiting.reminders.len() < MOST {
            waiting.reminders.insert(incident.id.clone(), incident);
        }
        drop(waiting);
        self.news.notify_one();
    }

    /// Speaks no more. What is being sent is sent.
    pub(super) fn end(&self) {
        self.token.cancel();
    }

    pub(super) async fn run(self: Arc<Self>) {
        let mut wait = WAITS.0;
        while !self.token.is_cancelled() {
            let Some(batch) = self.take() else {
                self.token.run_until_cancelled(self.news.notified()).await;
                continue;
            };
            let turn = self.turn.lock().await;
            let result = self.say(batch).await;
            drop(turn);
            self.lock().busy = false;
            match result {
                Ok(()) => wait = WAITS.0,
                Err(error) => {
                    tracing::warn!(place = %self.place, %error, "A chat is not up to date.");
                    let asked = match &error {
                        TellError::Chat(error) => error.retry().unwrap_or_default(),
                        TellError::Store(_) => Duration::ZERO,
                    };
                    let pause = tokio::time::sleep(asked.max(wait));
                    self.token.run_until_cancelled(pause).await;
                    wait = (wait * 2).min(WAITS.1);
                }
            }
        }
    }

    fn take(&self) -> Option<Waiting> {
        let mut waiting = self.lock();
        if waiting.is_empty() {
            return None;
        }
        let taken = std::mem::take(&mut *waiting);
        waiting.busy = true;
        Some(taken)
    }

    /// Says all of it. What could not be said waits again, unless something newer does.
    async fn say(&self, batch: Waiting) -> Result<(), TellError> {
        let mut incidents: Vec<Incident> = batch.incidents.into_values().collect();
        incidents.sort_by_key(|one| one.opened);
        let mut gathered: BTreeMap<i64, Vec<(Gathered, Incident)>> = BTreeMap::new();
        let mut failed = None;
        for incident in incidents {
            if self.token.is_cancelled() {
                return Ok(());
            }
            if failed.is_some() {
                self.put_back(incident);
                continue;
            }
            match self.tell(&incident, &mut gathered).await {
                Ok(()) => {}
                Err(error) if error.is_final() => {
                    tracing::warn!(place = %self.place, incident = %incident.id, %error, "An incident could not be told.");
                }
                Err(error) => {
                    self.put_back(incident);
                    failed = Some(error);
                }
            }
        }
        for (digest, all) in gathered {
            let (all, incidents): (Vec<_>, Vec<_>) = all.into_iter().unzip();
            let told = match failed {
                Some(_) => Ok(false),
                None => self.count(digest, all).await.map(|()| true),
            };
            match told {
                Ok(true) => {}
                Err(error) if error.is_final() => {
                    tracing::warn!(place = %self.place, %error, "Incidents could not be counted.");
                }
                told => {
                    incidents.into_iter().for_each(|one| self.put_back(one));
                    failed = failed.or(told.err());
                }
            }
        }
        for (id, incident) in batch.reminders {
            if failed.is_none() {
                match self.say_again(&incident).await {
                    Err(error) if !error.is_final() => failed = Some(error),
                    Ok(()) | Err(_) => continue,
                }
            }
            let mut waiting = self.lock();
            let newer = waiting.incidents.get(&id);
            if newer.is_none_or(|newer| newer.asks().is_some()) {
                waiting.reminders.entry(id).or_insert(incident);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// One incident: in its own message, or among those that are counted.
    async fn tell(
        &self,
        incident: &Incident,
        gathered: &mut BTreeMap<i64, Vec<(Gathered, Incident)>>,
    ) -> Result<(), TellError> {
        self.store.knows(incident).await?;
        if incident.asks().is_none() {
            let subject = format!("reminder:{}", incident.id);
            self.close(&subject, &show::answered(incident)).await?;
        }
        let now = self.clock.now();
        let over = incident.is_over();
        let card = show::incident(incident, now);
        if let Some(shown) = self.store.shown(&incident.id, &self.place).await? {
            let done = self.edit(&incident.id, &shown, &card, over).await?;
            // Somebody deleted it; it is said anew while there is something to do.
            if done || over {
                return Ok(());
            }
            return self.open(&incident.id, &card, over).await;
        }
        let digest = match self.store.gathered(&self.place, &incident.id).await? {
            Some(digest) => digest,
            None if incident.is_calm() => return Ok(()),
            None => {
                let since = now - SignedDuration::try_from(WINDOW).unwrap_or(SignedDuration::MAX);
                if self.store.own_since(&self.place, since).await? < OWN {
                    return self.open(&incident.id, &card, over).await;
                }
                let young = |began: &i64| now.as_millisecond() - began < WINDOW.as_millis() as i64;
                let known = gathered.keys().next_back().copied().filter(young);
                match self.store.digest_of(&self.place, WINDOW).await?.max(known) {
                    Some(digest) => digest,
                    None => now.as_millisecond(),
                }
            }
        };
        let one = Gathered {
            incident: incident.id.clone(),
            process: incident.process.clone(),
            phase: incident.phase,
            asks: incident.asks().is_some(),
            over,
        };
        gathered
            .entry(digest)
            .or_default()
            .push((one, incident.clone()));
        Ok(())
    }

    /// Brings a shared message up to date.
    async fn count(&self, digest: i64, all: Vec<Gathered>) -> Result<(), TellError> {
        self.store.gather(&self.place, digest, all).await?;
        let known = self.store.digest(&self.place, digest).await?;
        let card = show::digest(&known);
        let subject = format!("digest:{digest}");
        match self.store.shown(&subject, &self.place).await? {
            Some(shown) if self.edit(&subject, &shown, &card, false).await? => {}
            _ => self.open(&subject, &card, false).await?,
        }
        // Only now: what was not shown is looked at again by the next daemon.
        self.store.settle(&self.place, digest).await?;
        if known.questions > 0 {
            return Ok(());
        }
        let subject = format!("reminder:digest:{digest}");
        self.close(&subject, &show::digest_answered()).await
    }

    /// That a question waits, in a message of its own.
    async fn say_again(&self, incident: &Incident) -> Result<(), TellError> {
        let now = self.clock.now();
        let told = self.store.shown(&incident.id, &self.place).await?.is_some();
        if told {
            let Some(card) = show::reminder(incident, now) else {
                return Ok(());
            };
            let subject = format!("reminder:{}", incident.id);
            // Two sets of buttons for one question are one too many.
            self.close(&subject, &show::answered(incident)).await?;
            return self.open(&subject, &card, false).await;
        }
        let Some(digest) = self.store.gathered(&self.place, &incident.id).await? else {
            return Ok(());
        };
        let known = self.store.digest(&self.place, digest).await?;
        let subject = format!("reminder:digest:{digest}");
        let said = self.store.shown(&subject, &self.place).await?;
        match show::digest_reminder(&known) {
            Some(card) if said.is_none_or(|one| one.over) => {
                self.open(&subject, &card, false).await
            }
            _ => Ok(()),
        }
    }

    /// Puts this in the place of a message that has had its time.
    async fn close(&self, subject: &str, card: &Card) -> Result<(), TellError> {
        match self.store.shown(subject, &self.place).await? {
            Some(shown) if !shown.over => {
                if !self.edit(subject, &shown, card, true).await? {
                    let shown = Shown {
                        over: true,
                        ..shown
                    };
                    self.store.show(subject, &self.place, &shown).await?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Puts another card into a message. False when the message is gone.
    async fn edit(
        &self,
        subject: &str,
        shown: &Shown,
        card: &Card,
        over: bool,
    ) -> Result<bool, TellError> {
        let now_shown = digest_of(card);
        if shown.card == now_shown && shown.over == over {
            return Ok(true);
        }
        if shown.card != now_shown {
            match self.channel.edit(&shown.message, card).await {
                Ok(()) => {}
                Err(ChatError::Gone(_)) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        let shown = Shown {
            card: now_shown,
            over,
            message: shown.message.clone(),
        };
        self.store.show(subject, &self.place, &shown).await?;
        Ok(true)
    }

    /// Says it in a new message.
    async fn open(&self, subject: &str, card: &Card, over: bool) -> Result<(), TellError> {
        let message = self.channel.send(&self.place, card).await?;
        let shown = Shown {
            message,
            card: digest_of(card),
            over,
        };
        Ok(self.store.show(subject, &self.place, &shown).await?)
    }

    fn put_back(&self, incident: Incident) {
        let mut waiting = self.lock();
        waiting
            .incidents
            .entry(incident.id.clone())
            .or_insert(incident);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) async fn settled(&self) {
        loop {
            {
                let waiting = self.lock();
                if waiting.is_empty() && !waiting.busy {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Two cards that look the same have the same.
fn digest_of(card: &Card) -> String {
    // FNV-1a of all that is in it: it only has to tell a change.
    let text = format!("{card:?}");
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}
