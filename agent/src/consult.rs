//! Asking a model about an incident for which nobody has a plan.
//!
//! ```text
//!   worker: nobody has a plan ─► consult ─► the loop sends it ─► beside it all, minutes long
//!                                                                  │
//!   worker: answered ◄── when nobody works on the process ◄────────┘
//!      └─► the same gate as every proposal · or a report · or a person has it
//! ```
//!
//! The question holds no lock: signs, playbooks and people go on meanwhile, and what comes of
//! it is put to the incident as it is by then. How often a model is asked about an incident is
//! in `again`. That a person was called is no reason not to ask; that one said no is.

mod again;

use std::sync::Arc;

use brain::{
    Incident, IncidentId, IncidentInput, IncidentState, Plan, PlaybookId, ProcessFacts, Severity,
    is_well,
};
use serde_json::json;
use supervisor::{Caller, ProcessName, Via};

use crate::carry::{Authority, Errand, escalate};
use crate::mind::{Diagnosis, Inquiry};
use crate::policy::Risk;
use crate::shared::{Pending, Shared, stored};
use crate::worker::{Put, Result, decide_late, give_up};
pub(crate) use again::Ailing;
use again::{held_by_a_person, may_ask, stands};

/// The line of an incident's story that holds what became of asking a model.
pub(crate) const MODEL: &str = "model";
/// From this confidence on the knowledge base has said what is wrong: nobody else is asked.
const KNOWN: f64 = 0.72;

/// An answer, and what it belongs to.
pub(crate) struct Answered {
    pub(crate) process: ProcessName,
    incident: IncidentId,
    before: ProcessFacts,
    inquiry: Inquiry,
}

impl Answered {
    /// Stands for an answer that never came: what waits for it goes on without.
    pub(crate) fn failed(pending: &Pending, why: &str) -> Self {
        Self {
            process: pending.process.clone(),
            incident: pending.incident,
            before: pending.before.clone(),
            inquiry: Inquiry {
                failed: Some(why.to_owned()),
                ..Inquiry::default()
            },
        }
    }
}

/// Has a model asked, if there is one and there is a reason to. True when it will be.
pub(crate) async fn consult(
    shared: &Arc<Shared>,
    incident: &Incident,
    diagnosis: &Diagnosis,
) -> Result<bool> {
    let process = &incident.process;
    let (settings, switch) = (shared.settings(), shared.switch());
    if !switch.enabled(settings.enabled)
        || switch.stopped()
        || !takes_a_plan(shared, incident).await?
    {
        return Ok(false);
    }
    let seeking = shared.seeks_another(incident.id);
    let known = diagnosis
        .case
        .as_ref()
        .is_some_and(|case| case.is_telling() && case.confidence >= KNOWN);
    if known && !seeking {
        return Ok(false);
    }
    let rows = stored(shared.store.actions(incident.id)).await?;
    // What is well again needs no cure, and what is meant to be down none either.
    let ill = |facts: &ProcessFacts| {
        !is_well(facts) && (facts.wanted || facts.held) && !held_by_a_person(facts, &rows)
    };
    let Some((before, _)) = shared.look(process).await.filter(|(facts, _)| ill(facts)) else {
        return Ok(false);
    };
    let story = stored(shared.store.steps(incident.id)).await?;
    let asked: Vec<_> = story.iter().filter(|line| line.kind == MODEL).collect();
    if !may_ask(&asked, &rows, Ailing::of(&before), seeking) {
        return Ok(false);
    }
    let asking = format!("{MODEL} {}", asked.len());
    if shared.was_tried(incident.id, &asking) {
        // It is under way.
        return Ok(true);
    }
    let mut tried: Vec<String> = rows
        .iter()
        .filter(|row| row.action.action.changes_state() && row.result.as_deref() == Some("done"))
        .map(|row| row.action.action.name().to_owned())
        .collect();
    tried.dedup();
    let Some(answer) = shared
        .mind
        .inquire(incident, diagnosis, &tried, &shared.facts)
    else {
        return Ok(false);
    };
    // Only now: while there is nobody to ask, nothing is under way.
    shared.try_once(incident.id, &asking);
    shared.inquire(Pending {
        process: process.clone(),
        incident: incident.id,
        before,
        answer,
    });
    Ok(true)
}

/// Was nothing done of what a model wanted in this incident, and did nobody say no to it? Then
/// it may want the same again.
pub(crate) async fn came_to_nothing(shared: &Shared, incident: &Incident) -> Result<bool> {
    let rows = stored(shared.store.actions(incident.id)).await?;
    Ok(!rows.iter().any(stands))
}

/// May another plan still be made for an incident? Not while one is under way or asked about,
/// and not after a no.
async fn takes_a_plan(shared: &Arc<Shared>, incident: &Incident) -> Result<bool> {
    let now = shared.open_of(&incident.process);
    match now.filter(|now| now.id == incident.id).map(|now| now.state) {
        Some(IncidentState::Open) => Ok(true),
        Some(IncidentState::Escalated) => {
            let row = stored(shared.store.incident(incident.id)).await?;
            let outcome = row.and_then(|row| row.outcome);
            Ok(!matches!(outcome.as_deref(), Some("denied" | "refused")))
        }
        _ => Ok(false),
    }
}

/// Waits for an answer; few at a time.
pub(crate) async fn wait(shared: Arc<Shared>, pending: Pending) -> Answered {
    let leave = shared.asking.clone().acquire_owned().await;
    let inquiry = pending.answer.await;
    drop(leave);
    Answered {
        process: pending.process,
        incident: pending.incident,
        before: pending.before,
        inquiry,
    }
}

/// Does what follows from an answer, if its incident is still there.
pub(crate) async fn answered(shared: Arc<Shared>, answer: Answered) {
    let process = answer.process.clone();
    if let Err(error) = take(&shared, answer).await {
        tracing::error!(
            process = %process,
            %error,
            "The answer of a model could not be recorded, so nothing follows from it.",
        );
    }
}

async fn take(shared: &Arc<Shared>, answer: Answered) -> Result<()> {
    let Answered {
        process,
        incident: id,
        before,
        mut inquiry,
    } = answer;
    let then = Ailing::of(&before);
    if !inquiry.story.is_object() {
        inquiry.story = json!({});
    }
    inquiry.story["ailing"] = json!(then);
    if let Some(why) = &inquiry.failed {
        inquiry.story["why"] = why.as_str().into();
    }
    shared.tell(id, MODEL, inquiry.story).await?;
    let Some(incident) = shared.open_of(&process).filter(|open| open.id == id) else {
        return Ok(());
    };
    if !takes_a_plan(shared, &incident).await? {
        // Somebody knew better meanwhile, or said no.
        return Ok(());
    }
    let now = shared.look(&process).await;
    let now = now.map_or(then, |(facts, _)| Ailing::of(&facts));
    if let Some(diagnosis) = inquiry.diagnosis {
        let put = decide_late(shared, &incident, diagnosis, before).await?;
        if now != then && matches!(put, Put::Dropped(_)) {
            shared.again(&process);
        }
        return Ok(());
    }
    let why = inquiry.failed.unwrap_or_else(|| "it had no answer".into());
    tracing::warn!(process = %process, incident = %incident.id, reason = %why, "No model could help.");
    if shared.seeks_another(id) {
        return give_up(shared, &incident).await;
    }
    if now != then {
        // It may be asked anew.
        shared.again(&process);
    }
    alone(shared, &incident, now, &why).await
}

/// No model could help, and no playbook has a plan: people are told.
async fn alone(shared: &Arc<Shared>, incident: &Incident, now: Ailing, why: &str) -> Result<()> {
    let process = &incident.process;
    let text = format!("No playbook knows what ails {process}, and no model could be asked: {why}");
    if incident.state == IncidentState::Escalated {
        // They were; the story has the rest.
        return Ok(());
    }
    let retried = shared
        .look(process)
        .await
        .is_some_and(|(facts, _)| facts.retries || facts.state == supervisor::Status::Starting);
    if retried {
        shared
            .announce(incident, Severity::Warning, false, text)
            .await;
        return Ok(());
    }
    // What still runs is left to the playbooks, beside the person.
    if now == Ailing::Down {
        shared.advance(process, IncidentInput::Escalated).await?;
        stored(shared.store.set_outcome(incident.id, "escalated")).await?;
    }
    let errand = Errand {
        incident: incident.id,
        process: process.clone(),
        playbook: PlaybookId(MODEL.into()),
        plan: Plan::default(),
        risk: Risk::None,
        gate: "run".into(),
    };
    let caller = Caller {
        principal: "agent".into(),
        role: shared.settings().role,
        via: Via::Playbook(MODEL.into()),
    };
    let authority = Authority {
        who: caller.to_string(),
        caller,
        approval: None,
    };
    escalate(shared, &errand, &authority, text).await
}
