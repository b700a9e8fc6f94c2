//! When a schedule comes next.
//!
//! A [`Schedule`] is a cron expression in a time zone. It owns no timer: it only says which
//! instant follows another.
//!
//! A fixed time that a clock change skips (02:30 in a spring night) comes at the first
//! instant after the gap, and one that a clock change repeats comes once. A schedule with a
//! wildcard (`*/15 * * * *`) keeps its pace through both.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Names of the fields, with seconds first. Five-field expressions begin at the second.
const FIELDS: [&str; 6] = [
    "second",
    "minute",
    "hour",
    "day of month",
    "month",
    "day of week",
];

const NICKNAMES: [&str; 6] = [
    "@hourly",
    "@daily",
    "@weekly",
    "@monthly",
    "@yearly",
    "@annually",
];

/// A cron expression in a time zone.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    cron: Cron,
    zone: TimeZone,
}

/// Why a text is not a schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Nothing at all.
    #[error("a schedule cannot be empty; write five fields, such as `0 3 * * *`")]
    Empty,
    /// Not five and not six fields.
    #[error(
        "`{expr}` has {found} fields; write minute, hour, day of month, month and day of week, such as `0 3 * * *` (or put seconds in front)"
    )]
    FieldCount {
        /// The expression.
        expr: String,
        /// How many it has.
        found: usize,
    },
    /// An unknown word behind `@`.
    #[error(
        "`{0}` is not a known schedule; write @hourly, @daily, @weekly, @monthly, @yearly, or five fields"
    )]
    Nickname(String),
    /// One field is wrong.
    #[error("`{text}` is not a {field} (column {column} of `{expr}`): {why}")]
    Field {
        /// The expression.
        expr: String,
        /// Which field it is.
        field: &'static str,
        /// What stands there.
        text: String,
        /// Where it starts, from 1.
        column: usize,
        /// What the parser said.
        why: String,
    },
    /// Each field is fine, but not together.
    #[error("`{expr}` is not a schedule: {why}")]
    Expression {
        /// The expression.
        expr: String,
        /// What the parser said.
        why: String,
    },
    /// A date that no year has.
    #[error("`{0}` never comes: no year has that day")]
    Never(String),
    /// Not a time zone of this system.
    #[error(
        "`{0}` is not a time zone this system knows; write a name such as `Europe/Berlin` (if that is missing too, install the package tzdata)"
    )]
    Timezone(String),
}

impl Schedule {
    /// Reads five fields (minute, hour, day of month, month, day of week), six (seconds
    /// first), or a nickname such as `@daily`, in an IANA time zone.
    ///
    /// # Errors
    /// What is wrong and, where one field is to blame, where it stands.
    pub fn parse(expr: &str, timezone: &str) -> Result<Schedule, ScheduleError> {
        let zone = TimeZone::get(timezone.trim())
            .map_err(|_| ScheduleError::Timezone(timezone.to_owned()))?;
        let expr = expr.trim();
        if expr.is_empty() {
            return Err(ScheduleError::Empty);
        }
        if expr.starts_with('@') {
            let known = NICKNAMES.iter().any(|name| name.eq_ignore_ascii_case(expr));
            if !known {
                return Err(ScheduleError::Nickname(expr.to_owned()));
            }
        } else {
            let found = expr.split_whitespace().count();
            if !(5..=6).contains(&found) {
                return Err(ScheduleError::FieldCount {
                    expr: expr.to_owned(),
                    found,
                });
            }
        }
        let cron = parser().parse(expr).map_err(|error| blame(expr, &error))?;
        let schedule = Schedule { cron, zone };
        // Leap days come within eight years of any instant; what does not come from here
        // never comes.
        if schedule.next_after(Timestamp::UNIX_EPOCH).is_none() {
            return Err(ScheduleError::Never(expr.to_owned()));
        }
        Ok(schedule)
    }

    /// The first instant of the schedule that lies after `now`.
    pub fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        let start = now.to_zoned(self.zone.clone());
        self.cron
            .find_next_occurrence(&start, false)
            .ok()
            .map(|zoned| zoned.timestamp())
            .filter(|next| *next > now)
    }
}

fn parser() -> CronParser {
    CronParser::builder()
        .seconds(Seconds::Optional)
        .year(Year::Disallowed)
        .build()
}

/// Finds the field that fails alone, among stars.
fn blame(expr: &str, error: &croner::errors::CronError) -> ScheduleError {
    let fields: Vec<&str> = expr.split_whitespace().collect();
    let names = &FIELDS[FIELDS.len().saturating_sub(fields.len())..];
    for (i, (text, field)) in fields.iter().zip(names).enumerate() {
        let mut alone = vec!["*"; fields.len()];
        alone[i] = text;
        if let Err(error) = parser().parse(&alone.join(" ")) {
            return ScheduleError::Field {
                expr: expr.to_owned(),
                field,
                text: (*text).to_owned(),
                column: column(expr, i),
                why: reason(&error),
            };
        }
    }
    ScheduleError::Expression {
        expr: expr.to_owned(),
        why: reason(error),
    }
}

/// The column, from 1, at which the `index`-th field starts.
fn column(expr: &str, index: usize) -> usize {
    let starts = expr
        .char_indices()
        .scan(true, |after_space, (_, c)| {
            let starts = *after_space && !c.is_whitespace();
            *after_space = c.is_whitespace();
            Some(starts)
        })
        .enumerate()
        .filter_map(|(i, starts)| starts.then_some(i + 1));
    starts.into_iter().nth(index).unwrap_or(1)
}

/// The parser's words as a fragment.
fn reason(error: &croner::errors::CronError) -> String {
    use croner::errors::CronError;
    let text = match error {
        CronError::InvalidPattern(text)
        | CronError::IllegalCharacters(text)
        | CronError::ComponentError(text) => text.clone(),
        other => other.to_string(),
    };
    let text = text.trim().trim_end_matches('.');
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().collect::<String>() + chars.as_str(),
        None => "it cannot be read".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(expr: &str, zone: &str, from: &str) -> String {
        let from: Timestamp = from.parse().expect("a timestamp");
        let schedule = Schedule::parse(expr, zone).expect(expr);
        schedule.next_after(from).expect("it comes").to_string()
    }

    #[test]
    fn five_fields_six_fields_and_nicknames() {
        let from = "2026-03-04T10:20:30.5Z"; // a Wednesday
        for (expr, expected) in [
            ("0 3 * * *", "2026-03-05T03:00:00Z"),
            ("21 10 * * *", "2026-03-04T10:21:00Z"),
            ("20 10 * * *", "2026-03-05T10:20:00Z"),
            ("*/15 * * * *", "2026-03-04T10:30:00Z"),
            ("*/5 * * * * *", "2026-03-04T10:20:35Z"),
            ("31 20 10 * * *", "2026-03-04T10:20:31Z"),
            ("0 9-17/4 * * 1-5", "2026-03-04T13:00:00Z"),
            ("0 0 * * SUN", "2026-03-08T00:00:00Z"),
            ("0 0 * * 7", "2026-03-08T00:00:00Z"),
            ("0 0 1 jan,jul *", "2026-07-01T00:00:00Z"),
            ("0 0 13 * 5", "2026-03-06T00:00:00Z"), // the 13th, and each Friday
            ("0 0 29 2 *", "2028-02-29T00:00:00Z"),
            ("@hourly", "2026-03-04T11:00:00Z"),
            ("@Daily", "2026-03-05T00:00:00Z"),
            ("@weekly", "2026-03-08T00:00:00Z"),
            ("@monthly", "2026-04-01T00:00:00Z"),
            ("@yearly", "2027-01-01T00:00:00Z"),
        ] {
            assert_eq!(next(expr, "UTC", from), expected, "{expr}");
        }
    }

    #[test]
    fn follows_the_zone_through_clock_changes() {
        // Winter is UTC-5 and summer UTC-4.
        let zone = "America/New_York";
        let daily = "0 3 * * *";
        assert_eq!(
            next(daily, zone, "2026-01-10T12:00:00Z"),
            "2026-01-11T08:00:00Z"
        );
        assert_eq!(
            next(daily, zone, "2026-07-10T12:00:00Z"),
            "2026-07-11T07:00:00Z"
        );
        // 02:30 does not exist on 8 March: it comes when the gap ends, at 03:00 summer time.
        let half_past_two = "30 2 * * *";
        assert_eq!(
            next(half_past_two, zone, "2026-03-08T05:00:00Z"),
            "2026-03-08T07:00:00Z"
        );
        assert_eq!(
            next(half_past_two, zone, "2026-03-08T07:00:00Z"),
            "2026-03-09T06:30:00Z"
        );
        // 01:30 comes twice on 1 November: only the first counts.
        let half_past_one = "30 1 * * *";
        assert_eq!(
            next(half_past_one, zone, "2026-11-01T04:00:00Z"),
            "2026-11-01T05:30:00Z"
        );
        assert_eq!(
            next(half_past_one, zone, "2026-11-01T05:30:00Z"),
            "2026-11-02T06:30:00Z"
        );
        // A wildcard keeps its pace.
        let half_hours = "*/30 * * * *";
        assert_eq!(
            next(half_hours, zone, "2026-11-01T05:30:00Z"),
            "2026-11-01T06:00:00Z"
        );
    }

    #[test]
    fn always_moves_on() {
        let schedule = Schedule::parse("*/7 * * * * *", "Europe/Berlin").expect("parses");
        let mut now: Timestamp = "2026-10-25T00:58:00Z".parse().expect("a timestamp");
        for _ in 0..2000 {
            let next = schedule.next_after(now).expect("it comes");
            assert!(
                next > now && next.duration_since(now).as_secs() <= 7,
                "{now} {next}"
            );
            now = next;
        }
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        let error = |expr: &str| Schedule::parse(expr, "UTC").expect_err(expr);
        assert_eq!(error("  "), ScheduleError::Empty);
        assert!(matches!(
            error("* * *"),
            ScheduleError::FieldCount { found: 3, .. }
        ));
        assert!(matches!(
            error("* * * * * * 2026"),
            ScheduleError::FieldCount { found: 7, .. }
        ));
        assert!(matches!(error("@fortnightly"), ScheduleError::Nickname(_)));
        assert!(matches!(error("0 0 30 2 *"), ScheduleError::Never(_)));
        let at = |expr: &str| match error(expr) {
            ScheduleError::Field { field, column, .. } => (field, column),
            other => panic!("{expr}: {other:?}"),
        };
        assert_eq!(at("0 25 * * *"), ("hour", 3));
        assert_eq!(at("61 25 * * *"), ("minute", 1));
        assert_eq!(at("0  0 * foo *"), ("month", 8));
        assert_eq!(at("0 0 * * * 9"), ("day of week", 11));
        assert_eq!(at("99 0 0 * * *"), ("second", 1));
        let text = error("0 25 * * *").to_string();
        assert!(text.contains("`25`") && text.contains("column 3"), "{text}");
        assert!(!text.ends_with('.'), "{text}");
        let zone = Schedule::parse("@daily", "Mars/Olympus").expect_err("no such zone");
        assert_eq!(zone, ScheduleError::Timezone("Mars/Olympus".into()));
    }
}
