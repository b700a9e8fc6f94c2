//! Numbers as people read them: sizes, percentages, ages, times.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// What stands where there is no value.
pub(crate) const NONE: &str = "—";

pub(crate) use supervisor::units::short::{cpu, memory, span};

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
    fn times_are_to_the_second() {
        let at: Timestamp = "2026-03-28T14:32:01.5Z".parse().expect("a time");
        assert_eq!(time(at, None), "2026-03-28T14:32:01Z");
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(time(at, Some(&zone)), "2026-03-28T16:32:01+02:00");
    }
}
