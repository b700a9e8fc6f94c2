//! What the attempts of one probe mean. Pure: no I/O and no clock.
//!
//! ```text
//!              `success_threshold` passes in a row
//!   pending ──────────────────────────────────────► pass ◄──┐
//!      │                                             │      │ recovered
//!      └────────► fail ◄─────────────────────────────┘      │
//!                  └────────────────────────────────────────┘
//!          `retries` failures in a row
//! ```
//!
//! Times are counted from the start of the run, so that a corrected system clock changes no
//! verdict. Failures within `start_period` do not count. Before the first verdict attempts come
//! faster than `interval`; then at most one failure per `interval` counts, so that eager
//! attempts find a service sooner but do not give it up sooner.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

use crate::command::view::{HealthStatus, HealthView, ProbeAttempt};
use crate::ids::InstanceId;
use crate::spec::{OnFail, ProbeRole};

/// Attempts that are kept per probe.
const HISTORY: usize = 20;

/// An attempt is late when it takes so many times as long as the slowest of those that passed,
/// and at least so long: a third of a second is more than a busy machine makes of a few
/// milliseconds.
const LATE_TIMES: u64 = 10;
const LATE: Duration = Duration::from_millis(350);
/// Passed attempts from which one knows how long they take.
const LATE_KNOWN: usize = 2;

/// What every kind of probe has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) name: &'static str,
    pub(super) role: ProbeRole,
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
    pub(super) retries: u32,
    pub(super) start_period: Duration,
    pub(super) success_threshold: u32,
    pub(super) on_fail: OnFail,
}

/// What one attempt came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Why it failed; absent when it passed.
    pub(super) error: Option<String>,
    /// The first bytes of what came back.
    pub(super) output: Option<String>,
    /// No attempt could be made, for want of something on our side: nobody failed.
    pub(super) unmade: bool,
}

/// Does an error say that we could not ask, rather than how it is with whom we asked?
pub(super) fn is_ours(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    let ours = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS];
    Errno::from_io_error(error).is_some_and(|errno| ours.contains(&errno))
}

impl Outcome {
    pub(super) fn pass() -> Self {
        Self::default()
    }

    pub(super) fn fail(error: impl Into<String>) -> Self {
        Self {
            error: Some(error.into()),
            ..Self::default()
        }
    }

    /// It could not be tried, for this reason.
    pub(super) fn unmade(error: impl Into<String>) -> Self {
        Self {
            unmade: true,
            ..Self::fail(error)
        }
    }

    pub(super) fn with_output(mut self, output: String) -> Self {
        self.output = Some(output).filter(|text| !text.is_empty());
        self
    }

    pub(super) fn passed(&self) -> bool {
        self.error.is_none()
    }
}

/// What an attempt changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Turn {
    /// No verdict changed.
    Same,
    /// It had passed and fails for the first time; nothing follows from one failure.
    Missed { error: String },
    /// Another `retries` failures are full.
    Failed { error: String, failures: u32 },
    /// It had failed and passes again.
    Recovered { failures: u32, downtime: Duration },
}

/// The state of one probe.
#[derive(Debug)]
pub(super) struct Tracker {
    rules: Rules,
    verdict: HealthStatus,
    passes: u32,
    failures: u32,
    /// When the first and the newest counted failure of the streak began.
    streak: Option<(Duration, Duration)>,
    attempts: VecDeque<ProbeAttempt>,
}

impl Tracker {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            verdict: HealthStatus::Pending,
            passes: 0,
            failures: 0,
            streak: None,
            attempts: VecDeque::new(),
        }
    }

    pub(super) fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(super) fn passes(&self) -> bool {
        self.verdict == HealthStatus::Pass
    }

    /// Has an attempt failed that was not followed by enough that passed?
    pub(super) fn is_failing(&self) -> bool {
        self.failures > 0
    }

    /// Has there been a verdict?
    pub(super) fn settled(&self) -> bool {
        self.verdict != HealthStatus::Pending
    }

    /// After how long an attempt under way is late: much later than those that passed. None
    /// where that says nothing: it does not pass, or would time out by then.
    pub(super) fn late_after(&self) -> Option<Duration> {
        let passed = self.attempts.iter().filter(|attempt| attempt.passed);
        let (count, longest) = passed.fold((0, 0), |(count, longest), attempt| {
            (count + 1, attempt.latency_ms.max(longest))
        });
        let late = Duration::from_millis(longest.saturating_mul(LATE_TIMES)).max(LATE);
        let known = self.passes() && self.failures == 0 && count >= LATE_KNOWN;
        (known && late < self.rules.timeout / 2).then_some(late)
    }

    /// Takes in an attempt that began at `at`, `since` the start of the run.
    pub(super) fn record(
        &mut self,
        at: Timestamp,
        since: Duration,
        took: Duration,
        outcome: Outcome,
    ) -> Turn {
        self.note(at, took, &outcome);
        match outcome.error {
            Some(_) if outcome.unmade => Turn::Same,
            None => self.pass(since + took),
            Some(error) => self.fail(since, error),
        }
    }

    /// Keeps an attempt for whoever looks, and lets nothing follow from it.
    pub(super) fn note(&mut self, at: Timestamp, took: Duration, outcome: &Outcome) {
        if self.attempts.len() == HISTORY {
            self.attempts.pop_front();
        }
        self.attempts.push_back(ProbeAttempt {
            at,
            latency_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            passed: outcome.passed(),
            error: outcome.error.clone(),
            output: outcome.output.clone(),
        });
    }

    fn pass(&mut self, now: Duration) -> Turn {
        self.passes = self.passes.saturating_add(1);
        let enough = self.passes >= self.rules.success_threshold;
        match (self.verdict, enough) {
            // It stays failed, and so do its failures.
            (HealthStatus::Fail, false) => Turn::Same,
            (HealthStatus::Fail, true) => {
                self.verdict = HealthStatus::Pass;
                let failures = std::mem::take(&mut self.failures);
                let first = self.streak.take().map_or(now, |(first, _)| first);
                Turn::Recovered {
                    failures,
                    downtime: now.saturating_sub(first),
                }
            }
            (HealthStatus::Pass | HealthStatus::Pending | HealthStatus::Off, _) => {
                if enough {
                    self.verdict = HealthStatus::Pass;
                }
                self.failures = 0;
                self.streak = None;
                Turn::Same
            }
        }
    }

    fn fail(&mut self, since: Duration, error: String) -> Turn {
        self.passes = 0;
        if !self.counts(since) {
            return Turn::Same;
        }
        self.failures = self.failures.saturating_add(1);
        let first = self.streak.map_or(since, |(first, _)| first);
        self.streak = Some((first, since));
        if !self.failures.is_multiple_of(self.rules.retries.max(1)) {
            return match (self.verdict, self.failures) {
                (HealthStatus::Pass, 1) => Turn::Missed { error },
                _ => Turn::Same,
            };
        }
        self.verdict = HealthStatus::Fail;
        Turn::Failed {
            error,
            failures: self.failures,
        }
    }

    fn counts(&self, since: Duration) -> bool {
        if since < self.rules.start_period {
            return false;
        }
        match (self.verdict, self.streak) {
            (HealthStatus::Pending, Some((_, newest))) => since >= newest + self.rules.interval,
            _ => true,
        }
    }

    /// What a person sees of it.
    pub(super) fn view(&self, instance: &InstanceId) -> HealthView {
        let last = self.attempts.back();
        HealthView {
            name: instance.process.clone(),
            instance: instance.index,
            probe: self.rules.name.to_owned(),
            status: self.verdict,
            last_check: last.map(|attempt| attempt.at),
            latency_ms: last.map(|attempt| attempt.latency_ms),
            error: last.and_then(|attempt| attempt.error.clone()),
            failures: self.failures,
            attempts: self.attempts.iter().cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules {
            name: "tcp",
            role: ProbeRole::Whole,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(2),
            retries: 3,
            start_period: Duration::ZERO,
            success_threshold: 1,
            on_fail: OnFail::Restart,
        }
    }

    /// Feeds (second, passed) and returns the turns that said something.
    fn turns(rules: Rules, attempts: &[(i64, bool)]) -> (Tracker, Vec<(i64, Turn)>) {
        let mut tracker = Tracker::new(rules);
        let mut said = Vec::new();
        for (second, passed) in attempts {
            let outcome = match passed {
                true => Outcome::pass(),
                false => Outcome::fail("refused"),
            };
            let at = Timestamp::from_second(1_000_000 + second).expect("in range");
            let since = Duration::from_secs(second.unsigned_abs());
            match tracker.record(at, since, Duration::ZERO, outcome) {
                Turn::Same | Turn::Missed { .. } => {}
                turn => said.push((*second, turn)),
            }
        }
        (tracker, said)
    }

    fn failed(failures: u32) -> Turn {
        Turn::Failed {
            error: "refused".into(),
            failures,
        }
    }

    /// A daemon without descriptors does not restart what is well.
    #[test]
    fn what_could_not_be_tried_counts_for_nothing() {
        let (mut tracker, _) = turns(rules(), &[(0, true)]);
        let at = Timestamp::from_second(1_000_000).expect("in range");
        for second in 1..10 {
            let unmade = Outcome::unmade("too many open files");
            let since = Duration::from_secs(second * 10);
            let turn = tracker.record(at, since, Duration::ZERO, unmade);
            assert_eq!(turn, Turn::Same);
        }
        assert!(tracker.passes());
        let view = tracker.view(&InstanceId::new("a".parse().expect("valid"), 0));
        assert_eq!(
            view.error.as_deref(),
            Some("too many open files"),
            "it is told"
        );
        for errno in [rustix::io::Errno::MFILE, rustix::io::Errno::NOMEM] {
            assert!(is_ours(&errno.into()));
        }
        assert!(!is_ours(&rustix::io::Errno::CONNREFUSED.into()));
    }

    #[test]
    fn fails_after_retries_and_says_so_once_per_retries() {
        let attempts: Vec<_> = (0..8)
            .map(|i| (i * 10, i == 0))
            .chain([(80, true)])
            .collect();
        let (tracker, said) = turns(rules(), &attempts);
        let recovered = Turn::Recovered {
            failures: 7,
            downtime: Duration::from_secs(70),
        };
        assert_eq!(said, [(30, failed(3)), (60, failed(6)), (80, recovered)]);
        assert!(tracker.passes());
    }

    #[test]
    fn the_first_failure_after_a_pass_is_a_miss() {
        let mut tracker = Tracker::new(rules());
        let mut record = |second: i64, passed| {
            let outcome = match passed {
                true => Outcome::pass(),
                false => Outcome::fail("refused"),
            };
            let at = Timestamp::from_second(1_000_000 + second).expect("in range");
            let since = Duration::from_secs(second.unsigned_abs());
            tracker.record(at, since, Duration::ZERO, outcome)
        };
        let missed = Turn::Missed {
            error: "refused".into(),
        };
        // What never passed misses nothing.
        assert_eq!(record(0, false), Turn::Same);
        assert_eq!(record(10, true), Turn::Same);
        assert_eq!(record(20, false), missed);
        assert_eq!(record(30, false), Turn::Same);
        assert_eq!(record(40, false), failed(3));
        assert_eq!(record(50, false), Turn::Same);
    }

    #[test]
    fn late_is_what_takes_far_longer_than_usual() {
        let mut tracker = Tracker::new(rules());
        let at = Timestamp::from_second(1_000_000).expect("in range");
        let mut pass = |second, ms| {
            let took = Duration::from_millis(ms);
            tracker.record(at, Duration::from_secs(second), took, Outcome::pass());
            tracker.late_after()
        };
        assert_eq!(pass(10, 3), None, "one attempt says little");
        assert_eq!(pass(20, 4), Some(LATE));
        assert_eq!(pass(30, 80), Some(Duration::from_millis(800)));
        assert_eq!(pass(40, 150), None, "it would soon time out anyway");
    }

    #[test]
    fn a_pass_ends_the_streak() {
        let (tracker, said) = turns(
            rules(),
            &[
                (0, true),
                (10, false),
                (20, false),
                (30, true),
                (40, false),
                (50, false),
            ],
        );
        assert!(said.is_empty() && tracker.passes());
    }

    #[test]
    fn eager_failures_count_once_per_interval() {
        let attempts: Vec<_> = (0..=20).map(|second| (second, false)).collect();
        let (tracker, said) = turns(rules(), &attempts[..20]);
        assert!(said.is_empty() && !tracker.settled());
        let (tracker, said) = turns(rules(), &attempts);
        assert_eq!(said, [(20, failed(3))]);
        assert!(tracker.settled());
    }

    #[test]
    fn the_start_period_forgives() {
        let rules = Rules {
            start_period: Duration::from_secs(30),
            retries: 1,
            ..rules()
        };
        let (tracker, said) = turns(rules, &[(1, false), (15, false), (29, false)]);
        assert!(said.is_empty());
        assert_eq!(tracker.failures, 0);
        assert_eq!(
            turns(rules, &[(1, false), (30, false)]).1,
            [(30, failed(1))]
        );
    }

    #[test]
    fn waits_for_the_success_threshold() {
        let rules = Rules {
            success_threshold: 3,
            retries: 1,
            ..rules()
        };
        let (tracker, _) = turns(rules, &[(0, true), (10, true)]);
        assert!(!tracker.settled());
        let (_, said) = turns(
            rules,
            &[
                (0, false),
                (10, true),
                (20, true),
                (30, false),
                (40, true),
                (50, true),
                (60, true),
            ],
        );
        let recovered = Turn::Recovered {
            failures: 2,
            downtime: Duration::from_secs(60),
        };
        assert_eq!(said, [(0, failed(1)), (30, failed(2)), (60, recovered)]);
    }

    #[test]
    fn keeps_the_newest_attempts() {
        let attempts: Vec<_> = (0..50).map(|i| (i, i % 2 == 0)).collect();
        let (tracker, _) = turns(rules(), &attempts);
        let instance = InstanceId::new("api".parse().expect("a name"), 2);
        let view = tracker.view(&instance);
        assert_eq!(view.attempts.len(), HISTORY);
        assert_eq!(view.last_check, view.attempts.last().map(|a| a.at));
        assert_eq!((view.instance, view.error.as_deref()), (2, Some("refused")));
    }
}
