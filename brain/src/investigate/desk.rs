//! What a model may read, and what it has been shown.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use supervisor::ProcessName;

use crate::facts::Facts;
use crate::incident::Evidence;
use crate::playbook::Playbooks;
use crate::store::BrainStore;
use crate::words::clean;

/// Characters of what is remembered of a fact that was shown.
const SHOWN: usize = 240;

/// Where look-ups are answered from. Nothing here can change anything.
#[derive(Clone)]
pub struct Desk {
    /// The world.
    pub facts: Arc<dyn Facts>,
    /// Past incidents; none in a world without a history.
    pub memory: Option<BrainStore>,
    /// Playbooks; none in a world without them.
    pub playbooks: Option<Playbooks>,
    /// What every tool means when it is not told which process.
    pub process: Option<ProcessName>,
}

impl Desk {
    /// A desk with nothing but the world.
    pub fn of(facts: Arc<dyn Facts>, process: Option<ProcessName>) -> Self {
        Self {
            facts,
            memory: None,
            playbooks: None,
            process,
        }
    }
}

/// Facts that a model was shown, by the id that evidence must cite.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shown {
    texts: BTreeMap<String, String>,
    /// Their ids, the first that was shown first.
    order: VecDeque<String>,
}

impl Shown {
    /// Keeps that a fact was shown.
    pub fn add(&mut self, id: impl Into<String>, text: &str) {
        if let Entry::Vacant(place) = self.texts.entry(id.into()) {
            self.order.push_back(place.key().clone());
            place.insert(clean(text, SHOWN));
        }
    }

    /// Forgets the oldest beyond so many.
    pub fn keep_newest(&mut self, most: usize) {
        while self.order.len() > most {
            if let Some(oldest) = self.order.pop_front() {
                self.texts.remove(&oldest);
            }
        }
    }

    /// Keeps all of these.
    pub fn extend(&mut self, facts: impl IntoIterator<Item = (String, String)>) {
        for (id, text) in facts {
            self.add(id, &text);
        }
    }

    /// The fact under an id, in the words in which it was shown. Models write ids in many
    /// ways: brackets and blanks around them do not count.
    pub fn evidence(&self, id: &str) -> Option<Evidence> {
        let bare = id.trim_matches(|letter: char| "[]()`\"' ".contains(letter));
        let (id, text) = self.texts.get_key_value(bare)?;
        Some(Evidence {
            id: id.clone(),
            text: text.clone(),
        })
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// None at all?
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }
}
