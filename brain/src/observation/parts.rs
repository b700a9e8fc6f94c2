//! Reads the parts of an observation.

mod lines;
mod past;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use supervisor::{EventKind, ProcessName, Status, until};

use super::{Item, Part};
use crate::causes::Case;
use crate::facts::{Facts, ProcessFacts, Sample};
use crate::score::score;

pub(super) use lines::logs;
pub(super) use past::{alike, past, playbooks};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
/// Lines that are looked at for patterns.
const LINES: usize = 2_000;
/// Lines, complaints, patterns, events, tries, points of a series, processes.
const LAST: usize = 50;
const COMPLAINTS: usize = 20;
const PATTERNS: usize = 10;
const EVENTS: usize = 30;
const TRIES: usize = 20;
const POINTS: usize = 20;
const FLEET: usize = 200;

fn add(
    items: &mut Vec<Item>,
    part: Part,
    tier: u8,
    id: impl Into<String>,
    text: impl Into<String>,
) {
    items.push(Item {
        part,
        id: id.into(),
        text: text.into(),
        tier,
    });
}

fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}

fn bytes(value: f64) -> String {
    const MIB: f64 = 1_048_576.0;
    if value >= 1_024.0 * MIB {
        format!("{:.1} GB", value / 1_024.0 / MIB)
    } else {
        format!("{:.0} MB", value / MIB)
    }
}

/// State, copies, restarts, score, definition.
pub(super) fn process(facts: &dyn Facts, process: &ProcessFacts, items: &mut Vec<Item>) {
    let name = &process.name;
    let up = process
        .instances
        .iter()
        .filter(|one| one.state == Status::Online);
    let mut text = format!(
        "{name} is {}, {} of {} up, {}",
        process.detail,
        up.count(),
        process.desired,
        if process.wanted {
            "wanted"
        } else {
            "not wanted"
        }
    );
    if process.restarts > 0 {
        text.push_str(&format!(", {} restarts", process.restarts));
    }
    if let Some(failing) = process
        .instances
        .iter()
        .find_map(|one| one.probe_error.as_ref())
    {
        text.push_str(&format!(", probe fails: {failing}"));
    }
    add(items, Part::Process, 0, format!("state:{name}"), text);
    let mut reasons: BTreeMap<String, u32> = BTreeMap::new();
    for event in facts.events(name, Some(EventKind::Restart), DAY) {
        let reason = event.data["reason"].as_str().unwrap_or("unknown");
        *reasons.entry(reason.to_owned()).or_default() += 1;
    }
    if !reasons.is_empty() {
        let told: Vec<String> = reasons
            .iter()
            .map(|(why, count)| format!("{count} by {why}"))
            .collect();
        add(
            items,
            Part::Process,
            3,
            format!("restarts:{name}"),
            format!("restarts of a day: {}", told.join(", ")),
        );
    }
    for copy in process.instances.iter().take(8) {
        let text = format!(
            "pid {}, {}, up {} s, generation {}, probe {}",
            copy.pid
                .map_or_else(|| "none".to_owned(), |pid| pid.to_string()),
            copy.state.as_str(),
            copy.uptime_ms.unwrap_or(0) / 1_000,
            copy.generation,
            copy.health.as_str()
        );
        add(
            items,
            Part::Process,
            3,
            format!("copy:{name}#{}", copy.index),
            text,
        );
    }
    if let Some(score) = score(facts, name) {
        let text = format!(
            "health {:.0} of 100; taken off: crashes {:.0}, probe {:.0}, memory {:.0}, cpu {:.0}",
            score.value, score.crash, score.probe, score.memory, score.cpu
        );
        add(items, Part::Process, 3, format!("score:{name}"), text);
    }
    if let Some(config) = process.config.as_object() {
        let set = config.iter().filter(|(_, value)| match value {
            Value::Null => false,
            Value::Bool(on) => *on,
            Value::Array(all) => !all.is_empty(),
            Value::Object(all) => !all.is_empty(),
            Value::String(text) => !text.is_empty(),
            Value::Number(_) => true,
        });
        for (key, value) in set {
            let tier = if matches!(key.as_str(), "command" | "max_memory" | "env_file" | "cwd") {
                2
            } else {
                4
            };
            add(
                items,
                Part::Process,
                tier,
                format!("config:{key}"),
                format!("{key} = {value}"),
            );
        }
    }
}

/// What the rules of the brain say.
pub(super) fn finding(case: &Case, items: &mut Vec<Item>) {
    let text = format!(
        "{}: {} (confidence {:.2}, to blame: {})",
        case.cause.as_deref().unwrap_or("no known cause"),
        case.root_cause,
        case.confidence,
        case.process
    );
    add(items, Part::Finding, 0, "brain:finding", text);
    for one in &case.evidence {
        add(items, Part::Finding, 1, one.id.clone(), one.text.clone());
    }
    for one in &case.ruled_out {
        let text = format!("ruled out: {}: {}", one.what, one.why);
        add(items, Part::Finding, 3, format!("not:{}", one.what), text);
    }
}

/// An hour of each figure.
pub(super) fn metrics(facts: &dyn Facts, process: &ProcessFacts, items: &mut Vec<Item>) {
    let samples = facts.samples(&process.name, HOUR);
    if samples.is_empty() {
        return;
    }
    type Read = fn(&Sample) -> f64;
    type Show = fn(f64) -> String;
    let plain: Show = |value| format!("{value:.0}");
    let figures: [(&str, Read, Show); 4] = [
        ("rss", |sample| sample.rss_bytes as f64, bytes),
        (
            "cpu",
            |sample| sample.cpu_percent,
            |value| format!("{value:.0} %"),
        ),
        ("fds", |sample| sample.fds as f64, plain),
        ("threads", |sample| sample.threads as f64, plain),
    ];
    for (name, read, show) in figures {
        let values: Vec<(Timestamp, f64)> = samples
            .iter()
            .map(|sample| (sample.at, read(sample)))
            .collect();
        let mut text = summary(&values, show);
        if name == "rss"
            && let Some(limit) = process.max_memory
        {
            text.push_str(&format!("; limit {}", bytes(limit as f64)));
        }
        let tier = if matches!(name, "rss" | "cpu") { 2 } else { 4 };
        add(items, Part::Metrics, tier, format!("metric:{name}"), text);
        let series: Vec<String> = points(&values).into_iter().map(show).collect();
        add(
            items,
            Part::Metrics,
            5,
            format!("series:{name}"),
            series.join(" "),
        );
    }
}

fn summary(values: &[(Timestamp, f64)], show: fn(f64) -> String) -> String {
    let mut sorted: Vec<f64> = values.iter().map(|(_, value)| *value).collect();
    sorted.sort_by(f64::total_cmp);
    let count = sorted.len();
    let average = sorted.iter().sum::<f64>() / count as f64;
    let (first, last) = (values[0], values[count - 1]);
    let hours = until(first.0, last.0).as_secs_f64() / 3_600.0;
    let mut text = format!(
        "min {} avg {} max {} p95 {} now {}",
        show(sorted[0]),
        show(average),
        show(sorted[count - 1]),
        show(sorted[(count * 95 / 100).min(count - 1)]),
        show(last.1)
    );
    if hours > 0.05 {
        let slope = slope(values);
        let sign = if slope < 0.0 { "-" } else { "+" };
        text.push_str(&format!(", {sign}{} per hour", show(slope.abs())));
    }
    text
}

/// Change per hour, by least squares.
fn slope(values: &[(Timestamp, f64)]) -> f64 {
    let first = values[0].0;
    let hours = |at: Timestamp| until(first, at).as_secs_f64() / 3_600.0;
    let count = values.len() as f64;
    let (x, y) = values.iter().fold((0.0, 0.0), |(x, y), (at, value)| {
        (x + hours(*at), y + value)
    });
    let (x, y) = (x / count, y / count);
    let (above, below) = values
        .iter()
        .fold((0.0, 0.0), |(above, below), (at, value)| {
            let off = hours(*at) - x;
            (above + off * (value - y), below + off * off)
        });
    if below == 0.0 { 0.0 } else { above / below }
}

/// Averages of equal parts.
fn points(values: &[(Timestamp, f64)]) -> Vec<f64> {
    let each = values.len().div_ceil(POINTS).max(1);
    let parts = values.chunks(each);
    parts
        .map(|part| part.iter().map(|(_, value)| value).sum::<f64>() / part.len() as f64)
        .collect()
}

/// The last tries, and how long they took.
pub(super) fn probes(facts: &dyn Facts, name: &ProcessName, items: &mut Vec<Item>) {
    let tries = facts.probe_results(name, TRIES);
    if tries.is_empty() {
        return;
    }
    let mut took: Vec<u64> = tries.iter().map(|one| one.latency_ms).collect();
    took.sort_unstable();
    let at = |percent: usize| took[(took.len() * percent / 100).min(took.len() - 1)];
    let passed = tries.iter().filter(|one| one.passed).count();
    let row: String = tries
        .iter()
        .map(|one| if one.passed { '+' } else { '-' })
        .collect();
    let text = format!(
        "{passed} of the last {} tries passed ({row}, newest last); latency p50 {} ms, p95 {} ms",
        tries.len(),
        at(50),
        at(95)
    );
    add(
        items,
        Part::Probes,
        if passed < tries.len() { 1 } else { 3 },
        format!("probe:{name}"),
        text,
    );
    let failures = facts.attempts(name);
    let mut told = Vec::new();
    for (place, one) in failures.iter().rev().filter(|one| !one.passed).enumerate() {
        let error = one.error.clone().unwrap_or_default();
        if !told.contains(&error) && told.len() < 4 {
            add(
                items,
                Part::Probes,
                2,
                format!("try:{name}-{place}"),
                format!("{:.0} s ago: {error}", one.age_s),
            );
            told.push(error);
        }
    }
}

/// The newest events.
pub(super) fn events(facts: &dyn Facts, name: &ProcessName, items: &mut Vec<Item>) {
    let all = facts.events(name, None, DAY);
    let newest = &all[all.len().saturating_sub(EVENTS)..];
    let deaths = [
        EventKind::Crash,
        EventKind::Errored,
        EventKind::SpawnFailed,
        EventKind::MemoryExceeded,
        EventKind::HealthFail,
    ];
    let last_death = newest
        .iter()
        .rposition(|event| deaths.contains(&event.kind));
    for (place, event) in newest.iter().enumerate() {
        let mut data = event.data.clone();
        let words = data
            .as_object_mut()
            .and_then(|data| data.remove("last_lines"));
        let copy = event
            .instance
            .map_or_else(String::new, |index| format!(" #{index}"));
        let mut text = format!("{} {}{copy}", clock(event.at), event.kind);
        if let Some(map) = data.as_object() {
            for (key, value) in map.iter().filter(|(_, value)| !value.is_null()) {
                let value = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                text.push_str(&format!(" {key}={value}"));
            }
        }
        if Some(place) == last_death
            && let Some(words) = words.as_ref().and_then(Value::as_array)
        {
            let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
            let telling = crate::incident::fingerprint::error_line(words.iter().copied());
            if let Some(line) = telling.and_then(|place| words.get(place)) {
                text.push_str(&format!("; said: {}", line.trim()));
            }
        }
        let tier = match () {
            () if Some(place) == last_death => 1,
            () if deaths.contains(&event.kind) => 3,
            () => 4,
        };
        add(
            items,
            Part::Events,
            tier,
            format!("event:{}", event.id),
            text,
        );
    }
}

/// What was last changed in the definition.
pub(super) fn changes(facts: &dyn Facts, name: &ProcessName, items: &mut Vec<Item>) {
    let Some(change) = facts.last_change(name) else {
        return;
    };
    for (key, before, after) in &change.keys {
        let text = format!("{:.0} s ago: {key} was {before}, is {after}", change.age_s);
        add(
            items,
            Part::Changes,
            if change.age_s < 3_600.0 { 2 } else { 4 },
            format!("change:{key}"),
            text,
        );
    }
}

/// The processes in a line each, the ill ones first.
pub(super) fn fleet(facts: &dyn Facts, but: Option<&ProcessName>, items: &mut Vec<Item>) {
    let names = facts.processes();
    let others = names.iter().filter(|name| Some(*name) != but).take(FLEET);
    for process in others.filter_map(|name| facts.process(name)) {
        let well = crate::context::is_well(&process) || !process.wanted;
        let sum = |read: fn(&crate::facts::InstanceFacts) -> f64| {
            process.instances.iter().map(read).sum::<f64>()
        };
        let mut text = format!(
            "{} {}, {} of {} copies, {} {:.0} % cpu, {} restarts",
            process.name,
            process.detail,
            process.instances.iter().filter(|one| one.alive).count(),
            process.desired,
            bytes(sum(|one| one.rss_bytes.unwrap_or(0) as f64)),
            sum(|one| one.cpu_percent.unwrap_or(0.0)),
            process.restarts
        );
        if let Some(failing) = process
            .instances
            .iter()
            .find_map(|one| one.probe_error.as_ref())
        {
            text.push_str(&format!(", probe fails: {failing}"));
        }
        let tier = match (but, well) {
            (None, false) => 0,
            (None, true) | (Some(_), false) => 3,
            (Some(_), true) => 5,
        };
        add(
            items,
            Part::Fleet,
            tier,
            format!("state:{}", process.name),
            text,
        );
    }
}

/// The machine.
pub(super) fn host(facts: &dyn Facts, items: &mut Vec<Item>) {
    let host = facts.machine();
    let mut text = format!(
        "{} cores, load {:.1}, {} of {} memory free, {} disk free",
        host.cpus,
        host.load1,
        bytes(host.mem_free as f64),
        bytes(host.mem_total as f64),
        bytes(host.disk_free as f64)
    );
    if let Some(kernel) = facts.kernel() {
        text.push_str(&format!(", kernel {kernel}"));
    }
    add(items, Part::Host, 4, "metric:host", text);
}
