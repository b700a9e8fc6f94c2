//! How soon to connect again, so that a platform in trouble is not hurried.
//!
//! A few connections that end soon are for nothing: platforms move their clients about. After
//! those each pause is twice as long as the one before. A connection that lived ends the count.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use supervisor::backoff;

/// What held so long was a good one.
const LIVED: Duration = Duration::from_secs(60);
/// First pause: the specification of chats says 1 s → 60 s.
const FIRST: Duration = Duration::from_secs(1);

/// The count of connections that ended soon.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Again {
    free: u32,
    longest: Duration,
    soon: u32,
}

impl Again {
    /// So many are for nothing; no pause is longer than this, but for a tenth.
    pub(crate) const fn new(free: u32, longest: Duration) -> Self {
        let soon = 0;
        Self {
            free,
            longest,
            soon,
        }
    }

    /// A connection has ended that held so long, or could not be made at all. Says how long to
    /// wait before the next one. Bots that were cut off together do not come back together.
    pub(crate) fn ended(&mut self, held: Duration) -> Duration {
        if held > LIVED {
            self.soon = 0;
        }
        let before = self.soon;
        self.soon = before.saturating_add(1);
        match before.checked_sub(self.free) {
            None => Duration::ZERO,
            Some(times) => {
                let seed = RandomState::new().hash_one(times);
                backoff::jitter(backoff::delay(FIRST, self.longest, times), seed)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(60);

    /// In whole seconds, without the tenth by which they differ.
    fn pauses(again: &mut Again, times: usize) -> Vec<u64> {
        let pause = |_| again.ended(Duration::ZERO).as_secs_f64();
        let pauses = (0..times).map(pause);
        pauses
            .map(|wait| {
                let near = [0, 1, 2, 4, 8, 16, 32, 60].into_iter();
                let mut near = near.filter(|one| (wait - *one as f64).abs() <= *one as f64 / 10.0);
                near.next().unwrap()
            })
            .collect()
    }

    #[test]
    fn pauses_grow_up_to_the_longest() {
        let mut again = Again::new(0, LONGEST);
        assert_eq!(pauses(&mut again, 8), [1, 2, 4, 8, 16, 32, 60, 60]);
    }

    #[test]
    fn a_few_are_for_nothing_until_one_has_lived() {
        let mut again = Again::new(2, LONGEST);
        assert_eq!(pauses(&mut again, 4), [0, 0, 1, 2]);
        assert_eq!(again.ended(LIVED * 2), Duration::ZERO);
        assert_eq!(pauses(&mut again, 3), [0, 1, 2]);
    }

    #[test]
    fn two_bots_do_not_come_back_together() {
        let pause = || Again::new(0, LONGEST).ended(Duration::ZERO);
        let first = pause();
        assert!((0..100).any(|_| pause() != first));
    }
}
