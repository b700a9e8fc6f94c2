//! From an incident to a proposal.
//!
//!   custom > learned > built-in; then by priority, then by name; the first that matches
//!   and has a plan wins
//!
//! A playbook that rests, or ran as often as it may, is passed over: what it did did not
//! help, so the next one may know better. The trail says of each one why it did not win.
//! It is one piece although it is long: the rounds of one decision, in their order.

mod after;
mod settle;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rhai::{Array, Dynamic, Map};
use serde::{Deserialize, Serialize};
use supervisor::{ProcessName, after};

use crate::causes::{Case, Haste};
use crate::context::{Context, Recording, Situation, to_plan};
use crate::facts::Facts;
use crate::incident::fingerprint::fingerprint;
use crate::incident::{Evidence, Fingerprint, Incident, Symptom, SymptomKind};
use crate::playbook::{PlaybookSource, Playbooks, Script, Trust};
use crate::proposal::{PlaybookId, Proposal};
use crate::replay::Snapshot;
use crate::score::VERY_LOW;
use crate::store::PlaybookRun;
pub use after::{Verdict, on_failure, verify};
pub use settle::{settle, settle_sure};

/// Longest root cause, in characters.
const CAUSE: usize = 900;

/// What `diagnose` needs besides the facts.
#[derive(Debug, Clone, Default)]
pub struct DiagnoseContext {
    /// May machines act on this process without asking (`c.is_autonomous`)?
    pub autonomous: bool,
    /// When playbooks last ran on this process: [`crate::BrainStore::runs`].
    pub runs: Vec<PlaybookRun>,
    /// These are not asked: they are not in the chain.
    pub without: Vec<PlaybookSource>,
}

/// Why a playbook won or did not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Asked {
    /// It matched and its plan was taken.
    Won,
    /// It matched, and another's plan was taken.
    Beside,
    /// It did not match.
    Silent,
    /// It matched, but had no steps.
    NoPlan,
    /// It ran on this process not long ago.
    Resting {
        /// Until when.
        until: Timestamp,
    },
    /// It ran as often in the last hour as it may.
    Spent {
        /// How often.
        runs: u32,
    },
    /// It failed.
    Failed {
        /// Why.
        error: String,
    },
}

/// One line of the trail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrailEntry {
    /// The playbook.
    pub playbook: PlaybookId,
    /// Where it comes from.
    pub source: PlaybookSource,
    /// What became of the question.
    #[serde(flatten)]
    pub asked: Asked,
}

/// What the brain makes of an incident.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnosis {
    /// The proposal, if a playbook has one.
    pub proposal: Option<Proposal>,
    /// What a learned playbook on probation would do; [`settle`] decides.
    pub beside: Option<Proposal>,
    /// A learned playbook won, and one that is trusted would have done the same.
    pub confirmed: bool,
    /// What illness it is, as far as the questions showed it.
    pub fingerprint: Option<Fingerprint>,
    /// Which playbooks were asked, and why they did or did not win.
    pub trail: Vec<TrailEntry>,
    /// What was asked and answered; kept for replay.
    pub recording: Recording,
    /// The first question of a replay that was not asked then; none when it is true to it.
    pub diverged: Option<String>,
    /// What the knowledge base of causes says; none when it was not asked.
    pub case: Option<Case>,
}

/// Asks the knowledge base as well, and takes up its plan where the playbooks have none that
/// changes anything. Blocking; about a second at most.
pub fn with_causes(
    mut found: Diagnosis,
    process: &ProcessName,
    facts: &Arc<dyn Facts>,
    ctx: &DiagnoseContext,
) -> Diagnosis {
    // What was learned knows the illness and waits only for the others to agree.
    let haste = match &found.beside {
        Some(_) => Haste::Known,
        None => Haste::None,
    };
    let Some((case, scenes)) = crate::causes::investigate_in(facts, process, haste) else {
        return found;
    };
    for (name, scene) in scenes {
        found.recording.keep(format!("scene {name}"), scene);
    }
    let acts = |proposal: &Proposal| {
        let mut steps = proposal.plan.steps.iter();
        steps.any(|step| step.action.changes_state())
    };
    // What only tells a person gives way to every playbook.
    let silent = found.proposal.is_none();
    if !found.proposal.as_ref().is_some_and(acts)
        && let Some(proposal) = case.proposal().filter(|one| silent || acts(one))
    {
        let asked = match rests(&proposal.playbook, ctx, found.recording.now) {
            Some(resting) => resting,
            None => Asked::Won,
        };
        let won = asked == Asked::Won;
        found.trail.push(TrailEntry {
            playbook: proposal.playbook.clone(),
            source: PlaybookSource::Builtin,
            asked,
        });
        if won {
            found.proposal = Some(proposal);
        }
    }
    found.case = Some(case);
    found
}

/// How long the plan of a cause rests after it ran on a process.
pub const CAUSE_COOLDOWN: Duration = Duration::from_secs(60);
/// How often it may run on a process in an hour.
const CAUSE_RUNS: u32 = 3;

fn rests(plan: &PlaybookId, ctx: &DiagnoseContext, now: Timestamp) -> Option<Asked> {
    let run = ctx.runs.iter().find(|run| run.playbook == *plan)?;
    let until = after(run.last, CAUSE_COOLDOWN);
    if now < until {
        return Some(Asked::Resting { until });
    }
    (run.last_hour >= CAUSE_RUNS).then_some(Asked::Spent {
        runs: run.last_hour,
    })
}

/// Diagnoses an incident by its newest symptom. Blocking: reads facts and runs scripts.
pub fn diagnose(
    incident: &Incident,
    facts: &Arc<dyn Facts>,
    playbooks: &Playbooks,
    ctx: &DiagnoseContext,
) -> Diagnosis {
    let situation = Situation::live(
        Arc::clone(facts),
        incident.process.clone(),
        incident.symptoms.clone(),
        ctx.autonomous,
        None,
    );
    let mut found = ask_all(
        &situation,
        &incident.process,
        &incident.symptoms,
        playbooks,
        ctx,
    );
    found.recording.seen = Snapshot::take(facts.as_ref(), &incident.process);
    found
}

/// Takes the slow look at a process: asks the playbooks that are `on: ["tick"]`. Its
/// proposal belongs to the open incident of the process, or to a new one
/// ([`Incident::look`]). Blocking, and cheap when all is well.
pub fn look(
    process: &ProcessName,
    facts: &Arc<dyn Facts>,
    playbooks: &Playbooks,
    ctx: &DiagnoseContext,
) -> Diagnosis {
    let asked = |kind: SymptomKind| {
        let mut symptoms = Incident::look(process.clone(), facts.now()).symptoms;
        symptoms[0].kind = kind;
        let situation = Situation::live(
            Arc::clone(facts),
            process.clone(),
            symptoms.clone(),
            ctx.autonomous,
            None,
        );
        ask_all(&situation, process, &symptoms, playbooks, ctx)
    };
    let mut found = asked(SymptomKind::Tick);
    if found.proposal.is_none()
        && found.beside.is_none()
        && playbooks.wants(process, SymptomKind::Score)
        && crate::score::score(facts.as_ref(), process)
            .is_some_and(|it| it.value < f64::from(VERY_LOW))
    {
        found = asked(SymptomKind::Score);
    }
    if found.proposal.is_some() || found.beside.is_some() {
        found.recording.seen = Snapshot::take(facts.as_ref(), process);
    }
    found
}

/// Those of `processes` that a slow look may find something about. The built-in playbooks have
/// nothing to say on a calm one; those of the user may look at anything. Blocking.
pub fn worth_a_look(
    processes: Vec<ProcessName>,
    facts: &Arc<dyn Facts>,
    playbooks: &Playbooks,
) -> Vec<ProcessName> {
    let calm = facts.calm(&processes);
    let scripts = playbooks.ready();
    let asks = |process: &ProcessName| {
        // Once for all playbooks: there are many processes, and most of them are calm.
        let calm = calm.contains(process);
        scripts
            .iter()
            .filter(|script| !calm || script.source != PlaybookSource::Builtin)
            .any(|script| {
                let mut slow = [SymptomKind::Tick, SymptomKind::Score].into_iter();
                slow.any(|kind| script.meta.wants(process.as_str(), kind))
            })
    };
    processes.into_iter().filter(asks).collect()
}

/// Diagnoses again from what was recorded, without looking at the world.
pub fn replay(
    process: &ProcessName,
    symptoms: &[Symptom],
    recording: Recording,
    playbooks: &Playbooks,
    ctx: &DiagnoseContext,
) -> Diagnosis {
    let situation = Situation::replay(
        recording,
        process.clone(),
        symptoms.to_vec(),
        ctx.autonomous,
    );
    ask_all(&situation, process, symptoms, playbooks, ctx)
}

fn ask_all(
    situation: &Arc<Situation>,
    process: &ProcessName,
    symptoms: &[Symptom],
    playbooks: &Playbooks,
    ctx: &DiagnoseContext,
) -> Diagnosis {
    let kind = symptoms
        .last()
        .map_or(SymptomKind::Tick, |symptom| symptom.kind);
    let mut proposal: Option<Proposal> = None;
    // What a learned playbook on probation says: it runs beside the others.
    let mut beside: Option<Proposal> = None;
    let mut trail = Vec::new();
    for script in playbooks.ready() {
        let left_out = ctx.without.contains(&script.source);
        if !script.meta.wants(process.as_str(), kind) || left_out {
            continue;
        }
        let asked = match resting(&script, ctx, situation.now()) {
            Some(resting) => resting,
            None => match ask(&script, situation, process, symptoms) {
                Ok(Ok(found)) if script.trust == Trust::Probation => {
                    beside.get_or_insert(found);
                    Asked::Beside
                }
                Ok(Ok(found)) => {
                    proposal = Some(found);
                    Asked::Won
                }
                Ok(Err(why)) => why,
                Err(error) => Asked::Failed { error },
            },
        };
        trail.push(TrailEntry {
            playbook: PlaybookId(script.meta.name.clone()),
            source: script.source,
            asked,
        });
        if proposal.is_some() {
            break;
        }
    }
    // Asked also when no script does: what is learned from a cure is keyed by it. A slow look
    // that finds nothing learns nothing.
    if kind != SymptomKind::Tick || proposal.is_some() || beside.is_some() {
        let _ = situation.illness();
    }
    let mut recording = situation.recording();
    recording.symptoms = symptoms.to_vec();
    Diagnosis {
        fingerprint: illness(&recording, kind),
        proposal,
        beside,
        confirmed: false,
        trail,
        recording,
        diverged: situation.diverged(),
        case: None,
    }
}

/// The illness of the newest death, or else of the most telling complaint.
fn illness(recording: &Recording, kind: SymptomKind) -> Option<Fingerprint> {
    if matches!(kind, SymptomKind::Crash | SymptomKind::SpawnFailed) {
        let last = recording.answer("deaths")?.as_array()?.last()?;
        return Some(Fingerprint {
            hash: last["print"].as_str()?.to_owned(),
            readable: last["readable"].as_str()?.to_owned(),
        });
    }
    let complaint = recording
        .answers
        .iter()
        .filter(|(question, _)| question.starts_with("errors("))
        .find_map(|(_, answer)| answer.as_array()?.first()?["template"].as_str())?;
    Some(fingerprint(kind, "", Some(complaint)))
}

fn resting(script: &Script, ctx: &DiagnoseContext, now: Timestamp) -> Option<Asked> {
    let run = ctx
        .runs
        .iter()
        .find(|run| run.playbook.0 == script.meta.name)?;
    let until = after(run.last, script.meta.cooldown);
    if now < until {
        return Some(Asked::Resting { until });
    }
    (run.last_hour >= script.meta.max_per_hour).then_some(Asked::Spent {
        runs: run.last_hour,
    })
}

/// Asks one playbook. The inner error is a reason, the outer one a failure of the script.
fn ask(
    script: &Script,
    situation: &Arc<Situation>,
    process: &ProcessName,
    symptoms: &[Symptom],
) -> Result<Result<Proposal, Asked>, String> {
    let c = Context::new(situation, Arc::clone(&script.params));
    let (matched, mut evidence) = matched(script.call("matches", c.clone())?)
        .map_err(|text| script.fail_in("matches", text))?;
    if !matched {
        return Ok(Err(Asked::Silent));
    }
    let said = if script.has("reason") {
        script.call("reason", c.clone())?.to_string()
    } else {
        script.meta.description.clone()
    };
    let cause = cause(&said, process);
    let plan = to_plan(script.call("plan", c.clone())?, &cause)
        .map_err(|error| script.fail_in("plan", error.to_string()))?;
    if plan.steps.is_empty() {
        return Ok(Err(Asked::NoPlan));
    }
    for found in c.evidence() {
        if !evidence.contains(&found) {
            evidence.push(found);
        }
    }
    // The sign itself is evidence, if the script did not look at it.
    if let Some(symptom) = symptoms.last()
        && let Some(event) = symptom.event
        && !evidence
            .iter()
            .any(|old| old.id == format!("event:{event}"))
    {
        evidence.push(Evidence {
            id: format!("event:{event}"),
            text: format!("{} {}", symptom.kind.as_str(), symptom.data),
        });
    }
    Ok(Ok(Proposal {
        cause,
        confidence: script.meta.confidence,
        evidence,
        plan,
        playbook: PlaybookId(script.meta.name.clone()),
        version: Some(script.version()),
    }))
}

/// A cause names its process and is not endless.
fn cause(said: &str, process: &ProcessName) -> String {
    let said: String = said.chars().take(CAUSE).collect();
    if said.contains(process.as_str()) {
        said
    } else {
        format!("`{process}`: {said}")
    }
}

/// What `matches(c)` returned: a truth value, or `#{ok, evidence: […]}`.
fn matched(answer: Dynamic) -> Result<(bool, Vec<Evidence>), String> {
    if let Ok(truth) = answer.as_bool() {
        return Ok((truth, Vec::new()));
    }
    let kind = answer.type_name().to_owned();
    let wrong = || format!("matches(c) returned {kind}, not true, false or #{{ok, evidence}}");
    let map: Map = answer.try_cast().ok_or_else(wrong)?;
    let ok = map
        .get("ok")
        .and_then(|ok| ok.as_bool().ok())
        .ok_or_else(wrong)?;
    let evidence = map
        .get("evidence")
        .and_then(|list| list.clone().try_cast::<Array>())
        .unwrap_or_default()
        .into_iter()
        .map(|item| match item.clone().try_cast::<Map>() {
            Some(item) => Evidence {
                id: item.get("id").map(Dynamic::to_string).unwrap_or_default(),
                text: item.get("text").map(Dynamic::to_string).unwrap_or_default(),
            },
            None => Evidence {
                id: "playbook".to_owned(),
                text: item.to_string(),
            },
        })
        .collect();
    Ok((ok, evidence))
}
