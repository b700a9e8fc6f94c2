//! Playbooks: files of rules, compiled once, looked at again when they change.
//!
//! ```text
//!   built-in (in the binary) ──────────────────┐
//!   $MHOST_HOME/brain/playbooks/*.rhai, *.toml ┼──► compile, check ──► ready · broken · disabled
//!   …/learned/*.rhai ──────────────────────────┘
//! ```
//!
//! A custom file replaces a built-in one of the same name. One that fails three times while
//! it runs is off until its file changes. What a playbook says is asked in [`crate::diagnose`].
//! It is one piece although it is long: one life of a playbook, from its file to its answer.

mod builtin;
mod check;
mod declarative;
mod files;
pub(crate) mod import;
pub(crate) mod lint;
mod meta;
pub(crate) mod reference;
mod script;
pub(crate) mod starter;
mod trust;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rhai::{Engine, Position};
use serde::{Deserialize, Serialize};
use supervisor::ProcessName;

pub(crate) use declarative::quote;
pub use files::Format;
pub use meta::PlaybookOverride;
pub(crate) use script::Script;
pub use trust::{Switch, TRUSTED_AFTER, Trust, TrustInput};

use crate::context;
use crate::incident::SymptomKind;
use crate::incident::fingerprint::fnv1a;
use crate::sandbox;
use files::File;

/// Where a playbook comes from. The order is the order in which they are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlaybookSource {
    /// A file of the user.
    Custom,
    /// Written by mhost from an incident that was cured.
    Learned,
    /// In the binary.
    Builtin,
    /// A brain of somebody else, which is no playbook.
    External,
}

impl fmt::Display for PlaybookSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            PlaybookSource::Custom => "custom",
            PlaybookSource::Learned => "learned",
            PlaybookSource::Builtin => "builtin",
            PlaybookSource::External => "external",
        })
    }
}

/// Can it be asked?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum PlaybookState {
    /// Yes.
    Ok,
    /// Its text is wrong, or it failed three times while it ran.
    Broken {
        /// What is wrong.
        error: String,
        /// In which line, from 1; 0 when it is about the whole file.
        line: usize,
        /// In which column, from 1; 0 when it is about the whole line.
        column: usize,
    },
    /// The config or a person says no, or it is not believed far enough.
    Disabled,
}

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
struct Entry {
    name: String,
    format: Format,
    source: PlaybookSource,
    path: Option<PathBuf>,
    hash: u64,
    stamp: files::Stamp,
    trust: Trust,
    off: bool,
    script: Result<Arc<Script>, PlaybookState>,
}

struct Inner {
    entries: Vec<Entry>,
    folder: Option<PathBuf>,
    overrides: BTreeMap<String, PlaybookOverride>,
    switches: BTreeMap<String, Switch>,
    engine: Arc<Engine>,
    known: BTreeSet<String>,
}

/// All playbooks. Cheap to clone; all clones see the same.
#[derive(Clone)]
pub struct Playbooks(Arc<Mutex<Inner>>);

impl fmt::Debug for Playbooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Playbooks")
            .field(&self.list().len())
            .finish()
    }
}

impl Playbooks {
    /// The built-in playbooks, and those in `folder` (`$MHOST_HOME/brain/playbooks`). A file
    /// that is wrong is listed as broken; the others go on. Reads files: call it from a
    /// blocking thread.
    pub fn load(
        folder: Option<PathBuf>,
        overrides: BTreeMap<String, PlaybookOverride>,
    ) -> Playbooks {
        let mut inner = Inner::new(folder, overrides);
        inner.shadow();
        inner.refresh();
        inner.believe();
        Playbooks(Arc::new(Mutex::new(inner)))
    }

    /// One playbook alone, from its text.
    pub fn only(name: &str, format: Format, text: &str) -> Playbooks {
        let mut inner = Inner::new(None, BTreeMap::new());
        let file = File::of_text(name, format, PlaybookSource::Custom);
        let entry = inner.compile(&file, text);
        inner.entries.push(entry);
        Playbooks(Arc::new(Mutex::new(inner)))
    }

    /// One of these alone, asked even if it is off: what it would say.
    pub fn alone(&self, name: &str) -> Option<Playbooks> {
        let mut inner = self.lock();
        inner.refresh();
        let entry = inner.entries.iter().find(|entry| entry.name == name)?;
        let script = match &entry.script {
            Ok(script) => Ok(Arc::new(script.believed(Trust::Trusted))),
            Err(state) => Err(state.clone()),
        };
        let mut alone = Inner::new(None, BTreeMap::new());
        alone.entries.push(Entry {
            name: entry.name.clone(),
            format: entry.format,
            source: entry.source,
            path: None,
            hash: entry.hash,
            stamp: None,
            trust: Trust::Trusted,
            off: false,
            script,
        });
        Some(Playbooks(Arc::new(Mutex::new(alone))))
    }

    /// Uses other settings from now on.
    pub fn reconfigure(&self, overrides: BTreeMap<String, PlaybookOverride>) {
        let mut inner = self.lock();
        if inner.overrides == overrides {
            return;
        }
        inner.overrides = overrides;
        inner.entries.clear();
        inner.shadow();
        inner.refresh();
        inner.believe();
    }

    /// What people and outcomes say about single playbooks.
    pub fn switch(&self, switches: impl IntoIterator<Item = Switch>) {
        let mut inner = self.lock();
        for switch in switches {
            inner.switches.insert(switch.name.clone(), switch);
        }
        inner.believe();
    }

    /// The text of a playbook, and the script it becomes when it is written as TOML.
    pub fn text(&self, name: &str) -> Option<(String, Option<String>)> {
        let inner = self.lock();
        let entry = inner.entries.iter().find(|entry| entry.name == name)?;
        let text = match &entry.path {
            Some(path) => files::read(path).ok()?,
            None => builtin::BUILTIN
                .iter()
                .find(|(builtin, _, _)| *builtin == name)
                .map(|(_, _, text)| (*text).to_owned())?,
        };
        let script = (entry.format == Format::Toml)
            .then(|| declarative::translate(name, &text).ok())
            .flatten();
        Some((text, script))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them, in the order they are asked. Looks for changed files first.
    pub fn list(&self) -> Vec<PlaybookInfo> {
        let mut inner = self.lock();
        inner.refresh();
        let mut all: Vec<PlaybookInfo> = inner.entries.iter().map(Entry::info).collect();
        all.sort_by(|a, b| (a.source, -a.priority, &a.name).cmp(&(b.source, -b.priority, &b.name)));
        all
    }

    /// Those that can be asked, in the order in which they are. Looks for changed files
    /// first.
    pub(crate) fn ready(&self) -> Vec<Arc<Script>> {
        let mut inner = self.lock();
        inner.refresh();
        let mut all: Vec<Arc<Script>> = inner
            .entries
            .iter()
            .filter(|entry| !entry.off)
            .filter_map(|entry| entry.script.as_ref().ok())
            .filter(|script| script.state() == PlaybookState::Ok)
            .map(Arc::clone)
            .collect();
        all.sort_by(|a, b| {
            (a.source, -a.meta.priority, &a.meta.name).cmp(&(
                b.source,
                -b.meta.priority,
                &b.meta.name,
            ))
        });
        all
    }

    /// Is one asked about this process and this sign?
    pub(crate) fn wants(&self, process: &ProcessName, kind: SymptomKind) -> bool {
        let ready = self.ready();
        let mut all = ready.iter();
        all.any(|script| script.meta.wants(process.as_str(), kind))
    }

    /// Which text of the playbook with this name is asked: another text has another version. None
    /// when there is none that can be asked. Looks for changed files first.
    pub fn version(&self, name: &str) -> Option<String> {
        Some(self.script(name)?.version())
    }

    /// The one with this name that would be asked.
    pub(crate) fn script(&self, name: &str) -> Option<Arc<Script>> {
        self.ready()
            .into_iter()
            .find(|script| script.meta.name == name)
    }
}

impl Entry {
    fn info(&self) -> PlaybookInfo {
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

impl Inner {
    fn new(folder: Option<PathBuf>, overrides: BTreeMap<String, PlaybookOverride>) -> Self {
        let mut engine = sandbox::engine();
        context::register(&mut engine);
        Inner {
            entries: Vec::new(),
            folder,
            overrides,
            switches: BTreeMap::new(),
            known: check::known_functions(&engine),
            engine: Arc::new(engine),
        }
    }

    /// Compiles a text, unless the config turned the playbook off.
    fn compile(&self, file: &File, text: &str) -> Entry {
        let over = self.overrides.get(&file.name);
        let script = if over.is_some_and(|over| over.enabled == Some(false)) {
            Err(PlaybookState::Disabled)
        } else {
            self.script(file, text, over)
        };
        Entry {
            name: file.name.clone(),
            format: file.format,
            source: file.source,
            path: file.path.clone(),
            hash: fnv1a(text.as_bytes()),
            stamp: file.stamp,
            trust: Trust::Trusted,
            off: false,
            script: script.map(Arc::new),
        }
    }

    fn script(
        &self,
        file: &File,
        text: &str,
        over: Option<&PlaybookOverride>,
    ) -> Result<Script, PlaybookState> {
        let translated;
        let text = match file.format {
            Format::Rhai => text,
            Format::Toml => {
                translated = declarative::translate(&file.name, text)
                    .map_err(|flaw| broken(flaw.text, flaw.at))?;
                &translated
            }
        };
        let (name, source) = (&file.name, file.source);
        Script::compile(&self.engine, &self.known, name, source, text, over)
    }

    /// Looks at the files again: new, changed, gone.
    fn refresh(&mut self) {
        let Some(folder) = self.folder.clone() else {
            return;
        };
        let found = files::all(&folder);
        let before = self.entries.len();
        self.entries.retain(|entry| {
            entry
                .path
                .as_ref()
                .is_none_or(|path| found.iter().any(|file| file.path.as_ref() == Some(path)))
        });
        let mut changed = self.entries.len() != before;
        for file in found {
            let known = self
                .entries
                .iter()
                .position(|entry| entry.path == file.path);
            if known.is_some_and(|at| self.entries[at].stamp == file.stamp) {
                continue;
            }
            let Some(path) = &file.path else { continue };
            let text = match files::read(path) {
                Ok(text) => text,
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "Playbook is unreadable.");
                    continue;
                }
            };
            // Touched, but the same: its errors still count.
            if let Some(at) = known
                && self.entries[at].hash == fnv1a(text.as_bytes())
            {
                self.entries[at].stamp = file.stamp;
                continue;
            }
            let entry = self.compile(&file, &text);
            changed = true;
            match known {
                Some(at) => self.entries[at] = entry,
                None => self.entries.push(entry),
            }
        }
        if changed {
            self.shadow();
            self.believe();
        }
    }

    /// A file takes the place of the built-in playbook with its name.
    fn shadow(&mut self) {
        let names: BTreeSet<String> = self
            .entries
            .iter()
            .filter(|entry| entry.source != PlaybookSource::Builtin)
            .map(|entry| entry.name.clone())
            .collect();
        self.entries.retain(|entry| {
            entry.source != PlaybookSource::Builtin || !names.contains(&entry.name)
        });
        for (name, format, text) in builtin::BUILTIN {
            let there = self.entries.iter().any(|entry| entry.name == *name);
            if !there {
                let file = File::of_text(name, *format, PlaybookSource::Builtin);
                let entry = self.compile(&file, text);
                self.entries.push(entry);
            }
        }
    }

    /// Puts what is known of each playbook's standing on it. A learned one whose text nobody
    /// has checked is a draft, and a draft is not asked.
    fn believe(&mut self) {
        for entry in &mut self.entries {
            let switch = self.switches.get(&entry.name);
            let said = self
                .overrides
                .get(&entry.name)
                .and_then(|over| over.enabled);
            let own = match &entry.script {
                Ok(script) => script.meta.enabled,
                Err(_) => true,
            };
            let trust = match entry.source {
                PlaybookSource::Learned => switch
                    .filter(|switch| switch.hash == entry.hash)
                    .map_or(Trust::Draft, |switch| switch.trust),
                PlaybookSource::Custom | PlaybookSource::Builtin | PlaybookSource::External => {
                    Trust::Trusted
                }
            };
            let on = said
                .or(switch.and_then(|switch| switch.enabled))
                .unwrap_or(own);
            entry.off = !on || !trust.is_asked();
            entry.trust = trust;
            if let Ok(script) = &mut entry.script
                && script.trust != trust
            {
                *script = Arc::new(script.believed(trust));
            }
        }
    }
}

fn broken(error: String, at: Position) -> PlaybookState {
    PlaybookState::Broken {
        error,
        line: at.line().unwrap_or(0),
        column: at.position().unwrap_or(0),
    }
}
