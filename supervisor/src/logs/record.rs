//! What a line says: level, message, time and fields.
//!
//! ```text
//! {"level":"warn","msg":"slow","http":{"status":503}}   JSON     http.status=503
//! time=… level=warn msg="slow" status=503                logfmt   status=503
//! 2026-03-28 14:32:01 [WARN] slow                        plain    the line is the message
//! ```
//!
//! [`parse`] is pure, fails on nothing and uses no regular expression: it runs for each line
//! that is indexed, counted or sent somewhere. What a line means is decided here and nowhere
//! else, so that the index, the scan of what is not indexed yet, sinks and the terminal agree.
//! Which lines there are, and where one ends, is not decided here.

mod json;
mod level;
mod logfmt;
mod prefix;
mod time;

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::Value;

use crate::paths::Stream;

pub use level::Level;
pub(crate) use time::of_integer as epoch;

/// Most fields of a record; what comes after them is not taken apart.
pub const MAX_FIELDS: usize = 64;

/// How deep objects are taken apart: `a.b.c.d`. What lies deeper stays a JSON value.
pub const MAX_DEPTH: usize = 4;

/// Keys that hold the level of a record; the first that has one wins.
pub(crate) const LEVEL_KEYS: [&str; 4] = ["level", "severity", "lvl", "levelname"];
/// Keys that hold its message.
pub(crate) const MESSAGE_KEYS: [&str; 3] = ["message", "msg", "text"];
/// Keys that hold its time.
pub(crate) const TIME_KEYS: [&str; 4] = ["timestamp", "time", "ts", "@timestamp"];

/// How a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A JSON object.
    Json,
    /// `key=value` pairs.
    Logfmt,
    /// Anything else.
    Plain,
}

/// What a line says.
#[derive(Debug, Clone, PartialEq)]
pub struct Record<'a> {
    /// How it was written.
    pub form: Form,
    /// As the line names it; for lines of standard error see [`Record::severity`].
    pub level: Option<Level>,
    /// The text of its message key; the whole line when it has none.
    pub message: Cow<'a, str>,
    /// When it says it happened. Lines are ordered by the time they came, not by this one.
    pub time: Option<Timestamp>,
    /// All other keys, in their order. Names of nested ones are joined with dots.
    pub fields: Vec<(String, Value)>,
    /// The message is all of the line, with its fields.
    whole: bool,
}

/// Reads a line, given without its line end.
pub fn parse(line: &str) -> Record<'_> {
    if line.starts_with('{')
        && let Some(record) = json::parse(line)
    {
        return record;
    }
    if let Some(record) = logfmt::parse(line) {
        return record;
    }
    Record {
        form: Form::Plain,
        level: prefix::level(line),
        message: Cow::Borrowed(line),
        time: None,
        fields: Vec::new(),
        whole: true,
    }
}

impl Record<'_> {
    /// The level for filters, counts and scores: that of the line, or `error` when it has none
    /// and is standard error that looks like an exception.
    pub fn severity(&self, stream: Stream) -> Option<Level> {
        self.level.or_else(|| {
            (stream == Stream::Err && prefix::looks_like_exception(&self.message))
                .then_some(Level::Error)
        })
    }

    /// It has a message of its own; else all of the line stands for it.
    pub fn has_message(&self) -> bool {
        !self.whole
    }

    /// The field of that name.
    pub fn field(&self, name: &str) -> Option<&Value> {
        let found = self.fields.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value)
    }

    /// What a search looks through: the message and the values of the fields.
    pub fn search_text(&self) -> Cow<'_, str> {
        // Fields of any other line stand in its message already.
        if self.whole || self.fields.is_empty() {
            return Cow::Borrowed(&self.message);
        }
        let mut text = String::with_capacity(self.message.len() + 16 * self.fields.len());
        text.push_str(&self.message);
        for (_, value) in &self.fields {
            text.push(' ');
            push_value(&mut text, value);
        }
        Cow::Owned(text)
    }
}

/// The text of a value, as it is searched.
fn push_value(text: &mut String, value: &Value) {
    match value {
        Value::Null => {}
        Value::String(inner) => text.push_str(inner),
        Value::Bool(true) => text.push_str("true"),
        Value::Bool(false) => text.push_str("false"),
        Value::Number(number) => {
            use std::fmt::Write;
            let _ = write!(text, "{number}");
        }
        Value::Array(items) => {
            for item in items {
                push_value(text, item);
                text.push(' ');
            }
        }
        Value::Object(map) => {
            for item in map.values() {
                push_value(text, item);
                text.push(' ');
            }
        }
    }
}

#[cfg(test)]
mod tests;
