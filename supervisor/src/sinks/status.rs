//! What is known of each sink: counters and the last thing that went wrong.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::SinkType;

/// How a sink is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SinkState {
    /// Nothing was sent yet.
    Idle,
    /// The last batch was taken.
    Up,
    /// The last try failed; it is tried again.
    Down,
    /// The settings switch it off.
    Off,
}

/// One sink. The counters are since the start of the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkStatus {
    /// As in the settings.
    pub name: String,
    /// What it speaks.
    #[serde(rename = "type")]
    pub kind: SinkType,
    /// How it is.
    pub state: SinkState,
    /// Lines that the server took.
    pub sent: u64,
    /// Lines that wait, those of the batch in work included.
    pub queued: u64,
    /// Lines that will not be sent: too many waited, or the server refused them.
    pub dropped: u64,
    /// Those of `dropped` that the server refused; they are in the dead-letter file.
    pub rejected: u64,
    /// Tries that failed.
    pub failures: u64,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When.
    pub last_error_at: Option<Timestamp>,
    /// When the server last took something.
    pub last_sent_at: Option<Timestamp>,
}

/// The status of a sink as its runner keeps it. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Shown {
    inner: Arc<Mutex<SinkStatus>>,
}

impl Shown {
    pub(super) fn new(name: &str, kind: SinkType) -> Self {
        Self {
            inner: Arc::new(Mutex::new(SinkStatus {
                name: name.to_owned(),
                kind,
                state: SinkState::Idle,
                sent: 0,
                queued: 0,
                dropped: 0,
                rejected: 0,
                failures: 0,
                last_error: None,
                last_error_at: None,
                last_sent_at: None,
            })),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, SinkStatus> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
