//! `mhost daemon`: the daemon itself. And `mhost kill`, an old name for `daemon stop`.

mod run;
mod upgrade;

use std::io::{Read, Seek, SeekFrom};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use supervisor::command::view::VersionView;

use super::context::Context;
use super::error::CliError;
use super::watch::pause;
use crate::exit::Exit;
use crate::output::figures::span_ms;
use crate::output::text;

/// How often the end of the daemon is looked for.
const POLL: Duration = Duration::from_millis(100);
/// How much of the daemon's log is looked at for its last lines.
const TAIL_BYTES: u64 = 1 << 20;

/// Start, stop and look at the daemon
#[derive(Debug, Args)]
pub(crate) struct Daemon {
    #[command(subcommand)]
    command: DaemonCommand,
}

#[derive(Debug, Subcommand)]
enum DaemonCommand {
    /// Start the daemon, if it does not run
    Start,
    /// Stop all processes and the daemon
    Stop,
    Upgrade(upgrade::Upgrade),
    #[command(hide = true)]
    Run(run::Run),
    /// Show whether it runs, since when, and what is wrong with it
    Status,
    /// Show what the daemon itself says
    Logs {
        /// The last so many lines
        #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
        lines: usize,
        /// Go on with new lines
        #[arg(short, long)]
        follow: bool,
    },
}

/// Stop all processes and the daemon
///
/// With `stop_children_on_exit = false` in config.toml the processes run on. The same as `mhost daemon stop`.
#[derive(Debug, Args)]
pub(crate) struct Kill {}

impl Kill {
    /// Returns when the daemon is gone.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        stop(ctx)
    }
}

impl Daemon {
    /// Runs the subcommand.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        match self.command {
            DaemonCommand::Start => start(ctx),
            DaemonCommand::Stop => stop(ctx),
            DaemonCommand::Upgrade(upgrade) => upgrade.run(ctx),
            DaemonCommand::Run(run) => match run.run(ctx)? {},
            DaemonCommand::Status => status(ctx),
            DaemonCommand::Logs { lines, follow } => logs(ctx, lines, follow),
        }
    }
}

fn start(ctx: &Context) -> Result<Exit, CliError> {
    let before = ctx.ask::<VersionView>("daemon.version", json!({})).is_ok();
    let daemon: VersionView = ctx.call("daemon.version", json!({}))?;
    if ctx.output.is_json() {
        ctx.output.json(&daemon)?;
    }
    let word = if before { "runs already" } else { "started" };
    ctx.output.done(&format!(
        "daemon {word} (pid {}, home {})",
        daemon.pid, daemon.home
    ))?;
    Ok(Exit::Success)
}

fn stop(ctx: &Context) -> Result<Exit, CliError> {
    let daemon: VersionView = ctx.ask_any("daemon.version", json!({}))?;
    let running = running(ctx)?;
    let stopped: Result<Value, CliError> = ctx.ask_any("daemon.stop", json!({}));
    let stops_processes = match stopped {
        Ok(answer) => answer["stops_processes"].as_bool().unwrap_or(true),
        // It may be gone before its answer has been read.
        Err(error) if error.exit() == Exit::Protocol => true,
        Err(error) => return Err(error),
    };
    loop {
        match ctx.ask_any::<VersionView>("daemon.version", json!({})) {
            Ok(now) if now.pid == daemon.pid => pause(POLL),
            Ok(_) => break,
            Err(error) if error.exit() == Exit::NotRunning => break,
            // It closes connections on its way out; one that hangs is still there.
            Err(_) if runs(daemon.pid, None) => pause(POLL),
            Err(_) => break,
        }
    }
    let left: Vec<&String> = running
        .iter()
        .filter(|(name, pid)| runs(*pid, Some(name)))
        .map(|(name, _)| name)
        .collect();
    if ctx.output.is_json() {
        ctx.output
            .json(&json!({ "stopped": true, "pid": daemon.pid, "left_running": left }))?;
    }
    let names = left.iter().map(|name| name.as_str()).collect::<Vec<_>>();
    let names = names.join(", ");
    if left.is_empty() {
        ctx.output
            .done("daemon stopped, and all processes with it")?;
    } else if stops_processes {
        return Err(CliError::failure(format!(
            "the daemon stopped, but these processes did not end in time and run on: {names}"
        ))
        .with_help("the next daemon takes them over: mhost daemon start"));
    } else {
        ctx.output.done(&format!(
            "daemon stopped; its processes run on, as stop_children_on_exit = false says: {names}"
        ))?;
    }
    Ok(Exit::Success)
}

/// The instances that have a process, and its pid.
fn running(ctx: &Context) -> Result<Vec<(String, u32)>, CliError> {
    let list: Value = ctx.ask_any("process.list", json!({}))?;
    let mut running = Vec::new();
    for process in list["processes"].as_array().into_iter().flatten() {
        for instance in process["instances"].as_array().into_iter().flatten() {
            if let (Some(name), Some(pid)) = (process["name"].as_str(), instance["pid"].as_u64())
                && let Ok(pid) = u32::try_from(pid)
            {
                running.push((name.to_owned(), pid));
            }
        }
    }
    Ok(running)
}

/// Is this process alive, and still the one that carries this name?
fn runs(pid: u32, name: Option<&str>) -> bool {
    // A zombie has no environment left, so it counts as gone.
    let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let marked = |name: &str| {
        let mark = format!("MHOST_NAME={name}");
        environ
            .split(|byte| *byte == 0)
            .any(|entry| entry == mark.as_bytes())
    };
    !environ.is_empty() && name.is_none_or(marked)
}

fn status(ctx: &Context) -> Result<Exit, CliError> {
    let daemon: VersionView = match ctx.ask("daemon.version", json!({})) {
        Ok(daemon) => daemon,
        Err(error) if error.exit() == Exit::NotRunning && ctx.output.is_json() => {
            ctx.output.json(&json!({ "running": false }))?;
            return Ok(Exit::NotRunning);
        }
        Err(error) => return Err(error),
    };
    if ctx.output.is_json() {
        let mut value = json!(daemon);
        value["running"] = json!(true);
        ctx.output.json(&value)?;
        return Ok(Exit::Success);
    }
    let own = env!("CARGO_PKG_VERSION");
    let version = if daemon.version == own {
        daemon.version.clone()
    } else {
        format!("{} (this command is {own})", daemon.version)
    };
    let rows = [
        ("status", "● online".to_owned()),
        ("version", version),
        ("pid", daemon.pid.to_string()),
        ("uptime", span_ms(daemon.uptime_ms)),
        ("home", daemon.home.clone()),
    ];
    for (label, value) in rows {
        ctx.output
            .line(&format!("{}  {}", text::pad(label, 8), text::clean(&value)))?;
    }
    for problem in &daemon.degraded {
        ctx.output
            .line(&format!("degraded  {}", text::clean(problem)))?;
    }
    Ok(Exit::Success)
}

fn logs(ctx: &Context, lines: usize, follow: bool) -> Result<Exit, CliError> {
    let path = ctx.paths()?.daemon_log();
    let cannot = |error: std::io::Error| {
        CliError::failure(format!("cannot read {}: {error}", path.display()))
            .with_help("the daemon writes it when it runs: mhost daemon start")
    };
    let mut file = std::fs::File::open(&path).map_err(cannot)?;
    let length = file.metadata().map_err(cannot)?.len();
    let start = length.saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(start)).map_err(cannot)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(cannot)?;
    let tail = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = tail.lines().collect();
    let shown = &all[all.len().saturating_sub(lines)..];
    if ctx.output.is_json() && !follow {
        ctx.output.json(&json!({ "lines": shown }))?;
        return Ok(Exit::Success);
    }
    let print = |lines: &mut dyn Iterator<Item = &str>| {
        ctx.output
            .write(&lines.map(|line| printable(ctx, line)).collect::<String>())
    };
    print(&mut shown.iter().copied())?;
    if !follow {
        return Ok(Exit::Success);
    }
    loop {
        pause(POLL);
        bytes.clear();
        file.read_to_end(&mut bytes).map_err(cannot)?;
        let new = String::from_utf8_lossy(&bytes);
        print(&mut new.lines())?;
    }
}

fn printable(ctx: &Context, line: &str) -> String {
    if ctx.output.is_json() {
        format!("{}\n", json!({ "line": line }))
    } else if ctx.output.is_terminal() {
        format!("{}\n", text::clean_line(line))
    } else {
        format!("{line}\n")
    }
}
