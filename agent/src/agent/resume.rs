//! A plan that a former daemon had in hand when it was killed.
//!
//! ```text
//!   acting ──► which steps were done? ──all──► measure
//!                 ├──some──► go on with what is left
//!                 └──none──► approved: begin, if the yes still stands; unasked: think again
//!   verifying ───────────────────────────────► measure
//! ```
//!
//! A row without a result says that a step was about to run. Whether it did is read from the
//! process: a life of its copies that did not begin anew was not restarted. What is certain is
//! neither done twice nor taken as done.

use std::sync::Arc;
use std::time::Duration;

use brain::{
    Action, Approval, ApprovalState, BrainStoreError, IncidentInput, IncidentState, Plan,
    PlaybookId, ProcessFacts, Step, StoredAction, StoredIncident,
};
use jiff::Timestamp;
use supervisor::{ProcessName, Status, after};

use crate::carry::{
    Authority, Errand, break_off, carry_on, carry_out, conclude, escalate, measure,
};
use crate::course::Course;
use crate::intention::{self, Intention};
use crate::question;
use crate::shared::{Shared, stored};
use crate::undo::{BEFORE, Before};

/// How long a process that is on its way up or down is waited for before it is judged.
const REST: Duration = Duration::from_secs(10);

/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(200);

/// What a step is said to have come to that was begun and not done.
const NOT_DONE: &str = "not done: the daemon ended before";

/// What is left of a plan.
pub(super) struct Resumed {
    pub(super) process: ProcessName,
    state: IncidentState,
    errand: Errand,
    authority: Authority,
    /// The yes by which it runs, if people were asked.
    approval: Option<Approval>,
    /// Its steps that were begun, in their order.
    begun: Vec<StoredAction>,
    before: Option<Before>,
    /// When it was written down that it is about to run.
    intended: Timestamp,
    acted: Timestamp,
}

/// Reads the open incidents, and answers with the plans that were being carried out.
pub(super) async fn take_up(shared: &Arc<Shared>) -> Result<Vec<Resumed>, BrainStoreError> {
    let open = stored(shared.store.open_incidents()).await?;
    shared.adopt(open.iter().map(|row| row.incident.clone()));
    let mut resumed = Vec::new();
    for row in open {
        let process = row.incident.process.clone();
        let state = row.incident.state;
        // What became of its plan is found out first.
        if state != IncidentState::Acting {
            shared.advance(&process, IncidentInput::TakenUp).await?;
        }
        if state == IncidentState::Escalated && !row.escalated {
            call(shared, &row).await?;
        }
        if state.is_busy() {
            resumed.push(of(shared, row).await?);
        }
    }
    Ok(resumed)
}

/// The plans of these processes that nobody works on, although their incidents say so: what they
/// came to could not be recorded.
pub(super) async fn stuck(
    shared: &Arc<Shared>,
    processes: &[ProcessName],
) -> Result<Vec<Resumed>, BrainStoreError> {
    let mut resumed = Vec::new();
    if processes.is_empty() {
        return Ok(resumed);
    }
    for mut row in stored(shared.store.open_incidents()).await? {
        let process = row.incident.process.clone();
        let known = shared
            .open_of(&process)
            .filter(|known| known.id == row.incident.id);
        if let Some(known) = known.filter(|_| processes.contains(&process)) {
            // Memory is ahead of a disk that was full.
            row.incident = known;
            resumed.push(of(shared, row).await?);
        }
    }
    Ok(resumed)
}

/// Calls the person whom a daemon was about to call when it ended.
async fn call(shared: &Arc<Shared>, row: &StoredIncident) -> Result<(), BrainStoreError> {
    let playbook = row.playbook.clone();
    let playbook = playbook.unwrap_or_else(|| PlaybookId("unknown".into()));
    let id = row.incident.id;
    let (errand, authority) =
        of_steps(playbook, &[]).unasked(shared, id, row.incident.process.clone());
    let text = format!("It needs a person; see: mhost brain explain {id}");
    escalate(shared, &errand, &authority, text).await
}

/// What is known of a plan whose intention is not written down: the steps that were begun.
fn of_steps(playbook: PlaybookId, begun: &[StoredAction]) -> Intention {
    let steps = begun.iter().map(|one| Step {
        action: one.action.action.clone(),
        why: String::new(),
    });
    let plan = Plan {
        steps: steps.collect(),
        ask: None,
    };
    let approval = begun.last().and_then(|one| one.action.approval.clone());
    Intention::guessed(playbook, plan, approval)
}

async fn of(shared: &Arc<Shared>, row: StoredIncident) -> Result<Resumed, BrainStoreError> {
    let (id, process) = (row.incident.id, row.incident.process.clone());
    let story = stored(shared.store.steps(id)).await?;
    let line = story.iter().rev().find(|line| line.kind == BEFORE);
    let before = line.and_then(|line| serde_json::from_value::<Before>(line.data.clone()).ok());
    let (intended, intention) = intention::newest(&story).unzip();
    let mut begun = stored(shared.store.actions(id)).await?;
    if let Some(intention) = &intention {
        begun.drain(..intention.rows.min(begun.len()));
    }
    begun.retain(|one| {
        let runs = one.action.gate.split(':').next() == Some("run");
        let done = one.result.as_deref() != Some(NOT_DONE);
        runs && done && one.outcome.is_none()
    });
    let acted = begun.last().map_or(row.incident.opened, |last| {
        // Rows keep milliseconds: the sign that led to the action may lie in the same.
        after(last.action.at, Duration::from_millis(1))
    });
    let playbook = row.playbook.unwrap_or_else(|| PlaybookId("unknown".into()));
    let intention = intention.unwrap_or_else(|| of_steps(playbook, &begun));
    let approval = match &intention.approval {
        Some(id) => stored(shared.store.approval(id.clone())).await?,
        // Of a version that wrote down no intention.
        None if intended.is_none() => stored(shared.store.approvals_of(id))
            .await?
            .into_iter()
            .next(),
        None => None,
    };
    let approval = approval.filter(|one| one.state == ApprovalState::Approved);
    let (errand, authority) = match &approval {
        Some(approval) => question::leave_of(approval, &question::approver(approval)),
        None => intention.unasked(shared, id, process.clone()),
    };
    Ok(Resumed {
        process,
        state: row.incident.state,
        errand,
        authority,
        approval,
        begun,
        before,
        intended: intended.unwrap_or(acted),
        acted,
    })
}

/// Brings it to its end.
pub(super) async fn go_on(shared: Arc<Shared>, job: Resumed) {
    if let Err(error) = finish(&shared, &job).await {
        tracing::error!(
            process = %job.process,
            %error,
            "What a former daemon had in hand could not be recorded, so it was not carried on.",
        );
    }
}

async fn finish(shared: &Arc<Shared>, job: &Resumed) -> Result<(), BrainStoreError> {
    let taken_up = shared.clock.now();
    let (errand, authority) = (&job.errand, &job.authority);
    if job.state == IncidentState::Acting {
        let done = done_steps(shared, job).await?;
        match &job.approval {
            Some(approval) if done == 0 => {
                withdraw_run(shared, job).await?;
                if let Some(why) = question::fallen(shared, approval).await? {
                    return question::fall(shared, approval, &why).await;
                }
                return carry_out(shared, errand, authority).await;
            }
            None if done == 0 => {
                withdraw_run(shared, job).await?;
                shared
                    .advance(&job.process, IncidentInput::NextPlan)
                    .await?;
                shared.try_again(errand.incident);
                shared.postpone(&job.process);
                return Ok(());
            }
            approval if done < errand.plan.steps.len() => {
                let lapsed = approval.as_ref().map(|one| question::too_few(shared, one));
                if let Some(why) = lapsed.flatten() {
                    return break_off(shared, errand, authority, why, false).await;
                }
                return carry_on(shared, errand, authority, done, course(job, done)).await;
            }
            _ => {}
        }
        shared.advance(&job.process, IncidentInput::TakenUp).await?;
    }
    let outcome = measure(shared, errand, job.acted, taken_up).await;
    conclude(shared, errand, authority, &outcome, false, job.acted).await
}

/// What was wished of the process when the plan began, as far as its own steps left it so.
fn course(job: &Resumed, done: usize) -> Course {
    let before = job.before.as_ref().and_then(|before| before.wish);
    let steps = job.errand.plan.steps.iter().take(done);
    let wish = steps.fold(before, |wish, step| match (&step.action, wish) {
        (Action::Halt { .. }, Some((wanted, _))) => Some((wanted, true)),
        (Action::Stop, Some((_, held))) => Some((false, held)),
        (
            Action::Start
            | Action::Restart { .. }
            | Action::KillRestart { .. }
            | Action::Reload
            | Action::Rollback
            | Action::ClearError,
            Some((wanted, _)),
        ) => Some((wanted, false)),
        _ => wish,
    });
    Course::since(wish)
}

/// A playbook does not rest after what it did not do.
async fn withdraw_run(shared: &Shared, job: &Resumed) -> Result<(), BrainStoreError> {
    let (errand, since) = (&job.errand, job.intended);
    let (playbook, incident) = (errand.playbook.clone(), errand.incident);
    stored(shared.store.withdraw_run(playbook, incident, since)).await
}

/// How many steps need not be done any more. The last one that was begun gets its result, if it
/// has none.
async fn done_steps(shared: &Arc<Shared>, job: &Resumed) -> Result<usize, BrainStoreError> {
    let Some(last) = job.begun.last() else {
        return Ok(0);
    };
    match &last.result {
        // The first failure ends a plan.
        Some(result) if result.starts_with("failed") => return Ok(usize::MAX),
        Some(_) => return Ok(job.begun.len()),
        None => {}
    }
    let facts = at_rest(shared, &job.process).await;
    let done = was_done(&last.action.action, job.before.as_ref(), facts.as_ref());
    let result = if done {
        "unknown: the daemon ended meanwhile"
    } else {
        NOT_DONE
    };
    stored(shared.store.end_action(last.id, result)).await?;
    Ok(job.begun.len() - usize::from(!done))
}

/// The process once it is neither on its way up nor down, as what began before the kill is
/// brought to its end by the supervisor.
async fn at_rest(shared: &Arc<Shared>, process: &ProcessName) -> Option<ProcessFacts> {
    let begun = shared.clock.now();
    loop {
        let (facts, _) = shared.look(process).await?;
        let moves = facts
            .instances
            .iter()
            .any(|copy| matches!(copy.state, Status::Starting | Status::Stopping));
        if !moves || supervisor::until(begun, shared.clock.now()) >= REST {
            return Some(facts);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Was a step done that has a row and no result? What harms nobody when it is done twice was
/// not; what cannot be told was.
fn was_done(action: &Action, before: Option<&Before>, facts: Option<&ProcessFacts>) -> bool {
    let (Some(before), Some(facts)) = (before, facts) else {
        return true;
    };
    let began_anew = |only: Option<u16>| {
        facts.instances.iter().any(|copy| {
            let was = before.lives.iter().find(|(index, _)| *index == copy.index);
            only.is_none_or(|only| only == copy.index)
                && was.is_none_or(|(_, life)| copy.generation > *life)
        })
    };
    match action {
        Action::Restart { instance } | Action::KillRestart { instance } => began_anew(*instance),
        Action::Reload => began_anew(None),
        Action::Start => facts.instances.iter().any(|copy| copy.alive),
        Action::Halt { .. } => facts.held,
        Action::Stop => !facts.wanted,
        Action::ScaleUp { .. } | Action::ScaleDown { .. } => facts.desired != before.desired,
        Action::SetLimit { .. }
        | Action::ClearError
        | Action::RunProbe
        | Action::ClearLock { .. }
        | Action::Wait(_) => false,
        Action::Rollback
        | Action::UpdateScore
        | Action::Notify { .. }
        | Action::LogIncident { .. }
        | Action::Escalate { .. } => true,
    }
}
