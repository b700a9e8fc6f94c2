//! `mhost start <command>`: a process without a file.

use std::path::PathBuf;
use std::time::Duration;

use super::argv::{self, ArgvError};
use super::envfile::Files;
use super::forms;
use super::problem::{LoadError, Severity};
use super::project::{LoadContext, LoadedProject, apply, count};
use crate::ids::{NameError, ProcessName};
use crate::spec::{Autorestart, EnvFile, EnvLayers, Instances, ProcessConfig, ProcessSpec, Watch};
use crate::units::ByteSize;

/// What the command line says about one process.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CommandLineProcess {
    /// The file or command line, one shell word or a whole line.
    pub command: String,
    /// What follows `--`.
    pub args: Vec<String>,
    /// `--name`.
    pub name: Option<String>,
    /// `--instances`.
    pub instances: Option<Instances>,
    /// `--max-memory`.
    pub max_memory: Option<ByteSize>,
    /// `--cwd`, relative to the caller's folder.
    pub cwd: Option<PathBuf>,
    /// `--interpreter`.
    pub interpreter: Option<String>,
    /// `--grace-period`.
    pub grace_period: Option<Duration>,
    /// `--no-autorestart`.
    pub no_autorestart: bool,
    /// `--watch`, without globs: source files.
    pub watch: Option<Vec<String>>,
    /// `--tag`.
    pub tags: Vec<String>,
    /// `--cron`.
    pub cron: Option<String>,
    /// `--max-restarts`.
    pub max_restarts: Option<u32>,
}

/// Why a command line is not a process.
#[derive(Debug, thiserror::Error)]
pub enum CommandLineError {
    /// The name is not one.
    #[error("{source}")]
    Name {
        /// Why.
        source: NameError,
        /// Nobody chose it: it came from the command.
        derived: bool,
    },
    /// It cannot be run.
    #[error(transparent)]
    Argv(#[from] ArgvError),
    /// The value of a flag is wrong.
    #[error("--{flag}: {message}")]
    Flag {
        /// Without its dashes.
        flag: &'static str,
        /// What is wrong.
        message: String,
        /// What to type.
        help: String,
    },
    /// An env file named on the command line does not exist.
    #[error("the env file {} does not exist", .0.display())]
    NoEnvFile(PathBuf),
    /// An env file is wrong.
    #[error(transparent)]
    EnvFile(#[from] LoadError),
}

impl CommandLineError {
    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Name { derived: true, .. } => Some("give it a name with `--name`".to_owned()),
            Self::Name { derived: false, .. } => {
                Some("use letters, digits, `.`, `_` and `-`".to_owned())
            }
            Self::Argv(error) => Some(error.help()),
            Self::Flag { help, .. } => Some(help.clone()),
            Self::NoEnvFile(_) => Some("create it, or correct `--env-file`".to_owned()),
            Self::EnvFile(_) => None,
        }
    }
}

/// The process a command line describes. Flags `--env` and `--env-file` are in `ctx`.
///
/// # Errors
/// The first thing that is wrong.
pub fn from_command_line(
    line: CommandLineProcess,
    ctx: &LoadContext,
) -> Result<LoadedProject, CommandLineError> {
    let form = |flag: &'static str, form: &str, text: &str| {
        forms::check(form, text).map_err(|(message, help)| CommandLineError::Flag {
            flag,
            message,
            help,
        })
    };
    if line.command.trim().is_empty() {
        return Err(ArgvError::Empty.into());
    }
    if let Some(cron) = &line.cron {
        form("cron", "cron", cron)?;
    }
    for glob in line.watch.iter().flatten() {
        form("watch", "glob", glob)?;
    }
    if let Some(limit) = line.max_memory {
        form("max-memory", "memory", &limit.to_string())?;
    }
    let cwd = match &line.cwd {
        Some(cwd) => ctx.cwd.join(argv::home_expanded(&cwd.to_string_lossy())),
        None => ctx.cwd.clone(),
    };
    let derived = line.name.is_none();
    let name: ProcessName = line
        .name
        .unwrap_or_else(|| argv::default_name(&line.command, &cwd))
        .parse()
        .map_err(|source| CommandLineError::Name { source, derived })?;
    let absolute = |file: &PathBuf| ctx.cwd.join(file).to_string_lossy().into_owned();
    let env_files: Vec<String> = ctx.env_files.iter().map(absolute).collect();
    let config = ProcessConfig {
        args: line.args,
        interpreter: line.interpreter,
        instances: line.instances.unwrap_or_default(),
        cwd: line.cwd.map(|_| cwd.to_string_lossy().into_owned()),
        env_file: (!env_files.is_empty()).then_some(EnvFile::Files(env_files)),
        max_memory: line.max_memory,
        autorestart: match line.no_autorestart {
            true => Autorestart::Never,
            false => Autorestart::default(),
        },
        watch: match line.watch {
            None => Watch::Off,
            Some(globs) if globs.is_empty() => Watch::Sources,
            Some(globs) => Watch::Globs(globs),
        },
        tags: line.tags,
        cron_restart: line.cron,
        ..bare(line.command, line.grace_period, line.max_restarts)
    };
    let read = Files::of(config.env_file.as_ref(), &ctx.cwd, &cwd, "").read(&ctx.env);
    if let Some(missing) = read.missing.into_iter().next() {
        return Err(CommandLineError::NoEnvFile(missing));
    }
    if read.problems.iter().any(|p| p.severity == Severity::Error) {
        return Err(LoadError::Invalid(read.problems).into());
    }
    let env = EnvLayers {
        files: read.vars.into(),
        os: argv::without_mhost(&ctx.env),
        flags: ctx.flags.clone(),
    };
    let command = argv::read(&config, &cwd, &argv::path_of(&config, &env))?;
    let notes = command
        .note
        .into_iter()
        .map(|note| format!("{name}: {note}"))
        .collect();
    let spec = ProcessSpec {
        name,
        instances: count(config.instances),
        project: None,
        cwd,
        argv: command.argv,
        env,
        config,
    };
    Ok(LoadedProject {
        apply: apply(vec![spec], Vec::new()),
        warnings: read.problems,
        notes,
        file: PathBuf::new(),
    })
}

/// A process with nothing but a command: defaults are those of a file.
fn bare(command: String, grace: Option<Duration>, max_restarts: Option<u32>) -> ProcessConfig {
    let table = serde_json::json!({ "command": command });
    let defaults: ProcessConfig =
        serde_json::from_value(table).expect("`command` is the only required key");
    ProcessConfig {
        grace_period: grace.unwrap_or(defaults.grace_period),
        max_restarts: max_restarts.unwrap_or(defaults.max_restarts),
        ..defaults
    }
}

/// `--instances`: a number from 0 to 256, or `max`.
///
/// # Errors
/// What it must be.
pub fn parse_instances(text: &str) -> Result<Instances, String> {
    match text.parse::<u16>() {
        Ok(count) if count <= crate::spec::MAX_INSTANCES => Ok(Instances::Count(count)),
        _ if text == "max" => Ok(Instances::Max),
        _ => Err("write a number from 0 to 256, or `max`".to_owned()),
    }
}

/// `--max-memory`: a size, where a bare number is megabytes.
///
/// # Errors
/// What it must be.
pub fn parse_memory(text: &str) -> Result<ByteSize, String> {
    match text.trim().parse::<u64>() {
        Ok(megabytes) => Ok(ByteSize(megabytes.saturating_mul(1 << 20))),
        Err(_) => text
            .parse()
            .map_err(|error: crate::units::SizeError| error.to_string()),
    }
}

/// `--env KEY=VALUE`.
///
/// # Errors
/// What it must be.
pub fn parse_env(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write `KEY=VALUE`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os_text::OsText;

    fn context(folder: &std::path::Path) -> LoadContext {
        let env = [("PATH", "/bin"), ("MHOST_HOME", "/x"), ("A", "os")];
        LoadContext {
            env: env
                .iter()
                .map(|(key, value)| ((*key).to_owned(), OsText::from(*value)))
                .collect(),
            cwd: folder.to_owned(),
            ..LoadContext::default()
        }
    }

    #[test]
    fn flags_become_a_spec() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("e"), "A=file\nB=file\n").unwrap();
        let ctx = LoadContext {
            flags: [("B".into(), "flag".into())].into_iter().collect(),
            env_files: vec!["e".into()],
            ..context(folder.path())
        };
        let line = CommandLineProcess {
            command: "worker --queue 'high prio'".into(),
            args: vec!["-x".into()],
            instances: Some(Instances::Count(3)),
            max_memory: Some(parse_memory("512").unwrap()),
            no_autorestart: true,
            watch: Some(vec![]),
            ..CommandLineProcess::default()
        };
        let loaded = from_command_line(line, &ctx).unwrap();
        let spec = &loaded.apply.processes[0];
        assert_eq!(spec.name.as_str(), "worker");
        assert_eq!(spec.argv.args, ["--queue", "high prio", "-x"]);
        assert_eq!(
            (spec.instances, spec.config.max_memory),
            (3, Some(ByteSize::mib(512)))
        );
        assert_eq!(spec.config.autorestart, Autorestart::Never);
        assert_eq!(spec.config.watch, Watch::Sources);
        assert_eq!(spec.env.files["A"], "file");
        assert_eq!(spec.env.flags["B"], "flag");
        assert!(!spec.env.os.contains_key("MHOST_HOME"));
    }

    #[test]
    fn wrong_flags_are_explained() {
        let folder = tempfile::tempdir().unwrap();
        let ctx = context(folder.path());
        let line = |command: &str| CommandLineProcess {
            command: command.into(),
            ..CommandLineProcess::default()
        };
        let error = |line| from_command_line(line, &ctx).unwrap_err();
        assert_eq!(error(line("  ")).to_string(), "the command is empty");
        assert!(error(line("42")).help().unwrap().contains("--name"));
        let cron = CommandLineProcess {
            cron: Some("often".into()),
            ..line("x")
        };
        assert!(
            error(cron)
                .to_string()
                .starts_with("--cron: `often` has 1 fields")
        );
        assert!(parse_instances("257").is_err() && parse_instances("-1").is_err());
        assert!(parse_memory("lots").is_err() && parse_env("A").is_err());
    }
}
