//! Keys of a process that are to be changed, as TOML to read.

use serde_json::Value;
use supervisor::ProcessName;

/// A key and its values.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    /// A dot leads into a table: `health.http.timeout`.
    pub(crate) key: String,
    /// Null where it is not set.
    pub(crate) now: Value,
    /// Null to take it out.
    pub(crate) value: Value,
}

/// The changes as a diff of `mhost.toml`, table by table.
pub(crate) fn diff(process: &ProcessName, changes: &[Change]) -> String {
    let mut tables: Vec<(String, Vec<String>)> = Vec::new();
    for change in changes {
        let (table, key) = match change.key.rsplit_once('.') {
            Some((table, key)) => (format!("[process.{process}.{table}]"), key),
            None => (format!("[process.{process}]"), change.key.as_str()),
        };
        let mut lines = Vec::new();
        for (sign, value) in [('-', &change.now), ('+', &change.value)] {
            if !value.is_null() {
                lines.push(format!("{sign}{key} = {}", written(value)));
            }
        }
        match tables.iter_mut().find(|(known, _)| *known == table) {
            Some((_, known)) => known.extend(lines),
            None => tables.push((table, lines)),
        }
    }
    let mut text = String::new();
    for (table, lines) in tables {
        text.push_str(&format!(" {table}\n"));
        for line in lines {
            text.push_str(&line);
            text.push('\n');
        }
    }
    text
}

/// A value as it stands in TOML.
fn written(value: &Value) -> String {
    match value {
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(written).collect();
            format!("[{}]", values.join(", "))
        }
        // Strings of JSON and of TOML have the same escapes.
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_diff_is_grouped_by_tables() {
        let change = |key: &str, now: Value, value: Value| Change {
            key: key.into(),
            now,
            value,
        };
        let changes = [
            change("max_memory", json!("1GB"), json!("104MB")),
            change("health.http.timeout", Value::Null, json!("5s")),
            change("watch", Value::Null, json!(["a\n", 1])),
        ];
        let text = diff(&"api".parse().unwrap(), &changes);
        assert_eq!(
            text,
            " [process.api]\n-max_memory = \"1GB\"\n+max_memory = \"104MB\"\n+watch = [\"a\\n\", 1]\n \
             [process.api.health.http]\n+timeout = \"5s\"\n"
        );
    }
}
