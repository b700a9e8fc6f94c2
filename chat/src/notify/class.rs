//! What a message is about: a crash and the recovery from it are of one class.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A class of events. With host and process it is the name of an alert at a pager, the same
/// for the failure and for the recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is named after its events")]
pub enum Class {
    Crash,
    Health,
    Memory,
    Restart,
    Deploy,
    Agent,
    Approval,
    Score,
    Escalation,
    Certificate,
    Disk,
    Sink,
    Daemon,
    Flapping,
    Digest,
    Test,
}

impl Class {
    /// Is it trouble of a process that is over once that is up for a minute?
    pub(super) fn is_of_incidents(self) -> bool {
        matches!(
            self,
            Self::Crash | Self::Health | Self::Memory | Self::Deploy | Self::Flapping
        )
    }

    /// Do the rules make both its beginning and its end?
    pub(super) fn ends_by_itself(self) -> bool {
        matches!(self, Self::Flapping | Self::Digest)
    }

    /// Are people told of its end? What the agent asked or handed over ends with what it or a
    /// person does, and that is told as itself.
    pub(super) fn end_is_news(self) -> bool {
        !matches!(self, Self::Approval | Self::Escalation | Self::Agent)
    }

    /// Its word in the keys of alerts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Health => "health",
            Self::Memory => "memory",
            Self::Restart => "restart",
            Self::Deploy => "deploy",
            Self::Agent => "agent",
            Self::Approval => "approval",
            Self::Score => "score",
            Self::Escalation => "escalation",
            Self::Certificate => "certificate",
            Self::Disk => "disk",
            Self::Sink => "sink",
            Self::Daemon => "daemon",
            Self::Flapping => "flapping",
            Self::Digest => "digest",
            Self::Test => "test",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
