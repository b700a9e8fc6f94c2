//! What an engineer would look at, for the brain: trees, sockets, files, addresses.
//!
//! Reads only, each bounded: few files, short ones, no links out of a folder, half a second
//! for addresses. Values of secrets are masked before the brain sees them.

mod env;
mod files;
mod reach;

use std::time::{Duration, SystemTime};

use brain::{AttemptLook, ChangeLook, Facts, NeighbourLook, OrderLook, ProcessFacts, seconds};
use serde_json::Value;
use supervisor::audit::{Audit, Phase};
use supervisor::secret::is_secret_name;
use supervisor::sys::inspect::{self, CloseLook, DiskRoom, PortOwner};

use supervisor::{EventKind, ProcessName};

use super::facts::LiveFacts;
pub(super) use env::env_files;
pub(super) use files::{broken_files, file, lock_file, look_at_lock};
use reach::ports;
pub(super) use reach::{certificates, reach};

/// How long the use of the processor is measured.
const MOMENT: Duration = Duration::from_millis(120);
/// Copies that are looked at.
const COPIES: usize = 4;
/// Neighbours in one answer, and those of which the output is read.
const NEIGHBOURS: usize = 30;
const HEARD: usize = 10;
/// How far back neighbours are looked at.
const WINDOW: Duration = Duration::from_secs(600);
/// Longest value that is shown.
const VALUE: usize = 64;
/// Lines that sound like trouble, or like being slow.
const COMPLAINT: &str = r"(?i)error|exception|fatal|panic|fail|refus|denied|timed? ?out|unavailable|too many|out of memory|slow|took \d{4,} ?ms|fall(?:ing|s)? back|full scan|closed|lost";

pub(super) fn close_look(process: &ProcessFacts) -> Vec<CloseLook> {
    let pids: Vec<i32> = process
        .instances
        .iter()
        .filter(|one| one.alive)
        .filter_map(|one| one.pid)
        .take(COPIES)
        .collect();
    inspect::close_look(&pids, MOMENT)
}

pub(super) fn port_owner(facts: &LiveFacts, port: u16) -> Option<PortOwner> {
    inspect::port_owner(port, facts.paths.home())
}

pub(super) fn disks(facts: &LiveFacts, name: &ProcessName) -> Vec<DiskRoom> {
    let cwd = facts.registry.glance(name).map(|glance| glance.spec.cwd);
    let mut all: Vec<DiskRoom> = Vec::new();
    for path in cwd
        .into_iter()
        .chain([facts.paths.logs(), std::env::temp_dir()])
    {
        if let Some(room) = inspect::disk_room(&path)
            // The same file system once.
            && !all.iter().any(|old| (old.total, old.free) == (room.total, room.free))
        {
            all.push(room);
        }
    }
    all
}

fn age_s(facts: &LiveFacts, written: SystemTime) -> f64 {
    jiff::Timestamp::try_from(written).map_or(0.0, |at| seconds(at, facts.clock.now()))
}

pub(super) fn last_change(facts: &LiveFacts, name: &ProcessName) -> Option<ChangeLook> {
    let glance = facts.registry.glance(name)?;
    let changed = glance.changed_at?;
    let previous = facts.registry.previous(name)?;
    let mut keys = Vec::new();
    differences(
        "",
        &serde_json::to_value(&previous.config).unwrap_or_default(),
        &serde_json::to_value(&glance.spec.config).unwrap_or_default(),
        &mut keys,
    );
    Some(ChangeLook {
        age_s: seconds(changed, facts.clock.now()),
        keys,
    })
}

/// Keys of which the values differ, with both.
fn differences(at: &str, old: &Value, new: &Value, found: &mut Vec<(String, String, String)>) {
    if old == new || found.len() >= 20 {
        return;
    }
    if let (Value::Object(old), Value::Object(new)) = (old, new) {
        let keys: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for key in keys {
            let path = if at.is_empty() {
                key.clone()
            } else {
                format!("{at}.{key}")
            };
            let of =
                |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or(Value::Null);
            differences(&path, &of(old), &of(new), found);
        }
        return;
    }
    let name = at.rsplit('.').next().unwrap_or(at);
    let text = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => shown(name, text),
        other => shown(name, &other.to_string()),
    };
    // `key` in a table other than the environment is no secret.
    found.push((at.to_owned(), text(old), text(new)));
}

/// A value fit to be shown: no secrets, no addresses with passwords, not long.
fn shown(name: &str, value: &str) -> String {
    if is_secret_name(name) || (value.contains("://") && value.contains('@')) {
        return "***".to_owned();
    }
    value.chars().take(VALUE).collect()
}

/// What the audit log says about a process, besides questions.
pub(super) fn orders(
    facts: &LiveFacts,
    name: &ProcessName,
    since: jiff::Timestamp,
) -> Vec<OrderLook> {
    const ROWS: usize = 500;
    let now = facts.clock.now();
    let audit = Audit::new(&facts.paths, facts.clock.clone());
    let mut rows = audit.query(ROWS, Some(since)).unwrap_or_default();
    rows.sort_by_key(|row| row.ts);
    rows.into_iter()
        .filter(|row| row.phase == Phase::Intent && !row.dry_run)
        .filter(|row| {
            let mut subjects = row.subject.split([',', ' ', '#']);
            subjects.any(|subject| subject == name.as_str() || subject == "all")
        })
        .map(|row| OrderLook {
            age_s: seconds(row.ts, now),
            id: row.id,
            who: row.who,
            command: row.command.trim_start_matches("process.").to_owned(),
        })
        .collect()
}

pub(super) fn attempts(facts: &LiveFacts, name: &ProcessName) -> Vec<AttemptLook> {
    let now = facts.clock.now();
    let Some(glance) = facts.registry.glance(name) else {
        return Vec::new();
    };
    // Of the copy that is worst off: a mixture would seem to flap.
    let Some(row) = glance.health.iter().max_by_key(|row| {
        (
            row.failures,
            row.attempts.iter().filter(|one| !one.passed).count(),
        )
    }) else {
        return Vec::new();
    };
    row.attempts
        .iter()
        .map(|one| AttemptLook {
            age_s: seconds(one.at, now),
            passed: one.passed,
            took_ms: one.latency_ms,
            error: one.error.clone(),
        })
        .collect()
}

pub(super) fn neighbours(facts: &LiveFacts, name: &ProcessName) -> Vec<NeighbourLook> {
    let own = facts.process(name);
    let depends: Vec<ProcessName> = own.map(|own| own.depends_on).unwrap_or_default();
    let mut names = depends.clone();
    names.extend(
        facts
            .processes()
            .into_iter()
            .filter(|other| other != name && !depends.contains(other)),
    );
    names
        .into_iter()
        .take(NEIGHBOURS)
        .enumerate()
        .filter_map(|(place, other)| neighbour(facts, &other, place < HEARD))
        .collect()
}

fn neighbour(facts: &LiveFacts, name: &ProcessName, heard: bool) -> Option<NeighbourLook> {
    let now = facts.clock.now();
    let glance = facts.registry.glance(name)?;
    let ports = ports(&glance.spec);
    let probe_ms = glance.health.iter().filter_map(|row| row.latency_ms).max();
    let process = facts.process(name)?;
    let over = facts.events(name, Some(EventKind::MemoryExceeded), WINDOW);
    let restarted = facts
        .events(name, Some(EventKind::Restart), WINDOW)
        .pop()
        .map(|event| {
            let reason = event.data["reason"].as_str().unwrap_or_default().to_owned();
            (seconds(event.at, now), reason)
        });
    let died = facts
        .events(name, Some(EventKind::Crash), WINDOW)
        .pop()
        .map(|event| {
            (
                event.id,
                event.data["signal"].as_i64(),
                event.data["code"].as_i64(),
            )
        })
        .map(|(id, signal, code)| {
            let how = match (signal, code) {
                (Some(signal), _) => format!("signal {signal}"),
                (None, Some(code)) => format!("exit code {code}"),
                (None, None) => "an unknown exit".to_owned(),
            };
            (id, how)
        });
    let complaint = if heard {
        facts
            .log_lines(name, COMPLAINT, Duration::from_secs(30), 1)
            .pop()
            .map(|hit| {
                let text = hit.text.chars().take(200).collect();
                (format!("log:{}", hit.id), text)
            })
    } else {
        None
    };
    let well = brain::is_well(&process);
    Some(NeighbourLook {
        name: name.to_string(),
        detail: process.detail,
        well,
        cpu_percent: process
            .instances
            .iter()
            .filter_map(|one| one.cpu_percent)
            .sum(),
        rss_bytes: process
            .instances
            .iter()
            .filter_map(|one| one.rss_bytes)
            .sum(),
        max_memory: process.max_memory,
        over_memory: over.len() as u64,
        over_bytes: over
            .iter()
            .filter_map(|event| event.data["rss"].as_u64())
            .max()
            .unwrap_or(0),
        over_event: over.last().map(|event| event.id),
        probe_error: process
            .instances
            .iter()
            .filter(|one| one.probe_failures > 0)
            .find_map(|one| one.probe_error.clone()),
        probe_ms,
        ports,
        died,
        complaint,
        restarted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_show_no_secrets() {
        let mut found = Vec::new();
        differences(
            "",
            &serde_json::json!({"command": "a", "env": {"API_TOKEN": "x", "MODE": "1"}}),
            &serde_json::json!({"command": "b", "env": {"API_TOKEN": "y", "MODE": "1"}}),
            &mut found,
        );
        assert_eq!(
            found,
            [
                ("command".into(), "a".into(), "b".into()),
                ("env.API_TOKEN".into(), "***".into(), "***".into())
            ]
        );
    }
}
