//! What was asked and answered while an incident was thought about.
//!
//! Every read of a script goes through here: live, the answer is kept beside its question;
//! in a replay, the kept answer is given and the world is not asked. A question that was not
//! recorded makes a replay *diverged*, which is not the same as wrong.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::incident::Symptom;
use crate::replay::Snapshot;

/// Questions and answers, in the order they were first asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// The time all of it was asked at.
    pub now: Timestamp,
    /// Question and answer.
    pub answers: Vec<(String, Value)>,
    /// The signs it was asked about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub symptoms: Vec<Symptom>,
    /// What could be seen then: playbooks that did not exist yet ask this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Snapshot>,
}

impl Recording {
    /// An empty one.
    pub fn new(now: Timestamp) -> Self {
        Self {
            now,
            answers: Vec::new(),
            symptoms: Vec::new(),
            seen: None,
        }
    }

    /// The answer to a question, if it was asked.
    pub fn answer(&self, question: &str) -> Option<&Value> {
        self.answers
            .iter()
            .find(|(asked, _)| asked == question)
            .map(|(_, answer)| answer)
    }

    /// Keeps an answer, unless the question was asked before.
    pub fn keep(&mut self, question: String, answer: Value) {
        if self.answer(&question).is_none() {
            self.answers.push((question, answer));
        }
    }
}
