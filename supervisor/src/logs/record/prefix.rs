//! The level at the beginning of a plain line.
//!
//! ```text
//! [ERROR] x     ERROR: x     ERROR x     INFO:root:x     error: x
//! 2026-03-28 14:32:01,123 [main] WARN x     \u{1b}[32m INFO\u{1b}[0m x
//! ```
//!
//! Times and words in brackets are skipped. A bare word in lower case is a level only after a
//! time, since a sentence may begin with it.

use memchr::{memchr, memmem};

use super::Level;

/// How many words are looked at.
const WORDS: usize = 6;
/// How many bytes are looked at.
const REACH: usize = 160;

/// The level a plain line begins with.
pub(super) fn level(line: &str) -> Option<Level> {
    let bytes = line.as_bytes();
    let head = &bytes[..bytes.len().min(REACH)];
    if memchr(0x1b, head).is_some() {
        return level_of(&without_colour(head));
    }
    level_of(head)
}

fn level_of(head: &[u8]) -> Option<Level> {
    let mut timed = false;
    let words = head
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    for word in words.take(WORDS) {
        if let Some(level) = level_of_word(word, timed) {
            return Some(level);
        }
        if is_time(word) {
            timed = true;
        } else if !matches!(word[0], b'[' | b'(' | b'<' | b'|' | b'-') {
            return None;
        }
    }
    None
}

fn level_of_word(word: &[u8], timed: bool) -> Option<Level> {
    let bracketed = matches!(word[0], b'[' | b'(' | b'<');
    let inner = &word[usize::from(bracketed)..];
    let length = inner
        .iter()
        .position(|byte| !byte.is_ascii_alphabetic())
        .unwrap_or(inner.len());
    let (name, rest) = inner.split_at(length);
    let level = Level::of_bytes(name)?;
    let closed = match rest.first() {
        None => return (bracketed || timed || is_upper(name)).then_some(level),
        Some(b']' | b')' | b'>') => bracketed,
        Some(b':' | b'!') => true,
        Some(b'[' | b'|' | b',') => is_upper(name),
        Some(_) => false,
    };
    closed.then_some(level)
}

fn is_upper(name: &[u8]) -> bool {
    name.iter().all(u8::is_ascii_uppercase)
}

/// Something with digits first that is a date, a time or a number.
fn is_time(word: &[u8]) -> bool {
    let word = word
        .strip_prefix(b"[")
        .or(word.strip_prefix(b"("))
        .unwrap_or(word);
    word.first().is_some_and(u8::is_ascii_digit)
        && word.iter().all(|byte| {
            byte.is_ascii_digit()
                || matches!(
                    byte,
                    b'-' | b'/' | b':' | b'.' | b',' | b'+' | b'T' | b'Z' | b']' | b')' | b'|'
                )
        })
}

/// The text without `ESC [ … letter`.
fn without_colour(head: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(head.len());
    let mut at = 0;
    while at < head.len() {
        if head[at] == 0x1b {
            at += 1;
            if head.get(at) == Some(&b'[') {
                at += 1;
                while at < head.len() && !head[at].is_ascii_alphabetic() {
                    at += 1;
                }
                at += 1;
            }
            continue;
        }
        out.push(head[at]);
        at += 1;
    }
    out
}

/// How lines begin that tell of an exception.
const BEGINNINGS: [&str; 9] = [
    "Traceback (most recent call last)",
    "Exception in thread",
    "Unhandled ",
    "Uncaught ",
    "Caused by: ",
    "Segmentation fault",
    "fatal error: ",
    "runtime error: ",
    "*** ",
];

/// A line of standard error that tells of an exception, by what languages print. Frames of a
/// stack are not meant: one exception is one error.
pub(super) fn looks_like_exception(message: &str) -> bool {
    let text = message.trim_start();
    if text.len() != message.len() && (text.starts_with("at ") || text.starts_with("File ")) {
        return false;
    }
    if BEGINNINGS.iter().any(|start| text.starts_with(start)) {
        return true;
    }
    // `TypeError: …`, `java.lang.NullPointerException: …`, `ValueError`
    let first = text.split_ascii_whitespace().next().unwrap_or("");
    let name = first.strip_suffix(':').unwrap_or(first);
    let named = name.ends_with("Error") || name.ends_with("Exception");
    let word = name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'$' | b':'));
    if named && word && name.len() > 5 && (first.len() > name.len() || first.len() == text.len()) {
        return true;
    }
    text.starts_with("thread '") && memmem::find(text.as_bytes(), b"panicked at").is_some()
}
