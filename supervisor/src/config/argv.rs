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
mod tests {
    use super::*;

    struct Machine {
        folder: tempfile::TempDir,
    }

    impl Machine {
        /// Programs in `bin/`, files beside it.
        fn new(programs: &[&str], files: &[(&str, &str, u32)]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let put = |path: PathBuf, text: &str, mode: u32| {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(&path, text).unwrap();
                std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            };
            for program in programs {
                put(folder.path().join("bin").join(program), "", 0o755);
            }
            for (name, text, mode) in files {
                put(folder.path().join(name), text, *mode);
            }
            Self { folder }
        }

        fn read(&self, config: &str) -> Result<Command, ArgvError> {
            let config: ProcessConfig = toml::from_str(config).unwrap();
            let path = self.folder.path().join("bin");
            read(&config, self.folder.path(), path.to_str().unwrap())
        }

        fn line(&self, config: &str) -> String {
            let argv = self.read(config).unwrap().argv;
            let words: Vec<String> = std::iter::once(argv.program).chain(argv.args).collect();
            words.join("|")
        }
    }

    #[test]
    fn a_program_stays_a_name() {
        let machine = Machine::new(
            &["python3", "node"],
            &[("x.py", "", 0o644), ("node", "", 0o755)],
        );
        for (config, wanted) in [
            ("command = \"python3 x.py 'a b'\"", "python3|x.py|a b"),
            (
                "command = 'node server.js'\nargs = ['-x', 'a b']",
                "node|server.js|-x|a b",
            ),
            ("command = \"absent --flag\"", "absent|--flag"),
            ("command = \"java -cp . Main\"", "java|-cp|.|Main"),
            ("command = 'missing.py'", "missing.py"),
            ("command = './db-proxy'", "./db-proxy"),
            (
                "command = 'python3 x.py'\ninterpreter = 'python3'",
                "python3|x.py",
            ),
        ] {
            assert_eq!(machine.line(config), wanted, "{config}");
            let argv = machine.read(config).unwrap().argv;
            assert_eq!(argv.interpreter.is_some(), config.contains("interpreter"));
        }
    }

    #[test]
    fn a_script_gets_its_interpreter() {
        let files = [
            ("a.py", "", 0o644),
            ("a.js", "", 0o755),
            ("sub/a.sh", "", 0o644),
            ("tool", "", 0o755),
            ("env", "#!/usr/bin/env -S node --x\n", 0o644),
            ("run", "#! /usr/bin/env ruby\n", 0o755),
            ("data", "no program", 0o644),
        ];
        let machine = Machine::new(
            &["python3", "node", "bash", "ruby", "deno", "bun", "pypy3"],
            &files,
        );
        for (config, wanted) in [
            ("command = 'a.py --x'", "python3|a.py|--x"),
            ("command = 'a.js'", "node|a.js"),
            ("command = './a.js'", "node|./a.js"),
            ("command = 'sub/a.sh'", "bash|sub/a.sh"),
            ("command = 'a.js'\ninterpreter = 'none'", "./a.js"),
            ("command = 'a.js'\ninterpreter = 'bun'", "bun|a.js"),
            ("command = 'a.js'\ninterpreter = 'deno'", "deno|run|-A|a.js"),
            ("command = 'a.py'\ninterpreter = 'pypy3'", "pypy3|a.py"),
            (
                "command = 'a.js'\ninterpreter = 'node --inspect'",
                "node|--inspect|a.js",
            ),
            ("command = 'tool -v'", "./tool|-v"),
            ("command = 'env'", "node|--x|env"),
            ("command = 'run'", "./run"),
            ("command = 'data'", "./data"),
        ] {
            assert_eq!(machine.line(config), wanted, "{config}");
        }
    }

    #[test]
    fn a_missing_interpreter_is_named() {
        let machine = Machine::new(&[], &[("a.rb", "", 0o644), ("a.ts", "", 0o644)]);
        let error = machine.read("command = 'a.rb'").unwrap_err();
        assert!(error.to_string().contains("`ruby` for `a.rb`"), "{error}");
        assert!(error.is_environment());
        let error = machine.read("command = 'a.ts'").unwrap_err();
        assert!(
            error
                .to_string()
                .contains("`ts-node`, `tsx`, `npx`, `deno`, `bun`"),
            "{error}"
        );
    }

    #[test]
    fn typescript_takes_what_there_is() {
        let files = [("a.ts", "", 0o644)];
        for (programs, wanted, noted) in [
            (vec!["ts-node", "tsx"], "ts-node|a.ts", false),
            (vec!["npx", "bun"], "npx|tsx|a.ts", true),
            (vec!["bun", "deno"], "deno|run|-A|a.ts", true),
            (vec!["bun"], "bun|a.ts", true),
        ] {
            let machine = Machine::new(&programs, &files);
            assert_eq!(machine.line("command = 'a.ts'"), wanted);
            assert_eq!(
                machine.read("command = 'a.ts'").unwrap().note.is_some(),
                noted
            );
        }
    }

    #[test]
    fn a_shell_runs_only_what_needs_one() {
        let machine = Machine::new(&[], &[]);
        for (command, wanted) in [
            ("a | b", "/bin/sh|-c|a | b"),
            ("a && b", "/bin/sh|-c|a && b"),
            ("a > log 2>&1", "/bin/sh|-c|exec a > log 2>&1"),
            ("cd x && a", "/bin/sh|-c|cd x && a"),
            ("cd x > y", "/bin/sh|-c|cd x > y"),
            ("a \"$(b)\"", "/bin/sh|-c|a \"$(b)\""),
            (
                "A=1 B='x y' node s.js",
                "/bin/sh|-c|A=1 B='x y' exec node s.js",
            ),
            ("a 'x & y' \"p;q\" r\\;s", "a|x & y|p;q|r;s"),
            ("sh -c 'a; b'", "sh|-c|a; b"),
            ("a --x=1", "a|--x=1"),
        ] {
            let config = format!("command = {}", toml::Value::String(command.into()));
            assert_eq!(machine.line(&config), wanted, "{command}");
        }
        assert_eq!(
            machine.line("command = 'a > b'\nargs = ['c d']"),
            "/bin/sh|-c|exec a > b 'c d'"
        );
        assert_eq!(
            machine.read("command = \"a 'b\"").unwrap_err(),
            ArgvError::Quote
        );
    }

    #[test]
    fn names_come_from_the_file() {
        let machine = Machine::new(&[], &[("w.py", "", 0o644)]);
        for (command, wanted) in [
            ("python3 w.py --x", "w"),
            ("./bin/server.sh", "server"),
            ("node", "node"),
            ("übung", "-bung"),
        ] {
            assert_eq!(default_name(command, machine.folder.path()), wanted);
        }
    }
}
