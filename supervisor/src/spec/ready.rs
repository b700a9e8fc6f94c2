//! The key `ready`: by which sign a process tells that it is up.
//!
//! ```text
//!   ready = "notify"                       READY=1, by the protocol of sd_notify
//!   ready = { log = "listening on \\d+" }  the first line that matches
//! ```
//!
//! It says what the sign is. Who looks out for it is the instance.

use std::borrow::Cow;
use std::fmt;

use regex::Regex;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// By which sign a process tells that it is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ready {
    /// It sends `READY=1` to the socket in `NOTIFY_SOCKET`.
    Notify,
    /// It prints a line that matches this regular expression.
    Log(String),
}

/// Which of the signs it is, for whoever does not look out for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// `READY=1`.
    Notify,
    /// A line.
    Line,
}

impl Ready {
    /// Which of the signs it is.
    pub fn sign(&self) -> Sign {
        match self {
            Self::Notify => Sign::Notify,
            Self::Log(_) => Sign::Line,
        }
    }
}

/// Reads a pattern for a line.
///
/// # Errors
/// What is wrong with it, and at which character if that is known.
pub fn line_pattern(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| match error {
        regex::Error::Syntax(told) => explained(&told),
        regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
        other => other.to_string(),
    })
}

/// The library draws its errors: the pattern, a caret below it, and the words.
fn explained(drawn: &str) -> String {
    let words = drawn.lines().find_map(|line| line.strip_prefix("error: "));
    let caret = drawn.lines().find(|line| {
        let mark = line.trim();
        !mark.is_empty() && mark.chars().all(|c| c == '^')
    });
    // Drawings of one line are set in by four.
    let place = caret.and_then(|line| line.find('^')?.checked_sub(4));
    let words = words.unwrap_or(drawn);
    match place {
        Some(place) => format!("{words}, at character {}", place + 1),
        None => words.to_owned(),
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    log: String,
}

impl Serialize for Ready {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Notify => serializer.serialize_str("notify"),
            Self::Log(pattern) => {
                let log = pattern.clone();
                Table { log }.serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Ready {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Ready;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"notify\", or a table with `log`")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Ready, E> {
                match text {
                    "notify" => Ok(Ready::Notify),
                    _ => Err(E::custom("`ready` is \"notify\" or { log = \"…\" }")),
                }
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Ready, A::Error> {
                let Table { log } = Table::deserialize(MapAccessDeserializer::new(map))?;
                line_pattern(&log).map_err(A::Error::custom)?;
                Ok(Ready::Log(log))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl JsonSchema for Ready {
    fn schema_name() -> Cow<'static, str> {
        "Ready".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "oneOf": [
                { "const": "notify" },
                {
                    "type": "object",
                    "properties": {
                        "log": {
                            "type": "string",
                            "x-form": "regex",
                            "description": "A regular expression that the line matches."
                        }
                    },
                    "additionalProperties": false,
                    "required": ["log"]
                }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_forms_are_read_and_written() {
        for (written, ready) in [
            (json!("notify"), Ready::Notify),
            (json!({ "log": "^up$" }), Ready::Log("^up$".to_owned())),
        ] {
            let read: Ready = serde_json::from_value(written.clone()).expect("reads");
            assert_eq!(read, ready);
            assert_eq!(serde_json::to_value(&read).expect("writes"), written);
        }
        for wrong in [
            json!("log"),
            json!({}),
            json!({ "log": "(" }),
            json!({ "log": "a", "b": 1 }),
        ] {
            assert!(
                serde_json::from_value::<Ready>(wrong.clone()).is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_wrong_pattern_is_told_with_its_place() {
        let wrong = |text| line_pattern(text).expect_err("is wrong");
        assert_eq!(wrong("up (now"), "unclosed group, at character 4");
        assert_eq!(wrong(r"(?:\w{1000}){1000}"), "it is too large");
    }
}
