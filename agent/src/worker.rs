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
    Action, BrainStoreError, Grant, Incident, IncidentInput, IncidentState, Plan, ProcessFacts,
    Proposal, Severity, SymptomKind,
};
use jiff::tz::TimeZone;
use serde_json::json;
use supervisor::{Caller, ProcessName, Status, Via, until};

use crate::aftermath::hand_over;
use crate::approval::digest;
use crate::budget::Standing;
use crate::carry::{Authority, Errand, carry_out, do_steps, escalate, note_rows};
use crate::consult;
use crate::grant;
use crate::group;
use crate::intention;
use crate::mind::{Asking, Diagnosis};
use crate::policy::{Autonomy, Case, Decision, Leave, Risk, Target, capped, decide_plan};
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
        let former = shared.open_of(&process);
        let is_new = former.is_none();
        let incident = match former {
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
        let now = shared.clock.now();
        shared
            .change(&process, |incident| {
                incident.prove(SymptomKind::Tick);
                incident.lasts(now);
            })
            .await?;
        let incident = shared.open_of(&process).unwrap_or(incident);
        explain(&shared, &incident, &diagnosis).await?;
        let proposal = diagnosis.proposal.as_ref();
        let playbook = proposal.map_or_else(String::new, |one| one.playbook.0.clone());
        let put = decide(&shared, &incident, diagnosis, None).await?;
        if let Put::Dropped(why) = &put
            && is_new
        {
            question::over(&shared, &incident, &playbook, "closed", why).await?;
        }
        Result::Ok(put)
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

/// Who made a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    /// Whoever was asked first: the loop waited for it.
    Brain,
    /// A model that thought beside the loop: a person may have been called meanwhile.
    Model,
}

/// Puts a proposal through the policy and does what it says.
pub(crate) async fn decide(
    shared: &Arc<Shared>,
    incident: &Incident,
    diagnosis: Diagnosis,
    before: Option<ProcessFacts>,
) -> Result<Put> {
    put(shared, incident, diagnosis, before, From::Brain).await
}

/// The same with what a model answered. It counts also when a person has the incident by then,
/// who is asked unless the owner said `autonomous`.
pub(crate) async fn decide_late(
    shared: &Arc<Shared>,
    incident: &Incident,
    diagnosis: Diagnosis,
    before: ProcessFacts,
) -> Result<Put> {
    put(shared, incident, diagnosis, Some(before), From::Model).await
}

async fn put(
    shared: &Arc<Shared>,
    incident: &Incident,
    diagnosis: Diagnosis,
    before: Option<ProcessFacts>,
    from: From,
) -> Result<Put> {
    let process = &incident.process;
    let seeking = shared.seeks_another(incident.id);
    let Some(proposal) = diagnosis.proposal.clone() else {
        lost(shared, incident, &diagnosis).await?;
        return Ok(Put::dropped("there is no plan"));
    };
    // What failed is not done again under another name, and a note is no other plan.
    let deeds = deeds(&proposal.plan);
    if seeking && (deeds.steps.is_empty() || shared.was_tried(incident.id, &digest("", &deeds))) {
        lost(shared, incident, &diagnosis).await?;
        return Ok(Put::dropped("it was tried before and did not help"));
    }
    let digest = digest(&proposal.playbook.0, &proposal.plan);
    // A loop that begins again after a person started the process is stopped again; rest and
    // budget say how often.
    let containing = incident.state == IncidentState::Escalated && contains(&proposal.plan);
    let anew =
        containing || from == From::Model && consult::came_to_nothing(shared, incident).await?;
    let tried = !anew && shared.was_tried(incident.id, &digest);
    if proposal.plan.steps.is_empty() || tried {
        lost(shared, incident, &diagnosis).await?;
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
    let (ceiling, caution) = (diagnosis.ceiling, diagnosis.caution.as_ref());
    let judged = judge(shared, process, &proposal, Rest::Counts, ceiling, caution).await?;
    let Some(mut judged) = judged else {
        return Ok(Put::dropped("the process is gone"));
    };
    if !deeds.steps.is_empty()
        && let Some(why) = overtaken(before.as_ref(), &judged.facts)
    {
        let story = json!({"playbook": proposal.playbook, "why": why});
        shared.tell(incident.id, "overtaken", story).await?;
        return Ok(Put::dropped(why));
    }
    // There is nothing to contain: a daemon that ended has stopped what it held.
    if !judged.facts.wanted && !judged.facts.held && contains(&proposal.plan) {
        return Ok(Put::dropped("it is not meant to run"));
    }
    let risk = judged.risk;
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
        // A person has it. What only keeps the damage from growing is still done, and what a
        // model has to say is said.
        IncidentState::Escalated => {
            let says = from == From::Model && deeds.steps.is_empty();
            if says || containing && judged.may_begin(shared).await? {
                let authority = judged.authority(shared, &proposal);
                carry_out(shared, &errand(judged.gate()), &authority).await?;
                consult::consult(shared, incident, &diagnosis).await?;
                return Ok(Put::Done);
            }
            if from == From::Brain {
                if !cures(&deeds) {
                    consult::consult(shared, incident, &diagnosis).await?;
                }
                let id = incident.id;
                return Ok(Put::dropped(format!(
                    "{id} is with a person already; see: mhost brain explain {id}"
                )));
            }
            if judged.level != Autonomy::Autonomous && judged.decision.runs() {
                judged.decision = Decision::Ask("a person has it already".into());
            }
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
            if question::just_answered(shared, incident.id).await? {
                return Ok(Put::dropped(
                    "its question has just been answered; see: mhost agent actions",
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
    if !shared.try_once(incident.id, &digest) && !anew {
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
    // Who took back a grant meanwhile is asked.
    judged.may_begin(shared).await?;
    let decision = judged.decision.clone();
    let mut story = json!({"risk": risk, "level": judged.level, "decision": decision});
    if let Some(grant) = judged.grant() {
        story["grant"] = json!({"id": grant.id, "by": grant.by, "until": grant.ends});
    }
    shared.tell(incident.id, "gate", story).await?;
    Ok(match decision {
        Decision::Run | Decision::RunAndReport => {
            let (errand, authority) = (errand(judged.gate()), judged.authority(shared, &proposal));
            intention::write(shared, &errand, &authority).await?;
            shared.advance(process, IncidentInput::Allowed).await?;
            carry_out(shared, &errand, &authority).await?;
            // Words and a hold cure nothing: somebody else may know what does.
            if !cures(&deeds) {
                consult::consult(shared, incident, &diagnosis).await?;
            }
            Put::Done
        }
        Decision::Ask(why) => {
            let errand = errand(format!("ask: {why}"));
            let version = judged.version.clone();
            let asked =
                question::ask(shared, &errand, &judged.facts, &proposal, &digest, version).await?;
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
    let actions = plan.steps.iter().map(|step| &step.action);
    let deeds = actions.filter(|action| action.changes_state());
    deeds.cloned().collect()
}

/// Is there a step that may heal, beside those that contain the damage?
fn cures(deeds: &Plan) -> bool {
    !deeds.steps.is_empty() && !contains(deeds)
}

/// Nobody has another plan: a model is asked, if there is one, or a person has it now.
async fn lost(shared: &Arc<Shared>, incident: &Incident, diagnosis: &Diagnosis) -> Result<()> {
    if consult::consult(shared, incident, diagnosis).await? {
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
    /// Which text of the playbook is asked; none where it is none.
    version: Option<String>,
    /// Leave in advance, where it is what lets the plan run.
    leave: Option<(Grant, Leave)>,
}

impl Judged {
    fn grant(&self) -> Option<&Grant> {
        self.leave.as_ref().map(|(grant, _)| grant)
    }

    /// What stands in the history as the word of the gate.
    fn gate(&self) -> String {
        match self.grant() {
            Some(one) => format!("run: by {}", grant::words(&one.id, &one.by, one.ends)),
            None => "run".to_owned(),
        }
    }

    /// By whose leave the plan runs: the agent's own role, or that of who gave leave in advance.
    fn authority(&self, shared: &Shared, proposal: &Proposal) -> Authority {
        let mut authority = own(shared, proposal);
        if let Some((_, leave)) = &self.leave {
            authority.caller.role = leave.role;
        }
        authority
    }

    /// May the plan begin without asking? Counts the use of a grant, once; of one that was
    /// taken back meanwhile, or whose playbook was edited, a question is what is left.
    async fn may_begin(&mut self, shared: &Arc<Shared>) -> Result<bool> {
        let Some((one, _)) = &self.leave else {
            return Ok(self.decision.runs());
        };
        let why = if grant::version(shared, &one.playbook.0).await.as_ref() != Some(&one.version) {
            format!(
                "playbook {} was edited since it made this plan",
                one.playbook
            )
        } else if !grant::spend(shared, one).await? {
            format!("grant {} has just ended", one.id)
        } else {
            return Ok(self.decision.runs());
        };
        self.decision = Decision::Ask(why);
        self.leave = None;
        Ok(false)
    }
}

/// What the policy would say to a proposal now.
pub(crate) async fn weigh(
    shared: &Arc<Shared>,
    process: &ProcessName,
    proposal: &Proposal,
) -> Result<Option<(Risk, Decision)>> {
    let judged = judge(shared, process, proposal, Rest::Counts, None, None).await?;
    Ok(judged.map(|judged| (judged.risk, judged.decision)))
}

/// The decision, unless there is a reason to ask first. Where the owner said `autonomous`, what
/// is low risk is done all the same.
fn cautious(caution: Option<&String>, level: Autonomy, risk: Risk, said: Decision) -> Decision {
    let trusted = level == Autonomy::Autonomous && risk == Risk::Low;
    match caution {
        Some(why) if said.runs() && risk > Risk::None && !trusted => Decision::Ask(why.clone()),
        _ => said,
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
    caution: Option<&String>,
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
        leave: None,
    };
    let (risk, said) = decide_plan(&case, &proposal.plan);
    let held = capped(level, target.autonomy);
    let mut decision = cautious(caution, held, risk, said);
    // Of the text that made the plan: the file may hold another one by now.
    let version = proposal.version.clone();
    let mut leave = None;
    // Leave in advance stands for the answer to a question, of this playbook's own plan.
    if matches!(decision, Decision::Ask(_))
        && rest == Rest::Counts
        && let Some(version) = &version
        && let Some((one, given)) =
            grant::find(shared, &proposal.playbook, version, process).await?
        && risk <= given.risk
    {
        let case = Case {
            leave: Some(given),
            ..case
        };
        decision = decide_plan(&case, &proposal.plan).1;
        leave = decision.runs().then_some((one, given));
    }
    Ok(Some(Judged {
        facts,
        level: held,
        standing,
        risk,
        decision,
        version,
        leave,
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
        version: None,
    };
    let judged = judge(shared, &errand.process, &proposal, Rest::Over, None, None).await?;
    let Some(judged) = judged else {
        return Ok(());
    };
    let acts = judged.decision.runs() && !shared.switch().stopped();
    let all = acts && contains(&proposal.plan);
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
