//! `mhost demo`: three small programs that really fail, and what mhost makes of them.
//!
//! ```text
//!   temporary home ─► daemon ─► crasher, leaker, frozen (this same binary)
//!                                   │
//!        events, brain history ◄────┘──► story, line by line ──► report
//! ```
//!
//! Everything runs under a home of its own and is gone afterwards. What is told is read from
//! the daemon as any other program would read it; nothing is scripted here but the programs.

mod programs;
mod report;
mod story;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use supervisor::command::Apply;
use supervisor::config::{LoadContext, load_project};
use supervisor::sys::FileLock;

use super::context::{Context, Global};
use super::error::CliError;
use crate::exit::Exit;
use crate::output::style::Tone;
use report::Patients;
use story::Story;

/// The demo ends after this, healed or not.
const LIMIT: Duration = Duration::from_secs(55);
/// How often the daemon is asked for news.
const LOOK: Duration = Duration::from_millis(200);

/// Watch mhost heal three failing programs
///
/// Starts a crash loop, a memory leak and a server that stops answering, under a home of its
/// own, shows what is seen, decided, done and verified, and ends with the report. Needs no
/// key and no network, takes less than a minute, and leaves nothing behind. Exit code 0 says
/// that all three were healed.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    #[command(subcommand)]
    program: Option<Hidden>,
}

#[derive(Debug, Subcommand)]
enum Hidden {
    /// One of the failing programs
    #[command(hide = true)]
    Program(programs::Program),
}

impl Demo {
    /// Runs the demo, and cleans up also when it is interrupted.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        if let Some(Hidden::Program(program)) = self.program {
            return program.run();
        }
        let stage = Stage::set(ctx)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let inner = stage.context(ctx);
        let folder = stage.home.clone();
        let result = runtime.block_on(async move {
            let shown = tokio::task::spawn_blocking(move || show(&inner, &folder));
            tokio::select! {
                shown = shown => shown.unwrap_or_else(|error| Err(CliError::failure(error.to_string()))),
                _ = tokio::signal::ctrl_c() => Err(CliError::failure("interrupted")),
            }
        });
        runtime.shutdown_background();
        stage.strike(ctx);
        result
    }
}

/// The temporary home.
struct Stage {
    home: PathBuf,
}

impl Stage {
    /// Makes the home and the files in it.
    fn set(ctx: &Context) -> Result<Self, CliError> {
        use std::os::unix::fs::DirBuilderExt;
        let moment = ctx.clock.now().as_microsecond() % 1_000_000;
        let name = format!("mhost-demo-{}-{moment}", std::process::id());
        let home = std::env::temp_dir().join(name);
        std::fs::DirBuilder::new().mode(0o700).create(&home)?;
        let stage = Self { home };
        std::fs::write(stage.home.join("config.toml"), SETTINGS)?;
        std::fs::write(
            stage.home.join("mhost.toml"),
            fleet(&std::env::current_exe()?),
        )?;
        Ok(stage)
    }

    fn context(&self, ctx: &Context) -> Context {
        let global = Global {
            home: Some(self.home.clone()),
            config: None,
            yes: true,
            timeout: None,
            ..ctx.global.clone()
        };
        Context::new(global, ctx.output.clone())
    }

    /// Ends the daemon and its programs, and removes the home.
    fn strike(self, ctx: &Context) {
        let inner = self.context(ctx);
        // A daemon that never came up has nothing to end.
        let _ = inner.ask_any::<Value>("daemon.stop", json!({}));
        // It holds this lock to its last breath.
        if let Ok(paths) = inner.paths() {
            let _ = FileLock::acquire(&paths.pid_file());
        }
        if let Err(error) = std::fs::remove_dir_all(&self.home) {
            let home = self.home.display();
            ctx.output
                .note(&format!("{home} could not be removed: {error}"));
        }
    }
}

/// The brain as it is without any configuration, only more impatient, so that the demo does
/// not take five minutes.
const SETTINGS: &str = r#"# The home of `mhost demo`.
[brain.playbooks.zombie-process]
params = { dead = "4s" }

[agent]
poll_interval = "1s"
"#;

/// The fleet: each program in one table.
///
/// The limit leaves room for this binary, which counts as well: of the quick build up to 30 MB
/// are resident, as much as the kernel finds in its cache when it maps the file.
fn fleet(binary: &Path) -> String {
    let binary = binary.display();
    format!(
        r#"
[process.crasher]
command = "'{binary}' demo program crasher"
restart_delay = "300ms"

[process.leaker]
command = "'{binary}' demo program leaker"
max_memory = "144MB"

[process.frozen]
command = "'{binary}' demo program frozen"

[process.frozen.health.script]
command = "'{binary}' demo program ask"
interval = "1s"
timeout = "800ms"
retries = 3
on_fail = "notify"
"#
    )
}

/// Starts the fleet and tells what happens until all is healed or the time is over.
fn show(ctx: &Context, home: &Path) -> Result<Exit, CliError> {
    let started = ctx.clock.now();
    let load = LoadContext::current()?;
    let project = load_project(&home.join("mhost.toml"), &load)
        .map_err(|error| CliError::failure(format!("the demo's own config is broken: {error}")))?;
    let mut story = Story::new(started);
    story.say(
        ctx,
        "start",
        Tone::Strong,
        "mhost",
        "Starts three programs that are about to fail.",
    )?;
    let apply = Apply {
        wait: None,
        ..project.apply
    };
    let _: Value = ctx.call("process.start", json!({ "apply": apply.into_wire() }))?;
    let mut patients = Patients::new(started);
    loop {
        let events: Value = ctx.call("process.events", json!({ "limit": 200 }))?;
        let history: Value = ctx.call("brain.history", json!({}))?;
        let list: Value = ctx.call("process.list", json!({}))?;
        story.tell_events(ctx, &events)?;
        story.tell_history(ctx, &history)?;
        patients.look(ctx.clock.now(), &list, &events, &history);
        let passed = supervisor::until(started, ctx.clock.now());
        if patients.all_healed() || passed > LIMIT {
            return patients.report(ctx, passed);
        }
        pause(LOOK);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a blocking thread that polls the daemon has no runtime to wait on"
)]
fn pause(time: Duration) {
    std::thread::sleep(time);
}
