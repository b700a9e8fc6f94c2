//! Asking a model although nothing is wrong: `think_when = "always"`.
//!
//! ```text
//!   slow look ─► no incident open, nobody asked yet ─► Mind::watch, beside the loop
//!                                                        │
//!        counted, and nothing else ◄── nothing to do ◄───┤
//!        an incident ─► the gate ◄── a plan for one ◄────┘
//! ```
//!
//! A question about all processes comes after everything else: it is asked only while no
//! incident is open, and what it says counts only if nobody took up the process meanwhile.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use brain::investigate::is_model;
use brain::{ApprovalState, Incident, IncidentState, SymptomKind};
use jiff::Timestamp;
use serde_json::Value;
use supervisor::config::ThinkWhen;
use supervisor::{ProcessName, Status, until};

use crate::approval::digest;
use crate::budget::WINDOW;
use crate::consult::MODEL;
use crate::mind::{Diagnosis, Watch};
use crate::report::Thinking;
use crate::shared::{Shared, stored};
use crate::worker::{self, Result};

/// What came of it so far. It need not survive the daemon.
#[derive(Debug, Default)]
pub(crate) struct Watched(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    told: Thinking,
    /// Plans that were put to the gate, by process and plan: the same is not put again within
    /// an hour, whatever became of it.
    put: BTreeMap<(ProcessName, String), Timestamp>,
}

impl Watched {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an answer, or why there is none.
    pub(crate) fn count(&self, watch: &Watch, now: Timestamp) {
        let told = &mut self.lock().told;
        told.last = Some(now);
        told.why_not.clone_from(&watch.failed);
        if watch.failed.is_none() {
            told.answers += 1;
            told.plans += u64::from(watch.found.is_some());
        }
    }

    /// What is told of it.
    pub(crate) fn told(&self, when: ThinkWhen) -> Thinking {
        Thinking {
            when,
            ..self.lock().told.clone()
        }
    }

    /// Is this plan new? Remembers it if so.
    fn is_new(&self, process: &ProcessName, plan: &str, now: Timestamp) -> bool {
        let put = &mut self.lock().put;
        put.retain(|_, at| until(*at, now) < WINDOW);
        let key = (process.clone(), plan.to_owned());
        put.insert(key, now).is_none()
    }
}

/// No answer, for this reason.
pub(crate) fn failed(why: &str) -> Watch {
    Watch {
        failed: Some(why.to_owned()),
        ..Watch::default()
    }
}

/// Should a model be asked about all processes now?
pub(crate) fn is_due(shared: &Shared) -> bool {
    let (settings, switch) = (shared.settings(), shared.switch());
    settings.think_when == ThinkWhen::Always
        && switch.enabled(settings.enabled)
        && !switch.stopped()
        && shared.all_open().is_empty()
}

/// Puts what a model would do about a process to the gate, if nobody else took it up.
pub(crate) async fn found(
    shared: Arc<Shared>,
    process: ProcessName,
    diagnosis: Diagnosis,
    story: Value,
) {
    if let Err(error) = put(&shared, &process, diagnosis, story).await {
        tracing::error!(
            process = %process,
            %error,
            "What a model found could not be recorded, so nothing follows from it.",
        );
    }
}

async fn put(
    shared: &Arc<Shared>,
    process: &ProcessName,
    diagnosis: Diagnosis,
    story: Value,
) -> Result<()> {
    let now = shared.clock.now();
    // A question about what is on its way to another state is out of date at once.
    let may_be_asked_about = shared.look(process).await.is_some_and(|(facts, _)| {
        let moves = matches!(facts.state, Status::Starting | Status::Stopping);
        facts.wanted && !facts.held && !moves
    });
    let Some(proposal) = diagnosis.proposal.as_ref().filter(|_| may_be_asked_about) else {
        return Ok(());
    };
    let plan = digest("", &proposal.plan);
    if shared.open_of(process).is_some() || !shared.watched.is_new(process, &plan, now) {
        return Ok(());
    }
    let incident = shared
        .open_new(Incident::look(process.clone(), now))
        .await?;
    shared.tell(incident.id, MODEL, story).await?;
    // What becomes of it stands in the incident.
    worker::found(shared.clone(), process.clone(), diagnosis).await;
    Ok(())
}

/// Is a person asked about the plan of a model for a process with which nothing else is wrong?
/// That it does well is then no news, and ends no question.
pub(crate) async fn waits_for_a_word(shared: &Shared, incident: &Incident) -> Result<bool> {
    let mut signs = incident.symptoms.iter();
    if incident.state != IncidentState::AwaitingApproval
        || !signs.all(|sign| sign.kind == SymptomKind::Tick)
    {
        return Ok(false);
    }
    let open = stored(shared.store.approvals(Some(ApprovalState::Pending), 50)).await?;
    Ok(open
        .iter()
        .any(|one| one.incident == incident.id && is_model(&one.playbook.0)))
}
