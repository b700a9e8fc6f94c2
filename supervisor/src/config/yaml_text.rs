//! YAML 1.2 to the tree, with anchors, aliases and `<<` merges.

use std::ops::Range;

use saphyr::{LoadableYamlNode, MarkedYaml, Marker, Scalar, YamlData};

use super::problem::Problems;
use super::tree::{Entry, Node, Value};

pub(super) fn parse(problems: &mut Problems) -> Option<Node> {
    let source = problems.source.clone();
    let places = Places::of(&source.text);
    let before = problems.errors();
    match MarkedYaml::load_from_str(&source.text) {
        Err(error) => {
            let at = places.byte(error.marker());
            let help = if error.info().contains("duplicate") {
                "a key may stand once in a mapping: remove or merge one"
            } else {
                "check the indentation, and quote texts that hold `: ` or ` #` or begin with `@ & * ! % {`"
            };
            let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
            let rest = &source.text[at..];
            let end = rest.find(|c| !word(c)).unwrap_or(rest.len()).max(1);
            problems.error(&(at..at + end), format!("not YAML: {}", error.info()), help);
            None
        }
        Ok(documents) => {
            if let Some(second) = documents.get(1) {
                let at = places.byte(&second.span.start);
                problems.error(
                    &(at..at + 1),
                    "a second document begins here",
                    "keep one document in the file",
                );
            }
            let first = documents.into_iter().next();
            let node = first.map_or_else(
                || Node::new(Value::Table(Vec::new()), 0..0),
                |root| places.node(&root, problems),
            );
            (problems.errors() == before).then_some(node)
        }
    }
}

/// Byte of each character: the parser counts characters.
struct Places<'a> {
    text: &'a str,
    bytes: Vec<usize>,
}

impl<'a> Places<'a> {
    fn of(text: &'a str) -> Self {
        let bytes = text
            .char_indices()
            .map(|(at, _)| at)
            .chain([text.len()])
            .collect();
        Self { text, bytes }
    }

    fn byte(&self, marker: &Marker) -> usize {
        self.bytes
            .get(marker.index())
            .copied()
            .unwrap_or(self.text.len())
    }

    fn span(&self, yaml: &MarkedYaml<'_>) -> Range<usize> {
        let start = self.byte(&yaml.span.start);
        let end = self.byte(&yaml.span.end).max(start);
        start..start + self.text[start..end].trim_end().len()
    }

    fn node(&self, yaml: &MarkedYaml<'_>, problems: &mut Problems) -> Node {
        let span = self.span(yaml);
        let value = match &yaml.data {
            YamlData::Value(scalar) => self.scalar(scalar, &span),
            YamlData::Representation(text, ..) => Value::Text(text.to_string()),
            YamlData::Sequence(items) => {
                Value::List(items.iter().map(|item| self.node(item, problems)).collect())
            }
            YamlData::Mapping(mapping) => Value::Table(self.entries(mapping.iter(), problems)),
            YamlData::Tagged(_, inner) => return self.node(inner, problems),
            YamlData::Alias(_) | YamlData::BadValue => {
                problems.error(
                    &span,
                    "this value cannot be read",
                    "check its tag or the anchor that it names",
                );
                Value::Null
            }
        };
        Node::new(value, span)
    }

    fn scalar(&self, scalar: &Scalar<'_>, span: &Range<usize>) -> Value {
        match scalar {
            Scalar::Null => Value::Null,
            Scalar::Boolean(value) => Value::Bool(*value),
            Scalar::Integer(value) => Value::Integer(*value),
            Scalar::FloatingPoint(value) => {
                Value::Float(value.into_inner(), self.text[span.clone()].to_owned())
            }
            Scalar::String(text) => Value::Text(text.to_string()),
        }
    }

    fn entries<'y>(
        &self,
        mapping: impl Iterator<Item = (&'y MarkedYaml<'y>, &'y MarkedYaml<'y>)>,
        problems: &mut Problems,
    ) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged: Vec<Entry> = Vec::new();
        for (key, value) in mapping {
            let key_span = self.span(key);
            let name = match self.node(key, problems).value {
                Value::Text(text) => text,
                Value::Bool(_) | Value::Integer(_) | Value::Float(..) => {
                    self.text[key_span.clone()].to_owned()
                }
                Value::Null | Value::List(_) | Value::Table(_) => {
                    problems.error(&key_span, "a key must be a text", "write `key: value`");
                    continue;
                }
            };
            let value = self.node(value, problems);
            if name == "<<" {
                let bases = match value.value {
                    Value::List(items) => items,
                    _ => vec![value],
                };
                merged.extend(bases.into_iter().flat_map(|base| match base.value {
                    Value::Table(entries) => entries,
                    _ => Vec::new(),
                }));
                continue;
            }
            entries.push(Entry {
                key: name,
                key_span,
                value,
            });
        }
        // What is written here wins over what is merged in, and the first base over the next.
        for entry in merged {
            if entries.iter().all(|known| known.key != entry.key) {
                entries.push(entry);
            }
        }
        entries
    }
}
