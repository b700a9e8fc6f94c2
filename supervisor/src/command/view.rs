//! What answers look like: plain data, the same on every surface.
//!
//! These are the JSON shapes of `--json` and JSON-RPC. Keys are added and never renamed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{Generation, ProcessName};
use crate::spec::ProcessConfig;
use crate::state::{ExitStatus, Status};

/// A process with its instances.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessView {
    /// Its place in registration order.
    pub index: usize,
    /// Its name.
    pub name: ProcessName,
    /// The worst state of its instances.
    pub state: Status,
    /// State with its flags, such as `errored (retry in 3.2s, 4)`.
    pub detail: String,
    /// Its copies.
    pub instances: Vec<InstanceView>,
    /// Restarts since the last manual start, over all copies.
    pub restarts: u64,
    /// Restarts ever, over all copies.
    pub restarts_total: u64,
    /// `pass`, `fail`, `pending` or `off`.
    pub health: HealthStatus,
    /// Groups it belongs to.
    pub group: Vec<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// The config file it came from.
    pub project: Option<String>,
    /// Program and arguments, as they are run.
    pub argv: Vec<String>,
    /// Working folder.
    pub cwd: String,
    /// The sockets that mhost listens on for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listen: Vec<ListenView>,
    /// The effective definition.
    pub config: ProcessConfig,
}

/// A socket that mhost listens on for a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenView {
    /// What the program calls it.
    pub name: String,
    /// The address as it is written.
    pub address: String,
    /// Where it is open: the port that the system chose for port 0. Absent while it is closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<String>,
}

/// One copy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InstanceView {
    /// Its place among the copies.
    pub index: u16,
    /// Its pid while it runs.
    pub pid: Option<i32>,
    /// Its state.
    pub state: Status,
    /// State with its flags.
    pub detail: String,
    /// When the run started.
    pub started_at: Option<Timestamp>,
    /// How long it has run, in milliseconds.
    pub uptime_ms: Option<u64>,
    /// Restarts since the last manual start.
    pub restarts: u64,
    /// Restarts ever.
    pub restarts_total: u64,
    /// Exit code of the last run.
    pub exit_code: Option<i32>,
    /// Signal that ended the last run.
    pub exit_signal: Option<i32>,
    /// How the last run ended.
    pub last_exit: Option<ExitStatus>,
    /// CPU over the last interval, percent of one core, whole tree.
    pub cpu_percent: Option<f64>,
    /// Resident memory of the whole tree.
    pub memory_bytes: Option<u64>,
    /// Probes.
    pub health: HealthStatus,
    /// Which life this is.
    pub generation: Generation,
    /// When it is tried again.
    pub next_retry_at: Option<Timestamp>,
    /// Who holds it, when it is held.
    pub held_by: Option<String>,
    /// Is it online, do its probes of `readiness` pass, and does it not say that it is stopping?
    #[serde(default)]
    pub ready: bool,
    /// What it says of itself (`STATUS=` of `sd_notify`): text from outside, of one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_text: Option<String>,
    /// What it calls its main process (`MAINPID=` of `sd_notify`), if that is not `pid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub main_pid: Option<i32>,
}

/// The outcome of probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// All pass.
    Pass,
    /// One fails.
    Fail,
    /// No result yet.
    Pending,
    /// There are none.
    Off,
}

impl HealthStatus {
    /// The word a person sees.
    pub fn as_str(self) -> &'static str {
        match self {
            HealthStatus::Pass => "pass",
            HealthStatus::Fail => "fail",
            HealthStatus::Pending => "pending",
            HealthStatus::Off => "off",
        }
    }

    /// The worst of several; off when there are none.
    pub(crate) fn worst(statuses: impl Iterator<Item = Self>) -> Self {
        let rank = |status: &Self| match status {
            HealthStatus::Off => 0,
            HealthStatus::Pass => 1,
            HealthStatus::Pending => 2,
            HealthStatus::Fail => 3,
        };
        statuses.max_by_key(rank).unwrap_or(HealthStatus::Off)
    }
}

/// One probe of one instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HealthView {
    /// The process.
    pub name: ProcessName,
    /// The copy.
    pub instance: u16,
    /// `http`, `tcp`, `script`, or `none`; behind its role if it has one: `readiness.http`.
    pub probe: String,
    /// Its state.
    pub status: HealthStatus,
    /// When it was last tried.
    pub last_check: Option<Timestamp>,
    /// How long that took, in milliseconds.
    pub latency_ms: Option<u64>,
    /// Why it failed: `timeout`, `refused`, `status 503`, `exit 2`.
    pub error: Option<String>,
    /// Failures in a row.
    pub failures: u32,
    /// The newest attempts, newest last.
    pub attempts: Vec<ProbeAttempt>,
}

/// One try of a probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbeAttempt {
    /// When it began.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub latency_ms: u64,
    /// Did it pass?
    pub passed: bool,
    /// Why not.
    pub error: Option<String>,
    /// The first bytes of what came back, at most 512.
    pub output: Option<String>,
}

/// The newest sample of one instance's tree.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricsView {
    /// The process.
    pub name: ProcessName,
    /// The copy.
    pub instance: u16,
    /// Percent of one core.
    pub cpu_percent: Option<f64>,
    /// Resident bytes.
    pub memory_bytes: Option<u64>,
    /// Resident bytes with shared pages divided among all that share them, where that is cheap
    /// to find out.
    #[serde(default)]
    pub pss_bytes: Option<u64>,
    /// Bytes that the run has read from storage.
    #[serde(default)]
    pub read_bytes: Option<u64>,
    /// Bytes that it has written.
    #[serde(default)]
    pub written_bytes: Option<u64>,
    /// The same of the last seconds.
    #[serde(default)]
    pub read_bytes_per_second: Option<u64>,
    /// The same of the last seconds.
    #[serde(default)]
    pub written_bytes_per_second: Option<u64>,
    /// Open descriptors of the leader.
    pub fds: Option<u64>,
    /// Threads of the tree.
    pub threads: Option<u64>,
    /// Milliseconds since the run started.
    pub uptime_ms: Option<u64>,
    /// Restarts since the last manual start.
    pub restarts: u64,
}

/// One variable of an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvEntry {
    /// Its name.
    pub key: String,
    /// Its value; `***` where it is masked.
    pub value: String,
}

/// The environment of one instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvView {
    /// The process.
    pub name: ProcessName,
    /// The copy.
    pub instance: u16,
    /// Its variables, by name.
    pub env: Vec<EnvEntry>,
}

/// One schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CronView {
    /// The process.
    pub name: ProcessName,
    /// As written.
    pub schedule: String,
    /// Its zone.
    pub timezone: String,
    /// When it comes next.
    pub next: Option<Timestamp>,
    /// When it last came.
    pub last: Option<Timestamp>,
}

/// The limits of one instance and what is used of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LimitsView {
    /// The process.
    pub name: ProcessName,
    /// The copy.
    pub instance: u16,
    /// Resident bytes of the tree.
    pub memory_bytes: Option<u64>,
    /// Its limit.
    pub max_memory: Option<u64>,
    /// Crashes left before the breaker opens; absent without a limit.
    pub restarts_left: Option<u32>,
    /// Open descriptors of the leader.
    pub fds: Option<u64>,
    /// Limit of open descriptors, where one is set.
    pub nofile: Option<u64>,
    /// Limit of CPU seconds, where one is set.
    pub cpu_seconds: Option<u64>,
}

/// The dependency graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkView {
    /// All processes, by name.
    pub processes: Vec<ProcessName>,
    /// `from` starts after `to`.
    pub edges: Vec<LinkEdge>,
    /// Groups and their members.
    pub groups: Vec<LinkGroup>,
}

/// One edge: `from` starts after `to`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkEdge {
    /// The dependent.
    pub from: ProcessName,
    /// What it depends on.
    pub to: ProcessName,
    /// `depends_on`, or `group:<name>`.
    pub why: String,
}

/// A group and its members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkGroup {
    /// Its name.
    pub name: String,
    /// Members in start order.
    pub members: Vec<ProcessName>,
}

/// What a start did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StartOutcome {
    /// What each process came to.
    pub processes: Vec<Started>,
    /// Processes of the same project that are no longer in the file and were left alone.
    pub left_over: Vec<ProcessName>,
    /// Removed by `--prune`.
    pub pruned: Vec<ProcessName>,
}

/// What a start did to one process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Started {
    /// The process.
    pub name: ProcessName,
    /// What was done.
    pub change: StartChange,
    /// Did all its instances come up?
    pub online: bool,
    /// Why not, if not.
    pub error: Option<String>,
    /// What a person should know.
    pub note: Option<String>,
}

/// What a start does to one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartChange {
    /// It was new.
    Created,
    /// It was registered and has been started.
    Started,
    /// Its definition changed, so it was restarted.
    Updated,
    /// It runs with this definition already.
    Unchanged,
    /// `enabled = false`: registered only.
    Registered,
    /// It is removed.
    Removed,
    /// It is not in the file any more and is left alone.
    LeftOver,
}

/// One line of a dry run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedChange {
    /// The process.
    pub process: ProcessName,
    /// What would be done: `start`, `restart`, `stop`, `leave`, `remove`, `register`, `scale`.
    pub action: String,
    /// Why, such as the keys that changed.
    pub why: String,
}

/// Which daemon this is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionView {
    /// Its version.
    pub version: String,
    /// Operating system.
    pub os: String,
    /// Architecture.
    pub arch: String,
    /// Its pid.
    pub pid: u32,
    /// Milliseconds since it started.
    pub uptime_ms: u64,
    /// Version of the protocol.
    pub protocol: u32,
    /// Its home folder.
    pub home: String,
    /// What is wrong with it, such as a full disk; empty when all is well.
    pub degraded: Vec<String>,
}
