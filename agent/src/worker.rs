//! One incident, from a thought to a measured outcome.
//!
//!   diagnose ─► policy ─► carry out ─► verify ─► resolved | escalated
//!                 ├─ ask ───► approval, and this worker ends; a yes starts another one
//!                 └─ refuse ► recorded, and a person is told
//!
//! It is one piece although it is long: the way of one thought through the gate.
//! The loop starts at most one worker per process, which is the lock: no second action can
//! begin before the first is measured. What cannot be recorded is not done.
//! It is one piece although it is long: the arrows above, in their order.

use std::sync::Arc;

use brain::{
    Action, BrainStoreError, Incident, IncidentInput, IncidentState, Plan, ProcessFacts, Proposal,
    Severity, SymptomKind,
};
use jiff::tz::TimeZone;
use serde_json::json;
use supervisor::{Caller, ProcessName, Status, Via, until};

use crate::aftermath::hand_over;
use crate::approval::digest;
use crate::budget::Standing;
use crate::carry::{Authority, Errand, carry_out, do_steps, escalate, note_rows};
use crate::consult;
use crate::group;
use crate::mind::{Asking, Diagnosis};
use crate::policy::{Autonomy, Case, Decision, Risk, Target, capped, decide_plan};
use crate::question;
use crate::shared::{Shared, stored};

/// The line of an incident's story that holds its root cause.
pub(crate) const CAUSE: &str = "cause";

/// Longest title of an incident, in characters.
const TITLE: usize = 120;

pub(crate) type Result<T> = std::result::Result<T, BrainStoreError>;

/// Thinks about the open incident of a process, and does what follows.
pub(crate) async fn consider(shared: Arc<Shared>, process: ProcessName) {
    if let Err(error) = think(&shared, &process).await {
        tracing::error!(
            process = %process,
            %error,
            "An incident could not be recorded, so nothing is done about it.",
        );
    }
}

async fn think(shared: &Arc<Shared>, process: &ProcessName) -> Result<()> {
    let Some(incident) = shared.open_of(process) else {
        return Ok(());
    };
    let merged = incident.state == IncidentState::Merged;
    if incident.state.is_busy() || incident.state.is_over() || merged {
        return Ok(());
    }
    let before = shared.look(process).await.map(|(facts, _)| facts);
    let asking = asking(shared, process).await?;
    let mut seen = incident.clone();
    if before.as_ref().is_some_and(comes_back) {
        forget_the_end(&mut seen);
    }
    let leave = shared.thoughts.acquire().await;
    let diagnosis = shared
        .blocking(move |shared| shared.mind.diagnose(&seen, &shared.facts, &asking))
        .await
        .unwrap_or_default();
    drop(leave);
    let incident = group::recognise(shared, incident, &diagnosis).await?;
    explain(shared, &incident, &diagnosis).await?;
    if let Some(case) = &diagnosis.case
        && group::blame(shared, &incident, case).await?
    {
        return Ok(());
    }
    // A sign is looked into while it lasts; to act wants a proof.
    let suspected = |incident: Incident| incident.state == IncidentState::Suspected;
    if shared.open_of(process).is_none_or(suspected) {
        return Ok(());
    }
    // Also what nobody knew a cure for is asked about by playbooks that are written later.
    if diagnosis.proposal.is_none()
        && let Some(recording) = &diagnosis.recording
        && let Some(sign) = incident.symptoms.last()
        && shared.try_once(incident.id, &format!("recorded {}", sign.kind.as_str()))
    {
        let (now, recording) = (shared.clock.now(), recording.clone());
        stored(shared.store.keep_recording(incident.id, now, recording)).await?;
    }
    decide(shared, &incident, diagnosis, before).await?;
    Ok(())
}

/// Is it up again, or about to be started again?
fn comes_back(process: &ProcessFacts) -> bool {
    match process.state {
        Status::Starting | Status::Online => true,
        Status::Errored => process.detail.contains("retry"),
        Status::Stopped | Status::Stopping => false,
    }
}

/// A run that was ended for its probe is told twice: that the probe failed, and that the run is
/// over. Of a process that comes back the first is what counts.
fn forget_the_end(incident: &mut Incident) {
    while let [.., before, last] = incident.symptoms.as_slice()
        && last.kind == SymptomKind::Errored
        && last.data["reason"] == "probe"
        && before.kind != SymptomKind::Sign
    {
        incident.symptoms.pop();
    }
}

/// Why a plan no longer fits the process it was made for, if so: it got well by itself while
/// one thought, or somebody holds or stopped it.
fn overtaken(before: Option<&ProcessFacts>, now: &ProcessFacts) -> Option<&'static str> {
    let before = before?;
    if !brain::is_well(before) && brain::is_well(now) {
        return Some("it is well again");
    }
    if before.wanted && !now.wanted {
        return Some("it is not meant to run any more");
    }
    (!before.held && now.held).then_some("somebody holds it")
}

/// A text of at most so many characters, with a sign where something was left out.
fn cut_at_a_word(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let cut: String = text.chars().take(most - 1).collect();
    let whole = cut
        .rsplit_once(' ')
        .map_or(cut.as_str(), |(whole, _)| whole);
    format!("{}…", whole.trim_end_matches([',', ';', ':', ' ']))
}

/// Keeps the root cause in the incident's story, if it is surer than what was known.
async fn explain(shared: &Shared, incident: &Incident, diagnosis: &Diagnosis) -> Result<()> {
    let Some(case) = diagnosis.case.as_ref().filter(|case| case.is_telling()) else {
        return Ok(());
    };
    if !shared.knows_better(incident.id, case) {
        return Ok(());
    }
    shared.tell(incident.id, CAUSE, json!(case)).await?;
    let title = case
        .root_cause
        .split_inclusive(". ")
        .next()
        .unwrap_or_default();
    let title = cut_at_a_word(title.trim().trim_end_matches('.'), TITLE);
    shared
        .change(&incident.process, |incident| incident.title = title)
        .await
}

/// Does what follows from a slow look that found something, or from what somebody asked for.
/// An incident that is open takes it up, else one is opened.
pub(crate) async fn found(shared: Arc<Shared>, process: ProcessName, diagnosis: Diagnosis) -> Put {
    let done = async {
        let incident = match shared.open_of(&process) {
            Some(incident) if incident.state == IncidentState::Merged => {
                return Ok(Put::dropped(format!(
                    "{} belongs to the incident of another process",
                    incident.id
                )));
            }
            Some(incident) => incident,
            None => {
                let now = shared.clock.now();
                shared
                    .open_new(Incident::look(process.clone(), now))
                    .await?
            }
        };
        shared
            .change(&process, |incident| incident.prove(SymptomKind::Tick))
            .await?;
        let incident = shared.open_of(&process).unwrap_or(incident);
        explain(&shared, &incident, &diagnosis).await?;
        decide(&shared, &incident, diagnosis, None).await
    };
    match done.await {
        Ok(put) => put,
        Err(error) => {
            tracing::error!(
                process = %process,
                %error,
                "An incident could not be recorded, so nothing is done about it.",
            );
            Put::dropped("it could not be recorded; see the log of the daemon")
        }
    }
}

/// What the brain should know when it is asked.
pub(crate) async fn asking(shared: &Shared, process: &ProcessName) -> Result<Asking> {
    let now = shared.clock.now();
    let settings = shared.settings();
    let enabled = shared.switch().enabled(settings.enabled);
    Ok(Asking {
        autonomous: settings.level("", enabled) == Autonomy::Autonomous,
        runs: stored(shared.store.runs(process.clone(), now)).await?,
    })
}

/// What became of a plan that was put to the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// People are asked, under this id.
    Asked(String),
    /// It was carried out.
    Done,
    /// Nothing is done, for this reason.
    Dropped(String),
}

impl Put {
    fn dropped(why: impl Into<String>) -> Self {
        Self::Dropped(why.into())
    }
}

/// Puts a proposal through the policy and does what it says.
pub(crate) async fn decide(
    shared: &Arc<Shared>,
    incident: &Incident,
    diagnosis: Diagnosis,
    before: Option<ProcessFacts>,
) -> Result<Put> {
    let process = &incident.process;
    let seeking = shared.seeks_another(incident.id);
    let Some(proposal) = diagnosis.proposal.clone() else {
        lost(shared, incident, &diagnosis, before).await?;
        return Ok(Put::dropped("there is no plan"));
    };
    // What failed is not done again under another name, and a note is no other plan.
    let deeds = deeds(&proposal.plan);
    if seeking && (deeds.steps.is_empty() || shared.was_tried(incident.id, &digest("", &deeds))) {
        lost(shared, incident, &diagnosis, before).await?;
        return Ok(Put::dropped("it was tried before and did not help"));
    }
    let digest = digest(&proposal.playbook.0, &proposal.plan);
    // A loop that begins again after a person started the process is stopped again; rest and
    // budget say how often.
    let containing = incident.state == IncidentState::Escalated && contains(&proposal.plan);
    let tried = !containing && shared.was_tried(incident.id, &digest);
    if proposal.plan.steps.is_empty() || tried {
        lost(shared, incident, &diagnosis, before).await?;
        let id = incident.id;
        return Ok(Put::dropped(format!(
            "this plan was decided on before; see: mhost brain explain {id}"
        )));
    }
    let switch = shared.switch();
    if switch.stopped() {
        shared.postpone(process);
        return Ok(Put::dropped(
            "the agent is stopped; to let it act: mhost agent start",
        ));
    }
    let ceiling = diagnosis.ceiling;
    let Some(judged) = judge(shared, process, &proposal, Rest::Counts, ceiling).await? else {
        return Ok(Put::dropped("the process is gone"));
    };
    if !deeds.steps.is_empty()
        && let Some(why) = overtaken(before.as_ref(), &judged.facts)
    {
        let story = json!({"playbook": proposal.playbook, "why": why});
        shared.tell(incident.id, "overtaken", story).await?;
        return Ok(Put::dropped(why));
    }
    let (risk, decision) = (judged.risk, cautious(diagnosis.caution.as_ref(), &judged));
    let now = shared.clock.now();
    let errand = |gate: String| Errand {
        incident: incident.id,
        process: process.clone(),
        playbook: proposal.playbook.clone(),
        plan: proposal.plan.clone(),
        risk,
        gate,
    };
    match incident.state {
        // A person has it. What only keeps the damage from growing is still done.
        IncidentState::Escalated => {
            if decision.runs() && containing {
                let authority = own(shared, &proposal);
                carry_out(shared, &errand("run".into()), &authority).await?;
                return Ok(Put::Done);
            }
            let id = incident.id;
            return Ok(Put::dropped(format!(
                "{id} is with a person already; see: mhost brain explain {id}"
            )));
        }
        IncidentState::AwaitingApproval => {
            // A guest asks for nothing in the place of what mhost asks.
            if brain::investigate::is_guest(&proposal.playbook.0) {
                return Ok(Put::dropped(
                    "a question about this process is open; see: mhost agent actions",
                ));
            }
            if !question::withdraw(shared, process, Some(&digest), "the plan changed").await? {
                return Ok(Put::dropped(
                    "the same is asked about already; see: mhost agent actions",
                ));
            }
            shared.advance(process, IncidentInput::Superseded).await?;
        }
        IncidentState::Diagnosing | IncidentState::Planned => {
            shared.advance(process, IncidentInput::TakenUp).await?;
        }
        IncidentState::Open => {}
        IncidentState::Suspected
        | IncidentState::Merged
        | IncidentState::Acting
        | IncidentState::Verifying
        | IncidentState::Resolved
        | IncidentState::Closed => {
            return Ok(Put::dropped(format!(
                "its incident moved on meanwhile; see: mhost brain explain {}",
                incident.id
            )));
        }
    }
    if !shared.try_once(incident.id, &digest) {
        return Ok(Put::dropped("it was decided on before"));
    }
    // Whatever becomes of this plan, the former one is its past.
    shared.take_unhelped(incident.id);
    shared.try_once(incident.id, &crate::approval::digest("", &deeds));
    shared.advance(process, IncidentInput::Thinking).await?;
    stored(shared.store.set_proposal(incident.id, proposal.clone())).await?;
    let story = json!({
        "playbook": proposal.playbook,
        "cause": proposal.cause,
        "confidence": proposal.confidence,
        "evidence": proposal.evidence,
        "plan": proposal.plan,
        "trail": diagnosis.trail,
        "took_ms": (diagnosis.took.as_secs_f64() * 10_000.0).round() / 10.0,
        "since_sign_ms": incident
            .symptoms
            .last()
            .map(|sign| u64::try_from(until(sign.at, now).as_millis()).unwrap_or(u64::MAX)),
    });
    shared.tell(incident.id, "diagnosed", story).await?;
    if let Some(recording) = diagnosis.recording.clone() {
        stored(shared.store.keep_recording(incident.id, now, recording)).await?;
    }
    shared.advance(process, IncidentInput::Proposed).await?;
    let story = json!({"risk": risk, "level": judged.level, "decision": decision});
    shared.tell(incident.id, "gate", story).await?;
    Ok(match decision {
        Decision::Run | Decision::RunAndReport => {
            shared.advance(process, IncidentInput::Allowed).await?;
            let authority = own(shared, &proposal);
            carry_out(shared, &errand("run".into()), &authority).await?;
            // Words cure nothing: somebody else may know what does.
            if deeds.steps.is_empty() {
                consult::consult(shared, incident, &diagnosis, before).await?;
            }
            Put::Done
        }
        Decision::Ask(why) => {
            let errand = errand(format!("ask: {why}"));
            let asked = question::ask(shared, &errand, &judged.facts, &proposal, &digest).await?;
            if let Some(id) = asked {
                if judged.standing.exhausted() && shared.may_tell_budget() {
                    shared
                        .announce(incident, Severity::Warning, false, why)
                        .await;
                }
                Put::Asked(id)
            } else {
                let why = "too many questions are open".to_owned();
                refuse(shared, incident, errand, &proposal, why.clone()).await?;
                Put::Dropped(why)
            }
        }
        Decision::Refuse(why) => {
            let errand = errand(format!("refuse: {why}"));
            refuse(shared, incident, errand, &proposal, why.clone()).await?;
            Put::Dropped(why)
        }
    })
}

/// The steps of a plan that change something.
fn deeds(plan: &Plan) -> Plan {
    let steps = plan.steps.iter();
    Plan {
        steps: steps
            .filter(|step| step.action.changes_state())
            .map(|step| brain::Step {
                action: step.action.clone(),
                why: String::new(),
            })
            .collect(),
        ask: None,
    }
}

/// Nobody has another plan: a model is asked, if there is one, or a person has it now.
async fn lost(
    shared: &Arc<Shared>,
    incident: &Incident,
    diagnosis: &Diagnosis,
    before: Option<ProcessFacts>,
) -> Result<()> {
    if consult::consult(shared, incident, diagnosis, before).await? {
        return Ok(());
    }
    give_up(shared, incident).await
}

/// No other plan is known after one that did not help: a person has it now.
pub(crate) async fn give_up(shared: &Arc<Shared>, incident: &Incident) -> Result<()> {
    let Some(unhelped) = shared.take_unhelped(incident.id) else {
        return Ok(());
    };
    let open = shared
        .open_of(&incident.process)
        .is_some_and(|now| now.id == incident.id && now.state == IncidentState::Open);
    if !open {
        return Ok(());
    }
    shared
        .advance(&incident.process, IncidentInput::Escalated)
        .await?;
    stored(shared.store.set_outcome(incident.id, "failed")).await?;
    hand_over(shared, &unhelped).await
}

/// What the policy says, with what it was said on.
struct Judged {
    facts: ProcessFacts,
    level: Autonomy,
    standing: Standing,
    risk: Risk,
    decision: Decision,
}

/// What the policy would say to a proposal now.
pub(crate) async fn weigh(
    shared: &Arc<Shared>,
    process: &ProcessName,
    proposal: &Proposal,
) -> Result<Option<(Risk, Decision)>> {
    let judged = judge(shared, process, proposal, Rest::Counts, None).await?;
    Ok(judged.map(|judged| (judged.risk, judged.decision)))
}

/// The decision, unless there is a reason to ask first. Where the owner said `autonomous`, what
/// is low risk is done all the same.
fn cautious(caution: Option<&String>, judged: &Judged) -> Decision {
    let trusted = judged.level == Autonomy::Autonomous && judged.risk == Risk::Low;
    match caution {
        Some(why) if judged.decision.runs() && judged.risk > Risk::None && !trusted => {
            Decision::Ask(why.clone())
        }
        _ => judged.decision.clone(),
    }
}

/// Does a playbook rest after its last run?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    Counts,
    /// What follows belongs to that run.
    Over,
}

/// Asks the policy. Nothing when the process is gone.
async fn judge(
    shared: &Arc<Shared>,
    process: &ProcessName,
    proposal: &Proposal,
    rest: Rest,
    ceiling: Option<Autonomy>,
) -> Result<Option<Judged>> {
    let Some((facts, crashes)) = shared.look(process).await else {
        return Ok(None);
    };
    let settings = shared.settings();
    let target = Target::of(&facts, crashes);
    let playbook = &proposal.playbook.0;
    let mut standing = shared.standing(process, playbook).await?;
    if rest == Rest::Over {
        standing.cooling = None;
    }
    let now = shared.clock.now();
    let enabled = shared.switch().enabled(settings.enabled);
    let level = capped(settings.level(playbook, enabled), ceiling);
    let case = Case {
        level,
        target: &target,
        bounds: &settings.bounds,
        standing: &standing,
        quiet: settings
            .quiet_hours
            .is_some_and(|hours| hours.contains(now, &TimeZone::system())),
        blocked: &settings.blocked,
        role: settings.role,
        confidence: proposal.confidence,
    };
    let (risk, decision) = decide_plan(&case, &proposal.plan);
    Ok(Some(Judged {
        facts,
        level: capped(level, target.autonomy),
        standing,
        risk,
        decision,
    }))
}

/// Does what a playbook wants after its plan failed: tells people, and contains the damage if
/// the policy lets it. Anything else is a person's, who has the incident now.
pub(crate) async fn otherwise(shared: &Arc<Shared>, errand: &Errand, plan: Plan) -> Result<()> {
    let proposal = Proposal {
        cause: String::new(),
        confidence: 1.0,
        evidence: Vec::new(),
        plan,
        playbook: errand.playbook.clone(),
    };
    let judged = judge(shared, &errand.process, &proposal, Rest::Over, None).await?;
    let Some(judged) = judged else {
        return Ok(());
    };
    let all = judged.decision.runs() && contains(&proposal.plan);
    let steps = proposal.plan.steps.iter().cloned();
    let errand = Errand {
        plan: Plan {
            steps: steps
                .filter(|step| all || !step.action.changes_state())
                .collect(),
            ask: None,
        },
        risk: judged.risk,
        gate: "run".into(),
        ..errand.clone()
    };
    do_steps(shared, &errand, &own(shared, &proposal)).await
}

/// Does a plan only stop what is already going wrong?
fn contains(plan: &Plan) -> bool {
    let mut changing = plan
        .steps
        .iter()
        .filter(|step| step.action.changes_state())
        .peekable();
    changing.peek().is_some() && changing.all(|step| matches!(step.action, Action::Halt { .. }))
}

/// Does this name belong to somebody whose texts are not ours?
pub(crate) fn is_foreign(playbook: &str) -> bool {
    brain::investigate::is_model(playbook) || playbook.starts_with("external:")
}

/// The agent's own leave: the role it is given, and no person's.
fn own(shared: &Shared, proposal: &Proposal) -> Authority {
    let caller = Caller {
        principal: "agent".into(),
        role: shared.settings().role,
        via: Via::Playbook(proposal.playbook.0.clone()),
    };
    Authority {
        who: caller.to_string(),
        caller,
        approval: None,
    }
}

/// Records what was not done, says what may be said, and hands the incident to a person.
async fn refuse(
    shared: &Arc<Shared>,
    incident: &Incident,
    errand: Errand,
    proposal: &Proposal,
    why: String,
) -> Result<()> {
    let authority = own(shared, proposal);
    let (changing, talking): (Vec<_>, Vec<_>) = errand
        .plan
        .steps
        .iter()
        .cloned()
        .partition(|step| step.action.changes_state());
    let part = |steps, gate: &str, risk| Errand {
        plan: Plan { steps, ask: None },
        gate: gate.to_owned(),
        risk,
        ..errand.clone()
    };
    let refused = part(changing, &format!("refuse: {why}"), errand.risk);
    note_rows(shared, &refused, &authority, &format!("refused: {why}")).await?;
    let said = part(talking, "run", Risk::None);
    note_rows(shared, &said, &authority, "done").await?;
    shared
        .advance(&incident.process, IncidentInput::Denied)
        .await?;
    stored(shared.store.set_outcome(incident.id, "refused")).await?;
    let names: Vec<_> = refused.plan.steps.iter().map(|s| s.action.name()).collect();
    // What a model or a stranger's program wrote is no argument of an action.
    let cause = match proposal.playbook.0.as_str() {
        foreign if is_foreign(foreign) => "",
        _ => &proposal.cause,
    };
    let text = format!("{cause} Not done: {}, because {why}.", names.join(", "));
    escalate(shared, &errand, &authority, text.trim_start().into()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_run_does_not_hide_why_it_was_ended() {
        let left = |kinds: &[(&str, &str)]| {
            let signs = kinds.iter().map(|(kind, reason)| {
                json!({
                    "kind": kind, "at": "2026-01-01T00:00:00Z", "instance": 0, "event": null,
                    "data": {"reason": reason},
                })
            });
            let mut incident: Incident = serde_json::from_value(json!({
                "id": 7, "process": "api", "opened": "2026-01-01T00:00:00Z", "closed": null,
                "state": "open", "symptoms": signs.collect::<Vec<_>>(), "fingerprint": null,
                "title": "t",
            }))
            .unwrap();
            forget_the_end(&mut incident);
            incident.symptoms.last().map(|sign| sign.kind)
        };
        let fail = ("health_fail", "");
        let end = ("errored", "probe");
        assert_eq!(left(&[fail, end]), Some(SymptomKind::HealthFail));
        assert_eq!(left(&[end]), Some(SymptomKind::Errored));
        let gave_up = ("errored", "max_restarts");
        assert_eq!(left(&[fail, gave_up]), Some(SymptomKind::Errored));
    }
}
