//! What would a playbook have done? Asked of everything that is recorded.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use supervisor::{ProcessName, after};

use crate::context::Recording;
use crate::diagnose::{Asked, DiagnoseContext, replay};
use crate::incident::{IncidentId, Symptom, SymptomKind};
use crate::playbook::Playbooks;

/// A moment that was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    /// The process.
    pub process: ProcessName,
    /// The incident; none for a quiet window, in which nothing was needed.
    pub incident: Option<IncidentId>,
    /// The signs, oldest first.
    pub symptoms: Vec<Symptom>,
    /// What was asked and seen.
    pub recording: Recording,
    /// What was really done, by name.
    pub done: Vec<String>,
    /// How that ended.
    pub outcome: Option<String>,
}

/// What a playbook says to a moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answered {
    /// It would have acted.
    Acts {
        /// What it would have done.
        actions: Vec<String>,
        /// What it takes for the cause.
        cause: String,
    },
    /// It would have acted, but rested after its last run.
    Rests {
        /// What it would have done.
        actions: Vec<String>,
    },
    /// It would have said nothing.
    Silent,
    /// It is not asked about such a sign or process.
    NotAsked,
    /// It asked something that nobody recorded.
    Diverged {
        /// What.
        question: String,
    },
    /// It failed.
    Failed {
        /// Why.
        error: String,
    },
}

/// A moment with what a playbook says to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// The process.
    pub process: ProcessName,
    /// `inc-7`; none for a quiet window.
    pub incident: Option<String>,
    /// When.
    pub at: Timestamp,
    /// The sign it was asked about.
    pub trigger: String,
    /// What was really done.
    pub done: Vec<String>,
    /// How that ended.
    pub outcome: Option<String>,
    /// What the playbook says.
    #[serde(flatten)]
    pub answered: Answered,
}

/// Asks one playbook ([`Playbooks::only`]) about moments, oldest first. Blocking: it runs
/// scripts.
pub fn backtest(playbooks: &Playbooks, moments: Vec<Moment>) -> Vec<Tried> {
    let info = playbooks.list().pop();
    let cooldown = info
        .as_ref()
        .map_or(Duration::ZERO, |info| Duration::from_secs(info.cooldown_s));
    let asked_on = info.map(|info| info.on).unwrap_or_default();
    let mut last: BTreeMap<ProcessName, Timestamp> = BTreeMap::new();
    moments
        .into_iter()
        .map(|moment| {
            let at = moment.recording.now;
            let trigger = sign(&moment, &asked_on);
            let mut answered = ask(playbooks, &moment, &asked_on);
            if let Answered::Acts { actions, .. } = &answered {
                let rests = last
                    .get(&moment.process)
                    .is_some_and(|run| at < after(*run, cooldown));
                if rests {
                    answered = Answered::Rests {
                        actions: actions.clone(),
                    };
                } else {
                    last.insert(moment.process.clone(), at);
                }
            }
            Tried {
                incident: moment.incident.map(|id| id.to_string()),
                at,
                trigger: trigger.map_or("tick", |one| one.kind.as_str()).to_owned(),
                process: moment.process,
                done: moment.done,
                outcome: moment.outcome,
                answered,
            }
        })
        .collect()
}

/// The newest sign that the playbook is asked about.
fn sign<'a>(moment: &'a Moment, asked_on: &[String]) -> Option<&'a Symptom> {
    let wanted = |one: &&Symptom| asked_on.iter().any(|name| name == one.kind.as_str());
    moment.symptoms.iter().rev().find(wanted)
}

fn ask(playbooks: &Playbooks, moment: &Moment, asked_on: &[String]) -> Answered {
    let slow = [SymptomKind::Tick, SymptomKind::Score]
        .into_iter()
        .find(|kind| asked_on.iter().any(|name| name == kind.as_str()));
    let symptoms = match (sign(moment, asked_on), slow) {
        (Some(sign), _) => {
            let place = moment.symptoms.iter().position(|one| one == sign);
            moment.symptoms[..=place.unwrap_or(0)].to_vec()
        }
        // Whatever happened, a slow look would have been taken there, too.
        (None, Some(kind)) => vec![Symptom {
            kind,
            at: moment.recording.now,
            instance: None,
            event: None,
            data: serde_json::Value::Null,
        }],
        (None, None) => return Answered::NotAsked,
    };
    let ctx = DiagnoseContext::default();
    let mut recording = moment.recording.clone();
    // The answers belong to the signs they were given about.
    if recording.symptoms.last().map(|one| one.kind) != symptoms.last().map(|one| one.kind) {
        recording
            .answers
            .retain(|(question, _)| question != "illness");
    }
    let found = replay(&moment.process, &symptoms, recording, playbooks, &ctx);
    if let Some(question) = found.diverged {
        return Answered::Diverged { question };
    }
    if let Some(proposal) = found.proposal {
        let steps = proposal.plan.steps.iter();
        return Answered::Acts {
            actions: steps.map(|step| step.action.name().to_owned()).collect(),
            cause: proposal.cause,
        };
    }
    match found.trail.into_iter().next_back().map(|entry| entry.asked) {
        None => Answered::NotAsked,
        Some(Asked::Failed { error }) => Answered::Failed { error },
        Some(_) => Answered::Silent,
    }
}
