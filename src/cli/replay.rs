//! `mhost replay`: what happened to a process around a time, in one order.

use std::time::Duration;

use clap::Args;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::context::Context;
use super::error::CliError;
use super::when;
use crate::exit::Exit;
use crate::output::figures::time;
use crate::output::style::Tone;
use crate::output::table::{Cell, Column, Table};

/// Tell all that happened to a process around a time
///
/// Without a time it is about the newest incident.
#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The process
    process: String,
    /// Around this time: 3:47am, 15:47, "2026-03-28 03:47", 2h (ago), inc-7
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    time: Option<String>,
    /// So much before and after it
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = super::context::duration)]
    window: Duration,
}

#[derive(Debug, Deserialize)]
struct Reply {
    from: Timestamp,
    to: Timestamp,
    timeline: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Row {
    ts: Timestamp,
    kind: String,
    what: String,
    data: Value,
}

impl Replay {
    /// Prints `TIME KIND WHAT DETAIL`.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        let window = u64::try_from(self.window.as_millis()).unwrap_or(u64::MAX);
        let mut params = json!({ "name": self.process, "window_ms": window });
        match self.time.as_deref() {
            Some(id) if id.starts_with("inc-") => params["incident"] = json!(id),
            Some(text) => {
                let zone = TimeZone::system();
                params["at"] = json!(moment(text, ctx.clock.now(), &zone)?);
            }
            None => {}
        }
        let answer: Value = ctx.call("brain.timeline", params)?;
        if ctx.output.is_json() {
            ctx.output.json(&answer)?;
            return Ok(Exit::Success);
        }
        let Reply { from, to, timeline } = Reply::deserialize(&answer).map_err(|error| {
            CliError::new(
                Exit::Protocol,
                format!("the daemon's answer is not as agreed: {error}"),
            )
        })?;
        if timeline.is_empty() {
            ctx.output.note(&format!(
                "Nothing is known of {} from {} to {}.",
                self.process,
                time(from, None),
                time(to, None)
            ));
            return Ok(Exit::Success);
        }
        let mut table = Table::new([
            Column::new("TIME", 0),
            Column::new("KIND", 1),
            Column::new("WHAT", 0).at_least(16),
            Column::new("DETAIL", 2).at_least(12),
        ]);
        for row in &timeline {
            table.row([
                Cell::from(time(row.ts, None)),
                match row.kind.as_str() {
                    "log" => Cell::toned("log", Tone::Quiet),
                    "action" => Cell::toned("action", Tone::Busy),
                    other => Cell::from(other),
                },
                match bad(row) {
                    true => Cell::toned(&row.what, Tone::Bad),
                    false => Cell::from(&row.what),
                },
                Cell::from(detail(row)),
            ]);
        }
        ctx.output.table(&table)?;
        Ok(Exit::Success)
    }
}

fn bad(row: &Row) -> bool {
    row.kind == "event"
        && [
            "crash",
            "errored",
            "health_fail",
            "memory_exceeded",
            "spawn_failed",
        ]
        .iter()
        .any(|kind| row.what.starts_with(kind))
}

/// The data in a few words.
fn detail(row: &Row) -> String {
    let data = if row.kind == "event" {
        &row.data["data"]
    } else {
        &row.data
    };
    let Value::Object(map) = data else {
        return String::new();
    };
    let mut parts: Vec<String> = map
        .iter()
        .filter(|(key, _)| *key != "id")
        .filter_map(|(key, value)| match value {
            Value::Null | Value::Array(_) | Value::Object(_) => None,
            Value::String(text) => Some(format!("{key}={text}")),
            other => Some(format!("{key}={other}")),
        })
        .collect();
    if let Some(actor) = row.data["by"].as_str()
        && row.kind == "event"
        && actor != "system"
    {
        parts.push(format!("by {actor}"));
    }
    parts.join(" ")
}

/// A moment: `3:47am` and `15:47` are the last such time; `-2h` and `2h` are ago.
fn moment(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, CliError> {
    let trimmed = text.trim();
    if let Some(time) = clock(trimmed) {
        let today = now.to_zoned(zone.clone()).date().to_datetime(time);
        let at = |civil| {
            zone.to_ambiguous_zoned(civil)
                .compatible()
                .map(|zoned| zoned.timestamp())
        };
        if let Ok(found) = at(today) {
            if found <= now {
                return Ok(found);
            }
            let day = SignedDuration::from_hours(24);
            if let Ok(Ok(found)) = today.checked_sub(day).map(at) {
                return Ok(found);
            }
        }
    }
    let ago = trimmed.strip_prefix('-').unwrap_or(trimmed);
    when::parse("--time", ago, now, zone)
}

/// `3:47am`, `3am`, `15:47`, `15:47:10`.
fn clock(text: &str) -> Option<Time> {
    let lower = text.to_lowercase();
    let (digits, half) = match (lower.strip_suffix("am"), lower.strip_suffix("pm")) {
        (Some(rest), _) => (rest.trim(), Some(0)),
        (_, Some(rest)) => (rest.trim(), Some(12)),
        _ => (lower.as_str(), None),
    };
    if half.is_none() && !digits.contains(':') {
        return None;
    }
    let mut parts = digits.split(':').map(str::parse::<i8>);
    let hour = parts.next()?.ok()?;
    let minute = parts.next().transpose().ok()?.unwrap_or(0);
    let second = parts.next().transpose().ok()?.unwrap_or(0);
    if parts.next().is_some() {
        return None;
    }
    let hour = match half {
        Some(_) if !(1..=12).contains(&hour) => return None,
        Some(add) => hour % 12 + add,
        None => hour,
    };
    Time::new(hour, minute, second, 0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_the_last_such_time() {
        let now: Timestamp = "2026-03-28T12:00:00Z".parse().unwrap();
        let zone = TimeZone::UTC;
        for (text, wanted) in [
            ("3:47am", "2026-03-28T03:47:00Z"),
            ("3:47 PM", "2026-03-27T15:47:00Z"),
            ("12am", "2026-03-28T00:00:00Z"),
            ("15:47", "2026-03-27T15:47:00Z"),
            ("11:59:30", "2026-03-28T11:59:30Z"),
            ("2h", "2026-03-28T10:00:00Z"),
            ("-2h", "2026-03-28T10:00:00Z"),
            ("2026-03-28 03:47", "2026-03-28T03:47:00Z"),
        ] {
            let found = moment(text, now, &zone).map(|at| at.to_string());
            assert_eq!(found.ok().as_deref(), Some(wanted), "{text}");
        }
        for bad in ["25:00", "13am", "soon", "1:2:3:4"] {
            assert!(moment(bad, now, &zone).is_err(), "{bad}");
        }
    }
}
