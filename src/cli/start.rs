//! `mhost start`: bring processes up, from a file, a command line, or the list.
//!
//! ```text
//!   word ─► config file? ──────────► load ──┐
//!        ─► registered? ── process.start ───┤
//!        ─► file or command line ─► define ─┴─► process.start {apply} ─► report
//! ```

pub(crate) mod plan;
pub(crate) mod report;
pub(crate) mod source;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use supervisor::command::view::{ProcessView, StartOutcome};
use supervisor::config::{
    self, CommandLineProcess, LoadContext, LoadedProject, Selection, parse_env, parse_instances,
    parse_memory,
};
use supervisor::spec::Instances;
use supervisor::units::ByteSize;

use super::context::{Context, duration};
use super::error::CliError;
use super::list;
use crate::exit::Exit;

/// How long a start waits for processes to come up.
const WAIT: Duration = Duration::from_secs(30);

/// Start processes from a file, a command line, or the list
///
/// Without a target the config file is looked for (mhost.toml, .yaml, .yml, .json), here and
/// up to the root of the git repository. Starting a file again restarts only what changed.
///
/// A target is a config file, a name or index of `mhost list`, a script, or a command line:
///   mhost start
///   mhost start server.js --instances 4 -- --port 3000
///   mhost start "python3 worker.py" --name worker
///   mhost start api worker
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Start {
    /// Config file, registered process, script, or command line
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    #[command(flatten)]
    definition: Definition,
    /// Environment variable; may be given several times
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = parse_env)]
    env: Vec<(String, String)>,
    /// Env file instead of the configured ones; later ones win
    #[arg(long, value_name = "PATH")]
    env_file: Vec<PathBuf>,
    /// From a file, only these processes
    #[arg(long, value_name = "NAME,NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// From a file, only members of this group
    #[arg(long, value_name = "GROUP")]
    group: Vec<String>,
    /// From a file, only processes with this tag; else a tag to give
    #[arg(long)]
    tag: Vec<String>,
    /// Do not wait until they are online
    #[arg(long)]
    no_wait: bool,
    /// Restart also what runs unchanged
    #[arg(long)]
    force: bool,
    /// Remove processes that are no longer in the file
    #[arg(long)]
    prune: bool,
    /// Forget an earlier `mhost scale`
    #[arg(long)]
    reset_scale: bool,
    /// Show what would happen, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Arguments for the program
    #[arg(last = true, value_name = "ARGS")]
    args: Vec<String>,
}

/// Flags that define a process, which a file or a registered process does not need.
#[derive(Debug, Args)]
struct Definition {
    /// Name [default: file name without its extension]
    #[arg(short, long)]
    name: Option<String>,
    /// Copies: a number, or max for one per CPU
    #[arg(short, long, value_name = "N", value_parser = parse_instances)]
    instances: Option<Instances>,
    /// Restart it above this much memory; a bare number is MB
    #[arg(long, value_name = "SIZE", value_parser = parse_memory)]
    max_memory: Option<ByteSize>,
    /// Working folder
    #[arg(long, value_name = "DIR")]
    cwd: Option<PathBuf>,
    /// Program that runs the script; none runs it directly
    #[arg(long, value_name = "PROGRAM")]
    interpreter: Option<String>,
    /// Time between the stop signal and SIGKILL [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    grace_period: Option<Duration>,
    /// Never restart it after it exits
    #[arg(long)]
    no_autorestart: bool,
    /// Restart when files change: source files, or those that match the globs
    #[arg(long, value_name = "GLOB", num_args = 0..)]
    watch: Option<Vec<String>>,
    /// Restart at times: five cron fields
    #[arg(long, value_name = "EXPR")]
    cron: Option<String>,
    /// Give up after so many crashes in a row [default: never]
    #[arg(long, value_name = "N")]
    max_restarts: Option<u32>,
}

/// What a word means.
#[derive(Debug, PartialEq, Eq)]
enum What {
    /// A config file.
    File(PathBuf),
    /// What the daemon knows already.
    Registered(String),
    /// A script or a command line, with the words that follow it.
    Line(String, Vec<String>),
}

impl Start {
    /// Returns when everything is online, or 30 seconds have passed.
    pub(crate) fn run(mut self, ctx: &Context) -> Result<Exit, CliError> {
        self.untangle_watch();
        let around = LoadContext {
            flags: self.env.iter().cloned().collect(),
            env_files: self.env_file.clone(),
            ..source::surroundings()?
        };
        let mut loaded = Vec::new();
        let mut registered = Vec::new();
        for what in self.targets(ctx, &around)? {
            match what {
                What::File(file) => loaded.push(self.file(ctx, &file, &around)?),
                What::Line(command, words) => {
                    loaded.push(self.line(ctx, command, words, &around)?);
                }
                What::Registered(name) => {
                    self.only_for_new(&format!("`{name}` is defined already"), true)?;
                    registered.push(name);
                }
            }
        }
        if self.dry_run {
            return plan::show(ctx, &loaded, &registered);
        }
        let started = self.start(ctx, loaded, registered);
        ctx.warn_of_settings();
        started
    }

    /// `--watch app.js` would take the script for a glob: with no other target, a last value
    /// that is a file is the target.
    fn untangle_watch(&mut self) {
        let Some(globs) = &mut self.definition.watch else {
            return;
        };
        if self.targets.is_empty()
            && let Some(target) = globs.pop_if(|last| Path::new(last).is_file())
        {
            self.targets.push(target);
        }
    }

    /// What each target means.
    fn targets(&self, ctx: &Context, around: &LoadContext) -> Result<Vec<What>, CliError> {
        if self.targets.is_empty() {
            // `start --group web` without a file means the registered group.
            return match source::discover(ctx) {
                Ok(file) => Ok(vec![What::File(file)]),
                Err(_) if !self.group.is_empty() => Ok(self
                    .group
                    .iter()
                    .map(|group| What::Registered(format!("group:{group}")))
                    .collect()),
                Err(error) => Err(error),
            };
        }
        let all_files = self
            .targets
            .iter()
            .all(|word| config::is_project_file(&around.cwd.join(word)));
        let known = if all_files {
            Vec::new()
        } else {
            self.known(ctx)?
        };
        let mut meant = Vec::new();
        for (place, word) in self.targets.iter().enumerate() {
            let what = meaning(word, &known, &around.cwd)?;
            if let What::Line(command, _) = &what
                && place == 0
                && self.targets.len() > 1
                && !around.cwd.join(word).is_file()
            {
                // The first of several words is a program: the rest are its arguments.
                return Ok(vec![What::Line(
                    command.clone(),
                    self.targets[1..].to_vec(),
                )]);
            }
            meant.push(what);
        }
        Ok(meant)
    }

    /// The processes the daemon knows. A dry run starts no daemon.
    fn known(&self, ctx: &Context) -> Result<Vec<ProcessView>, CliError> {
        if !self.dry_run {
            return list::read(list::fetch(ctx, None)?);
        }
        match ctx.ask::<Value>("process.list", json!({})) {
            Ok(reply) => list::read(reply),
            Err(error) if error.exit() == Exit::NotRunning => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn file(
        &self,
        ctx: &Context,
        file: &Path,
        around: &LoadContext,
    ) -> Result<LoadedProject, CliError> {
        self.only_for_new(&format!("{} says it", file.display()), false)?;
        let mut project = source::load(ctx, file, around)?;
        let selection = Selection {
            only: self.only.clone(),
            groups: self.group.clone(),
            tags: self.tag.clone(),
        };
        project
            .select(&selection)
            .map_err(|error| CliError::config(error.to_string()))?;
        source::warn(ctx, &project);
        self.wishes(ctx, &mut project);
        Ok(project)
    }

    fn line(
        &self,
        ctx: &Context,
        command: String,
        words: Vec<String>,
        around: &LoadContext,
    ) -> Result<LoadedProject, CliError> {
        for (flag, given) in [
            ("--only", !self.only.is_empty()),
            ("--group", !self.group.is_empty()),
            ("--prune", self.prune),
            ("--reset-scale", self.reset_scale),
        ] {
            if given {
                return Err(CliError::config(format!("{flag} needs a config file"))
                    .with_help("say which: mhost start mhost.toml"));
            }
        }
        let own = &self.definition;
        let name = own
            .name
            .clone()
            .or_else(|| named_after(&words, &around.cwd));
        let line = CommandLineProcess {
            command: file_in_words(command, &around.cwd),
            args: [words, self.args.clone()].concat(),
            name,
            instances: own.instances,
            max_memory: own.max_memory,
            cwd: own.cwd.clone(),
            interpreter: own.interpreter.clone(),
            grace_period: own.grace_period,
            no_autorestart: own.no_autorestart,
            watch: own.watch.clone(),
            tags: self.tag.clone(),
            cron: own.cron.clone(),
            max_restarts: own.max_restarts,
        };
        let mut project = source::line(ctx, line, around)?;
        source::warn(ctx, &project);
        self.wishes(ctx, &mut project);
        Ok(project)
    }

    /// How the definitions are to be brought about.
    fn wishes(&self, ctx: &Context, project: &mut LoadedProject) {
        project.apply.prune = self.prune;
        project.apply.force = self.force;
        project.apply.reset_scale = self.reset_scale;
        project.apply.wait = self.wait(ctx);
    }

    fn wait(&self, ctx: &Context) -> Option<Duration> {
        (!self.no_wait).then(|| ctx.global.timeout.unwrap_or(WAIT))
    }

    /// Refuses flags that would have no effect.
    fn only_for_new(&self, why: &str, registered: bool) -> Result<(), CliError> {
        let own = &self.definition;
        let mut given = vec![
            ("--name", own.name.is_some()),
            ("--instances", own.instances.is_some()),
            ("--max-memory", own.max_memory.is_some()),
            ("--cwd", own.cwd.is_some()),
            ("--interpreter", own.interpreter.is_some()),
            ("--grace-period", own.grace_period.is_some()),
            ("--no-autorestart", own.no_autorestart),
            ("--watch", own.watch.is_some()),
            ("--cron", own.cron.is_some()),
            ("--max-restarts", own.max_restarts.is_some()),
            ("arguments after --", !self.args.is_empty()),
        ];
        if registered {
            given.extend([
                ("--env", !self.env.is_empty()),
                ("--env-file", !self.env_file.is_empty()),
                ("--only", !self.only.is_empty()),
                // Alone it is the target itself.
                (
                    "--group",
                    !self.group.is_empty() && !self.targets.is_empty(),
                ),
                ("--tag", !self.tag.is_empty()),
                ("--prune", self.prune),
                ("--reset-scale", self.reset_scale),
                ("--force", self.force),
            ]);
        }
        match given.into_iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((flag, _)) => Err(
                CliError::config(format!("{flag} has no effect here: {why}")).with_help(
                    if registered {
                        "leave it out; mhost restart starts it anew, mhost delete forgets it"
                    } else {
                        "leave it out, or change the file"
                    },
                ),
            ),
        }
    }

    fn start(
        &self,
        ctx: &Context,
        loaded: Vec<LoadedProject>,
        registered: Vec<String>,
    ) -> Result<Exit, CliError> {
        let mut all = StartOutcome {
            processes: Vec::new(),
            left_over: Vec::new(),
            pruned: Vec::new(),
        };
        let mut add = |outcome: StartOutcome| {
            all.processes.extend(outcome.processes);
            all.left_over.extend(outcome.left_over);
            all.pruned.extend(outcome.pruned);
        };
        if ctx.output.is_terminal() && !self.no_wait {
            let names = loaded.iter().flat_map(|project| &project.apply.processes);
            let names: Vec<&str> = names.map(|spec| spec.name.as_str()).collect();
            let names = [names, registered.iter().map(String::as_str).collect()].concat();
            ctx.output.note(&format!("Starting {} …", names.join(", ")));
        }
        for project in loaded {
            add(ctx.call_waiting(
                "process.start",
                json!({ "apply": project.apply.into_wire() }),
            )?);
        }
        for name in registered {
            let wait = self.wait(ctx).map(|wait| wait.as_millis() as u64);
            let params = json!({ "name": name, "wait": wait.is_some(), "timeout_ms": wait });
            add(ctx.call_waiting("process.start", params)?);
        }
        report::tell(ctx, &all)
    }
}

/// What one word means: a config file, then a registered process, then something to run.
fn meaning(word: &str, known: &[ProcessView], cwd: &Path) -> Result<What, CliError> {
    let path = cwd.join(word);
    if config::is_project_file(&path) {
        return Ok(What::File(PathBuf::from(word)));
    }
    if is_registered(word, known) {
        return Ok(What::Registered(word.to_owned()));
    }
    let config_like = [".toml", ".yaml", ".yml", ".json"]
        .iter()
        .any(|extension| word.ends_with(extension));
    if config_like && !word.contains(' ') && !path.exists() {
        return Err(CliError::config(format!("there is no file {word}"))
            .with_help("write a first one: mhost init"));
    }
    Ok(What::Line(word.to_owned(), Vec::new()))
}

/// The path of a file, quoted when the rules for command lines would split it.
fn file_in_words(command: String, cwd: &Path) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+:@%,=~".contains(c);
    if command.chars().all(plain) || !cwd.join(&command).is_file() {
        return command;
    }
    format!("'{}'", command.replace('\'', r"'\''"))
}

/// Does the daemon know it, as a name, an instance, an index, a group, a glob or all?
fn is_registered(word: &str, known: &[ProcessView]) -> bool {
    let is_name = |name: &str| known.iter().any(|process| process.name.as_str() == name);
    let is_group = |name: &str| {
        known
            .iter()
            .any(|process| process.group.iter().any(|g| g == name))
    };
    let instance_of = |separator: char| {
        word.rsplit_once(separator)
            .filter(|(_, index)| index.parse::<u16>().is_ok())
            .is_some_and(|(name, _)| is_name(name))
    };
    let digits = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let glob = word.contains(['*', '?', '[']) && !word.contains([' ', '/']);
    word == "all"
        || digits
        || glob
        || word.starts_with("group:")
        || is_name(word)
        || is_group(word)
        || instance_of(':')
        || instance_of('-')
}

/// The name of a program that was given in several words: that of its first file.
fn named_after(words: &[String], cwd: &Path) -> Option<String> {
    let file = words.iter().find(|word| cwd.join(word).is_file())?;
    Some(Path::new(file).file_stem()?.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_one_word_whatever_its_name() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("it's me.sh"), "").unwrap();
        let quoted = |word: &str| file_in_words(word.to_owned(), folder.path());
        assert_eq!(quoted("it's me.sh"), r"'it'\''s me.sh'");
        assert_eq!(quoted("node me.sh"), "node me.sh");
    }

    #[test]
    fn words_mean_files_then_names_then_commands() {
        let known = list::tests::sample();
        let cwd = tempfile::tempdir().expect("a folder");
        std::fs::write(
            cwd.path().join("mhost.toml"),
            "[process.a]\ncommand = \"x\"\n",
        )
        .expect("written");
        std::fs::write(cwd.path().join("app.js"), "").expect("written");
        let registered = |word: &str| What::Registered(word.to_owned());
        let line = |word: &str| What::Line(word.to_owned(), Vec::new());
        let cases = [
            ("mhost.toml", What::File("mhost.toml".into())),
            ("api", registered("api")),
            ("api:1", registered("api:1")),
            ("api-1", registered("api-1")),
            ("0", registered("0")),
            ("all", registered("all")),
            ("a*", registered("a*")),
            ("app.js", line("app.js")),
            ("node app.js", line("node app.js")),
            ("sleep", line("sleep")),
        ];
        for (word, wanted) in cases {
            let meant = meaning(word, &known, cwd.path()).expect("it means something");
            assert_eq!(meant, wanted, "{word}");
        }
        let missing = meaning("other.toml", &known, cwd.path()).expect_err("there is none");
        assert_eq!(missing.exit(), Exit::Config);
    }
}
