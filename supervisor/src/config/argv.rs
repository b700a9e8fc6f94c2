//! A command line to a program and its arguments.
//!
//! ```text
//!   words ─► shell needed? ──yes──► /bin/sh -c "exec …"
//!               │ no
//!               ▼
//!   first word a script? ─► interpreter in front (by key, by extension, by `#!`)
//! ```
//!
//! A name without a slash stays a name: it is looked up on the process's own PATH when the
//! process starts, never here, so that a wrapper put in front of PATH works.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::shell::{needs_shell, shell};
use crate::os_text::OsText;
use crate::secret::EnvVars;
use crate::spec::{Argv, EnvLayers, EnvPriority, ProcessConfig};

/// Why a command line cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgvError {
    /// It has no words.
    #[error("the command is empty")]
    Empty,
    /// A quote is open at the end.
    #[error("a quote in the command is never closed")]
    Quote,
    /// The interpreter is not installed.
    #[error("the interpreter `{interpreter}` for `{script}` is not on PATH")]
    NoInterpreter {
        /// What was looked for.
        interpreter: String,
        /// The script.
        script: String,
    },
    /// None of several interpreters is installed.
    #[error("none of {tried} for `{script}` is on PATH")]
    NoneOf {
        /// What was looked for, in order.
        tried: String,
        /// The script.
        script: String,
    },
}

impl ArgvError {
    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            Self::Empty => "write what to run, such as `node server.js`".to_owned(),
            Self::Quote => "close the quote, or put `\\` before it".to_owned(),
            Self::NoInterpreter { interpreter, .. } => format!(
                "install `{interpreter}`, or name another one with `interpreter`; `none` runs the file directly"
            ),
            Self::NoneOf { .. } => {
                "install one of them, or name another one with `interpreter`".to_owned()
            }
        }
    }

    /// Is the machine to blame, and not the file?
    pub fn is_environment(&self) -> bool {
        matches!(self, Self::NoInterpreter { .. } | Self::NoneOf { .. })
    }
}

/// A command line, ready to run, and what a person should know about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) argv: Argv,
    pub(crate) note: Option<String>,
}

/// Reads a command line. `path` is the PATH of the process.
pub(crate) fn read(config: &ProcessConfig, cwd: &Path, path: &str) -> Result<Command, ArgvError> {
    let command = config.command.trim();
    let plain = |argv| Command { argv, note: None };
    if needs_shell(command) {
        return Ok(plain(shell(command, &config.args)));
    }
    let mut words = shell_words::split(command).map_err(|_| ArgvError::Quote)?;
    words.extend(config.args.iter().cloned());
    let mut words = words.into_iter();
    let first = home_expanded(&words.next().ok_or(ArgvError::Empty)?);
    if first.is_empty() {
        return Err(ArgvError::Empty);
    }
    let found = Found { cwd, path };
    let script = found.script(&first);
    let chosen = match config.interpreter.as_deref() {
        Some("none" | "") => None,
        Some(name) => Some(found.named(name, &first)?),
        None if script => found.by_extension(&first)?,
        None => None,
    };
    let rest = words.collect::<Vec<_>>();
    let Some(Chosen { mut words, note }) = chosen else {
        let program = if script && !first.contains('/') {
            format!("./{first}")
        } else {
            first
        };
        return Ok(plain(Argv {
            program,
            args: rest,
            interpreter: None,
        }));
    };
    let program = words.remove(0);
    let base = |word: &str| word.rsplit('/').next().unwrap_or(word).to_owned();
    // `interpreter = "python3"` with `command = "python3 x.py"` means one python3.
    if base(&first) != base(&program) {
        words.push(first);
    }
    words.extend(rest);
    Ok(Command {
        argv: Argv {
            interpreter: Some(base(&program)),
            program,
            args: words,
        },
        note,
    })
}

/// The PATH a process will see, by the same layers as its environment.
pub(crate) fn path_of(config: &ProcessConfig, layers: &EnvLayers) -> String {
    let table = config.env.get("PATH").map(|value| value.0.clone());
    let os = layers
        .os
        .get("PATH")
        .map(|value| value.0.to_string_lossy().into_owned());
    let (first, second) = match config.env_priority {
        EnvPriority::Os => (os, table),
        EnvPriority::Config => (table, os),
    };
    layers
        .flags
        .get("PATH")
        .cloned()
        .or(first)
        .or(second)
        .or_else(|| layers.files.get("PATH").cloned())
        .unwrap_or_default()
}

/// `~` and `~/…` as the home folder of the caller.
pub(crate) fn home_expanded(text: &str) -> String {
    let rest = text.strip_prefix('~');
    match (rest, std::env::var("HOME")) {
        (Some(rest), Ok(home)) if rest.is_empty() || rest.starts_with('/') => {
            format!("{home}{rest}")
        }
        _ => text.to_owned(),
    }
}

/// What goes in front of a script.
struct Chosen {
    /// The program and its own arguments.
    words: Vec<String>,
    note: Option<String>,
}

/// Where things are looked for.
struct Found<'a> {
    cwd: &'a Path,
    path: &'a str,
}

/// What runs TypeScript, best first.
const TYPESCRIPT: [(&str, &[&str]); 5] = [
    ("ts-node", &[]),
    ("tsx", &[]),
    ("npx", &["tsx"]),
    ("deno", &["run", "-A"]),
    ("bun", &[]),
];

impl Found<'_> {
    /// Is the first word a file to run, and not the name of a program?
    fn script(&self, word: &str) -> bool {
        let is_file = self.cwd.join(word).is_file();
        is_file && (word.contains('/') || interpreter(word).is_some() || !self.on_path(word))
    }

    fn on_path(&self, program: &str) -> bool {
        let runs = |file: PathBuf| {
            std::fs::metadata(file)
                .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
        };
        if program.contains('/') {
            return runs(self.cwd.join(program));
        }
        std::env::split_paths(self.path).any(|folder| runs(self.cwd.join(folder).join(program)))
    }

    fn installed(&self, program: &str, script: &str) -> Result<(), ArgvError> {
        if self.on_path(program) {
            return Ok(());
        }
        Err(ArgvError::NoInterpreter {
            interpreter: program.to_owned(),
            script: script.to_owned(),
        })
    }

    /// The key `interpreter`. It may hold arguments: `node --inspect`.
    fn named(&self, name: &str, script: &str) -> Result<Chosen, ArgvError> {
        let mut words = shell_words::split(name).map_err(|_| ArgvError::Quote)?;
        let first = words.first_mut().ok_or(ArgvError::Empty)?;
        *first = home_expanded(first);
        self.installed(first, script)?;
        if words == ["deno"] {
            words.extend(["run", "-A"].map(str::to_owned));
        }
        Ok(Chosen { words, note: None })
    }

    fn by_extension(&self, script: &str) -> Result<Option<Chosen>, ArgvError> {
        match interpreter(script) {
            Some("typescript") => self.typescript(script).map(Some),
            Some(program) => {
                self.installed(program, script)?;
                Ok(Some(Chosen {
                    words: vec![program.to_owned()],
                    note: None,
                }))
            }
            None => self.by_shebang(script),
        }
    }

    fn typescript(&self, script: &str) -> Result<Chosen, ArgvError> {
        let found = TYPESCRIPT.iter().find(|(program, _)| self.on_path(program));
        let Some((program, args)) = found else {
            return Err(ArgvError::NoneOf {
                tried: TYPESCRIPT
                    .map(|(program, _)| format!("`{program}`"))
                    .join(", "),
                script: script.to_owned(),
            });
        };
        let words: Vec<String> = std::iter::once(program)
            .chain(*args)
            .map(|word| (*word).to_owned())
            .collect();
        let note = (*program != "ts-node").then(|| {
            format!(
                "`ts-node` is not on PATH, so `{}` runs `{script}`",
                words.join(" ")
            )
        });
        Ok(Chosen { words, note })
    }

    /// A script that is not executable but says by `#!` what runs it.
    fn by_shebang(&self, script: &str) -> Result<Option<Chosen>, ArgvError> {
        use std::io::Read;
        let file = self.cwd.join(script);
        if self.on_path(&format!("./{script}")) || self.on_path(&file.to_string_lossy()) {
            return Ok(None);
        }
        // 256 bytes: the kernel reads no more of a `#!` line.
        let mut head = Vec::new();
        let read =
            super::plain_file::open(&file).and_then(|file| file.take(256).read_to_end(&mut head));
        let text = String::from_utf8_lossy(&head).into_owned();
        let line = text.lines().next().and_then(|line| line.strip_prefix("#!"));
        let (Ok(_), Some(line)) = (read, line) else {
            return Ok(None);
        };
        let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let is_env = words.first().is_some_and(|word| word.ends_with("/env"));
        if is_env {
            words.remove(0);
            words.retain(|word| word != "-S");
        }
        let Some(program) = words.first() else {
            return Ok(None);
        };
        self.installed(program, script)?;
        Ok(Some(Chosen { words, note: None }))
    }
}

fn interpreter(file: &str) -> Option<&'static str> {
    match Path::new(file).extension()?.to_str()? {
        "js" | "mjs" | "cjs" => Some("node"),
        "ts" | "mts" | "cts" => Some("typescript"),
        "py" => Some("python3"),
        "rb" => Some("ruby"),
        "sh" | "bash" => Some("bash"),
        "php" => Some("php"),
        _ => None,
    }
}

/// The name a command gets when nobody gave it one: the stem of the first word that is a
/// file, else of the first word.
pub(crate) fn default_name(command: &str, cwd: &Path) -> String {
    let words = shell_words::split(command)
        .unwrap_or_else(|_| command.split_whitespace().map(str::to_owned).collect());
    let file = words.iter().find(|word| cwd.join(word).is_file());
    let word = file.or(words.first()).map_or("", String::as_str);
    let stem = Path::new(word).file_stem().unwrap_or_default();
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let name: String = stem
        .to_string_lossy()
        .chars()
        .map(|c| if allowed(c) { c } else { '-' })
        .take(crate::ids::MAX_NAME)
        .collect();
    name
}

/// The environment as the layers need it: everything but `MHOST_*`.
pub(crate) fn without_mhost(env: &BTreeMap<String, OsText>) -> EnvVars<OsText> {
    env.iter()
        .filter(|(key, _)| !key.starts_with("MHOST_"))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests;
