//! The questions of `c`. All are reads, bounded in time and size, and recorded.
//! It is one piece although it is long: a short function for each question.

use std::time::Duration;

use regex::Regex;
use rhai::{Array, Dynamic, Engine};
use serde::Serialize;
use serde_json::{Value, json};
use supervisor::EventKind;

use super::deaths::{Death, deaths};
use super::errors::{self, Blame, ErrorGroup, SickDependency};
use super::{Answer, Context, failure};
use crate::facts::{LogHit, Sample};
use crate::knowledge;

/// Longest window anybody may look back.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Lines that `log_lines` returns.
const LOG_LINES: usize = 20;
/// Probe tries that `latency_p95` looks at.
const PROBE_RESULTS: usize = 200;
/// `cpu_above` and `rss_above` want samples for this share of the window.
const FILLED: f64 = 0.8;

/// A window: `"5m"`, or a number of seconds.
pub(super) fn window(value: &Dynamic) -> Answer<Duration> {
    let window = if let Ok(seconds) = value.as_int() {
        u64::try_from(seconds).ok().map(Duration::from_secs)
    } else if let Ok(seconds) = value.as_float() {
        Duration::try_from_secs_f64(seconds).ok()
    } else {
        value
            .clone()
            .into_string()
            .ok()
            .and_then(|text| humantime::parse_duration(&text).ok())
    };
    window
        .filter(|window| *window <= LONGEST)
        .ok_or_else(|| failure(format!("`{value}` is no duration; write \"5m\" or seconds")))
}

fn key(name: &str, window: Duration) -> String {
    format!("{name}({}ms)", window.as_millis())
}

fn dynamic<T: Serialize>(value: &T) -> Answer<Dynamic> {
    rhai::serde::to_dynamic(value)
}

fn regex_checked(pattern: &str) -> Answer<()> {
    Regex::new(pattern)
        .map(|_| ())
        .map_err(|error| failure(format!("`{pattern}` is no regular expression: {error}")))
}

/// `f64` samples in, one number out; none without samples.
fn samples(c: &Context, window: Duration) -> Answer<Vec<(f64, f64, f64)>> {
    // Copies are added up per moment: seconds ago, percent of a core, bytes.
    c.situation.ask(key("samples", window), |facts| {
        let now = facts.now();
        let mut sums: Vec<(f64, f64, f64)> = Vec::new();
        let mut last: Option<&Sample> = None;
        let all = facts.samples(&c.situation.process, window);
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
    })
}

fn rounded(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

fn average(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len();
    if count == 0 {
        return 0.0;
    }
    rounded(values.sum::<f64>() / count as f64)
}

/// True only if every sample is above, and samples fill most of the window.
fn all_above(
    samples: &[(f64, f64, f64)],
    window: Duration,
    above: impl Fn(&(f64, f64, f64)) -> bool,
) -> bool {
    let oldest = samples.first().map_or(0.0, |sample| sample.0);
    samples.len() >= 2 && oldest >= window.as_secs_f64() * FILLED && samples.iter().all(above)
}

fn count(c: &Context, kinds: &[EventKind], window: Duration) -> Answer<i64> {
    let names: Vec<String> = kinds.iter().map(ToString::to_string).collect();
    c.situation.ask(
        key(&format!("count {}", names.join("+")), window),
        |facts| {
            kinds
                .iter()
                .map(|kind| {
                    facts
                        .events(&c.situation.process, Some(*kind), window)
                        .len() as i64
                })
                .sum()
        },
    )
}

fn all_deaths(c: &Context) -> Answer<Vec<Death>> {
    c.situation
        .ask("deaths", |facts| deaths(facts, &c.situation.process))
}

fn note_death(c: &Context, death: &Death) {
    c.note(&death.id, format!("died: {}", death.exit));
    if !death.error.is_empty() {
        c.note(&death.error_id, &death.error);
    }
    if !death.source.is_empty() {
        c.note(&death.id, format!("{} reads {}", death.place, death.source));
    }
    if !death.output.is_empty() {
        c.note(&death.output_id, &death.output);
    }
}

fn errors_in(c: &Context, window: Duration) -> Answer<Vec<ErrorGroup>> {
    c.situation.ask(key("errors", window), |facts| {
        errors::errors(facts, &c.situation.process, window)
    })
}

fn blame(c: &Context, name: &str, window: Duration) -> Answer<Vec<Blame>> {
    let found = c.situation.ask(key(name, window), |facts| {
        if name == "blamed" {
            errors::blamed(facts, &c.situation.process, window)
        } else {
            errors::blames(facts, &c.situation.process, window)
        }
    })?;
    for one in &found {
        c.note(&one.id, format!("{}: {}", one.process, one.text));
    }
    Ok(found)
}

fn sick(c: &Context) -> Answer<Option<SickDependency>> {
    c.situation.ask("sick dependency", |facts| {
        errors::sick_dependency(facts, &c.situation.process)
    })
}

fn newest_line(c: &Context, window: Duration) -> Answer<Option<(String, String)>> {
    c.situation.ask(key("newest line", window), |facts| {
        errors::newest_line(facts, &c.situation.process, window)
            .map(|line| (format!("log:{}", line.id), knowledge::quotable(&line.text)))
    })
}

fn bytes(c: &Context, window: Duration) -> Answer<i64> {
    c.situation.ask(key("log bytes", window), |facts| {
        i64::try_from(facts.log_bytes(&c.situation.process, window)).unwrap_or(i64::MAX)
    })
}

fn event_kind(name: &str) -> Answer<EventKind> {
    serde_json::from_value(Value::String(name.to_owned()))
        .map_err(|_| failure(format!("there is no event `{name}`")))
}

/// The worst copy's probe: failures in a row, seconds down, why.
fn probe(c: &Context) -> Answer<(i64, f64, Option<String>)> {
    c.situation.ask("probe", |facts| {
        facts
            .process(&c.situation.process)
            .into_iter()
            .flat_map(|process| process.instances)
            .map(|instance| {
                (
                    i64::from(instance.probe_failures),
                    instance.probe_down_ms.unwrap_or(0) as f64 / 1000.0,
                    instance.probe_error,
                )
            })
            .max_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)))
            .unwrap_or((0, 0.0, None))
    })
}

/// What seems to be wrong with a process that lives, as a map with a sentence in it.
fn trouble(c: &mut Context) -> Answer<Dynamic> {
    let (failures, down_s, live_error) = probe(c)?;
    let from_event = c.situation.event().and_then(|symptom| {
        let error = symptom.data["error"].as_str()?;
        Some((error.to_owned(), symptom.data["failures"].as_i64()))
    });
    let (probe_error, failures) = match (from_event, live_error) {
        (Some((error, count)), _) => (error, count.unwrap_or(failures)),
        (None, Some(error)) => (error, failures),
        (None, None) => (String::new(), failures),
    };
    let errors = errors_in(c, Duration::from_secs(20))?;
    let newest = newest_line(c, Duration::from_secs(120))?;
    let sick = sick(c)?;
    let samples = samples(c, Duration::from_secs(12))?;
    let cpu = samples.iter().map(|sample| sample.1).fold(0.0, f64::max);
    let mut parts: Vec<String> = Vec::new();
    if !probe_error.is_empty() {
        let hangs = probe_error.to_lowercase().contains("time");
        parts.push(format!(
            "its health probe failed {failures} times in a row ({probe_error}){}",
            if hangs {
                ": it hangs and does not respond (unresponsive, timed out)"
            } else {
                ""
            }
        ));
        c.note(
            "probe:health",
            format!("probe: {probe_error}, {failures} times"),
        );
    }
    if let Some(sick) = &sick {
        parts.push(format!("its dependency {}", sick.words));
        c.note("probe:dependency", &sick.words);
    }
    if cpu >= 70.0 {
        parts.push(format!(
            "it is busy: CPU at {cpu:.0} % of a core, so something spins or blocks it"
        ));
        c.note("metric:cpu", format!("CPU at {cpu:.0} % of a core"));
    }
    if let Some(error) = errors.first() {
        parts.push(format!("it logs `{}`", error.text));
        if error.kind != "unknown" {
            parts.push(format!("that means: {}", error.words));
        }
        c.note(&error.id, &error.text);
    }
    if let Some((id, text)) = &newest
        && errors.first().is_none_or(|error| error.text != *text)
    {
        parts.push(format!("its last output is `{text}`"));
        c.note(id, text);
    }
    dynamic(&json!({
        "words": parts.join("; "),
        "failures": failures,
        "down_s": down_s,
        "cpu": rounded(cpu),
        "error": errors.first().map(|error| error.text.clone()),
        "kind": errors.first().map(|error| error.kind.clone()),
        "dependency": sick.map(|sick| sick.name),
    }))
}

/// The port a process wants: from its last words, else from its probe.
fn wanted_port(c: &Context) -> Answer<Option<i64>> {
    let said = all_deaths(c)?.last().and_then(|death| {
        Regex::new(r":(\d{2,5})\b|port (\d{2,5})\b")
            .expect("a constant")
            .captures(&death.error)
            .and_then(|found| found.get(1).or_else(|| found.get(2)))
            .and_then(|port| port.as_str().parse().ok())
    });
    if said.is_some() {
        return Ok(said);
    }
    c.situation.ask("probe port", |facts| {
        let config = facts.process(&c.situation.process)?.config;
        let health = &config["health"];
        health["tcp"]["port"].as_i64().or_else(|| {
            let url = health["http"]["url"].as_str()?;
            let rest = url.split("://").nth(1)?.split('/').next()?;
            rest.rsplit_once(':')?.1.parse().ok()
        })
    })
}

pub(super) fn register(engine: &mut Engine) {
    engine.register_indexer_get(|c: &mut Context, key: &str| c.property(key));
    register_events(engine);
    register_metrics(engine);
    register_logs(engine);
    register_findings(engine);
    engine
        .register_fn("kb", |n: i64| n.saturating_mul(1 << 10))
        .register_fn("mb", |n: i64| n.saturating_mul(1 << 20))
        .register_fn("gb", |n: i64| n.saturating_mul(1 << 30))
        .register_fn("dur", |text: Dynamic| -> Answer<f64> {
            Ok(window(&text)?.as_secs_f64())
        })
        // Scripts have no regular expressions of their own: the first number after a text.
        .register_fn("number_after", |text: &str, word: &str| -> Dynamic {
            let lower = text.to_lowercase();
            let Some(at) = lower.find(&word.to_lowercase()) else {
                return Dynamic::UNIT;
            };
            let digits: String = lower[at + word.len()..]
                .chars()
                .skip_while(|letter| !letter.is_ascii_digit())
                .take_while(char::is_ascii_digit)
                .collect();
            digits.parse::<i64>().map_or(Dynamic::UNIT, Dynamic::from)
        })
        .register_fn("percent_of", |part: Dynamic, whole: Dynamic| -> f64 {
            let number = |value: &Dynamic| {
                value
                    .as_float()
                    .or_else(|_| value.as_int().map(|int| int as f64))
                    .unwrap_or(0.0)
            };
            let whole = number(&whole);
            if whole == 0.0 {
                0.0
            } else {
                rounded(100.0 * number(&part) / whole)
            }
        })
        .register_fn("in_mb", |bytes: Dynamic| -> i64 {
            let bytes = bytes
                .as_int()
                .or_else(|_| bytes.as_float().map(|float| float as i64))
                .unwrap_or(0);
            bytes >> 20
        });
}

fn register_events(engine: &mut Engine) {
    engine
        .register_fn("crashes", |c: &mut Context, w: Dynamic| -> Answer<i64> {
            count(c, &[EventKind::Crash, EventKind::SpawnFailed], window(&w)?)
        })
        .register_fn("restarts", |c: &mut Context, w: Dynamic| -> Answer<i64> {
            count(c, &[EventKind::Restart], window(&w)?)
        })
        .register_fn("heals", |c: &mut Context, w: Dynamic| -> Answer<i64> {
            count(c, &[EventKind::HealthRecover], window(&w)?)
        })
        .register_fn(
            "restarts_by",
            |c: &mut Context, reason: &str, w: Dynamic| -> Answer<i64> {
                let w = window(&w)?;
                c.situation
                    .ask(key(&format!("restarts by {reason}"), w), |facts| {
                        facts
                            .events(&c.situation.process, Some(EventKind::Restart), w)
                            .iter()
                            .filter(|event| event.data["reason"] == reason)
                            .count() as i64
                    })
            },
        )
        .register_fn(
            "events",
            |c: &mut Context, name: &str, w: Dynamic| -> Answer<Dynamic> {
                let (kind, w) = (event_kind(name)?, window(&w)?);
                let found: Vec<Value> =
                    c.situation
                        .ask(key(&format!("events {name}"), w), |facts| {
                            facts
                                .events(&c.situation.process, Some(kind), w)
                                .into_iter()
                                .map(|event| {
                                    json!({
                                        "id": event.id,
                                        "name": name,
                                        "ts": event.at.as_second(),
                                        "instance": event.instance,
                                        "data": event.data,
                                    })
                                })
                                .collect()
                        })?;
                if let Some(last) = found.last() {
                    c.note(
                        format!("event:{}", last["id"]),
                        format!("{name} × {}", found.len()),
                    );
                }
                dynamic(&found)
            },
        )
        .register_fn(
            "seen",
            |c: &mut Context, print: &str, w: Dynamic| -> Answer<i64> {
                let w = window(&w)?;
                let oldest =
                    c.situation.now() - jiff::SignedDuration::try_from(w).unwrap_or_default();
                Ok(all_deaths(c)?
                    .iter()
                    .filter(|death| death.print == print && death.at >= oldest)
                    .count() as i64)
            },
        )
        .register_fn("fingerprint", |c: &mut Context| -> Answer<String> {
            Ok(all_deaths(c)?
                .last()
                .map_or_else(String::new, |death| death.print.clone()))
        })
        .register_fn("illness", |c: &mut Context| -> Answer<String> {
            let found = c.situation.illness()?;
            if let Some(found) = &found {
                c.note("illness", &found.readable);
            }
            Ok(found.map_or_else(String::new, |found| found.hash))
        })
        .register_fn("same_death", |c: &mut Context, n: i64| -> Answer<bool> {
            let deaths = all_deaths(c)?;
            let Some(last) = deaths.last() else {
                return Ok(false);
            };
            note_death(c, last);
            Ok(last.same >= n)
        })
        .register_fn("death", |c: &mut Context| -> Answer<Dynamic> {
            let deaths = all_deaths(c)?;
            let Some(last) = deaths.last() else {
                return Ok(Dynamic::UNIT);
            };
            note_death(c, last);
            dynamic(last)
        })
        .register_fn("was_online", |c: &mut Context| -> Answer<bool> {
            Ok(count(c, &[EventKind::Online], Duration::from_secs(3600))? > 0)
        })
        .register_fn(
            "last_action",
            |c: &mut Context, name: &str| -> Answer<Dynamic> {
                // What a machine did shows as the actor of events.
                let found: Option<f64> =
                    c.situation.ask(format!("last action {name}"), |facts| {
                        let now = facts.now();
                        facts
                            .events(&c.situation.process, None, Duration::from_secs(3600))
                            .iter()
                            .rev()
                            .find(|event| {
                                event.actor.contains(name)
                                    || (event.data["reason"] == "brain"
                                        && event.kind.to_string() == name)
                            })
                            .map(|event| supervisor::until(event.at, now).as_secs_f64())
                    })?;
                Ok(found.map_or(Dynamic::UNIT, Dynamic::from))
            },
        );
}

fn register_metrics(engine: &mut Engine) {
    engine
        .register_fn("cpu_avg", |c: &mut Context, w: Dynamic| -> Answer<f64> {
            let samples = samples(c, window(&w)?)?;
            let cpu = average(samples.iter().map(|sample| sample.1));
            c.note("metric:cpu", format!("CPU {cpu} % of a core over {w}"));
            Ok(cpu)
        })
        .register_fn("cpu_max", |c: &mut Context, w: Dynamic| -> Answer<f64> {
            let samples = samples(c, window(&w)?)?;
            Ok(rounded(
                samples.iter().map(|sample| sample.1).fold(0.0, f64::max),
            ))
        })
        .register_fn(
            "cpu_above",
            |c: &mut Context, percent: Dynamic, w: Dynamic| -> Answer<bool> {
                let percent = percent
                    .as_float()
                    .or_else(|_| percent.as_int().map(|int| int as f64))
                    .map_err(|_| failure("cpu_above takes a number of percent"))?;
                let w = window(&w)?;
                Ok(all_above(&samples(c, w)?, w, |sample| sample.1 > percent))
            },
        )
        .register_fn("rss_avg", |c: &mut Context, w: Dynamic| -> Answer<f64> {
            let samples = samples(c, window(&w)?)?;
            Ok(average(samples.iter().map(|sample| sample.2)))
        })
        .register_fn(
            "rss_above",
            |c: &mut Context, bytes: i64, w: Dynamic| -> Answer<bool> {
                let w = window(&w)?;
                Ok(all_above(&samples(c, w)?, w, |sample| {
                    sample.2 > bytes as f64
                }))
            },
        )
        .register_fn("rss_growth", |c: &mut Context, w: Dynamic| -> Answer<f64> {
            let samples = samples(c, window(&w)?)?;
            let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
                return Ok(0.0);
            };
            let growth = if first.2 > 0.0 {
                (last.2 - first.2) / first.2
            } else {
                0.0
            };
            c.note(
                "metric:rss",
                format!("memory grew by {:.0} % in {w}", growth * 100.0),
            );
            Ok(growth)
        })
        .register_fn("rss_slope", |c: &mut Context, w: Dynamic| -> Answer<f64> {
            // Bytes a second, by least squares.
            let samples = samples(c, window(&w)?)?;
            let n = samples.len() as f64;
            let (mean_t, mean_v) = samples.iter().fold((0.0, 0.0), |(t, v), sample| {
                (t - sample.0 / n, v + sample.2 / n)
            });
            let (over, under) = samples.iter().fold((0.0, 0.0), |(over, under), sample| {
                let dt = -sample.0 - mean_t;
                (over + dt * (sample.2 - mean_v), under + dt * dt)
            });
            Ok(if under > 0.0 { over / under } else { 0.0 })
        })
        .register_fn("probe_failures", |c: &mut Context| -> Answer<i64> {
            Ok(probe(c)?.0)
        })
        .register_fn("probe_down_for", |c: &mut Context| -> Answer<f64> {
            let (failures, down_s, error) = probe(c)?;
            if failures > 0 {
                let error = error.unwrap_or_default();
                c.note(
                    "probe:health",
                    format!("probe down for {down_s:.0} s: {error}"),
                );
            }
            Ok(down_s)
        })
        .register_fn(
            "probe_success",
            |c: &mut Context, w: Dynamic| -> Answer<Dynamic> {
                let (passed, total) = attempts(c, &w)?;
                Ok(if total == 0 {
                    Dynamic::UNIT
                } else {
                    Dynamic::from(passed as f64 / total as f64)
                })
            },
        )
        .register_fn(
            "latency_p95",
            |c: &mut Context, w: Dynamic| -> Answer<Dynamic> {
                let w = window(&w)?;
                let slow: Option<u64> = c.situation.ask(key("latency p95", w), |facts| {
                    let now = facts.now();
                    let mut all: Vec<u64> = facts
                        .probe_results(&c.situation.process, PROBE_RESULTS)
                        .into_iter()
                        .filter(|one| supervisor::until(one.at, now) <= w)
                        .map(|one| one.latency_ms)
                        .collect();
                    all.sort_unstable();
                    // The nearest rank: of twenty tries the nineteenth.
                    all.get((all.len() * 95).div_ceil(100).saturating_sub(1))
                        .copied()
                })?;
                if let Some(ms) = slow {
                    c.note(
                        "probe:health",
                        format!("95 % of the probes took up to {ms} ms"),
                    );
                }
                Ok(slow.map_or(Dynamic::UNIT, |ms| Dynamic::from(ms as f64)))
            },
        )
        .register_fn(
            "probe_attempts",
            |c: &mut Context, w: Dynamic| -> Answer<Dynamic> {
                let (passed, total) = attempts(c, &w)?;
                if total > 0 {
                    let failed = total - passed;
                    c.note(
                        "probe:health",
                        format!("{failed} of {total} health probes failed"),
                    );
                }
                dynamic(&json!({"passed": passed, "total": total}))
            },
        );
}

fn attempts(c: &Context, w: &Dynamic) -> Answer<(i64, i64)> {
    let w = window(w)?;
    c.situation.ask(key("probe attempts", w), |facts| {
        facts
            .probe_attempts(&c.situation.process, w)
            .map_or((0, 0), |(passed, total)| (passed as i64, total as i64))
    })
}

/// As much of a line as is kept.
fn cut(text: &str) -> String {
    text.chars().take(500).collect()
}

/// Does the event, or a line of the last `w`, match? The event carries a program's last words,
/// which may not have reached the log yet.
fn says(c: &Context, pattern: &str, w: Duration) -> Answer<bool> {
    let regex = Regex::new(pattern)
        .map_err(|error| failure(format!("`{pattern}` is no regular expression: {error}")))?;
    if let Some(symptom) = c.situation.event() {
        let lines = symptom.data["last_lines"].as_array().into_iter().flatten();
        let mut texts = lines
            .chain([&symptom.data["error"]])
            .filter_map(Value::as_str);
        if let Some(text) = texts.find(|text| regex.is_match(text)) {
            let id = symptom
                .event
                .map_or_else(String::new, |id| format!("event:{id}"));
            c.note(id, knowledge::quotable(text));
            return Ok(true);
        }
    }
    let found: Option<(String, String)> =
        c.situation
            .ask(key(&format!("says {pattern:?}"), w), |facts| {
                facts
                    .log_lines(&c.situation.process, pattern, w, 1)
                    .pop()
                    .map(|line| (line.id, cut(&line.text)))
            })?;
    if let Some((id, text)) = &found {
        c.note(format!("log:{id}"), knowledge::quotable(text));
    }
    Ok(found.is_some())
}

fn register_logs(engine: &mut Engine) {
    engine
        .register_fn(
            "log_count",
            |c: &mut Context, pattern: &str, w: Dynamic| -> Answer<i64> {
                regex_checked(pattern)?;
                let w = window(&w)?;
                let question = key(&format!("log matches {pattern:?}"), w);
                let (count, newest) = c.situation.ask(question, |facts| {
                    let name = &c.situation.process;
                    let count = facts.log_count(name, pattern, w) as i64;
                    let newest = (count > 0)
                        .then(|| facts.log_lines(name, pattern, w, 1).pop())
                        .flatten()
                        .map(|LogHit { id, text, .. }| (id, cut(&text)));
                    (count, newest)
                })?;
                if let Some((id, text)) = newest {
                    c.note(format!("log:{id}"), knowledge::quotable(&text));
                }
                Ok(count)
            },
        )
        .register_fn(
            "log_lines",
            |c: &mut Context, pattern: &str, w: Dynamic| -> Answer<Array> {
                regex_checked(pattern)?;
                let w = window(&w)?;
                let lines: Vec<(String, String)> =
                    c.situation
                        .ask(key(&format!("log lines {pattern:?}"), w), |facts| {
                            facts
                                .log_lines(&c.situation.process, pattern, w, LOG_LINES)
                                .into_iter()
                                .map(|LogHit { id, text, .. }| (id, cut(&text)))
                                .collect()
                        })?;
                for (id, text) in lines.iter().rev().take(3) {
                    c.note(format!("log:{id}"), knowledge::quotable(text));
                }
                Ok(lines.into_iter().map(|(_, text)| text.into()).collect())
            },
        )
        .register_fn(
            "says",
            |c: &mut Context, pattern: &str, w: Dynamic| -> Answer<bool> {
                regex_checked(pattern)?;
                says(c, pattern, window(&w)?)
            },
        )
        .register_fn("log_bytes", |c: &mut Context, w: Dynamic| -> Answer<i64> {
            bytes(c, window(&w)?)
        })
        .register_fn("log_rate_bytes", |c: &mut Context, w: Dynamic| -> Answer<f64> {
            let w = window(&w)?;
            let rate = rounded(bytes(c, w)? as f64 / w.as_secs_f64().max(0.001));
            c.note("metric:log_bytes", format!("{:.0} bytes/s of log", rate));
            Ok(rate)
        })
        .register_fn("error_rate", |c: &mut Context, w: Dynamic| -> Answer<Dynamic> {
            let w = window(&w)?;
            if count(c, &[EventKind::Crash], w)? >= 2 {
                return Ok(Dynamic::from(1.0));
            }
            let (errors, all) = c.situation.ask(key("error rate", w), |facts| {
                let name = &c.situation.process;
                let all = facts.log_count(name, r"\S", w);
                let pattern = r"(?i)\b(error|exception|fatal|critical|panic)\b|[A-Za-z](Error|Exception)\b|HTTP/[0-9.]+\W+5\d\d";
                (facts.log_count(name, pattern, w) as i64, all as i64)
            })?;
            // Fewer lines say nothing.
            Ok(if all < 20 {
                Dynamic::UNIT
            } else {
                Dynamic::from(errors as f64 / all as f64)
            })
        })
        .register_fn("errors", |c: &mut Context, w: Dynamic| -> Answer<Dynamic> {
            let found = errors_in(c, window(&w)?)?;
            if let Some(first) = found.first() {
                c.note(&first.id, &first.text);
            }
            dynamic(&found)
        })
        .register_fn("last_line", |c: &mut Context, w: Dynamic| -> Answer<String> {
            Ok(match newest_line(c, window(&w)?)? {
                Some((id, text)) => {
                    c.note(id, &text);
                    text
                }
                None => String::new(),
            })
        });
}

fn register_findings(engine: &mut Engine) {
    engine
        .register_fn("trouble", trouble)
        .register_fn("blamed", |c: &mut Context, w: Dynamic| -> Answer<Dynamic> {
            dynamic(&blame(c, "blamed", window(&w)?)?)
        })
        .register_fn("blames", |c: &mut Context, w: Dynamic| -> Answer<Dynamic> {
            dynamic(&blame(c, "blames", window(&w)?)?)
        })
        .register_fn("sick_dependency", |c: &mut Context| -> Answer<Dynamic> {
            let sick = sick(c)?;
            if let Some(sick) = &sick {
                c.note("probe:dependency", &sick.words);
            }
            Ok(match sick {
                Some(sick) => dynamic(&sick)?,
                None => Dynamic::UNIT,
            })
        })
        .register_fn("wanted_port", |c: &mut Context| -> Answer<Dynamic> {
            Ok(wanted_port(c)?.map_or(Dynamic::UNIT, Dynamic::from))
        })
        .register_fn(
            "port_holder",
            |c: &mut Context, port: Dynamic| -> Answer<Dynamic> {
                let Some(number) = port.as_int().ok().and_then(|port| u16::try_from(port).ok())
                else {
                    return Ok(Dynamic::UNIT);
                };
                let holder = c.situation.ask(format!("port holder {number}"), |facts| {
                    facts.port_holder(number)
                })?;
                let Some((pid, command)) = holder else {
                    return Ok(Dynamic::UNIT);
                };
                let command = knowledge::quotable(&command);
                c.note(
                    format!("port:{number}"),
                    format!("port {number} is in use by pid {pid} ({command})"),
                );
                dynamic(&json!({"pid": pid, "command": command, "port": number}))
            },
        );
}
