//! What the brain proposes: a cause, how sure it is, and a plan.

use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::incident::Evidence;

/// The name of a playbook.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlaybookId(pub String);

impl std::fmt::Display for PlaybookId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// Ordered steps. The first failure ends the plan.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Plan {
    /// In order.
    pub steps: Vec<Step>,
    /// The playbook asked for an approval whatever the level is.
    pub ask: Option<String>,
}

/// Without a reason for each: that of the whole is enough.
impl FromIterator<Action> for Plan {
    fn from_iter<T: IntoIterator<Item = Action>>(actions: T) -> Self {
        let steps = actions.into_iter().map(|action| Step {
            action,
            why: String::new(),
        });
        Self {
            steps: steps.collect(),
            ask: None,
        }
    }
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What.
    pub action: Action,
    /// Why, for people.
    pub why: String,
}

/// What the brain makes of an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// The root cause in a sentence or two, naming the process.
    pub cause: String,
    /// 0 to 1.
    pub confidence: f64,
    /// What it rests on.
    pub evidence: Vec<Evidence>,
    /// What to do.
    pub plan: Plan,
    /// The playbook that made it.
    pub playbook: PlaybookId,
    /// Which text of it did; none where it is of no playbook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}
