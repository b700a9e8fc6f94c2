//! `${VAR}`, `${VAR:-default}`, `${file:/path}` and `$$` in texts.
//!
//! A variable without a value is replaced by its default when it is unset **or empty**, as in
//! sh; without a default it becomes empty and is reported. A default may hold references
//! itself, one level deep. A `$` before anything but `{` or `$` is a plain character, so that
//! `$(date)` and `$HOME` reach a shell unchanged.
//!
//! Probe texts are expanded twice: at load what the caller's environment knows, and for each
//! instance what only its own environment knows ([`expand_for_instance`]).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::problem::{Problems, Severity};
use super::tree::{Node, Value, is_extension};
use crate::os_text::OsText;
use crate::spec::ProbeRole;

/// Fills in a probe text for one instance: variables from its environment, and `{instance}`
/// with its index. It never fails: what is undefined becomes empty, what is malformed stays.
pub fn expand_for_instance(text: &str, env: &BTreeMap<String, OsText>, index: u16) -> String {
    let Ok(pieces) = pieces(text, 0) else {
        return text.replace("{instance}", &index.to_string());
    };
    let mut out = String::with_capacity(text.len());
    for piece in pieces {
        match piece {
            Piece::Literal(text) => out.push_str(&text.replace("{instance}", &index.to_string())),
            Piece::Dollar => out.push('$'),
            Piece::File { raw, .. } => out.push_str(raw),
            Piece::Variable { name, default, .. } => {
                match env.get(name).filter(|value| !value.0.is_empty()) {
                    Some(value) => out.push_str(&value.0.to_string_lossy()),
                    None => {
                        out.push_str(&expand_for_instance(default.unwrap_or(""), env, index));
                    }
                }
            }
        }
    }
    out
}

/// Fills in the references that `value` knows; all else stays as it is written, for the
/// expansion that follows. A text that is malformed stays, too: that one reports it.
pub(crate) fn fill(text: &str, value: &dyn Fn(&str) -> Option<String>) -> String {
    let Ok(pieces) = pieces(text, 0) else {
        return text.to_owned();
    };
    let piece = |piece| match piece {
        Piece::Literal(text) => text.to_owned(),
        Piece::Dollar => "$$".to_owned(),
        Piece::File { raw, .. } => raw.to_owned(),
        Piece::Variable { name, raw, .. } => value(name).unwrap_or_else(|| raw.to_owned()),
    };
    pieces.into_iter().map(piece).collect()
}

/// A part of a text.
enum Piece<'a> {
    Literal(&'a str),
    Dollar,
    Variable {
        name: &'a str,
        default: Option<&'a str>,
        raw: &'a str,
    },
    File {
        path: &'a str,
        raw: &'a str,
    },
}

/// A reference that cannot be filled in.
pub(crate) struct Note {
    /// The reference as written.
    pub(crate) raw: String,
    pub(crate) severity: Severity,
    pub(crate) message: String,
    pub(crate) help: String,
}

/// Deepest reference: one inside the default of another.
const MAX_DEPTH: usize = 1;

fn pieces(text: &str, depth: usize) -> Result<Vec<Piece<'_>>, Note> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, tail) = rest.split_at(at);
        if !before.is_empty() {
            pieces.push(Piece::Literal(before));
        }
        if let Some(after) = tail.strip_prefix("$$") {
            pieces.push(Piece::Dollar);
            rest = after;
        } else if tail.starts_with("${") {
            let end = closing(tail).ok_or_else(|| Note {
                raw: tail.to_owned(),
                severity: Severity::Error,
                message: "`${` is not closed".to_owned(),
                help: "write `${NAME}`, or `$${` for the characters themselves".to_owned(),
            })?;
            pieces.push(reference(&tail[..=end], depth)?);
            rest = &tail[end + 1..];
        } else {
            pieces.push(Piece::Literal("$"));
            rest = &tail[1..];
        }
    }
    if !rest.is_empty() {
        pieces.push(Piece::Literal(rest));
    }
    Ok(pieces)
}

/// Byte of the `}` that closes the `${` at the beginning.
fn closing(text: &str) -> Option<usize> {
    let mut open = 0_usize;
    let mut at = 0;
    while at < text.len() {
        let tail = &text[at..];
        if tail.starts_with("$$") {
            at += 2;
        } else if tail.starts_with("${") {
            open += 1;
            at += 2;
        } else if tail.starts_with('}') {
            open -= 1;
            if open == 0 {
                return Some(at);
            }
            at += 1;
        } else {
            at += tail.chars().next().map_or(1, char::len_utf8);
        }
    }
    None
}

fn reference(raw: &str, depth: usize) -> Result<Piece<'_>, Note> {
    let inside = &raw[2..raw.len() - 1];
    let error = |message: String, help: String| Note {
        raw: raw.to_owned(),
        severity: Severity::Error,
        message,
        help,
    };
    if depth > MAX_DEPTH {
        return Err(error(
            format!("`{raw}` is nested too deep"),
            "a default may hold one further reference, such as `${A:-${B:-x}}`".to_owned(),
        ));
    }
    if let Some(path) = inside.strip_prefix("file:") {
        return Ok(Piece::File { path, raw });
    }
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    if !is_variable(name) {
        return Err(error(
            format!("`{raw}` is not a reference to a variable"),
            format!(
                "write `${{NAME}}`, `${{NAME:-default}}` or `${{file:/path}}`; `${raw}` passes the characters on unchanged"
            ),
        ));
    }
    if let Some(default) = default {
        pieces(default, depth + 1)?;
    }
    Ok(Piece::Variable { name, default, raw })
}

/// `[A-Za-z_][A-Za-z0-9_]*`.
pub(crate) fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Does it hold a reference?
pub(crate) fn has_reference(text: &str) -> bool {
    text.replace("$$", "").contains("${")
}

/// Where references are looked up.
pub(crate) struct Scope<'a> {
    /// The environment of the caller.
    pub(crate) env: &'a BTreeMap<String, OsText>,
    /// Looked up when the environment does not know a name.
    pub(crate) fallback: Option<&'a BTreeMap<String, String>>,
    /// Names that are left alone: an instance fills them in. Everything else in the text is
    /// then written so that a second expansion gives it back.
    pub(crate) later: Option<&'a BTreeSet<String>>,
    /// Relative files are taken from here; without a folder, none is read.
    pub(crate) folder: Option<&'a Path>,
}

impl Scope<'_> {
    /// The text with its references filled in; what could not be is in `notes`.
    pub(crate) fn expand(&self, text: &str, notes: &mut Vec<Note>) -> String {
        self.expand_at(text, 0, notes)
    }

    fn expand_at(&self, text: &str, depth: usize, notes: &mut Vec<Note>) -> String {
        let pieces = match pieces(text, depth) {
            Ok(pieces) => pieces,
            Err(note) => {
                notes.push(note);
                return text.to_owned();
            }
        };
        let mut out = String::with_capacity(text.len());
        for piece in pieces {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Dollar => out.push_str(self.kept("$").as_str()),
                Piece::File { path, raw } => {
                    let path = self.expand_at(path, depth + 1, notes);
                    out.push_str(&self.kept(&self.read(&path, raw, notes)));
                }
                Piece::Variable { name, default, raw } => {
                    if self.later.is_some_and(|later| later.contains(name)) {
                        out.push_str(raw);
                        continue;
                    }
                    match (self.value(name, raw, notes), default) {
                        (Some(value), _) if !value.is_empty() => {
                            out.push_str(&self.kept(&value));
                        }
                        (_, Some(default)) => {
                            out.push_str(&self.expand_at(default, depth + 1, notes));
                        }
                        (Some(_), None) => {}
                        (None, None) => notes.push(Note {
                            raw: raw.to_owned(),
                            severity: Severity::Warning,
                            message: format!(
                                "the variable `{name}` is not set, so it is empty here"
                            ),
                            help: format!("set `{name}`, or write `${{{name}:-default}}`"),
                        }),
                    }
                }
            }
        }
        out
    }

    /// A value as it must be written to survive what comes later.
    fn kept(&self, value: &str) -> String {
        match self.later {
            Some(_) => value.replace('$', "$$"),
            None => value.to_owned(),
        }
    }

    fn value(&self, name: &str, raw: &str, notes: &mut Vec<Note>) -> Option<String> {
        if let Some(value) = self.env.get(name) {
            let Some(text) = value.to_str() else {
                notes.push(Note {
                    raw: raw.to_owned(),
                    severity: Severity::Error,
                    message: format!("the value of `{name}` is not UTF-8"),
                    help: "leave the reference out: the process gets the variable unchanged from the environment".to_owned(),
                });
                return Some(String::new());
            };
            return Some(text.to_owned());
        }
        self.fallback.and_then(|more| more.get(name)).cloned()
    }

    fn read(&self, path: &str, raw: &str, notes: &mut Vec<Note>) -> String {
        let Some(folder) = self.folder else {
            notes.push(Note {
                raw: raw.to_owned(),
                severity: Severity::Error,
                message: "no other file is read for this text".to_owned(),
                help: "write the value itself".to_owned(),
            });
            return String::new();
        };
        let file = folder.join(path);
        let reason = match super::plain_file::read(&file).map(String::from_utf8) {
            Ok(Ok(text)) => {
                let text = text.strip_suffix('\n').unwrap_or(&text);
                return text.strip_suffix('\r').unwrap_or(text).to_owned();
            }
            Ok(Err(_)) => "it is not UTF-8".to_owned(),
            Err(error) => error.to_string(),
        };
        notes.push(Note {
            raw: raw.to_owned(),
            severity: Severity::Error,
            message: format!("cannot read {}: {reason}", file.display()),
            help: "make the file readable, or correct the path".to_owned(),
        });
        String::new()
    }
}

/// Which texts of a tree to expand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// All but those that wait for an instance.
    AtLoad,
    /// Those that wait for an instance.
    PerInstance,
}

/// Expands the texts of a tree in place. `path` names the tables above it.
pub(crate) fn expand_tree(
    node: &mut Node,
    path: &mut Vec<String>,
    scope: &Scope<'_>,
    which: Which,
    problems: &mut Problems,
) {
    match &mut node.value {
        Value::Text(text) => {
            let wanted = (which == Which::PerInstance) == is_per_instance(path);
            if wanted && text.contains('$') {
                node.expanded |= has_reference(text);
                let mut notes = Vec::new();
                *text = scope.expand(text, &mut notes);
                report(&notes, &node.span, problems);
            }
            // What runs is looked at more closely elsewhere.
            let is_command = path.len() == 3 && path[0] == "process" && path[2] == "command";
            if wanted && !is_command && text.contains('\0') {
                problems.error(
                    &node.span,
                    "it holds a NUL character, which ends a text for the system",
                    "remove it",
                );
            }
        }
        Value::List(items) => {
            for item in items {
                expand_tree(item, path, scope, which, problems);
            }
        }
        Value::Table(entries) => {
            let free = is_free(path);
            for entry in entries {
                if free || !is_extension(&entry.key) {
                    path.push(entry.key.clone());
                    expand_tree(&mut entry.value, path, scope, which, problems);
                    path.pop();
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(..) => {}
    }
}

/// Reports notes at the place of the reference, where it can be found in the text.
pub(crate) fn report(notes: &[Note], span: &std::ops::Range<usize>, problems: &mut Problems) {
    for note in notes {
        let found = problems.source.text[span.clone()].find(&note.raw);
        let span = found.map_or_else(
            || span.clone(),
            |at| span.start + at..span.start + at + note.raw.len(),
        );
        match note.severity {
            Severity::Error => problems.error(&span, &*note.message, &*note.help),
            Severity::Warning => problems.warning(&span, &*note.message, &*note.help),
        }
    }
}

fn keys(path: &[String]) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}

/// The same as of a probe that stands directly in `health`.
fn without_role(path: &[String]) -> Vec<&str> {
    let mut path = keys(path);
    let is_role = |key: &&str| ProbeRole::ALL.iter().any(|role| role.table() == Some(key));
    if path.get(2) == Some(&"health") && path.get(3).is_some_and(is_role) {
        path.remove(3);
    }
    path
}

/// Texts that differ from instance to instance.
fn is_per_instance(path: &[String]) -> bool {
    matches!(
        without_role(path).as_slice(),
        ["process", _, "health", "http", "url" | "body_contains"]
            | ["process", _, "health", "http", "headers", _]
            | ["process", _, "health", "tcp", "host" | "port"]
            | ["process", _, "health", "script", "command"]
    )
}

/// Tables whose keys are data, so that `x-` means nothing there.
pub(crate) fn is_free(path: &[String]) -> bool {
    matches!(
        without_role(path).as_slice(),
        ["process", _, "env"] | ["process", _, "health", "http", "headers"]
    )
}

#[cfg(test)]
mod tests;
