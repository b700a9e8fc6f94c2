//! What is about to be done, written down before the incident says that it is acted on.
//!
//! A daemon that dies after that leaves an incident in `acting`. The next one reads here which
//! plan it was, by whose leave, and which rows of actions are its steps: those that came after
//! this line was written, in the order of the plan.

use std::sync::Arc;

use brain::{IncidentId, IncidentStep, Plan, PlaybookId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use supervisor::{Caller, ProcessName, Role, Via};

use crate::carry::{Authority, Errand};
use crate::grant::risk_of;
use crate::policy::Risk;
use crate::shared::{Shared, stored};
use crate::worker::Result;

/// The line of an incident's story that holds it.
const BEGAN: &str = "began";

/// A plan that has leave to run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Intention {
    plan: Plan,
    playbook: PlaybookId,
    risk: String,
    gate: String,
    who: String,
    /// The question that was answered with yes, when a person was asked.
    pub(crate) approval: Option<String>,
    /// Rows of actions that the incident had before.
    pub(crate) rows: usize,
}

/// Writes it down.
pub(crate) async fn write(
    shared: &Arc<Shared>,
    errand: &Errand,
    authority: &Authority,
) -> Result<()> {
    let rows = stored(shared.store.actions(errand.incident)).await?.len();
    let intention = Intention {
        plan: errand.plan.clone(),
        playbook: errand.playbook.clone(),
        risk: errand.risk.as_str().to_owned(),
        gate: errand.gate.clone(),
        who: authority.who.clone(),
        approval: authority.approval.clone(),
        rows,
    };
    shared.tell(errand.incident, BEGAN, json!(intention)).await
}

/// The newest one of a story, and when it was written. None where a version that wrote none
/// began it.
pub(crate) fn newest(story: &[IncidentStep]) -> Option<(Timestamp, Intention)> {
    let line = story.iter().rev().find(|line| line.kind == BEGAN)?;
    let intention = serde_json::from_value(line.data.clone()).ok()?;
    Some((line.at, intention))
}

impl Intention {
    /// Of a plan of which only this is known.
    pub(crate) fn guessed(playbook: PlaybookId, plan: Plan, approval: Option<String>) -> Self {
        let caller = Caller {
            principal: "agent".into(),
            role: Role::Operator,
            via: Via::Playbook(playbook.0.clone()),
        };
        Self {
            plan,
            who: caller.to_string(),
            playbook,
            risk: Risk::Low.as_str().to_owned(),
            gate: "run".into(),
            approval,
            rows: 0,
        }
    }

    /// The errand of a plan that nobody was asked about, and by whose leave it runs.
    pub(crate) fn unasked(
        self,
        shared: &Shared,
        incident: IncidentId,
        process: ProcessName,
    ) -> (Errand, Authority) {
        let authority = Authority {
            caller: Caller {
                principal: "agent".into(),
                role: shared.settings().role,
                via: Via::Playbook(self.playbook.0.clone()),
            },
            who: self.who,
            approval: self.approval,
        };
        let errand = Errand {
            incident,
            process,
            playbook: self.playbook,
            plan: self.plan,
            risk: risk_of(&self.risk),
            gate: self.gate,
        };
        (errand, authority)
    }
}
