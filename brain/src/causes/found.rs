//! What a cause says when it sees itself: in which words, on what grounds, against what, and
//! what follows.
//!
//! Each ground has a weight from 0 to 1: how sure one would be by it alone. Grounds add up as
//! independent ones do (what all of them leave open is multiplied); each contradiction takes
//! its share away. Nothing is ever certain.

use serde::{Deserialize, Serialize};

use super::scene::{Line, Scene};
use crate::action::Action;
use crate::incident::Evidence;
use crate::proposal::Step;

/// The surest anything is.
const SUREST: f64 = 0.98;

/// Something to do about a cause.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Advice {
    /// The action's name; `person` for what only a person can do.
    pub action: String,
    /// In words.
    pub text: String,
    /// May it be done by a machine, as far as this cause knows?
    pub safe: bool,
}

/// A cause that sees itself in a scene.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    /// The root cause, as sentences.
    pub(crate) words: String,
    /// Whose fault it is, if it is not the process's that was asked about.
    pub(crate) culprit: Option<String>,
    /// Grounds, with their weights.
    pub(crate) proofs: Vec<(f64, Evidence)>,
    /// What speaks against it, with weights.
    pub(crate) against: Vec<(f64, String)>,
    /// What to do, best first.
    pub(crate) advice: Vec<Advice>,
    /// What a machine may do by itself, in order.
    pub(crate) plan: Vec<Step>,
}

impl Found {
    pub(crate) fn new(words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            culprit: None,
            proofs: Vec::new(),
            against: Vec::new(),
            advice: Vec::new(),
            plan: Vec::new(),
        }
    }

    /// Another process is to blame.
    pub(crate) fn blame(mut self, process: &str) -> Self {
        self.culprit = Some(process.to_owned());
        self
    }

    /// A ground that can be looked up.
    pub(crate) fn proof(
        mut self,
        weight: f64,
        id: impl Into<String>,
        text: impl Into<String>,
    ) -> Self {
        let (id, text) = (id.into(), text.into());
        if !id.is_empty()
            && !self
                .proofs
                .iter()
                .any(|(_, old)| old.id == id && old.text == text)
        {
            self.proofs.push((weight, Evidence { id, text }));
        }
        self
    }

    /// A line as ground.
    pub(crate) fn line(self, weight: f64, line: &Line) -> Self {
        self.proof(weight, line.id.clone(), line.shown())
    }

    /// A ground, if it holds.
    pub(crate) fn proof_if(
        self,
        holds: bool,
        weight: f64,
        id: impl Into<String>,
        text: impl Into<String>,
    ) -> Self {
        if holds {
            self.proof(weight, id, text)
        } else {
            self
        }
    }

    /// Something that speaks against it, if it holds.
    pub(crate) fn against(mut self, holds: bool, weight: f64, text: impl Into<String>) -> Self {
        if holds {
            self.against.push((weight, text.into()));
        }
        self
    }

    /// The process does well now: whatever it was, it is over.
    pub(crate) fn unless_well(self, scene: &Scene) -> Self {
        let steady = scene.is_well() && scene.uptime_s >= 10.0;
        let text = format!("it is online and well since {:.0} s", scene.uptime_s);
        self.against(steady, 0.85, text)
    }

    /// What a machine may do by itself. It is advice as well.
    pub(crate) fn auto(mut self, action: Action, why: impl Into<String>) -> Self {
        let why = why.into();
        self.advice.push(Advice {
            action: action.name().to_owned(),
            text: why.clone(),
            safe: true,
        });
        self.plan.push(Step { action, why });
        self
    }

    /// An action that is worth a thought, but not a machine's to decide on by this cause.
    pub(crate) fn advise(mut self, action: &str, text: impl Into<String>) -> Self {
        self.advice.push(Advice {
            action: action.to_owned(),
            text: text.into(),
            safe: false,
        });
        self
    }

    /// What only a person can do.
    pub(crate) fn person(self, text: impl Into<String>) -> Self {
        self.advise("person", text)
    }

    /// How sure this makes one, 0 to 1.
    pub(crate) fn confidence(&self) -> f64 {
        let open: f64 = self.proofs.iter().map(|(weight, _)| 1.0 - weight).product();
        let left: f64 = self
            .against
            .iter()
            .map(|(weight, _)| 1.0 - weight)
            .product();
        ((1.0 - open) * left).clamp(0.0, SUREST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grounds_add_up_and_contradictions_take_away() {
        let weak = Found::new("x").proof(0.5, "event:1", "a");
        assert!((weak.confidence() - 0.5).abs() < 1e-9);
        let two = weak.clone().proof(0.5, "event:2", "b");
        assert!((two.confidence() - 0.75).abs() < 1e-9);
        let doubted = two.clone().against(true, 0.8, "it is well");
        assert!((doubted.confidence() - 0.15).abs() < 1e-9);
        assert_eq!(two.clone().against(false, 0.8, "no"), two);
        // The same ground twice is one ground, and what has no id is none.
        let same = weak
            .clone()
            .proof(0.5, "event:1", "a")
            .proof(0.9, "", "rumour");
        assert!((same.confidence() - 0.5).abs() < 1e-9);
        assert!(Found::new("x").proof(1.0, "event:1", "a").confidence() <= SUREST);
    }
}
