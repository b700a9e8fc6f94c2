//! TOML to the tree.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Problems;
use super::tree::{Entry, Node, Value};

pub(super) fn parse(problems: &mut Problems) -> Option<Node> {
    let source = problems.source.clone();
    let (table, errors) = DeTable::parse_recoverable(&source.text);
    // A table that stands twice repeats its keys, too: one message is enough.
    let mut repeated = 0..0;
    for error in &errors {
        let span = error.span().unwrap_or(0..0);
        let is_duplicate = error.message().contains("duplicate key");
        if is_duplicate && repeated.contains(&span.start) {
            continue;
        }
        let line = source.text[..source.floor(span.start)].rfind('\n');
        if is_duplicate && source.text[line.map_or(0, |at| at + 1)..].starts_with('[') {
            let rest = &source.text[source.floor(span.end)..];
            let next = rest.find("\n[").unwrap_or(rest.len());
            repeated = span.start..span.end + next;
        }
        let bare = error.message().contains("string values must be quoted");
        let help = match bare {
            true => format!("write `{:?}`", &source.text[span.clone()]),
            false => help(error.message()).to_owned(),
        };
        problems.error(&span, message(error.message()), help);
    }
    if !errors.is_empty() {
        return None;
    }
    let span = table.span();
    let before = problems.errors();
    let node = Node::new(
        Value::Table(entries(table.into_inner(), problems)),
        span.start..span.start,
    );
    (problems.errors() == before).then_some(node)
}

fn entries(table: DeTable<'_>, problems: &mut Problems) -> Vec<Entry> {
    table
        .into_iter()
        .map(|(key, value)| Entry {
            key_span: key.span(),
            key: key.into_inner().into_owned(),
            value: node(value, problems),
        })
        .collect()
}

fn node(value: Spanned<DeValue<'_>>, problems: &mut Problems) -> Node {
    let span = value.span();
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(number) => {
            let parsed = i64::from_str_radix(number.as_str(), number.radix());
            match parsed {
                Ok(number) => Value::Integer(number),
                Err(_) => too_large(problems, &span),
            }
        }
        DeValue::Float(number) => Value::Float(
            number.as_str().parse().unwrap_or(f64::NAN),
            number.as_str().to_owned(),
        ),
        DeValue::Boolean(value) => Value::Bool(value),
        DeValue::Datetime(time) => Value::Text(time.to_string()),
        DeValue::Array(items) => {
            Value::List(items.into_iter().map(|item| node(item, problems)).collect())
        }
        DeValue::Table(table) => Value::Table(entries(table, problems)),
    };
    Node::new(value, span)
}

fn too_large(problems: &mut Problems, span: &Range<usize>) -> Value {
    problems.error(
        span,
        "this number does not fit into 64 bits",
        "write a smaller number, or put it in quotes where a text is wanted",
    );
    Value::Integer(0)
}

fn message(text: &str) -> String {
    let text = text
        .strip_suffix(", expected literal string")
        .unwrap_or(text);
    format!("not TOML: {text}")
}

fn help(text: &str) -> &'static str {
    if text.contains("duplicate key") {
        "a key may stand once in a table, and a table once in a file: remove or merge one"
    } else if text.contains("unclosed table") || text.contains("`]`") {
        "close the bracket with `]`"
    } else if text.contains("basic string") || text.contains("literal string") {
        "close the quotes"
    } else {
        "write `key = value`, texts in double quotes"
    }
}
