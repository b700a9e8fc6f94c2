//! What a script is asked, and what it says.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Place;
use crate::incident::Evidence;

/// What a script is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Matter {
    /// Is this the illness, and what is to be done?
    Diagnosis,
    /// Did it help?
    Verdict,
    /// What else is to be done?
    OnFailure,
}

/// What a script says. It may come from another process, so nothing of it is believed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Said {
    /// It is another illness.
    Silent,
    /// Steps, each as a constructor of actions makes it.
    Wants {
        /// The root cause in words; without one it is the playbook's description.
        cause: Option<String>,
        evidence: Vec<Evidence>,
        steps: Vec<Value>,
    },
    /// Whether it helped; none is too early.
    Measured(Option<bool>),
    /// It failed.
    Failed {
        text: String,
        at: Place,
        /// By its own doing, so that trying again is of no use.
        bomb: bool,
    },
    /// It ended the process that it ran in: `died of SIGSEGV`.
    #[serde(skip)]
    Ended { how: String },
    /// It could not be asked, by no fault of its own.
    #[serde(skip)]
    Unasked { why: String },
}
