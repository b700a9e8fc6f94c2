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
//! it is put to the incident as it is by then. A model is asked at most twice about an
//! incident, the second time only after a plan that did not help.

use std::sync::Arc;

use brain::{Incident, IncidentId, IncidentState, ProcessFacts, Severity, is_well};
use supervisor::ProcessName;

use crate::mind::{Diagnosis, Inquiry};
use crate::shared::{Pending, Shared, stored};
use crate::worker::{Result, decide, give_up};

/// The line of an incident's story that holds what became of asking a model.
pub(crate) const MODEL: &str = "model";
/// How often a model is asked about one incident.
const MOST: usize = 2;
/// From this confidence on the knowledge base has said what is wrong: nobody else is asked.
const KNOWN: f64 = 0.72;

/// An answer, and what it belongs to.
pub(crate) struct Answered {
    pub(crate) process: ProcessName,
    incident: IncidentId,
    before: Option<ProcessFacts>,
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
    before: Option<ProcessFacts>,
) -> Result<bool> {
    let process = &incident.process;
    let open = shared
        .open_of(process)
        .is_some_and(|now| now.id == incident.id && now.state == IncidentState::Open);
    let (settings, switch) = (shared.settings(), shared.switch());
    if !open || !switch.enabled(settings.enabled) || switch.stopped() {
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
    // What is well again needs no cure.
    let well = shared
        .look(process)
        .await
        .is_none_or(|(facts, _)| is_well(&facts));
    if well {
        return Ok(false);
    }
    let story = stored(shared.store.steps(incident.id)).await?;
    let asked = story.iter().filter(|line| line.kind == MODEL).count();
    if asked >= MOST || (asked > 0 && !seeking) {
        return Ok(false);
    }
    let asking = format!("{MODEL} {asked}");
    if shared.was_tried(incident.id, &asking) {
        // It is under way.
        return Ok(true);
    }
    let mut tried: Vec<String> = stored(shared.store.actions(incident.id))
        .await?
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
        inquiry,
    } = answer;
    shared.tell(id, MODEL, inquiry.story).await?;
    let Some(incident) = shared.open_of(&process).filter(|open| open.id == id) else {
        return Ok(());
    };
    if incident.state != IncidentState::Open {
        // Somebody knew better meanwhile, or a person has it.
        return Ok(());
    }
    if let Some(diagnosis) = inquiry.diagnosis {
        decide(shared, &incident, diagnosis, before).await?;
        return Ok(());
    }
    let why = inquiry.failed.unwrap_or_else(|| "it had no answer".into());
    tracing::warn!(process = %process, incident = %id, reason = %why, "No model could help.");
    if shared.seeks_another(id) {
        return give_up(shared, &incident).await;
    }
    let text = format!("No playbook knows what ails {process}, and no model could be asked: {why}");
    shared
        .announce(&incident, Severity::Warning, false, text)
        .await;
    Ok(())
}
