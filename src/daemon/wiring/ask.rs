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
/// So long after an illness its victims may still look ill by themselves.
const JUST_NOW: std::time::Duration = std::time::Duration::from_secs(60);

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
    let mut remembered = agent.remembered(name).await?;
    if remembered.as_ref().is_none_or(|one| one.case.is_none())
        && !(live.is_telling() && live.confidence >= SURE)
        && let Some(cause) = of_dependencies(agent, facts, name).await?
    {
        remembered = Some(cause);
    }
    let incident = remembered.as_ref().map(|one| one.incident.clone());
    let now = facts.now();
    let (case, from) = match remembered {
        Some(then)
            if !(live.is_telling() && live.confidence >= SURE && !is_surer(&then, &live))
                || knows_the_culprit(&then, &live, now) =>
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

/// What a process that this one depends on suffered from, if this one had trouble meanwhile.
async fn of_dependencies(
    agent: &AgentHandle,
    facts: &Arc<LiveFacts>,
    name: &ProcessName,
) -> Result<Option<Remembered>, ControlError> {
    let attempts = facts.attempts(name);
    let up = attempts.iter().position(|one| one.passed).unwrap_or(0);
    if attempts.iter().skip(up).all(|one| one.passed) {
        return Ok(None);
    }
    let mut ways: Vec<Vec<ProcessName>> = vec![vec![name.clone()]];
    let mut found: Option<(Remembered, Case, Vec<ProcessName>)> = None;
    let mut next = 0;
    while let Some(way) = ways.get(next).cloned() {
        next += 1;
        let Some(last) = way.last() else { break };
        if way.len() > 1
            && let Some(then) = agent.remembered(last).await?
            && let Some(case) = then.case.clone()
        {
            // The farthest one is where it began.
            found = Some((then, case, way.clone()));
        }
        let on = facts
            .process(last)
            .map(|one| one.depends_on)
            .unwrap_or_default();
        for one in on {
            let known = ways.iter().any(|way| way.last() == Some(&one));
            if !known && ways.len() < 16 {
                let mut longer = way.clone();
                longer.push(one);
                ways.push(longer);
            }
        }
    }
    Ok(found.map(|(mut then, mut case, way)| {
        case.root_cause = format!(
            "`{name}` suffered from `{}`, on which it depends. {}",
            case.process, case.root_cause
        );
        case.chain = way
            .iter()
            .skip(1)
            .map(ToString::to_string)
            .filter(|one| *one != case.process)
            .collect();
        then.case = Some(case);
        then
    }))
}

/// Was it found a moment ago whose victim the process is, while the look at the world now ends at
/// somebody else? Who lies between the two has recovered by now and looks like the culprit.
fn knows_the_culprit(then: &Remembered, live: &Case, now: Timestamp) -> bool {
    let culprit = match &then.case {
        Some(case) => case.process.as_str(),
        None => then.process.as_str(),
    };
    let fresh = then
        .closed
        .is_none_or(|closed| until(closed, now) < JUST_NOW);
    then.victim && fresh && live.process != live.asked.as_str() && live.process != culprit
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
        // A look back says more than the reason of a playbook.
        (None, _) if live.state == Standing::Recovered => return (live, None),
        (None, Some((cause, confidence, evidence))) => Case {
            state: Standing::Ill,
            root_cause: cause,
            confidence,
            evidence,
            process: then.process.to_string(),
            // What the world looks like now gives this illness no name.
            cause: None,
            chain: Vec::new(),
            ..live.clone()
        },
        (None, None) => return (live, None),
    };
    let well = matches!(live.state, Standing::Well | Standing::Recovered);
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
