//! Names and numbers that identify things.
//!
//! A bare string or integer never stands for a process or an instance: these types do,
//! and a value of one of them has already been checked.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The name of a process: `[A-Za-z0-9._-]{1,64}`, not digits only, not a reserved word.
/// Clones share the text: it stands in every table there is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProcessName(Arc<str>);

/// Longest process name, in bytes.
pub const MAX_NAME: usize = 64;

/// Words that mean something else where a process name is expected.
pub const RESERVED_NAMES: [&str; 3] = ["all", "stop-all", "restart-all"];

/// Why a text is not a process name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing at all.
    #[error("a process name cannot be empty")]
    Empty,
    /// More than [`MAX_NAME`] bytes.
    #[error("`{0}` is longer than {MAX_NAME} characters")]
    TooLong(String),
    /// A character outside the allowed set.
    #[error("`{name}` contains `{found}`; allowed are letters, digits, `.`, `_` and `-`")]
    BadCharacter {
        /// The whole text.
        name: String,
        /// The first character that is not allowed.
        found: char,
    },
    /// It would be taken for an index of `mhost list`.
    #[error("`{0}` is all digits and would be taken for an index of `mhost list`")]
    AllDigits(String),
    /// It means something else as a target.
    #[error("`{0}` is a reserved word")]
    Reserved(String),
}

impl ProcessName {
    /// The text of the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ProcessName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if let Some(found) = text.chars().find(|c| !allowed(*c)) {
            return Err(NameError::BadCharacter {
                name: text.to_owned(),
                found,
            });
        }
        if text.len() > MAX_NAME {
            return Err(NameError::TooLong(text.to_owned()));
        }
        if text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NameError::AllDigits(text.to_owned()));
        }
        // `.` and `..` would name a folder where the name becomes part of a path.
        if RESERVED_NAMES.contains(&text) || text.chars().all(|c| c == '.') {
            return Err(NameError::Reserved(text.to_owned()));
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for ProcessName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<ProcessName> for String {
    fn from(name: ProcessName) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl fmt::Display for ProcessName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// One running copy of a process, written `api#0`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InstanceId {
    /// The process it is a copy of.
    pub process: ProcessName,
    /// Its place among the copies, from 0.
    pub index: u16,
}

impl InstanceId {
    /// The copy `index` of `process`.
    pub fn new(process: ProcessName, index: u16) -> Self {
        Self { process, index }
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.process, self.index)
    }
}

/// How often an instance has been spawned: +1 for each run, from 1. It is never reused.
pub type Generation = u64;

/// The row id of an event: rises with time.
pub type EventId = i64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["api", "a", "db-proxy", "v1.2_x", "0a"] {
            assert!(good.parse::<ProcessName>().is_ok(), "{good}");
        }
        for bad in ["", "12", "all", "a b", "a/b", "..", "ü", "stop-all"] {
            assert!(bad.parse::<ProcessName>().is_err(), "{bad}");
        }
        assert!("x".repeat(65).parse::<ProcessName>().is_err());
    }
}
