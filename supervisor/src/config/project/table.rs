//! A process that a program has sent as a table, read with the checks of a file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{LoadContext, LoadedProject, Loading};
use crate::config::argv;
use crate::config::problem::{LoadError, Problems, Source};
use crate::config::tree::Format;
use crate::secret::EnvVars;

/// Loads one process from a table that a program has sent, with the checks of a file. Without
/// a name it is called after its program.
///
/// # Errors
/// Every problem of the table, at once.
pub fn load_table(
    name: Option<&str>,
    table: serde_json::Map<String, serde_json::Value>,
    ctx: &LoadContext,
) -> Result<LoadedProject, LoadError> {
    let command = table.get("command").and_then(serde_json::Value::as_str);
    let name = match name {
        Some(name) => name.to_owned(),
        None => argv::default_name(command.unwrap_or_default(), &ctx.cwd),
    };
    let text = serde_json::json!({ "process": { name: table } });
    let text = serde_json::to_string_pretty(&text).expect("a table of JSON is JSON");
    let mut problems = Problems::new(Source::new("the request", text));
    let Some(root) = Format::Json.parse(&mut problems) else {
        return Err(problems
            .finish()
            .expect_err("a text without a tree has an error"));
    };
    let mut loaded = Loading {
        format: Format::Json,
        folder: ctx.cwd.clone(),
        file: PathBuf::new(),
        ctx,
        problems,
    }
    .load(root)?;
    for spec in &mut loaded.apply.processes {
        spec.project = None;
    }
    Ok(loaded)
}

/// The variables of a table as a program has sent it: texts, numbers and booleans.
///
/// # Errors
/// What it must be.
pub fn variables(table: serde_json::Value) -> Result<EnvVars<String>, String> {
    let values: BTreeMap<String, crate::spec::EnvValue> =
        serde_json::from_value(table).map_err(|error| format!("`env`: {error}"))?;
    Ok(values
        .into_iter()
        .map(|(key, value)| (key, value.0))
        .collect())
}
