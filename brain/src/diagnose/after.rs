//! After acting: did it help, and what else is to be done?

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::context::{Situation, checked};
use crate::facts::Facts;
use crate::incident::Incident;
use crate::interpreter::{Matter, Place, Said};
use crate::playbook::Playbooks;
use crate::proposal::{Plan, PlaybookId};

/// What a process did that does not answer what it was asked.
const OTHER: &str = "answered another question";

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
    let situation = after_acting(incident, acted_at, facts);
    match playbooks.ask_one(&situation, Matter::Verdict, &script)? {
        Said::Measured(Some(true)) => Ok(Verdict::Helped),
        Said::Measured(Some(false)) => Ok(Verdict::NotHelped),
        Said::Measured(None) => Ok(Verdict::NotYet),
        _ => Err(script.ended(OTHER)),
    }
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
    let situation = after_acting(incident, acted_at, facts);
    let Said::Wants { steps, .. } = playbooks.ask_one(&situation, Matter::OnFailure, &script)?
    else {
        return Err(script.ended(OTHER));
    };
    checked(steps, "its first plan did not help")
        .map(|plan| (!plan.steps.is_empty()).then_some(plan))
        .map_err(|error| script.fail(&error.to_string(), Place::default(), true))
}

fn after_acting(
    incident: &Incident,
    acted_at: Timestamp,
    facts: &Arc<dyn Facts>,
) -> Arc<Situation> {
    Situation::live(
        Arc::clone(facts),
        incident.process.clone(),
        incident.symptoms.clone(),
        false,
        Some(acted_at),
    )
}
