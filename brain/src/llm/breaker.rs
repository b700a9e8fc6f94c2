//! When a provider is left alone.
//!
//! ```text
//!            5 failures in a row, or it asked for it
//!   Closed ─────────────────────────────────────────► Resting(until)
//!     ▲                                                 │ time is over: one may try
//!     │ it works                                        ▼
//!     └────────────────────────────────────────────── Trying ──it fails──► Resting, twice as long
//! ```
//!
//! Pure: times come from outside.

use std::time::Duration;

use jiff::Timestamp;

/// Failures in a row after which it rests.
const FAILURES: u32 = 5;
/// The first rest. Short enough that an incident of a few minutes still gets an answer.
const REST: Duration = Duration::from_secs(30);
/// The longest one.
const LONGEST: Duration = Duration::from_secs(600);

/// How a provider stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Breaker {
    /// It is asked.
    Closed { failures: u32 },
    /// It is not asked.
    Resting { until: Timestamp, rest: Duration },
    /// One request finds out; should it never end, another may try later.
    Trying { until: Timestamp, rest: Duration },
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// It answered, if only to say that the request is wrong.
    Worked,
    /// It could not be reached, failed, or was late.
    Failed,
    /// It asked to be left alone for so long.
    Asked(Duration),
}

impl Default for Breaker {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl Breaker {
    /// May it be asked? Otherwise how long it still rests.
    pub(super) fn may_ask(&mut self, now: Timestamp) -> Result<(), Duration> {
        match *self {
            Self::Closed { .. } => Ok(()),
            Self::Resting { until, rest } | Self::Trying { until, rest } => {
                if now < until {
                    return Err(supervisor::until(now, until));
                }
                let until = supervisor::after(now, rest);
                *self = Self::Trying { until, rest };
                Ok(())
            }
        }
    }

    /// How it stands after this.
    #[must_use]
    pub(super) fn step(self, input: Input, now: Timestamp) -> Self {
        let resting = |rest: Duration| Self::Resting {
            until: supervisor::after(now, rest),
            rest,
        };
        match (self, input) {
            (Self::Closed { .. } | Self::Resting { .. } | Self::Trying { .. }, Input::Worked) => {
                Self::default()
            }
            (
                Self::Closed { .. } | Self::Resting { .. } | Self::Trying { .. },
                Input::Asked(wait),
            ) => Self::Resting {
                until: supervisor::after(now, wait.min(LONGEST)),
                rest: REST,
            },
            (Self::Closed { failures }, Input::Failed) if failures + 1 < FAILURES => Self::Closed {
                failures: failures + 1,
            },
            (Self::Closed { .. }, Input::Failed) => resting(REST),
            // A request that began before the rest did.
            (Self::Resting { .. }, Input::Failed) => self,
            (Self::Trying { rest, .. }, Input::Failed) => resting((rest * 2).min(LONGEST)),
        }
    }

    /// Until when it rests.
    pub(super) fn resting_until(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Resting { until, .. } if now < until => Some(until),
            Self::Closed { .. } | Self::Resting { .. } | Self::Trying { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn failed(breaker: Breaker, times: u32, second: i64) -> Breaker {
        (0..times).fold(breaker, |breaker, _| {
            breaker.step(Input::Failed, at(second))
        })
    }

    #[test]
    fn it_rests_after_five_failures_and_one_finds_out() {
        let mut breaker = failed(Breaker::default(), 4, 0);
        assert_eq!(breaker.may_ask(at(0)), Ok(()));
        breaker = failed(breaker, 1, 0);
        assert_eq!(breaker.may_ask(at(10)), Err(Duration::from_secs(20)));
        assert_eq!(breaker.resting_until(at(10)), Some(at(30)));
        assert_eq!(breaker.may_ask(at(30)), Ok(()), "one may try");
        assert_eq!(
            breaker.may_ask(at(31)),
            Err(Duration::from_secs(29)),
            "only one"
        );
        let worse = breaker.step(Input::Failed, at(32));
        assert_eq!(worse.resting_until(at(32)), Some(at(92)), "twice as long");
        assert_eq!(breaker.step(Input::Worked, at(32)), Breaker::default());
        assert_eq!(breaker.may_ask(at(60)), Ok(()), "who tried never came back");
    }

    #[test]
    fn a_success_between_failures_begins_anew() {
        let breaker = failed(Breaker::default(), 4, 0).step(Input::Worked, at(1));
        assert_eq!(failed(breaker, 4, 2), Breaker::Closed { failures: 4 });
    }

    #[test]
    fn it_rests_as_long_as_it_asked_and_never_for_ever() {
        let mut breaker = Breaker::default().step(Input::Asked(Duration::from_secs(5)), at(0));
        assert_eq!(breaker.may_ask(at(4)), Err(Duration::from_secs(1)));
        assert_eq!(breaker.may_ask(at(5)), Ok(()));
        let long = Breaker::default().step(Input::Asked(Duration::from_secs(86_400)), at(0));
        assert_eq!(long.resting_until(at(1)), Some(at(600)));
        let mut breaker = failed(Breaker::default(), 5, 0);
        let mut now = 30;
        for _ in 0..20 {
            assert_eq!(breaker.may_ask(at(now)), Ok(()));
            breaker = breaker.step(Input::Failed, at(now));
            now += 600;
        }
    }
}
