//! Changing keys in a project file, so that everything else in it stays as it is.
//!
//! The new text is read as a project file before the old one is replaced, and replaced by a
//! rename, so that there is never half a file. What then happens is what `mhost start` does
//! with a file that was edited by hand.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use supervisor::command::view::StartOutcome;
use supervisor::config::{LoadContext, Selection, load_project, load_project_text};
use toml_edit::{DocumentMut, Item, TableLike};

use super::{Change, Reply};
use crate::cli::ai::draft::Draft;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::start::report;
use crate::exit::Exit;

/// How long the restart may take.
const WAIT: Duration = Duration::from_secs(30);

/// What was written, and what came of it.
pub(super) struct Applied {
    pub(super) file: PathBuf,
    pub(super) outcome: StartOutcome,
    pub(super) exit: Exit,
}

/// Asks the person, writes the file, and brings it about.
pub(super) fn apply(ctx: &Context, reply: &Reply) -> Result<Applied, CliError> {
    let Some(file) = &reply.project else {
        return Err(
            CliError::failure(format!("`{}` was not started from a file", reply.process))
                .with_help("write one: mhost config … > mhost.toml, and start it from there"),
        );
    };
    if file.extension().is_none_or(|ext| ext != "toml") {
        return Err(
            CliError::failure(format!("{} is no TOML file", file.display()))
                .with_help("make the changes by hand"),
        );
    }
    let failed = |error: std::io::Error| {
        CliError::failure(format!("could not change {}: {error}", file.display()))
    };
    let old = std::fs::read_to_string(file).map_err(failed)?;
    let new = edited(&old, &reply.process, &reply.changes).map_err(CliError::failure)?;
    let around = LoadContext::current()?;
    load_project_text(file, &new, &around).map_err(|error| {
        CliError::config(format!(
            "with these changes {} would not be valid: {error}",
            file.display()
        ))
    })?;
    ctx.confirm(&format!(
        "Write this to {} and restart {}?",
        file.display(),
        reply.process
    ))?;
    if std::fs::read_to_string(file).map_err(failed)? != old {
        return Err(CliError::failure(format!(
            "{} was changed meanwhile",
            file.display()
        )));
    }
    Draft::beside(file, &new)
        .and_then(|draft| draft.put_as_before(file))
        .map_err(failed)?;
    let mut project =
        load_project(file, &around).map_err(|error| CliError::config(error.to_string()))?;
    let selection = Selection {
        only: vec![reply.process.clone()],
        ..Selection::default()
    };
    project
        .select(&selection)
        .map_err(|error| CliError::config(error.to_string()))?;
    project.apply.wait = Some(ctx.global.timeout.unwrap_or(WAIT));
    let outcome: StartOutcome = ctx.call_waiting(
        "process.start",
        json!({ "apply": project.apply.into_wire() }),
    )?;
    let mut exit = Exit::Success;
    if !ctx.output.is_json() {
        ctx.output.done(&format!("wrote {}", file.display()))?;
        exit = report::tell(ctx, &outcome)?;
    }
    Ok(Applied {
        file: file.clone(),
        outcome,
        exit,
    })
}

/// The text with other values at these keys.
fn edited(text: &str, process: &str, changes: &[Change]) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error| format!("{error}"))?;
    let mut table: &mut dyn TableLike = document.as_table_mut();
    for key in ["process", process] {
        table = table
            .get_mut(key)
            .and_then(Item::as_table_like_mut)
            .ok_or_else(|| format!("there is no [process.{process}] in the file any more"))?;
    }
    for change in changes {
        put(table, &change.key, &change.value)?;
    }
    Ok(document.to_string())
}

fn put(table: &mut dyn TableLike, key: &str, value: &Value) -> Result<(), String> {
    if let Some((first, rest)) = key.split_once('.') {
        if !table.contains_key(first) {
            if value.is_null() {
                return Ok(());
            }
            table.insert(first, Item::Table(toml_edit::Table::new()));
        }
        let inner = table.get_mut(first).and_then(Item::as_table_like_mut);
        return put(
            inner.ok_or_else(|| format!("`{first}` is no table"))?,
            rest,
            value,
        );
    }
    if value.is_null() {
        table.remove(key);
        return Ok(());
    }
    let mut new = written(value)?;
    match table.get_mut(key).and_then(Item::as_value_mut) {
        Some(old) => {
            // A comment behind the value stays.
            *new.decor_mut() = old.decor().clone();
            *old = new;
        }
        None => {
            table.insert(key, Item::Value(new));
        }
    }
    Ok(())
}

fn written(value: &Value) -> Result<toml_edit::Value, String> {
    Ok(match value {
        Value::String(text) => text.as_str().into(),
        Value::Bool(yes) => (*yes).into(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => whole.into(),
            (None, Some(float)) => float.into(),
            _ => return Err(format!("{number} is no number of TOML")),
        },
        Value::Array(values) => {
            let mut array = toml_edit::Array::new();
            for value in values {
                array.push(written(value)?);
            }
            array.into()
        }
        Value::Null | Value::Object(_) => return Err("a value that is no value of a key".into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# my fleet\n[process.api]\ncommand = \"node server.js\" # the server\n\
        max_memory = \"64MB\" # tight\n\n[process.api.health.http]\nurl = \"/\"\n\n[process.other]\ncommand = \"x\"\n";

    fn change(key: &str, value: Value) -> Change {
        Change {
            key: key.into(),
            value,
            why: String::new(),
        }
    }

    #[test]
    fn only_the_keys_change() {
        let changes = [
            change("max_memory", json!("128MB")),
            change("health.http.timeout", json!("5s")),
            change("max_restarts", json!(10)),
        ];
        let new = edited(FILE, "api", &changes).unwrap();
        let expected = "# my fleet\n[process.api]\ncommand = \"node server.js\" # the server\n\
            max_memory = \"128MB\" # tight\nmax_restarts = 10\n\n[process.api.health.http]\nurl = \"/\"\n\
            timeout = \"5s\"\n\n[process.other]\ncommand = \"x\"\n";
        assert_eq!(new, expected);
        let back = edited(&new, "api", &[change("max_restarts", Value::Null)]).unwrap();
        assert!(!back.contains("max_restarts"));
    }

    #[test]
    fn a_new_table_is_made_and_a_missing_process_is_said() {
        let new = edited(FILE, "other", &[change("limits.nofile", json!(4096))]).unwrap();
        assert!(
            new.contains("[process.other.limits]\nnofile = 4096"),
            "{new}"
        );
        assert!(edited(FILE, "gone", &[]).unwrap_err().contains("gone"));
        assert!(edited(FILE, "api", &[change("command.x", json!(1))]).is_err());
        assert!(edited("not toml", "api", &[]).is_err());
    }
}
