//! How much may be done without a person.
//!
//! A rolling hour over everything, a rolling hour per process, a cooldown per playbook and
//! process, and a pause after three failures in a row. This file only counts and compares:
//! what was done stands in the brain's store, so the budget survives the daemon. Only
//! actions that change state and that nobody approved count.

use std::time::Duration;

use jiff::Timestamp;
use supervisor::units::format_duration;
use supervisor::until;

/// The window in which actions are counted.
pub const WINDOW: Duration = Duration::from_secs(3600);

/// Failed actions in a row after which nothing is done for [`FAILURE_PAUSE`].
pub const FAILURES_IN_A_ROW: u32 = 3;

/// How long the agent keeps its hands off after [`FAILURES_IN_A_ROW`].
pub const FAILURE_PAUSE: Duration = Duration::from_secs(3600);

/// The limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Actions per hour.
    pub per_hour: u32,
    /// Actions per process and hour.
    pub per_process: u32,
    /// Between two runs of one playbook on one process.
    pub cooldown: Duration,
}

/// Something that was done by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spent {
    /// When.
    pub at: Timestamp,
    /// To which process.
    pub process: String,
    /// By which playbook.
    pub playbook: String,
    /// Which plan it belonged to: the cooldown is between plans, not within one.
    pub plan: i64,
}

/// Where the budget stands for one playbook on one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Actions of the last hour.
    pub hour_used: u32,
    /// How many there may be.
    pub hour_max: u32,
    /// Actions of the last hour on this process.
    pub process_used: u32,
    /// How many there may be.
    pub process_max: u32,
    /// How long until this playbook may act on this process again.
    pub cooling: Option<Duration>,
    /// How long nothing is done at all, and why.
    pub paused: Option<(Duration, String)>,
}

impl Standing {
    /// Nothing has been done yet, with the default limits.
    pub fn fresh() -> Self {
        Self {
            hour_used: 0,
            hour_max: 10,
            process_used: 0,
            process_max: 3,
            cooling: None,
            paused: None,
        }
    }

    /// Why nothing more may be done without asking, if so.
    pub fn over(&self) -> Option<String> {
        if let Some((rest, why)) = &self.paused {
            return Some(format!("paused for {} more: {why}", coarse(*rest)));
        }
        if self.hour_used >= self.hour_max {
            return Some(format!(
                "the budget of {} actions per hour is used up",
                self.hour_max
            ));
        }
        if self.process_used >= self.process_max {
            return Some(format!(
                "the budget of {} actions per hour on one process is used up",
                self.process_max
            ));
        }
        self.cooling.map(|rest| {
            format!(
                "the same was done here a moment ago; {} of its cooldown are left",
                coarse(rest)
            )
        })
    }

    /// Is the budget itself used up, apart from cooldown and pause?
    pub fn exhausted(&self) -> bool {
        self.hour_used >= self.hour_max || self.process_used >= self.process_max
    }
}

fn coarse(duration: Duration) -> String {
    format_duration(Duration::from_secs(duration.as_secs().max(1)))
}

/// Counts what was done in the last hour against the limits.
pub fn standing(
    limits: &Limits,
    spent: &[Spent],
    process: &str,
    playbook: &str,
    now: Timestamp,
    paused: Option<(Timestamp, String)>,
) -> Standing {
    let recent = || spent.iter().filter(|one| until(one.at, now) < WINDOW);
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let cooling = recent()
        .filter(|one| one.process == process && one.playbook == playbook)
        .map(|one| limits.cooldown.saturating_sub(until(one.at, now)))
        .min()
        .filter(|rest| !rest.is_zero());
    Standing {
        hour_used: count(recent().count()),
        hour_max: limits.per_hour,
        process_used: count(recent().filter(|one| one.process == process).count()),
        process_max: limits.per_process,
        cooling,
        paused: paused
            .map(|(end, why)| (until(now, end), why))
            .filter(|(rest, _)| !rest.is_zero()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        per_hour: 4,
        per_process: 2,
        cooldown: Duration::from_secs(300),
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + seconds).unwrap()
    }

    fn did(seconds: i64, process: &str, playbook: &str) -> Spent {
        Spent {
            at: at(seconds),
            process: process.into(),
            playbook: playbook.into(),
            plan: seconds,
        }
    }

    #[test]
    fn hours_roll() {
        let spent = [did(0, "a", "x"), did(10, "a", "x"), did(20, "b", "x")];
        let of = |process: &str, now| standing(&LIMITS, &spent, process, "y", at(now), None);
        assert_eq!(of("a", 30).process_used, 2);
        assert!(of("a", 30).over().unwrap().contains("on one process"));
        assert_eq!(of("b", 30).over(), None);
        // 3600 s after the first one it is no longer counted.
        assert_eq!(of("a", 3599).process_used, 2);
        assert_eq!(of("a", 3600).process_used, 1);
        assert_eq!(of("a", 3600).over(), None);
        let many = [
            did(0, "a", "x"),
            did(0, "b", "x"),
            did(0, "c", "x"),
            did(0, "d", "x"),
        ];
        let full = standing(&LIMITS, &many, "e", "y", at(1), None);
        assert!(full.exhausted() && full.over().unwrap().contains("4 actions per hour"));
    }

    #[test]
    fn a_playbook_cools_down_on_its_process_only() {
        let spent = [did(0, "a", "x")];
        let of = |process: &str, playbook: &str, now| {
            standing(&LIMITS, &spent, process, playbook, at(now), None).cooling
        };
        assert_eq!(of("a", "x", 100), Some(Duration::from_secs(200)));
        assert_eq!(of("a", "x", 300), None);
        assert_eq!(of("a", "y", 100), None);
        assert_eq!(of("b", "x", 100), None);
    }

    #[test]
    fn a_pause_ends_by_itself() {
        let paused = Some((at(100), "three failures".to_owned()));
        let of = |now| standing(&LIMITS, &[], "a", "x", at(now), paused.clone()).over();
        assert!(of(0).unwrap().contains("paused for 1m40s"));
        assert_eq!(of(100), None);
    }
}
