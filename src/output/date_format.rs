//! The key `log_date_format`: times as a team writes them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// What may stand in a format, longest first, and what `strftime` calls it.
const TOKENS: [(&str, &str); 8] = [
    ("YYYY", "%Y"),
    ("SSS", "%3f"),
    ("MM", "%m"),
    ("DD", "%d"),
    ("HH", "%H"),
    ("mm", "%M"),
    ("ss", "%S"),
    ("Z", "%:z"),
];

/// The time as the format says; everything that is not a token stays as it is.
pub(crate) fn format(format: &str, at: Timestamp, zone: Option<&TimeZone>) -> String {
    let zone = zone.cloned().unwrap_or(TimeZone::UTC);
    let at = at.to_zoned(zone);
    let mut out = String::new();
    let mut rest = format;
    while let Some(first) = rest.chars().next() {
        match TOKENS.iter().find(|(token, _)| rest.starts_with(token)) {
            Some(("Z", _)) if at.offset().is_zero() => {
                out.push('Z');
                rest = &rest[1..];
            }
            Some((token, directive)) => {
                out.push_str(&at.strftime(directive).to_string());
                rest = &rest[token.len()..];
            }
            None => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_become_parts_of_the_time() {
        let at: Timestamp = "2026-03-08T04:05:06.789Z".parse().expect("a time");
        let cases = [
            ("YYYY-MM-DDTHH:mm:ssZ", "2026-03-08T04:05:06Z"),
            ("YYYY-MM-DD HH:mm:ss.SSS", "2026-03-08 04:05:06.789"),
            ("DD/MM – HH", "08/03 – 04"),
        ];
        for (pattern, wanted) in cases {
            assert_eq!(format(pattern, at, None), wanted);
        }
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(format("HH:mmZ", at, Some(&zone)), "06:05+02:00");
    }
}
