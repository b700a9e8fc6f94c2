//! After acting: did it help, and what else is to be done?

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::context::{Context, Situation, to_plan};
use crate::facts::Facts;
use crate::incident::Incident;
use crate::playbook::{Playbooks, Script};
use crate::proposal::{Plan, PlaybookId};

/// What a measurement says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Too early to say.
    NotYet,
    /// It helped.
    Helped,
    /// It did not.
    NotHelped,
    /// The playbook has no measurement of its own: online and quiet for a while is it.
    NoCheck,
}

/// Asks a playbook whether its plan, which was carried out at `acted_at`, helped. Blocking.
///
/// # Errors
/// The text of the script's error.
pub fn verify(
    playbook: &PlaybookId,
    incident: &Incident,
    acted_at: Timestamp,
    facts: &Arc<dyn Facts>,
    playbooks: &Playbooks,
) -> Result<Verdict, String> {
    let Some(script) = playbooks.script(&playbook.0).filter(|it| it.has("verify")) else {
        return Ok(Verdict::NoCheck);
    };
    let answer = script.call("verify", after_acting(&script, incident, acted_at, facts))?;
    Ok(match answer.as_bool() {
        Ok(true) => Verdict::Helped,
        Ok(false) => Verdict::NotHelped,
        Err(_) => Verdict::NotYet,
    })
}

/// Asks a playbook what else to do when its plan did not help. Blocking.
///
/// # Errors
/// The text of the script's error.
pub fn on_failure(
    playbook: &PlaybookId,
    incident: &Incident,
    acted_at: Timestamp,
    facts: &Arc<dyn Facts>,
    playbooks: &Playbooks,
) -> Result<Option<Plan>, String> {
    let Some(script) = playbooks
        .script(&playbook.0)
        .filter(|it| it.has("on_failure"))
    else {
        return Ok(None);
    };
    let answer = script.call(
        "on_failure",
        after_acting(&script, incident, acted_at, facts),
    )?;
    to_plan(answer, "its first plan did not help")
        .map(|plan| (!plan.steps.is_empty()).then_some(plan))
        .map_err(|error| script.fail_in("on_failure", error.to_string()))
}

fn after_acting(
    script: &Script,
    incident: &Incident,
    acted_at: Timestamp,
    facts: &Arc<dyn Facts>,
) -> Context {
    let situation = Situation::live(
        Arc::clone(facts),
        incident.process.clone(),
        incident.symptoms.clone(),
        false,
        Some(acted_at),
    );
    Context::new(&situation, Arc::clone(&script.params))
}
