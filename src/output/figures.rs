//! Numbers as people read them: sizes, percentages, ages, times.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// What stands where there is no value.
pub(crate) const NONE: &str = "—";

const KIB: f64 = 1024.0;
const MIB: f64 = KIB * 1024.0;
const GIB: f64 = MIB * 1024.0;

/// `512KB`, `48MB`, `1.2GB`.
pub(crate) fn memory(bytes: u64) -> String {
    let size = bytes as f64;
    if size >= GIB {
        format!("{:.1}GB", size / GIB)
    } else if size >= MIB {
        format!("{:.0}MB", size / MIB)
    } else if size >= KIB {
        format!("{:.0}KB", size / KIB)
    } else {
        format!("{bytes}B")
    }
}

/// Percent of one core, one decimal.
pub(crate) fn cpu(percent: f64) -> String {
    format!("{percent:.1}%")
}

/// The two largest units: `2d 14h`, `3m 12s`, `12s`.
pub(crate) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
    let mut rest = seconds;
    let mut parts: Vec<String> = Vec::new();
    for (name, length) in units {
        let count = rest / length;
        rest %= length;
        if count > 0 || (name == "s" && parts.is_empty()) {
            parts.push(format!("{count}{name}"));
        } else if !parts.is_empty() {
            break;
        }
        if parts.len() == 2 {
            break;
        }
    }
    parts.join(" ")
}

/// [`span`] of milliseconds.
pub(crate) fn span_ms(ms: u64) -> String {
    span(Duration::from_millis(ms))
}

/// How long before `now` that was: `2s ago`.
pub(crate) fn ago(now: Timestamp, then: Timestamp) -> String {
    format!("{} ago", span(supervisor::until(then, now)))
}

/// How long after `now` that is: `in 2h 5m`, or `now`.
pub(crate) fn ahead(now: Timestamp, then: Timestamp) -> String {
    let wait = supervisor::until(now, then);
    if wait.is_zero() {
        "now".to_owned()
    } else {
        format!("in {}", span(wait))
    }
}

/// A time to the second, in UTC or in the zone of the reader.
pub(crate) fn time(at: Timestamp, zone: Option<&TimeZone>) -> String {
    match zone {
        None => at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        Some(zone) => at
            .to_zoned(zone.clone())
            .strftime("%Y-%m-%dT%H:%M:%S%:z")
            .to_string(),
    }
}

/// `1 process`, `2 processes`.
pub(crate) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        assert_eq!(memory(48 << 20), "48MB");
        assert_eq!(memory(1_288_490_189), "1.2GB");
        assert_eq!(memory(700), "700B");
        assert_eq!(memory(512 << 10), "512KB");
    }

    #[test]
    fn spans_have_two_units() {
        let cases = [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (192, "3m 12s"),
            (3_601, "1h"),
            (223_200, "2d 14h"),
        ];
        for (seconds, wanted) in cases {
            assert_eq!(span(Duration::from_secs(seconds)), wanted);
        }
    }

    #[test]
    fn times_are_to_the_second() {
        let at: Timestamp = "2026-03-28T14:32:01.5Z".parse().expect("a time");
        assert_eq!(time(at, None), "2026-03-28T14:32:01Z");
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(time(at, Some(&zone)), "2026-03-28T16:32:01+02:00");
    }
}
