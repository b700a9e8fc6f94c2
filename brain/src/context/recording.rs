//! What was asked and answered while an incident was thought about.
//!
//! Every read of a script goes through here: live, the answer is kept beside its question;
//! in a replay, the kept answer is given and the world is not asked. A question that was not
//! recorded makes a replay *diverged*, which is not the same as wrong.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Questions and answers, in the order they were first asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// The time all of it was asked at.
    pub now: Timestamp,
    /// Question and answer.
    pub answers: Vec<(String, Value)>,
}

impl Recording {
    /// An empty one.
    pub fn new(now: Timestamp) -> Self {
        Self {
            now,
            answers: Vec::new(),
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
