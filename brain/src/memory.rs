//! What was cured once is cured again: an incident becomes a playbook.
//!
//! ```text
//!   a verified cure ──never-learn rules──► draft: a script written from the trace
//!        │                                   │ checked, tried on what is recorded
//!   illness + process                        ▼
//!        └──────── meets it again ◄──── brain/playbooks/learned/<name>.rhai
//! ```
//!
//! No model is needed: the trace holds the sign, the telling line, the actions and the
//! measurement. This file decides and writes text; files are written by whoever asks.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use supervisor::{Event, EventKind, ProcessName};

use crate::action::Action;
use crate::facts::Facts;
use crate::incident::fingerprint::{error_line, fingerprint, template};
use crate::incident::{Fingerprint, Incident, Symptom, SymptomKind};
use crate::knowledge;
use crate::playbook::quote;
use crate::proposal::{Plan, Step};
use crate::redact::hide_shapes;

/// Lines that are looked at for a telling one.
const LINES: usize = 60;
/// Alike complaints that make an illness of a process which nobody else complains about.
const COMPLAINTS: usize = 3;

/// A cure that was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Cure {
    /// What was cured.
    pub incident: Incident,
    /// Which illness it was, as [`illness`] told it at the time.
    pub illness: Option<Fingerprint>,
    /// What was done.
    pub plan: Plan,
    /// How sure the proposal was; 1 for what a person did.
    pub confidence: f64,
    /// Who did it: `playbook:error-storm`, `cli:ana`.
    pub by: String,
    /// When it was found to have helped.
    pub at: Timestamp,
}

/// A playbook that was written from a cure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Its name, and that of its file.
    pub name: String,
    /// Its text.
    pub text: String,
    /// The illness it is for.
    pub fingerprint: String,
}

/// Why nothing is learned from a cure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NeverLearned {
    /// Nothing was done but to talk or to wait.
    #[error("nothing was done that could be done again")]
    NothingDone,
    /// What was done holds only for that moment, or ends something.
    #[error("`{0}` is decided anew each time")]
    NotRepeatable(&'static str),
    /// The proposal was hardly more than a guess.
    #[error("the diagnosis was only {0} % sure")]
    Unsure(u8),
    /// The sign could mean many illnesses.
    #[error("the sign is too vague to be recognised again")]
    Vague,
    /// The illness has a playbook of its own.
    #[error("`{0}` knows it already")]
    Known(String),
}

/// Which illness it is, told so narrowly that the same cure may be tried: nothing unless there
/// is a telling line, or a probe's own words.
pub(crate) fn illness(
    facts: &dyn Facts,
    process: &ProcessName,
    symptoms: &[Symptom],
) -> Option<Fingerprint> {
    let deadly = |kind| matches!(kind, SymptomKind::Crash | SymptomKind::SpawnFailed);
    let newest = symptoms.last()?;
    let sign = match newest.kind {
        SymptomKind::Errored => symptoms.iter().rev().find(|one| deadly(one.kind))?,
        _ => newest,
    };
    let data = &sign.data;
    let (exit, line) = match sign.kind {
        SymptomKind::Crash | SymptomKind::SpawnFailed => {
            let exit = match (data["signal"].as_i64(), data["code"].as_i64()) {
                (Some(signal), _) => format!("signal {signal}"),
                (None, Some(code)) => format!("exit {code}"),
                (None, None) => String::new(),
            };
            let said = texts(&data["last_lines"]);
            let line = telling(&said).or_else(|| {
                let tail = tail(facts, process, Duration::from_secs(10));
                telling(&tail)
            });
            let line = line.or_else(|| data["error"].as_str().map(str::to_owned));
            (exit, line)
        }
        SymptomKind::HealthFail => {
            let probe = data["error"].as_str().unwrap_or_default().to_owned();
            let line = telling(&tail(facts, process, run(facts, process, 20)));
            let line = line.or_else(|| (!probe.is_empty()).then(|| probe.clone()));
            (probe, line)
        }
        SymptomKind::Tick | SymptomKind::Score | SymptomKind::Sign => {
            let lines = tail(facts, process, run(facts, process, 10));
            let line = telling(&lines);
            // One complaint is no illness of a process that is otherwise well.
            let again = line.as_ref().map(|line| template(line));
            let count = lines
                .iter()
                .filter(|line| again.as_ref() == Some(&template(line)));
            let often = count.count() >= COMPLAINTS;
            (String::new(), line.filter(|_| often))
        }
        SymptomKind::Errored | SymptomKind::HealthRecover | SymptomKind::MemoryExceeded => {
            (String::new(), None)
        }
    };
    let line = line.filter(|line| !line.trim().is_empty())?;
    Some(fingerprint(sign.kind, &exit, Some(&line)))
}

fn texts(value: &Value) -> Vec<String> {
    let lines = value.as_array().into_iter().flatten();
    lines
        .filter_map(|line| Some(line.as_str()?.to_owned()))
        .collect()
}

/// At most so many seconds, and none from before the newest run began: what a run said that is
/// over says nothing about this one.
fn run(facts: &dyn Facts, process: &ProcessName, seconds: u64) -> Duration {
    let copies = facts.process(process).into_iter();
    let copies = copies.flat_map(|process| process.instances);
    let youngest = copies.filter_map(|copy| copy.uptime_ms).min();
    let longest = Duration::from_secs(seconds);
    youngest.map_or(longest, |ms| longest.min(Duration::from_millis(ms)))
}

fn tail(facts: &dyn Facts, process: &ProcessName, window: Duration) -> Vec<String> {
    let lines = facts.log_lines(process, ".", window, LINES);
    lines.into_iter().map(|line| line.text).collect()
}

fn telling(lines: &[String]) -> Option<String> {
    error_line(lines.iter().map(String::as_str)).map(|index| lines[index].clone())
}

/// What a person did within an incident that could have cured it, with who it was: a restart,
/// a start or a reload.
pub fn by_a_person(incident: &Incident, events: &[Event]) -> Option<(Plan, String)> {
    let person =
        |actor: &str| !matches!(actor, "" | "system" | "agent") && !actor.starts_with("brain:");
    let done = events
        .iter()
        .rev()
        .filter(|event| event.at >= incident.opened && person(&event.actor))
        .find_map(|event| {
            let action = match event.kind {
                EventKind::Restart => Action::Restart { instance: None },
                EventKind::ReloadDone => Action::Reload,
                EventKind::Start => Action::Start,
                _ => return None,
            };
            Some((action, event.actor.clone()))
        });
    let (action, actor) = done?;
    let step = Step {
        action,
        why: format!("{actor} did it"),
    };
    Some((
        Plan {
            steps: vec![step],
            ask: None,
        },
        actor,
    ))
}

/// Writes the playbook of a cure, or says why there is none.
///
/// # Errors
/// By the rules of [`NeverLearned`].
pub fn draft(cure: &Cure) -> Result<Draft, NeverLearned> {
    let mut steps = Vec::new();
    let mut waits = String::new();
    for step in &cure.plan.steps {
        match &step.action {
            Action::Restart { .. } => steps.push("restart()"),
            Action::Reload => steps.push("reload()"),
            Action::Start => steps.push("start()"),
            Action::KillRestart { .. } => steps.push("kill_restart()"),
            Action::ClearError => steps.push("clear_error()"),
            Action::Wait(time) => waits = format!("wait({:?}), ", time.as_secs_f64()),
            // Words are written anew.
            Action::UpdateScore
            | Action::RunProbe
            | Action::Notify { .. }
            | Action::LogIncident { .. }
            | Action::Escalate { .. } => {}
            Action::Halt { .. }
            | Action::Stop
            | Action::ScaleUp { .. }
            | Action::ScaleDown { .. }
            | Action::SetLimit { .. }
            | Action::ClearLock { .. }
            | Action::Rollback => return Err(NeverLearned::NotRepeatable(step.action.name())),
        }
    }
    if steps.is_empty() {
        return Err(NeverLearned::NothingDone);
    }
    if cure.confidence < 0.5 {
        let percent = (cure.confidence * 100.0).clamp(0.0, 100.0) as u8;
        return Err(NeverLearned::Unsure(percent));
    }
    let illness = cure.illness.as_ref().ok_or(NeverLearned::Vague)?;
    let kind = cure
        .incident
        .symptoms
        .iter()
        .rev()
        .map(|symptom| symptom.kind)
        .find(|kind| illness.readable.starts_with(kind.as_str()))
        .ok_or(NeverLearned::Vague)?;
    let process = cure.incident.process.as_str();
    let short: String = illness.hash.chars().take(6).collect();
    let name = format!("{process}-{}-{short}", kind.as_str().replace('_', "-"));
    let id = cure.incident.id;
    let sign = plain(&knowledge::quotable(&hide_shapes(&illness.readable)));
    let by = plain(&hide_shapes(&cure.by));
    let done = steps.join(", ");
    let when = cure.at.strftime("%Y-%m-%d %H:%M UTC");
    let on = match kind {
        // The death comes first; giving up follows.
        SymptomKind::Crash => r#""crash", "errored""#.to_owned(),
        other => quote(other.as_str()),
    };
    let text = format!(
        r#"//! Do again what cured this illness: {done}.
//!
//! Why: learned from {id} of {process} on {when}. It was cured by {by} and measured.
//! The sign was: {sign}

const META = #{{ name: {name}, version: 1,
                description: {description},
                on: [{on}], process: {quoted_process}, priority: 60,
                cooldown: "5m", max_per_hour: 3, confidence: {confidence:.2},
                params: #{{ illness: {hash} }} }};

// The same sign, on a process that nobody holds and whose dependencies are well.
fn matches(c) {{
    !c.held && c.illness() == c.p.illness && c.sick_dependency() == ()
}}

fn reason(c) {{ `${{c.name}} has the illness of {id} again, which {by} cured: ${{{quoted_sign}}}` }}

fn plan(c) {{ [ {waits}{done} ] }}

fn verify(c) {{
    if c.state == "errored" {{ return false; }}
    if c.age_s < 30.0 {{ return (); }}
    c.state == "online" && c.healthy
}}
"#,
        name = quote(&name),
        description = quote(&format!("Cure of {id}: {done}")),
        quoted_process = quote(process),
        confidence = cure.confidence.min(0.9),
        hash = quote(&illness.hash),
        quoted_sign = quote(&sign),
    );
    Ok(Draft {
        name,
        text,
        fingerprint: illness.hash.clone(),
    })
}

/// A text that can stand in a comment or between backticks.
fn plain(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            '`' | '$' => '\'',
            other if other.is_control() => ' ',
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::incident::{IncidentId, IncidentState};
    use crate::playbook::lint::{Weight, lint};
    use crate::playbook::{Format, PlaybookState, Playbooks};

    fn cure(actions: Vec<Action>, line: &str) -> Cure {
        Cure {
            incident: Incident {
                id: IncidentId(7),
                process: "api".parse().unwrap(),
                opened: Timestamp::UNIX_EPOCH,
                closed: None,
                state: IncidentState::Resolved,
                symptoms: vec![Symptom {
                    kind: SymptomKind::Crash,
                    at: Timestamp::UNIX_EPOCH,
                    instance: Some(0),
                    event: Some(1),
                    data: json!({"code": 1}),
                }],
                fingerprint: None,
                title: String::new(),
                cause: None,
            },
            illness: (!line.is_empty())
                .then(|| fingerprint(SymptomKind::Crash, "exit 1", Some(line))),
            plan: Plan::from_iter(actions),
            confidence: 0.8,
            by: "cli:ana".into(),
            at: Timestamp::UNIX_EPOCH,
        }
    }

    fn restart() -> Action {
        Action::Restart { instance: None }
    }

    /// Whatever a program printed, the draft is a playbook without a flaw.
    #[test]
    fn a_draft_is_a_valid_playbook() {
        for line in [
            "Error: pool is drained",
            "Error: `${x}` \" ); stop() // \\",
            "Error: */ } fn plan(c) { [stop()] } //",
            "Error: \u{1b}[31m red\r\n//! x",
        ] {
            let draft = draft(&cure(vec![restart()], line)).unwrap();
            let findings = lint(&draft.name, Format::Rhai, &draft.text);
            assert_eq!(findings, [], "{}", draft.text);
            let one = Playbooks::only(&draft.name, Format::Rhai, &draft.text).list();
            assert_eq!(one[0].state, PlaybookState::Ok);
            assert_eq!(one[0].actions, ["restart"], "{}", draft.text);
            assert!(
                lint(&draft.name, Format::Rhai, &draft.text)
                    .iter()
                    .all(|one| one.weight != Weight::Error)
            );
        }
    }

    #[test]
    fn some_cures_are_never_learned() {
        let line = "Error: pool is drained";
        let wait = Action::Wait(std::time::Duration::from_secs(5));
        let never = |actions, line| draft(&cure(actions, line)).unwrap_err();
        assert_eq!(never(vec![wait], line), NeverLearned::NothingDone);
        assert_eq!(never(vec![], line), NeverLearned::NothingDone);
        assert_eq!(
            never(vec![restart(), Action::Stop], line),
            NeverLearned::NotRepeatable("stop")
        );
        assert_eq!(
            never(vec![Action::ScaleUp { by: 1 }], line),
            NeverLearned::NotRepeatable("scale_up")
        );
        assert_eq!(never(vec![restart()], ""), NeverLearned::Vague);
        let mut unsure = cure(vec![restart()], line);
        unsure.confidence = 0.4;
        assert_eq!(draft(&unsure), Err(NeverLearned::Unsure(40)));
    }
}
