//! How the keys that take more than one form are read, written and described.
//!
//! `untagged` enums would give messages such as "did not match any variant"; these visitors
//! say what is allowed.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::config::{Autorestart, EnvFile, EnvValue, Instances, Signal, Watch};
use super::health::{CodePattern, ExpectedCode, PortText};

/// Any scalar or list of scalars, before a key decides what it means.
enum Form {
    Bool(bool),
    Number(i64),
    Float(f64),
    Text(String),
    List(Vec<Form>),
}

impl<'de> Deserialize<'de> for Form {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Form;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, a number, true, false or a list")
            }
            fn visit_bool<E: Error>(self, value: bool) -> Result<Form, E> {
                Ok(Form::Bool(value))
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Form, E> {
                Ok(Form::Number(value))
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<Form, E> {
                i64::try_from(value).map(Form::Number).map_err(E::custom)
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<Form, E> {
                Ok(Form::Float(value))
            }
            fn visit_str<E: Error>(self, value: &str) -> Result<Form, E> {
                Ok(Form::Text(value.to_owned()))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Form, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = seq.next_element()? {
                    list.push(item);
                }
                Ok(Form::List(list))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

fn texts<E: Error>(list: Vec<Form>, what: &str) -> Result<Vec<String>, E> {
    let text = |form| match form {
        Form::Text(text) => Ok(text),
        _ => Err(E::custom(format_args!("{what} must be strings"))),
    };
    list.into_iter().map(text).collect()
}

macro_rules! described {
    ($type:ty, $name:literal, $schema:tt) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

/// Most copies of one process.
pub const MAX_INSTANCES: u16 = 256;

impl Default for Instances {
    fn default() -> Self {
        Self::Count(1)
    }
}

impl Serialize for Instances {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Count(count) => serializer.serialize_u16(*count),
            Self::Max => serializer.serialize_str("max"),
        }
    }
}

impl<'de> Deserialize<'de> for Instances {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Form::deserialize(deserializer)? {
            Form::Number(count) if (0..=i64::from(MAX_INSTANCES)).contains(&count) => {
                Ok(Self::Count(count as u16))
            }
            Form::Text(text) if text == "max" => Ok(Self::Max),
            _ => Err(D::Error::custom(
                "`instances` is a number from 0 to 256, or \"max\"",
            )),
        }
    }
}

described!(Instances, "Instances", {
    "oneOf": [{ "type": "integer", "minimum": 0, "maximum": 256 }, { "const": "max" }]
});

impl<'de> Deserialize<'de> for EnvValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Form::deserialize(deserializer)? {
            Form::Text(text) => Ok(Self(text)),
            Form::Number(number) => Ok(Self(number.to_string())),
            Form::Float(number) => Ok(Self(number.to_string())),
            Form::Bool(value) => Ok(Self(value.to_string())),
            Form::List(_) => Err(D::Error::custom(
                "an environment value is a string, a number, true or false",
            )),
        }
    }
}

described!(EnvValue, "EnvValue", { "type": ["string", "number", "boolean"] });

impl Serialize for EnvFile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Conventional(on) => serializer.serialize_bool(*on),
            Self::Files(files) => match files.as_slice() {
                [one] => serializer.serialize_str(one),
                many => many.serialize(serializer),
            },
        }
    }
}

impl<'de> Deserialize<'de> for EnvFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Form::deserialize(deserializer)? {
            Form::Bool(on) => Ok(Self::Conventional(on)),
            Form::Text(file) => Ok(Self::Files(vec![file])),
            Form::List(list) => Ok(Self::Files(texts(list, "env files")?)),
            _ => Err(D::Error::custom(
                "`env_file` is a path, a list of paths, or true",
            )),
        }
    }
}

described!(EnvFile, "EnvFile", {
    "oneOf": [{ "type": "boolean" }, { "type": "string" }, { "type": "array", "items": { "type": "string" } }]
});

impl Serialize for Autorestart {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Never => serializer.serialize_bool(false),
            Self::OnFailure => serializer.serialize_bool(true),
            Self::Always => serializer.serialize_str("always"),
        }
    }
}

impl<'de> Deserialize<'de> for Autorestart {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Form::deserialize(deserializer)? {
            Form::Bool(false) => Ok(Self::Never),
            Form::Bool(true) => Ok(Self::OnFailure),
            Form::Text(text) if text == "always" => Ok(Self::Always),
            _ => Err(D::Error::custom(
                "`autorestart` is true, false or \"always\"",
            )),
        }
    }
}

described!(Autorestart, "Autorestart", { "oneOf": [{ "type": "boolean" }, { "const": "always" }] });

impl Serialize for Watch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_bool(false),
            Self::Sources => serializer.serialize_bool(true),
            Self::Globs(globs) => globs.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Watch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Form::deserialize(deserializer)? {
            Form::Bool(false) => Ok(Self::Off),
            Form::Bool(true) => Ok(Self::Sources),
            Form::List(list) => Ok(Self::Globs(texts(list, "globs")?)),
            _ => Err(D::Error::custom(
                "`watch` is true, false or a list of globs",
            )),
        }
    }
}

described!(Watch, "Watch", {
    "oneOf": [{ "type": "boolean" }, { "type": "array", "items": { "type": "string" } }]
});

impl Serialize for PortText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.parse::<u16>() {
            Ok(port) => serializer.serialize_u16(port),
            Err(_) => serializer.serialize_str(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for PortText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Form::deserialize(deserializer)? {
            Form::Number(port) if (1..=65535).contains(&port) => Ok(Self(port.to_string())),
            Form::Text(text) => Ok(Self(text)),
            _ => Err(D::Error::custom(
                "a port is a number from 1 to 65535, or a text such as \"${PORT}\"",
            )),
        }
    }
}

described!(PortText, "Port", {
    "oneOf": [{ "type": "integer", "minimum": 1, "maximum": 65535 }, { "type": "string" }]
});

impl Default for ExpectedCode {
    fn default() -> Self {
        Self(vec![CodePattern::Exact(200)])
    }
}

impl ExpectedCode {
    /// Does the probe take this status as a pass?
    pub fn accepts(&self, status: u16) -> bool {
        self.0.iter().any(|pattern| match pattern {
            CodePattern::Exact(code) => *code == status,
            CodePattern::Class(class) => status / 100 == u16::from(*class),
        })
    }
}

impl CodePattern {
    fn read(form: &Form) -> Option<Self> {
        match form {
            Form::Number(code) if (100..600).contains(code) => Some(Self::Exact(*code as u16)),
            Form::Text(text) => match (text.strip_suffix("xx"), text.parse::<i64>()) {
                (Some(class), _) => class
                    .parse()
                    .ok()
                    .filter(|c| (1..=5).contains(c))
                    .map(Self::Class),
                (None, Ok(code)) => Self::read(&Form::Number(code)),
                (None, Err(_)) => None,
            },
            _ => None,
        }
    }
}

impl Serialize for CodePattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Exact(code) => serializer.serialize_u16(*code),
            Self::Class(class) => serializer.collect_str(&format_args!("{class}xx")),
        }
    }
}

impl Serialize for ExpectedCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(serializer),
            many => many.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ExpectedCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let forms = match Form::deserialize(deserializer)? {
            Form::List(list) => list,
            one => vec![one],
        };
        let patterns: Option<Vec<_>> = forms.iter().map(CodePattern::read).collect();
        patterns
            .filter(|patterns| !patterns.is_empty())
            .map(Self)
            .ok_or_else(|| {
                D::Error::custom(
                    "a status is a number from 100 to 599 or \"2xx\", or a list of them",
                )
            })
    }
}

described!(ExpectedCode, "ExpectedCode", {
    "oneOf": [
        { "type": "integer", "minimum": 100, "maximum": 599 },
        { "type": "string", "pattern": "^([1-5]xx|[1-5][0-9][0-9])$" },
        { "type": "array", "items": { "type": ["integer", "string"] }, "minItems": 1 }
    ]
});

/// Names and numbers of the signals a person may name. Numbers are those of Linux on
/// x86-64 and ARM64; they are the same on both.
const SIGNALS: [(&str, i32); 21] = [
    ("SIGHUP", 1),
    ("SIGINT", 2),
    ("SIGQUIT", 3),
    ("SIGILL", 4),
    ("SIGTRAP", 5),
    ("SIGABRT", 6),
    ("SIGBUS", 7),
    ("SIGFPE", 8),
    ("SIGKILL", 9),
    ("SIGUSR1", 10),
    ("SIGSEGV", 11),
    ("SIGUSR2", 12),
    ("SIGPIPE", 13),
    ("SIGALRM", 14),
    ("SIGTERM", 15),
    ("SIGCHLD", 17),
    ("SIGCONT", 18),
    ("SIGSTOP", 19),
    ("SIGTSTP", 20),
    ("SIGXCPU", 24),
    ("SIGWINCH", 28),
];

impl Signal {
    /// Ask to stop.
    pub const TERM: Self = Self(15);
    /// End at once.
    pub const KILL: Self = Self(9);
    /// Ask to reload.
    pub const USR2: Self = Self(12);
    /// Freeze.
    pub const STOP: Self = Self(19);
}

impl Default for Signal {
    fn default() -> Self {
        Self::TERM
    }
}

/// Why a text is not a signal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a signal; write a name such as `SIGTERM` or `USR2`, or a number from 1 to 64"
)]
pub struct SignalError(pub String);

impl std::str::FromStr for Signal {
    type Err = SignalError;

    fn from_str(text: &str) -> Result<Self, SignalError> {
        let upper = text.trim().to_ascii_uppercase();
        let name = if upper.starts_with("SIG") {
            upper.clone()
        } else {
            format!("SIG{upper}")
        };
        let by_name = SIGNALS
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, number)| *number);
        let by_number = upper
            .parse()
            .ok()
            .filter(|number| (1..=64).contains(number));
        by_name
            .or(by_number)
            .map(Self)
            .ok_or_else(|| SignalError(text.to_owned()))
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SIGNALS.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => f.pad(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl Serialize for Signal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match SIGNALS.iter().find(|(_, number)| *number == self.0) {
            Some((name, _)) => serializer.serialize_str(name),
            None => serializer.collect_str(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Signal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}
