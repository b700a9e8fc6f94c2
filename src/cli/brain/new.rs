//! `mhost brain playbook new`: a starter that works, and its scenario.

use std::io::Write;
use std::path::Path;

use brain::texts;
use serde_json::json;

use super::folder;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::exit::Exit;

/// Writes both files. Nothing is overwritten.
pub(super) fn new(ctx: &Context, name: &str, toml: bool) -> Result<Exit, CliError> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.chars().all(fits) {
        let message = format!("`{name}` cannot be the name of a playbook");
        return Err(CliError::config(message)
            .with_help("use up to 64 letters, digits, `-`, `_` and `.`: pool-drained"));
    }
    let folder = folder(ctx)?;
    let mut proof = texts::scenario(name);
    let (ending, text) = if toml {
        // A declared playbook gives its description as the cause.
        proof = proof
            .lines()
            .filter(|line| !line.starts_with("cause = "))
            .map(|line| format!("{line}\n"))
            .collect();
        ("toml", texts::declared(name))
    } else {
        ("rhai", texts::script(name))
    };
    let playbook = folder.join(format!("{name}.{ending}"));
    let other = folder.join(format!("{name}.{}", if toml { "rhai" } else { "toml" }));
    if other.exists() {
        return Err(CliError::config(format!(
            "{} exists already",
            other.display()
        )));
    }
    let scenario = super::files::scenario(&playbook, name);
    write(&playbook, &text)?;
    write(&scenario, &proof)?;
    if ctx.output.is_json() {
        ctx.output
            .json(&json!({ "name": name, "file": playbook, "scenario": scenario }))?;
        return Ok(Exit::Success);
    }
    ctx.output.done(&format!("{}", playbook.display()))?;
    ctx.output.done(&format!("{}", scenario.display()))?;
    ctx.output.note(&format!(
        "It is disabled until you say so. Edit it, then: mhost brain playbook test {name}"
    ));
    Ok(Exit::Success)
}

/// Writes a new file; one that is there stays as it is.
pub(super) fn write(path: &Path, text: &str) -> Result<(), CliError> {
    let failed = |error: std::io::Error| {
        let message = format!("{} could not be written: {error}", path.display());
        match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                CliError::config(format!("{} exists already", path.display()))
                    .with_help("choose another name, or edit that file")
            }
            _ => CliError::failure(message),
        }
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut file = std::fs::File::create_new(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}
