//! One file of a playbook, and how it is shown.

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::files::{Format, Stamp};
use super::script::Script;
use super::trust::Trust;
use super::{PlaybookSource, PlaybookState};

/// A playbook as `mhost brain playbooks` shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlaybookInfo {
    /// Its name.
    pub name: String,
    /// Where it comes from.
    pub source: PlaybookSource,
    /// Its file; none for built-in ones.
    pub path: Option<PathBuf>,
    /// Its version; 0 if it is broken.
    pub version: i64,
    /// What it is for.
    pub description: String,
    /// What it is asked on.
    pub on: Vec<String>,
    /// Which processes it is about.
    pub process: String,
    /// Its place among those of its source; higher is asked earlier.
    pub priority: i64,
    /// How long it rests after a run on a process, in seconds.
    pub cooldown_s: u64,
    /// How often it may run on a process in an hour.
    pub max_per_hour: u32,
    /// Names of the steps its text can make.
    pub actions: Vec<String>,
    /// How far it is believed.
    pub trust: Trust,
    /// Hash of its text.
    #[serde(skip)]
    pub hash: u64,
    /// Can it be asked?
    #[serde(flatten)]
    pub state: PlaybookState,
}

/// One file, ready or not.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) format: Format,
    pub(super) source: PlaybookSource,
    pub(super) path: Option<PathBuf>,
    pub(super) hash: u64,
    pub(super) stamp: Stamp,
    pub(super) trust: Trust,
    pub(super) off: bool,
    pub(super) script: Result<Arc<Script>, PlaybookState>,
    /// Nobody could read it: it is tried again.
    pub(super) unread: bool,
}

impl Entry {
    pub(super) fn info(&self) -> PlaybookInfo {
        let mut info = PlaybookInfo {
            name: self.name.clone(),
            source: self.source,
            path: self.path.clone(),
            version: 0,
            description: String::new(),
            on: Vec::new(),
            process: "*".to_owned(),
            priority: 0,
            cooldown_s: 0,
            max_per_hour: 0,
            actions: Vec::new(),
            trust: self.trust,
            hash: self.hash,
            state: PlaybookState::Ok,
        };
        match &self.script {
            Err(state) => info.state = state.clone(),
            Ok(script) => {
                let meta = &script.meta;
                info.version = meta.version;
                info.description = meta.description.clone();
                info.on = meta
                    .on
                    .iter()
                    .map(|kind| kind.as_str().to_owned())
                    .collect();
                info.process = meta.process.clone();
                info.priority = meta.priority;
                info.cooldown_s = meta.cooldown.as_secs();
                info.max_per_hour = meta.max_per_hour;
                info.actions = script.actions.iter().map(ToString::to_string).collect();
                info.state = match script.state() {
                    PlaybookState::Ok if self.off => PlaybookState::Disabled,
                    state => state,
                };
            }
        }
        info
    }
}
