//! All that a script can ask of the world, as data.
//!
//! ```text
//!   script ──c.errors("5m")──► Question ──► Situation: asked before? ──► the kept answer
//!                                              └── no ──► Facts, in the daemon
//! ```
//!
//! A question may come from another process, which is not trusted: it is checked before it is
//! looked into. Its words are the key of its answer in recordings, which last for months: they
//! must not change.

use std::time::Duration;

use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use supervisor::{EventKind, ProcessName};

use super::{deaths, errors, plain};
use crate::facts::{Facts, LogHit, Sample};
use crate::incident::Symptom;
use crate::knowledge;
use crate::pile::pile;

/// Longest window anybody may look back.
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Longest pattern and longest name, in bytes: as long as a text of a script may be.
const TEXT: usize = 64 * 1024;
/// Kinds of events that are counted together.
const KINDS: usize = 8;
/// Lines that `log_lines` returns.
const LOG_LINES: usize = 20;
/// Lines that are looked through for figures: two minutes of four a second.
const FIGURE_LINES: usize = 500;
/// Probe tries that `latency_p95` looks at.
const PROBE_RESULTS: usize = 200;

/// One question about the process of an incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Question {
    /// The plain fields of `c`.
    Process,
    Score,
    Illness,
    Deaths,
    Probe,
    ProbePort,
    SickDependency,
    Count(Vec<EventKind>, Duration),
    Events(EventKind, Duration),
    RestartsBy(String, Duration),
    LastAction(String),
    Samples(Duration),
    ProbeAttempts(Duration),
    Pile(Duration),
    LatencyP95(Duration),
    Errors(Duration),
    NewestLine(Duration),
    LogBytes(Duration),
    ErrorRate(Duration),
    Says(String, Duration),
    LogMatches(String, Duration),
    LogLines(String, Duration),
    Figures(String, Duration),
    Blamed(Duration),
    Blames(Duration),
    PortHolder(u16),
}

/// A number that a line tells.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Figure {
    pub(super) n: i64,
    pub(super) age_s: f64,
    pub(super) id: String,
    pub(super) text: String,
}

/// What it is asked about.
pub(super) struct About<'a> {
    pub(super) process: &'a ProcessName,
    pub(super) symptoms: &'a [Symptom],
    /// The newest event that this look knows.
    pub(super) newest: &'a dyn Fn(&dyn Facts) -> i64,
}

impl Question {
    /// The words it is recorded under.
    pub(crate) fn words(&self) -> String {
        let windowed = |name: &str, w: &Duration| format!("{name}({}ms)", w.as_millis());
        match self {
            Question::Process => "process".into(),
            Question::Score => "score".into(),
            Question::Illness => "illness".into(),
            Question::Deaths => "deaths".into(),
            Question::Probe => "probe".into(),
            Question::ProbePort => "probe port".into(),
            Question::SickDependency => "sick dependency".into(),
            Question::Count(kinds, w) => {
                let names: Vec<String> = kinds.iter().map(ToString::to_string).collect();
                windowed(&format!("count {}", names.join("+")), w)
            }
            Question::Events(kind, w) => windowed(&format!("events {kind}"), w),
            Question::RestartsBy(reason, w) => windowed(&format!("restarts by {reason}"), w),
            Question::LastAction(name) => format!("last action {name}"),
            Question::Samples(w) => windowed("samples", w),
            Question::ProbeAttempts(w) => windowed("probe attempts", w),
            Question::Pile(w) => windowed("pile", w),
            Question::LatencyP95(w) => windowed("latency p95", w),
            Question::Errors(w) => windowed("errors", w),
            Question::NewestLine(w) => windowed("newest line", w),
            Question::LogBytes(w) => windowed("log bytes", w),
            Question::ErrorRate(w) => windowed("error rate", w),
            Question::Says(pattern, w) => windowed(&format!("says {pattern:?}"), w),
            Question::LogMatches(pattern, w) => windowed(&format!("log matches {pattern:?}"), w),
            Question::LogLines(pattern, w) => windowed(&format!("log lines {pattern:?}"), w),
            Question::Figures(pattern, w) => windowed(&format!("figures {pattern:?}"), w),
            Question::Blamed(w) => windowed("blamed", w),
            Question::Blames(w) => windowed("blames", w),
            Question::PortHolder(port) => format!("port holder {port}"),
        }
    }

    /// Can it be answered at all?
    pub(super) fn check(&self) -> Result<(), String> {
        let within = |w: &Duration| match *w <= LONGEST {
            true => Ok(()),
            false => Err("nobody looks back longer than a day".to_owned()),
        };
        let short = |text: &str| match text.len() <= TEXT {
            true => Ok(()),
            false => Err("a question has a text of more than 64 KiB".to_owned()),
        };
        match self {
            Question::Process
            | Question::Score
            | Question::Illness
            | Question::Deaths
            | Question::Probe
            | Question::ProbePort
            | Question::SickDependency
            | Question::PortHolder(_) => Ok(()),
            Question::Count(kinds, _) if kinds.len() > KINDS => {
                Err("too many kinds of events are counted together".to_owned())
            }
            Question::Count(_, w)
            | Question::Events(_, w)
            | Question::Samples(w)
            | Question::ProbeAttempts(w)
            | Question::Pile(w)
            | Question::LatencyP95(w)
            | Question::Errors(w)
            | Question::NewestLine(w)
            | Question::LogBytes(w)
            | Question::ErrorRate(w)
            | Question::Blamed(w)
            | Question::Blames(w) => within(w),
            Question::LastAction(name) => short(name),
            Question::RestartsBy(reason, w) => short(reason).and_then(|()| within(w)),
            Question::Says(pattern, w)
            | Question::LogMatches(pattern, w)
            | Question::LogLines(pattern, w)
            | Question::Figures(pattern, w) => {
                short(pattern)?;
                within(w)?;
                regular(pattern).map(|_| ())
            }
        }
    }

    /// Looks. It has been checked.
    pub(super) fn answer(&self, facts: &dyn Facts, about: &About<'_>) -> Value {
        let name = about.process;
        match self {
            Question::Process => plain(facts, name),
            Question::Score => json!(crate::score::score(facts, name)),
            Question::Illness => json!(crate::memory::illness(facts, name, about.symptoms)),
            Question::Deaths => json!(deaths::deaths(facts, name, (about.newest)(facts))),
            Question::Probe => json!(probe(facts, name)),
            Question::ProbePort => json!(probe_port(facts, name)),
            Question::SickDependency => json!(errors::sick_dependency(facts, name)),
            Question::Count(kinds, w) => {
                let newest = (about.newest)(facts);
                let of = |kind: &EventKind| {
                    let all = facts.events(name, Some(*kind), *w);
                    all.iter().filter(|event| event.id <= newest).count()
                };
                json!(kinds.iter().map(of).sum::<usize>())
            }
            Question::Events(kind, w) => {
                let all = facts.events(name, Some(*kind), *w).into_iter();
                all.map(|event| {
                    json!({
                        "id": event.id,
                        "name": kind.to_string(),
                        "ts": event.at.as_second(),
                        "instance": event.instance,
                        "data": event.data,
                    })
                })
                .collect()
            }
            Question::RestartsBy(reason, w) => {
                let all = facts.events(name, Some(EventKind::Restart), *w);
                let by = all
                    .iter()
                    .filter(|event| event.data["reason"] == reason.as_str());
                json!(by.count())
            }
            Question::LastAction(action) => json!(last_action(facts, name, action)),
            Question::Samples(w) => json!(samples(facts, name, *w)),
            Question::ProbeAttempts(w) => json!(facts.probe_attempts(name, *w).unwrap_or((0, 0))),
            Question::Pile(w) => json!(pile(facts, name, *w)),
            Question::LatencyP95(w) => json!(latency_p95(facts, name, *w)),
            Question::Errors(w) => json!(errors::errors(facts, name, *w)),
            Question::NewestLine(w) => json!(
                errors::newest_line(facts, name, *w)
                    .map(|line| (format!("log:{}", line.id), knowledge::quotable(&line.text)))
            ),
            Question::LogBytes(w) => json!(whole(facts.log_bytes(name, *w))),
            Question::ErrorRate(w) => {
                let all = facts.log_count(name, r"\S", *w);
                let pattern = r"(?i)\b(error|exception|fatal|critical|panic)\b|[A-Za-z](Error|Exception)\b|HTTP/[0-9.]+\W+5\d\d";
                json!((whole(facts.log_count(name, pattern, *w)), whole(all)))
            }
            Question::Says(pattern, w) => {
                json!(facts.log_lines(name, pattern, *w, 1).pop().map(shown))
            }
            Question::LogMatches(pattern, w) => {
                let count = facts.log_count(name, pattern, *w);
                let newest = (count > 0)
                    .then(|| facts.log_lines(name, pattern, *w, 1).pop())
                    .flatten();
                json!((whole(count), newest.map(shown)))
            }
            Question::LogLines(pattern, w) => {
                let lines = facts.log_lines(name, pattern, *w, LOG_LINES).into_iter();
                json!(lines.map(shown).collect::<Vec<_>>())
            }
            Question::Figures(pattern, w) => json!(figures(facts, name, pattern, *w)),
            Question::Blamed(w) => json!(errors::blamed(facts, name, *w)),
            Question::Blames(w) => json!(errors::blames(facts, name, *w)),
            Question::PortHolder(port) => json!(facts.port_holder(*port)),
        }
    }
}

/// A pattern that was written by somebody.
pub(super) fn regular(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|error| format!("`{pattern}` is no regular expression: {error}"))
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A line, and as much of it as is kept.
fn shown(LogHit { id, text, .. }: LogHit) -> (String, String) {
    (id, cut(&text))
}

fn cut(text: &str) -> String {
    text.chars().take(500).collect()
}

/// The worst copy's probe: failures in a row, seconds down, why.
fn probe(facts: &dyn Facts, name: &ProcessName) -> (i64, f64, Option<String>) {
    let copies = facts.process(name).into_iter();
    let copies = copies.flat_map(|process| process.instances);
    copies
        .map(|instance| {
            (
                i64::from(instance.probe_failures),
                instance.probe_down_ms.unwrap_or(0) as f64 / 1000.0,
                instance.probe_error,
            )
        })
        .max_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)))
        .unwrap_or((0, 0.0, None))
}

/// The port that its probe tries.
fn probe_port(facts: &dyn Facts, name: &ProcessName) -> Option<i64> {
    let config = facts.process(name)?.config;
    let health = &config["health"];
    health["tcp"]["port"].as_i64().or_else(|| {
        let url = health["http"]["url"].as_str()?;
        let rest = url.split("://").nth(1)?.split('/').next()?;
        rest.rsplit_once(':')?.1.parse().ok()
    })
}

/// Seconds since a machine did this; what it did shows as the actor of events.
fn last_action(facts: &dyn Facts, name: &ProcessName, action: &str) -> Option<f64> {
    let now = facts.now();
    let all = facts.events(name, None, Duration::from_secs(3600));
    let mut newest_first = all.iter().rev();
    let found = newest_first.find(|event| {
        event.actor.contains(action)
            || (event.data["reason"] == "brain" && event.kind.to_string() == action)
    });
    found.map(|event| supervisor::until(event.at, now).as_secs_f64())
}

/// Copies are added up per moment: seconds ago, percent of a core, bytes.
fn samples(facts: &dyn Facts, name: &ProcessName, window: Duration) -> Vec<(f64, f64, f64)> {
    let now = facts.now();
    let mut sums: Vec<(f64, f64, f64)> = Vec::new();
    let mut last: Option<&Sample> = None;
    let all = facts.samples(name, window);
    for sample in &all {
        let age = supervisor::until(sample.at, now).as_secs_f64();
        let together = last.is_some_and(|last| {
            last.instance != sample.instance
                && supervisor::until(last.at, sample.at) < Duration::from_millis(500)
        });
        match sums.last_mut() {
            Some(sum) if together => {
                sum.1 += sample.cpu_percent;
                sum.2 += sample.rss_bytes as f64;
            }
            _ => sums.push((age, sample.cpu_percent, sample.rss_bytes as f64)),
        }
        last = Some(sample);
    }
    sums
}

fn latency_p95(facts: &dyn Facts, name: &ProcessName, window: Duration) -> Option<u64> {
    let now = facts.now();
    let mut all: Vec<u64> = facts
        .probe_results(name, PROBE_RESULTS)
        .into_iter()
        .filter(|one| supervisor::until(one.at, now) <= window)
        .map(|one| one.latency_ms)
        .collect();
    all.sort_unstable();
    // The nearest rank: of twenty tries the nineteenth.
    all.get((all.len() * 95).div_ceil(100).saturating_sub(1))
        .copied()
}

fn figures(facts: &dyn Facts, name: &ProcessName, pattern: &str, window: Duration) -> Vec<Figure> {
    let Ok(regex) = Regex::new(pattern) else {
        return Vec::new();
    };
    let now = facts.now();
    let lines = facts.log_lines(name, pattern, window, FIGURE_LINES);
    let figure = |hit: LogHit| {
        let found = regex.captures(&hit.text)?;
        Some(Figure {
            n: found.get(1)?.as_str().parse().ok()?,
            age_s: supervisor::until(hit.at, now).as_secs_f64(),
            text: cut(&hit.text),
            id: hit.id,
        })
    };
    spread(lines.into_iter().filter_map(figure).collect())
}

/// So many of them as are handed out, evenly: the first and the last, and those between.
fn spread(mut all: Vec<Figure>) -> Vec<Figure> {
    let (count, most) = (all.len(), LOG_LINES);
    if count > most {
        let mut chosen = (0..most).map(|place| place * (count - 1) / (most - 1));
        let (mut place, mut next) = (0, chosen.next());
        all.retain(|_| {
            let keep = next == Some(place);
            if keep {
                next = chosen.next();
            }
            place += 1;
            keep
        });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recordings of years are keyed by these.
    #[test]
    fn the_words_of_a_question_stay() {
        let w = Duration::from_secs(60);
        for (question, words) in [
            (Question::Process, "process"),
            (
                Question::Count(vec![EventKind::Crash, EventKind::SpawnFailed], w),
                "count crash+spawn_failed(60000ms)",
            ),
            (
                Question::Events(EventKind::HealthFail, w),
                "events health_fail(60000ms)",
            ),
            (
                Question::LogMatches("a\"b".into(), w),
                "log matches \"a\\\"b\"(60000ms)",
            ),
            (Question::PortHolder(80), "port holder 80"),
            (Question::Errors(w), "errors(60000ms)"),
        ] {
            assert_eq!(question.words(), words);
        }
    }

    #[test]
    fn what_cannot_be_answered_is_refused() {
        let (day, w) = (LONGEST, Duration::from_secs(1));
        assert!(Question::Errors(day).check().is_ok());
        assert!(Question::Errors(day + w).check().is_err());
        assert!(Question::Says("(".into(), w).check().is_err());
        assert!(Question::LastAction("x".repeat(TEXT + 1)).check().is_err());
        assert!(
            Question::Count(vec![EventKind::Crash; 9], w)
                .check()
                .is_err()
        );
    }
}
