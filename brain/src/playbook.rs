//! Playbooks: files of rules, compiled once, looked at again when they change.
//!
//!   built-in (in the binary) ─┐
//!   $MHOST_HOME/brain/playbooks/*.rhai ──┼──► compile, check ──► ready · broken · disabled
//!   …/learned/*.rhai ─────────┘
//!
//! A custom file replaces a built-in one of the same name. One that fails three times while
//! it runs is off until its file changes. What a playbook says is asked in [`crate::diagnose`].

mod builtin;
mod check;
mod meta;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rhai::{AST, CallFnOptions, Dynamic, Engine, EvalAltResult, Map, Position, Scope};
use serde::{Deserialize, Serialize};

pub(crate) use meta::Meta;
pub use meta::PlaybookOverride;

use crate::context::{self, Context};
use crate::incident::fingerprint::fnv1a;
use crate::sandbox;

/// Files that are read; more is a mistake.
const FILES: usize = 128;
/// Longest script that is read; the built-in ones have a few KiB.
const SCRIPT_BYTES: u64 = 1 << 20;
/// Errors while running after which a playbook is off.
const RUN_ERRORS: u32 = 3;

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
}

impl fmt::Display for PlaybookSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            PlaybookSource::Custom => "custom",
            PlaybookSource::Learned => "learned",
            PlaybookSource::Builtin => "builtin",
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
    /// The config says no.
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
    /// Can it be asked?
    #[serde(flatten)]
    pub state: PlaybookState,
}

/// A script that can be called.
pub(crate) struct Script {
    pub(crate) source: PlaybookSource,
    pub(crate) meta: Meta,
    pub(crate) params: Arc<Map>,
    ast: AST,
    engine: Arc<Engine>,
    functions: BTreeSet<String>,
    errors: AtomicU32,
    last_error: Mutex<Option<(String, Position)>>,
}

impl Script {
    pub(crate) fn has(&self, function: &str) -> bool {
        self.functions.contains(function)
    }

    /// Calls one of its functions. An error counts against it.
    pub(crate) fn call(&self, function: &str, c: Context) -> Result<Dynamic, String> {
        let options = CallFnOptions::new().eval_ast(false);
        let result = sandbox::timed(|| {
            self.engine.call_fn_with_options::<Dynamic>(
                options,
                &mut Scope::new(),
                &self.ast,
                function,
                (c,),
            )
        });
        result.map_err(|error| self.fail(&error))
    }

    /// Counts an error and gives its text.
    fn fail(&self, error: &EvalAltResult) -> String {
        let at = error.position();
        self.fail_with(format!("{} ({at})", sandbox::message(error)), at)
    }

    pub(crate) fn fail_with(&self, text: String, at: Position) -> String {
        self.errors.fetch_add(1, Ordering::Relaxed);
        *self
            .last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some((text.clone(), at));
        tracing::warn!(playbook = %self.meta.name, error = %text, "Playbook failed.");
        text
    }

    fn state(&self) -> PlaybookState {
        if self.errors.load(Ordering::Relaxed) < RUN_ERRORS {
            return PlaybookState::Ok;
        }
        let last = self
            .last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let (text, at) = last.unwrap_or_default();
        broken(
            format!("off after {RUN_ERRORS} errors until its file changes; the last: {text}"),
            at,
        )
    }
}

/// One file, ready or not.
struct Entry {
    name: String,
    source: PlaybookSource,
    path: Option<PathBuf>,
    hash: u64,
    stamp: Option<(SystemTime, u64)>,
    script: Result<Arc<Script>, PlaybookState>,
}

struct Inner {
    entries: Vec<Entry>,
    folder: Option<PathBuf>,
    overrides: BTreeMap<String, PlaybookOverride>,
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
        let mut engine = sandbox::engine();
        context::register(&mut engine);
        let known = check::known_functions(&engine);
        let mut inner = Inner {
            entries: Vec::new(),
            folder,
            overrides,
            engine: Arc::new(engine),
            known,
        };
        for (name, text) in builtin::BUILTIN {
            let entry = inner.compile(name, PlaybookSource::Builtin, None, None, text);
            inner.entries.push(entry);
        }
        inner.refresh();
        Playbooks(Arc::new(Mutex::new(inner)))
    }

    /// All of them, in the order they are asked. Looks for changed files first.
    pub fn list(&self) -> Vec<PlaybookInfo> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.refresh();
        let mut all: Vec<PlaybookInfo> = inner.entries.iter().map(Entry::info).collect();
        all.sort_by(|a, b| (a.source, -a.priority, &a.name).cmp(&(b.source, -b.priority, &b.name)));
        all
    }

    /// Those that can be asked, in the order in which they are. Looks for changed files
    /// first.
    pub(crate) fn ready(&self) -> Vec<Arc<Script>> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.refresh();
        let mut all: Vec<Arc<Script>> = inner
            .entries
            .iter()
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
                info.state = script.state();
            }
        }
        info
    }
}

impl Inner {
    /// Compiles a text, unless the config turned the playbook off.
    fn compile(
        &self,
        name: &str,
        source: PlaybookSource,
        path: Option<PathBuf>,
        stamp: Option<(SystemTime, u64)>,
        text: &str,
    ) -> Entry {
        let over = self.overrides.get(name);
        let script = if over.is_some_and(|over| over.enabled == Some(false)) {
            Err(PlaybookState::Disabled)
        } else {
            self.script(name, source, text, over)
        };
        Entry {
            name: name.to_owned(),
            source,
            path,
            hash: fnv1a(text.as_bytes()),
            stamp,
            script: script.map(Arc::new),
        }
    }

    fn script(
        &self,
        name: &str,
        source: PlaybookSource,
        text: &str,
        over: Option<&PlaybookOverride>,
    ) -> Result<Script, PlaybookState> {
        let ast = self
            .engine
            .compile(text)
            .map_err(|error| broken(error.0.to_string(), error.1))?;
        if let Some(flaw) = check::flaw(&ast, &self.known) {
            return Err(broken(flaw.text, flaw.at));
        }
        let mut scope = Scope::new();
        sandbox::timed(|| self.engine.run_ast_with_scope(&mut scope, &ast))
            .map_err(|error| broken(error.to_string(), error.position()))?;
        let header = scope
            .get_value::<Map>("META")
            .ok_or_else(|| broken(meta::MetaError::Missing.to_string(), Position::NONE))?;
        let meta = Meta::read(&header, name, over)
            .map_err(|error| broken(error.to_string(), Position::NONE))?;
        Ok(Script {
            source,
            params: Arc::new(meta.params.clone()),
            meta,
            functions: ast
                .iter_functions()
                .map(|function| function.name.to_owned())
                .collect(),
            ast,
            engine: Arc::clone(&self.engine),
            errors: AtomicU32::new(0),
            last_error: Mutex::default(),
        })
    }

    /// Looks at the files again: new, changed, gone.
    fn refresh(&mut self) {
        let Some(folder) = self.folder.clone() else {
            return;
        };
        let mut files = rhai_files(&folder, PlaybookSource::Custom);
        files.extend(rhai_files(&folder.join("learned"), PlaybookSource::Learned));
        files.truncate(FILES);
        self.entries.retain(|entry| {
            entry
                .path
                .as_ref()
                .is_none_or(|path| files.iter().any(|file| file.path == *path))
        });
        for file in files {
            let known = self
                .entries
                .iter()
                .position(|entry| entry.path.as_ref() == Some(&file.path));
            if known.is_some_and(|at| self.entries[at].stamp == file.stamp) {
                continue;
            }
            let text = match read_script(&file.path) {
                Ok(text) => text,
                Err(error) => {
                    tracing::warn!(path = %file.path.display(), %error, "Playbook is unreadable.");
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
            let entry = self.compile(&file.name, file.source, Some(file.path), file.stamp, &text);
            match known {
                Some(at) => self.entries[at] = entry,
                None => self.entries.push(entry),
            }
        }
        self.shadow();
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
        for (name, text) in builtin::BUILTIN {
            let there = self.entries.iter().any(|entry| entry.name == *name);
            if !there {
                let entry = self.compile(name, PlaybookSource::Builtin, None, None, text);
                self.entries.push(entry);
            }
        }
    }
}

struct File {
    name: String,
    path: PathBuf,
    source: PlaybookSource,
    stamp: Option<(SystemTime, u64)>,
}

/// Reads a script. A pipe would keep the daemon waiting for somebody to write into it.
fn read_script(path: &Path) -> std::io::Result<String> {
    let found = std::fs::metadata(path)?;
    if !found.is_file() {
        return Err(std::io::Error::other("it is not a regular file"));
    }
    if found.len() > SCRIPT_BYTES {
        return Err(std::io::Error::other("it is larger than 1 MiB"));
    }
    std::fs::read_to_string(path)
}

/// The scripts of a folder, by name. A folder that is not there has none.
fn rhai_files(folder: &Path, source: PlaybookSource) -> Vec<File> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<File> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let path = entry.path();
            if path.extension()? != "rhai" {
                return None;
            }
            let stamp = entry
                .metadata()
                .ok()
                .and_then(|meta| Some((meta.modified().ok()?, meta.len())));
            Some(File {
                name: path.file_stem()?.to_str()?.to_owned(),
                path,
                source,
                stamp,
            })
        })
        .collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files
}

fn broken(error: String, at: Position) -> PlaybookState {
    PlaybookState::Broken {
        error,
        line: at.line().unwrap_or(0),
        column: at.position().unwrap_or(0),
    }
}
