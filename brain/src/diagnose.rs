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
use serde::{Deserialize, Serialize};
use supervisor::{ProcessName, after};

use crate::causes::{Case, Haste};
use crate::context::{Recording, Situation, checked};
use crate::facts::Facts;
use crate::incident::fingerprint::fingerprint;
use crate::incident::{Evidence, Fingerprint, Incident, Symptom, SymptomKind};
use crate::interpreter::{Matter, Place, Said};
use crate::playbook::{Go, PlaybookSource, Playbooks, Script, Trust};
use crate::proposal::{PlaybookId, Proposal};
use crate::replay::Snapshot;
use crate::score::VERY_LOW;
use crate::store::PlaybookRun;
pub use after::{Verdict, on_failure, verify};
pub use settle::{settle, settle_sure};

/// Longest root cause, in characters.
const CAUSE: usize = 900;
/// Pieces of evidence that a proposal carries; a script may list some of its own.
const EVIDENCE: usize = 100;

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
    let mut wanted = playbooks.ready();
    wanted.retain(|script| {
        let left_out = ctx.without.contains(&script.source);
        script.meta.wants(process.as_str(), kind) && !left_out
    });
    let now = situation.now();
    let mut answers: Vec<Option<Asked>> = wanted.iter().map(|one| resting(one, ctx, now)).collect();
    let awake: Vec<usize> = (0..wanted.len())
        .filter(|at| answers[*at].is_none())
        .collect();
    let scripts: Vec<Arc<Script>> = awake.iter().map(|at| wanted[*at].clone()).collect();
    let mut proposal: Option<Proposal> = None;
    // What a learned playbook on probation says: it runs beside the others.
    let mut beside: Option<Proposal> = None;
    let mut told_of = wanted.len();
    playbooks.ask(situation, Matter::Diagnosis, &scripts, &mut |at, said| {
        let (script, place) = (&scripts[at], awake[at]);
        let asked = match proposed(script, said, process, symptoms) {
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
        };
        let won = asked == Asked::Won;
        answers[place] = Some(asked);
        if won {
            told_of = place + 1;
            Go::Stop
        } else {
            Go::On
        }
    });
    let told = wanted.iter().zip(answers).take(told_of);
    let trail = told
        .filter_map(|(script, asked)| {
            Some(TrailEntry {
                playbook: PlaybookId(script.meta.name.clone()),
                source: script.source,
                asked: asked?,
            })
        })
        .collect();
    // Asked also when no script does: what is learned from a cure is keyed by it. A slow look
    // that finds nothing learns nothing.
    if kind != SymptomKind::Tick || proposal.is_some() || beside.is_some() {
        situation.illness();
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

/// What a playbook said, as a proposal. The inner error is a reason, the outer one a failure of
/// the script.
fn proposed(
    script: &Script,
    said: Said,
    process: &ProcessName,
    symptoms: &[Symptom],
) -> Result<Result<Proposal, Asked>, String> {
    let (said, mut evidence, steps) = match said {
        Said::Silent => return Ok(Err(Asked::Silent)),
        Said::Failed { text, at, bomb } => return Err(script.fail(&text, at, bomb)),
        Said::Ended { how } => return Err(script.ended(&how)),
        Said::Unasked { why } => return Err(why),
        Said::Measured(_) => return Err(script.ended("answered another question")),
        Said::Wants {
            cause,
            evidence,
            steps,
        } => (cause, evidence, steps),
    };
    let said = said.unwrap_or_else(|| script.meta.description.clone());
    let cause = cause(&said, process);
    // As a script that is right has them; the other process may be anything.
    let plan = match checked(steps, &cause) {
        Ok(plan) => plan,
        Err(error) => return Err(script.fail(&error.to_string(), Place::default(), true)),
    };
    if plan.steps.is_empty() {
        return Ok(Err(Asked::NoPlan));
    }
    evidence.truncate(EVIDENCE);
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
