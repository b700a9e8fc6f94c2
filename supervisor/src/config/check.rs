//! The shape of a tree against the schema of its type: unknown keys, wrong types, missing
//! keys, values out of range and texts that are not what they should be.
//!
//! Everything is reported, and the tree is put right on the way: `x-` keys and empty optional
//! keys go, and a text that a `${…}` made becomes the number it spells. After a check without
//! problems the types can be read from the tree.

use std::ops::Range;

use serde_json::Value as Json;

use super::allowed::{
    accepted, accepts, alternatives, as_bool, between, bounds, coerce, described, example, form_of,
    nested, types, words,
};
use super::forms;
use super::problem::Problems;
use super::suggest::{listed, nearest};
use super::tree::{Entry, Format, Node, Value, is_extension};

/// Where a value stands, for messages.
#[derive(Clone)]
struct Place<'a> {
    /// The table around it, `process.api`; empty at the top.
    table: &'a str,
    key: &'a str,
    key_span: &'a Range<usize>,
}

impl Place<'_> {
    fn path(&self) -> String {
        match (self.table, self.key) {
            ("", key) => key.to_owned(),
            (table, key) => format!("{table}.{key}"),
        }
    }
}

/// Says why a key that the schema does not know is not one, better than "unknown key" does.
pub(crate) type Explain = fn(table: &str, key: &str) -> Option<String>;

/// Checks a whole file.
pub(crate) fn check(
    root: &mut Node,
    schema: &Json,
    format: Format,
    explain: Explain,
    problems: &mut Problems,
) {
    let mut check = Check {
        schema,
        format,
        explain,
        problems,
    };
    let span = root.span.start..root.span.start;
    let place = Place {
        table: "",
        key: "",
        key_span: &span,
    };
    check.value(root, schema, None, &place);
}

struct Check<'a> {
    /// The whole schema, for its `$defs`.
    schema: &'a Json,
    format: Format,
    explain: Explain,
    problems: &'a mut Problems,
}

impl<'a> Check<'a> {
    fn value(&mut self, node: &mut Node, schema: &'a Json, form: Option<&str>, place: &Place<'_>) {
        let form = form.or_else(|| form_of(schema));
        let alternatives = alternatives(self.schema, schema);
        if !accepted(&alternatives, node) {
            coerce(&alternatives, node);
        }
        let Some(fits) = alternatives.iter().find(|one| accepts(one, node)).copied() else {
            return self.mismatch(node, &alternatives, form, place);
        };
        let form = form.or_else(|| form_of(fits));
        match &mut node.value {
            Value::Integer(number) => {
                let number = *number;
                self.range(number, fits, &node.span, form, place);
            }
            Value::Text(text) => {
                if let Some(form) = form
                    && let Err((message, help)) = forms::check(form, text)
                {
                    let message = format!("`{}`: {message}", place.key);
                    self.problems.error(&node.span, message, help);
                } else if let Some(pattern) = fits.get("pattern").and_then(Json::as_str)
                    && regex::Regex::new(pattern).is_ok_and(|regex| !regex.is_match(text))
                {
                    let wanted = described(&alternatives, form);
                    self.problems.error(
                        &node.span,
                        format!("`{}` cannot be `{text}`", place.key),
                        format!("write {wanted}"),
                    );
                }
            }
            Value::List(items) => {
                if let Some(least) = fits.get("minItems").and_then(Json::as_u64)
                    && (items.len() as u64) < least
                {
                    self.problems.error(
                        &node.span,
                        format!("`{}` is an empty list", place.key),
                        format!("write at least {least} entry, or leave the key out"),
                    );
                }
                if let Some(schema) = fits.get("items") {
                    for item in items {
                        self.value(item, schema, form, place);
                    }
                }
            }
            Value::Table(_) => self.table(node, fits, place),
            Value::Float(number, _) => {
                let least = fits.get("minimum").and_then(Json::as_f64);
                if least.is_some_and(|least| number.is_nan() || *number < least) {
                    let (least, most) = bounds(fits);
                    let key = place.key;
                    self.problems.error(
                        &node.span,
                        format!("`{key}` must be {}", between(least, most)),
                        self.typed(key, &least.unwrap_or_default().to_string()),
                    );
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn table(&mut self, node: &mut Node, schema: &'a Json, place: &Place<'_>) {
        let path = place.path();
        let Value::Table(entries) = &mut node.value else {
            return;
        };
        let known = schema.get("properties").and_then(Json::as_object);
        let more = schema
            .get("additionalProperties")
            .filter(|more| **more != Json::Bool(false));
        let empty = serde_json::Map::new();
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Json::as_array)
            .map(|list| list.iter().filter_map(Json::as_str).collect())
            .unwrap_or_default();
        if known.is_some() || nested(more) {
            entries.retain(|entry| !is_extension(&entry.key));
        }
        for entry in entries.iter_mut() {
            let schema = known.and_then(|known| known.get(&entry.key)).or(more);
            let place = Place {
                table: &path,
                key: &entry.key,
                key_span: &entry.key_span,
            };
            match schema {
                None => self.unknown(entry, known.unwrap_or(&empty), &path),
                Some(_) if entry.value.value == Value::Null && known.is_some() => {
                    if required.contains(&entry.key.as_str()) {
                        self.problems.error(
                            &entry.key_span,
                            format!("`{}` of `{path}` has no value", entry.key),
                            format!("write `{}`", self.example_line(&entry.key, schema)),
                        );
                    }
                }
                Some(schema) => {
                    // `api:` with nothing behind it is an empty table in YAML.
                    if entry.value.value == Value::Null && nested(Some(schema)) {
                        entry.value.value = Value::Table(Vec::new());
                    }
                    self.value(&mut entry.value, schema, None, &place);
                }
            }
        }
        for key in required {
            if entries.iter().any(|entry| entry.key == key) {
                continue;
            }
            let table = if path.is_empty() { "the file" } else { &path };
            let quoted = if path.is_empty() {
                table.to_owned()
            } else {
                format!("`{table}`")
            };
            let schema = known.and_then(|known| known.get(key));
            self.problems.error(
                place.key_span,
                format!("{quoted} has no `{key}`"),
                format!("add `{}`", self.example_line(key, schema)),
            );
        }
        if known.is_some() {
            entries.retain(|entry| entry.value.value != Value::Null);
        }
    }

    fn unknown(&mut self, entry: &Entry, known: &serde_json::Map<String, Json>, path: &str) {
        let key = &entry.key;
        let kind = match entry.value.value {
            Value::Table(_) => "table",
            _ => "key",
        };
        let message = if path.is_empty() {
            format!("unknown {kind} `{key}`")
        } else {
            format!("unknown {kind} `{key}` in `{path}`")
        };
        let current = known
            .iter()
            .filter(|(_, schema)| schema.get("deprecated").is_none())
            .map(|(key, _)| key.as_str());
        let help =
            (self.explain)(path, key).unwrap_or_else(|| match nearest(key, current.clone()) {
                Some(near) => format!("write `{near}`"),
                None => format!(
                    "remove it, or name it `x-{key}` to have it ignored; known here: {}",
                    listed(current)
                ),
            });
        self.problems.error(&entry.key_span, message, help);
    }

    fn range(
        &mut self,
        number: i64,
        schema: &Json,
        span: &Range<usize>,
        form: Option<&str>,
        place: &Place<'_>,
    ) {
        let (least, most) = bounds(schema);
        let low = least.is_some_and(|least| number < least);
        let high = most.is_some_and(|most| number > most);
        if !low && !high {
            return;
        }
        let wanted = between(least, most);
        let nearest = if low { least } else { most }.unwrap_or_default();
        // The greatest port is allowed, and never meant.
        let instead = match form.and_then(forms::example) {
            Some(example) => example.to_owned(),
            None => nearest.to_string(),
        };
        self.problems.error(
            span,
            format!("`{}` is {number}, it must be {wanted}", place.key),
            format!("write `{}`", self.format.assign(place.key, &instead)),
        );
    }

    fn mismatch(
        &mut self,
        node: &Node,
        alternatives: &[&'a Json],
        form: Option<&str>,
        place: &Place<'_>,
    ) {
        let words: Vec<&str> = alternatives.iter().flat_map(|one| words(one)).collect();
        let Place { key, .. } = place;
        let wanted = described(alternatives, form);
        if let (Some(text), false) = (node.text(), words.is_empty()) {
            let help = match nearest(text, words.iter().copied()) {
                Some(near) => self.typed(key, &format!("\"{near}\"")),
                None => format!("write {wanted}"),
            };
            return self
                .problems
                .error(&node.span, format!("`{key}` cannot be `{text}`"), help);
        }
        if key.is_empty() {
            return self.problems.error(
                &node.span,
                format!("the file holds {}, not tables", node.kind()),
                "begin with `[process.<name>]` or its form in this format",
            );
        }
        let message = format!("`{key}` is {}, it must be {wanted}", node.kind());
        let help = self.instead(node, alternatives, form, place);
        self.problems.error(&node.span, message, help);
    }

    /// What to type instead of a value of the wrong type.
    fn instead(
        &self,
        node: &Node,
        alternatives: &[&Json],
        form: Option<&str>,
        place: &Place<'_>,
    ) -> String {
        let takes = |kind: &str| alternatives.iter().any(|one| types(one).contains(&kind));
        let list_of_text = alternatives.iter().any(|one| {
            types(one).contains(&"array")
                && one
                    .get("items")
                    .is_some_and(|items| types(items).contains(&"string"))
        });
        let written = match &node.value {
            Value::Integer(number) => Some(number.to_string()),
            Value::Float(_, text) => Some(text.clone()),
            Value::Bool(value) => Some(value.to_string()),
            Value::Null | Value::Text(_) | Value::List(_) | Value::Table(_) => None,
        };
        let value = match (&node.value, written) {
            (_, Some(number))
                if form
                    .and_then(|form| forms::with_unit(form, &number))
                    .is_some() =>
            {
                let value = form.and_then(|form| forms::with_unit(form, &number));
                let line = self.typed(place.key, &value.unwrap_or_default());
                let noun = if matches!(form, Some("duration" | "interval")) {
                    "duration"
                } else {
                    "size"
                };
                return format!("{line}: a {noun} needs a unit");
            }
            (Value::Text(text), _) if list_of_text => Some(format!("[{text:?}]")),
            (Value::Text(text), _) if takes("boolean") && as_bool(text).is_some() => {
                as_bool(text).map(|value| value.to_string())
            }
            (Value::Text(text), _) if takes("integer") && text.trim().parse::<i64>().is_ok() => {
                Some(text.trim().to_owned())
            }
            (Value::List(items), _) if items.len() == 1 && takes("string") => {
                items[0].text().map(|text| format!("{text:?}"))
            }
            (Value::List(items), _) if items.len() == 1 && takes("integer") => {
                match &items[0].value {
                    Value::Integer(number) => Some(number.to_string()),
                    _ => None,
                }
            }
            (_, Some(scalar)) if takes("string") && form.is_none() => Some(format!("\"{scalar}\"")),
            (_, Some(scalar)) if list_of_text => Some(format!("[\"{scalar}\"]")),
            _ => None,
        };
        match value.or_else(|| example(alternatives, form)) {
            Some(value) => self.typed(place.key, &value),
            None => match self.format {
                Format::Toml => format!("write it as a table: `[{}]`", place.path()),
                Format::Yaml => format!("write it as a mapping: `{}:` with keys below", place.key),
                Format::Json => format!("write it as an object: `\"{}\": {{ … }}`", place.key),
            },
        }
    }

    fn typed(&self, key: &str, value: &str) -> String {
        format!("write `{}`", self.format.assign(key, value))
    }

    fn example_line(&self, key: &str, schema: Option<&'a Json>) -> String {
        let example = schema.and_then(|schema| {
            let alternatives = alternatives(self.schema, schema);
            example(&alternatives, form_of(schema))
        });
        self.format
            .assign(key, example.as_deref().unwrap_or("\"…\""))
    }
}
