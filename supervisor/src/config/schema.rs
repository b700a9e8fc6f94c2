//! The JSON Schema of each file and the reference page, both generated from the types.

use std::fmt::Write;
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde_json::{Map, Value as Json, json};

use super::allowed::{alternatives, described, resolve, words};
use super::daemon::DaemonConfig;
use super::project::ProjectFile;

static PROJECT: LazyLock<Json> = LazyLock::new(of::<ProjectFile>);
static DAEMON: LazyLock<Json> = LazyLock::new(of::<DaemonConfig>);

/// The schema a project file is checked against.
pub(crate) fn project() -> &'static Json {
    &PROJECT
}

/// The schema `config.toml` is checked against.
pub(crate) fn daemon() -> &'static Json {
    &DAEMON
}

fn of<T: JsonSchema>() -> Json {
    let mut schema = schemars::schema_for!(T).to_value();
    finish(&mut schema);
    schema
}

/// Adds what attributes cannot say: other names of a key, and the `x-` keys.
fn finish(schema: &mut Json) {
    match schema {
        Json::Array(items) => items.iter_mut().for_each(finish),
        Json::Object(object) => {
            object.values_mut().for_each(finish);
            if let Some(Json::Object(properties)) = object.get_mut("properties") {
                add_aliases(properties);
                object.insert("patternProperties".into(), json!({ "^x-": true }));
            }
        }
        _ => {}
    }
}

fn add_aliases(properties: &mut Map<String, Json>) {
    let mut aliases = Vec::new();
    for property in properties.values_mut() {
        let Some(object) = property.as_object_mut() else {
            continue;
        };
        if let Some(Json::Array(names)) = object.remove("x-alias") {
            let mut alias = object.clone();
            alias.insert("deprecated".into(), true.into());
            let names = names
                .into_iter()
                .filter_map(|name| name.as_str().map(str::to_owned));
            aliases.extend(names.map(|name| (name, Json::Object(alias.clone()))));
        }
    }
    properties.extend(aliases);
}

/// The JSON Schema of `mhost.toml`, `.yaml` and `.json`, for editors: `docs/mhost.schema.json`.
pub fn project_schema() -> String {
    let mut text = serde_json::to_string_pretty(project()).expect("a schema is plain JSON");
    text.push('\n');
    text
}

/// The reference page of the config files, in Markdown: `docs/config.md`.
pub fn project_reference() -> String {
    let mut out = String::from(PREFACE);
    out.push_str("\n# `mhost.toml`\n");
    Page {
        schema: project(),
        out: &mut out,
        described: Vec::new(),
    }
    .table("", project(), "", &mut Vec::new());
    out.push_str("\n# `config.toml`\n\n");
    out.push_str("Settings of the daemon, in `$MHOST_HOME/config.toml`.\n");
    Page {
        schema: daemon(),
        out: &mut out,
        described: Vec::new(),
    }
    .table("", daemon(), "", &mut Vec::new());
    out
}

const PREFACE: &str = "\
<!-- Generated from the types by `UPDATE=1 cargo test --workspace generated_documents`. Do not edit. -->

# Config files

mhost looks for `mhost.toml`, `mhost.yaml`, `mhost.yml` and `mhost.json` in the current folder, then in its parents up to the root of the git repository.
The keys are the same in the three formats.
Relative paths are taken from the folder of the file.
An unknown key is an error; keys and tables whose names begin with `x-` are ignored.
Editors check a file against `docs/mhost.schema.json`.

## Variables

| Written | Becomes |
|---|---|
| `${VAR}` | the variable of the shell that runs `mhost start`; empty, with a warning, when it is not set |
| `${VAR:-default}` | the default when it is unset or empty; the default may hold one further reference |
| `${file:/path}` | the text of the file, without its last newline |
| `$$` | `$` |

They work in every text value, not in keys.
In the texts of a probe, variables that the process itself has (`[env]`, env files, `increment_var`, `MHOST_INSTANCE`) are filled in for each instance, and `{instance}` is its index.

## Environment of a process

Later ones win:

1. env files: `env_file`, or with `env_file = true` the files `.env`, `.env.local` and `.env.$NODE_ENV` of the working folder
2. the table `env`
3. **the environment that ran `mhost start`: a variable of the shell beats the table `env`**; `env_priority = \"config\"` turns these two around
4. `--env` flags
5. `MHOST_NAME`, `MHOST_INSTANCE`, `MHOST_INSTANCES`, `MHOST_GENERATION` and `MHOST_HOME`

An env file has lines `KEY=value`, with or without `export`.
Single quotes are literal; double quotes know `\\n`, `\\t`, `\\\"` and `\\\\`; both may span lines.

## Units

A duration needs a unit: `500ms`, `10s`, `1h30m`.
So does a size, and 1MB is 1024 KB: `512MB`, `2GB`.
";

struct Page<'a> {
    schema: &'a Json,
    out: &'a mut String,
    /// Tables that were described, and where.
    described: Vec<(&'a Json, String)>,
}

impl<'a> Page<'a> {
    /// The table or map of tables that a value is, with what its name ends in. One that may be
    /// a word as well is told of where the word is.
    fn inner(&self, schema: &'a Json) -> Option<(&'static str, &'a Json)> {
        let tables = alternatives(self.schema, schema);
        if tables.iter().any(|one| !words(one).is_empty()) {
            return None;
        }
        let table = tables.into_iter().find(|one| {
            one.get("properties").is_some() || one.get("additionalProperties").is_some()
        })?;
        if table.get("properties").is_some() {
            return Some(("", table));
        }
        let value = resolve(self.schema, table.get("additionalProperties")?);
        value
            .get("properties")
            .is_some()
            .then_some((".<name>", value))
    }

    /// A section with the keys of a table, then those of the tables in it.
    /// One that was described before is told of with what its key says.
    fn table(&mut self, path: &str, schema: &'a Json, about: &str, above: &mut Vec<String>) {
        let Some(properties) = schema.get("properties").and_then(Json::as_object) else {
            return;
        };
        let required = schema.get("required").and_then(Json::as_array);
        let is_required =
            |key: &str| required.is_some_and(|list| list.iter().any(|known| known == key));
        let mut rows = String::new();
        let mut tables = Vec::new();
        for (key, property) in properties {
            if property.get("deprecated").is_some() {
                continue;
            }
            if let Some((suffix, table)) = self.inner(property) {
                let dot = if path.is_empty() { "" } else { "." };
                let name = format!("{path}{dot}{key}{suffix}");
                tables.push((name, table, description(property)));
                if !path.is_empty() {
                    continue;
                }
                continue;
            }
            let form = property.get("x-form").and_then(Json::as_str);
            let kind = described(&alternatives(self.schema, property), form).replace('|', "\\|");
            let text = description(property).replace('|', "\\|");
            let must = if is_required(key) {
                " **Required.**"
            } else {
                ""
            };
            let _ = writeln!(rows, "| `{key}` | {kind} | {text}{must} |");
        }
        if !path.is_empty() {
            let known = self
                .described
                .iter()
                .find(|(table, _)| std::ptr::eq(*table, schema));
            if let Some((_, known)) = known {
                let about = format!("{about} As `[{known}]`.");
                let _ = write!(self.out, "\n## `[{path}]`\n\n{}\n", about.trim_start());
                return;
            }
            self.described.push((schema, path.to_owned()));
            let _ = write!(self.out, "\n## `[{path}]`\n\n{}\n", description(schema));
        }
        if !rows.is_empty() {
            let _ = write!(
                self.out,
                "\n| Key | Value | Meaning |\n|---|---|---|\n{rows}"
            );
        }
        // Tables under names of one's own, beside those with a name of ours.
        if let Some(more) = schema.get("additionalProperties") {
            let more = resolve(self.schema, more);
            if more.get("properties").is_some() {
                tables.push((format!("{path}.<name>"), more, String::new()));
            }
        }
        for (path, table, about) in tables {
            if !above.contains(&path) {
                above.push(path.clone());
                self.table(&path, table, &about, above);
            }
        }
    }
}

fn description(schema: &Json) -> String {
    let text = schema.get("description").and_then(Json::as_str);
    text.unwrap_or_default()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::forms::FORMS;

    fn forms(schema: &Json, found: &mut Vec<String>) {
        match schema {
            Json::Array(items) => items.iter().for_each(|item| forms(item, found)),
            Json::Object(object) => {
                found.extend(
                    object
                        .get("x-form")
                        .and_then(Json::as_str)
                        .map(str::to_owned),
                );
                object.values().for_each(|value| forms(value, found));
            }
            _ => {}
        }
    }

    #[test]
    fn every_form_a_field_names_exists() {
        let mut found = Vec::new();
        forms(project(), &mut found);
        forms(daemon(), &mut found);
        assert!(found.len() > 20);
        for form in found {
            assert!(FORMS.contains(&form.as_str()), "{form}");
        }
    }

    #[test]
    fn tables_are_closed_and_take_extensions() {
        let process = &project()["$defs"]["ProcessConfig"];
        assert_eq!(process["additionalProperties"], false);
        assert_eq!(process["patternProperties"]["^x-"], true);
        assert_eq!(process["required"], json!(["command"]));
        let probe = &project()["$defs"]["HttpProbe"]["properties"];
        assert_eq!(probe["expected_status"]["deprecated"], true);
    }
}
