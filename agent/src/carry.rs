//! Carrying out a plan that has leave to run, and measuring what came of it.
//!
//! Each step has its row before it runs and its result after. The first failure ends the
//! plan. Then the trouble is measured until it is gone, or shown not to be.
//! It is one piece although it is long: one errand, from its first step to its last word.

use std::sync::Arc;
use std::time::Duration;

use brain::memory::Cure;
use brain::{
    Action, ActionId, ApprovalState, IncidentId, IncidentInput, NewAction, Plan, PlaybookId,
    Severity, Step,
};
use jiff::Timestamp;
use serde_json::json;
use supervisor::{Caller, ProcessName, until};

use crate::aftermath::{another_may_help, hand_over, put_back};
use crate::approval::{Input, step};
use crate::course::Course;
use crate::mind::Check;
use crate::policy::Risk;
use crate::run::perform;
use crate::shared::{Shared, Unhelped, stored};
use crate::undo::{self, Before};
use crate::verify::{self, LONGEST, Outcome, Seen, wants_down};
use crate::worker::{Result, is_foreign};

/// How often a verification looks.
const LOOK: Duration = Duration::from_secs(1);

/// By whose leave a plan runs.
#[derive(Debug, Clone)]
pub(crate) struct Authority {
    /// Who calls, with the role that counts.
    pub(crate) caller: Caller,
    /// Who is named in the history.
    pub(crate) who: String,
    /// The approval, when a person was asked.
    pub(crate) approval: Option<String>,
}

/// A plan on its way.
#[derive(Debug, Clone)]
pub(crate) struct Errand {
    pub(crate) incident: IncidentId,
    pub(crate) process: ProcessName,
    pub(crate) playbook: PlaybookId,
    pub(crate) plan: Plan,
    pub(crate) risk: Risk,
    /// What the gate said: `run`, `run: by grant …`, `ask: …`, `refuse: …`.
    pub(crate) gate: String,
}

impl Errand {
    fn changes(&self) -> bool {
        self.plan
            .steps
            .iter()
            .any(|step| step.action.changes_state())
    }
}

/// Writes the row of one step.
async fn begin(
    shared: &Shared,
    errand: &Errand,
    authority: &Authority,
    action: &Action,
) -> Result<ActionId> {
    stored(shared.store.begin_action(NewAction {
        incident: Some(errand.incident),
        process: errand.process.clone(),
        at: shared.clock.now(),
        actor: authority.who.clone(),
        playbook: Some(errand.playbook.clone()),
        action: action.clone(),
        risk: errand.risk.as_str().to_owned(),
        gate: errand.gate.clone(),
        approval: authority.approval.clone(),
    }))
    .await
}

/// Writes rows for steps of which the result is known at once; words are said.
pub(crate) async fn note_rows(
    shared: &Arc<Shared>,
    errand: &Errand,
    authority: &Authority,
    result: &str,
) -> Result<()> {
    for step in &errand.plan.steps {
        let row = begin(shared, errand, authority, &step.action).await?;
        stored(shared.store.end_action(row, result)).await?;
        if result == "done" {
            say(shared, errand, &step.action).await?;
        }
    }
    Ok(())
}

/// Tells people what a step has to say.
async fn say(shared: &Shared, errand: &Errand, action: &Action) -> Result<bool> {
    let (severity, escalation, text) = match action {
        Action::Notify { severity, text } => (*severity, *severity == Severity::Critical, text),
        Action::Escalate { text } => (Severity::Critical, true, text),
        _ => return Ok(false),
    };
    if escalation {
        stored(shared.store.set_escalated(errand.incident)).await?;
    }
    if let Some(incident) = shared.open_of(&errand.process) {
        shared
            .announce(&incident, severity, escalation, text.clone())
            .await;
    }
    Ok(escalation)
}

/// Hands an incident to a person, with a row in the history.
pub(crate) async fn escalate(
    shared: &Arc<Shared>,
    errand: &Errand,
    authority: &Authority,
    text: String,
) -> Result<()> {
    let errand = Errand {
        plan: Plan {
            steps: vec![Step {
                action: Action::Escalate { text },
                why: "a person is needed".into(),
            }],
            ask: None,
        },
        risk: Risk::None,
        gate: "run".into(),
        ..errand.clone()
    };
    note_rows(shared, &errand, authority, "done").await
}

/// Runs a plan and measures it. The incident is in `acting`, or `escalated` when the plan
/// only contains damage.
pub(crate) async fn carry_out(
    shared: &Arc<Shared>,
    errand: &Errand,
    authority: &Authority,
) -> Result<()> {
    let process = &errand.process;
    let changes = errand.changes();
    // Also a plan that only talks counts as a run: a playbook rests after it.
    let run = shared.store.begin_run(
        errand.playbook.clone(),
        process.clone(),
        errand.incident,
        shared.clock.now(),
    );
    stored(run).await?;
    shared.count_plan(errand.incident);
    let before = match shared.look(process).await {
        Some((facts, crashes)) if changes => Some(Before::of(&facts, crashes)),
        _ => None,
    };
    // An intention like the rows of the steps: a new daemon must know what to put back.
    if let Some(before) = &before {
        shared
            .tell(errand.incident, undo::BEFORE, json!(before))
            .await?;
    }
    carry_on(shared, errand, authority, 0, Course::default()).await
}

/// Goes on with a plan of which so many steps were done, and measures it.
pub(crate) async fn carry_on(
    shared: &Arc<Shared>,
    errand: &Errand,
    authority: &Authority,
    done: usize,
    mut course: Course,
) -> Result<()> {
    let process = &errand.process;
    let changes = errand.changes();
    let mut escalated = false;
    let mut failure = None;
    let mut broken_off = None;
    for step in errand.plan.steps.iter().skip(done) {
        let (playbook, action) = (&errand.playbook.0, &step.action);
        if let Some(why) = course.barred(shared, process, playbook, action).await {
            let story = json!({
                "action": action, "why": step.why, "by": authority.who,
                "result": format!("skipped: {why}"),
            });
            shared.tell(errand.incident, "acted", story).await?;
            broken_off = Some(format!("{} was not done, because {why}", action.name()));
            break;
        }
        let row = begin(shared, errand, authority, &step.action).await?;
        let done = perform(
            shared.control.as_ref(),
            shared.revisions.as_ref(),
            &authority.caller,
            process,
            errand.incident,
            &step.action,
        )
        .await;
        let result = match &done {
            Ok(()) => "done".to_owned(),
            Err(error) => format!("failed: {error}"),
        };
        tracing::info!(
            process = %process,
            incident = %errand.incident,
            playbook = %errand.playbook,
            action = step.action.name(),
            risk = errand.risk.as_str(),
            actor = %authority.who,
            result = %result,
            "The agent acted.",
        );
        let story = json!({
            "action": step.action, "why": step.why, "by": authority.who, "result": result,
        });
        stored(shared.store.end_action(row, result)).await?;
        shared.tell(errand.incident, "acted", story).await?;
        match done {
            Ok(()) => {
                escalated |= say(shared, errand, &step.action).await?;
                course.passed(shared, process, &step.action).await;
            }
            Err(error) => {
                failure = Some(format!("{} failed: {error}", step.action.name()));
                break;
            }
        }
    }
    let acting = shared
        .open_of(process)
        .is_some_and(|incident| incident.state == brain::IncidentState::Acting);
    // Nobody knows whether all of it would have helped.
    if let Some(why) = broken_off {
        return break_off(shared, errand, authority, why, escalated).await;
    }
    if let Some(why) = failure {
        let undone = put_back(shared, errand, authority, shared.clock.now()).await?;
        let next = acting && !undone && another_may_help(shared, errand, escalated).await?;
        if acting {
            let input = if next {
                IncidentInput::NextPlan
            } else {
                IncidentInput::ActionFailed
            };
            shared.advance(process, input).await?;
        }
        let outcome = Outcome::Failed(why);
        return close(shared, errand, authority, &outcome, escalated, next).await;
    }
    if !changes {
        if acting {
            let input = if escalated {
                IncidentInput::Escalated
            } else {
                IncidentInput::Noted
            };
            shared.advance(process, input).await?;
        }
        if escalated {
            stored(shared.store.set_outcome(errand.incident, "escalated")).await?;
        }
        return settle_approval(shared, authority, true).await;
    }
    if acting {
        shared.advance(process, IncidentInput::Acted).await?;
    }
    let acted = shared.clock.now();
    let outcome = measure(shared, errand, acted, acted).await;
    conclude(shared, errand, authority, &outcome, escalated, acted).await
}

/// Ends a plan of which a part was done, and hands it to a person.
pub(crate) async fn break_off(
    shared: &Arc<Shared>,
    errand: &Errand,
    authority: &Authority,
    why: String,
    escalated: bool,
) -> Result<()> {
    let acting = shared
        .open_of(&errand.process)
        .is_some_and(|incident| incident.state == brain::IncidentState::Acting);
    if acting {
        shared
            .advance(&errand.process, IncidentInput::ActionFailed)
            .await?;
    }
    let outcome = Outcome::Unknown(why);
    close(shared, errand, authority, &outcome, escalated, false).await
}

/// Moves a measured incident on and closes its books.
pub(crate) async fn conclude(
    shared: &Arc<Shared>,
    errand: &Errand,
    authority: &Authority,
    outcome: &Outcome,
    escalated: bool,
    acted: Timestamp,
) -> Result<()> {
    let verifying = shared
        .open_of(&errand.process)
        .is_some_and(|incident| incident.state == brain::IncidentState::Verifying);
    let helped = matches!(outcome, Outcome::Success | Outcome::Unknown(_));
    let undone = !helped && put_back(shared, errand, authority, acted).await?;
    let next =
        verifying && !helped && !undone && another_may_help(shared, errand, escalated).await?;
    let input = match outcome {
        _ if next => IncidentInput::NextPlan,
        // What was halted on purpose waits for a person; it is not well.
        Outcome::Success if escalated || wants_down(&errand.plan) => IncidentInput::Escalated,
        Outcome::Success => IncidentInput::Verified,
        Outcome::Failed(_) | Outcome::Partial(_) | Outcome::Unknown(_) => IncidentInput::NotHelped,
    };
    // Nobody takes up an incident that is over: its books are closed before it is. A daemon that
    // ends in between leaves it to be measured again.
    let is_end = matches!(input, IncidentInput::Verified);
    if verifying && !is_end {
        shared.advance(&errand.process, input).await?;
    }
    close(shared, errand, authority, outcome, escalated, next).await?;
    if verifying && is_end {
        shared.advance(&errand.process, input).await?;
    }
    Ok(())
}

/// Records an outcome everywhere it counts.
async fn close(
    shared: &Arc<Shared>,
    errand: &Errand,
    authority: &Authority,
    outcome: &Outcome,
    escalated: bool,
    next: bool,
) -> Result<()> {
    let (id, store) = (errand.incident, &shared.store);
    stored(store.set_action_outcome(id, outcome.as_str())).await?;
    let helped = match outcome {
        Outcome::Success => Some(true),
        Outcome::Failed(_) | Outcome::Partial(_) => Some(false),
        Outcome::Unknown(_) => None,
    };
    stored(store.end_run(errand.playbook.clone(), id, helped)).await?;
    let story = json!({"outcome": outcome.as_str(), "why": outcome.why()});
    shared.tell(id, "verified", story).await?;
    learn(shared, errand, authority, helped).await?;
    let helped = *outcome == Outcome::Success;
    let word = match outcome {
        Outcome::Success if wants_down(&errand.plan) => "contained",
        Outcome::Success => "verified",
        _ => "failed",
    };
    // While another plan is looked for it is not over.
    if !next {
        stored(store.set_outcome(id, word)).await?;
    }
    settle_approval(shared, authority, helped).await?;
    if helped {
        if wants_down(&errand.plan) && !escalated {
            let text = "It is held so that it does no more harm, and waits for a person.";
            escalate(shared, errand, authority, text.into()).await?;
        }
        return Ok(());
    }
    let names: Vec<_> = errand.plan.steps.iter().map(|s| s.action.name()).collect();
    let became = match outcome {
        Outcome::Unknown(_) => "came to no end",
        _ => "did not help",
    };
    let text = format!(
        "{} {became}: {}",
        names.join(", "),
        outcome.why().unwrap_or("the trouble goes on")
    );
    let unhelped = Unhelped {
        errand: errand.clone(),
        authority: authority.clone(),
        text,
    };
    if next {
        shared
            .tell(id, "next", json!({"why": unhelped.text}))
            .await?;
        shared.did_not_help(unhelped);
        shared.again(&errand.process);
        return Ok(());
    }
    hand_over(shared, &unhelped).await
}

/// Lets the brain learn from an outcome.
async fn learn(
    shared: &Arc<Shared>,
    errand: &Errand,
    authority: &Authority,
    helped: Option<bool>,
) -> Result<()> {
    let Some(helped) = helped else {
        return Ok(());
    };
    let found = stored(shared.store.incident(errand.incident)).await?;
    let cure = found
        .filter(|_| helped && !wants_down(&errand.plan))
        .map(|stored| Cure {
            confidence: stored.confidence.unwrap_or(0.0),
            incident: stored.incident,
            illness: None,
            plan: errand.plan.clone(),
            by: by_whom(errand, authority),
            at: shared.clock.now(),
        });
    let playbook = errand.playbook.clone();
    shared
        .blocking(move |shared| {
            shared.mind.outcome(&playbook, helped);
            if let Some(cure) = cure {
                shared.mind.cured(cure);
            }
        })
        .await;
    Ok(())
}

/// Whose idea the cure was, and who gave leave.
fn by_whom(errand: &Errand, authority: &Authority) -> String {
    let (idea, leave) = (&errand.playbook.0, &authority.who);
    if is_foreign(idea) && authority.approval.is_some() {
        format!("{idea}, with leave of {leave},")
    } else {
        leave.clone()
    }
}

/// Runs steps one by one, without an incident's moves and without a measurement.
pub(crate) async fn do_steps(
    shared: &Arc<Shared>,
    errand: &Errand,
    authority: &Authority,
) -> Result<()> {
    for step in &errand.plan.steps {
        let row = begin(shared, errand, authority, &step.action).await?;
        let done = perform(
            shared.control.as_ref(),
            shared.revisions.as_ref(),
            &authority.caller,
            &errand.process,
            errand.incident,
            &step.action,
        )
        .await;
        let result = done.map_or_else(|error| format!("failed: {error}"), |()| "done".into());
        let well = result == "done";
        stored(shared.store.end_action(row, result)).await?;
        if !well {
            break;
        }
        say(shared, errand, &step.action).await?;
    }
    Ok(())
}

/// An approved plan ran: its approval says how.
async fn settle_approval(shared: &Shared, authority: &Authority, well: bool) -> Result<()> {
    let Some(id) = &authority.approval else {
        return Ok(());
    };
    let input = if well {
        Input::RanWell
    } else {
        Input::RanBadly
    };
    if let Ok(to) = step(ApprovalState::Approved, input) {
        let now = shared.clock.now();
        let by = authority.who.clone();
        stored(
            shared
                .store
                .decide(id.clone(), ApprovalState::Approved, to, by, now),
        )
        .await?;
    }
    Ok(())
}

/// Looks until there is an outcome. What happened counts from `acted` on, and quiet only from
/// `watched` on: nothing is known of a time in which nobody looked.
pub(crate) async fn measure(
    shared: &Arc<Shared>,
    errand: &Errand,
    acted: Timestamp,
    watched: Timestamp,
) -> Outcome {
    loop {
        tokio::time::sleep(LOOK).await;
        let (process, events) = shared.look_since(&errand.process, acted).await;
        let own = match shared.open_of(&errand.process) {
            Some(incident) => {
                let playbook = errand.playbook.clone();
                shared
                    .blocking(move |shared| {
                        let facts = &shared.facts;
                        shared.mind.verify(&playbook, &incident, watched, facts)
                    })
                    .await
                    .unwrap_or(Check::None)
            }
            None => Check::None,
        };
        let age = until(watched, shared.clock.now());
        let seen = Seen {
            process: process.as_ref(),
            events: &events,
            age,
            window: shared.settings().verify_window,
        };
        if let Some(outcome) = verify::check(&errand.plan, own, seen) {
            return outcome;
        }
        if age > LONGEST * 2 {
            return Outcome::Unknown("it came to no rest".into());
        }
    }
}
