//! How much may be done without a person.
//!
//! A rolling hour over everything, a rolling hour per process, a cooldown per playbook and
//! process, and a pause after three failures in a row. This file only compares: what was
//! done is counted by the brain's store, so the budget survives the daemon. Only actions
//! that change state and that nobody approved count.

use std::time::Duration;

use brain::BudgetUse;
use jiff::Timestamp;
use supervisor::units::format_duration;
use supervisor::{after, until};

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

    /// From what was done in the last [`WINDOW`], the last run of the playbook on the
    /// process, and a pause with its end and reason.
    pub fn of(
        limits: &Limits,
        used: BudgetUse,
        last_run: Option<Timestamp>,
        paused: Option<(Timestamp, String)>,
        now: Timestamp,
    ) -> Self {
        let rest = |end: Timestamp| Some(until(now, end)).filter(|rest| !rest.is_zero());
        Self {
            hour_used: used.all,
            hour_max: limits.per_hour,
            process_used: used.process,
            process_max: limits.per_process,
            cooling: last_run.and_then(|last| rest(after(last, limits.cooldown))),
            paused: paused.and_then(|(end, why)| Some((rest(end)?, why))),
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

    fn used(all: u32, process: u32) -> BudgetUse {
        BudgetUse {
            all,
            process,
            failed_in_a_row: 0,
        }
    }

    #[test]
    fn an_hour_and_a_process_have_their_own_limit() {
        let of = |all, process| Standing::of(&LIMITS, used(all, process), None, None, at(0));
        assert_eq!(of(3, 1).over(), None);
        assert!(of(4, 0).over().unwrap().contains("4 actions per hour"));
        assert!(of(2, 2).over().unwrap().contains("on one process"));
        assert!(of(2, 2).exhausted() && !of(3, 1).exhausted());
    }

    #[test]
    fn a_playbook_cools_down() {
        let of = |now| Standing::of(&LIMITS, used(0, 0), Some(at(0)), None, at(now));
        assert_eq!(of(100).cooling, Some(Duration::from_secs(200)));
        assert!(of(100).over().unwrap().contains("3m20s"));
        assert!(!of(100).exhausted());
        assert_eq!(of(300).over(), None);
    }

    #[test]
    fn a_pause_ends_by_itself() {
        let paused = Some((at(100), "three failures".to_owned()));
        let of = |now| Standing::of(&LIMITS, used(0, 0), None, paused.clone(), at(now)).over();
        assert!(of(0).unwrap().contains("paused for 1m40s"));
        assert_eq!(of(100), None);
    }
}
