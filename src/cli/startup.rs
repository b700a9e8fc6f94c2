//! `mhost startup` and `unstartup`: the service that brings everything back after a boot.

mod unit;

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::error::CliError;
use crate::exit::Exit;
use unit::{Scope, Unit};

/// Start mhost and its processes at boot, by systemd
///
/// Writes a unit and enables it. At boot it starts what `mhost save` wrote down.
#[derive(Debug, Args)]
pub(crate) struct Startup {
    /// For this user (default)
    #[arg(long, conflicts_with = "system")]
    user: bool,
    /// For the machine; needs root
    #[arg(long)]
    system: bool,
    /// Only show the unit, write nothing
    #[arg(long)]
    print: bool,
}

/// Undo `mhost startup`
#[derive(Debug, Args)]
pub(crate) struct Unstartup {
    /// For this user (default)
    #[arg(long, conflicts_with = "system")]
    user: bool,
    /// For the machine; needs root
    #[arg(long)]
    system: bool,
}

impl Startup {
    /// Shows, or writes and enables, the unit.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let scope = scope(self.system);
        let unit = describe(ctx, scope)?;
        if self.print {
            if ctx.output.is_json() {
                ctx.output
                    .json(&json!({ "path": unit.path()?, "unit": unit.text() }))?;
            } else {
                ctx.output.write(&unit.text())?;
            }
            return Ok(Exit::Success);
        }
        require_systemd()?;
        let path = unit.path()?;
        let parent = path.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(&path, unit.text()))
            .map_err(|error| unwritable(&path, &error))?;
        systemctl(scope, &["daemon-reload"])?;
        systemctl(scope, &["enable", &unit.name()])?;
        if ctx.output.is_json() {
            ctx.output.json(&json!({ "path": path, "enabled": true }))?;
        }
        ctx.output
            .done(&format!("{} is enabled ({})", unit.name(), path.display()))?;
        ctx.output.note("  save what is to be started: mhost save");
        if scope == Scope::User {
            ctx.output
                .note("  start without a login, too:  loginctl enable-linger");
        }
        Ok(Exit::Success)
    }
}

impl Unstartup {
    /// Disables and removes the unit.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let scope = scope(self.system);
        let unit = describe(ctx, scope)?;
        let path = unit.path()?;
        if !path.exists() {
            return Err(CliError::failure(format!("there is no {}", path.display()))
                .with_help("mhost startup makes one"));
        }
        require_systemd()?;
        systemctl(scope, &["disable", &unit.name()])?;
        std::fs::remove_file(&path).map_err(|error| unwritable(&path, &error))?;
        systemctl(scope, &["daemon-reload"])?;
        if ctx.output.is_json() {
            ctx.output
                .json(&json!({ "path": path, "enabled": false }))?;
        }
        ctx.output.done(&format!("{} is removed", unit.name()))?;
        Ok(Exit::Success)
    }
}

fn scope(system: bool) -> Scope {
    if system { Scope::System } else { Scope::User }
}

fn describe(ctx: &Context, scope: Scope) -> Result<Unit, CliError> {
    let binary = std::env::current_exe()
        .map_err(|error| CliError::failure(format!("cannot find the mhost binary: {error}")))?;
    let user = ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .find_map(|key| std::env::var(key).ok().filter(|user| !user.is_empty()))
        .unwrap_or_else(|| "root".to_owned());
    Ok(Unit {
        scope,
        user,
        binary,
        home: ctx.paths()?.home().to_owned(),
        path: std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".to_owned()),
    })
}

/// The test that systemd itself documents: this folder exists where it is the init system.
fn require_systemd() -> Result<(), CliError> {
    if Path::new("/run/systemd/system").is_dir() {
        return Ok(());
    }
    Err(
        CliError::failure("systemd does not run here, and mhost knows no other init system")
            .with_help(
                "see what it would install with: mhost startup --print; \
         or let your init system run: mhost daemon run --resurrect",
            ),
    )
}

fn unwritable(path: &Path, error: &std::io::Error) -> CliError {
    let failure = CliError::failure(format!("cannot change {}: {error}", path.display()));
    if error.kind() == std::io::ErrorKind::PermissionDenied {
        return failure.with_help("run it as root, or for yourself only: mhost startup --user");
    }
    failure
}

#[expect(
    clippy::disallowed_methods,
    reason = "a tool of the person at the keyboard, not a supervised process"
)]
fn systemctl(scope: Scope, args: &[&str]) -> Result<(), CliError> {
    let mut command = std::process::Command::new("systemctl");
    if scope == Scope::User {
        command.arg("--user");
    }
    let ran = command.args(args).output();
    let words = args.join(" ");
    match ran {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let details = said.lines().map(str::to_owned).collect();
            Err(CliError::failure(format!("systemctl {words} failed")).with_details(details))
        }
        Err(error) => Err(CliError::failure(format!(
            "cannot run systemctl {words}: {error}"
        ))),
    }
}

/// Where units of a user lie.
fn user_units() -> Option<PathBuf> {
    let set = |key: &str| std::env::var_os(key).filter(|value| !value.is_empty());
    let base = set("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(Path::new(&set("HOME")?).join(".config")))?;
    Some(base.join("systemd/user"))
}
