//! The bus: says that an event exists.
//!
//! A broadcast of recorded events. It may drop for a slow subscriber, the `events` table may
//! not: whoever lags reads what it missed from there, by the last id it saw.

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::event::Event;

/// Events a subscriber may lag behind before it has to read the table.
const CAPACITY: usize = 1024;

/// A clonable sender of recorded events.
#[derive(Debug, Clone)]
pub struct Bus {
    sender: broadcast::Sender<Arc<Event>>,
}

impl Bus {
    /// A bus that nobody listens to yet.
    pub fn new() -> Self {
        Self {
            sender: broadcast::channel(CAPACITY).0,
        }
    }

    /// Tells the subscribers. Nobody listening is no error.
    pub fn publish(&self, event: Event) {
        let _ = self.sender.send(Arc::new(event));
    }

    /// Hears everything that is published from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Event>> {
        self.sender.subscribe()
    }
}

impl Default for Bus {
    fn default() -> Self {
        Self::new()
    }
}
