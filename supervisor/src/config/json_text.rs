//! JSON to the tree: strict, without comments and trailing commas.

use jsonc_parser::ast::{Object, Value as Json};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::problem::Problems;
use super::tree::{Entry, Node, Value};

pub(super) fn parse(problems: &mut Problems) -> Option<Node> {
    let strict = ParseOptions {
        allow_comments: false,
        allow_loose_object_property_names: false,
        allow_trailing_commas: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let source = problems.source.clone();
    let before = problems.errors();
    match parse_to_ast(&source.text, &CollectOptions::default(), &strict) {
        Err(error) => {
            let range = error.range();
            let text = error.kind().to_string();
            let text = lower(&text);
            problems.error(
                &(range.start..range.end),
                format!("not JSON: {text}"),
                help(&text),
            );
        }
        Ok(result) => match result.value {
            Some(value) => {
                let node = node(&value, problems);
                return (problems.errors() == before).then_some(node);
            }
            None => problems.error(&(0..0), "the file is empty", "write at least `{}`"),
        },
    }
    None
}

fn lower(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(chars).collect()
    })
}

fn help(text: &str) -> &'static str {
    if text.contains("omment") {
        "JSON has no comments; remove it, or use TOML or YAML"
    } else if text.contains("railing comma") {
        "remove the comma"
    } else if text.contains("xpected comma") {
        "put a comma between the entries"
    } else if text.contains("colon") {
        "write `\"key\": value`"
    } else if text.contains("nterminated") {
        "close it with the matching bracket or quote"
    } else {
        "keys and texts stand in double quotes, entries are separated by commas"
    }
}

fn node(value: &Json<'_>, problems: &mut Problems) -> Node {
    let span = value.range().start..value.range().end;
    let value = match value {
        Json::StringLit(text) => Value::Text(text.value.to_string()),
        Json::NumberLit(number) => number.value.parse().map_or_else(
            |_| {
                Value::Float(
                    number.value.parse().unwrap_or(f64::NAN),
                    number.value.to_owned(),
                )
            },
            Value::Integer,
        ),
        Json::BooleanLit(boolean) => Value::Bool(boolean.value),
        Json::NullKeyword(_) => Value::Null,
        Json::Array(array) => Value::List(
            array
                .elements
                .iter()
                .map(|item| node(item, problems))
                .collect(),
        ),
        Json::Object(object) => Value::Table(entries(object, problems)),
    };
    Node::new(value, span)
}

fn entries(object: &Object<'_>, problems: &mut Problems) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::with_capacity(object.properties.len());
    for property in &object.properties {
        let range = property.name.range();
        let key = property.name.as_str().to_owned();
        let key_span = range.start..range.end;
        if let Some(first) = entries.iter().find(|entry| entry.key == key) {
            let (line, _) = problems.source.position(first.key_span.start);
            problems.error(
                &key_span,
                format!("duplicate key `{key}`"),
                format!("it stands in line {line} already: remove or merge one"),
            );
        }
        entries.push(Entry {
            key,
            key_span,
            value: node(&property.value, problems),
        });
    }
    entries
}
