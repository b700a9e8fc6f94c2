//! The brain behind the agent's questions: the playbooks.

use std::sync::Arc;
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

/// Answers from the playbooks.
pub(super) struct PlaybookMind {
    playbooks: Playbooks,
}

impl PlaybookMind {
    pub(super) fn new(playbooks: Playbooks) -> Self {
        Self { playbooks }
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
    }
}

impl Mind for PlaybookMind {
    fn diagnose(&self, incident: &Incident, facts: &Arc<dyn Facts>, asking: &Asking) -> Diagnosis {
        let found = brain::diagnose(incident, facts, &self.playbooks, &context(asking));
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
        let found = brain::look(process, facts, &self.playbooks, &context(asking));
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
        let all = self.playbooks.list();
        let one = all.iter().find(|one| one.name == playbook)?;
        Some(Duration::from_secs(one.cooldown_s))
    }
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
