//! Hours in which only what is critical may wake anybody: `22:00-07:00 Europe/Paris`.

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;

/// Part of each day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuietHours {
    from: Time,
    to: Time,
    zone: TimeZone,
}

/// They cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` are no quiet hours; write them as `22:00-07:00 Europe/Paris`")]
pub struct QuietHoursError(String);

impl QuietHours {
    /// Reads them. Without a zone they are in the zone of this machine.
    ///
    /// # Errors
    /// When it is another form, or there is no such zone.
    pub fn parse(text: &str) -> Result<Self, QuietHoursError> {
        let read = || {
            let (hours, zone) = match text.trim().split_once(' ') {
                Some((hours, zone)) => (hours, TimeZone::get(zone.trim()).ok()?),
                None => (text.trim(), TimeZone::system()),
            };
            let (from, to) = hours.split_once('-')?;
            let time = |text: &str| Time::strptime("%H:%M", text.trim()).ok();
            let (from, to) = (time(from)?, time(to)?);
            (from != to).then_some(Self { from, to, zone })
        };
        read().ok_or_else(|| QuietHoursError(text.chars().take(64).collect()))
    }

    /// When the quiet hours end that `now` is in; none when it is not in any.
    pub fn ends(&self, now: Timestamp) -> Option<Timestamp> {
        let here = now.to_zoned(self.zone.clone());
        let time = here.time();
        let over_midnight = self.from > self.to;
        let quiet = match over_midnight {
            true => time >= self.from || time < self.to,
            false => time >= self.from && time < self.to,
        };
        if !quiet {
            return None;
        }
        let day = match over_midnight && time >= self.from {
            true => here.date().tomorrow().ok()?,
            false => here.date(),
        };
        let end = day.to_datetime(self.to).to_zoned(self.zone.clone()).ok()?;
        Some(end.timestamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn hours_over_midnight_follow_the_zone_and_its_summer() {
        let quiet = QuietHours::parse("22:00-07:00 Europe/Paris").unwrap();
        // Winter: Paris is an hour ahead.
        assert_eq!(quiet.ends(at("2026-01-10T20:59:00Z")), None);
        let end = at("2026-01-11T06:00:00Z");
        assert_eq!(quiet.ends(at("2026-01-10T21:00:00Z")), Some(end));
        assert_eq!(quiet.ends(at("2026-01-11T05:59:59Z")), Some(end));
        assert_eq!(quiet.ends(end), None);
        // Summer: two hours.
        let end = at("2026-07-11T05:00:00Z");
        assert_eq!(quiet.ends(at("2026-07-10T20:00:00Z")), Some(end));
        // The night in which an hour is left out.
        let end = at("2026-03-29T05:00:00Z");
        assert_eq!(quiet.ends(at("2026-03-28T22:30:00Z")), Some(end));
    }

    #[test]
    fn hours_of_a_day_and_what_cannot_be_read() {
        let quiet = QuietHours::parse(" 12:00 - 13:30".trim()).map(|_| ());
        assert!(quiet.is_err(), "no spaces inside: the rest would be a zone");
        let quiet = QuietHours::parse("12:00-13:30 UTC").unwrap();
        let end = at("2026-01-10T13:30:00Z");
        assert_eq!(quiet.ends(at("2026-01-10T12:00:00Z")), Some(end));
        assert_eq!(quiet.ends(at("2026-01-10T11:00:00Z")), None);
        for wrong in [
            "",
            "22-7",
            "25:00-07:00",
            "07:00-07:00",
            "1:00-2:00 Nowhere/X",
        ] {
            assert!(QuietHours::parse(wrong).is_err(), "{wrong}");
        }
    }
}
