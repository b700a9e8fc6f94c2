//! Does a yes still stand at the moment when its plan would begin?
//!
//! ```text
//!   yes ──► world ──► agent ──► gate ──► who said it ──► carried out
//!             │         │         │           └─ may not any more ─┐
//!             │         │         ├─ more risk than asked ─────────┤
//!             └ changed ┴ stopped ┼────────────────────────────────┴► thought about anew
//!                                 └─ refused ───────────────────────► a person has it
//! ```
//!
//! A yes answers what the gate asked, and nothing else. Minutes may lie between the two, and a
//! kill of the daemon: so the gate is put the plan once more, and what it would ask by now has
//! its answer, but what it refuses is not done, whoever said yes.

use std::sync::Arc;

use brain::{Approval, ApprovalState, IncidentInput, IncidentState, Proposal, Severity};
use serde_json::json;

use super::{MACHINE, decide, errand_of, mark, names, of_playbook};
use crate::approval::{self, Input, Preconditions, gone, lapse};
use crate::carry::escalate;
use crate::grant::{self, risk_of};
use crate::policy::Decision;
use crate::shared::{Shared, stored};
use crate::worker::{self, Result, is_foreign};

/// Why a plan that people said yes to does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fallen {
    /// It is not what was asked about: another question, if any, takes its place.
    Anew(String),
    /// The gate refuses it by now.
    Refused(String),
}

impl Fallen {
    pub(crate) fn why(&self) -> &str {
        match self {
            Self::Anew(why) | Self::Refused(why) => why,
        }
    }
}

/// What is no longer as it was when the question was asked.
pub(super) async fn changed(shared: &Arc<Shared>, approval: &Approval) -> Option<String> {
    match shared.open_of(&approval.process) {
        Some(incident) if incident.id == approval.incident => {}
        _ => return Some("its incident is over".into()),
    }
    let facts = shared.look(&approval.process).await.map(|(facts, _)| facts);
    match serde_json::from_value::<Preconditions>(approval.preconditions.clone()) {
        Ok(preconditions) => preconditions.changed(facts.as_ref()),
        Err(_) => Some("it was asked by another version of mhost".into()),
    }
}

/// What stands between a yes to this question and its plan, if anything does.
pub(crate) async fn fallen(shared: &Arc<Shared>, approval: &Approval) -> Result<Option<Fallen>> {
    let anew = |why: String| Ok(Some(Fallen::Anew(why)));
    if let Some(why) = changed(shared, approval).await {
        return anew(why);
    }
    if shared.switch().stopped() {
        return anew("somebody stopped the agent".into());
    }
    let playbook = &approval.playbook;
    if approval.version.is_some() && grant::version(shared, &playbook.0).await.is_none() {
        return anew(format!("playbook `{playbook}` is not in use any more"));
    }
    let proposal = Proposal {
        cause: String::new(),
        confidence: 1.0,
        evidence: Vec::new(),
        plan: approval.plan.clone(),
        playbook: playbook.clone(),
        version: None,
    };
    let asked = risk_of(&approval.risk);
    match worker::weigh(shared, &approval.process, &proposal).await? {
        None => return anew("the process is gone".into()),
        Some((_, Decision::Refuse(why))) => return Ok(Some(Fallen::Refused(why))),
        Some((risk, _)) if risk > asked => {
            let (is, was) = (risk.as_str(), asked.as_str());
            return anew(format!("it is of {is} risk now, and was of {was} risk"));
        }
        Some(_) => {}
    }
    Ok(too_few(shared, approval).map(Fallen::Anew))
}

/// Who of those by whose yes it is approved may not say it any more, if so many are left out
/// that the others are too few.
pub(crate) fn too_few(shared: &Shared, approval: &Approval) -> Option<String> {
    if approval.state != ApprovalState::Approved {
        return None;
    }
    let settings = shared.settings();
    let left: Vec<String> = if approval.votes.is_empty() {
        // Of a version that wrote down one name only.
        let by = approval.decided_by.iter();
        by.filter(|by| gone(by, &approval.plan, &settings))
            .cloned()
            .collect()
    } else {
        let now = lapse(approval.clone(), &settings);
        let enough = now.votes.len() >= usize::from(approval.wanted);
        let lapsed = now.lapsed.into_iter().skip(approval.lapsed.len());
        lapsed.filter(|_| !enough).map(|vote| vote.by).collect()
    };
    let names = left.join(" and ");
    (!left.is_empty()).then(|| format!("the yes of {names} no longer counts"))
}

/// Withdraws a question with the reason. The incident goes on as if the plan had just been
/// made; what nobody would make again is a person's, as what is refused.
pub(crate) async fn fall(shared: &Arc<Shared>, approval: &Approval, fallen: &Fallen) -> Result<()> {
    let (process, why) = (&approval.process, fallen.why());
    if !decide(shared, approval, approval.state, Input::Changed, MACHINE).await? {
        return Ok(());
    }
    let refused = matches!(fallen, Fallen::Refused(_));
    let word = if refused { "refused" } else { "skipped" };
    mark(shared, approval, &format!("{word}: {why}")).await?;
    let story = json!({"approval": approval.id, "result": "superseded", "why": why});
    shared.tell(approval.incident, "answered", story).await?;
    let state = shared
        .open_of(process)
        .filter(|incident| incident.id == approval.incident)
        .map(|incident| incident.state);
    let who = approval::voters(approval).or_else(|| approval.decided_by.clone());
    let plan = names(&approval.plan);
    let text = match who {
        Some(who) => format!("{plan}, to which {who} said yes, was not done: {why}."),
        None => format!("Not done: {plan}, because {why}."),
    };
    let waits = matches!(
        state,
        Some(IncidentState::AwaitingApproval | IncidentState::Acting)
    );
    if waits
        && (refused || is_foreign(&approval.playbook.0) && !world_changed(shared, approval).await)
    {
        shared.advance(process, IncidentInput::Escalated).await?;
        stored(shared.store.set_outcome(approval.incident, "refused")).await?;
        let authority = of_playbook(&approval.playbook, &shared.settings().role, None);
        return escalate(shared, &errand_of(approval), &authority, text).await;
    }
    match state {
        Some(IncidentState::AwaitingApproval) => {
            shared.advance(process, IncidentInput::Superseded).await?;
        }
        Some(IncidentState::Acting) => shared.advance(process, IncidentInput::NextPlan).await?,
        _ => {}
    }
    if approval.state == ApprovalState::Approved
        && let Some(incident) = shared.open_of(process)
    {
        shared
            .announce(&incident, Severity::Warning, false, text)
            .await;
    }
    shared.try_again(approval.incident);
    if let Some(incident) = shared.open_of(process)
        && super::over(shared, &incident, &approval.playbook.0, "closed", why).await?
    {
        return Ok(());
    }
    shared.postpone(process);
    Ok(())
}

/// Then a new sign, or that it is well, says how the incident goes on.
async fn world_changed(shared: &Arc<Shared>, approval: &Approval) -> bool {
    changed(shared, approval).await.is_some()
}
