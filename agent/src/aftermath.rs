//! What follows when a plan did not help: it is put back if things are worse, another plan is
//! looked for within the budgets, and when there is none a person is called.
//!
//! Nothing here is measured again: what contains damage after a failure is the last word of a
//! machine in an incident.

use std::sync::Arc;

use brain::{Plan, Severity, Step};
use jiff::Timestamp;
use serde_json::json;
use supervisor::{EventKind, after};

use crate::budget::{FAILURE_PAUSE, FAILURES_IN_A_ROW, WINDOW};
use crate::carry::{Authority, Errand, do_steps, escalate};
use crate::course;
use crate::report;
use crate::shared::{Shared, Unhelped, before, stored};
use crate::undo::{self, After, Before};
use crate::verify::wants_down;
use crate::worker::Result;

/// Plans that are tried within one incident before a person is called.
const MOST_PLANS: u32 = 3;

/// Puts back what a plan changed, if things are worse now than before it. True if they are:
/// then nothing more is tried.
pub(crate) async fn put_back(
    shared: &Arc<Shared>,
    errand: &Errand,
    authority: &Authority,
    acted: Timestamp,
) -> Result<bool> {
    let story = stored(shared.store.steps(errand.incident)).await?;
    let line = story.iter().rev().find(|line| line.kind == undo::BEFORE);
    let before = line.and_then(|line| serde_json::from_value::<Before>(line.data.clone()).ok());
    let (facts, events) = shared.look_since(&errand.process, acted).await;
    let (Some(before), Some(facts)) = (before, facts) else {
        return Ok(false);
    };
    let died = events.iter().filter(|event| event.kind == EventKind::Crash);
    let after = After::of(&facts, u32::try_from(died.count()).unwrap_or(u32::MAX));
    let Some(why) = undo::worse(&before, &after).filter(|_| !wants_down(&errand.plan)) else {
        return Ok(false);
    };
    let (crashes, mut kept) = (after.crashes, Vec::new());
    let steps: Vec<Step> = undo::undo(&errand.plan, &before, &after)
        .into_iter()
        .filter(|action| {
            let looked = Some((facts.clone(), crashes));
            let refused = course::refusal(shared, &errand.playbook.0, action, looked);
            kept.extend(
                refused
                    .as_ref()
                    .map(|no| json!({"action": action, "why": no})),
            );
            refused.is_none()
        })
        .map(|action| Step {
            action,
            why: format!("it is worse than before: {why}"),
        })
        .collect();
    let names: Vec<_> = steps
        .iter()
        .map(|step| report::describe(&step.action))
        .collect();
    tracing::warn!(
        process = %errand.process,
        incident = %errand.incident,
        undone = names.len(),
        reason = %why,
        "A plan made things worse.",
    );
    let back = Errand {
        plan: Plan { steps, ask: None },
        // Whoever let the plan run let it be undone; the budget counts what tries to heal.
        gate: "undo".into(),
        ..errand.clone()
    };
    do_steps(shared, &back, authority).await?;
    let story = json!({"why": why, "actions": names, "refused": kept});
    shared.tell(errand.incident, "undone", story).await?;
    Ok(true)
}

/// May another plan be looked for after this one did not help: within the budgets, and while
/// nobody has been told to take over?
pub(crate) async fn another_may_help(
    shared: &Arc<Shared>,
    errand: &Errand,
    escalated: bool,
) -> Result<bool> {
    let plans = shared.plans(errand.incident);
    if escalated || wants_down(&errand.plan) || plans >= MOST_PLANS || shared.switch().stopped() {
        return Ok(false);
    }
    let standing = shared.standing(&errand.process, "").await?;
    let now = shared.clock.now();
    let used = stored(
        shared
            .store
            .budget(errand.process.clone(), before(now, WINDOW)),
    )
    .await?;
    // This failure is not counted yet.
    Ok(standing.over().is_none() && used.failed_in_a_row + 1 < FAILURES_IN_A_ROW)
}

/// Nothing helped: a person is told, and what the playbook wants then is done as far as it may.
pub(crate) async fn hand_over(shared: &Arc<Shared>, unhelped: &Unhelped) -> Result<()> {
    let Unhelped {
        errand,
        authority,
        text,
    } = unhelped;
    escalate(shared, errand, authority, text.clone()).await?;
    otherwise(shared, errand).await?;
    pause_after_failures(shared, errand).await
}

/// What the playbook wants when its plan did not help, as far as it may be done unasked: to
/// tell people always, anything else only if it contains the damage. It is not measured, and
/// nothing follows from it.
async fn otherwise(shared: &Arc<Shared>, errand: &Errand) -> Result<()> {
    let Some(incident) = shared.open_of(&errand.process) else {
        return Ok(());
    };
    let (playbook, acted) = (errand.playbook.clone(), shared.clock.now());
    let plan = shared
        .blocking(move |shared| {
            let facts = &shared.facts;
            shared.mind.on_failure(&playbook, &incident, acted, facts)
        })
        .await
        .flatten();
    match plan {
        Some(plan) => crate::worker::otherwise(shared, errand, plan).await,
        None => Ok(()),
    }
}

/// Keeps its hands off for an hour when nothing it does helps.
async fn pause_after_failures(shared: &Arc<Shared>, errand: &Errand) -> Result<()> {
    let now = shared.clock.now();
    let since = before(now, WINDOW);
    let used = stored(shared.store.budget(errand.process.clone(), since)).await?;
    if used.failed_in_a_row < FAILURES_IN_A_ROW || shared.switch().pause(now).is_some() {
        return Ok(());
    }
    let why = format!("{} actions in a row did not help", used.failed_in_a_row);
    let end = after(now, FAILURE_PAUSE);
    let turned = shared
        .turn(|switch| {
            switch.paused_until = Some(end);
            switch.paused_why = Some(why.clone());
        })
        .await;
    if let Err(error) = turned {
        tracing::warn!(%error, "The pause of the agent could not be written down.");
    }
    let text = format!("The agent pauses until {end}: {why}. `mhost agent resume` ends it.");
    shared
        .approver
        .announce(&crate::approver::Notice {
            severity: Severity::Critical,
            process: Some(errand.process.clone()),
            incident: Some(errand.incident),
            escalation: true,
            text,
        })
        .await;
    Ok(())
}
