//! `mhost metrics`: what processes use and used, and the page for Prometheus.

use std::net::SocketAddr;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Value, json};
use supervisor::command::view::MetricsView;
use supervisor::metrics::{Metric, Series};

use super::context::Context;
use super::error::CliError;
use super::when;
use crate::exit::Exit;
use crate::output::figures::{NONE, cpu, memory, span_ms};
use crate::output::style::Tone;
use crate::output::table::{Cell, Column, Table};
use crate::output::text;

/// Show what processes use and used; serve it to Prometheus
#[derive(Debug, Args)]
pub(crate) struct Metrics {
    #[command(subcommand)]
    command: MetricsCommand,
}

#[derive(Debug, Subcommand)]
enum MetricsCommand {
    /// Show what processes use now
    Show {
        /// Name, name:instance, index, group, glob; all when left out
        target: Option<String>,
    },
    /// Show what a process used: a line, and its least, average, greatest and 95th percentile
    History {
        /// Name, name:instance, index, group, glob, or all
        target: String,
        /// cpu, memory, pss, fds, threads, read or written; cpu and memory when left out
        #[arg(long, value_name = "METRIC", value_delimiter = ',')]
        metric: Vec<Metric>,
        /// From when on: 24h, "2026-03-28 14:00", or RFC 3339
        #[arg(long, value_name = "TIME", default_value = "24h")]
        since: String,
        /// Until when; now when left out
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
    },
    /// Serve the page for Prometheus until `mhost metrics stop`
    Start {
        /// Where to listen, such as 127.0.0.1:9161 [default: as config.toml says]
        #[arg(long, value_name = "ADDRESS", value_parser = address)]
        listen: Option<SocketAddr>,
    },
    /// Serve it no more
    Stop,
}

#[derive(Debug, Deserialize)]
struct SnapshotReply {
    metrics: Vec<MetricsView>,
}

#[derive(Debug, Deserialize)]
struct HistoryReply {
    series: Vec<Series>,
}

/// Steps of a line where there is no terminal to fit.
const WIDTH: usize = 60;
/// Steps of a series in JSON: a day by the minute.
const STEPS: usize = 1_440;

impl Metrics {
    /// Runs the subcommand.
    pub(crate) fn run(self, ctx: &Context) -> Result<Exit, CliError> {
        match self.command {
            MetricsCommand::Show { target } => show(ctx, target.as_deref()),
            MetricsCommand::History {
                target,
                metric,
                since,
                until,
            } => history(ctx, &target, &metric, &since, until.as_deref()),
            MetricsCommand::Start { listen } => {
                let reply: Value = ctx.call("metrics.start", json!({ "listen": listen }))?;
                done(
                    ctx,
                    &reply,
                    &format!("metrics are served at {}", word(&reply, "url")),
                )
            }
            MetricsCommand::Stop => {
                let reply: Value = ctx.call("metrics.stop", json!({}))?;
                let was = reply["was_served"] == json!(true);
                let said = if was {
                    "metrics are not served any more"
                } else {
                    "metrics were not served"
                };
                done(ctx, &reply, said)
            }
        }
    }
}

fn word<'a>(reply: &'a Value, key: &str) -> &'a str {
    reply[key].as_str().unwrap_or(NONE)
}

fn done(ctx: &Context, reply: &Value, said: &str) -> Result<Exit, CliError> {
    if ctx.output.is_json() {
        ctx.output.json(reply)?;
    } else {
        ctx.output.done(said)?;
    }
    Ok(Exit::Success)
}

/// `127.0.0.1:9161`, `localhost:9161`, `:9161` and `9161` are addresses.
fn address(text: &str) -> Result<SocketAddr, String> {
    let here = "127.0.0.1";
    let full = match text.split_once(':') {
        None => format!("{here}:{text}"),
        Some(("" | "localhost", port)) => format!("{here}:{port}"),
        Some(_) => text.to_owned(),
    };
    full.parse()
        .map_err(|_| "write an IP address and a port, such as 127.0.0.1:9161".to_owned())
}

fn show(ctx: &Context, target: Option<&str>) -> Result<Exit, CliError> {
    let params = target.map_or_else(|| json!({}), |target| json!({ "name": target }));
    let SnapshotReply { metrics } = ctx.call("metrics.snapshot", params)?;
    let scores = scores(ctx);
    let score = |row: &MetricsView| scores.iter().find(|(name, _)| row.name.as_str() == name)?.1;
    if ctx.output.is_json() {
        let with_score = |row: &MetricsView| {
            let mut value = json!(row);
            value["score"] = json!(score(row));
            value
        };
        let rows: Vec<Value> = metrics.iter().map(with_score).collect();
        ctx.output.json(&json!({ "metrics": rows }))?;
        return Ok(Exit::Success);
    }
    if metrics.is_empty() {
        ctx.output
            .note("No processes. Start one: mhost start <app>");
        return Ok(Exit::Success);
    }
    let mut table = Table::new([
        Column::name("NAME"),
        Column::new("INST", 0),
        Column::new("CPU", 1),
        Column::new("MEM", 1),
        Column::new("UPTIME", 4),
        Column::new("RESTARTS", 5),
        Column::new("FDS", 6),
        Column::new("SCORE", 3),
        Column::new("THREADS", 7),
        Column::new("PSS", 8),
        Column::new("READ", 9),
        Column::new("WRITTEN", 9),
    ]);
    for row in &metrics {
        let or_none = |text: Option<String>| text.unwrap_or_else(|| NONE.to_owned());
        table.row([
            Cell::from(row.name.as_str()),
            Cell::from(row.instance.to_string()),
            Cell::from(or_none(row.cpu_percent.map(cpu))),
            Cell::from(or_none(row.memory_bytes.map(memory))),
            Cell::from(or_none(row.uptime_ms.map(span_ms))),
            Cell::from(row.restarts.to_string()),
            Cell::from(or_none(row.fds.map(|fds| fds.to_string()))),
            Cell::from(or_none(score(row).map(|score| score.to_string()))),
            Cell::from(or_none(row.threads.map(|threads| threads.to_string()))),
            Cell::from(or_none(row.pss_bytes.map(memory))),
            Cell::from(or_none(row.read_bytes.map(memory))),
            Cell::from(or_none(row.written_bytes.map(memory))),
        ]);
    }
    ctx.output.table(&table)?;
    Ok(Exit::Success)
}

/// The health score of every process. Without a brain there are none, which is no error.
pub(crate) fn scores(ctx: &Context) -> Vec<(String, Option<u64>)> {
    let reply: Result<Value, CliError> = ctx.call("brain.status", json!({}));
    let Ok(reply) = reply else {
        return Vec::new();
    };
    let rows = reply["scores"].as_array().into_iter().flatten();
    rows.filter_map(|row| Some((row["name"].as_str()?.to_owned(), row["score"].as_u64())))
        .collect()
}

fn history(
    ctx: &Context,
    target: &str,
    metrics: &[Metric],
    since: &str,
    until: Option<&str>,
) -> Result<Exit, CliError> {
    let (now, zone) = (ctx.clock.now(), TimeZone::system());
    let since_at = when::parse("--since", since, now, &zone)?;
    let until_at = match until {
        Some(until) => when::parse("--until", until, now, &zone)?,
        None => now,
    };
    if since_at >= until_at {
        return Err(CliError::config("--since is not before --until"));
    }
    let width = ctx.output.width().unwrap_or(WIDTH + 2);
    let columns = width.saturating_sub(2).clamp(8, 120);
    let steps = if ctx.output.is_json() { STEPS } else { columns };
    let mut params = json!({
        "name": target, "since": since_at, "until": until_at, "steps": steps,
    });
    if !metrics.is_empty() {
        params["metrics"] = json!(metrics);
    }
    let HistoryReply { series } = ctx.call("metrics.history", params)?;
    if ctx.output.is_json() {
        ctx.output.json(&json!({ "series": series }))?;
        return Ok(Exit::Success);
    }
    if series.is_empty() {
        ctx.output
            .note("No processes. Start one: mhost start <app>");
    }
    for (at, one) in series.iter().enumerate() {
        if at > 0 {
            ctx.output.line("")?;
        }
        draw(ctx, one, (since_at, until_at), width)?;
    }
    Ok(Exit::Success)
}

fn draw(
    ctx: &Context,
    series: &Series,
    (since, until): (Timestamp, Timestamp),
    width: usize,
) -> Result<(), CliError> {
    let painter = ctx.output.painter();
    let span = supervisor::until(since, until).as_millis();
    let head = format!(
        "{}:{} {} over {}, {} a step",
        series.name,
        series.instance,
        series.metric.as_str(),
        span_ms(u64::try_from(span).unwrap_or(u64::MAX)),
        span_ms(series.step_ms),
    );
    let head = text::clean(&head);
    ctx.output
        .line(&painter.paint(&text::cut(&head, width), Tone::Strong))?;
    let figure =
        |value: Option<f64>| value.map_or_else(|| NONE.to_owned(), |v| shown(series.metric, v));
    if series.samples == 0 {
        return ctx.output.line("  nothing was measured in this time");
    }
    ctx.output
        .line(&format!("  {}", sparkline(&series.points)))?;
    let mut line = String::from(" ");
    for (name, value) in [
        ("min", series.min),
        ("avg", series.avg),
        ("max", series.max),
        ("p95", series.p95),
    ] {
        let part = format!(" {name} {}", figure(value));
        // On a narrow terminal the figures stand in two lines.
        if text::width(&line) + text::width(&part) > width {
            ctx.output.line(&line)?;
            line = String::from(" ");
        }
        line.push_str(&part);
        line.push(' ');
    }
    ctx.output.line(line.trim_end())
}

fn shown(metric: Metric, value: f64) -> String {
    match metric {
        Metric::Cpu => cpu(value),
        Metric::Memory | Metric::Pss => memory(value as u64),
        Metric::Read | Metric::Written => format!("{}/s", memory(value as u64)),
        Metric::Fds | Metric::Threads => format!("{}", value.round()),
    }
}

/// A step as a bar, and a dot where nothing was measured.
pub(super) fn sparkline(points: &[Option<f64>]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let known = || points.iter().flatten().copied();
    let most = known().fold(f64::MIN, f64::max);
    let least = known().fold(f64::MAX, f64::min);
    // What varies little beside its size is drawn from its least value on.
    let floor = if least > most / 2.0 { least } else { 0.0 };
    let bar = |value: f64| {
        let height = if most > floor {
            (value - floor) / (most - floor) * 7.0
        } else {
            0.0
        };
        BARS[(height.round().clamp(0.0, 7.0)) as usize]
    };
    points.iter().map(|point| point.map_or('·', bar)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_show_what_was_and_gaps() {
        let drawn = sparkline(&[Some(0.0), Some(50.0), None, Some(100.0)]);
        assert_eq!(drawn, "▁▅·█");
        assert_eq!(sparkline(&[Some(3.0), Some(3.0)]), "▁▁");
        assert_eq!(sparkline(&[Some(100.0), Some(101.0)]), "▁█");
        assert_eq!(sparkline(&[None]), "·");
    }

    #[test]
    fn addresses_may_be_short() {
        let table = [
            ("9161", Some("127.0.0.1:9161")),
            (":9161", Some("127.0.0.1:9161")),
            ("localhost:1", Some("127.0.0.1:1")),
            ("0.0.0.0:80", Some("0.0.0.0:80")),
            ("[::1]:80", Some("[::1]:80")),
            ("example.com:80", None),
            ("99999", None),
        ];
        for (text, wanted) in table {
            let read = address(text).ok().map(|address| address.to_string());
            assert_eq!(read.as_deref(), wanted, "{text}");
        }
    }
}
