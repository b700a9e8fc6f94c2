//! The brain behind the agent's questions: the playbooks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agent::{Asking, Check, Diagnosis, Mind};
use brain::incident::fingerprint::{error_line, fingerprint};
use brain::{
    DiagnoseContext, Facts, Fingerprint, Incident, Plan, PlaybookId, Playbooks, SymptomKind,
    Verdict,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use supervisor::ProcessName;

/// How often a slow look asks for the cause of a process's complaints.
const EVERY: Duration = Duration::from_secs(5);

/// Answers from the playbooks.
pub(super) struct PlaybookMind {
    playbooks: Playbooks,
    /// When a slow look last asked for the cause, by process.
    looked: Mutex<BTreeMap<ProcessName, Timestamp>>,
}

impl PlaybookMind {
    pub(super) fn new(playbooks: Playbooks) -> Self {
        Self {
            playbooks,
            looked: Mutex::default(),
        }
    }

    /// May a slow look ask for the cause again?
    fn is_due(&self, process: &ProcessName, now: Timestamp) -> bool {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let due = looked
            .get(process)
            .is_none_or(|last| supervisor::until(*last, now) >= EVERY);
        if due {
            looked.retain(|_, last| supervisor::until(*last, now) < EVERY);
            looked.insert(process.clone(), now);
        }
        due
    }
}

fn context(asking: &Asking) -> DiagnoseContext {
    DiagnoseContext {
        autonomous: asking.autonomous,
        runs: asking.runs.clone(),
        forgetful: false,
    }
}

fn answer(found: brain::Diagnosis, fingerprint: Option<Fingerprint>) -> Diagnosis {
    Diagnosis {
        fingerprint,
        proposal: found.proposal,
        trail: json!(found.trail),
        recording: Some(found.recording),
        case: found.case,
    }
}

impl Mind for PlaybookMind {
    fn diagnose(&self, incident: &Incident, facts: &Arc<dyn Facts>, asking: &Asking) -> Diagnosis {
        let ctx = context(asking);
        let found = brain::diagnose(incident, facts, &self.playbooks, &ctx);
        let found = brain::with_causes(found, &incident.process, facts, &ctx);
        answer(found, illness(incident))
    }

    fn worth_a_look(
        &self,
        processes: Vec<ProcessName>,
        facts: &Arc<dyn Facts>,
    ) -> Vec<ProcessName> {
        brain::worth_a_look(processes, facts, &self.playbooks)
    }

    fn look(&self, process: &ProcessName, facts: &Arc<dyn Facts>, asking: &Asking) -> Diagnosis {
        let ctx = context(asking);
        let mut found = brain::look(process, facts, &self.playbooks, &ctx);
        // What a playbook found wants an explanation, and what none found one from time to time.
        let ill = found.proposal.is_some() || complains(&found.recording);
        if ill && (found.proposal.is_some() || self.is_due(process, facts.now())) {
            found = brain::with_causes(found, process, facts, &ctx);
        }
        answer(found, None)
    }

    fn verify(
        &self,
        playbook: &PlaybookId,
        incident: &Incident,
        acted: Timestamp,
        facts: &Arc<dyn Facts>,
    ) -> Check {
        match brain::verify(playbook, incident, acted, facts, &self.playbooks) {
            Ok(Verdict::Helped) => Check::Passed,
            Ok(Verdict::NotHelped) => Check::Failed,
            Ok(Verdict::NotYet) => Check::Wait,
            // A broken check is none; its error has been told and counts against the playbook.
            Ok(Verdict::NoCheck) | Err(_) => Check::None,
        }
    }

    fn on_failure(
        &self,
        playbook: &PlaybookId,
        incident: &Incident,
        acted: Timestamp,
        facts: &Arc<dyn Facts>,
    ) -> Option<Plan> {
        brain::on_failure(playbook, incident, acted, facts, &self.playbooks)
            .ok()
            .flatten()
    }

    fn cooldown(&self, playbook: &str) -> Option<Duration> {
        if brain::is_cause(playbook) {
            return Some(brain::CAUSE_COOLDOWN);
        }
        let all = self.playbooks.list();
        let one = all.iter().find(|one| one.name == playbook)?;
        Some(Duration::from_secs(one.cooldown_s))
    }
}

/// Did the questions of a slow look show complaints, or a probe that fails?
fn complains(recording: &brain::Recording) -> bool {
    recording.answers.iter().any(|(question, answer)| {
        question.starts_with("errors(") && answer.as_array().is_some_and(|all| !all.is_empty())
            || question == "probe" && answer[0].as_i64().unwrap_or(0) > 0
    })
}

/// Which illness it is, by the newest death; by the newest sign where nobody died.
fn illness(incident: &Incident) -> Option<Fingerprint> {
    let deadly = |kind| matches!(kind, SymptomKind::Crash | SymptomKind::SpawnFailed);
    let mut newest = incident.symptoms.iter().rev();
    let sign = newest
        .clone()
        .find(|symptom| deadly(symptom.kind))
        .or_else(|| newest.next())?;
    let number = |key: &str| sign.data[key].as_i64();
    let exit = match (number("signal"), number("code")) {
        (Some(signal), _) => format!("signal {signal}"),
        (None, Some(code)) => format!("exit {code}"),
        (None, None) => String::new(),
    };
    let lines: Vec<&str> = sign.data["last_lines"]
        .as_array()
        .map(|lines| lines.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let line = error_line(lines.iter().copied()).and_then(|index| lines.get(index).copied());
    Some(fingerprint(sign.kind, &exit, line))
}
