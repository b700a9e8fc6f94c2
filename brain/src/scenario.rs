//! Small worlds in which a playbook must act, or must not.
//!
//! ```text
//!   scenarios/<name>.toml ──► Case ──► World (facts) ──► diagnose ──► as written?
//!                                                          └─ replayed from its recording: the same?
//! ```
//!
//! A case lists what is true at one moment; times are given as how long ago. It is how the
//! built-in playbooks are proved, and how a person proves their own.

mod foreign;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;

use regex::Regex;
use serde::Deserialize;
use serde_json::json;

use crate::diagnose::{Asked, DiagnoseContext, Diagnosis, Verdict, diagnose, look, replay, verify};
use crate::facts::Facts;
use crate::incident::{Incident, SymptomKind};
use crate::playbook::Playbooks;
use crate::proposal::PlaybookId;
pub use foreign::silent_on;
use world::{Ago, Holder, Process, ScriptedEvent, ScriptedLog, ScriptedSample, World, before, now};

/// The facts of a case, for tests of others.
#[cfg(test)]
pub(crate) fn world(case: &Case) -> impl Facts + use<> {
    World::of(case)
}

/// What a playbook must and must not do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The playbook it is about.
    pub playbook: String,
    /// Small worlds.
    pub case: Vec<Case>,
}

/// One small world.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows, in words.
    pub name: String,
    /// The sign: an event name, or `tick`.
    on: SymptomKind,
    /// The actions of the playbook; empty: it must not win.
    #[serde(default)]
    actions: Vec<String>,
    /// What the cause must match.
    #[serde(default)]
    cause: Vec<String>,
    /// What the cause must not match.
    #[serde(default)]
    cause_not: Vec<String>,
    /// What one piece of evidence must match.
    #[serde(default)]
    evidence: Vec<String>,
    /// Measure instead of diagnosing: what `verify` must say.
    verdict: Option<String>,
    /// How long ago the plan was carried out.
    #[serde(default)]
    acted: Ago,
    #[serde(default)]
    process: Process,
    #[serde(default)]
    other: Vec<Process>,
    #[serde(default)]
    event: Vec<ScriptedEvent>,
    #[serde(default)]
    log: Vec<ScriptedLog>,
    #[serde(default)]
    sample: Vec<ScriptedSample>,
    /// Probe attempts: passed, of how many.
    attempts: Option<(u64, u64)>,
    holder: Option<Holder>,
    #[serde(default)]
    source: BTreeMap<String, String>,
}

/// How a case went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The case.
    pub name: String,
    /// What is not as written; none when all is.
    pub wrong: Option<String>,
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    /// What is wrong with the text, and in which line.
    pub fn parse(text: &str) -> Result<Scenario, String> {
        toml::from_str(text).map_err(|error| error.to_string())
    }

    /// Has it a case that acts, and one that must not?
    pub fn is_whole(&self) -> bool {
        let mut cases = self.case.iter().filter(|case| case.verdict.is_none());
        let rests = cases.clone().any(|case| case.actions.is_empty());
        rests && cases.any(|case| !case.actions.is_empty())
    }

    /// Runs all cases. Blocking: runs scripts.
    pub fn run(&self, playbooks: &Playbooks) -> Vec<Told> {
        self.case
            .iter()
            .map(|case| Told {
                name: case.name.clone(),
                wrong: check(&self.playbook, case, playbooks).err(),
            })
            .collect()
    }
}

impl Case {
    /// The world of this case, for tests of other things.
    pub fn facts(&self) -> Arc<dyn Facts> {
        Arc::new(World::of(self))
    }
}

fn wrong(holds: bool, text: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(text()) }
}

fn check(playbook: &str, case: &Case, playbooks: &Playbooks) -> Result<(), String> {
    let world = World::of(case);
    let incident = world::incident(case, &world)?;
    let facts: Arc<dyn Facts> = Arc::new(world);
    if let Some(expected) = &case.verdict {
        let acted = before(case.acted.get());
        let id = PlaybookId(playbook.to_owned());
        let verdict = verify(&id, &incident, acted, &facts, playbooks)?;
        let expected: Verdict = serde_json::from_value(json!(expected)).map_err(|_| {
            format!("verdict is `not_yet`, `helped` or `not_helped`, not `{expected}`")
        })?;
        return wrong(verdict == expected, || {
            format!("verify says {verdict:?}, not {expected:?}")
        });
    }
    let ctx = DiagnoseContext::default();
    let found = match case.on {
        SymptomKind::Tick | SymptomKind::Score => look(&incident.process, &facts, playbooks, &ctx),
        _ => diagnose(&incident, &facts, playbooks, &ctx),
    };
    for entry in &found.trail {
        if let Asked::Failed { error } = &entry.asked {
            return Err(format!("`{}` failed: {error}", entry.playbook));
        }
    }
    said(playbook, case, &found)?;
    again(&incident, case, &found, playbooks, &ctx)
}

/// Is the answer as written?
fn said(playbook: &str, case: &Case, found: &Diagnosis) -> Result<(), String> {
    let proposal = found.proposal.as_ref();
    let mine = proposal.filter(|it| it.playbook.0 == playbook);
    if case.actions.is_empty() {
        return wrong(mine.is_none(), || {
            let names = mine.map(names).unwrap_or_default();
            format!("it must not act here, but would: {}", names.join(", "))
        });
    }
    let Some(mine) = mine else {
        return Err(match proposal {
            Some(other) => format!("`{}` acts instead", other.playbook),
            None => "it does not match".to_owned(),
        });
    };
    let done = names(mine);
    wrong(done == case.actions, || {
        format!(
            "it would do [{}], not [{}]",
            done.join(", "),
            case.actions.join(", ")
        )
    })?;
    wrong(mine.cause.contains(case.process.name.as_str()), || {
        format!("the cause does not name the process: {}", mine.cause)
    })?;
    wrong(!mine.evidence.is_empty(), || {
        "it has no evidence".to_owned()
    })?;
    let regex = |text: &String| {
        Regex::new(&format!("(?i){text}")).map_err(|error| format!("`{text}`: {error}"))
    };
    for wanted in &case.cause {
        let regex = regex(wanted)?;
        wrong(regex.is_match(&mine.cause), || {
            format!("`{wanted}` is not in the cause: {}", mine.cause)
        })?;
    }
    for unwanted in &case.cause_not {
        let regex = regex(unwanted)?;
        wrong(!regex.is_match(&mine.cause), || {
            format!("`{unwanted}` is in the cause: {}", mine.cause)
        })?;
    }
    for wanted in &case.evidence {
        let regex = regex(wanted)?;
        wrong(
            mine.evidence.iter().any(|it| regex.is_match(&it.text)),
            || format!("`{wanted}` is not in the evidence: {:?}", mine.evidence),
        )?;
    }
    Ok(())
}

fn names(proposal: &crate::proposal::Proposal) -> Vec<&'static str> {
    let steps = proposal.plan.steps.iter();
    steps.map(|step| step.action.name()).collect()
}

/// The same answer without the world, from what was recorded.
fn again(
    incident: &Incident,
    case: &Case,
    found: &Diagnosis,
    playbooks: &Playbooks,
    ctx: &DiagnoseContext,
) -> Result<(), String> {
    let symptoms = match case.on {
        SymptomKind::Tick | SymptomKind::Score if found.proposal.is_none() => {
            Incident::look(incident.process.clone(), now()).symptoms
        }
        _ => found.recording.symptoms.clone(),
    };
    let recording = found.recording.clone();
    let again = replay(&incident.process, &symptoms, recording, playbooks, ctx);
    if let Some(question) = again.diverged {
        return Err(format!(
            "its replay asks {question}, which was not asked then"
        ));
    }
    wrong(again.proposal == found.proposal, || {
        format!("its replay says something else: {:?}", again.proposal)
    })
}
