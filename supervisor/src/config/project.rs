//! The project file: from a path to processes that can be started.
//! It is one piece although it is long: the types of the file, and the one way through it.

mod context;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::argv;
use super::check::check;
use super::deserialize::from_node;
use super::envfile::{self, Files};
use super::expand::{Scope, Which, expand_tree};
use super::listen;
use super::problem::{LoadError, Problem, Problems, Source};
use super::reload;
use super::schema;
use super::tree::{Entry, Format, Node, Value, is_extension};
use super::validate::{self, Around};
use crate::command::Apply;
use crate::ids::ProcessName;
use crate::spec::{EnvFile, EnvLayers, GroupSpec, Instances, ProcessConfig, ProcessSpec, Project};

pub use context::LoadContext;
pub use table::{load_table, variables};

/// A project file: what mhost should run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectFile {
    /// Processes by name. A name has letters, digits, `.`, `_` and `-`, at most 64, and is
    /// not digits only.
    #[serde(default)]
    pub process: BTreeMap<String, ProcessConfig>,
    /// Groups of processes by name.
    #[serde(default)]
    pub groups: BTreeMap<String, GroupConfig>,
}

/// Processes that are started, stopped and restarted together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupConfig {
    /// Its members, which must be in this file.
    pub processes: Vec<String>,
    /// The order in which members start, each waiting for the one before; members that are
    /// left out follow. Default: the order of `processes`, without waiting.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub start_order: Vec<String>,
    /// Groups or processes that must be online first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
}

/// What a project file brings about.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedProject {
    /// Processes in file order and groups; the flags of the command line are not set.
    pub apply: Apply,
    /// What is probably not as meant.
    pub warnings: Vec<Problem>,
    /// Other remarks, such as which interpreter was found.
    pub notes: Vec<String>,
    /// Canonical path of the file.
    pub file: PathBuf,
}

/// Loads a project file.
///
/// # Errors
/// Every problem of the file, its env files included, at once.
pub fn load_project(path: &Path, ctx: &LoadContext) -> Result<LoadedProject, LoadError> {
    let source = Source::read(&ctx.cwd.join(path))?;
    load_project_text(path, &source.text, ctx)
}

/// Loads a text as if it were the project file at `path`, which need not be there.
///
/// # Errors
/// As [`load_project`].
pub fn load_project_text(
    path: &Path,
    text: &str,
    ctx: &LoadContext,
) -> Result<LoadedProject, LoadError> {
    let format = Format::of(path).ok_or_else(|| LoadError::UnknownFormat(path.to_owned()))?;
    // The text is shown with the path as the user wrote it.
    let source = Source::new(path, text);
    let file = ctx.cwd.join(path);
    let file = file.canonicalize().unwrap_or(file);
    let mut problems = Problems::new(source);
    match format.parse(&mut problems) {
        Some(root) => Loading {
            format,
            folder: file.parent().unwrap_or(Path::new("/")).to_owned(),
            file,
            ctx,
            problems,
        }
        .load(root),
        None => Err(problems
            .finish()
            .expect_err("a text without a tree has an error")),
    }
}

struct Loading<'a> {
    format: Format,
    file: PathBuf,
    folder: PathBuf,
    ctx: &'a LoadContext,
    problems: Problems,
}

impl Loading<'_> {
    fn load(mut self, mut root: Node) -> Result<LoadedProject, LoadError> {
        let scope = Scope {
            env: &self.ctx.env,
            fallback: None,
            later: None,
            folder: (!self.ctx.sealed).then_some(self.folder.as_path()),
        };
        for entry in tables(&mut root, "process") {
            listen::fill_numbers(entry, &scope, &mut self.problems);
        }
        let mut path = Vec::new();
        expand_tree(
            &mut root,
            &mut path,
            &scope,
            Which::AtLoad,
            &mut self.problems,
        );
        let mut files = BTreeMap::new();
        for entry in tables(&mut root, "process") {
            let read = self.surroundings(entry);
            files.insert(entry.key.clone(), read);
        }
        check(
            &mut root,
            schema::project(),
            self.format,
            explain,
            &mut self.problems,
        );
        self.anything(&root);
        let around = self.around(&root);
        let around = Around {
            processes: &around.0,
            groups: &around.1,
            format: self.format,
            memory: validate::physical_memory(),
            is_root: rustix::process::geteuid().is_root(),
            is_public: std::fs::metadata(&self.file)
                .is_ok_and(|meta| meta.permissions().mode() & 0o004 != 0),
        };
        let mut processes = Vec::new();
        let mut notes = Vec::new();
        let mut taken = listen::Taken::new();
        let list = root.get("process").map(Node::entries).unwrap_or_default();
        for entry in list {
            validate::process_table(entry, &around, &mut self.problems);
            let Some(mut config) = self.read::<ProcessConfig>(&entry.value) else {
                continue;
            };
            let problems = &mut self.problems;
            listen::settle(entry, &mut config, &self.folder, &mut taken, problems);
            validate::process(entry, &config, &around, &mut self.problems);
            reload::check(entry, &config, self.format, &mut self.problems);
            let vars = files.remove(&entry.key).unwrap_or_default();
            processes.extend(self.spec(entry, config, vars, &mut notes));
        }
        let mut groups = Vec::new();
        for entry in root.get("groups").map(Node::entries).unwrap_or_default() {
            let config = self.read::<GroupConfig>(&entry.value);
            validate::group(entry, config.as_ref(), &around, &mut self.problems);
            groups.extend(config.and_then(|config| self.group(&entry.key, config)));
        }
        validate::circles(&root, &around, &mut self.problems);
        for group in &groups {
            for spec in &mut processes {
                if let (true, Some(project)) =
                    (group.members.contains(&spec.name), &mut spec.project)
                {
                    project.groups.push(group.name.clone());
                }
            }
        }
        Ok(LoadedProject {
            warnings: self.problems.finish()?,
            apply: apply(processes, groups),
            notes,
            file: self.file,
        })
    }

    /// The env files of one process, and its probe texts expanded but for what they, its
    /// table and its instance know.
    fn surroundings(&mut self, entry: &mut Entry) -> BTreeMap<String, String> {
        let table = &mut entry.value;
        for variable in table
            .entries_mut()
            .iter_mut()
            .filter(|entry| entry.key == "env")
            .flat_map(|entry| entry.value.entries_mut())
        {
            if let Value::Float(_, written) = &variable.value.value {
                variable.value.value = Value::Text(written.clone());
            }
        }
        let env: BTreeMap<String, crate::spec::EnvValue> = table
            .get("env")
            .and_then(|node| from_node(node).ok())
            .unwrap_or_default();
        let key = table.get("env_file");
        let named: Option<EnvFile> = match self.ctx.env_files.is_empty() {
            true => key.and_then(|node| from_node(node).ok()),
            false => self.env_files(),
        };
        let cwd = self.cwd(table.get("cwd").and_then(Node::text));
        let node_env = envfile::node_env(&self.ctx.env, &env);
        let files = Files::of(named.as_ref(), &self.folder, &cwd, &node_env);
        let read = match self.ctx.sealed {
            true => envfile::EnvFiles::default(),
            false => files.read(&self.ctx.env),
        };
        let span = key.map_or_else(|| entry.key_span.clone(), |node| node.span.clone());
        for missing in &read.missing {
            self.problems.warning(
                &span,
                format!("the env file {} does not exist", missing.display()),
                "create it, or correct `env_file`; its variables are missing",
            );
        }
        self.problems.adopt(read.problems);
        let mut later: BTreeSet<String> = env.into_keys().collect();
        later.extend(read.vars.keys().cloned());
        later.extend(self.ctx.flags.keys().cloned());
        later.extend(
            table
                .get("increment_var")
                .and_then(Node::text)
                .map(str::to_owned),
        );
        later.extend(OWN_VARIABLES.map(str::to_owned));
        let scope = Scope {
            env: &self.ctx.env,
            fallback: None,
            later: Some(&later),
            folder: (!self.ctx.sealed).then_some(self.folder.as_path()),
        };
        let mut path = vec!["process".to_owned(), entry.key.clone()];
        expand_tree(
            &mut entry.value,
            &mut path,
            &scope,
            Which::PerInstance,
            &mut self.problems,
        );
        read.vars
    }

    fn env_files(&self) -> Option<EnvFile> {
        let absolute = |file: &PathBuf| self.ctx.cwd.join(file).to_string_lossy().into_owned();
        let files: Vec<String> = self.ctx.env_files.iter().map(absolute).collect();
        (!files.is_empty()).then_some(EnvFile::Files(files))
    }

    fn cwd(&self, key: Option<&str>) -> PathBuf {
        match key {
            Some(cwd) => self.folder.join(argv::home_expanded(cwd)),
            None => self.folder.clone(),
        }
    }

    fn around(&self, root: &Node) -> (Vec<String>, Vec<String>) {
        let names = |key: &str| {
            let entries = root.get(key).map(Node::entries).unwrap_or_default();
            entries.iter().map(|entry| entry.key.clone()).collect()
        };
        (names("process"), names("groups"))
    }

    fn anything(&mut self, root: &Node) {
        let table = root.get("process");
        if self.problems.errors() == 0 && table.is_none_or(|node| node.entries().is_empty()) {
            let example = match self.format {
                Format::Toml => "`[process.api]` and `command = \"node server.js\"`",
                Format::Yaml => "`process: { api: { command: \"node server.js\" } }`",
                Format::Json => {
                    "`{ \"process\": { \"api\": { \"command\": \"node server.js\" } } }`"
                }
            };
            self.problems.error(
                &(0..0),
                "this file names no process",
                format!("add {example}"),
            );
        }
    }

    /// A table as its type. The check has reported what is wrong with it, if it can.
    fn read<T: serde::de::DeserializeOwned>(&mut self, node: &Node) -> Option<T> {
        match from_node(node) {
            Ok(value) => Some(value),
            Err(error) => {
                if self.problems.errors() == 0 {
                    let span = error.span.unwrap_or_else(|| node.span.clone());
                    self.problems.bare(&span, error.message);
                }
                None
            }
        }
    }

    fn spec(
        &mut self,
        entry: &Entry,
        mut config: ProcessConfig,
        vars: BTreeMap<String, String>,
        notes: &mut Vec<String>,
    ) -> Option<ProcessSpec> {
        // A bad name has been reported.
        let name: ProcessName = entry.key.parse().ok()?;
        if let Some(files) = self.env_files() {
            config.env_file = Some(files);
        }
        let cwd = self.cwd(config.cwd.as_deref());
        let env = EnvLayers {
            files: vars.into(),
            os: argv::without_mhost(&self.ctx.env),
            flags: self.ctx.flags.clone(),
        };
        let command = match argv::read(&config, &cwd, &argv::path_of(&config, &env)) {
            Ok(command) => command,
            // The check has said that it is empty.
            Err(argv::ArgvError::Empty) if config.command.trim().is_empty() => return None,
            Err(error) => {
                let node = entry
                    .value
                    .get("interpreter")
                    .filter(|_| error.is_environment())
                    .or(entry.value.get("command"));
                let span = node.map_or_else(|| entry.key_span.clone(), |node| node.span.clone());
                self.problems.error(&span, error.to_string(), error.help());
                return None;
            }
        };
        notes.extend(command.note.map(|note| format!("{name}: {note}")));
        Some(ProcessSpec {
            name,
            instances: count(config.instances),
            project: Some(Project {
                file: self.file.clone(),
                groups: Vec::new(),
            }),
            cwd,
            argv: command.argv,
            env,
            config,
        })
    }

    fn group(&self, name: &str, config: GroupConfig) -> Option<GroupSpec> {
        let mut order = config.start_order;
        for member in config.processes {
            if !order.contains(&member) {
                order.push(member);
            }
        }
        // A bad name has been reported where the process is.
        let members: Result<Vec<ProcessName>, _> =
            order.iter().map(|member| member.parse()).collect();
        Some(GroupSpec {
            name: name.to_owned(),
            members: members.ok()?,
            depends_on: config.depends_on,
            project: Some(self.file.clone()),
        })
    }
}

/// What every instance has in its environment by itself.
const OWN_VARIABLES: [&str; 5] = [
    "MHOST_NAME",
    "MHOST_INSTANCE",
    "MHOST_INSTANCES",
    "MHOST_HOME",
    "MHOST_GENERATION",
];

pub(crate) fn count(instances: Instances) -> u16 {
    match instances {
        Instances::Count(count) => count,
        Instances::Max => std::thread::available_parallelism().map_or(1, |cpus| {
            cpus.get().min(usize::from(crate::spec::MAX_INSTANCES)) as u16
        }),
    }
}

pub(crate) fn apply(processes: Vec<ProcessSpec>, groups: Vec<GroupSpec>) -> Apply {
    Apply {
        processes,
        groups,
        prune: false,
        force: false,
        reset_scale: false,
        others: Vec::new(),
        wait: None,
    }
}

/// The entries of a table of tables that are not extensions.
fn tables<'a>(root: &'a mut Node, key: &'a str) -> impl Iterator<Item = &'a mut Entry> {
    root.entries_mut()
        .iter_mut()
        .filter(move |entry| entry.key == key)
        .flat_map(|entry| entry.value.entries_mut())
        .filter(|entry| !is_extension(&entry.key))
}

/// Tables and keys that other versions of mhost know, or that belong elsewhere.
fn explain(table: &str, key: &str) -> Option<String> {
    const LATER: [&str; 11] = [
        "alerts",
        "remediation",
        "deploy",
        "proxy",
        "ai",
        "cloud",
        "dashboard",
        "metrics",
        "rpc",
        "api",
        "include",
    ];
    const LATER_KEYS: [&str; 1] = ["log_file"];
    const GLOBAL: [&str; 7] = [
        "agent",
        "bot",
        "brain",
        "daemon",
        "logs",
        "notifications",
        "sinks",
    ];
    let unknown = |what: &str| {
        format!(
            "this version of mhost does not know it: remove the {what}, or name it `x-{key}` to keep it for later"
        )
    };
    let is_process = table.starts_with("process.") && table.matches('.').count() == 1;
    match table {
        "" if LATER.contains(&key) => Some(unknown("table")),
        "" if GLOBAL.contains(&key) => Some(format!(
            "it is a setting of the daemon: write `[{key}]` in `config.toml` of the home folder (`~/.mhost`)"
        )),
        _ if is_process && LATER_KEYS.contains(&key) => Some(unknown("key")),
        _ if key == "port_env" && table.ends_with(".reload") => Some(
            "it is for the HTTP front, which this version of mhost does not have: remove it; with \
             `listen` old and new copies share a port"
                .to_owned(),
        ),
        _ => None,
    }
}

/// The effective table of a process as TOML, for `mhost config`.
pub fn to_toml(name: &ProcessName, config: &ProcessConfig) -> String {
    let table = BTreeMap::from([("process", BTreeMap::from([(name.as_str(), config)]))]);
    toml::to_string(&table).expect("a config has only text keys and plain values")
}

/// The effective table of a process as JSON, for `mhost config --format json`.
pub fn to_json(name: &ProcessName, config: &ProcessConfig) -> serde_json::Value {
    serde_json::json!({ "process": { name.as_str(): config } })
}
