//! What can be told, and how bad it is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Class;

/// How bad something is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    #[default]
    Info,
    /// Somebody should look.
    Warning,
    /// Somebody must act.
    Critical,
}

impl Severity {
    /// All, from the mildest.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// Its word: `info`, `warning`, `critical`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// Its colour as 0xRRGGBB.
    pub fn colour(self) -> u32 {
        match self {
            Self::Info => 0x2e_b6_7d,
            Self::Warning => 0xec_b2_2e,
            Self::Critical => 0xe0_1e_5a,
        }
    }

    /// The sign before a title.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Info => "🟢",
            Self::Warning => "🟡",
            Self::Critical => "🔴",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Severity {
    type Err = UnknownEvent;

    fn from_str(text: &str) -> Result<Self, UnknownEvent> {
        let found = Self::ALL.into_iter().find(|one| one.as_str() == text);
        found.ok_or_else(|| UnknownEvent::of(text, Self::ALL.iter().map(|one| one.as_str())))
    }
}

/// A word that names nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is unknown{}", .near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
pub struct UnknownEvent {
    /// What was written.
    pub given: String,
    /// The word that is most like it.
    pub near: Option<&'static str>,
}

impl UnknownEvent {
    pub(super) fn of(given: &str, known: impl Iterator<Item = &'static str>) -> Self {
        let near = known
            .map(|word| (strsim::damerau_levenshtein(given, word), word))
            .min()
            .filter(|(far, _)| *far <= 3);
        Self {
            given: given.chars().take(64).collect(),
            near: near.map(|(_, word)| word),
        }
    }
}

/// One row each: variant, its word, its severity, the class it belongs to, what it tells.
macro_rules! events {
    ($($(#[$doc:meta])* $variant:ident, $word:literal, $severity:ident, $class:ident;)*) => {
        /// What can be told.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum EventName { $($(#[$doc])* $variant,)* }

        impl EventName {
            /// All, in the order of the reference.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its word in settings and bodies.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// How bad it is when nothing else is known.
            pub fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }

            /// What it is about. Events of a class replace each other.
            pub fn class(self) -> Class {
                match self { $(Self::$variant => Class::$class,)* }
            }
        }
    };
}

events! {
    /// A program died.
    Crash, "crash", Warning, Crash;
    /// It will not be tried again by itself.
    Errored, "errored", Critical, Crash;
    /// Its probe fails.
    HealthFail, "health_fail", Warning, Health;
    /// All is well again: the probe passes, or the process is up for a minute after a crash.
    HealthRecover, "health_recover", Info, Health;
    /// It uses more memory than it may.
    MemoryExceeded, "memory_exceeded", Warning, Memory;
    /// A new run followed an old one.
    Restart, "restart", Info, Restart;
    /// It was stopped by somebody.
    Stop, "stop", Info, Restart;
    /// A deploy began.
    DeployStart, "deploy_start", Info, Deploy;
    /// A deploy ended well.
    DeployDone, "deploy_done", Info, Deploy;
    /// A deploy failed.
    DeployFailed, "deploy_failed", Critical, Deploy;
    /// A playbook acted.
    BrainHeal, "brain_heal", Info, Agent;
    /// The health score fell below a threshold.
    HealthScoreLow, "health_score_low", Warning, Score;
    /// The agent acted.
    AgentAction, "agent_action", Info, Agent;
    /// The agent asks.
    AgentApproval, "agent_approval", Warning, Approval;
    /// Nobody answered in time, or mhost has no cure.
    Escalated, "escalated", Critical, Escalation;
    /// A certificate ends soon.
    CertExpiring, "cert_expiring", Warning, Certificate;
    /// A disk is nearly full.
    DiskLow, "disk_low", Warning, Disk;
    /// A place that log lines are sent to does not answer.
    SinkDown, "sink_down", Warning, Sink;
    /// The daemon came up.
    DaemonStarted, "daemon_started", Info, Daemon;
    /// A process goes up and down; nothing more is told until it is stable.
    Flapping, "flapping", Warning, Flapping;
    /// Several things in one message.
    Digest, "digest", Info, Digest;
    /// Sent to see whether a channel works.
    Test, "test", Info, Test;
}

impl EventName {
    /// Does it begin trouble that lasts until something resolves it?
    pub fn opens(self) -> bool {
        matches!(
            self,
            Self::Crash
                | Self::Errored
                | Self::HealthFail
                | Self::MemoryExceeded
                | Self::DeployFailed
        )
    }

    /// Does it end trouble of its class?
    pub fn resolves(self) -> bool {
        matches!(self, Self::HealthRecover | Self::DeployDone)
    }

    /// Does the process go up or down with it?
    pub fn changes_state(self) -> bool {
        matches!(
            self,
            Self::Crash | Self::Errored | Self::HealthFail | Self::HealthRecover
        )
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for EventName {
    type Err = UnknownEvent;

    fn from_str(text: &str) -> Result<Self, UnknownEvent> {
        let found = Self::ALL.iter().copied().find(|one| one.as_str() == text);
        found.ok_or_else(|| UnknownEvent::of(text, Self::ALL.iter().map(|one| one.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_as_they_are_written_and_a_wrong_one_has_a_near_one() {
        for event in EventName::ALL {
            assert_eq!(event.as_str().parse(), Ok(*event));
            assert_eq!(
                serde_json::to_value(event).unwrap(),
                event.as_str(),
                "the body says the same"
            );
        }
        let wrong = "crahs".parse::<EventName>().unwrap_err();
        assert_eq!(
            wrong.to_string(),
            "`crahs` is unknown; did you mean `crash`?"
        );
        let wrong = "something else".parse::<EventName>().unwrap_err();
        assert_eq!(wrong.to_string(), "`something else` is unknown");
        assert!(Severity::Critical > Severity::Warning && Severity::Warning > Severity::Info);
    }
}
