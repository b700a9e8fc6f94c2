//! Hours in which nothing of high risk is done unasked.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;

/// A span of each day, such as `22:00-07:00`, in the machine's own time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietHours {
    from: Time,
    to: Time,
}

/// Why a text is not a span of hours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a span of hours; write it as `22:00-07:00`")]
pub struct QuietHoursError(pub String);

impl FromStr for QuietHours {
    type Err = QuietHoursError;

    fn from_str(text: &str) -> Result<Self, QuietHoursError> {
        let bad = || QuietHoursError(text.to_owned());
        let (from, to) = text.split_once('-').ok_or_else(bad)?;
        let time = |part: &str| -> Option<Time> {
            let (hour, minute) = part.trim().split_once(':')?;
            Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
        };
        Ok(Self {
            from: time(from).ok_or_else(bad)?,
            to: time(to).ok_or_else(bad)?,
        })
    }
}

impl QuietHours {
    /// Is it quiet at this moment? A span over midnight is understood; equal ends are the
    /// whole day.
    pub fn contains(&self, at: Timestamp, zone: &TimeZone) -> bool {
        let time = at.to_zoned(zone.clone()).time();
        if self.from < self.to {
            self.from <= time && time < self.to
        } else {
            self.from <= time || time < self.to
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_go_over_midnight() {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let night: QuietHours = "22:00-07:00".parse().unwrap();
        let noon: QuietHours = "12:00 - 13:30".parse().unwrap();
        for (text, in_night, in_noon) in [
            ("2026-01-01T23:59:00Z", true, false),
            ("2026-01-01T06:59:59Z", true, false),
            ("2026-01-01T07:00:00Z", false, false),
            ("2026-01-01T12:00:00Z", false, true),
            ("2026-01-01T13:30:00Z", false, false),
        ] {
            assert_eq!(night.contains(at(text), &TimeZone::UTC), in_night, "{text}");
            assert_eq!(noon.contains(at(text), &TimeZone::UTC), in_noon, "{text}");
        }
        for bad in ["", "22-7", "25:00-01:00", "22:00"] {
            assert!(bad.parse::<QuietHours>().is_err(), "{bad}");
        }
    }
}
