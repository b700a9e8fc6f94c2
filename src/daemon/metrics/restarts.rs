//! Counts restarts by their reason, from the events that tell of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use supervisor::store::{EventFilter, StoreHandle};
use supervisor::{Bus, Event, EventId, EventKind, ProcessName, Tasks};
use tokio::sync::broadcast::error::RecvError;

/// Events read at once after the bus has dropped some.
const MISSED: usize = 10_000;

type Counts = BTreeMap<(ProcessName, u16, String), u64>;

/// The counts. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Restarts {
    counts: Arc<Mutex<Counts>>,
}

impl Restarts {
    /// Counts from now on.
    pub(super) fn start(bus: &Bus, store: &StoreHandle, tasks: &Tasks) -> Self {
        let restarts = Self::default();
        let (task, mut events, store) = (restarts.clone(), bus.subscribe(), store.clone());
        let cancel = tasks.token();
        let count = async move {
            let mut last: Option<EventId> = None;
            loop {
                match events.recv().await {
                    Ok(event) => {
                        // What was read from the table comes here, too.
                        if last.is_none_or(|last| event.id > last) {
                            last = Some(event.id);
                            task.count(&event);
                        }
                    }
                    Err(RecvError::Lagged(_)) => {
                        let filter = EventFilter {
                            kinds: vec![EventKind::Restart, EventKind::Deleted],
                            after: last,
                            limit: MISSED,
                            ..EventFilter::default()
                        };
                        let missed = store.events(filter).await.unwrap_or_default();
                        last = missed.first().map(|event| event.id).max(last);
                        missed.iter().rev().for_each(|event| task.count(event));
                    }
                    Err(RecvError::Closed) => return,
                }
            }
        };
        tasks.spawn("restart counts", async move {
            cancel.run_until_cancelled(count).await;
        });
        restarts
    }

    fn count(&self, event: &Event) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        match event.kind {
            EventKind::Restart => {
                let reason = event.data["reason"].as_str().unwrap_or("unknown");
                let key = (
                    event.process.clone(),
                    event.instance.unwrap_or(0),
                    reason.to_owned(),
                );
                *counts.entry(key).or_default() += 1;
            }
            EventKind::Deleted => counts.retain(|(process, ..), _| *process != event.process),
            _ => {}
        }
    }

    /// Restarts since the daemon began, by process, instance and reason.
    pub(super) fn counts(&self) -> Counts {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.clone()
    }
}
