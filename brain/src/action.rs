//! Things that can be done about an incident. Typed: there is no "run this text".

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How urgent a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Look at it today.
    Warning,
    /// Look at it now.
    Critical,
}

/// One thing to do, always on the incident's own process. Names are those of
/// `spec/brain-agent.md` §3 and of `mhost brain history`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// Stop gracefully and start again.
    Restart {
        /// One copy, or all.
        instance: Option<u16>,
    },
    /// Replace without a gap.
    Reload,
    /// Start a registered process.
    Start,
    /// SIGKILL, then start.
    KillRestart {
        /// One copy, or all.
        instance: Option<u16>,
    },
    /// Stop a process that is not online, and hold it.
    Halt {
        /// Why, for people.
        reason: String,
    },
    /// Stop a process that is online.
    Stop,
    /// More copies.
    ScaleUp {
        /// How many more.
        by: u16,
    },
    /// Fewer copies.
    ScaleDown {
        /// How many fewer.
        by: u16,
    },
    /// Change one limit.
    SetLimit {
        /// `max_memory`, `max_restarts` or `grace_period`.
        key: String,
        /// Its new value, as in the config file.
        value: String,
    },
    /// Leave the error state and reset the counters.
    ClearError,
    /// Compute the health score again.
    UpdateScore,
    /// Try the probe now instead of at its next turn.
    RunProbe,
    /// Go back to the definition before the newest.
    Rollback,
    /// Move a lock file aside whose holder is dead. Proven again before it is done.
    ClearLock {
        /// The file, absolute.
        path: String,
    },
    /// Let time pass.
    #[serde(with = "wait_millis")]
    Wait(Duration),
    /// Tell people.
    Notify {
        /// How urgent.
        severity: Severity,
        /// What to say.
        text: String,
    },
    /// Keep a record only.
    LogIncident {
        /// What to record.
        text: String,
    },
    /// Hand the incident to a person.
    Escalate {
        /// What a person should know.
        text: String,
    },
}

mod wait_millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Millis {
        for_ms: u64,
    }

    pub(super) fn serialize<S: Serializer>(
        value: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        Millis {
            for_ms: value.as_millis() as u64,
        }
        .serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        Ok(Duration::from_millis(
            Millis::deserialize(deserializer)?.for_ms,
        ))
    }
}

impl Action {
    /// Its name, as in `mhost brain history`.
    pub fn name(&self) -> &'static str {
        match self {
            Action::Restart { .. } => "restart",
            Action::Reload => "reload",
            Action::Start => "start",
            Action::KillRestart { .. } => "kill_restart",
            Action::Halt { .. } => "halt",
            Action::Stop => "stop",
            Action::ScaleUp { .. } => "scale_up",
            Action::ScaleDown { .. } => "scale_down",
            Action::SetLimit { .. } => "set_limit",
            Action::ClearError => "clear_error",
            Action::UpdateScore => "update_score",
            Action::RunProbe => "run_probe",
            Action::Rollback => "rollback",
            Action::ClearLock { .. } => "clear_lock",
            Action::Wait(_) => "wait",
            Action::Notify { .. } => "notify",
            // Read by people and programs that ask what was *done*: nothing but a record.
            Action::LogIncident { .. } => "log_only",
            Action::Escalate { .. } => "escalate",
        }
    }

    /// Does it change the state of a process?
    pub fn changes_state(&self) -> bool {
        match self {
            Action::Restart { .. }
            | Action::Reload
            | Action::Start
            | Action::KillRestart { .. }
            | Action::Halt { .. }
            | Action::Stop
            | Action::ScaleUp { .. }
            | Action::ScaleDown { .. }
            | Action::SetLimit { .. }
            | Action::ClearError
            | Action::ClearLock { .. }
            | Action::Rollback => true,
            Action::UpdateScore
            | Action::RunProbe
            | Action::Wait(_)
            | Action::Notify { .. }
            | Action::LogIncident { .. }
            | Action::Escalate { .. } => false,
        }
    }
}
