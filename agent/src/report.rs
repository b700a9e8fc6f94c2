//! What is told about incidents: the shapes of `--json`.

mod question;
mod remembered;

use brain::{
    BrainStoreError, Evidence, HistoryFilter, HistoryRow, IncidentId, IncidentState, PlaybookId,
    StoredAction, StoredIncident, SymptomKind, Victim,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use supervisor::ProcessName;
use supervisor::config::ThinkWhen;

pub use question::{Question, Voter, question};
pub use remembered::Remembered;
pub(crate) use remembered::remembered;

use crate::policy::Autonomy;
use crate::settings::Approvals;
use crate::shared::{Shared, stored};

type Result<T> = std::result::Result<T, BrainStoreError>;

/// One action of an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Act {
    /// When it was begun.
    pub ts: Timestamp,
    /// Its name.
    pub action: String,
    /// The process.
    pub target: ProcessName,
    /// `done`, `failed: …`, `pending`, `denied: …`, `refused: …`, `skipped: …`.
    pub result: String,
    /// What the measurement said.
    pub outcome: Option<String>,
    /// Who acted or would have.
    pub by: String,
    /// Its risk class.
    pub risk: String,
    /// What the gate said.
    pub gate: String,
    /// The approval it waits for or ran under.
    pub approval: Option<String>,
    /// Its arguments.
    pub args: Value,
}

/// One line of `mhost brain history`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its id, that of the incident.
    pub id: String,
    /// When the incident was opened.
    pub ts: Timestamp,
    /// The process.
    pub process: ProcessName,
    /// What it began with.
    pub trigger: String,
    /// The playbook.
    pub playbook: Option<PlaybookId>,
    /// What was done, or is asked for.
    pub actions: Vec<Act>,
    /// What the last action said, or where the incident stands.
    pub result: String,
    /// How it ended.
    pub outcome: Option<String>,
    /// Who acted last.
    pub by: String,
    /// A person was told to take over.
    pub escalated: bool,
    /// The incident.
    pub incident: String,
    /// Where it stands.
    pub state: IncidentState,
    /// The root cause in words.
    pub cause: Option<String>,
    /// When it ended.
    pub closed: Option<Timestamp>,
    /// How long it took to decide what to do, in milliseconds.
    pub decided_ms: Option<f64>,
    /// Who suffered from it.
    #[serde(default)]
    pub victims: Vec<Victim>,
    /// The incident of its cause, when it is a victim's.
    #[serde(default)]
    pub merged_into: Option<String>,
}

/// One line of an incident's story.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// When.
    pub ts: Timestamp,
    /// `opened`, `diagnosed`, `gate`, `asked`, `voted`, `answered`, `acted`, `verified`, `undone`, `next`,
    /// `merged`, `victim`, `released`, `reopened`, `returned`.
    pub kind: String,
    /// Details.
    pub data: Value,
}

/// All that is known of an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// The incident.
    pub incident: String,
    /// The process.
    pub process: ProcessName,
    /// A line for people.
    pub title: String,
    /// What it began with.
    pub trigger: SymptomKind,
    /// When.
    pub opened: Timestamp,
    /// When it ended.
    pub closed: Option<Timestamp>,
    /// Where it stands.
    pub state: IncidentState,
    /// Which illness it is, in words.
    pub fingerprint: Option<String>,
    /// The root cause.
    pub root_cause: Option<String>,
    /// How sure the brain is.
    pub confidence: Option<f64>,
    /// What that rests on.
    pub evidence: Vec<Evidence>,
    /// The playbook.
    pub playbook: Option<PlaybookId>,
    /// What was done.
    pub actions: Vec<Act>,
    /// Who suffered from it.
    #[serde(default)]
    pub victims: Vec<Victim>,
    /// The incident of its cause, when it is a victim's.
    #[serde(default)]
    pub merged_into: Option<String>,
    /// What happened, in order.
    pub story: Vec<Told>,
    /// How it ended.
    pub outcome: Option<String>,
    /// A person was told to take over.
    pub escalated: bool,
    /// The leave in advance by which the last plan ran, if it was one.
    #[serde(default)]
    pub grant: Option<ByGrant>,
}

/// Leave in advance by which a plan ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByGrant {
    /// The grant.
    pub id: String,
    /// Who gave it.
    pub by: String,
    /// When it ends by itself.
    pub until: Timestamp,
}

impl ByGrant {
    /// `ran by grant k3v9qa of cli:ana, until 2026-12-06 14:32 UTC`.
    pub fn words(&self) -> String {
        format!(
            "ran by {}",
            crate::grant::words(&self.id, &self.by, self.until)
        )
    }
}

/// What may still be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Actions of the last hour without a person.
    pub used: u32,
    /// How many there may be.
    pub max: u32,
    /// How many on one process.
    pub max_per_process: u32,
    /// Failed ones in a row.
    pub failed_in_a_row: u32,
}

/// What came of asking a model about all processes, since the daemon started.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Thinking {
    /// `[agent] think_when`.
    pub when: ThinkWhen,
    /// Answers.
    pub answers: u64,
    /// Those that had something to do.
    pub plans: u64,
    /// When the last question ended.
    pub last: Option<Timestamp>,
    /// Why that one has no answer.
    pub why_not: Option<String>,
}

/// `mhost agent status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Does the agent's own level hold?
    pub enabled: bool,
    /// Somebody pulled the brake: nothing is done.
    pub stopped: bool,
    /// The level that holds for playbooks without their own.
    pub level: Autonomy,
    /// `[agent] autonomy`.
    pub agent_level: Autonomy,
    /// `[brain] autonomy`.
    pub brain_level: Autonomy,
    /// Time between two slow looks.
    pub poll_interval_ms: u64,
    /// When the last one ended.
    pub last_round: Option<Timestamp>,
    /// When a model is asked, and what came of asking at each look.
    #[serde(default)]
    pub thinking: Thinking,
    /// The hour's budget.
    pub budget: Budget,
    /// Incidents that are not over.
    pub open_incidents: usize,
    /// Open questions.
    pub pending: Vec<Question>,
    /// Nothing is done unasked before this time.
    pub paused_until: Option<Timestamp>,
    /// Why.
    pub paused_why: Option<String>,
    /// Only these people may answer; everybody with the role when empty.
    #[serde(default)]
    pub approvers: Vec<String>,
    /// How many of them must say yes.
    #[serde(default)]
    pub approvals: Approvals,
}

/// An action in a few words: `scale_up 1`, `wait 5s`, `set_limit max_memory 150MB`.
pub fn describe(action: &brain::Action) -> String {
    use brain::Action as A;
    let name = action.name();
    match action {
        A::Restart { instance: Some(i) } | A::KillRestart { instance: Some(i) } => {
            format!("{name} copy {i}")
        }
        A::ScaleUp { by } | A::ScaleDown { by } => format!("{name} {by}"),
        A::SetLimit { key, value } => format!("{name} {key} {value}"),
        A::Wait(time) => format!("{name} {}", supervisor::units::format_duration(*time)),
        _ => name.to_owned(),
    }
}

fn act(row: StoredAction) -> Act {
    Act {
        args: args(&row.action.action),
        ts: row.action.at,
        action: row.action.action.name().to_owned(),
        target: row.action.process,
        result: match row.result.as_deref() {
            None => "running".into(),
            Some("proposed") => "pending".into(),
            Some(result) => result.to_owned(),
        },
        outcome: row.outcome,
        by: row.action.actor,
        risk: row.action.risk,
        gate: row.action.gate,
        approval: row.action.approval,
    }
}

/// What an action is called with.
fn args(action: &brain::Action) -> Value {
    let mut args = serde_json::json!(action);
    if let Some(map) = args.as_object_mut() {
        map.remove("action");
    }
    args
}

async fn acts(shared: &Shared, incident: IncidentId) -> Result<Vec<Act>> {
    let rows = stored(shared.store.actions(incident)).await?;
    Ok(rows
        .into_iter()
        // What was approved has a second row: the one that ran.
        .filter(|row| row.result.as_deref() != Some("approved"))
        .map(act)
        .collect())
}

/// Lines of the history, newest first.
pub(crate) async fn history(shared: &Shared, filter: HistoryFilter) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for row in stored(shared.store.history(filter)).await? {
        let id = row
            .incident
            .strip_prefix("inc-")
            .and_then(|id| id.parse().ok())
            .map(IncidentId);
        let actions = match id {
            Some(id) => acts(shared, id).await?,
            None => Vec::new(),
        };
        entries.push(entry(row, actions));
    }
    Ok(entries)
}

/// What is done about an incident before anything else is: it is watched.
fn watched(row: &HistoryRow) -> Act {
    Act {
        ts: row.ts,
        action: "observe".into(),
        target: row.process.clone(),
        result: "done".into(),
        outcome: None,
        by: "brain".into(),
        risk: "none".into(),
        gate: "run".into(),
        approval: None,
        args: serde_json::json!({}),
    }
}

fn entry(row: HistoryRow, mut actions: Vec<Act>) -> Entry {
    if actions.is_empty() {
        actions.push(watched(&row));
    }
    Entry {
        result: actions
            .last()
            .map_or(row.result, |action| action.result.clone()),
        id: row.id,
        ts: row.ts,
        process: row.process,
        trigger: row.trigger,
        playbook: row.playbook,
        actions,
        outcome: row.outcome,
        by: row.by,
        escalated: row.escalated,
        incident: row.incident,
        state: row.state,
        cause: row.cause,
        closed: row.closed,
        decided_ms: row.decided_ms,
        victims: row.victims,
        merged_into: row.merged_into,
    }
}

pub(crate) async fn explain_incident(
    shared: &Shared,
    id: IncidentId,
) -> Result<Option<Explanation>> {
    match stored(shared.store.incident(id)).await? {
        Some(row) => explain(shared, row).await.map(Some),
        None => Ok(None),
    }
}

pub(crate) async fn explain_process(
    shared: &Shared,
    process: ProcessName,
) -> Result<Option<Explanation>> {
    let newest = stored(shared.store.latest_incidents(Some(process), 1)).await?;
    let Some(row) = newest.into_iter().next() else {
        return Ok(None);
    };
    // What a victim has to tell is the story of its cause.
    if let Some(cause) = row.incident.cause
        && let Some(cause) = stored(shared.store.incident(cause)).await?
    {
        return explain(shared, cause).await.map(Some);
    }
    explain(shared, row).await.map(Some)
}

pub(crate) async fn explain_crash(shared: &Shared) -> Result<Option<Explanation>> {
    let latest = stored(shared.store.latest_incidents(None, 100)).await?;
    let crash = latest
        .into_iter()
        .find(|row| row.trigger == SymptomKind::Crash);
    match crash {
        Some(row) => explain(shared, row).await.map(Some),
        None => Ok(None),
    }
}

async fn explain(shared: &Shared, row: StoredIncident) -> Result<Explanation> {
    let id = row.incident.id;
    let story = stored(shared.store.steps(id)).await?;
    let gate = story.iter().rev().find(|step| step.kind == "gate");
    let grant = gate.and_then(|step| serde_json::from_value(step.data["grant"].clone()).ok());
    Ok(Explanation {
        grant,
        actions: acts(shared, id).await?,
        victims: stored(shared.store.victims(id)).await?,
        merged_into: row.incident.cause.map(|cause| cause.to_string()),
        incident: id.to_string(),
        process: row.incident.process,
        title: row.incident.title,
        trigger: row.trigger,
        opened: row.incident.opened,
        closed: row.incident.closed,
        state: row.incident.state,
        fingerprint: row.incident.fingerprint.map(|print| print.readable),
        root_cause: row.cause,
        confidence: row.confidence,
        evidence: row.evidence,
        playbook: row.playbook,
        story: story
            .into_iter()
            .map(|step| Told {
                ts: step.at,
                kind: step.kind,
                data: step.data,
            })
            .collect(),
        outcome: row.outcome,
        escalated: row.escalated,
    })
}
