//! A plan that somebody asked for in words, for a process with which nothing else is wrong.
//!
//! Its incident is only there to carry the plan: when nothing comes of that, it is over, and no
//! person is called to what does well.

use std::sync::Arc;

use brain::investigate::is_model;
use brain::{Incident, IncidentInput, IncidentState, SymptomKind, is_well};
use serde_json::json;

use crate::shared::{Shared, stored};
use crate::worker::Result;

/// Ends the incident of such a plan, of which nothing comes. False where something ails the
/// process: then the incident goes on.
pub(crate) async fn over(
    shared: &Arc<Shared>,
    incident: &Incident,
    playbook: &str,
    word: &str,
    why: &str,
) -> Result<bool> {
    let process = &incident.process;
    let state = shared
        .open_of(process)
        .filter(|now| now.id == incident.id)
        .map(|now| now.state);
    let waits = matches!(
        state,
        Some(IncidentState::AwaitingApproval | IncidentState::Open)
    );
    let mut signs = incident.symptoms.iter();
    let wished = is_model(playbook) && signs.all(|sign| sign.kind == SymptomKind::Tick);
    if !waits || !wished {
        return Ok(false);
    }
    // What somebody stopped or holds is as it is meant to be.
    let ails = shared
        .look(process)
        .await
        .is_some_and(|(facts, _)| facts.wanted && !facts.held && !is_well(&facts));
    if ails {
        return Ok(false);
    }
    stored(shared.store.set_outcome(incident.id, word)).await?;
    shared
        .tell(incident.id, "closed", json!({"why": why}))
        .await?;
    shared.advance(process, IncidentInput::Closed).await?;
    Ok(true)
}
