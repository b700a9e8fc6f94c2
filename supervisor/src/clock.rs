//! The one clock.
//!
//! Wall time is an anchor plus the time the runtime has counted since, so that
//! `tokio::time::pause` and `advance` move timers *and* timestamps together and an hour of
//! backoff takes microseconds to test. A background task re-anchors it each minute, so that
//! a corrected system clock is followed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Tells the time. Cheap to clone; all clones agree.
#[derive(Debug, Clone)]
pub struct Clock {
    anchor: Arc<Mutex<Anchor>>,
}

#[derive(Debug, Clone, Copy)]
struct Anchor {
    wall: Timestamp,
    instant: Instant,
}

impl Clock {
    /// A clock anchored to the system's time now. Needs no runtime.
    pub fn system() -> Self {
        Self::anchored(system_time())
    }

    /// A clock that starts at `wall` now: for tests with paused time.
    pub fn anchored(wall: Timestamp) -> Self {
        Self {
            anchor: Arc::new(Mutex::new(Anchor {
                wall,
                instant: Instant::now(),
            })),
        }
    }

    /// The wall time, UTC, in whole milliseconds: what is stored and shown is what was used.
    pub fn now(&self) -> Timestamp {
        let anchor = *self.anchor.lock().unwrap_or_else(PoisonError::into_inner);
        let passed =
            SignedDuration::try_from(anchor.instant.elapsed()).unwrap_or(SignedDuration::ZERO);
        let now = anchor.wall.checked_add(passed).unwrap_or(Timestamp::MAX);
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }

    /// Follows a system clock that was corrected meanwhile.
    pub fn reanchor(&self) {
        let anchor = Anchor {
            wall: system_time(),
            instant: Instant::now(),
        };
        *self.anchor.lock().unwrap_or_else(PoisonError::into_inner) = anchor;
    }

    /// Shows this time from now on, as after somebody set the system's clock.
    #[cfg(test)]
    pub(crate) fn set(&self, wall: Timestamp) {
        let anchor = Anchor {
            wall,
            instant: Instant::now(),
        };
        *self.anchor.lock().unwrap_or_else(PoisonError::into_inner) = anchor;
    }

    /// When those who look once each `period` look next: the same instant for all of them, so
    /// that a daemon at rest wakes once for many and not many times for one each.
    pub fn beat(&self, period: Duration) -> Instant {
        let period_ms = i64::try_from(period.as_millis()).unwrap_or(i64::MAX).max(1);
        let since_ms = self.now().as_millisecond().rem_euclid(period_ms);
        Instant::now() + Duration::from_millis((period_ms - since_ms).unsigned_abs())
    }

    /// The runtime instant at which this clock will show `deadline`; now, if that has passed.
    pub fn instant_of(&self, deadline: Timestamp) -> Instant {
        Instant::now() + until(self.now(), deadline)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the system clock"
)]
fn system_time() -> Timestamp {
    Timestamp::now()
}

/// How long from `now` to `then`; zero when it has passed.
pub fn until(now: Timestamp, then: Timestamp) -> Duration {
    Duration::try_from(then.duration_since(now)).unwrap_or(Duration::ZERO)
}

/// `now` plus a duration, saturating at the end of time.
pub fn after(now: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_looks_at_the_same_pace_looks_at_the_same_time() {
        let clock =
            Clock::anchored(Timestamp::from_millisecond(1_800_000_001_234).expect("a time"));
        let five = Duration::from_secs(5);
        let beat = clock.beat(five);
        assert_eq!(beat - Instant::now(), Duration::from_millis(3_766));
        tokio::time::advance(Duration::from_millis(3_000)).await;
        assert_eq!(clock.beat(five), beat);
        tokio::time::advance(Duration::from_millis(766)).await;
        assert_eq!(clock.beat(five), beat + five, "never now");
    }

    #[tokio::test(start_paused = true)]
    async fn follows_paused_time() {
        let clock = Clock::system();
        let before = clock.now();
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(until(before, clock.now()), Duration::from_secs(3600));
    }
}
