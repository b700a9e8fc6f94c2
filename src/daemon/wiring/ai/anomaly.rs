//! `ai.anomaly`: what is not as it usually is at this hour.

use std::time::Duration;

use brain::Facts;
use brain::numbers::anomaly::{self, Anomaly, Basis, Figure, LEAST, NewKind, Reading};
use brain::prompts::Purpose;
use brain::redact::hide_shapes;
use jiff::Timestamp;
use serde_json::{Value, json};
use supervisor::logs::{Count, Level, LogQuery};
use supervisor::metrics::Metric;
use supervisor::{ControlError, EventKind, ProcessName};

use super::readings::before;
use super::tell::{Found, Task};
use super::{AiPort, Whose};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
/// What counts as now: ten minutes, or two where there is not an hour yet.
const NOW: u32 = 10;
const NOW_YOUNG: u32 = 2;
/// Earlier days that are kept.
const DAYS: u32 = 7;
/// Values that make "the same hour of earlier days": two days of ten minutes each.
const SAME_HOUR: usize = 12;
/// Newest tries of a probe that count as now.
const TRIES: usize = 3;
/// New kinds of lines of one process that are told.
const KINDS: usize = 10;

impl AiPort {
    /// The gravest first.
    pub(super) async fn anomaly(&self, whose: Whose) -> Result<Found, ControlError> {
        let now = self.clock.now();
        let mut all: Vec<Anomaly> = Vec::new();
        let mut watched = Vec::new();
        for name in self.meant(&whose)? {
            let readings = self.read_all(&name, now).await?;
            all.extend(
                readings
                    .iter()
                    .filter_map(|one| anomaly::judge(name.as_str(), one)),
            );
            all.extend(self.new_kinds(&name, now).await?);
            let figures = readings.into_iter().map(|one| {
                let enough = one.past.len() >= LEAST;
                json!({
                    "figure": one.figure,
                    "now": one.now,
                    "z": anomaly::distance(&one),
                    "basis": enough.then_some(one.basis),
                    "values": one.past.len(),
                })
            });
            watched.push(json!({ "process": name, "figures": figures.collect::<Vec<Value>>() }));
        }
        anomaly::sort(&mut all);
        let local = json!({ "at": now, "anomalies": all, "watched": watched });
        let task = Task::prose(
            Purpose::Anomaly,
            None,
            vec![("anomalies", local["anomalies"].to_string())],
        );
        Ok(Found { local, task })
    }

    async fn read_all(
        &self,
        name: &ProcessName,
        now: Timestamp,
    ) -> Result<Vec<Reading>, ControlError> {
        let mut all = Vec::new();
        for (metric, figure) in [(Metric::Cpu, Figure::Cpu), (Metric::Memory, Figure::Memory)] {
            all.extend(self.metric(name, metric, figure, now).await);
        }
        for (level, figure) in [
            (None, Figure::LogRate),
            (Some(Level::Error), Figure::ErrorRate),
        ] {
            all.extend(self.rate(name, level, figure, now).await?);
        }
        let (facts, name) = (self.facts.clone(), name.clone());
        let tries = tokio::task::spawn_blocking(move || facts.probe_results(&name, 60));
        let took: Vec<f64> = tries
            .await
            .unwrap_or_default()
            .iter()
            .filter(|one| one.passed)
            .map(|one| one.latency_ms as f64)
            .collect();
        if took.len() > TRIES {
            let (past, newest) = took.split_at(took.len() - TRIES);
            all.push(Reading {
                figure: Figure::Latency,
                now: newest.iter().sum::<f64>() / TRIES as f64,
                minutes: 1.0,
                past: past.to_vec(),
                basis: Basis::Tries,
            });
        }
        Ok(all)
    }

    /// A metric of all copies together.
    async fn metric(
        &self,
        name: &ProcessName,
        metric: Metric,
        figure: Figure,
        now: Timestamp,
    ) -> Option<Reading> {
        let recent = |minutes| (before(now, MINUTE * minutes), now);
        let average = |values: Vec<f64>| {
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        };
        let value = average(self.together(name, metric, recent(NOW), 1).await)?;
        let mut past = Vec::new();
        for day in 1..=DAYS {
            let middle = before(now, DAY * day);
            let span = (
                before(middle, MINUTE * 30),
                supervisor::after(middle, MINUTE * 30),
            );
            past.extend(self.together(name, metric, span, 6).await);
        }
        let mut basis = Basis::SameHour;
        if past.len() < SAME_HOUR {
            basis = Basis::Day;
            let span = (before(now, DAY), before(now, MINUTE * NOW));
            past = self.together(name, metric, span, 143).await;
        }
        let mut reading = Reading {
            figure,
            now: value,
            minutes: f64::from(NOW),
            past,
            basis,
        };
        if reading.past.len() < LEAST {
            let span = (before(now, HOUR), before(now, MINUTE * NOW_YOUNG));
            reading = Reading {
                now: average(self.together(name, metric, recent(NOW_YOUNG), 1).await)?,
                minutes: f64::from(NOW_YOUNG),
                past: self.together(name, metric, span, 58).await,
                basis: Basis::Hour,
                ..reading
            };
        }
        Some(reading)
    }

    /// Lines a minute.
    async fn rate(
        &self,
        name: &ProcessName,
        level: Option<Level>,
        figure: Figure,
        now: Timestamp,
    ) -> Result<Option<Reading>, ControlError> {
        let recent = self
            .count(name, level, (before(now, MINUTE * NOW), now))
            .await?;
        let mut past = Vec::new();
        for day in 1..=DAYS {
            let middle = before(now, DAY * day);
            let span = (
                before(middle, MINUTE * 30),
                supervisor::after(middle, MINUTE * 30),
            );
            // A day without any line was before its first.
            if self.count(name, None, span).await? > 0 {
                past.push(self.count(name, level, span).await? as f64 / 60.0);
            }
        }
        let mut reading = Reading {
            figure,
            now: recent as f64 / f64::from(NOW),
            minutes: f64::from(NOW),
            past,
            basis: Basis::SameHour,
        };
        if reading.past.len() < LEAST {
            reading.basis = Basis::Day;
            reading.past = self
                .spans(name, level, "hour", (before(now, DAY), now))
                .await?;
        }
        if reading.past.len() < LEAST {
            let span = (before(now, MINUTE * 45), before(now, MINUTE * NOW_YOUNG));
            let recent = (before(now, MINUTE * NOW_YOUNG), now);
            reading = Reading {
                now: self.count(name, level, recent).await? as f64 / f64::from(NOW_YOUNG),
                minutes: f64::from(NOW_YOUNG),
                past: self.spans(name, level, "minute", span).await?,
                basis: Basis::Hour,
                ..reading
            };
        }
        Ok(Some(reading))
    }

    /// Lines in a time.
    async fn count(
        &self,
        name: &ProcessName,
        level: Option<Level>,
        (since, until): (Timestamp, Timestamp),
    ) -> Result<u64, ControlError> {
        let query = LogQuery {
            since: Some(since),
            until: Some(until),
            level,
            count_by: Some("process".into()),
            ..LogQuery::default()
        };
        let counts = self.lines(name, query).await?.counts.unwrap_or_default();
        Ok(counts.iter().map(|one| one.count).sum())
    }

    /// Lines a minute in each whole hour or minute since the first line.
    async fn spans(
        &self,
        name: &ProcessName,
        level: Option<Level>,
        by: &str,
        (since, until): (Timestamp, Timestamp),
    ) -> Result<Vec<f64>, ControlError> {
        let ask = |level| LogQuery {
            since: Some(since),
            until: Some(until),
            level,
            count_by: Some(by.to_owned()),
            ..LogQuery::default()
        };
        let all = self
            .lines(name, ask(None))
            .await?
            .counts
            .unwrap_or_default();
        let wanted = match level {
            None => all.clone(),
            some => self
                .lines(name, ask(some))
                .await?
                .counts
                .unwrap_or_default(),
        };
        let minutes = if by == "hour" { 60 } else { 1 };
        Ok(rates(&all, &wanted, minutes, (since, until)))
    }

    /// Kinds of lines that came up in the last hour.
    async fn new_kinds(
        &self,
        name: &ProcessName,
        now: Timestamp,
    ) -> Result<Vec<Anomaly>, ControlError> {
        let kinds = [EventKind::NewPattern];
        let mut events = self.events(name, &kinds, (before(now, HOUR), now)).await?;
        let grave = |event: &supervisor::Event| {
            matches!(event.data["level"].as_str(), Some("error" | "fatal"))
        };
        events.reverse();
        events.sort_by_key(|event| !grave(event));
        Ok(events
            .iter()
            .take(KINDS)
            .map(|event| {
                let kind = NewKind {
                    id: format!("event:{}", event.id),
                    pattern: hide_shapes(event.data["pattern"].as_str().unwrap_or_default()),
                    level: event.data["level"].as_str().map(str::to_owned),
                };
                anomaly::of_kind(name.as_str(), &kind)
            })
            .collect())
    }
}

/// Lines a minute of each whole span that lies between the first line and the end. A span
/// without lines counts as zero: it was silent.
fn rates(
    all: &[Count],
    wanted: &[Count],
    minutes: i64,
    (since, until): (Timestamp, Timestamp),
) -> Vec<f64> {
    let length = minutes * 60;
    let begin = |one: &Count| -> Option<i64> {
        // `2026-03-28T14:00Z`: seconds are left out.
        let text = one.value.as_ref()?.replace('Z', ":00Z");
        Some(text.parse::<Timestamp>().ok()?.as_second())
    };
    let Some(first) = all.iter().filter_map(begin).min() else {
        return Vec::new();
    };
    let first = first.max(since.as_second().div_euclid(length) * length + length);
    let end = until.as_second().div_euclid(length) * length;
    let mut rates = Vec::new();
    let mut at = first;
    while at < end && rates.len() < 1_440 {
        let count = wanted.iter().find(|one| begin(one) == Some(at));
        rates.push(count.map_or(0.0, |one| one.count as f64 / minutes as f64));
        at += length;
    }
    rates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_hours_count_and_silent_ones_are_zero() {
        let count = |value: &str, count| Count {
            value: Some(value.into()),
            count,
            share: 0.0,
        };
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let all = [
            count("2026-03-28T10:00Z", 30),
            count("2026-03-28T11:00Z", 600),
            count("2026-03-28T13:00Z", 60),
            count("2026-03-28T14:00Z", 5),
        ];
        let span = (at("2026-03-28T10:20:00Z"), at("2026-03-28T14:10:00Z"));
        // The first and the last hour are not whole.
        assert_eq!(rates(&all, &all, 60, span), [10.0, 0.0, 1.0]);
        assert_eq!(rates(&[], &all, 60, span), [0.0; 0]);
    }
}
