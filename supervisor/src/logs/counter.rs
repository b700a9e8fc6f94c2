//! How much an instance printed: in all, and lately.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How far back [`Counter::within`] can look: one bucket a second.
const SECONDS: usize = 60;

/// Bytes of one instance, both streams.
#[derive(Debug, Default)]
pub(super) struct Counter(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    total: u64,
    /// Lines that were lost.
    dropped: u64,
    /// The second of the newest bucket.
    second: i64,
    /// Of those who print something: most of a crowd of programs never do.
    buckets: Option<Box<[u32; SECONDS]>>,
}

impl Inner {
    /// The buckets, the newest of which is that of this second or of a later one.
    fn advance(&mut self, second: i64) -> &mut [u32; SECONDS] {
        let steps = second.saturating_sub(self.second).max(0);
        self.second = self.second.max(second);
        let buckets = self.buckets.get_or_insert_with(|| Box::new([0; SECONDS]));
        for step in 1..=steps.min(SECONDS as i64) {
            let place = (second - steps + step).rem_euclid(SECONDS as i64);
            buckets[place as usize] = 0;
        }
        if steps >= SECONDS as i64 {
            buckets.fill(0);
        }
        buckets
    }
}

impl Counter {
    pub(super) fn add(&self, now_ms: i64, bytes: u64) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.total += bytes;
        let second = now_ms.div_euclid(1000).max(inner.second);
        let bucket = &mut inner.advance(second)[second.rem_euclid(SECONDS as i64) as usize];
        *bucket = bucket.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    pub(super) fn lose(&self, lines: u64) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.dropped += lines;
    }

    /// Lines that were lost for want of room.
    pub(super) fn dropped(&self) -> u64 {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.dropped
    }

    pub(super) fn total(&self) -> u64 {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.total
    }

    /// Bytes of the last `window`, in whole seconds and at most a minute.
    pub(super) fn within(&self, now_ms: i64, window: Duration) -> u64 {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let second = now_ms.div_euclid(1000);
        let seconds = window.as_secs().clamp(1, SECONDS as u64) as i64;
        // Asked twice a second of everybody, and most are silent.
        if inner.buckets.is_none() || second.saturating_sub(inner.second) >= seconds {
            return 0;
        }
        let newest = second.max(inner.second);
        let buckets = inner.advance(second);
        (0..seconds)
            .map(|back| (newest - back).rem_euclid(SECONDS as i64) as usize)
            .map(|place| u64::from(buckets[place]))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_silent_weighs_little() {
        let counter = Counter::default();
        let buckets = || counter.0.lock().expect("no panic").buckets.is_some();
        assert_eq!(counter.within(100_000, Duration::from_secs(60)), 0);
        counter.lose(1);
        assert!(!buckets());
        counter.add(100_000, 7);
        // A clock that was set back counts on in the newest second.
        counter.add(90_000, 1);
        assert_eq!(counter.within(100_000, Duration::from_secs(1)), 8);
        assert!(buckets());
    }

    #[test]
    fn forgets_what_is_older_than_the_window() {
        let counter = Counter::default();
        for second in 0..100 {
            counter.add(second * 1000, 10);
        }
        assert_eq!(counter.total(), 1000);
        assert_eq!(counter.within(99_500, Duration::from_secs(5)), 50);
        assert_eq!(counter.within(99_500, Duration::from_secs(3600)), 600);
        assert_eq!(counter.within(109_500, Duration::from_secs(10)), 0);
        assert_eq!(counter.within(108_500, Duration::from_secs(10)), 10);
        assert_eq!(counter.within(109_500, Duration::from_secs(20)), 100);
        assert_eq!(counter.within(300_000, Duration::from_secs(60)), 0);
    }
}
