//! The table `[process.<name>.reload]`: how a process is renewed, as a person writes it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::{Signal, defaults};

/// How `mhost reload` renews a process; see `reload.md`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reload {
    /// `"replace"` (default) starts new copies beside the old ones and then stops those.
    /// `"signal"` sends `signal` to one copy after another, for programs that renew themselves.
    #[serde(default)]
    pub mode: ReloadMode,
    /// What `mode = "signal"` sends, to the program alone and not to its children. Default `SIGUSR2`.
    #[serde(default = "defaults::reload_signal", skip_serializing_if = "is_usual")]
    #[schemars(with = "String", extend("x-form" = "signal"))]
    pub signal: Signal,
    /// New copies must pass their probes within this time, a copy that got a signal must pass them
    /// again. `mhost reload --timeout` comes before it. Default `30s`.
    #[serde(default = "defaults::reload_timeout", with = "crate::units::duration")]
    #[schemars(with = "String", extend("x-form" = "duration"))]
    pub timeout: Duration,
    /// How many copies `mode = "replace"` starts at a time, to save memory: the old ones of a
    /// batch are stopped before the next batch begins. Default: all at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 256))]
    pub surge: Option<u16>,
}

/// The key `mode` of a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReloadMode {
    /// New copies beside the old ones.
    #[default]
    Replace,
    /// A signal to each.
    Signal,
}

/// A signal that nobody wrote is not printed: a reload that sends none would be told that it
/// does nothing.
fn is_usual(signal: &Signal) -> bool {
    *signal == defaults::reload_signal()
}

impl Default for Reload {
    fn default() -> Self {
        Self {
            mode: ReloadMode::default(),
            signal: defaults::reload_signal(),
            timeout: defaults::reload_timeout(),
            surge: None,
        }
    }
}
