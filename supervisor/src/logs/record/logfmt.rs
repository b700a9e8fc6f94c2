//! Lines of `key=value` pairs.
//!
//! A line counts as one when it names a level that way, or has two pairs or more. One pair
//! in a sentence, such as `took=5ms`, leaves it a sentence.

use std::borrow::Cow;

use memchr::memchr;
use serde_json::{Number, Value};

use super::{Form, LEVEL_KEYS, Level, MAX_FIELDS, MESSAGE_KEYS, Record, TIME_KEYS, prefix, time};

/// Longest key; longer ones are no keys but text.
const MAX_KEY: usize = 64;

/// `None` when the line is not logfmt.
pub(super) fn parse(line: &str) -> Option<Record<'_>> {
    // Most plain lines have no pair at all.
    memchr(b'=', line.as_bytes())?;
    let pairs = pairs(line);
    let level_at = LEVEL_KEYS.iter().find_map(|name| {
        let at = pairs.iter().position(|pair| pair.key == *name)?;
        Some((at, Level::of_value(&pairs[at].value)?))
    });
    if level_at.is_none() && pairs.len() < 2 {
        return None;
    }
    let whole = pairs.first().is_some_and(|first| first.start == 0);
    let message_at = MESSAGE_KEYS
        .iter()
        .filter(|_| whole)
        .find_map(|name| pairs.iter().position(|pair| pair.key == *name));
    let time_at = TIME_KEYS.iter().find_map(|name| {
        let at = pairs.iter().position(|pair| pair.key == *name)?;
        Some((at, time::of_text(&pairs[at].value)?))
    });
    let mut record = Record {
        form: Form::Logfmt,
        level: level_at.map_or_else(|| prefix::level(line), |(_, level)| Some(level)),
        message: Cow::Borrowed(line),
        time: time_at.map(|(_, time)| time),
        fields: Vec::with_capacity(pairs.len()),
        whole: message_at.is_none(),
    };
    for (at, pair) in pairs.into_iter().enumerate() {
        if message_at == Some(at) {
            record.message = pair.value;
        } else if level_at.is_none_or(|(level, _)| level != at)
            && time_at.is_none_or(|(time, _)| time != at)
        {
            record.fields.push((pair.key.to_owned(), value(pair)));
        }
    }
    Some(record)
}

struct Pair<'a> {
    /// Where its key begins.
    start: usize,
    key: &'a str,
    value: Cow<'a, str>,
    quoted: bool,
}

fn is_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'@')
}

fn pairs(line: &str) -> Vec<Pair<'_>> {
    let bytes = line.as_bytes();
    let mut found: Vec<Pair<'_>> = Vec::new();
    let mut at = 0;
    while found.len() < MAX_FIELDS
        && let Some(equals) = memchr(b'=', &bytes[at..]).map(|ahead| at + ahead)
    {
        let low = equals.saturating_sub(MAX_KEY + 1).max(at);
        let start = bytes[low..equals]
            .iter()
            .rposition(|byte| !is_key(*byte))
            .map_or(low, |back| low + back + 1);
        let begins = start == 0 || matches!(bytes[start - 1], b' ' | b'\t');
        let letter = bytes
            .get(start)
            .is_some_and(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'@'));
        // `a==b` compares, it does not name.
        if start == equals || !begins || !letter || bytes.get(equals + 1) == Some(&b'=') {
            at = equals + 1;
            while bytes.get(at) == Some(&b'=') {
                at += 1;
            }
            continue;
        }
        let (value, end, quoted) = read_value(line, equals + 1);
        found.push(Pair {
            start,
            key: &line[start..equals],
            value,
            quoted,
        });
        at = end;
    }
    found
}

/// The value from `at` on, where it ends, and whether it stood in quotes.
fn read_value(line: &str, at: usize) -> (Cow<'_, str>, usize, bool) {
    let bytes = line.as_bytes();
    if bytes.get(at) == Some(&b'"') {
        let from = at + 1;
        let mut end = from;
        let mut escaped = false;
        while end < bytes.len() && bytes[end] != b'"' {
            if bytes[end] == b'\\' {
                escaped = true;
                end += 1;
            }
            end += 1;
        }
        if end < bytes.len() {
            let inner = &line[from..end];
            let value = if escaped {
                Cow::Owned(unescape(inner))
            } else {
                Cow::Borrowed(inner)
            };
            return (value, end + 1, true);
        }
    }
    let end = bytes[at..]
        .iter()
        .position(|byte| matches!(byte, b' ' | b'\t'))
        .map_or(bytes.len(), |ahead| at + ahead);
    (Cow::Borrowed(&line[at..end]), end, false)
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some(other) => {
                    // An escape nobody knows stays as it is, so that no word appears that is
                    // not in the line.
                    if !matches!(other, '"' | '\\') {
                        out.push('\\');
                    }
                    out.push(other);
                }
                None => out.push('\\'),
            },
            other => out.push(other),
        }
    }
    out
}

/// Numbers and truth values as such, unless they stand in quotes.
fn value(pair: Pair<'_>) -> Value {
    let text = pair.value;
    if pair.quoted {
        return Value::String(text.into_owned());
    }
    match text.as_ref() {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        number if number.starts_with(|c: char| c.is_ascii_digit() || c == '-') => {
            plain_number(number).map_or_else(|| Value::from(number), Value::Number)
        }
        other => Value::from(other),
    }
}

/// A number whose text is its usual form: `007` and `1e5` stay text.
fn plain_number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.") {
        return None;
    }
    if let Ok(number) = text.parse::<i64>() {
        return Some(number.into());
    }
    let decimal = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let number = decimal.then(|| text.parse::<f64>().ok()).flatten()?;
    Number::from_f64(number)
}
