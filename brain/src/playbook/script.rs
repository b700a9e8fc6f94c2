//! A playbook that can be asked, as those who ask know it: what its header says, how far it is
//! believed, and how often it failed. Its code is with the
//! [`super::Host`].

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::meta::Meta;
use super::trust::Trust;
use super::{PlaybookSource, PlaybookState, broken, reference};
use crate::interpreter::{Header, Place, Source};

/// Errors while running after which a playbook is off.
const RUN_ERRORS: u32 = 3;
/// Longest text of an error that is kept, in characters.
const TEXT: usize = 2_000;

/// A script that can be asked.
pub(crate) struct Script {
    pub(crate) source: PlaybookSource,
    pub(crate) meta: Meta,
    /// How far it is believed; a file of a person is believed as that person is.
    pub(crate) trust: Trust,
    /// Names of the steps that its text can make, sorted.
    pub(crate) actions: Vec<&'static str>,
    /// Hash of its text.
    pub(crate) hash: u64,
    /// Its text.
    pub(crate) text: Arc<Source>,
    /// Its functions, and where each begins.
    functions: BTreeMap<String, Place>,
    errors: AtomicU32,
    last_error: Mutex<Option<(String, Place)>>,
}

impl Script {
    pub(super) fn new(source: PlaybookSource, text: Arc<Source>, header: Header) -> Script {
        let known = reference::FUNCTIONS.iter().map(|one| one.name);
        let known = known.filter(|name| reference::is_action(name));
        let mut actions: Vec<&'static str> = known
            .filter(|name| header.actions.iter().any(|one| one == name))
            .collect();
        actions.sort_unstable();
        actions.dedup();
        Script {
            source,
            meta: header.meta,
            trust: Trust::Trusted,
            actions,
            hash: header.hash,
            text,
            functions: header.functions,
            errors: AtomicU32::new(0),
            last_error: Mutex::default(),
        }
    }

    /// Which text it is: another text has another version.
    pub(crate) fn version(&self) -> String {
        format!("{:016x}", self.hash)
    }

    /// The same script, believed differently. Its errors still count.
    pub(super) fn believed(&self, trust: Trust) -> Script {
        Script {
            source: self.source,
            meta: self.meta.clone(),
            trust,
            actions: self.actions.clone(),
            hash: self.hash,
            text: Arc::clone(&self.text),
            functions: self.functions.clone(),
            errors: AtomicU32::new(self.errors.load(Ordering::Relaxed)),
            last_error: Mutex::new(
                self.last_error
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone(),
            ),
        }
    }

    /// Need nobody else be asked when it wants something? What is on probation speaks beside
    /// the others.
    pub(crate) fn stops(&self) -> bool {
        self.trust != Trust::Probation
    }

    pub(crate) fn has(&self, function: &str) -> bool {
        self.functions.contains_key(function)
    }

    /// Counts an error and gives its text with its place. After one that it made itself, or
    /// after three of any kind, it is off.
    pub(crate) fn fail(&self, text: &str, at: Place, bomb: bool) -> String {
        if bomb {
            self.errors.store(RUN_ERRORS, Ordering::Relaxed);
        }
        let mut text: String = text.chars().take(TEXT).collect();
        let place = at.to_string();
        if at != Place::default() && !text.contains(&place) {
            text = format!("{text} ({place})");
        }
        self.errors.fetch_add(1, Ordering::Relaxed);
        *self
            .last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some((text.clone(), at));
        tracing::warn!(playbook = %self.meta.name, error = %text, "Playbook failed.");
        text
    }

    /// It ended the process that it ran in.
    pub(crate) fn ended(&self, how: &str) -> String {
        let name = &self.meta.name;
        let text = format!("the playbook process {how} while `{name}` was asked");
        let at = self.functions.get("matches").copied().unwrap_or_default();
        self.fail(&text, at, true)
    }

    pub(super) fn state(&self) -> PlaybookState {
        if self.errors.load(Ordering::Relaxed) < RUN_ERRORS {
            return PlaybookState::Ok;
        }
        let last = self
            .last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let (text, at) = last.unwrap_or_default();
        broken(format!("off until its file changes: {text}"), at)
    }
}
