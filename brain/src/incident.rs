//! Symptoms of one cause, and what becomes of them.
//!
//! Every incident has a subject, the process it is about. How one moves is drawn and decided in
//! `machine`; what an event means for it in `observe`; whose incident a sign belongs to, where
//! processes depend on each other, in `group`.

pub mod fingerprint;
pub mod group;
mod machine;
mod observe;

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use supervisor::ProcessName;

pub use machine::{IllegalInput, IncidentInput, step};
pub use observe::{Seen, observe, symptom};

/// The id of an incident: `inc-` and a number that rises with time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IncidentId(pub i64);

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "inc-{}", self.0)
    }
}

/// One sign in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SymptomKind {
    /// A run died.
    Crash,
    /// It could not be started.
    SpawnFailed,
    /// The supervisor gave up, or somebody holds it.
    Errored,
    /// A probe failed as often as it may.
    HealthFail,
    /// A probe passes again.
    HealthRecover,
    /// Resident memory passed the limit.
    MemoryExceeded,
    /// Seen on a slow look: nothing happened, but something is wrong for a while.
    Tick,
    /// The health score is very low.
    Score,
    /// A first sign, of which nothing follows yet: a probe that failed once or answers far too
    /// late, errors that begin, a limit that comes near.
    Sign,
}

impl SymptomKind {
    /// The event name that playbooks list under `on`.
    pub fn as_str(self) -> &'static str {
        match self {
            SymptomKind::Crash => "crash",
            SymptomKind::SpawnFailed => "spawn_failed",
            SymptomKind::Errored => "errored",
            SymptomKind::HealthFail => "health_fail",
            SymptomKind::HealthRecover => "health_recover",
            SymptomKind::MemoryExceeded => "memory_exceeded",
            SymptomKind::Tick => "tick",
            SymptomKind::Score => "score",
            SymptomKind::Sign => "sign",
        }
    }
}

/// One sign.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Symptom {
    /// What kind.
    pub kind: SymptomKind,
    /// When.
    pub at: Timestamp,
    /// The copy it was seen on.
    pub instance: Option<u16>,
    /// The event row, where there is one.
    pub event: Option<i64>,
    /// The event's data.
    pub data: Value,
}

/// Something a claim rests on. The id exists: `event:812`, `log:<id>`, `metric:rss`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Where it can be looked up.
    pub id: String,
    /// What it says.
    pub text: String,
}

/// Equal fingerprints mean the same illness.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fingerprint {
    /// 64-bit hash as 16 hexadecimal digits. Stable over versions.
    pub hash: String,
    /// What was hashed, for people: `crash · exit 1 · Error: Cannot find module <str>`.
    pub readable: String,
}

/// Where an incident stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentState {
    /// There is a sign and no proof yet.
    Suspected,
    /// Seen.
    Open,
    /// Being thought about.
    Diagnosing,
    /// There is a plan.
    Planned,
    /// A person is asked.
    AwaitingApproval,
    /// The plan runs.
    Acting,
    /// The plan ran; whether it helped is measured.
    Verifying,
    /// The trouble is gone.
    Resolved,
    /// A person has it.
    Escalated,
    /// Part of the incident of its cause.
    Merged,
    /// Over.
    Closed,
}

/// Symptoms of one cause on one process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Its id.
    pub id: IncidentId,
    /// The process it is about.
    pub process: ProcessName,
    /// When its first symptom was seen.
    pub opened: Timestamp,
    /// When it ended.
    pub closed: Option<Timestamp>,
    /// Where it stands.
    pub state: IncidentState,
    /// Its symptoms, oldest first.
    pub symptoms: Vec<Symptom>,
    /// What illness it is.
    pub fingerprint: Option<Fingerprint>,
    /// A line for people.
    pub title: String,
    /// The incident of the process that is the cause of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<IncidentId>,
}
