//! Parameters of a method: read into a type of its own, unknown keys are errors.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use supervisor::Target;

use super::message::RpcError;

/// The parameters of one call.
#[derive(Debug)]
pub(super) struct Params<'a> {
    pub(super) method: &'a str,
    pub(super) values: Map<String, Value>,
}

impl Params<'_> {
    /// Reads them into `T`.
    pub(super) fn read<T: DeserializeOwned>(self) -> Result<T, RpcError> {
        let method = self.method;
        T::deserialize(Value::Object(self.values))
            .map_err(|error| RpcError::bad_params(format!("{method}: {error}")))
    }

    /// Takes no parameters.
    pub(super) fn none(self) -> Result<(), RpcError> {
        match self.values.keys().next() {
            None => Ok(()),
            Some(key) => Err(RpcError::bad_params(format!(
                "{}: unknown field `{key}`, there are no parameters",
                self.method
            ))),
        }
    }
}

/// What stands in the parameters of any method.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Envelope {
    pub(super) dry_run: bool,
    pub(super) incident: Option<String>,
}

impl Envelope {
    /// Takes it out of the parameters.
    pub(super) fn take(method: &str, values: &mut Map<String, Value>) -> Result<Self, RpcError> {
        let wrong = |key: &str, what: &str| {
            RpcError::bad_params(format!("{method}: `{key}` must be {what}"))
        };
        let dry_run = match values.remove("dry_run") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(value)) => value,
            Some(_) => return Err(wrong("dry_run", "true or false")),
        };
        // Methods about incidents have one of their own.
        let incident = match values.get("incident") {
            _ if method.starts_with("brain.") || method.starts_with("agent.") => None,
            None | Some(Value::Null) => None,
            Some(Value::String(incident)) => Some(incident.clone()),
            Some(_) => return Err(wrong("incident", "a string")),
        };
        if !(method.starts_with("brain.") || method.starts_with("agent.")) {
            values.remove("incident");
        }
        Ok(Self { dry_run, incident })
    }
}

/// Only a target.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    pub(super) name: TargetText,
}

/// A target, or none for all.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MaybeNamed {
    pub(super) name: Option<TargetText>,
}

/// A target as a text, or an index as a number.
#[derive(Debug)]
pub(super) struct TargetText(pub(super) Target);

impl<'de> Deserialize<'de> for TargetText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self(Target(text))),
            Value::Number(index) if index.is_u64() => Ok(Self(Target(index.to_string()))),
            _ => Err(serde::de::Error::custom(
                "`name` is a name, or an index of the list",
            )),
        }
    }
}
