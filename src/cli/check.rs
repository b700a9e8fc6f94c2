//! `mhost check`: is the file right?

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use supervisor::config::DaemonConfig;

use super::context::Context;
use super::error::CliError;
use super::start::source;
use crate::exit::Exit;
use crate::output::{figures, report};

/// Check a config file, without starting anything
///
/// All problems are shown at once, each with its place. Exit code 2 says there are some. The
/// config.toml of the home folder is checked as the settings of the daemon.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The file; when left out it is looked for as `mhost start` does
    file: Option<PathBuf>,
}

impl Check {
    /// Loads the file as `mhost start` would.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let file = match self.file {
            Some(file) => file,
            None => source::discover(ctx)?,
        };
        if is_settings(ctx, &file) {
            return settings(ctx, &file);
        }
        let project = source::load(ctx, &file, &source::surroundings()?)?;
        let warnings: Vec<_> = project.warnings.iter().map(report::to_json).collect();
        if ctx.output.is_json() {
            ctx.output.json(&json!({
                "file": file,
                "processes": project.apply.processes.iter().map(|spec| &spec.name).collect::<Vec<_>>(),
                "groups": project.apply.groups.iter().map(|group| &group.name).collect::<Vec<_>>(),
                "warnings": warnings,
                "notes": project.notes,
            }))?;
            return Ok(Exit::Success);
        }
        source::warn(ctx, &project);
        let processes = figures::count(project.apply.processes.len(), "process", "processes");
        let groups = figures::count(project.apply.groups.len(), "group", "groups");
        ctx.output
            .done(&format!("{}: {processes}, {groups}", file.display()))?;
        Ok(Exit::Success)
    }
}

/// Is it the daemon's own file?
fn is_settings(ctx: &Context, file: &Path) -> bool {
    let own = ctx
        .paths()
        .ok()
        .and_then(|paths| paths.config().canonicalize().ok());
    own.is_some_and(|own| file.canonicalize().is_ok_and(|file| file == own))
}

/// Loads the settings as the daemon would.
fn settings(ctx: &Context, file: &Path) -> Result<Exit, CliError> {
    let read = DaemonConfig::load(&ctx.paths()?);
    let (config, warnings) = read.map_err(|error| source::refused(ctx, &error))?;
    if ctx.output.is_json() {
        let warnings: Vec<_> = warnings.iter().map(report::to_json).collect();
        ctx.output
            .json(&json!({ "file": file, "warnings": warnings }))?;
        return Ok(Exit::Success);
    }
    if !warnings.is_empty() {
        ctx.output
            .drawing(&report::render(&warnings, ctx.output.look()));
    }
    let channels = figures::count(config.notifications.channels.len(), "channel", "channels");
    let sinks = figures::count(config.sinks.len(), "sink", "sinks");
    ctx.output
        .done(&format!("{}: {channels}, {sinks}", file.display()))?;
    Ok(Exit::Success)
}
