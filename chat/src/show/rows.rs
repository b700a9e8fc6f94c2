//! Answers that are a table.

use jiff::Timestamp;
use supervisor::command::view::{CronView, HealthView, LimitsView, LinkView, MetricsView};
use supervisor::units::short::{cpu, memory, span};
use supervisor::until;

use super::process::health_text;
use super::table::Table;
use super::{NONE, short};
use crate::desk::{Cure, Score};
use crate::{Block, Card, Tone};

/// Rows that a message holds.
const ROWS: usize = 30;
/// Longest name in a table.
const NAME: usize = 18;

fn card(title: &str, table: &Table, all: usize, none: &str) -> Card {
    if table.is_empty() {
        return Card::titled(Tone::Plain, none);
    }
    let card = Card::titled(Tone::Plain, title).block(Block::Code(table.render()));
    if all > ROWS {
        return card.footer(format!("and {} more", all - ROWS));
    }
    card
}

fn copy(name: &str, index: u16) -> String {
    format!("{}:{index}", short(name, NAME))
}

fn maybe<T>(value: Option<T>, show: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| NONE.into(), show)
}

/// Probes.
pub fn health(rows: &[HealthView]) -> Card {
    let mut table = Table::new(&["APP", "PROBE", "RESULT", ">MS", "ERROR"]);
    let probed = || rows.iter().filter(|one| one.probe != "none");
    for one in probed().take(ROWS) {
        table.row([
            copy(one.name.as_str(), one.instance),
            one.probe.clone(),
            health_text(one.status).to_owned(),
            maybe(one.latency_ms, |ms| ms.to_string()),
            short(one.error.as_deref().unwrap_or_default(), 40),
        ]);
    }
    card(
        "probes",
        &table,
        probed().count(),
        "No probes are configured",
    )
}

/// What is used.
pub fn metrics(rows: &[MetricsView]) -> Card {
    let mut table = Table::new(&["APP", ">CPU", ">MEM", ">FDS", ">THR", "UP"]);
    for one in rows.iter().take(ROWS) {
        table.row([
            copy(one.name.as_str(), one.instance),
            maybe(one.cpu_percent, cpu),
            maybe(one.memory_bytes, memory),
            maybe(one.fds, |fds| fds.to_string()),
            maybe(one.threads, |threads| threads.to_string()),
            maybe(one.uptime_ms, |ms| {
                span(std::time::Duration::from_millis(ms))
            }),
        ]);
    }
    card("figures", &table, rows.len(), "Nothing runs")
}

/// Schedules.
pub fn cron(rows: &[CronView], now: Timestamp) -> Card {
    let mut table = Table::new(&["APP", "SCHEDULE", "NEXT", "ZONE"]);
    for one in rows.iter().take(ROWS) {
        table.row([
            short(one.name.as_str(), NAME),
            one.schedule.clone(),
            maybe(one.next, |next| format!("in {}", span(until(now, next)))),
            one.timezone.clone(),
        ]);
    }
    card(
        "schedules",
        &table,
        rows.len(),
        "No schedules are configured",
    )
}

/// Limits.
pub fn limits(rows: &[LimitsView]) -> Card {
    let mut table = Table::new(&["APP", ">MEM", ">LIMIT", ">RESTARTS", ">FDS"]);
    for one in rows.iter().take(ROWS) {
        let fds = maybe(one.fds, |fds| fds.to_string());
        table.row([
            copy(one.name.as_str(), one.instance),
            maybe(one.memory_bytes, memory),
            maybe(one.max_memory, memory),
            maybe(one.restarts_left, |left| format!("{left} left")),
            one.nofile
                .map_or(fds.clone(), |most| format!("{fds}/{most}")),
        ]);
    }
    card("limits", &table, rows.len(), "No such process")
}

/// Dependencies.
pub fn links(view: &LinkView) -> Card {
    let mut table = Table::new(&["APP", "STARTS AFTER", "WHY"]);
    for edge in view.edges.iter().take(ROWS) {
        table.row([
            short(edge.from.as_str(), NAME),
            short(edge.to.as_str(), NAME),
            edge.why.clone(),
        ]);
    }
    card(
        "dependencies",
        &table,
        view.edges.len(),
        "Nothing depends on anything",
    )
}

/// Health scores.
pub fn scores(rows: &[Score]) -> Card {
    let mut table = Table::new(&["APP", ">SCORE", "TREND"]);
    for one in rows.iter().take(ROWS) {
        table.row([
            short(&one.process, NAME),
            maybe(one.value, |value| value.to_string()),
            one.trend.clone().unwrap_or_default(),
        ]);
    }
    card("health scores", &table, rows.len(), "No processes")
}

/// Playbooks.
pub fn playbooks(rows: &[Cure]) -> Card {
    let mut table = Table::new(&["PLAYBOOK", "TRUST", ">RAN", ">HELPED"]);
    for one in rows.iter().take(ROWS) {
        let trust = if one.enabled { &one.trust } else { "off" };
        table.row([
            short(&one.name, 24),
            trust.to_owned(),
            one.runs.0.to_string(),
            one.runs.1.to_string(),
        ]);
    }
    card("playbooks", &table, rows.len(), "No playbooks")
}
