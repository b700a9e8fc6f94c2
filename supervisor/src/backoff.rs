//! How long to wait before a crashed process is tried again.
//!
//! Pure arithmetic: the caller counts crashes and keeps the timer. The delay doubles with
//! each crash in a row up to a cap. Copies of one process are spread a little, so that they
//! do not all come back in the same moment.

use std::time::Duration;

/// Jitter reaches this many millionths to either side: ±10 %.
const JITTER_PPM: u64 = 100_000;

const MILLION: u64 = 1_000_000;

/// `min(base * 2^crashes, max)`. `crashes` is the number of crashes in a row before this
/// one: 0 for the first.
pub fn delay(base: Duration, max: Duration, crashes: u32) -> Duration {
    // 2^96 nanoseconds is past any `Duration`: a larger shift changes nothing.
    let shift = crashes.min(96);
    let nanos = base.as_nanos();
    if shift < nanos.leading_zeros() {
        from_nanos(nanos << shift).min(max)
    } else {
        max
    }
}

/// `delay` moved by up to 10 % to either side. The same seed gives the same move, so that a
/// test or a replay sees what happened.
pub fn jitter(delay: Duration, seed: u64) -> Duration {
    let ppm = MILLION - JITTER_PPM + scramble(seed) % (2 * JITTER_PPM + 1);
    match delay.as_nanos().checked_mul(u128::from(ppm)) {
        Some(scaled) => from_nanos(scaled / u128::from(MILLION)),
        None => delay,
    }
}

fn from_nanos(nanos: u128) -> Duration {
    u64::try_from(nanos / 1_000_000_000)
        .map(|seconds| Duration::new(seconds, (nanos % 1_000_000_000) as u32))
        .unwrap_or(Duration::MAX)
}

/// The finalizer of SplitMix64: neighbouring seeds (0, 1, 2: instances) land far apart.
fn scramble(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Duration = Duration::from_millis(100);
    const CAP: Duration = Duration::from_secs(30);

    #[test]
    fn doubles_up_to_the_cap() {
        let ms: Vec<u128> = (0..12).map(|n| delay(BASE, CAP, n).as_millis()).collect();
        assert_eq!(
            ms,
            [
                100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000, 30000
            ]
        );
    }

    #[test]
    fn saturates() {
        for crashes in [60, 64, 95, 96, 127, 128, 1_000_000, u32::MAX] {
            assert_eq!(delay(BASE, CAP, crashes), CAP, "{crashes}");
            assert_eq!(delay(Duration::MAX, Duration::MAX, crashes), Duration::MAX);
            assert_eq!(delay(Duration::ZERO, CAP, crashes), Duration::ZERO);
            assert_eq!(
                delay(Duration::from_nanos(1), Duration::MAX, crashes).max(CAP),
                delay(Duration::from_nanos(1), Duration::MAX, crashes)
            );
        }
        assert_eq!(
            delay(CAP * 2, CAP, 0),
            CAP,
            "a base above the cap is capped"
        );
    }

    #[test]
    fn jitter_stays_within_a_tenth_and_spreads() {
        let (low, high) = (BASE.mul_f64(0.9), BASE.mul_f64(1.1));
        let moved: Vec<Duration> = (0..256).map(|seed| jitter(BASE, seed)).collect();
        assert!(moved.iter().all(|d| (low..=high).contains(d)));
        assert!(moved.iter().any(|d| *d < BASE.mul_f64(0.93)));
        assert!(moved.iter().any(|d| *d > BASE.mul_f64(1.07)));
        assert_eq!(jitter(BASE, 7), jitter(BASE, 7));
        assert_ne!(jitter(BASE, 0), jitter(BASE, 1));
        assert_eq!(jitter(Duration::ZERO, 3), Duration::ZERO);
    }

    proptest::proptest! {
        #[test]
        fn never_shrinks_with_more_crashes(ms in 0u64..100_000, max in 0u64..1_000_000, n in 0u32..200) {
            let (base, max) = (Duration::from_millis(ms), Duration::from_millis(max));
            proptest::prop_assert!(delay(base, max, n) <= delay(base, max, n + 1));
            proptest::prop_assert!(delay(base, max, n) <= max);
        }
    }
}
