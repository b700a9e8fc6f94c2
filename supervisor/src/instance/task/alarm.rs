//! When the loop wakes by itself.
//!
//! Deadlines are wall times, so that they outlive the daemon. The wait for one is counted by
//! the monotonic clock from when it was first seen: a clock that is set back meanwhile delays
//! nothing, however often the loop turns.

use jiff::Timestamp;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::machine::Wake;

/// The deadline that is waited for, and when it is over.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    armed: Option<(Timestamp, Instant)>,
}

impl Alarm {
    /// When to wake for this, asked at each turn. A clock that is set forward makes it sooner.
    pub(super) fn at(&mut self, wake: Option<Wake>, clock: &Clock) -> Option<Instant> {
        self.armed = wake.map(|wake| {
            let fresh = Instant::now() + wake.wait(clock.now());
            match self.armed {
                Some((deadline, at)) if deadline == wake.deadline => (deadline, at.min(fresh)),
                _ => (wake.deadline, fresh),
            }
        });
        self.armed.map(|(_, at)| at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A probe that is tried each second turns the loop each second.
    #[tokio::test(start_paused = true)]
    async fn a_clock_that_is_set_back_does_not_put_it_off_at_each_turn() {
        let day = Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(24);
        let (seconds, second) = (Duration::from_secs, Duration::from_secs(1));
        let wake = |seconds_on: u64| Wake {
            deadline: crate::clock::after(day, seconds(seconds_on)),
            longest: seconds(10),
        };
        let begun = Instant::now();
        let mut alarm = Alarm::default();
        let clock = Clock::anchored(day);
        assert_eq!(alarm.at(Some(wake(5)), &clock), Some(begun + seconds(5)));
        tokio::time::advance(second).await;
        let set_back = Clock::anchored(Timestamp::UNIX_EPOCH);
        for _ in 0..3 {
            let at = alarm.at(Some(wake(5)), &set_back);
            assert_eq!(at, Some(begun + seconds(5)), "at the next turn");
            tokio::time::advance(second).await;
        }
        // One that is new is waited for as long as it may be, and no longer.
        let renewed = Instant::now();
        for _ in 0..3 {
            let at = alarm.at(Some(wake(7)), &set_back);
            assert_eq!(at, Some(renewed + seconds(10)));
            tokio::time::advance(second).await;
        }
        let forward = Clock::anchored(crate::clock::after(day, seconds(60)));
        assert_eq!(alarm.at(Some(wake(7)), &forward), Some(Instant::now()));
        assert_eq!(alarm.at(None, &forward), None);
    }
}
