//! When an instance wants to be woken. Pure, as all of the machine.

use std::time::Duration;

use jiff::Timestamp;

use super::{KILL_WAIT, ONLINE_AFTER, Rules};
use crate::clock::{after, until};
use crate::state::{Hold, Saved, State};

/// When an instance wants [`Input::Woken`](super::Input::Woken).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wake {
    /// By the wall clock that was shown when it was decided.
    pub deadline: Timestamp,
    /// The most it may have to wait at all.
    pub longest: Duration,
}

impl Wake {
    /// How long it is from now. Never more than it may have to wait at all: a deadline beyond
    /// that is of a clock that was set back since.
    pub fn wait(&self, now: Timestamp) -> Duration {
        until(now, self.deadline).min(self.longest)
    }
}

/// What the instance waits for, if it is a time.
pub fn wake(saved: &Saved, rules: &Rules) -> Option<Wake> {
    let (deadline, longest) = match &saved.state {
        State::Starting { run, extended, .. } => {
            let wait = if rules.awaited().is_nothing() {
                rules.min_uptime.min(ONLINE_AFTER)
            } else {
                rules.start_timeout
            };
            let deadline = after(run.started_at, wait);
            match extended {
                Some(extended) if *extended > deadline => {
                    (*extended, until(run.started_at, *extended))
                }
                _ => (deadline, wait),
            }
        }
        State::Stopping { deadline, .. } => (*deadline, rules.grace_period.max(KILL_WAIT)),
        State::Errored {
            hold: Hold::Retrying { next_at, .. },
        } if !rules.unwanted => {
            // Twice, for the jitter.
            let longest = rules.max_restart_delay.max(rules.restart_delay) * 2;
            (*next_at, longest)
        }
        State::Stopped | State::Spawning { .. } | State::Online { .. } | State::Errored { .. } => {
            return None;
        }
    };
    Some(Wake { deadline, longest })
}
