//! What the rules hold now, for people who ask.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Class, EventName};

/// What is open and what is muted.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Overview {
    /// Trouble that is not over, by process.
    pub incidents: Vec<OpenIncident>,
    /// What is open beside them, until [`super::Input::Over`] ends it.
    #[serde(default)]
    pub alerts: Vec<OpenAlert>,
    /// Processes that nothing is told of, and until when; none means until it has recovered.
    pub mutes: BTreeMap<String, Option<Timestamp>>,
    /// The newest event that the rules were told of.
    pub heard: Option<i64>,
}

/// Something that was told and lasts, and is no trouble of a process that ends by its being up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OpenAlert {
    /// The process; empty when it is about the host.
    pub process: String,
    /// What it is about.
    pub class: Class,
    /// Which of several of its kind.
    pub topic: Option<String>,
}

/// Trouble of a process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpenIncident {
    /// Its id, as messages show it.
    pub id: String,
    /// The process.
    pub process: String,
    /// What happened last.
    pub event: EventName,
    /// In a sentence.
    pub message: String,
    /// When it began.
    pub opened: Timestamp,
    /// Who looks after it.
    pub acknowledged: Option<String>,
    /// Channels that know of it.
    pub told: Vec<String>,
    /// When it is passed on, unless somebody reacts.
    pub escalates: Option<Timestamp>,
}
