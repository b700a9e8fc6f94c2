//! One tree of values for the three formats, each value with its place in the text.
//!
//! Parsers fill it ([`super::toml_text`], [`super::yaml_text`], [`super::json_text`]); what
//! comes after never asks which format it was, except to write an example in its syntax.

use std::ops::Range;
use std::path::Path;

use super::problem::Problems;
use super::{json_text, toml_text, yaml_text};

/// The three formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Toml,
    Yaml,
    Json,
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    /// Bytes of the value. For a table this may be its header only.
    pub(crate) span: Range<usize>,
    /// It held a `${…}`: a number or a boolean may then be written as text.
    pub(crate) expanded: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    /// The text keeps `1.10` from becoming `1.1` where a text is wanted.
    Float(f64, String),
    Text(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Range<usize>,
    pub(crate) value: Node,
}

impl Format {
    /// By the extension of a file's name.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "toml" => Some(Self::Toml),
            "yaml" | "yml" => Some(Self::Yaml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// The tree of the text of `problems`. Syntax errors are reported there; then there is none.
    pub(crate) fn parse(self, problems: &mut Problems) -> Option<Node> {
        match self {
            Self::Toml => toml_text::parse(problems),
            Self::Yaml => yaml_text::parse(problems),
            Self::Json => json_text::parse(problems),
        }
    }

    /// `key = value` as it is typed in this format.
    pub(crate) fn assign(self, key: &str, value: &str) -> String {
        match self {
            Self::Toml => format!("{key} = {value}"),
            Self::Yaml => format!("{key}: {value}"),
            Self::Json => format!("\"{key}\": {value}"),
        }
    }
}

impl Node {
    pub(crate) fn new(value: Value, span: Range<usize>) -> Self {
        Self {
            value,
            span,
            expanded: false,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Table(entries) => entries,
            _ => &[],
        }
    }

    pub(crate) fn entries_mut(&mut self) -> &mut [Entry] {
        match &mut self.value {
            Value::Table(entries) => entries,
            _ => &mut [],
        }
    }

    pub(crate) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// A value a few tables down.
    pub(crate) fn find(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// What it is, with its article, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Integer(_) => "a number",
            Value::Float(..) => "a number with a fraction",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }
}

/// Begins with `x-`: an extension, which is kept out of everything.
pub(crate) fn is_extension(key: &str) -> bool {
    key.starts_with("x-")
}
