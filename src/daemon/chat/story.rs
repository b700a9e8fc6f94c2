//! From the agent's incidents to the messages about them.
//!
//! The agent says only that more is known of an incident; what, is read here, and at most once
//! a second for each, so that one that moves quickly is not a message for every step.
//!
//! What happened while nobody could be told is caught up on when the chats are connected, and
//! whenever their settings change: messages that are not known to be at their end are looked at
//! again.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agent::{Explanation, Question};
use brain::{IncidentId, IncidentState};
use chat::thread::{Incident, Phase, Threads};
use supervisor::ControlError;
use tokio::sync::Notify;

use super::desk::{self, GateDesk};

/// Incidents that may wait to be told: more than there can be in the time that is gathered.
const WAITING: usize = 100_000;
/// What ended so long ago or less is told when the chats are connected.
const RECENT: Duration = Duration::from_secs(600);
/// Changes within this time are told at once.
const GATHER: Duration = Duration::from_millis(700);

/// The end that the chats have.
pub(crate) struct Teller(Hears);

/// The end that the agent has.
#[derive(Clone, Default)]
pub(crate) struct Hears(Arc<News>);

/// What the agent says. What is known, is looked up.
#[derive(Default)]
struct News {
    told: Mutex<Told>,
    came: Notify,
}

#[derive(Default)]
struct Told {
    /// More is known of these incidents.
    changed: BTreeSet<IncidentId>,
    /// Their questions still wait.
    waiting: BTreeSet<IncidentId>,
    /// Somebody listens.
    heard: bool,
}

impl Teller {
    pub(crate) fn new() -> Self {
        Self(Hears::default())
    }

    /// Listens from now on. What happened before anybody wanted to hear of it is not told.
    pub(super) fn listen(&self) {
        *self.0.told() = Told {
            heard: true,
            ..Told::default()
        };
    }

    /// For the agent, and for whoever wants something told again.
    pub(crate) fn hears(&self) -> Hears {
        self.0.clone()
    }
}

impl Hears {
    /// More is known of it. Never waits.
    pub(crate) fn changed(&self, incident: IncidentId) {
        self.add(|told| &mut told.changed, incident);
    }

    /// Its question still waits.
    pub(crate) fn remind(&self, incident: IncidentId) {
        self.add(|told| &mut told.waiting, incident);
    }

    fn add(&self, which: impl Fn(&mut Told) -> &mut BTreeSet<IncidentId>, incident: IncidentId) {
        let mut told = self.told();
        if told.heard && which(&mut told).len() < WAITING {
            which(&mut told).insert(incident);
            drop(told);
            self.0.came.notify_one();
        }
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.0.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has everything looked at again that may have changed while nobody could be told: messages
/// that are not known to be at their end, and what is wrong now.
pub(super) async fn catch_up(hears: &Hears, desk: &GateDesk, threads: &Threads) {
    let mut ids = threads.unfinished().await;
    ids.extend(desk.open_incidents(RECENT).await);
    for id in ids {
        if let Some(id) = id.strip_prefix("inc-").and_then(|id| id.parse().ok()) {
            hears.changed(IncidentId(id));
        }
    }
}

/// Tells incidents for ever.
pub(super) async fn tell(teller: &Teller, desk: &GateDesk, threads: &Threads) {
    let hears = teller.hears();
    loop {
        teller.0.0.came.notified().await;
        tokio::time::sleep(GATHER).await;
        let (changed, waiting) = {
            let mut told = teller.0.told();
            let changed = std::mem::take(&mut told.changed);
            (changed, std::mem::take(&mut told.waiting))
        };
        if changed.is_empty() && waiting.is_empty() {
            continue;
        }
        for id in changed {
            match known(desk, id).await {
                Ok(Some(incident)) => threads.update(&incident),
                Ok(None) => {}
                Err(ControlError::NotFound { .. }) => threads.forget(&id.to_string()).await,
                Err(error) => {
                    tracing::debug!(%error, incident = %id, "It is told later.");
                    hears.changed(id);
                }
            }
        }
        for id in waiting {
            match known(desk, id).await {
                Ok(Some(incident)) => threads.remind(&incident),
                Ok(None) | Err(ControlError::NotFound { .. }) => {}
                Err(_) => hears.remind(id),
            }
        }
    }
}

/// What is known of it; none while there is only a suspicion.
/// Without its question its message would lose its buttons, so that has to be known, too.
async fn known(desk: &GateDesk, id: IncidentId) -> Result<Option<Incident>, ControlError> {
    let told = desk.explain(&id.to_string()).await?;
    let questions = desk.asked(&told.incident).await?;
    Ok(incident(told, questions.into_iter().find(is_telling)))
}

/// One that another plan replaced says nothing.
fn is_telling(question: &Question) -> bool {
    question.state != "superseded"
}

fn incident(told: Explanation, question: Option<Question>) -> Option<Incident> {
    let phase = match told.state {
        IncidentState::Suspected => return None,
        IncidentState::Merged => Phase::Joined,
        IncidentState::Open | IncidentState::Diagnosing if told.root_cause.is_some() => {
            Phase::Cause
        }
        IncidentState::Open | IncidentState::Diagnosing => Phase::Seen,
        IncidentState::Planned => Phase::Plan,
        IncidentState::AwaitingApproval => Phase::Asked,
        IncidentState::Acting => Phase::Acting,
        IncidentState::Verifying => Phase::Verifying,
        IncidentState::Escalated => Phase::Handed,
        IncidentState::Resolved => Phase::Healed,
        IncidentState::Closed if told.escalated => Phase::Handed,
        IncidentState::Closed => Phase::Healed,
    };
    let outcome = match (phase, told.outcome.as_deref()) {
        (Phase::Healed, Some("success")) => Some("measured: it helped".to_owned()),
        (_, Some("failed")) => Some("measured: it did not help".to_owned()),
        (_, Some("denied")) => Some("it was not done".to_owned()),
        (Phase::Joined, _) => told
            .merged_into
            .as_ref()
            .map(|cause| format!("its cause is {cause}, which is told by itself")),
        _ => None,
    };
    // What only waits or tells is no act that people look for.
    let acts = told.actions.iter().filter(|act| {
        !matches!(act.action.as_str(), "wait" | "notify" | "log_incident")
            && !matches!(act.result.as_str(), "pending")
    });
    Some(Incident {
        actions: acts
            .map(|act| {
                let result = act.outcome.clone().unwrap_or_else(|| act.result.clone());
                (act.action.clone(), result)
            })
            .collect(),
        id: told.incident,
        process: told.process.to_string(),
        title: told.title,
        phase,
        cause: told.root_cause,
        evidence: told.evidence.into_iter().map(|one| one.text).collect(),
        question: question.map(desk::question),
        leave: told.grant.map(|grant| grant.words()),
        outcome,
        victims: told
            .victims
            .iter()
            .map(|one| one.process.to_string())
            .collect(),
        opened: told.opened,
        closed: told.closed,
    })
}
