//! Asking people, and what becomes of their answers.
//!
//! The row of an approval is moved by compare-and-set in the store; the moves themselves are
//! [`approval::step`]. A question belongs to one plan of one incident: when either changes,
//! it is withdrawn and its answer no longer counts.
//! It is one piece although it is long: a question, from its asking to its last answer.

mod left;
mod stands;
mod time;
mod wish;

use std::sync::Arc;

use brain::{
    Action, Approval, ApprovalState, Decision, IncidentId, IncidentInput, IncidentState, Plan,
    PlaybookId, ProcessFacts, Proposal, Vote, Voted,
};
use serde_json::json;
use supervisor::{Caller, ControlError, ProcessName, Via, after};

use crate::approval::{self, Input, MOST_OPEN, Preconditions, may_decide, new_id};
use crate::carry::{Authority, Errand, carry_out, escalate, note_rows};
use crate::grant::risk_of;
use crate::intention;
use crate::policy::Risk;
use crate::shared::{Shared, stored};
use crate::worker::{Result, is_foreign};
pub(crate) use left::{approver, take_up};
use stands::changed;
pub(crate) use stands::{fall, fallen, too_few};
pub(crate) use time::{expire, snooze};
pub(crate) use wish::over;

/// The name under which the machine itself decides.
const MACHINE: &str = "mhost";

/// Asks, and gives the id of the question. None when too many are open already.
pub(crate) async fn ask(
    shared: &Arc<Shared>,
    errand: &Errand,
    facts: &ProcessFacts,
    proposal: &Proposal,
    digest: &str,
    version: Option<String>,
) -> Result<Option<String>> {
    withdraw(shared, &errand.process, None, "another plan took its place").await?;
    let open = stored(shared.store.approvals(Some(ApprovalState::Pending), 50)).await?;
    if open.len() >= MOST_OPEN {
        return Ok(None);
    }
    let now = shared.clock.now();
    let settings = shared.settings();
    let (calls, steps): (Vec<_>, Vec<_>) = errand
        .plan
        .steps
        .iter()
        .cloned()
        .partition(|step| matches!(step.action, Action::Escalate { .. }));
    let approval = Approval {
        id: new_id(),
        incident: errand.incident,
        process: errand.process.clone(),
        playbook: errand.playbook.clone(),
        plan: Plan { steps, ask: None },
        digest: digest.to_owned(),
        risk: errand.risk.as_str().to_owned(),
        reason: if is_foreign(&errand.playbook.0) {
            // Its words, as such: they may quote anything.
            format!("{} thinks: {}", errand.playbook, proposal.cause)
        } else {
            proposal.cause.clone()
        },
        preconditions: json!(Preconditions::of(facts)),
        created: now,
        expires: after(now, settings.approval_timeout),
        remind: Some(after(now, settings.approval_timeout / 2)),
        state: ApprovalState::Pending,
        decided_by: None,
        decided_at: None,
        wanted: settings.approvals.of(errand.risk),
        votes: Vec::new(),
        lapsed: Vec::new(),
        version,
    };
    let authority = of_playbook(
        &approval.playbook,
        &settings.role,
        Some(approval.id.clone()),
    );
    let proposed = Errand {
        plan: approval.plan.clone(),
        ..errand.clone()
    };
    note_rows(shared, &proposed, &authority, "proposed").await?;
    // To call a person needs nobody's leave.
    let called = Errand {
        plan: Plan {
            steps: calls,
            ask: None,
        },
        risk: Risk::None,
        gate: "run".into(),
        ..errand.clone()
    };
    note_rows(shared, &called, &authority, "done").await?;
    stored(shared.store.add_approval(approval.clone())).await?;
    shared
        .advance(&errand.process, IncidentInput::Asked)
        .await?;
    let story = json!({
        "approval": approval.id, "gate": errand.gate, "expires": approval.expires,
    });
    shared.tell(errand.incident, "asked", story).await?;
    shared.approver.ask(&approval).await;
    Ok(Some(approval.id))
}

fn of_playbook(
    playbook: &PlaybookId,
    role: &supervisor::Role,
    approval: Option<String>,
) -> Authority {
    let caller = Caller {
        principal: "agent".into(),
        role: *role,
        via: Via::Playbook(playbook.0.clone()),
    };
    Authority {
        who: caller.to_string(),
        caller,
        approval,
    }
}

/// Writes the same result to all rows that wait for an approval.
async fn mark(shared: &Shared, approval: &Approval, result: &str) -> Result<()> {
    for row in stored(shared.store.actions(approval.incident)).await? {
        if row.action.approval.as_deref() == Some(&approval.id)
            && row.result.as_deref() == Some("proposed")
        {
            stored(shared.store.end_action(row.id, result)).await?;
        }
    }
    Ok(())
}

/// Moves an approval by its machine. False when somebody was faster.
async fn decide(
    shared: &Shared,
    approval: &Approval,
    from: ApprovalState,
    input: Input,
    by: &str,
) -> Result<bool> {
    let Ok(to) = approval::step(from, input) else {
        return Ok(false);
    };
    let now = shared.clock.now();
    let answer = shared
        .store
        .decide(approval.id.clone(), from, to, by.to_owned(), now);
    Ok(matches!(stored(answer).await?, Decision::Won(_)))
}

/// Withdraws the open question of a process, unless it is about the plan `keep`. False when
/// it was kept.
pub(crate) async fn withdraw(
    shared: &Arc<Shared>,
    process: &ProcessName,
    keep: Option<&str>,
    why: &str,
) -> Result<bool> {
    let open = stored(shared.store.approvals(Some(ApprovalState::Pending), 50)).await?;
    for approval in open.iter().filter(|one| one.process == *process) {
        if keep == Some(&approval.digest) {
            return Ok(false);
        }
        if decide(
            shared,
            approval,
            ApprovalState::Pending,
            Input::Changed,
            MACHINE,
        )
        .await?
        {
            mark(shared, approval, &format!("skipped: {why}")).await?;
        }
    }
    Ok(true)
}

/// Has the question of an incident just been answered, and nothing followed from that yet? What
/// was said then counts, and nothing else is asked in its place.
pub(crate) async fn just_answered(shared: &Shared, incident: IncidentId) -> Result<bool> {
    let newest = stored(shared.store.approvals_of(incident)).await?;
    Ok(newest.first().is_some_and(|one| {
        matches!(
            one.state,
            ApprovalState::Approved | ApprovalState::Denied | ApprovalState::Expired
        )
    }))
}

fn names(plan: &Plan) -> String {
    plan.steps
        .iter()
        .map(|step| step.action.name())
        .collect::<Vec<_>>()
        .join(", ")
}

/// A no, said or silent: the incident is a person's.
async fn turned_down(
    shared: &Arc<Shared>,
    approval: &Approval,
    result: &str,
    by: &str,
    text: String,
) -> Result<()> {
    mark(shared, approval, result).await?;
    let story = json!({"approval": approval.id, "result": result, "by": by});
    shared.tell(approval.incident, "answered", story).await?;
    stored(shared.store.set_outcome(approval.incident, "denied")).await?;
    let waiting = shared.open_of(&approval.process).filter(|incident| {
        incident.id == approval.incident && incident.state == IncidentState::AwaitingApproval
    });
    if let Some(incident) = waiting
        && !over(shared, &incident, &approval.playbook.0, "denied", &text).await?
    {
        shared
            .advance(&approval.process, IncidentInput::Denied)
            .await?;
        let authority = of_playbook(&approval.playbook, &shared.settings().role, None);
        escalate(shared, &errand_of(approval), &authority, text).await?;
    }
    Ok(())
}

fn errand_of(approval: &Approval) -> Errand {
    Errand {
        incident: approval.incident,
        process: approval.process.clone(),
        playbook: approval.playbook.clone(),
        plan: approval.plan.clone(),
        risk: risk_of(&approval.risk),
        gate: "run".into(),
    }
}

/// An open question that this caller may decide.
pub(crate) async fn decidable(
    shared: &Arc<Shared>,
    caller: &Caller,
    id: &str,
) -> std::result::Result<Approval, ControlError> {
    let id = id.trim().to_ascii_lowercase();
    let found = stored(shared.store.approval(id.clone()))
        .await
        .map_err(unrecorded)?;
    let Some(approval) = found else {
        let open = stored(shared.store.approvals(Some(ApprovalState::Pending), 3)).await;
        return Err(ControlError::Invalid {
            message: format!("there is no question `{id}`; see `mhost agent actions`"),
            details: open
                .unwrap_or_default()
                .iter()
                .map(|one| format!("open: {} ({} {})", one.id, names(&one.plan), one.process))
                .collect(),
        });
    };
    let settings = shared.settings();
    may_decide(
        caller,
        &approval.plan,
        &approval.process,
        &settings.approvers,
    )?;
    if !approval::is_open(&approval) {
        return Err(decided(&approval));
    }
    if approval.expires <= shared.clock.now() {
        expire(shared).await.map_err(unrecorded)?;
        return Err(decided(&approval));
    }
    Ok(approval)
}

fn decided(approval: &Approval) -> ControlError {
    if approval::is_open(approval) {
        return ControlError::Conflict {
            message: format!("question `{}` has expired, which is a no", approval.id),
        };
    }
    let by = approval.decided_by.as_deref().unwrap_or(MACHINE);
    ControlError::Conflict {
        message: format!(
            "question `{}` is already {} (by {by})",
            approval.id,
            approval.state.as_str()
        ),
    }
}

pub(crate) fn unrecorded(error: brain::BrainStoreError) -> ControlError {
    ControlError::Store {
        message: error.to_string(),
    }
}

/// A yes. The question is approved when it was the last one that is needed; the loop runs the
/// plan then.
pub(crate) async fn approve(
    shared: &Arc<Shared>,
    caller: &Caller,
    id: &str,
) -> std::result::Result<Approval, ControlError> {
    let approval = decidable(shared, caller, id).await?;
    if shared.switch().stopped() {
        return Err(ControlError::Conflict {
            message: format!(
                "the agent is stopped, so `{}` waits; to let it act: mhost agent start",
                approval.id
            ),
        });
    }
    if let Some(why) = fallen(shared, &approval).await.map_err(unrecorded)? {
        fall(shared, &approval, &why).await.map_err(unrecorded)?;
        return Err(ControlError::Conflict {
            message: format!(
                "question `{}` no longer fits: {}; see `mhost agent actions` for a new one",
                approval.id,
                why.why()
            ),
        });
    }
    let settings = shared.settings();
    let gone = |vote: &&Vote| approval::gone(&vote.by, &approval.plan, &settings);
    let gone = approval
        .votes
        .iter()
        .filter(gone)
        .map(|vote| vote.by.clone());
    let gone: Vec<String> = gone.collect();
    let vote = Vote {
        person: approval::person(caller),
        by: caller.to_string(),
        at: shared.clock.now(),
    };
    let voted = shared.store.vote(approval.id.clone(), vote, gone.clone());
    match stored(voted).await.map_err(unrecorded)? {
        Voted::Decided(approval) => Ok(*approval),
        Voted::Counted(approval) => {
            let story = json!({
                "approval": approval.id, "by": caller.to_string(),
                "votes": approval.votes.len(), "wanted": approval.wanted, "lapsed": gone,
            });
            shared
                .tell(approval.incident, "voted", story)
                .await
                .map_err(unrecorded)?;
            Ok(*approval)
        }
        Voted::Repeated(approval) => Err(ControlError::Conflict {
            message: format!(
                "you said yes to `{}` already; it needs {} different people",
                approval.id, approval.wanted
            ),
        }),
        Voted::Lost(approval) => Err(decided(&approval)),
        Voted::Unknown => Err(vanished(&approval.id)),
    }
}

fn vanished(id: &str) -> ControlError {
    ControlError::Internal {
        message: format!("approval {id} vanished"),
    }
}

/// A no.
pub(crate) async fn deny(
    shared: &Arc<Shared>,
    caller: &Caller,
    id: &str,
) -> std::result::Result<Approval, ControlError> {
    let approval = decidable(shared, caller, id).await?;
    let by = caller.to_string();
    let won = decide(
        shared,
        &approval,
        ApprovalState::Pending,
        Input::Denied,
        &by,
    )
    .await
    .map_err(unrecorded)?;
    let approval = current(shared, &approval.id, won).await?;
    let text = format!("{by} said no to {}.", names(&approval.plan));
    turned_down(shared, &approval, &format!("denied: by {by}"), &by, text)
        .await
        .map_err(unrecorded)?;
    Ok(approval)
}

async fn current(
    shared: &Arc<Shared>,
    id: &str,
    won: bool,
) -> std::result::Result<Approval, ControlError> {
    let row = stored(shared.store.approval(id.to_owned()))
        .await
        .map_err(unrecorded)?;
    match row {
        Some(approval) if won => Ok(approval),
        Some(approval) => Err(decided(&approval)),
        None => Err(vanished(id)),
    }
}

/// Withdraws the question of a process if the world it was asked about is no more: what somebody
/// would say yes to then is not what was asked. A plan that still fits is asked for anew when the
/// next sign comes.
pub(crate) async fn recheck(shared: &Arc<Shared>, process: &ProcessName) -> Result<()> {
    let waiting = |incident: &brain::Incident| incident.state == IncidentState::AwaitingApproval;
    let Some(incident) = shared.open_of(process).filter(waiting) else {
        return Ok(());
    };
    let open = stored(shared.store.approvals(Some(ApprovalState::Pending), 50)).await?;
    let own = open.iter().filter(|one| one.process == *process);
    for approval in own {
        let Some(why) = changed(shared, approval).await else {
            continue;
        };
        withdraw(shared, process, None, &why).await?;
        if shared.open_of(process).is_some_and(|now| waiting(&now)) {
            shared.advance(process, IncidentInput::Superseded).await?;
        }
        let story = json!({"approval": approval.id, "result": "superseded", "why": why});
        shared.tell(incident.id, "answered", story).await?;
        shared.try_again(incident.id);
        over(shared, &incident, &approval.playbook.0, "closed", &why).await?;
        return Ok(());
    }
    Ok(())
}

/// Runs an approved plan with the role of the person who approved it.
pub(crate) async fn run_approved(shared: Arc<Shared>, approval: Approval, approver: Caller) {
    if let Err(error) = approved(&shared, &approval, &approver).await {
        tracing::error!(
            process = %approval.process,
            approval = %approval.id,
            %error,
            "An approved plan could not be recorded, so it was not carried on.",
        );
    }
}

async fn approved(shared: &Arc<Shared>, approval: &Approval, approver: &Caller) -> Result<()> {
    let waiting = shared.open_of(&approval.process).is_some_and(|incident| {
        incident.id == approval.incident && incident.state == IncidentState::AwaitingApproval
    });
    if !waiting {
        let from = ApprovalState::Approved;
        decide(shared, approval, from, Input::Changed, MACHINE).await?;
        return mark(shared, approval, "skipped: its incident moved on").await;
    }
    // Between the yes and this something else may have been at work on the process.
    if let Some(why) = fallen(shared, approval).await? {
        return fall(shared, approval, &why).await;
    }
    let role = shared.settings().role_now(approver);
    let approver = Caller {
        role,
        ..approver.clone()
    };
    let (errand, authority) = leave_of(approval, &approver);
    mark(shared, approval, "approved").await?;
    let story = json!({"approval": approval.id, "result": "approved", "by": authority.who});
    shared.tell(approval.incident, "answered", story).await?;
    intention::write(shared, &errand, &authority).await?;
    shared
        .advance(&approval.process, IncidentInput::Allowed)
        .await?;
    carry_out(shared, &errand, &authority).await
}

/// The plan of a question that was answered with yes, and by whose leave it runs.
pub(crate) fn leave_of(approval: &Approval, approver: &Caller) -> (Errand, Authority) {
    let authority = Authority {
        caller: Caller {
            principal: approver.principal.clone(),
            role: approver.role,
            via: Via::Playbook(approval.playbook.0.clone()),
        },
        who: approval::voters(approval).unwrap_or_else(|| approver.to_string()),
        approval: Some(approval.id.clone()),
    };
    (errand_of(approval), authority)
}
