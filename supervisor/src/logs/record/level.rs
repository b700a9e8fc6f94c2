//! Levels, and the many words for them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How grave a line is. Later variants are graver.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Every step.
    Trace,
    /// Why something was decided.
    Debug,
    /// What happens.
    Info,
    /// It went on nevertheless.
    Warn,
    /// Something failed.
    Error,
    /// The program cannot go on.
    Fatal,
}

impl Level {
    /// All of them, the least grave first.
    pub const ALL: [Level; 6] = [
        Level::Trace,
        Level::Debug,
        Level::Info,
        Level::Warn,
        Level::Error,
        Level::Fatal,
    ];

    /// Its name in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
            Level::Fatal => "fatal",
        }
    }

    /// 0 for trace to 5 for fatal: how levels are stored and compared.
    pub const fn rank(self) -> u8 {
        self as u8
    }

    /// The level of a rank.
    pub fn of_rank(rank: i64) -> Option<Level> {
        usize::try_from(rank)
            .ok()
            .and_then(|rank| Self::ALL.get(rank))
            .copied()
    }

    /// The level a word means, in any case.
    pub fn parse(word: &str) -> Option<Level> {
        Self::of_bytes(word.as_bytes())
    }

    /// As [`Level::parse`].
    pub(super) fn of_bytes(word: &[u8]) -> Option<Level> {
        // The first letter rules out nearly every word of a text.
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        let level = match word.first()?.to_ascii_lowercase() {
            b't' if is("trace") => Level::Trace,
            b'd' if is("debug") || is("dbg") => Level::Debug,
            b'i' if is("info") || is("information") => Level::Info,
            b'n' if is("notice") => Level::Info,
            b'w' if is("warn") || is("warning") => Level::Warn,
            b'e' if is("error") || is("err") => Level::Error,
            b'f' if is("fatal") => Level::Fatal,
            b'c' if is("critical") || is("crit") => Level::Fatal,
            b'p' if is("panic") => Level::Fatal,
            b'a' if is("alert") => Level::Fatal,
            b'e' if is("emergency") || is("emerg") => Level::Fatal,
            _ => return None,
        };
        Some(level)
    }

    /// The level of a value of a line: a word, or the number of one, also in quotes.
    pub(super) fn of_value(text: &str) -> Option<Level> {
        let text = text.trim();
        Self::parse(text).or_else(|| Self::of_pino(text.parse().ok()?))
    }

    /// The level of a number as pino and bunyan write it: 10 is trace, 60 is fatal.
    pub fn of_pino(number: i64) -> Option<Level> {
        match number {
            10..20 => Some(Level::Trace),
            20..30 => Some(Level::Debug),
            30..40 => Some(Level::Info),
            40..50 => Some(Level::Warn),
            50..60 => Some(Level::Error),
            60..70 => Some(Level::Fatal),
            _ => None,
        }
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}
