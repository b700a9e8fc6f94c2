//! From recorded events to notices, in their order and none twice.
//!
//! The bus says that something happened; where it was faster than we are, the table of events
//! has what was missed. What came in together is told together, so that a storm costs as many
//! writes as there are batches.

use std::collections::BTreeSet;
use std::time::Duration;

use chat::notify::{Input, NotifyError};
use jiff::Timestamp;
use supervisor::store::{EventFilter, StoreHandle};
use supervisor::{Bus, Clock, Event, EventId, RegistryHandle, until};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tracing::warn;

use super::Voice;
use super::heard::{Heard, KINDS, Words};

/// Most events that are told at once, and so the most that a kill can make to be told again.
const BATCH: usize = 100;
/// Events read at once after some were missed.
const MISSED: usize = 20_000;
/// What happened longer ago than this while nobody told it is history.
const STALE: Duration = Duration::from_secs(300);
/// Events that are known one by one; whoever comes later than so many others is lost.
const REMEMBERED: usize = 4_096;
/// After the table could not be read.
const BROKEN: Duration = Duration::from_secs(5);

/// From where on it is told.
#[derive(Debug, Clone, Copy)]
pub(super) enum From {
    /// The newest event from before this daemon.
    Boot(EventId),
    /// The newest one when somebody first wanted to hear of any.
    Now(EventId),
}

/// The newest event there is.
pub(super) async fn newest(table: &StoreHandle) -> EventId {
    let filter = EventFilter {
        limit: 1,
        ..EventFilter::default()
    };
    let newest = table.events(filter).await.unwrap_or_default();
    newest.first().map_or(0, |one| one.id)
}

pub(super) struct Follow {
    pub(super) voice: Voice,
    pub(super) registry: RegistryHandle,
    pub(super) bus: Bus,
    pub(super) table: StoreHandle,
    pub(super) clock: Clock,
}

impl Follow {
    /// Tells what happens, for ever.
    pub(super) async fn run(self, from: From) {
        let mut bus = self.bus.subscribe();
        let mut words = Words::new(self.registry.clone());
        let mut seen = Seen::upto(match from {
            From::Boot(boot) => self.unheard(boot).await,
            From::Now(newest) => newest,
        });
        // What happened until the bus was listened to is in the table.
        let mut missed = true;
        loop {
            let batch = match std::mem::take(&mut missed) {
                true => self.missed(seen.floor).await,
                false => match next(&mut bus).await {
                    Next::Events(events) => events,
                    Next::Missed => {
                        missed = true;
                        continue;
                    }
                    Next::End => return,
                },
            };
            let new: Vec<Event> = batch
                .into_iter()
                .filter(|one| seen.is_new(one.id))
                .collect();
            for chunk in new.chunks(BATCH) {
                self.tell(chunk, &mut words).await;
            }
        }
    }

    /// From where on nothing has been told: also what a daemon before this one recorded and had
    /// no time to tell.
    async fn unheard(&self, boot: EventId) -> EventId {
        let heard = self.voice.notifier.overview().await;
        let heard = heard.ok().and_then(|one| one.heard);
        heard.map_or(boot, |heard| heard.min(boot))
    }

    async fn missed(&self, after: EventId) -> Vec<Event> {
        let now = self.clock.now();
        let fresh = |at: Timestamp| until(at, now) <= STALE;
        loop {
            let filter = EventFilter {
                kinds: KINDS.to_vec(),
                after: Some(after),
                limit: MISSED,
                ..EventFilter::default()
            };
            match self.table.events(filter).await {
                Ok(mut events) => {
                    events.reverse();
                    events.retain(|one| fresh(one.at));
                    return events;
                }
                Err(error) => {
                    warn!(%error, "Events could not be read; it is tried again.");
                    tokio::time::sleep(BROKEN).await;
                }
            }
        }
    }

    async fn tell(&self, events: &[Event], words: &mut Words) {
        let mut inputs = Vec::new();
        for event in events {
            inputs.extend(words.of(event));
        }
        if inputs.is_empty() {
            return;
        }
        let (mut notices, mut order) = (Vec::new(), Vec::new());
        for input in inputs {
            match input {
                Heard::Notice(notice, wish) => {
                    notices.push(*notice);
                    order.push(Err(wish));
                }
                Heard::Input(input) => order.push(Ok(input)),
            }
        }
        let mut notices = self.voice.redacted(notices).await.into_iter();
        let notifier = &self.voice.notifier;
        let mut puts = Vec::new();
        for one in order {
            puts.push(match one {
                Ok(input) => input,
                Err(wish) => match notices.next() {
                    Some(notice) => Input::Notice(Box::new(notice), wish),
                    None => continue,
                },
            });
        }
        if let Some(newest) = events.iter().map(|one| one.id).max() {
            puts.push(Input::Heard(newest));
        }
        // With the mark, in one piece: after a kill nothing of it is told again, or all of it.
        if let Err(error) = notifier.put_all(puts).await
            && error != NotifyError::Gone
        {
            warn!(%error, "It could not be told.");
        }
    }
}

/// Which events have been told. They need not come in the order of their ids: the end of a run
/// is told with the begin of the next, when others have had their say.
struct Seen {
    /// All up to this one.
    floor: EventId,
    /// Newer ones.
    ids: BTreeSet<EventId>,
}

impl Seen {
    fn upto(floor: EventId) -> Self {
        Self {
            floor,
            ids: BTreeSet::new(),
        }
    }

    /// Remembers it. False when it is known.
    fn is_new(&mut self, id: EventId) -> bool {
        let new = id > self.floor && self.ids.insert(id);
        while self.ids.len() > REMEMBERED {
            self.floor = self.ids.pop_first().unwrap_or(self.floor);
        }
        new
    }
}

enum Next {
    Events(Vec<Event>),
    Missed,
    End,
}

/// What happened, as much of it as is there.
async fn next(bus: &mut Receiver<std::sync::Arc<Event>>) -> Next {
    let mut events = match bus.recv().await {
        Ok(event) => vec![Event::clone(&event)],
        Err(RecvError::Lagged(_)) => return Next::Missed,
        Err(RecvError::Closed) => return Next::End,
    };
    while events.len() < BATCH {
        match bus.try_recv() {
            Ok(event) => events.push(Event::clone(&event)),
            // What was taken here is in the table, too.
            Err(TryRecvError::Lagged(_)) => return Next::Missed,
            Err(TryRecvError::Empty | TryRecvError::Closed) => break,
        }
    }
    Next::Events(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_late_is_told_and_nothing_twice() {
        let mut seen = Seen::upto(10);
        assert!(!seen.is_new(10));
        assert!(seen.is_new(13) && seen.is_new(11));
        assert!(!seen.is_new(11) && seen.is_new(12));
        for id in 14..10_000 {
            assert!(seen.is_new(id));
        }
        assert!(!seen.is_new(20), "so long ago that it must have been told");
        assert!(seen.ids.len() <= REMEMBERED);
    }
}
