//! `mhost ai compare`: two times of one process.

use std::time::Duration;

use clap::Args;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::telling::{Manner, tell};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::when;
use crate::exit::Exit;
use crate::output::style::Tone;
use crate::output::table::{Cell, Column, Table};
use crate::output::text::{clean, cut};

/// The time around a moment that nobody says the length of.
const HOUR: Duration = Duration::from_secs(3_600);
/// Rows of each list that are shown.
const ROWS: usize = 8;

/// Compare two times of a process: its lines, its figures, and whether it got better
///
/// A time is A..B, where each end is a time or how long ago it was; or a duration: as AFTER it
/// lasts until now, as BEFORE until AFTER begins; or a moment: the hour that begins there; or
/// `change`: the hour before or after the definition last changed.
#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// The process
    name: String,
    /// The first time: `1h`, `2026-03-28 14:00`, `3h..2h`, `change`
    before: String,
    /// The second time; with `change` as BEFORE it may be left out
    after: Option<String>,
    #[command(flatten)]
    manner: Manner,
}

#[derive(Debug, Deserialize)]
struct Reply {
    verdict: String,
    reasons: Vec<String>,
    new: Vec<Row>,
    gone: Vec<Row>,
    changed: Vec<Row>,
    deltas: Vec<Delta>,
}

#[derive(Debug, Deserialize)]
struct Row {
    pattern: String,
    before: f64,
    after: f64,
    grave: bool,
}

#[derive(Debug, Deserialize)]
struct Delta {
    figure: String,
    text: String,
}

/// A time as it was written.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Written {
    Span(Timestamp, Timestamp),
    Long(Duration),
    From(Timestamp),
    Change,
}

impl Compare {
    /// Asks and shows what differs.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let now = ctx.clock.now();
        let zone = TimeZone::system();
        let before = written("BEFORE", &self.before, now, &zone)?;
        let after = match self.after.as_deref() {
            Some(text) => written("AFTER", text, now, &zone)?,
            None if before == Written::Change => Written::Change,
            None => {
                return Err(CliError::config("the second time is missing")
                    .with_help("for example: mhost ai compare api 1h 10m"));
            }
        };
        let changed = if [before, after].contains(&Written::Change) {
            Some(last_change(ctx, &self.name)?)
        } else {
            None
        };
        let (before, after) = spans(before, after, now, changed)?;
        let span = |(from, to): (Timestamp, Timestamp)| json!({ "from": from, "to": to });
        let params = json!({ "name": self.name, "before": span(before), "after": span(after) });
        tell(ctx, "ai.compare", params, self.manner, |answer| {
            show(ctx, answer)
        })
    }
}

/// When the definition last changed, by its event.
fn last_change(ctx: &Context, name: &str) -> Result<Timestamp, CliError> {
    let answer: Value = ctx.call("process.events", json!({ "name": name, "limit": 1_000 }))?;
    let events = answer["events"].as_array().cloned().unwrap_or_default();
    events
        .iter()
        .find(|event| event["kind"] == "config_changed")
        .and_then(|event| event["at"].as_str()?.parse().ok())
        .ok_or_else(|| {
            CliError::failure(format!(
                "no change of the definition of `{name}` is on record"
            ))
            .with_help("name two times: mhost ai compare api 1h 10m")
        })
}

fn written(which: &str, text: &str, now: Timestamp, zone: &TimeZone) -> Result<Written, CliError> {
    let text = text.trim();
    if text == "change" {
        return Ok(Written::Change);
    }
    if text.starts_with("deploy:") {
        return Err(
            CliError::config(format!("`{text}`: this mhost keeps no deploys"))
                .with_help("`change` means the last change of the definition"),
        );
    }
    if let Some((from, to)) = text.split_once("..") {
        let to = if to.trim().is_empty() {
            now
        } else {
            when::parse(which, to, now, zone)?
        };
        return Ok(Written::Span(when::parse(which, from, now, zone)?, to));
    }
    if let Ok(long) = supervisor::units::parse_duration(text) {
        return Ok(Written::Long(long));
    }
    when::parse(which, text, now, zone).map(Written::From)
}

type Span = (Timestamp, Timestamp);

/// Both times. What was written as a length depends on the other one.
fn spans(
    before: Written,
    after: Written,
    now: Timestamp,
    changed: Option<Timestamp>,
) -> Result<(Span, Span), CliError> {
    let ago = |at: Timestamp, long: Duration| {
        let long = SignedDuration::try_from(long).unwrap_or(SignedDuration::MAX);
        at.checked_sub(long).unwrap_or(Timestamp::MIN)
    };
    let hour = |from: Timestamp| (from, supervisor::after(from, HOUR).min(now));
    let second = match after {
        Written::Span(from, to) => (from, to.min(now)),
        Written::Long(long) => (ago(now, long), now),
        Written::From(from) => hour(from),
        Written::Change => hour(changed.unwrap_or(now)),
    };
    let first = match before {
        Written::Span(from, to) => (from, to),
        Written::Long(long) => (ago(second.0, long), second.0),
        // Up to the second time, if that begins within the hour.
        Written::From(from) => {
            let (from, to) = hour(from);
            (
                from,
                if second.0 > from {
                    to.min(second.0)
                } else {
                    to
                },
            )
        }
        Written::Change => {
            let at = changed.unwrap_or(now);
            (ago(at, HOUR), at)
        }
    };
    for (name, (from, to)) in [("first", first), ("second", second)] {
        if from >= to {
            return Err(
                CliError::config(format!("the {name} time ends before it begins"))
                    .with_help("the earlier end stands first: mhost ai compare api 3h..2h 1h"),
            );
        }
    }
    Ok((first, second))
}

fn show(ctx: &Context, answer: &Value) -> Result<(), CliError> {
    let reply: Reply = super::reply(answer)?;
    let (output, painter) = (&ctx.output, ctx.output.painter());
    let (sign, tone) = match reply.verdict.as_str() {
        "better" => ("✓", Tone::Good),
        "same" => ("=", Tone::Quiet),
        "worse" => ("✗", Tone::Bad),
        _ => ("!", Tone::Busy),
    };
    let head = format!("{sign} {}", clean(&reply.verdict));
    output.line(&format!(
        "{}: {}",
        painter.paint(&head, tone),
        clean(&reply.reasons.join("; "))
    ))?;
    output.line("")?;
    let mut table = Table::new(vec![
        Column::new("FIGURE", 0),
        Column::new("BEFORE → AFTER", 0).at_least(16),
    ]);
    for one in &reply.deltas {
        table.row(vec![Cell::from(&one.figure), Cell::from(&one.text)]);
    }
    output.table(&table)?;
    for (title, rows) in [
        ("new", &reply.new),
        ("gone", &reply.gone),
        ("changed", &reply.changed),
    ] {
        if rows.is_empty() {
            continue;
        }
        output.line("")?;
        output.line(&painter.paint(&format!("{title} kinds of lines"), Tone::Strong))?;
        let room = output.width().unwrap_or(100).saturating_sub(28).max(20);
        for row in rows.iter().take(ROWS) {
            let rates = format!("{:.1} → {:.1}/min", row.before, row.after);
            let pattern = clean(&row.pattern);
            let text = format!("  {rates:>22}  {}", cut(&pattern, room));
            let tone = if row.grave { Tone::Bad } else { Tone::Quiet };
            output.line(&painter.paint(&text, tone))?;
        }
        if rows.len() > ROWS {
            output.note(&format!("… and {} more; see --json", rows.len() - ROWS));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn read(before: &str, after: &str) -> Result<(Span, Span), CliError> {
        let now = at("2026-03-28T12:00:00Z");
        let one = |text| written("X", text, now, &TimeZone::UTC);
        spans(
            one(before)?,
            one(after)?,
            now,
            Some(at("2026-03-28T11:30:00Z")),
        )
    }

    #[test]
    fn times_are_what_they_look_like() {
        let cases = [
            ("1h", "10m", "10:50", "11:50", "11:50", "12:00"),
            (
                "2026-03-28 08:00",
                "2026-03-28 10:00",
                "08:00",
                "09:00",
                "10:00",
                "11:00",
            ),
            (
                "2026-03-28 10:30",
                "2026-03-28 11:00",
                "10:30",
                "11:00",
                "11:00",
                "12:00",
            ),
            (
                "3h..2h",
                "2026-03-28 11:00..",
                "09:00",
                "10:00",
                "11:00",
                "12:00",
            ),
            ("change", "change", "10:30", "11:30", "11:30", "12:00"),
        ];
        for (before, after, a, b, c, d) in cases {
            let time = |text: &str| at(&format!("2026-03-28T{text}:00Z"));
            let expected = ((time(a), time(b)), (time(c), time(d)));
            assert_eq!(read(before, after).unwrap(), expected, "{before} {after}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for (before, after, text) in [
            ("1h..2h", "10m", "ends before it begins"),
            ("deploy:3", "10m", "no deploys"),
            ("yesterday", "10m", "yesterday"),
        ] {
            let error = read(before, after).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
    }
}
