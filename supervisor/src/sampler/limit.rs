//! The memory limit of a run: when it is broken, and when to look again.
//!
//! ```text
//!   far below ── each second ──► close, by its growth ── just when it may be reached ──► above
//!                                                                                          │
//!              still grows 150 ms later, or still above 1 s later, or above 120 % at once ─┴─► breach
//! ```
//!
//! A leak of 50 MB/s is so told of before it is at 110 % of a limit of a few hundred MB, and a
//! short peak of a program that collects its garbage is none.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::MemoryBreach;

/// Time between two looks at a tree that is far from its limit, or does not grow.
const FAR: Duration = Duration::from_secs(1);
/// The least time between two looks.
pub(super) const NEAR: Duration = Duration::from_millis(100);
/// What is above its limit is looked at again after this.
const AGAIN: Duration = Duration::from_millis(150);

/// A limit, and who is told of a breach.
#[derive(Debug)]
pub(super) struct Limit {
    bytes: u64,
    breach: Option<mpsc::Sender<MemoryBreach>>,
    /// The last look.
    last: (Instant, u64),
    /// The first look at which it was above.
    above: Option<(Instant, u64)>,
    /// When to look again.
    due: Instant,
}

impl Limit {
    /// A limit of a run that begins now.
    pub(super) fn new(
        bytes: u64,
        breach: Option<mpsc::Sender<MemoryBreach>>,
        now: Instant,
    ) -> Self {
        Self {
            bytes,
            breach,
            last: (now, 0),
            above: None,
            due: now + FAR,
        }
    }

    /// When to look again.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// It is being looked at, and there may be nothing left to see.
    pub(super) fn postpone(&mut self, now: Instant) {
        self.due = now + FAR;
    }

    /// Takes the resident bytes of the tree, and tells of a breach.
    pub(super) fn check(&mut self, rss_bytes: u64, now: Instant) {
        let (before, rss_before) = std::mem::replace(&mut self.last, (now, rss_bytes));
        if rss_bytes <= self.bytes {
            self.above = None;
            let passed = now.saturating_duration_since(before);
            let grown = rss_bytes.saturating_sub(rss_before);
            self.due = now + until_reached(self.bytes - rss_bytes, grown, passed);
            return;
        }
        let (since, first) = *self.above.get_or_insert((now, rss_bytes));
        let far_above = rss_bytes > self.bytes.saturating_add(self.bytes / 5);
        let stays = now.saturating_duration_since(since) >= FAR;
        let grows = rss_bytes > first && now.saturating_duration_since(since) >= AGAIN;
        if far_above || stays || grows {
            self.above = None;
            self.tell(rss_bytes);
        }
        self.due = now + AGAIN;
    }

    fn tell(&self, rss_bytes: u64) {
        // A full queue already holds this news.
        if let Some(breach) = &self.breach {
            let _ = breach.try_send(MemoryBreach {
                rss_bytes,
                limit_bytes: self.bytes,
            });
        }
    }
}

/// How long `room` lasts if it goes on growing like that.
fn until_reached(room: u64, grown: u64, passed: Duration) -> Duration {
    if grown == 0 {
        return FAR;
    }
    let seconds = passed.as_secs_f64() * room as f64 / grown as f64;
    Duration::try_from_secs_f64(seconds)
        .unwrap_or(FAR)
        .clamp(NEAR, FAR)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1 << 20;

    fn limit(bytes: u64) -> (Limit, mpsc::Receiver<MemoryBreach>, Instant) {
        let (breach, breaches) = mpsc::channel(8);
        let now = Instant::now();
        (Limit::new(bytes, Some(breach), now), breaches, now)
    }

    #[tokio::test(start_paused = true)]
    async fn a_peak_is_no_breach() {
        let (mut limit, mut breaches, start) = limit(1_000);
        let mut now = start;
        for rss in [900, 1_100, 1_000, 1_200, 900, 1_150, 1_150, 1_100, 1_150] {
            now += AGAIN;
            limit.check(rss, now);
        }
        assert!(breaches.try_recv().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn what_grows_or_stays_or_is_far_above_is_one() {
        let (mut limit, mut breaches, start) = limit(1_000);
        let mut look = |ms, rss| {
            limit.check(rss, start + Duration::from_millis(ms));
            breaches.try_recv().map(|breach| breach.rss_bytes).ok()
        };
        assert_eq!(look(0, 1_100), None);
        assert_eq!(look(100, 1_110), None, "it has had no time to shrink");
        assert_eq!(look(200, 1_101), Some(1_101), "it grows");
        assert_eq!(
            look(400, 1_150),
            None,
            "news of the former breach may be under way"
        );
        assert_eq!(look(600, 1_150), None);
        assert_eq!(look(1_400, 1_150), Some(1_150), "it stays");
        assert_eq!(look(1_500, 1_201), Some(1_201), "it is far above");
    }

    #[tokio::test(start_paused = true)]
    async fn a_leak_is_told_of_before_it_is_at_110_percent() {
        let per_second = 50 * MB;
        for limit_mb in [160, 256, 1_024, 4_096] {
            for begins_ms in [0, 130, 777] {
                let (mut limit, mut breaches, start) = limit(limit_mb * MB);
                let told = loop {
                    let now = limit.due();
                    let runs = (now - start).saturating_sub(Duration::from_millis(begins_ms));
                    let rss = 20 * MB + (runs.as_secs_f64() * per_second as f64) as u64;
                    limit.check(rss, now);
                    if let Ok(breach) = breaches.try_recv() {
                        break breach;
                    }
                };
                let tenth = limit_mb * MB / 10;
                assert!(
                    told.rss_bytes < limit_mb * MB + tenth,
                    "{limit_mb} {told:?}"
                );
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_grow_is_looked_at_each_second() {
        let (mut limit, _breaches, start) = limit(1_000);
        limit.check(999, start + FAR);
        assert_eq!(limit.due(), start + FAR + NEAR);
        limit.check(999, start + FAR * 2);
        assert_eq!(limit.due(), start + FAR * 3);
        limit.check(500, start + FAR * 3);
        assert_eq!(limit.due(), start + FAR * 4);
    }
}
