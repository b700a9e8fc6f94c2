//! Past facts. Each is a row in `events` first and a message on the bus second.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::{EventId, ProcessName};

/// What happened. The names are those of `mhost history` and of the JSON output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A run was spawned. Data: `pid`, `generation`.
    Start,
    /// The run is up: probes pass, or it has lived long enough. Data: `pid`.
    Online,
    /// A stop was begun. Data: `pid`, `reason`.
    Stopping,
    /// The run that was asked to stop is gone. Data: `code`, `signal`.
    Stop,
    /// The program ended by itself with exit code 0. Data: `code`, `uptime_ms`.
    Exited,
    /// The program died. Data: `code`, `signal`, `uptime_ms`, `last_lines` (up to 20 of stderr).
    Crash,
    /// It will not be retried, or failed to come up. Data: `reason`
    /// (`max_restarts`, `held`, `spawn_failed`, `start_timeout`, `probe`, `no_autorestart`), `error`.
    Errored,
    /// The executable could not be started. Data: `error`, `stage`.
    SpawnFailed,
    /// A new run follows an old one. Data: `reason`
    /// (`crash`, `manual`, `memory`, `cron`, `watch`, `reload`, `probe`, `brain`, `agent`).
    Restart,
    /// A probe that passed failed once, or is far later than usual. Nothing follows from it
    /// yet. Data: `probe`, `error`.
    HealthMiss,
    /// A probe failed `retries` times in a row. Data: `probe`, `error`, `failures`.
    HealthFail,
    /// It passes again. Data: `probe`, `failures`, `downtime_ms`.
    HealthRecover,
    /// Resident memory of the tree is over `max_memory`. Data: `rss`, `limit`.
    MemoryExceeded,
    /// A reload began. Data: `mode`.
    ReloadStarted,
    /// A reload ended well. Data: `generation`.
    ReloadDone,
    /// A reload failed; what it had not renewed yet was kept. Data: `error`.
    ReloadFailed,
    /// The number of instances changed. Data: `from`, `to`.
    Scaled,
    /// A daemon took over a run it had not started. Data: `pid`.
    Adopted,
    /// A dependency did not come up, so this was not started. Data: `dependency`.
    DependencyFailed,
    /// The definition changed. Data: `keys`.
    ConfigChanged,
    /// The process was removed.
    Deleted,
    /// The error state was cleared and counters were reset.
    Cleared,
    /// The health score fell below a threshold; told once until it has recovered.
    /// Data: `score`, `below`, and its parts.
    HealthScoreLow,
    /// A line of a kind that the process had never printed before. Data: `pattern` with `<*>`
    /// for values, `template`, `level`, and `skipped`: how many such were not recorded.
    NewPattern,
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = serde_json::to_value(self).map_err(|_| fmt::Error)?;
        f.pad(value.as_str().unwrap_or_default())
    }
}

/// A fact that has been recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Row id: rises with time.
    pub id: EventId,
    /// When it happened.
    pub at: Timestamp,
    /// The process it is about.
    pub process: ProcessName,
    /// The instance, if it is about one.
    pub instance: Option<u16>,
    /// What happened.
    pub kind: EventKind,
    /// Details; the keys are listed at each kind.
    pub data: Value,
    /// Who caused it: `cli:ana`, `brain:rapid-crash`, `system`.
    pub actor: String,
}

/// A fact that is about to be recorded: an [`Event`] without its id.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// When it happened.
    pub at: Timestamp,
    /// The process it is about.
    pub process: ProcessName,
    /// The instance, if it is about one.
    pub instance: Option<u16>,
    /// What happened.
    pub kind: EventKind,
    /// Details.
    pub data: Value,
    /// Who caused it.
    pub actor: String,
}

impl NewEvent {
    /// The event with the id its row was given.
    pub fn with_id(self, id: EventId) -> Event {
        let NewEvent {
            at,
            process,
            instance,
            kind,
            data,
            actor,
        } = self;
        Event {
            id,
            at,
            process,
            instance,
            kind,
            data,
            actor,
        }
    }
}
