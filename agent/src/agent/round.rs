//! The slow look, and events that were missed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use brain::memory::Cure;
use brain::{BrainStoreError, Incident, IncidentInput, IncidentState};
use supervisor::{Event, EventId, ProcessName, Status};

use crate::always;
use crate::group;
use crate::mind::Diagnosis;
use crate::question;
use crate::shared::{Shared, stored};
use crate::worker;

/// How far back missed events are looked for.
const MISSED: Duration = Duration::from_secs(600);

/// Events after the last one seen, oldest first.
pub(super) async fn missed(shared: &Arc<Shared>, last: EventId) -> Vec<Event> {
    let mut events = shared
        .blocking(move |shared| {
            let facts = &shared.facts;
            let of = |name| facts.events(&name, None, MISSED);
            facts
                .processes()
                .into_iter()
                .flat_map(of)
                .collect::<Vec<_>>()
        })
        .await
        .unwrap_or_default();
    events.retain(|event| event.id > last);
    events.sort_by_key(|event| event.id);
    events
}

/// Takes the quick look and opens an incident for everything suspicious that has none. Answers
/// with those to think about.
pub(super) async fn suspects(shared: &Arc<Shared>) -> Result<Vec<ProcessName>, BrainStoreError> {
    let found = shared
        .blocking(|shared| {
            let all = shared.facts.talking();
            let signs = all.into_iter().filter_map(|process| {
                let open = shared.open_of(&process);
                if open.is_some_and(|incident| incident.state != IncidentState::Suspected) {
                    return None;
                }
                let sign = shared.mind.suspect(&process, &shared.facts)?;
                Some((process, sign))
            });
            signs.collect::<Vec<_>>()
        })
        .await
        .unwrap_or_default();
    let mut wanted = Vec::new();
    for (process, sign) in found {
        if shared.suspicion(&process, &sign).await? {
            wanted.push(process);
        }
    }
    Ok(wanted)
}

/// What a slow look wants done.
pub(super) enum Todo {
    /// Think about the open incident again.
    Think(ProcessName),
    /// Do what the look itself proposes.
    Found(ProcessName, Box<Diagnosis>),
}

/// One slow look. Resolves what is well again, and answers with what should be done.
/// Processes with a worker are left alone.
pub(super) async fn look(
    shared: &Arc<Shared>,
    busy: &BTreeSet<ProcessName>,
) -> Result<Vec<Todo>, BrainStoreError> {
    let mut todo = Vec::new();
    let mut taken = busy.clone();
    for incident in shared.all_open() {
        let process = &incident.process;
        // Events say so at once; this is for what no event told.
        question::recheck(shared, process).await?;
        let leave_alone = busy.contains(process) || incident.state.is_busy();
        if leave_alone || let_go(shared, &incident).await? {
            taken.insert(process.clone());
        }
    }
    for process in shared.postponed() {
        if busy.contains(&process) {
            shared.postpone(&process);
        } else if taken.insert(process.clone()) {
            todo.push(Todo::Think(process));
        }
    }
    let processes = shared
        .blocking(|shared| {
            let all = shared.facts.processes();
            shared.mind.worth_a_look(all, &shared.facts)
        })
        .await
        .unwrap_or_default();
    for process in processes {
        if taken.contains(&process) {
            continue;
        }
        let asking = worker::asking(shared, &process).await?;
        let name = process.clone();
        let diagnosis = shared
            .blocking(move |shared| shared.mind.look(&name, &shared.facts, &asking))
            .await
            .unwrap_or_default();
        let planned = diagnosis
            .proposal
            .as_ref()
            .is_some_and(|proposal| !proposal.plan.steps.is_empty());
        if planned {
            todo.push(Todo::Found(process, Box::new(diagnosis)));
        }
    }
    Ok(todo)
}

/// A person did something within the incident, and it is over: perhaps that was the cure.
async fn credit(shared: &Arc<Shared>, incident: &Incident) {
    let (_, events) = shared.look_since(&incident.process, incident.opened).await;
    let Some((plan, by)) = brain::memory::by_a_person(incident, &events) else {
        return;
    };
    let cure = Cure {
        incident: incident.clone(),
        illness: None,
        plan,
        confidence: 1.0,
        by,
        at: shared.clock.now(),
    };
    shared.blocking(move |shared| shared.mind.cured(cure)).await;
}

/// How long a suspicion without a proof is kept.
const SUSPICION: Duration = Duration::from_secs(10);

/// How long it must be quiet until an incident is over by itself.
fn patience(incident: &Incident) -> Duration {
    match incident.state {
        IncidentState::Suspected | IncidentState::Merged => SUSPICION,
        _ => Duration::MAX,
    }
}

/// Ends an incident whose process is well again, or is meant to be down.
async fn let_go(shared: &Arc<Shared>, incident: &Incident) -> Result<bool, BrainStoreError> {
    let process = &incident.process;
    let quiet = shared.settings().verify_window;
    let now = shared.clock.now();
    // Whoever is a victim stays one until its cause is over.
    let merged = incident.state == IncidentState::Merged;
    if merged
        && incident
            .cause
            .is_some_and(|cause| group::is_open(shared, cause))
    {
        return Ok(false);
    }
    let input = match shared.look(process).await {
        None => IncidentInput::Closed,
        // A hold is ours or a person's answer to the incident and not its end.
        Some((facts, _)) if !facts.wanted && !facts.held && facts.state == Status::Stopped => {
            IncidentInput::Closed
        }
        Some((facts, _)) if incident.has_recovered(&facts, now, quiet.min(patience(incident))) => {
            if always::waits_for_a_word(shared, incident).await? {
                return Ok(false);
            }
            IncidentInput::Recovered
        }
        Some(_) if merged => {
            let story = serde_json::json!({"why": "its cause is over, and it is still ill"});
            shared.tell(incident.id, "released", story).await?;
            shared.advance(process, IncidentInput::Released).await?;
            shared
                .change(process, |incident| incident.cause = None)
                .await?;
            shared.postpone(process);
            return Ok(false);
        }
        Some(_) => return Ok(false),
    };
    if matches!(input, IncidentInput::Recovered)
        && !merged
        && incident.state != IncidentState::Suspected
    {
        credit(shared, incident).await;
    }
    let (word, why) = match input {
        IncidentInput::Recovered if incident.state == IncidentState::Suspected => {
            ("passing", "nothing came of the sign")
        }
        IncidentInput::Recovered => ("recovered", "it is well again"),
        _ => ("closed", "it is not meant to run any more"),
    };
    if incident.state == IncidentState::AwaitingApproval {
        question::withdraw(shared, process, None, why).await?;
    }
    // A person has it: how that came about stays readable.
    if incident.state != IncidentState::Escalated {
        stored(shared.store.set_outcome(incident.id, word)).await?;
    }
    let story = serde_json::json!({"why": why});
    shared.tell(incident.id, word, story).await?;
    shared.advance(process, input).await?;
    Ok(true)
}
