//! `mhost brain playbook import`: rules of another tool as playbooks.

use std::path::Path;

use brain::texts;
use serde_json::json;

use super::folder;
use super::new::write;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::exit::Exit;

/// Writes a file for each rule. Nothing is overwritten.
pub(super) fn import(ctx: &Context, file: &Path) -> Result<Exit, CliError> {
    let wrong = |why: String| CliError::config(format!("{}: {why}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    let all = texts::imported(&text).map_err(|error| {
        wrong(error.to_string()).with_help(
            r#"a rule is written so: {"name": "port", "trigger": "EADDRINUSE", "action": "restart", "wait_ms": 5000}"#,
        )
    })?;
    let folder = folder(ctx)?;
    let mut written = Vec::new();
    for one in all {
        let path = folder.join(format!("{}.toml", one.name));
        write(&path, &one.toml)?;
        written.push((one.name, path));
    }
    if ctx.output.is_json() {
        let rows = written
            .iter()
            .map(|(name, path)| json!({ "name": name, "file": path }));
        ctx.output
            .json(&json!({ "imported": rows.collect::<Vec<_>>() }))?;
        return Ok(Exit::Success);
    }
    for (_, path) in &written {
        ctx.output.done(&format!("{}", path.display()))?;
    }
    ctx.output
        .note("They are disabled until you say so: mhost brain playbook enable <name>");
    Ok(Exit::Success)
}
