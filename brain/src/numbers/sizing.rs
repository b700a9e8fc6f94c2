//! What a day of figures says about the settings of a process.
//!
//! Each suggestion is a key, its value now, a better one and the figures behind it. What the
//! figures do not support is not suggested.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use supervisor::spec::defaults;

use super::fit::quantile;
use super::words::{size, span, times};

const MB: f64 = 1024.0 * 1024.0;
/// Samples that a limit needs behind it: a quarter of an hour of them.
const SAMPLES: usize = 180;
/// What a limit is above what 99 of 100 samples need.
const ROOM: f64 = 1.3;
/// Load of one copy, in percent of a core, that leaves room for bursts.
const LOAD: f64 = 70.0;
/// A limit that is off by less stays as it is.
const NEAR: f64 = 0.25;

/// What was seen of a process over some time.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Usage {
    /// Over how long, in seconds.
    pub seconds: f64,
    /// Resident bytes of one copy at a time, all samples of all copies.
    pub memory: Vec<f64>,
    /// Percent of one core, one copy at a time.
    pub cpu: Vec<f64>,
    /// Milliseconds of probes that passed.
    pub latency: Vec<f64>,
    /// Crashes.
    pub crashes: u32,
    /// How long the shortest run that crashed lasted, in seconds.
    pub shortest_run_s: Option<f64>,
    /// Restarts because of memory.
    pub memory_restarts: u32,
    /// Probes that failed once and then passed, without an incident.
    pub misses: u32,
    /// Cores of the machine.
    pub cpus: u32,
}

/// A better value of a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Suggestion {
    /// As in `mhost.toml`; a dot leads into a table: `health.http.timeout`.
    pub key: String,
    /// Its value now; null where it is not set.
    pub now: Value,
    /// The better one.
    pub better: Value,
    /// The figures behind it.
    pub why: String,
}

/// What the figures of a process suggest. `config` is its definition as JSON.
pub fn suggest(config: &Value, usage: &Usage) -> Vec<Suggestion> {
    let mut all = Vec::new();
    all.extend(max_memory(config, usage));
    all.extend(instances(config, usage));
    all.extend(probe(config, usage));
    all.extend(restarts(config, usage));
    all
}

/// `97MB`, rounded up to what a person would write.
fn rounded(bytes: f64) -> u64 {
    let mb = bytes / MB;
    let step = match mb {
        mb if mb >= 2048.0 => 256.0,
        mb if mb >= 512.0 => 64.0,
        mb if mb >= 128.0 => 16.0,
        _ => 8.0,
    };
    ((mb / step).ceil() * step).max(8.0) as u64
}

fn max_memory(config: &Value, usage: &Usage) -> Option<Suggestion> {
    if usage.memory.len() < SAMPLES {
        return None;
    }
    let p99 = quantile(&usage.memory, 0.99)?;
    let better = rounded(p99 * ROOM);
    let now = config.get("max_memory").cloned().unwrap_or_default();
    if let Some(limit) = bytes_of(&now) {
        let off = (limit - better as f64 * MB).abs() / limit;
        // A limit that was reached has cut off what would have told how much it needs.
        if off < NEAR || (usage.memory_restarts > 0 && (better as f64 * MB) < limit) {
            return None;
        }
    }
    Some(Suggestion {
        key: "max_memory".into(),
        now,
        better: json!(format!("{better}MB")),
        why: format!(
            "99 of 100 samples of {} were at most {}; a third above that leaves room",
            span(usage.seconds),
            size(p99)
        ),
    })
}

/// The bytes of a size as it is written in JSON: a number or a text.
pub(super) fn bytes_of(value: &Value) -> Option<f64> {
    if let Some(number) = value.as_u64() {
        return Some(number as f64);
    }
    value
        .as_str()?
        .parse::<supervisor::units::ByteSize>()
        .ok()
        .map(|size| size.0 as f64)
}

fn instances(config: &Value, usage: &Usage) -> Option<Suggestion> {
    let now = config.get("instances").cloned().unwrap_or(json!(1));
    let copies = now.as_u64()?;
    if usage.cpu.len() < SAMPLES || copies == 0 {
        return None;
    }
    let p95 = quantile(&usage.cpu, 0.95)?;
    let needed = ((p95 * copies as f64) / LOAD).ceil().max(1.0) as u64;
    let most = u64::from(usage.cpus.max(1));
    let better = needed.min(most);
    let far = better > copies || (better + 1 < copies && p95 < LOAD / 4.0);
    (far && better != copies).then(|| Suggestion {
        key: "instances".into(),
        now,
        better: json!(better),
        why: format!(
            "95 of 100 samples of a copy were at most {p95:.0} % of a core; {better} would be at {:.0} %",
            p95 * copies as f64 / better as f64
        ),
    })
}

/// The probe of a process: its kind and its table.
fn probe_of(config: &Value) -> Option<(&'static str, &Value)> {
    let health = config.get("health")?;
    ["http", "tcp", "script"]
        .into_iter()
        .find_map(|kind| Some((kind, health.get(kind).filter(|table| table.is_object())?)))
}

fn probe(config: &Value, usage: &Usage) -> Vec<Suggestion> {
    let Some((kind, table)) = probe_of(config) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    let timeout = table
        .get("timeout")
        .and_then(seconds_of)
        .unwrap_or_else(|| {
            let usual = match kind {
                "http" => defaults::http_timeout(),
                "tcp" => defaults::tcp_timeout(),
                _ => defaults::script_timeout(),
            };
            usual.as_secs_f64()
        });
    if usage.latency.len() >= 10
        && let Some(p95) = quantile(&usage.latency, 0.95)
    {
        let better = (p95 * 5.0 / 1_000.0).ceil().clamp(1.0, 30.0);
        if better > timeout {
            all.push(Suggestion {
                key: format!("health.{kind}.timeout"),
                now: table.get("timeout").cloned().unwrap_or_default(),
                better: json!(format!("{better:.0}s")),
                why: format!(
                    "95 of 100 probes took up to {p95:.0} ms; a busy moment would fail it"
                ),
            });
        }
    }
    let retries = table.get("retries").and_then(Value::as_u64);
    let retries = retries.unwrap_or_else(|| defaults::retries().into());
    if usage.misses >= 5 && retries < 5 {
        all.push(Suggestion {
            key: format!("health.{kind}.retries"),
            now: table.get("retries").cloned().unwrap_or_default(),
            better: json!(retries + 2),
            why: format!(
                "it missed a probe {} and recovered by itself",
                times(u64::from(usage.misses))
            ),
        });
    }
    all
}

/// Seconds of a duration as it is written in JSON: a text, or milliseconds.
fn seconds_of(value: &Value) -> Option<f64> {
    let text = value.as_str()?;
    supervisor::units::parse_duration(text)
        .ok()
        .map(|time| time.as_secs_f64())
}

fn restarts(config: &Value, usage: &Usage) -> Vec<Suggestion> {
    let mut all = Vec::new();
    let most = config
        .get("max_restarts")
        .and_then(Value::as_u64)
        .unwrap_or(0);
    if usage.crashes >= 5 && most == 0 {
        all.push(Suggestion {
            key: "max_restarts".into(),
            now: config.get("max_restarts").cloned().unwrap_or_default(),
            better: json!(10),
            why: format!(
                "it crashed {} in {} and is retried for ever",
                times(u64::from(usage.crashes)),
                span(usage.seconds)
            ),
        });
    }
    let least = config.get("min_uptime").and_then(seconds_of).unwrap_or(1.0);
    if let Some(shortest) = usage.shortest_run_s
        && usage.crashes >= 3
        && shortest > least
        && shortest < 30.0
    {
        all.push(Suggestion {
            key: "min_uptime".into(),
            now: config.get("min_uptime").cloned().unwrap_or_default(),
            better: json!(format!("{:.0}s", (shortest * 2.0).ceil())),
            why: format!(
                "the shortest run that crashed lasted {}, so such crashes do not count for max_restarts",
                span(shortest)
            ),
        });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage() -> Usage {
        Usage {
            seconds: 86_400.0,
            memory: vec![80.0 * MB; 1_000],
            cpu: vec![10.0; 1_000],
            cpus: 4,
            ..Usage::default()
        }
    }

    fn keys(all: &[Suggestion]) -> Vec<&str> {
        all.iter().map(|one| one.key.as_str()).collect()
    }

    #[test]
    fn a_limit_is_a_third_above_what_it_needs() {
        let all = suggest(&json!({ "command": "x" }), &usage());
        assert_eq!(keys(&all), ["max_memory"]);
        assert_eq!(all[0].better, "104MB");
        assert_eq!(suggest(&json!({ "max_memory": "110MB" }), &usage()), []);
        let wide = suggest(&json!({ "max_memory": "1GB" }), &usage());
        assert_eq!(wide[0].better, "104MB");
        // What ran into its limit would have needed more than was measured.
        let cut = Usage {
            memory_restarts: 3,
            ..usage()
        };
        assert_eq!(suggest(&json!({ "max_memory": "1GB" }), &cut), []);
        let few = Usage {
            memory: vec![MB; 20],
            ..usage()
        };
        assert_eq!(suggest(&json!({}), &few), [], "too little is known");
    }

    #[test]
    fn copies_follow_the_load() {
        let busy = Usage {
            cpu: vec![95.0; 500],
            memory: Vec::new(),
            ..usage()
        };
        let all = suggest(&json!({ "instances": 2 }), &busy);
        assert_eq!((keys(&all), &all[0].better), (vec!["instances"], &json!(3)));
        let idle = Usage {
            cpu: vec![1.0; 500],
            memory: Vec::new(),
            ..usage()
        };
        assert_eq!(suggest(&json!({ "instances": 8 }), &idle)[0].better, 1);
        assert_eq!(
            suggest(&json!({ "instances": 2 }), &idle),
            [],
            "one spare copy is no waste"
        );
        let small = Usage { cpus: 2, ..busy };
        assert_eq!(
            suggest(&json!({ "instances": 2 }), &small),
            [],
            "there are no more cores"
        );
    }

    #[test]
    fn a_slow_probe_gets_time_and_a_crasher_gets_a_breaker() {
        let slow = Usage {
            latency: vec![900.0; 20],
            crashes: 6,
            shortest_run_s: Some(4.0),
            misses: 9,
            ..Usage::default()
        };
        let config = json!({ "health": { "http": { "url": "/", "timeout": "3s" } } });
        let all = suggest(&config, &slow);
        assert_eq!(
            keys(&all),
            [
                "health.http.timeout",
                "health.http.retries",
                "max_restarts",
                "min_uptime"
            ]
        );
        assert_eq!(all[0].better, "5s");
    }
}
