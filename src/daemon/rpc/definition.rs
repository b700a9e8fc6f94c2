//! Definitions that a program sends instead of a file's path on a command line: `config_file`,
//! `script` or `config` of `process.start`.
//!
//! They are read as the command line reads them, with the same checks and the same words, but
//! in the daemon's environment: a program on the socket has no other that could be known. So
//! paths are absolute. It reads files and is called where blocking is fine.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};
use supervisor::ControlError;
use supervisor::command::Apply;
use supervisor::config::{self, LoadContext, LoadError, LoadedProject, Selection};

use super::message::RpcError;
use super::params::Params;
use super::process::wait;

/// The keys of which one makes a start a definition.
const KEYS: [&str; 3] = ["config_file", "script", "config"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    config_file: PathBuf,
    #[serde(default)]
    only: Vec<String>,
}

/// Do these parameters define what is to be started?
pub(super) fn is_one(values: &Map<String, Value>) -> bool {
    KEYS.iter().any(|key| values.contains_key(*key))
}

/// What is to be brought about.
pub(super) fn read(mut params: Params<'_>) -> Result<Apply, RpcError> {
    let given: Vec<&str> = KEYS
        .into_iter()
        .filter(|key| params.values.contains_key(*key))
        .collect();
    if let [first, second, ..] = given.as_slice() {
        return Err(bad(format!("either `{first}` or `{second}`, not both")));
    }
    let timeout_ms = take(&mut params.values, "timeout_ms")?;
    let waits: Option<bool> = take(&mut params.values, "wait")?;
    let wait = wait(waits.unwrap_or(true), timeout_ms)?;
    let mut loaded = if params.values.contains_key("config_file") {
        file(params.read()?)
    } else {
        table(params.values)
    }?;
    loaded.apply.wait = wait;
    Ok(loaded.apply)
}

fn file(File { config_file, only }: File) -> Result<LoadedProject, RpcError> {
    if !config_file.is_absolute() {
        return Err(bad("`config_file` is an absolute path"));
    }
    let around = LoadContext::within("/".into());
    let mut project = config::load_project(&config_file, &around).map_err(refused)?;
    let selection = Selection {
        only,
        ..Selection::default()
    };
    project
        .select(&selection)
        .map_err(|error| bad(error.to_string()))?;
    Ok(project)
}

/// A process as a table: `config` has the keys of `[process.<name>]`; with `script` they stand
/// beside it, and its `env` wins over everything as `--env` does.
fn table(mut values: Map<String, Value>) -> Result<LoadedProject, RpcError> {
    let name: Option<String> = take(&mut values, "name")?;
    let mut flags = None;
    let table = match values.remove("config") {
        Some(Value::Object(table)) => match values.keys().next() {
            None => table,
            Some(key) => return Err(bad(format!("unknown field `{key}` beside `config`"))),
        },
        Some(_) => return Err(bad("`config` is an object, as a table of mhost.toml")),
        None => {
            if let Some(script) = values.remove("script") {
                values.insert("command".to_owned(), script);
            }
            flags = values.remove("env");
            values
        }
    };
    let folder = folder(&table)?;
    let mut around = LoadContext::within(folder);
    if let Some(flags) = flags {
        around.flags = config::variables(flags).map_err(bad)?;
    }
    config::load_table(name.as_deref(), table, &around).map_err(refused)
}

/// Where paths begin: `cwd`, else the folder of the program.
fn folder(table: &Map<String, Value>) -> Result<PathBuf, RpcError> {
    let absolute = |key: &str| {
        let path = Path::new(table.get(key)?.as_str()?);
        path.is_absolute().then(|| path.to_owned())
    };
    if table.contains_key("cwd") {
        return absolute("cwd").ok_or_else(|| bad("`cwd` is an absolute path"));
    }
    absolute("command")
        .and_then(|program| Some(program.parent()?.to_owned()))
        .ok_or_else(|| {
            bad("`cwd` is missing: an absolute path, as a program on the socket has no folder")
        })
}

fn take<T: serde::de::DeserializeOwned>(
    values: &mut Map<String, Value>,
    key: &str,
) -> Result<Option<T>, RpcError> {
    let Some(value) = values.remove(key) else {
        return Ok(None);
    };
    serde_json::from_value(value).map_err(|error| bad(format!("`{key}`: {error}")))
}

fn bad(message: impl std::fmt::Display) -> RpcError {
    RpcError::bad_params(format!("process.start: {message}"))
}

fn refused(error: LoadError) -> RpcError {
    let details = error.problems().iter().map(|problem| problem.render());
    RpcError::from(ControlError::Invalid {
        details: details.collect(),
        message: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ask(values: Value) -> Result<Apply, RpcError> {
        let Value::Object(values) = values else {
            panic!("params are an object");
        };
        assert!(is_one(&values));
        read(Params {
            method: "process.start",
            values,
        })
    }

    #[test]
    fn a_script_is_a_process_with_the_defaults_of_a_file() {
        let apply = ask(json!({
            "script": "sleep 600", "name": "zz", "cwd": "/tmp", "instances": 2,
            "env": { "A": "x", "N": 1 }, "args": ["-v"], "wait": false,
        }))
        .expect("read");
        let spec = &apply.processes[0];
        assert_eq!((spec.name.as_str(), spec.instances), ("zz", 2));
        assert_eq!(spec.argv.args, ["600", "-v"]);
        assert_eq!(spec.cwd, Path::new("/tmp"));
        assert_eq!(spec.env.flags["A"], "x");
        assert_eq!(spec.env.flags["N"], "1");
        assert_eq!(spec.project, None);
        assert_eq!(apply.wait, None);
        let apply = ask(json!({ "config": { "command": "/bin/sleep 5" } })).expect("read");
        assert_eq!(apply.processes[0].name.as_str(), "sleep");
        assert!(apply.wait.is_some());
    }

    #[test]
    fn what_is_wrong_is_said() {
        let table = [
            (json!({ "script": "sleep 5" }), -32602, "`cwd` is missing"),
            (
                json!({ "script": "sleep 5", "cwd": "tmp" }),
                -32602,
                "absolute",
            ),
            (json!({ "script": "a", "config": {} }), -32602, "not both"),
            (
                json!({ "config": {}, "cwd": "/" }),
                -32602,
                "beside `config`",
            ),
            (json!({ "config_file": "mhost.toml" }), -32602, "absolute"),
            (json!({ "config_file": "/x", "onyl": [] }), -32602, "onyl"),
            (
                json!({ "config_file": "/nonexistent/mhost.toml" }),
                -32002,
                "cannot read",
            ),
            (
                json!({ "script": "sleep 5", "cwd": "/tmp", "instances": 1000, "max_memroy": "1GB" }),
                -32002,
                "2 problems",
            ),
        ];
        for (params, code, text) in table {
            let error = ask(params.clone()).expect_err("wrong");
            assert_eq!(error.code, code, "{params}: {error:?}");
            assert!(error.message.contains(text), "{params}: {error:?}");
        }
    }

    #[test]
    fn a_file_is_read_as_on_the_command_line() {
        let folder = tempfile::tempdir().expect("temp folder");
        let file = folder.path().join("mhost.toml");
        let text = "[process.a]\ncommand = \"sleep 1\"\n[process.b]\ncommand = \"sleep 2\"\n";
        std::fs::write(&file, text).expect("writes");
        let apply = ask(json!({ "config_file": file, "only": ["b"] })).expect("read");
        assert_eq!(apply.processes.len(), 1);
        assert_eq!(apply.processes[0].name.as_str(), "b");
        assert!(apply.processes[0].project.is_some());
    }
}
