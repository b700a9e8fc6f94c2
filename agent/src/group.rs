//! One incident per cause: victims' incidents become part of that of their cause, and come
//! back when it is over and they are still ill.
//!
//! Whose victim a process is, by its dependencies, is [`brain::incident::group`]; a diagnosis
//! may also name a culprit. What is being acted on is never moved. And one incident per illness:
//! what comes back soon after it was over is the same one.

use std::collections::BTreeSet;
use std::sync::Arc;

use brain::incident::group::{Kin, cause_of, victims_show};
use brain::{BrainStoreError, Case, Facts, Incident, IncidentId, IncidentInput, IncidentState};
use serde_json::json;
use supervisor::{ProcessName, until};

use crate::mind::Diagnosis;
use crate::question;
use crate::shared::{Shared, stored};
use crate::verify::RECURRENCE;

/// How sure a diagnosis must be of a culprit to make the process it was made for a victim.
const SURE: f64 = 0.6;

struct Known<'a>(&'a dyn Facts);

impl Kin for Known<'_> {
    fn depends_on(&self, process: &ProcessName) -> Vec<ProcessName> {
        self.0
            .process(process)
            .map(|process| process.depends_on)
            .unwrap_or_default()
    }
    fn is_ill(&self, process: &ProcessName) -> bool {
        self.0
            .process(process)
            .is_some_and(|process| !brain::is_well(&process))
    }
}

/// Merges what belongs together by dependencies. Processes with a worker are left alone.
pub(crate) async fn regroup(
    shared: &Arc<Shared>,
    busy: &BTreeSet<ProcessName>,
) -> Result<(), BrainStoreError> {
    let open = shared.all_open();
    let movable: Vec<Incident> = open
        .iter()
        .filter(|one| one.state.may_be_absorbed() && !busy.contains(&one.process))
        .cloned()
        .collect();
    if open.len() < 2 || movable.is_empty() {
        return Ok(());
    }
    let found = shared
        .blocking(move |shared| {
            let (kin, now) = (Known(shared.facts.as_ref()), shared.clock.now());
            let pairs = movable.into_iter().filter_map(|own| {
                let cause = cause_of(&own, &open, &kin, now)?.clone();
                Some((own, cause))
            });
            pairs.collect::<Vec<_>>()
        })
        .await
        .unwrap_or_default();
    for (own, cause) in found {
        // Of two that would be merged into each other the first one stays.
        let stands = shared
            .open_of(&cause.process)
            .is_some_and(|now| now.id == cause.id && now.state != IncidentState::Merged);
        if stands {
            absorb(shared, &own, &cause, "it depends on it").await?;
        }
    }
    Ok(())
}

/// Follows a diagnosis that names another process as the culprit: that one gets the incident.
/// To be called by the worker of `own`. True when `own` is merged.
pub(crate) async fn blame(
    shared: &Arc<Shared>,
    own: &Incident,
    case: &Case,
) -> Result<bool, BrainStoreError> {
    let Some(own) = shared.open_of(&own.process).filter(|now| now.id == own.id) else {
        return Ok(false);
    };
    let guilty = case.is_telling()
        && case.confidence >= SURE
        && case.process != own.process.as_str()
        && own.state.may_be_absorbed()
        && own.symptoms.iter().all(victims_show);
    let Some(culprit) = case.process.parse::<ProcessName>().ok().filter(|_| guilty) else {
        return Ok(false);
    };
    // Once: who is released and still ill is not a victim for ever.
    let known = shared.look(&culprit).await.is_some();
    if !known || !shared.try_once(own.id, &format!("blamed {culprit}")) {
        return Ok(false);
    }
    let cause = match shared.open_of(&culprit) {
        // Who is a victim itself is no cause.
        Some(open) if open.state == IncidentState::Merged => return Ok(false),
        Some(open) => open,
        None => {
            let sign = format!("`{}` suffers from it: {}", own.process, case.root_cause);
            let now = shared.clock.now();
            let new = Incident::suspicion(culprit.clone(), now, &sign);
            shared.open_new(new).await?
        }
    };
    absorb(shared, &own, &cause, "the diagnosis names it").await?;
    shared.again(&culprit);
    Ok(true)
}

/// Makes one incident part of another.
async fn absorb(
    shared: &Arc<Shared>,
    own: &Incident,
    cause: &Incident,
    why: &str,
) -> Result<(), BrainStoreError> {
    if own.state == IncidentState::AwaitingApproval {
        question::withdraw(shared, &own.process, None, "its cause is another process").await?;
    }
    let proved = own.state != IncidentState::Suspected;
    shared
        .change(&own.process, |incident| {
            if let Ok(state) = brain::incident::step(incident.state, IncidentInput::Absorbed) {
                incident.state = state;
                incident.cause = Some(cause.id);
            }
        })
        .await?;
    // Its own victims are those of its cause.
    for other in shared.all_open() {
        if other.cause == Some(own.id) {
            shared
                .change(&other.process, |victim| victim.cause = Some(cause.id))
                .await?;
        }
    }
    tracing::info!(
        process = %own.process,
        incident = %own.id,
        cause = %cause.id,
        "An incident became part of that of its cause.",
    );
    let story = json!({"into": cause.id.to_string(), "cause": cause.process, "why": why});
    shared.tell(own.id, "merged", story).await?;
    let story = json!({
        "process": own.process, "incident": own.id.to_string(), "proved": proved, "why": why,
    });
    shared.tell(cause.id, "victim", story).await
}

/// Keeps which illness it is. If it is one that was over a moment ago, it was not over: that
/// incident goes on, and what is taken for its cure was none.
pub(crate) async fn recognise(
    shared: &Arc<Shared>,
    incident: Incident,
    diagnosis: &Diagnosis,
) -> Result<Incident, BrainStoreError> {
    let Some(fingerprint) = &diagnosis.fingerprint else {
        return Ok(incident);
    };
    if incident.fingerprint.as_ref() != Some(fingerprint) {
        let fingerprint = fingerprint.clone();
        shared
            .change(&incident.process, |incident| {
                incident.fingerprint = Some(fingerprint);
            })
            .await?;
    }
    let proved = shared
        .open_of(&incident.process)
        .is_some_and(|now| now.id == incident.id && now.state == IncidentState::Open);
    let key = format!("recurrence {}", fingerprint.hash);
    if !proved || !shared.try_once(incident.id, &key) {
        return Ok(incident);
    }
    let name = Some(incident.process.clone());
    let latest = stored(shared.store.latest_incidents(name, 5)).await?;
    let same = latest.into_iter().find(|old| {
        old.incident.id != incident.id
            && old.incident.state == IncidentState::Resolved
            && old.incident.fingerprint.as_ref().map(|f| &f.hash) == Some(&fingerprint.hash)
            && old
                .incident
                .closed
                .is_some_and(|closed| until(closed, incident.opened) < RECURRENCE)
    });
    let Some(old) = same else {
        return Ok(incident);
    };
    let cured = old.outcome.as_deref() == Some("verified");
    if let Some(playbook) = old.playbook.filter(|_| cured) {
        let name = playbook.clone();
        shared
            .blocking(move |shared| shared.mind.outcome(&name, false))
            .await;
        stored(shared.store.end_run(playbook, old.incident.id, Some(false))).await?;
    }
    let reopened = shared.reopen(old.incident).await?;
    shared.try_once(reopened.id, &key);
    let story = json!({"was": old.outcome, "seen_as": incident.id.to_string()});
    shared.tell(reopened.id, "reopened", story).await?;
    Ok(reopened)
}

/// Is the incident with this id still open?
pub(crate) fn is_open(shared: &Shared, id: IncidentId) -> bool {
    shared.all_open().iter().any(|one| one.id == id)
}
