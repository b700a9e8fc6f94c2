//! What a process used: memory, processor, descriptors, threads.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::desk::Desk;
use super::args::{Span, Which, object, process, read, span, told, window};
use super::{Found, Tool};
use crate::facts::Sample;

pub(super) const TOOL: Tool = Tool {
    name: "metrics",
    about: "What a process used in a window: least, average, most, 95th percentile, last value, \
            slope per minute, and a series of up to 12 points.",
    parameters: || {
        object(
            json!({
                "process": process(),
                "metric": {"type": "string", "enum": ["cpu", "rss", "fds", "threads"]},
                "window": span("10m"),
            }),
            &["metric"],
        )
    },
    run,
};

/// Points of a series.
const POINTS: usize = 12;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Args {
    #[serde(default)]
    process: Which,
    metric: String,
    window: Option<Span>,
}

fn run(desk: &Desk, arguments: Value) -> Result<Found, String> {
    let args: Args = read(arguments)?;
    let found = args.process.find(desk)?;
    let window = window(args.window.as_ref(), Duration::from_secs(600))?;
    let (value, unit): (fn(&Sample) -> f64, &str) = match args.metric.as_str() {
        "cpu" => (|sample| sample.cpu_percent, "percent of one core"),
        "rss" => (|sample| sample.rss_bytes as f64 / (1024.0 * 1024.0), "MiB"),
        "fds" => (|sample| sample.fds as f64, "descriptors"),
        "threads" => (|sample| sample.threads as f64, "threads"),
        other => {
            return Err(format!(
                "`metric` is cpu, rss, fds or threads, not {}",
                json!(other)
            ));
        }
    };
    let samples = desk.facts.samples(&found.name, window);
    let points: Vec<(Timestamp, f64)> = samples.iter().map(|one| (one.at, value(one))).collect();
    let mut answer = Found::new(format!(
        "metrics process={} metric={} window={}",
        found.name,
        args.metric,
        told(window)
    ));
    if let Some(text) = summary(&points, unit) {
        answer.fact(
            format!("metric:{}:{}:{}", found.name, args.metric, told(window)),
            text,
        );
    }
    Ok(answer)
}

fn summary(points: &[(Timestamp, f64)], unit: &str) -> Option<String> {
    let (first, last) = (points.first()?, points.last()?);
    let mut sorted: Vec<f64> = points.iter().map(|(_, value)| *value).collect();
    sorted.sort_by(f64::total_cmp);
    let average = sorted.iter().sum::<f64>() / sorted.len() as f64;
    let p95 = sorted[(sorted.len() - 1) * 95 / 100];
    let minutes = supervisor::until(first.0, last.0).as_secs_f64() / 60.0;
    let slope = if minutes > 0.0 {
        (last.1 - first.1) / minutes
    } else {
        0.0
    };
    let step = points.len().div_ceil(POINTS).max(1);
    let series = points.iter().step_by(step);
    let series: Vec<String> = series
        .map(|(at, value)| format!("{} {value:.1}", at.strftime("%H:%M:%S")))
        .collect();
    Some(format!(
        "{unit}: min {:.1} avg {average:.1} p95 {p95:.1} max {:.1} last {:.1} slope {slope:+.2}/min \
         over {} samples; series: {}",
        sorted[0],
        sorted[sorted.len() - 1],
        last.1,
        points.len(),
        series.join(", ")
    ))
}
