//! What a schema allows: the questions the check asks of it, and its words for people.

use serde_json::Value as Json;

use super::forms;
use super::tree::{Node, Value};

/// Follows `$ref` into the `$defs` of the whole schema.
pub(super) fn resolve<'a>(whole: &'a Json, schema: &'a Json) -> &'a Json {
    let name = schema
        .get("$ref")
        .and_then(Json::as_str)
        .and_then(|path| path.strip_prefix("#/$defs/"));
    match name.and_then(|name| whole.get("$defs")?.get(name)) {
        Some(target) => resolve(whole, target),
        None => schema,
    }
}

/// The forms a value may take.
pub(super) fn alternatives<'a>(whole: &'a Json, schema: &'a Json) -> Vec<&'a Json> {
    let schema = resolve(whole, schema);
    let union = schema.get("oneOf").or_else(|| schema.get("anyOf"));
    match union.and_then(Json::as_array) {
        Some(list) => {
            let forms = list.iter().flat_map(|one| alternatives(whole, one));
            forms.collect()
        }
        None => vec![schema],
    }
}

pub(super) fn form_of(schema: &Json) -> Option<&str> {
    schema.get("x-form").and_then(Json::as_str)
}

/// Is it a table, or a map of tables? Then `x-` keys in it are extensions, not data.
pub(super) fn nested(schema: Option<&Json>) -> bool {
    schema.is_some_and(|schema| {
        schema.get("$ref").is_some()
            || schema.get("properties").is_some()
            || nested(schema.get("additionalProperties"))
    })
}

pub(super) fn types(schema: &Json) -> Vec<&str> {
    if !words(schema).is_empty() {
        return vec!["word"];
    }
    match schema.get("type") {
        Some(Json::String(one)) => vec![one],
        Some(Json::Array(many)) => many.iter().filter_map(Json::as_str).collect(),
        _ if schema.get("properties").is_some() => vec!["object"],
        // A schema without a type takes everything.
        _ => vec!["any"],
    }
}

/// The texts an enum allows.
pub(super) fn words(schema: &Json) -> Vec<&str> {
    let constant = schema.get("const").and_then(Json::as_str);
    let several = schema.get("enum").and_then(Json::as_array);
    constant
        .into_iter()
        .chain(several.into_iter().flatten().filter_map(Json::as_str))
        .collect()
}

pub(super) fn accepted(alternatives: &[&Json], node: &Node) -> bool {
    alternatives.iter().any(|one| accepts(one, node))
}

pub(super) fn accepts(schema: &Json, node: &Node) -> bool {
    let words = words(schema);
    if let (Some(text), false) = (node.text(), words.is_empty()) {
        return words.contains(&text);
    }
    let types = types(schema);
    let takes = |kind: &str| types.contains(&kind) || types.contains(&"any");
    match &node.value {
        Value::Null => takes("null"),
        Value::Bool(_) => takes("boolean"),
        Value::Integer(_) => takes("integer") || takes("number"),
        Value::Float(..) => takes("number"),
        Value::Text(_) => takes("string"),
        Value::List(_) => takes("array"),
        Value::Table(_) => takes("object"),
    }
}

pub(super) fn as_bool(text: &str) -> Option<bool> {
    match text.trim() {
        "true" | "yes" | "on" => Some(true),
        "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// A variable's value is always text; where a number or a boolean is wanted it becomes one.
pub(super) fn coerce(alternatives: &[&Json], node: &mut Node) {
    let (true, Some(text)) = (node.expanded, node.text()) else {
        return;
    };
    let text = text.trim().to_owned();
    let candidates = [
        text.parse().ok().map(Value::Integer),
        text.parse::<bool>().ok().map(Value::Bool),
        text.parse()
            .ok()
            .map(|number| Value::Float(number, text.clone())),
    ];
    for value in candidates.into_iter().flatten() {
        let candidate = Node::new(value, node.span.clone());
        if accepted(alternatives, &candidate) {
            node.value = candidate.value;
            return;
        }
    }
}

/// The least and the most a number may be.
pub(super) fn bounds(schema: &Json) -> (Option<i64>, Option<i64>) {
    let most = match schema.get("format").and_then(Json::as_str) {
        Some("uint32") => Some(i64::from(u32::MAX)),
        Some("uint16") => Some(i64::from(u16::MAX)),
        Some("uint8") => Some(i64::from(u8::MAX)),
        Some("int8") => Some(i64::from(i8::MAX)),
        _ => None,
    };
    (
        schema.get("minimum").and_then(Json::as_i64),
        schema.get("maximum").and_then(Json::as_i64).or(most),
    )
}

pub(super) fn between(least: Option<i64>, most: Option<i64>) -> String {
    match (least, most) {
        (Some(least), Some(most)) if most < i64::from(u16::MAX) + 1 => {
            format!("a number from {least} to {most}")
        }
        (Some(least), _) => format!("a number, at least {least}"),
        (None, Some(most)) => format!("a number, at most {most}"),
        (None, None) => "a number".to_owned(),
    }
}

/// What is allowed, in words.
pub(crate) fn described(alternatives: &[&Json], form: Option<&str>) -> String {
    let mut parts: Vec<String> = Vec::new();
    for one in alternatives {
        parts.extend(words(one).iter().map(|word| format!("\"{word}\"")));
        for kind in types(one) {
            let part = match kind {
                "string" => match form {
                    Some("duration") => "a duration such as \"10s\"".to_owned(),
                    Some("interval") => "a duration such as \"5s\"".to_owned(),
                    Some("size" | "memory") => "a size such as \"512MB\"".to_owned(),
                    Some("port") => "a text such as \"${PORT}\"".to_owned(),
                    _ if one.get("pattern").is_some() => "a class such as \"2xx\"".to_owned(),
                    _ => "a text".to_owned(),
                },
                "integer" => {
                    let (least, most) = bounds(one);
                    between(least, most)
                }
                "number" => "a number".to_owned(),
                "boolean" => {
                    parts.push("true".to_owned());
                    "false".to_owned()
                }
                "array" => match one.get("items").map(types).as_deref() {
                    Some(["string"]) => "a list of texts".to_owned(),
                    _ => "a list".to_owned(),
                },
                "object" => "a table".to_owned(),
                _ => continue,
            };
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
    }
    match parts.split_last() {
        None => "something else".to_owned(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

/// A value to type, with its quotes.
pub(super) fn example(alternatives: &[&Json], form: Option<&str>) -> Option<String> {
    if let Some(example) = form.and_then(forms::example) {
        let listed = alternatives
            .iter()
            .all(|one| !types(one).contains(&"string"));
        return Some(if listed {
            format!("[{example}]")
        } else {
            example.to_owned()
        });
    }
    let first = alternatives.first()?;
    if let Some(word) = words(first).first() {
        return Some(format!("\"{word}\""));
    }
    match types(first).first().copied()? {
        "string" => Some("\"…\"".to_owned()),
        "integer" | "number" => Some(bounds(first).0.unwrap_or(1).max(1).to_string()),
        "boolean" => Some("true".to_owned()),
        "array" => Some("[\"…\"]".to_owned()),
        _ => None,
    }
}
