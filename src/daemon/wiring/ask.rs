//! `ai.diagnose`: what ails a process now, or what ailed it a while ago.
//!
//! The world is looked at first. Where it is well again, or says too little, what was found
//! out while it was ill counts: a diagnosis belongs to the moment of the illness.

use std::sync::Arc;

use agent::AgentHandle;
use agent::Remembered;
use brain::{Advice, Case, Evidence, Facts, RuledOut, Standing};
use jiff::Timestamp;
use serde_json::{Value, json};
use supervisor::{ControlError, ProcessName, until};

use super::facts::LiveFacts;

/// From this confidence on a look at the world needs no memory.
const SURE: f64 = 0.6;

/// Diagnoses a process.
pub(super) async fn diagnose(
    agent: &AgentHandle,
    facts: &Arc<LiveFacts>,
    name: &ProcessName,
) -> Result<Value, ControlError> {
    let (world, process): (Arc<dyn Facts>, _) = (facts.clone(), name.clone());
    let live = tokio::task::spawn_blocking(move || brain::investigate(&world, &process))
        .await
        .map_err(|error| ControlError::Internal {
            message: error.to_string(),
        })?;
    let Some((live, _)) = live else {
        return Err(ControlError::NotFound {
            target: name.to_string(),
            near: Vec::new(),
        });
    };
    let remembered = agent.remembered(name).await?;
    let incident = remembered.as_ref().map(|one| one.incident.clone());
    let now = facts.now();
    let (case, from) = match remembered {
        Some(then)
            if !(live.is_telling() && live.confidence >= SURE && !is_surer(&then, &live)) =>
        {
            recall(live, then, now)
        }
        _ => (live, None),
    };
    let mut answer = json!(case);
    answer["incident"] = json!(incident);
    answer["remembered"] = json!(from);
    answer["healthy"] = json!(case.state == Standing::Well || case.state == Standing::Recovered);
    Ok(answer)
}

/// Was the open incident understood better before?
fn is_surer(then: &Remembered, live: &Case) -> bool {
    let open = then.closed.is_none();
    open && then
        .case
        .as_ref()
        .is_some_and(|case| case.confidence > live.confidence + 0.1)
}

/// What was found out then, in the light of now.
fn recall(live: Case, then: Remembered, now: Timestamp) -> (Case, Option<String>) {
    let ended = then.closed.unwrap_or(then.opened);
    let age = supervisor::units::format_duration(std::time::Duration::from_secs(
        until(then.opened, now).as_secs(),
    ));
    let mut case = match (then.case, then.said) {
        (Some(case), _) => case,
        (None, Some((cause, confidence, evidence))) => Case {
            state: Standing::Ill,
            root_cause: cause,
            confidence,
            evidence,
            process: then.process.to_string(),
            ..live.clone()
        },
        (None, None) => return (live, None),
    };
    let well = live.state == Standing::Well;
    let mut ruled_out: Vec<RuledOut> = case.ruled_out.clone();
    for one in live.ruled_out {
        if !ruled_out.iter().any(|old| old.what == one.what) {
            ruled_out.push(one);
        }
    }
    if well {
        case.state = Standing::Recovered;
        case.root_cause = format!(
            "{} (That was {age} ago, {}; it is well now.)",
            case.root_cause, then.incident
        );
        let done = Advice {
            action: "none".to_owned(),
            text: "it is well now".to_owned(),
            safe: true,
        };
        case.actions.retain(|advice| advice.action == "person");
        case.actions.insert(0, done);
        case.evidence.push(Evidence {
            id: format!("incident:{}", then.incident),
            text: format!(
                "found while it lasted, {} it ended",
                if ended == then.opened {
                    "before"
                } else {
                    "and then"
                }
            ),
        });
    }
    case.ruled_out = ruled_out;
    case.asked = live.asked;
    case.at = now;
    case.took_ms = live.took_ms;
    (case, Some(then.incident))
}
