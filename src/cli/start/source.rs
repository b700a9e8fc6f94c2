//! From words of the command line to definitions: files, scripts, command lines.

use std::path::{Path, PathBuf};

use serde_json::json;
use supervisor::ProcessSpec;
use supervisor::config::{
    self, CommandLineError, CommandLineProcess, DaemonConfig, Discovery, LoadContext, LoadError,
    LoadedProject, Problem,
};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::exit::Exit;
use crate::output::figures;
use crate::output::report;

/// The file of `--config`, or the one that is found.
pub(crate) fn discover(ctx: &Context) -> Result<PathBuf, CliError> {
    if let Some(file) = &ctx.global.config {
        return Ok(file.clone());
    }
    let cwd = surroundings()?.cwd;
    match config::discover(&cwd) {
        Discovery::Found(file) => Ok(shorter(&file, &cwd)),
        Discovery::Nothing(folders) => {
            let looked = folders.len();
            let where_ = match folders.last() {
                Some(last) if looked > 1 => format!("{} up to {}", cwd.display(), last.display()),
                _ => cwd.display().to_string(),
            };
            Err(CliError::config(format!(
                "no mhost.toml, mhost.yaml, mhost.yml or mhost.json in {where_}"
            ))
            .with_help("write one: mhost init; or say what to run: mhost start <command>"))
        }
    }
}

/// The path as a person would write it from here.
fn shorter(file: &Path, cwd: &Path) -> PathBuf {
    file.strip_prefix(cwd).unwrap_or(file).to_owned()
}

/// What the loader needs to know of the caller.
pub(crate) fn surroundings() -> Result<LoadContext, CliError> {
    LoadContext::current().map_err(|error| {
        CliError::config(format!("the current folder cannot be used: {error}"))
            .with_help("change to a folder that exists")
    })
}

/// Loads a project file. All its problems become one error.
pub(crate) fn load(
    ctx: &Context,
    file: &Path,
    around: &LoadContext,
) -> Result<LoadedProject, CliError> {
    let mut project = config::load_project(file, around).map_err(|error| refused(ctx, &error))?;
    project.notes.extend(unknown_channels(ctx, &project));
    Ok(project)
}

/// Names of channels that nobody is told by, since the daemon's settings have none such.
fn unknown_channels(ctx: &Context, project: &LoadedProject) -> Vec<String> {
    let named = |spec: &ProcessSpec| !spec.config.notify.channels.is_empty();
    if !project.apply.processes.iter().any(named) {
        return Vec::new();
    }
    // What is wrong with that file is told by others.
    let settings = ctx.paths().ok().map(|paths| DaemonConfig::load(&paths));
    let Some(Ok((settings, _))) = settings else {
        return Vec::new();
    };
    let known = settings.notifications.channels;
    let mut notes = Vec::new();
    for spec in &project.apply.processes {
        let channels = spec.config.notify.channels.iter();
        for channel in channels.filter(|one| !known.contains_key(*one)) {
            notes.push(format!(
                "{}: config.toml has no channel `{channel}`, so it is told nothing: mhost notify setup",
                spec.name
            ));
        }
    }
    notes
}

/// Makes a definition of a command line.
pub(crate) fn line(
    ctx: &Context,
    line: CommandLineProcess,
    around: &LoadContext,
) -> Result<LoadedProject, CliError> {
    config::from_command_line(line, around).map_err(|error| match &error {
        CommandLineError::EnvFile(error) => refused(ctx, error),
        // A program that is not installed is no mistake of the command line.
        CommandLineError::Argv(argv) if argv.is_environment() => {
            CliError::failure(error.to_string()).with_help(argv.help())
        }
        other => {
            let failure = CliError::config(other.to_string());
            match other.help() {
                Some(help) => failure.with_help(help),
                None => failure,
            }
        }
    })
}

/// Shows warnings and notes of what was loaded.
pub(crate) fn warn(ctx: &Context, project: &LoadedProject) {
    if !project.warnings.is_empty() {
        let drawn = report::render(&project.warnings, ctx.output.look());
        ctx.output.drawing(&drawn);
    }
    for note in &project.notes {
        ctx.output.note(&format!("  {note}"));
    }
}

/// Why a file is not read, with all that is wrong in it.
pub(crate) fn refused(ctx: &Context, error: &LoadError) -> CliError {
    let problems = error.problems();
    if problems.is_empty() {
        return CliError::new(Exit::Config, error.to_string())
            .with_help("write a first one: mhost init");
    }
    let errors = |problem: &&Problem| problem.severity == config::Severity::Error;
    let count = problems.iter().filter(errors).count();
    let file = problems[0].source.path.display();
    let counted = figures::count(count, "problem", "problems");
    let list: Vec<_> = problems.iter().map(report::to_json).collect();
    CliError::config(format!("{file} has {counted}"))
        .with_problems(json!(list))
        .with_report(report::render(problems, ctx.output.look()))
}
