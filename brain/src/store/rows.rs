//! What is kept in `brain/history.db`, as types.
//!
//! Words of the policy (risk, gate) are texts here: they belong to `agent`, and the brain
//! only keeps them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use supervisor::{ProcessName, Role};

use crate::action::Action;
use crate::incident::{
    Evidence, Fingerprint, Incident, IncidentId, IncidentState, Symptom, SymptomKind,
};
use crate::proposal::{Plan, PlaybookId};

/// An incident that has no id yet.
#[derive(Debug, Clone, PartialEq)]
pub struct NewIncident {
    /// The process it is about.
    pub process: ProcessName,
    /// When its first symptom was seen.
    pub opened: Timestamp,
    /// Where it stands: `suspected` or `open`.
    pub state: IncidentState,
    /// Its symptoms, oldest first; at least one.
    pub symptoms: Vec<Symptom>,
    /// What illness it is.
    pub fingerprint: Option<Fingerprint>,
    /// A line for people.
    pub title: String,
}

/// An incident with what was found out about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredIncident {
    /// The incident.
    pub incident: Incident,
    /// What it began with: an event name or `tick`.
    pub trigger: SymptomKind,
    /// The root cause in words, once there is a proposal.
    pub cause: Option<String>,
    /// How sure the brain is, 0 to 1.
    pub confidence: Option<f64>,
    /// What the cause rests on.
    pub evidence: Vec<Evidence>,
    /// The playbook whose proposal counts.
    pub playbook: Option<PlaybookId>,
    /// A person was told to look.
    pub escalated: bool,
    /// How it ended, in a word or two: `recovered`, `verified`, `failed`, `escalated`.
    pub outcome: Option<String>,
}

/// A process that suffered from the cause of an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Victim {
    /// The process.
    pub process: ProcessName,
    /// Its own incident, which is part of the other one.
    pub incident: String,
    /// What it began with.
    pub trigger: String,
    /// When its first symptom was seen.
    pub since: Timestamp,
}

/// One line of an incident's story: `brain explain` reads them in order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IncidentStep {
    /// The incident.
    pub incident: IncidentId,
    /// When.
    pub at: Timestamp,
    /// What kind: `opened`, `diagnosed`, `gate`, `asked`, `acted`, `verified`, `closed`, …
    pub kind: String,
    /// Details.
    pub data: Value,
}

/// The row of an action. It is written before the action runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewAction {
    /// For which incident; none for actions of people.
    pub incident: Option<IncidentId>,
    /// On which process.
    pub process: ProcessName,
    /// When.
    pub at: Timestamp,
    /// Who acts: `playbook:error-storm`, `agent`, `cli:ana`.
    pub actor: String,
    /// The playbook it comes from.
    pub playbook: Option<PlaybookId>,
    /// What.
    pub action: Action,
    /// Its risk class.
    pub risk: String,
    /// What the gate said: `run`, `ask`, `refuse: …`.
    pub gate: String,
    /// The approval it runs under; none means that no person was asked.
    pub approval: Option<String>,
}

/// The id of an action row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ActionId(pub i64);

/// An action as it was recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredAction {
    /// Its id.
    pub id: ActionId,
    /// What was written before it ran.
    #[serde(flatten)]
    pub action: NewAction,
    /// What the call said: `done`, `failed: …`, `proposed`, `denied`; none while it runs.
    pub result: Option<String>,
    /// What the measurement said: `success`, `failed`, `partial`, `unknown`.
    pub outcome: Option<String>,
}

/// Where an approval stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalState {
    /// Waiting for a person.
    Pending,
    /// A person said yes.
    Approved,
    /// A person said no.
    Denied,
    /// Nobody answered: that is a no.
    Expired,
    /// The world changed: the plan no longer fits.
    Superseded,
    /// It was approved and its plan ran well.
    Done,
    /// It was approved and its plan failed.
    Failed,
}

impl ApprovalState {
    /// As in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            ApprovalState::Pending => "pending",
            ApprovalState::Approved => "approved",
            ApprovalState::Denied => "denied",
            ApprovalState::Expired => "expired",
            ApprovalState::Superseded => "superseded",
            ApprovalState::Done => "done",
            ApprovalState::Failed => "failed",
        }
    }
}

/// A question to people, bound to one exact plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    /// Six characters of base32.
    pub id: String,
    /// The incident it belongs to.
    pub incident: IncidentId,
    /// The process the plan is about.
    pub process: ProcessName,
    /// The playbook the plan comes from.
    pub playbook: PlaybookId,
    /// What would be done.
    pub plan: Plan,
    /// Digest of the plan: an answer to another plan does not count.
    pub digest: String,
    /// The highest risk of its steps.
    pub risk: String,
    /// Why it should be done.
    pub reason: String,
    /// What must still hold when somebody says yes: state, generations.
    pub preconditions: Value,
    /// When it was asked.
    pub created: Timestamp,
    /// When silence becomes a no.
    pub expires: Timestamp,
    /// When people are reminded of it; none once they were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remind: Option<Timestamp>,
    /// Where it stands.
    pub state: ApprovalState,
    /// Who decided.
    pub decided_by: Option<String>,
    /// When it was decided.
    pub decided_at: Option<Timestamp>,
    /// How many different people must say yes.
    #[serde(default = "one")]
    pub wanted: u8,
    /// Who said yes so far, oldest first.
    #[serde(default)]
    pub votes: Vec<Vote>,
    /// Who said yes and could not say it any more when the next one did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lapsed: Vec<Vote>,
    /// Which text of the playbook made the plan; none when it is of no playbook.
    #[serde(default)]
    pub version: Option<String>,
}

/// Of rows of a version that asked one person only.
fn one() -> u8 {
    1
}

/// A yes to a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// Who they are, whichever way they came: the same person counts once.
    pub person: String,
    /// Who, with the way: as in the audit log.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// What came of a yes.
#[derive(Debug, Clone, PartialEq)]
pub enum Voted {
    /// It was the last one that was needed; the row as it is now.
    Decided(Box<Approval>),
    /// It counts, and more are needed.
    Counted(Box<Approval>),
    /// The same person said yes before.
    Repeated(Box<Approval>),
    /// It was decided before, or its time is up.
    Lost(Box<Approval>),
    /// There is no such approval.
    Unknown,
}

/// Leave that a person gave in advance: this playbook may act on this process without asking,
/// until the grant ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Six characters of base32.
    pub id: String,
    /// The playbook.
    pub playbook: PlaybookId,
    /// Which text of it: an edited playbook needs a new grant.
    pub version: String,
    /// The process.
    pub process: ProcessName,
    /// The highest risk that it covers: `low` or `high`.
    pub risk: String,
    /// Who gave it, as in the audit log.
    pub by: String,
    /// The role they had, with which the plans run.
    pub role: Role,
    /// When.
    pub created: Timestamp,
    /// When it ends by itself.
    pub ends: Timestamp,
    /// When somebody took it back.
    #[serde(default)]
    pub revoked: Option<Timestamp>,
    /// Who.
    #[serde(default)]
    pub revoked_by: Option<String>,
    /// How many plans ran by it.
    #[serde(default)]
    pub uses: u32,
    /// When the last one did.
    #[serde(default)]
    pub last_used: Option<Timestamp>,
}

impl Grant {
    /// Does it hold?
    pub fn in_force(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && self.ends > now
    }
}

/// What compare-and-set on an approval answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// This call decided; the row as it is now.
    Won(Box<Approval>),
    /// Somebody was faster, or the state does not allow it; the row as it is.
    Lost(Box<Approval>),
    /// There is no such approval.
    Unknown,
}

/// How much was done without a person in the asked window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BudgetUse {
    /// State-changing actions on all processes.
    pub all: u32,
    /// Those on the asked process.
    pub process: u32,
    /// State-changing actions that failed in a row, newest first, whoever asked for them.
    pub failed_in_a_row: u32,
}

/// When a playbook ran on a process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlaybookRun {
    /// The playbook.
    pub playbook: PlaybookId,
    /// When it last ran.
    pub last: Timestamp,
    /// How often it ran in the last hour.
    pub last_hour: u32,
}

/// What became of a playbook's runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlaybookStats {
    /// The playbook.
    pub playbook: PlaybookId,
    /// Runs.
    pub runs: u64,
    /// Runs that were verified.
    pub ok: u64,
    /// Runs that did not help.
    pub failed: u64,
    /// Failed runs in a row, newest first.
    pub failed_in_a_row: u64,
    /// When it last ran.
    pub last: Option<Timestamp>,
}

/// A line of `mhost brain history`: an incident and what was done about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryRow {
    /// `inc-<n>`; the same text as `incident`.
    pub id: String,
    /// When the incident was opened.
    pub ts: Timestamp,
    /// The process.
    pub process: ProcessName,
    /// What it began with.
    pub trigger: String,
    /// The playbook.
    pub playbook: Option<PlaybookId>,
    /// Who suffered from it.
    pub victims: Vec<Victim>,
    /// The incident of its cause, when it is a victim's.
    pub merged_into: Option<String>,
    /// Names of the actions that ran, or that a person is being asked for.
    pub actions: Vec<String>,
    /// What the last action said, or where the incident stands.
    pub result: String,
    /// Whether it helped.
    pub outcome: Option<String>,
    /// Who acted last; `brain` if nothing was done.
    pub by: String,
    /// A person was told to look.
    pub escalated: bool,
    /// The incident.
    pub incident: String,
    /// The root cause in words.
    pub cause: Option<String>,
    /// Which illness it is, in words.
    #[serde(default)]
    pub illness: Option<String>,
    /// Where the incident stands.
    pub state: IncidentState,
    /// When it ended.
    pub closed: Option<Timestamp>,
    /// How long it took to decide what to do, in milliseconds.
    pub decided_ms: Option<f64>,
}

/// Which rows of the history are wanted. Newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HistoryFilter {
    /// Only this process.
    pub process: Option<ProcessName>,
    /// Only from this time on.
    pub since: Option<Timestamp>,
    /// At most this many; 0 is 100.
    pub limit: u32,
}

/// How often an action came to an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionCount {
    /// Its name.
    pub action: String,
    /// What the gate said: `run`, `ask`, `refuse`.
    pub gate: String,
    /// What the measurement said.
    pub outcome: String,
    /// How often.
    pub count: u64,
}
