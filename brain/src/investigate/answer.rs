//! What a model says, and what of it counts.
//!
//! ```text
//!   text ──first JSON object──► Answer ──checked against the process──► Checked
//!                                          │                              └ Proposal, typed
//!                                          └ dropped: unknown action, other target,
//!                                            argument out of bounds, evidence never shown
//! ```
//!
//! Nothing that a model wrote gets into an action: names come from our table, numbers are
//! parsed and bounded, texts of steps are ours.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use supervisor::HealthStatus;
use supervisor::units::{ByteSize, parse_duration};

use super::desk::Shown;
use crate::action::{Action, Severity};
use crate::facts::{InstanceFacts, ProcessFacts};
use crate::incident::Evidence;
use crate::llm::answer::objects;
use crate::llm::{AnswerSchema, ModelId};
use crate::proposal::{Plan, PlaybookId, Proposal, Step};
use crate::words::clean;

/// Actions of one plan.
const ACTIONS: usize = 5;
/// Longest diagnosis, in characters.
const DIAGNOSIS: usize = 600;
/// Longest other text, in characters.
const TEXT: usize = 240;
/// Pieces of evidence.
const EVIDENCE: usize = 12;
/// Proposals of models are told from those of playbooks by this.
const PREFIX: &str = "model:";
/// The provider under which the plans of other people's agents are recorded.
pub const GUEST: &str = "mcp";
/// Longest wait in a plan, in seconds.
const LONGEST_WAIT: f64 = 600.0;
/// A limit may change by this factor in one step.
const FACTOR: f64 = 2.0;

/// What a model makes of the finding that it was shown first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelVerdict {
    /// It is right.
    Confirm,
    /// It is right as far as it goes.
    Refine,
    /// It is wrong.
    Refute,
    /// It did not say.
    #[default]
    None,
}

/// What counts of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// What to do, typed; a plan without steps is only a report.
    pub proposal: Proposal,
    /// What the model makes of the finding that it was shown.
    pub verdict: ModelVerdict,
    /// How bad it is.
    pub severity: Severity,
    /// Does it say that nothing is wrong?
    pub healthy: Option<bool>,
    /// Why it proposes each step, cleaned; in the order of the plan.
    pub reasons: Vec<String>,
    /// What it would like to know of a person, cleaned.
    pub question: Option<String>,
    /// What was not taken, and why.
    pub dropped: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    diagnosis: Value,
    #[serde(default)]
    confidence: Value,
    #[serde(default)]
    severity: Value,
    #[serde(default)]
    evidence: Value,
    #[serde(default)]
    healthy: Value,
    #[serde(default)]
    actions: Value,
    #[serde(default)]
    question: Value,
    #[serde(default)]
    verdict: Value,
}

/// The name under which proposals of a model are recorded.
fn playbook_of(model: &ModelId) -> PlaybookId {
    let plain = |text: &str| -> String {
        let kept = text.chars().filter(|letter| {
            letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_' | ':' | '/')
        });
        kept.take(60).collect()
    };
    PlaybookId(format!(
        "{PREFIX}{}/{}",
        plain(&model.provider),
        plain(&model.model)
    ))
}

/// Is this the name of the proposals of somebody else's agent?
pub fn is_guest(playbook: &str) -> bool {
    let rest = playbook.strip_prefix(PREFIX);
    let rest = rest.and_then(|rest| rest.strip_prefix(GUEST));
    rest.is_some_and(|rest| rest.starts_with('/'))
}

/// Is this the name of a model's proposals?
pub fn is_model(playbook: &str) -> bool {
    playbook.starts_with(PREFIX)
}

/// The form of the steps of a plan, as JSON Schema.
pub fn actions_schema() -> Value {
    let action = json!({
        "type": "object",
        "properties": {
            "action": {"type": "string", "enum": NAMES},
            "target": {"type": "string"},
            "args": {
                "type": "object",
                "properties": {
                    "instance": {"type": "integer", "minimum": 0},
                    "n": {"type": "integer", "minimum": 1, "maximum": 8},
                    "seconds": {"type": "number", "minimum": 1, "maximum": 600},
                    "key": {"type": "string", "enum": ["max_memory", "max_restarts", "grace_period"]},
                    "value": {"type": "string"}
                }
            },
            "reason": {"type": "string"}
        },
        "required": ["action", "target"]
    });
    json!({"type": "array", "items": action, "maxItems": ACTIONS})
}

/// The form of an answer.
pub(super) fn schema() -> AnswerSchema {
    AnswerSchema {
        name: "diagnosis".into(),
        schema: json!({
            "type": "object",
            "properties": {
                "diagnosis": {"type": "string"},
                "confidence": {"type": "number", "minimum": 0, "maximum": 1},
                "severity": {"type": "string", "enum": ["info", "warning", "critical"]},
                "evidence": {"type": "array", "items": {"type": "string"}, "maxItems": EVIDENCE},
                "verdict": {"type": "string", "enum": ["confirm", "refine", "refute"]},
                "healthy": {"type": "boolean"},
                "actions": actions_schema(),
                "question": {"type": ["string", "null"]}
            },
            "required": ["diagnosis", "confidence", "evidence", "actions"]
        }),
    }
}

const NAMES: [&str; 16] = [
    "restart",
    "reload",
    "start",
    "kill_restart",
    "halt",
    "stop",
    "scale_up",
    "scale_down",
    "set_limit",
    "clear_error",
    "run_probe",
    "rollback",
    "wait",
    "notify",
    "log_incident",
    "escalate",
];

/// Reads an answer about a process. `most` is how many copies of it there may be.
///
/// # Errors
/// What is wrong with it as a whole, for one more try: no JSON, no diagnosis, or actions of
/// which none can be taken.
pub fn check(
    text: &str,
    process: &ProcessFacts,
    most: u16,
    shown: &Shown,
    by: &ModelId,
) -> Result<Checked, Problem> {
    let object = said_in(text)
        .ok_or_else(|| Problem::unreadable("there is no JSON object in the answer"))?;
    let answer: Answer = serde_json::from_value(object)
        .map_err(|error| Problem::unreadable(format!("the answer is not as agreed: {error}")))?;
    let said = clean(answer.diagnosis.as_str().unwrap_or_default(), DIAGNOSIS);
    if said.is_empty() {
        return Err(Problem::unreadable("`diagnosis` is missing or empty"));
    }
    let mut dropped = Vec::new();
    let mut steps = Vec::new();
    let mut reasons = Vec::new();
    let wanted: Vec<Value> = match answer.actions {
        Value::Array(list) => list,
        Value::Null => Vec::new(),
        one => vec![one],
    };
    if wanted.len() > ACTIONS {
        dropped.push(format!(
            "{} actions beyond the first {ACTIONS}",
            wanted.len() - ACTIONS
        ));
    }
    for (place, one) in wanted.iter().take(ACTIONS).enumerate() {
        match action(one, process, most) {
            Ok(action) => {
                reasons.push(clean(one["reason"].as_str().unwrap_or_default(), TEXT));
                steps.push(Step {
                    action,
                    why: "the model proposes it".into(),
                });
            }
            Err(why) => dropped.push(format!("action {}: {why}", place + 1)),
        }
    }
    let cited: Vec<&str> = match &answer.evidence {
        Value::Array(list) => list.iter().filter_map(cite).collect(),
        Value::String(one) => vec![one],
        _ => Vec::new(),
    };
    let mut evidence: Vec<Evidence> = Vec::new();
    let mut unknown = 0;
    for id in cited {
        match shown.evidence(id) {
            Some(one) if evidence.len() < EVIDENCE && !evidence.contains(&one) => {
                evidence.push(one);
            }
            Some(_) => {}
            None => unknown += 1,
        }
    }
    if unknown > 0 {
        dropped.push(match unknown {
            1 => "one piece of evidence that was never shown".to_owned(),
            many => format!("{many} pieces of evidence that were never shown"),
        });
    }
    let nothing_left = steps.is_empty() && !wanted.is_empty();
    let confidence = confidence(&answer.confidence);
    let checked = Checked {
        proposal: Proposal {
            cause: format!("`{}`: {said}", process.name),
            // Without a single fact behind it, it is a guess.
            confidence: if evidence.is_empty() {
                confidence.min(0.4)
            } else {
                confidence
            },
            evidence,
            plan: Plan { steps, ask: None },
            playbook: playbook_of(by),
            version: None,
        },
        verdict: serde_json::from_value(answer.verdict).unwrap_or_default(),
        severity: serde_json::from_value(answer.severity).unwrap_or(Severity::Warning),
        healthy: answer.healthy.as_bool(),
        reasons,
        question: answer
            .question
            .as_str()
            .map(|text| clean(text, TEXT))
            .filter(|text| !text.is_empty()),
        dropped,
    };
    if nothing_left {
        let why = format!(
            "none of the actions can be taken: {}; known are {} with the target `{}`",
            checked.dropped.join("; "),
            NAMES.join(", "),
            process.name
        );
        return Err(Problem {
            why,
            report: Some(Box::new(checked)),
        });
    }
    Ok(checked)
}

/// What is wrong with an answer as a whole.
#[derive(Debug)]
pub struct Problem {
    /// For the model.
    pub why: String,
    /// What counts of it all the same: a report without a plan.
    pub report: Option<Box<Checked>>,
}

impl Problem {
    fn unreadable(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            report: None,
        }
    }
}

/// Evidence may be written as an id or as an object with one.
fn cite(one: &Value) -> Option<&str> {
    one.as_str().or_else(|| one["id"].as_str())
}

/// A share from 0 to 1; models also write percent, and numbers as texts.
fn confidence(value: &Value) -> f64 {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().trim_end_matches('%').trim().parse().ok(),
        _ => None,
    };
    match number {
        Some(number) if !number.is_finite() || number < 0.0 => 0.0,
        Some(number) if number <= 1.0 => number,
        Some(number) if number <= 100.0 => number / 100.0,
        _ => 0.0,
    }
}

/// One typed action, on the process in question and within its bounds.
fn action(one: &Value, process: &ProcessFacts, most: u16) -> Result<Action, String> {
    let name = one["action"].as_str().unwrap_or_default();
    let Some(name) = NAMES.into_iter().find(|known| *known == name) else {
        return Err("there is no such action".into());
    };
    let args = &one["args"];
    match one["target"].as_str() {
        Some(target) if target == process.name.as_str() => {}
        _ => return Err(format!("`target` must be `{}`", process.name)),
    }
    let words = |what: &str| format!("the model {what} `{}`; see its incident", process.name);
    Ok(match name {
        "restart" => Action::Restart {
            instance: instance(args, process)?,
        },
        "kill_restart" => Action::KillRestart {
            instance: instance(args, process)?,
        },
        "reload" => Action::Reload,
        "start" => Action::Start,
        "stop" => Action::Stop,
        "halt" => Action::Halt {
            reason: words("wants to contain the damage of"),
        },
        "clear_error" => Action::ClearError,
        "run_probe" if process.instances.iter().all(has_no_probe) => {
            return Err("no copy that is up has a probe".into());
        }
        "run_probe" => Action::RunProbe,
        "rollback" if !process.has_previous => {
            return Err("there is no former definition to roll back to".into());
        }
        "rollback" => Action::Rollback,
        "scale_up" => {
            let by = count(args)?;
            if process.desired.saturating_add(by) > most {
                return Err(format!("`n` would make more than {most} copies"));
            }
            Action::ScaleUp { by }
        }
        "scale_down" => {
            let by = count(args)?;
            if by >= process.desired {
                return Err("`n` would leave no copy".into());
            }
            Action::ScaleDown { by }
        }
        "set_limit" => limit(args, process)?,
        "wait" => {
            let seconds = args["seconds"].as_f64().unwrap_or(f64::NAN);
            if !(1.0..=LONGEST_WAIT).contains(&seconds) {
                return Err(format!("`seconds` is from 1 to {LONGEST_WAIT}"));
            }
            Action::Wait(std::time::Duration::from_secs_f64(seconds.round()))
        }
        "notify" => Action::Notify {
            severity: Severity::Warning,
            text: words("asks people to look at"),
        },
        "log_incident" => Action::LogIncident {
            text: words("made a note about"),
        },
        _ => Action::Escalate {
            text: words("wants a person to take over"),
        },
    })
}

fn has_no_probe(copy: &InstanceFacts) -> bool {
    !copy.alive || copy.health == HealthStatus::Off
}

fn instance(args: &Value, process: &ProcessFacts) -> Result<Option<u16>, String> {
    match &args["instance"] {
        Value::Null => Ok(None),
        value => {
            let index = value.as_u64().and_then(|index| u16::try_from(index).ok());
            match index.filter(|index| process.instances.iter().any(|one| one.index == *index)) {
                Some(index) => Ok(Some(index)),
                None => Err("`instance` is none of its copies".into()),
            }
        }
    }
}

fn count(args: &Value) -> Result<u16, String> {
    match args["n"].as_u64() {
        Some(by) if (1..=8).contains(&by) => Ok(by as u16),
        _ => Err("`n` is from 1 to 8".into()),
    }
}

/// A limit, written anew from the number that was read.
fn limit(args: &Value, process: &ProcessFacts) -> Result<Action, String> {
    let value = match &args["value"] {
        Value::String(text) if text.len() <= 24 => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return Err("`value` is a short text such as \"512MB\"".into()),
    };
    let far = |old: f64, new: f64| old > 0.0 && (new > old * FACTOR || new * FACTOR < old);
    let too_far = || {
        Err(format!(
            "`value` may change a limit by a factor of {FACTOR} at most"
        ))
    };
    let (key, value) = match args["key"].as_str() {
        Some("max_memory") => {
            let bytes = value
                .parse::<ByteSize>()
                .map_err(|_| "`value` is no size")?
                .0;
            match process.max_memory {
                Some(old) if far(old as f64, bytes as f64) => return too_far(),
                Some(_) => {}
                None => return Err("the process has no `max_memory` to change".into()),
            }
            ("max_memory", format!("{}MB", (bytes >> 20).max(1)))
        }
        Some("max_restarts") => {
            let count: u32 = value.parse().map_err(|_| "`value` is no number")?;
            if count == 0 || far(f64::from(process.max_restarts), f64::from(count)) {
                return too_far();
            }
            ("max_restarts", count.to_string())
        }
        Some("grace_period") => {
            let time = parse_duration(&value).map_err(|_| "`value` is no time")?;
            let old = process.config["grace_period"].as_str();
            let old = old.and_then(|text| parse_duration(text).ok());
            let old = old.unwrap_or_else(supervisor::spec::defaults::grace_period);
            if far(old.as_secs_f64(), time.as_secs_f64()) {
                return too_far();
            }
            ("grace_period", format!("{}ms", time.as_millis()))
        }
        _ => return Err("`key` is max_memory, max_restarts or grace_period".into()),
    };
    Ok(Action::SetLimit {
        key: key.to_owned(),
        value,
    })
}

/// The object of an answer that holds what it says.
pub(super) fn said_in(text: &str) -> Option<Value> {
    let mut all = objects(text).into_iter();
    all.find(|object| object.get("diagnosis").is_some())
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
