//! `mhost check`: is the file right?

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::context::Context;
use super::error::CliError;
use super::start::source;
use crate::exit::Exit;
use crate::output::{figures, report};

/// Check a config file, without starting anything
///
/// All problems are shown at once, each with its place. Exit code 2 says there are some.
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
