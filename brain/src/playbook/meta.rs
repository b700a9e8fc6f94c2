//! The header of a playbook: `const META = #{…}`.

use std::collections::BTreeMap;
use std::time::Duration;

use rhai::{Dynamic, Map};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::incident::SymptomKind;

/// 5 minutes: nobody needs the same cure twice within that time.
const COOLDOWN: Duration = Duration::from_secs(300);
/// Runs of one playbook on one process in an hour, unless it says otherwise.
const MAX_PER_HOUR: u32 = 6;
const PRIORITY: i64 = 50;
/// A rule that a person wrote and a scenario checks.
const CONFIDENCE: f64 = 0.8;

/// What a playbook says about itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Meta {
    pub(crate) name: String,
    pub(crate) version: i64,
    pub(crate) description: String,
    pub(crate) on: Vec<SymptomKind>,
    pub(crate) process: String,
    pub(crate) priority: i64,
    pub(crate) cooldown: Duration,
    pub(crate) max_per_hour: u32,
    pub(crate) confidence: f64,
    /// Is it asked before a person says anything?
    pub(crate) enabled: bool,
}

/// What the config file says about a playbook: `[brain.playbooks.<name>]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PlaybookOverride {
    /// Is it asked at all?
    pub enabled: Option<bool>,
    /// How long it rests after a run on a process.
    pub cooldown: Option<Duration>,
    /// How often it may run on a process in an hour.
    pub max_per_hour: Option<u32>,
    /// Values for its `params`; the keys must exist there.
    pub params: BTreeMap<String, Value>,
}

/// Why a header is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MetaError {
    #[error("there is no `const META = #{{…}}`")]
    Missing,
    #[error("META has no `{0}`")]
    NoKey(&'static str),
    #[error("META.{key} is {found}, not {wanted}")]
    Kind {
        key: &'static str,
        found: String,
        wanted: &'static str,
    },
    #[error("META has a key that nothing reads: `{0}`")]
    Unknown(String),
    #[error("META.name is `{found}`, but the file is called `{file}`")]
    Name { found: String, file: String },
    #[error("META.on names `{0}`; known are {KNOWN_EVENTS}")]
    Event(String),
    #[error("the config sets `{0}`, which META.params does not have")]
    Param(String),
}

const KNOWN_EVENTS: &str =
    "crash, spawn_failed, errored, health_fail, health_recover, memory_exceeded, tick and score";

const KEYS: [&str; 11] = [
    "name",
    "version",
    "description",
    "on",
    "process",
    "priority",
    "cooldown",
    "max_per_hour",
    "confidence",
    "enabled",
    "params",
];

impl Meta {
    /// Reads a header, and what the config says over it. The second are its params.
    pub(crate) fn read(
        header: &Map,
        file: &str,
        over: Option<&PlaybookOverride>,
    ) -> Result<(Meta, Map), MetaError> {
        if let Some(key) = header.keys().find(|key| !KEYS.contains(&key.as_str())) {
            return Err(MetaError::Unknown(key.to_string()));
        }
        let name = text(header, "name")?.ok_or(MetaError::NoKey("name"))?;
        if name != file {
            return Err(MetaError::Name {
                found: name,
                file: file.to_owned(),
            });
        }
        let on = match header.get("on") {
            None => return Err(MetaError::NoKey("on")),
            Some(value) => value
                .clone()
                .into_array()
                .map_err(|found| kind("on", found, "an array of event names"))?
                .into_iter()
                .map(event)
                .collect::<Result<Vec<_>, _>>()?,
        };
        let mut params = match header.get("params") {
            None => Map::new(),
            Some(value) => value
                .clone()
                .try_cast::<Map>()
                .ok_or_else(|| kind("params", value.type_name(), "a map"))?,
        };
        let over = over.cloned().unwrap_or_default();
        for (key, value) in over.params {
            if !params.contains_key(key.as_str()) {
                return Err(MetaError::Param(key));
            }
            let value = rhai::serde::to_dynamic(&value).unwrap_or(Dynamic::UNIT);
            params.insert(key.into(), value);
        }
        let cooldown = match text(header, "cooldown")? {
            None => COOLDOWN,
            Some(text) => humantime::parse_duration(&text)
                .map_err(|_| kind("cooldown", &text, "a duration such as \"5m\""))?,
        };
        let meta = Meta {
            name,
            version: int(header, "version")?.ok_or(MetaError::NoKey("version"))?,
            description: text(header, "description")?.ok_or(MetaError::NoKey("description"))?,
            on,
            process: text(header, "process")?.unwrap_or_else(|| "*".to_owned()),
            priority: int(header, "priority")?.unwrap_or(PRIORITY),
            cooldown: over.cooldown.unwrap_or(cooldown),
            max_per_hour: match (over.max_per_hour, int(header, "max_per_hour")?) {
                (Some(limit), _) => limit,
                (None, Some(limit)) => u32::try_from(limit)
                    .map_err(|_| kind("max_per_hour", limit.to_string(), "a count"))?,
                (None, None) => MAX_PER_HOUR,
            },
            confidence: match header.get("confidence") {
                None => CONFIDENCE,
                Some(value) => value
                    .as_float()
                    .ok()
                    .filter(|share| (0.0..=1.0).contains(share))
                    .ok_or_else(|| kind("confidence", value.to_string(), "between 0.0 and 1.0"))?,
            },
            enabled: match header.get("enabled") {
                None => true,
                Some(value) => value
                    .as_bool()
                    .map_err(|found| kind("enabled", found, "true or false"))?,
            },
        };
        Ok((meta, params))
    }

    /// Does it want to be asked about this process and this sign?
    pub(crate) fn wants(&self, process: &str, kind: SymptomKind) -> bool {
        self.on.contains(&kind) && glob(&self.process, process)
    }
}

fn kind(key: &'static str, found: impl ToString, wanted: &'static str) -> MetaError {
    MetaError::Kind {
        key,
        found: found.to_string(),
        wanted,
    }
}

fn event(value: Dynamic) -> Result<SymptomKind, MetaError> {
    let name = value.to_string();
    serde_json::from_value(Value::String(name.clone())).map_err(|_| MetaError::Event(name))
}

fn text(header: &Map, key: &'static str) -> Result<Option<String>, MetaError> {
    header
        .get(key)
        .map(|value| {
            value
                .clone()
                .into_string()
                .map_err(|found| kind(key, found, "a text"))
        })
        .transpose()
}

fn int(header: &Map, key: &'static str) -> Result<Option<i64>, MetaError> {
    header
        .get(key)
        .map(|value| value.as_int().map_err(|found| kind(key, found, "a number")))
        .transpose()
}

/// `*` stands for any text, `?` for one character.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('*') => {
            let rest = &pattern[1..];
            glob(rest, text)
                || text
                    .char_indices()
                    .any(|(at, letter)| glob(rest, &text[at + letter.len_utf8()..]))
        }
        Some('?') => text
            .chars()
            .next()
            .is_some_and(|letter| glob(&pattern[1..], &text[letter.len_utf8()..])),
        Some(letter) => text
            .strip_prefix(letter)
            .is_some_and(|rest| glob(&pattern[letter.len_utf8()..], rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        assert!(glob("*", "") && glob("api-*", "api-7") && glob("a?i", "api"));
        assert!(!glob("api-*", "web-7") && !glob("a?i", "ai") && !glob("", "x"));
    }
}
