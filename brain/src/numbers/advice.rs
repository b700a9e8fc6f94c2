//! What a careful person would change about a fleet before anything happens.
//!
//! Each rule looks at one definition and its past. None of them is about an illness that is
//! there now: that is what a diagnosis is for.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use supervisor::ProcessName;

use super::words::times;
use crate::facts::ProcessFacts;

/// Crashes of a day that are called flapping.
const FLAPS: u64 = 5;

/// A piece of advice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hint {
    /// `high`, `medium` or `low`: how much it matters.
    pub weight: String,
    /// The process.
    pub process: ProcessName,
    /// What is to be changed.
    pub what: String,
    /// Why.
    pub why: String,
    /// The line to write in `mhost.toml`, or the command to type.
    pub how: String,
}

/// The day of a process, as far as advice needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Day {
    /// Crashes.
    pub crashes: u64,
    /// Restarts because of memory.
    pub memory_restarts: u64,
    /// Processes that depend on it.
    pub dependents: usize,
    /// Does its output speak of a port it listens on, or does its definition name one?
    pub serves: bool,
}

/// What to change about one process.
pub fn hints(process: &ProcessFacts, day: Day) -> Vec<Hint> {
    let config = &process.config;
    let mut all = Vec::new();
    let mut hint = |weight: &str, what: &str, why: String, how: &str| {
        all.push(Hint {
            weight: weight.to_owned(),
            process: process.name.clone(),
            what: what.to_owned(),
            why,
            how: how.to_owned(),
        });
    };
    let probed = ["http", "tcp", "script", "readiness", "liveness"]
        .iter()
        .any(|kind| config["health"][kind].is_object());
    if !probed && (day.serves || day.dependents > 0) {
        let why = match day.dependents {
            0 => "it serves, and nobody would notice that it hangs".to_owned(),
            count => {
                format!("{count} processes depend on it, and nobody would notice that it hangs")
            }
        };
        hint(
            if day.dependents > 0 { "high" } else { "medium" },
            "add a health probe",
            why,
            "[process.NAME.health.http] url = \"/health\"",
        );
    }
    if process.max_memory.is_none() {
        hint(
            "medium",
            "set max_memory",
            "a leak would take the memory of the others".to_owned(),
            "mhost ai optimize NAME",
        );
    } else if day.memory_restarts >= 3 {
        hint(
            "high",
            "find the leak, or raise max_memory",
            format!(
                "it was restarted {} in a day for its memory",
                times(day.memory_restarts)
            ),
            "mhost ai diagnose NAME",
        );
    }
    if day.crashes >= FLAPS && !process.held {
        hint(
            "high",
            "find out why it crashes",
            format!("it crashed {} in a day", times(day.crashes)),
            "mhost ai diagnose NAME",
        );
        if process.max_restarts == 0 {
            hint(
                "medium",
                "set max_restarts",
                "it is retried for ever".to_owned(),
                "max_restarts = 10",
            );
        }
    }
    if day.dependents > 0 && config["autorestart"] == Value::Bool(false) {
        hint(
            "high",
            "let it restart",
            format!(
                "{} processes depend on it, and a crash would stay",
                day.dependents
            ),
            "autorestart = true",
        );
    }
    if written_secret(config) {
        hint(
            "medium",
            "move secrets to an env file",
            "a value of a secret-looking name stands in the definition itself".to_owned(),
            "env_file = \".env\"",
        );
    }
    if config["grace_period"] == "0s" && day.dependents > 0 {
        hint(
            "low",
            "give it time to stop",
            "others depend on it, and it is killed at once".to_owned(),
            "grace_period = \"10s\"",
        );
    }
    for one in &mut all {
        one.how = one.how.replace("NAME", process.name.as_str());
    }
    all
}

/// Does the definition hold a secret? Its value is a mask by now, which is how it shows.
fn written_secret(config: &Value) -> bool {
    config["env_file"].is_null()
        && config["env"].as_object().is_some_and(|env| {
            env.iter().any(|(key, value)| {
                supervisor::secret::is_secret_name(key)
                    && value
                        .as_str()
                        .is_some_and(|text| !text.is_empty() && !text.contains("${"))
            })
        })
}

/// What matters most first.
pub fn sort(all: &mut [Hint]) {
    let rank = |one: &Hint| match one.weight.as_str() {
        "high" => 0,
        "medium" => 1,
        _ => 2,
    };
    all.sort_by(|a, b| rank(a).cmp(&rank(b)).then(a.process.cmp(&b.process)));
}
