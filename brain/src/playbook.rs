//! Playbooks: files of rules, compiled once, looked at again when they change.
//!
//! ```text
//!   built-in (in the binary) ──────────────────┐
//!   $MHOST_HOME/brain/playbooks/*.rhai, *.toml ┼──► compile, check ──► ready · broken · disabled
//!   …/learned/*.rhai ──────────────────────────┘
//! ```
//!
//! A custom file replaces a built-in one of the same name. One that fails three times while
//! it runs is off until its file changes. What a playbook says is asked in [`crate::diagnose`];
//! where its text is read and run is the business of the [`Host`].

mod builtin;
pub(crate) mod check;
pub(crate) mod declarative;
mod entry;
mod files;
mod host;
pub(crate) mod import;
pub(crate) mod lint;
mod meta;
pub(crate) mod reference;
mod script;
pub(crate) mod starter;
mod trust;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use supervisor::ProcessName;

pub(crate) use declarative::quote;
use entry::Entry;
pub use entry::PlaybookInfo;
pub use files::Format;
pub(crate) use host::{Go, Host, Unread};
pub use lint::Finding;
pub(crate) use lint::lint_with;
pub use meta::PlaybookOverride;
pub(crate) use meta::{Meta, MetaError};
pub(crate) use script::Script;
pub use trust::{Switch, TRUSTED_AFTER, Trust, TrustInput};

use crate::context::Situation;
use crate::helper::Helpers;
use crate::incident::SymptomKind;
use crate::incident::fingerprint::fnv1a;
use crate::interpreter::{Matter, Place, Said, Source, Wrong};
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

struct Inner {
    entries: Vec<Entry>,
    folder: Option<PathBuf>,
    overrides: BTreeMap<String, PlaybookOverride>,
    switches: BTreeMap<String, Switch>,
    host: Host,
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
        Self::load_on(Host::here(), folder, overrides)
    }

    /// The same, with every script in a process of its own, which no script can leave: for
    /// one that must not end.
    pub fn load_apart(
        helpers: Arc<Helpers>,
        folder: Option<PathBuf>,
        overrides: BTreeMap<String, PlaybookOverride>,
    ) -> Playbooks {
        Self::load_on(Host::Apart(helpers), folder, overrides)
    }

    fn load_on(
        host: Host,
        folder: Option<PathBuf>,
        overrides: BTreeMap<String, PlaybookOverride>,
    ) -> Playbooks {
        let mut inner = Inner::new(host, folder, overrides);
        inner.shadow();
        inner.refresh();
        inner.believe();
        Playbooks(Arc::new(Mutex::new(inner)))
    }

    /// One playbook alone, from its text.
    pub fn only(name: &str, format: Format, text: &str) -> Playbooks {
        Self::only_on(Host::here(), name, format, text)
    }

    /// One playbook alone, from its text, which runs where these run.
    pub fn beside(&self, name: &str, format: Format, text: &str) -> Playbooks {
        let host = self.lock().host.clone();
        Self::only_on(host, name, format, text)
    }

    fn only_on(host: Host, name: &str, format: Format, text: &str) -> Playbooks {
        let mut inner = Inner::new(host, None, BTreeMap::new());
        let file = File::of_text(name, format, PlaybookSource::Custom);
        let entry = inner.compile(&file, Cow::Owned(text.to_owned()));
        inner.entries.push(entry);
        Playbooks(Arc::new(Mutex::new(inner)))
    }

    /// All findings about a text, read where these run.
    pub fn lint(&self, name: &str, format: Format, text: &str) -> Vec<Finding> {
        let host = self.lock().host.clone();
        host.lint(name, format, text)
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
        let mut alone = Inner::new(inner.host.clone(), None, BTreeMap::new());
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
            unread: false,
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

    /// Asks scripts about a situation, in their order, until `told` says that it is enough. It
    /// is told the place of each script and what that says.
    pub(crate) fn ask(
        &self,
        situation: &Arc<Situation>,
        matter: Matter,
        scripts: &[Arc<Script>],
        told: &mut dyn FnMut(usize, Said) -> Go,
    ) {
        let host = self.lock().host.clone();
        host.ask(situation, matter, scripts, told);
    }

    /// Asks one script. The error is its failure in words, which counts against it.
    pub(crate) fn ask_one(
        &self,
        situation: &Arc<Situation>,
        matter: Matter,
        script: &Arc<Script>,
    ) -> Result<Said, String> {
        let mut answer = None;
        let scripts = std::slice::from_ref(script);
        self.ask(situation, matter, scripts, &mut |_, said| {
            answer = Some(said);
            Go::Stop
        });
        match answer {
            Some(Said::Failed { text, at, bomb }) => Err(script.fail(&text, at, bomb)),
            Some(Said::Ended { how }) => Err(script.ended(&how)),
            Some(Said::Unasked { why }) => Err(why),
            Some(said) => Ok(said),
            None => Err("it was not asked".to_owned()),
        }
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

impl Inner {
    fn new(
        host: Host,
        folder: Option<PathBuf>,
        overrides: BTreeMap<String, PlaybookOverride>,
    ) -> Self {
        Inner {
            entries: Vec::new(),
            folder,
            overrides,
            switches: BTreeMap::new(),
            host,
        }
    }

    /// Compiles a text, unless the config turned the playbook off.
    fn compile(&self, file: &File, text: Cow<'static, str>) -> Entry {
        let over = self.overrides.get(&file.name);
        let hash = fnv1a(text.as_bytes());
        let (script, unread) = if over.is_some_and(|over| over.enabled == Some(false)) {
            (Err(PlaybookState::Disabled), false)
        } else {
            let text = Arc::new(Source::new(&file.name, file.format, text, over));
            match self.host.read(&text) {
                Ok(header) => (Ok(Script::new(file.source, text, header)), false),
                Err(Unread::Wrong(Wrong { text, at })) => (Err(broken(text, at)), false),
                Err(Unread::Unavailable(why)) => (Err(broken(why, Place::default())), true),
            }
        };
        Entry {
            name: file.name.clone(),
            format: file.format,
            source: file.source,
            path: file.path.clone(),
            hash,
            stamp: file.stamp,
            trust: Trust::Trusted,
            off: false,
            script: script.map(Arc::new),
            unread,
        }
    }

    /// Looks at the files again: new, changed, gone.
    fn refresh(&mut self) {
        let Some(folder) = self.folder.clone() else {
            return;
        };
        let found = files::all(&folder);
        let before = self.entries.len();
        self.entries.retain(|entry| {
            !entry.unread
                && entry
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
            let entry = self.compile(&file, Cow::Owned(text));
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
                let entry = self.compile(&file, Cow::Borrowed(text));
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

fn broken(error: String, at: Place) -> PlaybookState {
    PlaybookState::Broken {
        error,
        line: at.line,
        column: at.column,
    }
}
