//! The questions of `c`. All are reads, bounded in time and size, and recorded.

mod events;
mod findings;
mod logs;
mod metrics;

use std::time::Duration;

use regex::Regex;
use rhai::{Array, Dynamic, Engine, Map};
use serde::Serialize;
use serde_json::{Value, json};
use supervisor::EventKind;

use super::deaths::Death;
use super::errors::{Blame, ErrorGroup, SickDependency};
use super::question::{Figure, LONGEST, regular};
use super::{Answer, Context, Question, failure};
use crate::knowledge;
use events::{all_deaths, count, register_events};
use findings::register_findings;
use logs::{errors_in, newest_line, register_logs};
use metrics::{probe, register_metrics, samples};

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

fn dynamic<T: Serialize>(value: &T) -> Answer<Dynamic> {
    rhai::serde::to_dynamic(value)
}

fn rounded(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
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
