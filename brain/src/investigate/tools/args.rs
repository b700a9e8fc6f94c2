//! Arguments that a model wrote, read and bounded.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use supervisor::ProcessName;
use supervisor::units::{format_duration, parse_duration};

use super::super::desk::Desk;
use crate::facts::ProcessFacts;

/// Longest window that is looked through.
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Names of processes that are told where one is not known.
const NAMED: usize = 30;

/// Which process: the one in question unless another is named.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Which(pub(super) Option<String>);

impl Which {
    pub(super) fn find(&self, desk: &Desk) -> Result<ProcessFacts, String> {
        let known = || -> String {
            let all = desk.facts.processes();
            let names: Vec<_> = all.iter().take(NAMED).map(ProcessName::as_str).collect();
            match all.len().saturating_sub(NAMED) {
                0 => names.join(", "),
                more => format!("{} and {more} more", names.join(", ")),
            }
        };
        let name = match (&self.0, &desk.process) {
            (Some(name), _) => name
                .trim()
                .parse::<ProcessName>()
                .map_err(|_| format!("no process has such a name; there are: {}", known()))?,
            (None, Some(name)) => name.clone(),
            (None, None) => return Err(format!("say which `process`: {}", known())),
        };
        desk.facts
            .process(&name)
            .ok_or_else(|| format!("there is no process `{name}`; there are: {}", known()))
    }
}

/// A span back from now: `"10m"`, or seconds.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Span {
    Text(String),
    Seconds(f64),
}

pub(super) fn window(span: Option<&Span>, usual: Duration) -> Result<Duration, String> {
    let wrong = "`window` is a time such as \"10m\", from 1s to 24h";
    let time = match span {
        None => usual,
        Some(Span::Text(text)) => parse_duration(text).map_err(|_| wrong.to_owned())?,
        Some(Span::Seconds(number)) => {
            Duration::try_from_secs_f64(*number).map_err(|_| wrong.to_owned())?
        }
    };
    if time < Duration::from_secs(1) || time > LONGEST {
        return Err(wrong.to_owned());
    }
    Ok(time)
}

pub(super) fn number(
    name: &str,
    value: Option<i64>,
    usual: i64,
    bounds: RangeInclusive<i64>,
) -> Result<usize, String> {
    let value = value.unwrap_or(usual);
    if !bounds.contains(&value) {
        return Err(format!(
            "`{name}` is from {} to {}, not {value}",
            bounds.start(),
            bounds.end()
        ));
    }
    usize::try_from(value).map_err(|_| format!("`{name}` is not {value}"))
}

pub(super) fn read<T: DeserializeOwned>(arguments: Value) -> Result<T, String> {
    serde_json::from_value(arguments).map_err(|error| error.to_string())
}

pub(super) fn told(time: Duration) -> String {
    format_duration(time)
}

/// The schema of an object with these properties, of which the named ones must be given.
pub(super) fn object(properties: Value, required: &[&str]) -> Value {
    json!({
        "type": "object", "properties": properties, "required": required,
        "additionalProperties": false,
    })
}

pub(super) fn process() -> Value {
    json!({"type": "string", "description": "name of a process; default: the one in question"})
}

pub(super) fn span(usual: &str) -> Value {
    json!({"type": "string", "description": format!("how far back, 1s to 24h; default {usual}")})
}
