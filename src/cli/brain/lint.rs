//! `mhost brain playbook lint`: mistakes, before a playbook runs.

use brain::{Finding, Weight};
use serde_json::json;

use super::files::{self, Found};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::exit::Exit;
use crate::output::figures::count;
use crate::output::text::clean_line;

/// Checks files; those of the person's folder when none is named. Needs no daemon.
pub(super) fn lint(ctx: &Context, what: &[String]) -> Result<Exit, CliError> {
    let mut all: Vec<Found> = Vec::new();
    for one in what {
        match files::find(ctx, one)? {
            Some(found) => all.push(found),
            None => {
                let message = format!("there is no playbook `{one}` among your own");
                return Err(CliError::new(Exit::NotFound, message)
                    .with_help("see what there is: mhost brain playbook list"));
            }
        }
    }
    if what.is_empty() {
        all = files::all(ctx)?;
    }
    let told: Vec<(Found, Vec<Finding>)> = all
        .into_iter()
        .map(|found| {
            let findings = brain::lint(&found.name, found.format, &found.text);
            (found, findings)
        })
        .collect();
    let errors = told
        .iter()
        .flat_map(|(_, findings)| findings)
        .filter(|one| one.weight == Weight::Error)
        .count();
    let exit = if errors > 0 {
        Exit::Config
    } else {
        Exit::Success
    };
    if ctx.output.is_json() {
        let files: Vec<_> = told
            .iter()
            .map(|(found, findings)| json!({ "name": found.name, "file": found.path, "findings": findings }))
            .collect();
        ctx.output.json(&json!({ "files": files }))?;
        return Ok(exit);
    }
    if told.is_empty() {
        ctx.output
            .note("You have no playbooks yet. Write one: mhost brain playbook new <name>");
    }
    for (found, findings) in &told {
        let file = found.path.display();
        for one in findings {
            let weight = match one.weight {
                Weight::Error => "error",
                Weight::Warning => "warning",
            };
            let place = match (one.line, one.column) {
                (0, _) => file.to_string(),
                (line, column) => format!("{file}:{line}:{column}"),
            };
            ctx.output
                .line(&format!("{place}: {weight}: {}", clean_line(&one.text)))?;
        }
        let mistakes = findings.iter().filter(|one| one.weight == Weight::Error);
        match mistakes.count() {
            0 => ctx
                .output
                .done(&format!("{}: nothing to mend", found.name))?,
            number => ctx.output.fail(&format!(
                "{}: {}",
                found.name,
                count(number, "error", "errors")
            )),
        }
    }
    Ok(exit)
}
