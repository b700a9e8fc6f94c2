//! How fast Discord is written to: as fast as its answers say.
//!
//! Each answer says how many more of its kind may follow and when the count begins anew. What
//! would be one too many waits; and whoever is told to wait all the same is left alone until
//! then, alone or with all others.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::failure::{Failure, seconds};

/// Longest wait for one's turn; what has to wait longer is told so.
const PATIENCE: Duration = Duration::from_secs(10);
/// Kinds that are remembered before those whose count is over are dropped.
const MOST: usize = 1_000;

/// What an answer says of its kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Left {
    count: u32,
    until: Duration,
}

impl Left {
    /// From the two headers that say so.
    pub(super) fn of(remaining: Option<f64>, reset_after: Option<f64>) -> Option<Self> {
        let count = remaining.filter(|count| *count >= 0.0)?;
        Some(Self {
            // A count that is too large is as good as none.
            count: count as u32,
            until: seconds(reset_after?)?,
        })
    }
}

#[derive(Debug, Clone, Copy)]
struct Counted {
    left: u32,
    until: Instant,
}

/// The counts, and who is to be left alone.
#[derive(Debug, Default)]
pub(super) struct Flow {
    kinds: Mutex<HashMap<String, Counted>>,
    all: Mutex<Option<Instant>>,
}

impl Flow {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Waits until one of this kind may be sent.
    ///
    /// # Errors
    /// A refusal with the time to wait, when that is longer than anybody should stand here.
    pub(super) async fn admit(&self, kind: &str) -> Result<(), Failure> {
        loop {
            let Some(wait) = self.turn(kind) else {
                return Ok(());
            };
            if wait > PATIENCE {
                return Err(Failure {
                    status: Some(429),
                    after: Some(wait),
                    text: "it has to wait".into(),
                    ..Failure::default()
                });
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// How long it has to wait; none when it was let through, and is counted.
    fn turn(&self, kind: &str) -> Option<Duration> {
        let now = Instant::now();
        let after = |until: Instant| (until > now).then(|| until - now);
        if let Some(wait) = lock(&self.all).and_then(after) {
            return Some(wait);
        }
        let mut kinds = lock(&self.kinds);
        let counted = kinds.get_mut(kind)?;
        let Some(wait) = after(counted.until) else {
            kinds.remove(kind);
            return None;
        };
        if counted.left == 0 {
            return Some(wait);
        }
        counted.left -= 1;
        None
    }

    /// An answer says how many may follow.
    pub(super) fn left(&self, kind: &str, left: Left) {
        let now = Instant::now();
        let mut kinds = lock(&self.kinds);
        if kinds.len() > MOST {
            kinds.retain(|_, counted| counted.until > now);
        }
        let until = now + left.until;
        let left = left.count;
        kinds.insert(kind.to_owned(), Counted { left, until });
    }

    /// It was too fast: nothing of this kind, or nothing at all, for so long.
    pub(super) fn hold(&self, kind: &str, wait: Duration, all: bool) {
        let until = Instant::now() + wait;
        if all {
            *lock(&self.all) = Some(until);
        } else {
            let left = 0;
            lock(&self.kinds).insert(kind.to_owned(), Counted { left, until });
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: &str = "POST /channels/7/messages";

    fn left(count: f64, after: f64) -> Left {
        Left::of(Some(count), Some(after)).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn what_would_be_one_too_many_waits_for_the_next_count() {
        let flow = Flow::new();
        let begun = Instant::now();
        flow.admit(KIND).await.unwrap();
        flow.left(KIND, left(2.0, 5.0));
        for _ in 0..2 {
            flow.admit(KIND).await.unwrap();
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
        flow.admit("PATCH /channels/7/messages").await.unwrap();
        assert_eq!(begun.elapsed(), Duration::ZERO, "another kind is not meant");
        flow.admit(KIND).await.unwrap();
        assert!(begun.elapsed() >= Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_wait_is_told_and_a_short_one_is_waited_for() {
        let flow = Flow::new();
        flow.hold(KIND, Duration::from_secs(30), false);
        let failure = flow.admit(KIND).await.unwrap_err();
        assert_eq!(failure.wait(), Some(Duration::from_secs(30)));
        flow.admit("GET /users/@me").await.unwrap();
        flow.hold("GET /users/@me", Duration::from_secs(20), true);
        assert!(flow.admit("DELETE /x").await.is_err(), "all are meant");
        tokio::time::advance(Duration::from_secs(15)).await;
        let begun = Instant::now();
        flow.admit("DELETE /x").await.unwrap();
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
    }

    #[test]
    fn headers_that_say_nothing_are_passed_over() {
        assert_eq!(Left::of(None, Some(1.0)), None);
        assert_eq!(Left::of(Some(1.0), None), None);
        assert_eq!(Left::of(Some(-1.0), Some(1.0)), None);
        assert_eq!(Left::of(Some(1.0), Some(f64::NAN)), None);
        assert!(Left::of(Some(f64::INFINITY), Some(1.0)).is_some());
    }
}
