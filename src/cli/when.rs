//! Points in time as people write them: `30m`, `2026-03-28 14:00`, RFC 3339.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::error::CliError;

/// Reads a time for `flag`: a duration is so long before `now`, a date without a zone is in
/// the zone of the reader.
pub(crate) fn parse(
    flag: &str,
    text: &str,
    now: Timestamp,
    zone: &TimeZone,
) -> Result<Timestamp, CliError> {
    let text = text.trim();
    if let Ok(back) = supervisor::units::parse_duration(text) {
        let back = jiff::SignedDuration::try_from(back).unwrap_or(jiff::SignedDuration::MAX);
        return Ok(now.checked_sub(back).unwrap_or(Timestamp::MIN));
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    // `2026-03-28`, `2026-03-28 14:00` and `2026-03-28T14:00:05` are all civil times.
    text.parse::<DateTime>()
        .and_then(|civil| zone.to_ambiguous_zoned(civil).compatible())
        .map(|zoned| zoned.timestamp())
        .map_err(|_| {
            CliError::config(format!("`{text}` is not a time for {flag}")).with_help(format!(
                "write how long ago ({flag} 30m), a local time ({flag} \"2026-03-28 14:00\") \
                 or RFC 3339 ({flag} 2026-03-28T14:00:00Z)"
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_spellings_are_understood() {
        let now: Timestamp = "2026-03-28T12:00:00Z".parse().expect("a time");
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let read = |text| {
            parse("--since", text, now, &zone)
                .map(|at| at.to_string())
                .ok()
        };
        let cases = [
            ("1h30m", "2026-03-28T10:30:00Z"),
            ("2026-03-28 10:00", "2026-03-28T08:00:00Z"),
            ("2026-03-28", "2026-03-27T22:00:00Z"),
            ("2026-03-28T10:00:00Z", "2026-03-28T10:00:00Z"),
            ("2026-03-28T10:00:00+05:00", "2026-03-28T05:00:00Z"),
        ];
        for (text, wanted) in cases {
            assert_eq!(read(text).as_deref(), Some(wanted), "{text}");
        }
        for bad in ["", "yesterday", "12", "2026-13-01"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
