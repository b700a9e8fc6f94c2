//! What the daemon tells, as the screens need it.
//!
//! Answers are read leanly: most of a process list is definitions that no screen shows. All
//! text is made harmless here, once, where it comes in; what is drawn needs no second look.

use agent::{Entry, Status as AgentStatus};
use jiff::Timestamp;
use serde::Deserialize;
use supervisor::command::view::{HealthView, InstanceView, MetricsView};
use supervisor::logs::{Level, LogLine};
use supervisor::{Event, HealthStatus, Status};

use super::text::harmless;

/// What the feed tells the state.
#[derive(Debug)]
pub(crate) enum Fed {
    /// There is a daemon, and how it is.
    Daemon(Daemon),
    /// The connection is gone, or there is none yet.
    Lost(String),
    /// All processes.
    Rows(Vec<Row>),
    /// The newest samples.
    Samples(Vec<MetricsView>),
    /// What one row used before the screen was opened.
    Past(Vec<Past>),
    /// The wanted log begins anew.
    LogOpened(LogWish),
    /// More lines of it.
    LogLines(Vec<LogLine>),
    /// Lines were left out, since they came faster than anybody reads.
    LogSkipped,
    /// It cannot be shown.
    LogFailed(String),
    /// How well processes are, and the agent.
    Scores(Box<ScoresReply>),
    /// There is no brain: why.
    BrainOff(String),
    /// Where the agent stands.
    Agent(Box<AgentStatus>),
    /// The newest incidents.
    Incidents(Vec<Entry>),
    /// Probes.
    Probes(Vec<HealthView>),
    /// The newest events, newest first.
    Events(Vec<Event>),
    /// One more event.
    Event(Event),
    /// What became of what was asked for.
    Done(Ask, Result<Option<String>, String>),
}

/// Which daemon it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Daemon {
    /// Its version.
    pub(crate) version: String,
    /// Its pid.
    pub(crate) pid: u32,
    /// What is wrong with it.
    #[serde(default)]
    pub(crate) degraded: Vec<String>,
}

/// Something a person asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Restart this target.
    Restart(String),
    /// Stop it.
    Stop(String),
    /// Delete the process.
    Delete(String),
    /// Say yes to the agent: the id, and what it is about.
    Approve(String, String),
    /// Say no.
    Deny(String, String),
}

/// Which part of the world is looked at: what the feed keeps asking for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wants {
    /// A log.
    pub(crate) log: Option<LogWish>,
    /// What this one used in the last minutes.
    pub(crate) past: Option<String>,
    /// Scores, incidents and probes.
    pub(crate) brain: bool,
}

/// A log that is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LogWish {
    /// Whose; all when absent.
    pub(crate) target: Option<String>,
    /// Only lines with this text.
    pub(crate) search: String,
    /// Only lines of this level and above.
    pub(crate) level: Option<Level>,
    /// So many of the last lines, to begin with.
    pub(crate) lines: usize,
}

/// Which row it is, whatever the order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RowKey {
    /// The process.
    pub(crate) name: String,
    /// Its copy; none where it has none.
    pub(crate) instance: Option<u16>,
}

/// One row of the process table: a copy, or a process without copies.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    /// Which it is.
    pub(crate) key: RowKey,
    /// `api`, or `api:1` where there are several copies. Also its target on the command line.
    pub(crate) label: String,
    /// Its place in registration order.
    pub(crate) index: usize,
    /// Copies of its process.
    pub(crate) copies: usize,
    /// Its state.
    pub(crate) state: Status,
    /// The state with its flags.
    pub(crate) detail: String,
    /// Its pid while it runs.
    pub(crate) pid: Option<i32>,
    /// Percent of one core.
    pub(crate) cpu: Option<f64>,
    /// Resident bytes.
    pub(crate) memory: Option<u64>,
    /// The limit of that.
    pub(crate) limit: Option<u64>,
    /// Open descriptors.
    pub(crate) fds: Option<u64>,
    /// Threads.
    pub(crate) threads: Option<u64>,
    /// Is it about to be tried again?
    pub(crate) retries: bool,
    /// Restarts since the last start by hand.
    pub(crate) restarts: u64,
    /// Restarts ever.
    pub(crate) restarts_total: u64,
    /// When the run began.
    pub(crate) started_at: Option<Timestamp>,
    /// Its probes.
    pub(crate) health: HealthStatus,
    /// Its command line.
    pub(crate) command: String,
    /// Its folder.
    pub(crate) cwd: String,
    /// How the last run ended: `exit 1`, `signal 9`.
    pub(crate) last_exit: Option<String>,
    /// What a filter looks at, in lower case.
    pub(crate) haystack: String,
}

impl Row {
    /// Will its state change by itself soon?
    pub(crate) fn is_moving(&self) -> bool {
        matches!(self.state, Status::Starting | Status::Stopping) || self.retries
    }
}

/// An answer of `process.list`.
#[derive(Debug, Deserialize)]
pub(crate) struct ListReply {
    processes: Vec<ListedProcess>,
}

#[derive(Debug, Deserialize)]
struct ListedProcess {
    index: usize,
    name: String,
    state: Status,
    detail: String,
    instances: Vec<InstanceView>,
    restarts: u64,
    restarts_total: u64,
    health: HealthStatus,
    group: Vec<String>,
    tags: Vec<String>,
    argv: Vec<String>,
    cwd: String,
    config: ListedConfig,
}

#[derive(Debug, Deserialize)]
struct ListedConfig {
    #[serde(default)]
    max_memory: Option<supervisor::units::ByteSize>,
}

impl ListReply {
    /// One row per copy.
    pub(crate) fn rows(self) -> Vec<Row> {
        let mut rows = Vec::with_capacity(self.processes.len());
        for process in self.processes {
            process.rows_into(&mut rows);
        }
        rows
    }
}

impl ListedProcess {
    fn rows_into(self, rows: &mut Vec<Row>) {
        let name = harmless(&self.name).into_owned();
        let base = Row {
            key: RowKey {
                name: name.clone(),
                instance: None,
            },
            label: name.clone(),
            index: self.index,
            copies: self.instances.len(),
            state: self.state,
            detail: harmless(&self.detail).into_owned(),
            pid: None,
            cpu: None,
            memory: None,
            limit: self.config.max_memory.map(|size| size.0),
            fds: None,
            threads: None,
            retries: false,
            restarts: self.restarts,
            restarts_total: self.restarts_total,
            started_at: None,
            health: self.health,
            command: harmless(&self.argv.join(" ")).into_owned(),
            cwd: harmless(&self.cwd).into_owned(),
            last_exit: None,
            haystack: format!(
                "{name} {} {} {}",
                self.detail,
                self.group.join(" "),
                self.tags.join(" ")
            )
            .to_lowercase(),
        };
        if self.instances.is_empty() {
            rows.push(base);
            return;
        }
        let several = self.instances.len() > 1 || self.instances[0].index > 0;
        for instance in self.instances {
            let label = if several {
                format!("{name}:{}", instance.index)
            } else {
                name.clone()
            };
            rows.push(Row {
                key: RowKey {
                    name: name.clone(),
                    instance: Some(instance.index),
                },
                haystack: format!("{label} {} {}", instance.detail, base.haystack).to_lowercase(),
                label,
                state: instance.state,
                detail: harmless(&instance.detail).into_owned(),
                pid: instance.pid,
                cpu: instance.cpu_percent,
                memory: instance.memory_bytes,
                retries: instance.next_retry_at.is_some(),
                restarts: instance.restarts,
                restarts_total: instance.restarts_total,
                started_at: instance.pid.and(instance.started_at),
                health: instance.health,
                last_exit: match (instance.exit_code, instance.exit_signal) {
                    (Some(code), _) => Some(format!("exit {code}")),
                    (None, Some(signal)) => Some(format!("signal {signal}")),
                    (None, None) => None,
                },
                ..base.clone()
            });
        }
    }
}

/// One series of an answer of `metrics.history`, a point a second.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Past {
    /// The process.
    pub(crate) name: String,
    /// Its copy.
    pub(crate) instance: u16,
    /// `cpu` or `memory`.
    pub(crate) metric: String,
    /// Oldest first; none where nothing was measured.
    pub(crate) points: Vec<Option<f64>>,
}

/// An answer of `brain.status`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct ScoresReply {
    /// One per process.
    pub(crate) scores: Vec<Score>,
    /// Where the agent stands.
    pub(crate) agent: AgentStatus,
}

/// How well a process is.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Score {
    /// The process.
    pub(crate) name: String,
    /// 0 to 100; none while there is nothing to judge by.
    pub(crate) score: Option<u8>,
    /// What was taken off, and for what.
    pub(crate) parts: Option<Parts>,
    /// Is it held?
    pub(crate) held: bool,
    /// Its open incident.
    pub(crate) incident: Option<String>,
    /// What that is.
    pub(crate) title: Option<String>,
}

/// Points taken off.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(crate) struct Parts {
    /// For crashes.
    pub(crate) crash: f64,
    /// For failed probes.
    pub(crate) probe: f64,
    /// For a trend of memory.
    pub(crate) memory: f64,
    /// For unsteady use of the processor.
    pub(crate) cpu: f64,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_becomes_rows() {
        let instance = |index: u16| {
            json!({
                "index": index, "pid": 7, "state": "online", "detail": "online\u{1b}[2J",
                "started_at": "2026-03-28T12:00:00Z", "uptime_ms": 5, "restarts": 1,
                "restarts_total": 3, "exit_code": null, "exit_signal": 9, "last_exit": null,
                "cpu_percent": 1.5, "memory_bytes": 9, "health": "pass", "generation": 3,
                "next_retry_at": null, "held_by": null
            })
        };
        let process = |name: &str, instances: serde_json::Value| {
            json!({
                "index": 0, "name": name, "state": "stopped", "detail": "stopped",
                "instances": instances, "restarts": 1, "restarts_total": 3, "health": "off",
                "group": ["web"], "tags": [], "argv": ["node", "a\tb"], "cwd": "/srv",
                "project": null, "config": { "command": "x", "max_memory": "2KB" }
            })
        };
        let reply: ListReply = serde_json::from_value(json!({ "processes": [
            process("api", json!([instance(0), instance(1)])),
            process("db", json!([instance(0)])),
            process("job", json!([])),
        ]}))
        .unwrap();
        let rows = reply.rows();
        let labels: Vec<&str> = rows.iter().map(|row| row.label.as_str()).collect();
        assert_eq!(labels, ["api:0", "api:1", "db", "job"]);
        assert_eq!(rows[0].detail, "online");
        assert_eq!(rows[0].limit, Some(2048));
        assert_eq!(rows[1].last_exit.as_deref(), Some("signal 9"));
        assert!(rows[3].haystack.contains("web"));
        assert!(rows[0].started_at.is_some());
    }
}
