//! When a quick look is worth it.
//!
//! It finds what shows in output and samples. Where nothing is printed and no sample differs,
//! there is nothing new to find, and a fleet at rest costs next to nothing.
//!
//! Times are those of the runtime, so that a wall clock that is set back delays nothing.

use std::time::Duration;

use tokio::time::Instant;

/// Output is looked at for so long after it was printed.
const LATELY: Duration = Duration::from_secs(2);
/// Between two looks where nothing stirs.
const SELDOM: Duration = Duration::from_secs(5);
/// All quick looks take at most such a part of the time, however large the fleet is.
const SHARE: u32 = 50;

/// What is known of the last looks.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// The last pulse of the fleet, and when it became that.
    pulse: Option<(u64, Instant)>,
    looked: Option<Instant>,
    next: Option<Instant>,
}

impl Pace {
    /// Is a quick look due, with this pulse of the fleet? Without one it always may be.
    pub(super) fn is_due(&mut self, pulse: Option<u64>, now: Instant) -> bool {
        let known = self.pulse.filter(|(known, _)| Some(*known) == pulse);
        let (stirs, since) = match (pulse, known) {
            (None, _) => (true, None),
            (Some(new), None) => (true, Some((new, now))),
            (Some(_), Some(same)) => (now < same.1 + LATELY, Some(same)),
        };
        self.pulse = since;
        let long_ago = self.looked.is_none_or(|last| now >= last + SELDOM);
        (stirs || long_ago) && self.next.is_none_or(|next| now >= next)
    }

    /// When it may be worth a look again. Beyond `now + quick` nothing stirs: then it is worth one
    /// as soon as somebody does.
    pub(super) fn next(&self, now: Instant, quick: Duration) -> Instant {
        let rests = self.pulse.is_some_and(|(_, since)| now >= since + LATELY);
        let next = match (rests, self.looked) {
            (true, Some(looked)) => (looked + SELDOM).max(now + quick),
            _ => now + quick,
        };
        self.next.map_or(next, |soonest| next.max(soonest))
    }

    /// A look that began then is over.
    pub(super) fn looked(&mut self, begun: Instant, now: Instant) {
        self.looked = Some(begun);
        self.next = Some(now + now.saturating_duration_since(begun) * SHARE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_stirs_is_looked_at_and_others_seldom() {
        let mut pace = Pace::default();
        let start = Instant::now();
        let mut look = |ms: u64, pulse| {
            let now = start + Duration::from_millis(ms);
            let due = pace.is_due(Some(pulse), now);
            if due {
                pace.looked(now, now);
            }
            due
        };
        let due: Vec<bool> = (0..8).map(|half| look(half * 500, 1)).collect();
        assert_eq!(due, [true, true, true, true, false, false, false, false]);
        assert!(look(4_000, 2), "somebody printed");
        assert!(look(5_900, 2), "and not long ago");
        assert!(!look(6_100, 2));
        assert!(!look(10_800, 2));
        assert!(look(10_900, 2), "five seconds after the last look");
        assert!(!look(11_000, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn where_nothing_stirs_the_next_look_is_far() {
        let mut pace = Pace::default();
        let (start, quick) = (Instant::now(), Duration::from_millis(500));
        assert_eq!(
            pace.next(start, quick),
            start + quick,
            "nothing is known yet"
        );
        assert!(pace.is_due(Some(1), start));
        pace.looked(start, start);
        assert_eq!(pace.next(start, quick), start + quick);
        let later = start + LATELY;
        assert!(!pace.is_due(Some(1), later));
        assert_eq!(pace.next(later, quick), start + SELDOM);
        assert!(pace.is_due(Some(2), later));
        assert_eq!(pace.next(later, quick), later + quick);
        assert!(pace.is_due(None, later));
        assert_eq!(
            pace.next(later, quick),
            later + quick,
            "nobody keeps a pulse"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn looks_take_a_fiftieth_of_the_time() {
        let mut pace = Pace::default();
        let start = Instant::now();
        let after = |ms: u64| start + Duration::from_millis(ms);
        assert!(pace.is_due(None, start));
        pace.looked(start, after(100));
        assert!(!pace.is_due(None, after(5_000)));
        assert!(pace.is_due(None, after(5_100)));
    }
}
