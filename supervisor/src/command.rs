//! All that can be asked of mhost, and all that it answers.
//!
//! Every surface (command line, JSON-RPC, later REST and chat, playbooks, the agent) makes
//! one of these and nothing else; they differ only in the [`crate::Caller`].

mod table;
pub mod view;
mod wire;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::caller::Role;
use crate::ids::{InstanceId, ProcessName};
use crate::logs::LogQuery;
use crate::os_text::OsText;
use crate::secret::EnvVars;
use crate::spec::{GroupSpec, ProcessSpec, Signal};
use crate::state::Reason;
use view::{
    CronView, EnvView, HealthView, LimitsView, LinkView, MetricsView, PlannedChange, ProcessView,
    StartOutcome, VersionView,
};

/// A target as a person writes it: a name, `name:2`, an index, `all`, a group, `group:web`,
/// or a glob. Resolved by the registry, which alone knows what exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Target(pub String);

impl Target {
    /// One process.
    pub fn process(name: &ProcessName) -> Self {
        Self(name.to_string())
    }

    /// One instance.
    pub fn instance(id: &InstanceId) -> Self {
        Self(format!("{}:{}", id.process, id.index))
    }
}

/// What can be asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Every process, or those with a tag or of a group.
    List {
        /// Only with this tag.
        tag: Option<String>,
    },
    /// Some processes in full.
    Status {
        /// Which.
        target: Target,
    },
    /// Register and start what a config file or a command line says.
    Apply(Apply),
    /// Start registered processes.
    Start {
        /// Which.
        target: Target,
        /// Wait until they are online, at most this long.
        wait: Option<Duration>,
    },
    /// Stop, keeping them registered.
    Stop {
        /// Which.
        target: Target,
        /// SIGKILL at once.
        force: bool,
        /// Instead of `stop_signal`.
        signal: Option<Signal>,
    },
    /// Stop and start again; groups one member at a time, in order.
    Restart {
        /// Which.
        target: Target,
        /// Take this as the caller's environment from now on.
        update_env: Option<EnvVars<OsText>>,
        /// As it is told in events.
        reason: Reason,
        /// SIGKILL at once.
        force: bool,
    },
    /// Renew without a gap, in the way that each process says.
    Reload {
        /// Which.
        target: Target,
        /// How long that may take, instead of what the process says.
        timeout: Option<Duration>,
        /// Answer only when the old set is gone, too.
        wait: bool,
    },
    /// Stop and forget.
    Delete {
        /// Which.
        target: Target,
        /// SIGKILL at once.
        force: bool,
        /// Keep the stored log lines.
        keep_logs: bool,
    },
    /// Change the number of copies.
    Scale {
        /// Which process.
        target: Target,
        /// To what.
        change: ScaleChange,
    },
    /// Send a signal to the process group.
    Signal {
        /// Which.
        target: Target,
        /// Which signal.
        signal: Signal,
    },
    /// Stop processes that are not online and hold them: no retry until somebody asks.
    Hold {
        /// Which.
        target: Target,
        /// Why, for people.
        reason: String,
    },
    /// Make an attempt with every probe now, and answer when it is over.
    RunProbe {
        /// Which.
        target: Target,
    },
    /// Leave the error state and reset the counters.
    ClearError {
        /// Which.
        target: Target,
    },
    /// Change one limit of a process.
    SetLimit {
        /// Which.
        target: Target,
        /// The new value.
        limit: Limit,
    },
    /// The final environment.
    Env {
        /// Which.
        target: Target,
        /// Show secret-looking values.
        reveal: bool,
    },
    /// Past events, newest first.
    History {
        /// Which; all when absent.
        target: Option<Target>,
        /// Only after this time.
        since: Option<Timestamp>,
        /// At most so many.
        limit: usize,
    },
    /// Probe results.
    Health {
        /// Which; all when absent.
        target: Option<Target>,
    },
    /// Newest samples.
    Metrics {
        /// Which; all when absent.
        target: Option<Target>,
    },
    /// Schedules.
    Cron,
    /// Limits and what is used of them.
    Limits {
        /// Which.
        target: Target,
    },
    /// The dependency graph.
    Links,
    /// Kept log lines.
    Logs(LogQuery),
    /// How the index over kept lines is.
    LogIndex,
    /// Make the index over kept lines anew.
    Reindex,
    /// Empty the stored logs.
    Flush {
        /// Which; all when absent.
        target: Option<Target>,
    },
    /// Write the process list to `dump.toml`.
    Save,
    /// Start what `dump.toml` says.
    Resurrect,
    /// Version, pid, uptime.
    Version,
    /// End the daemon, and the processes with it if `stop_children_on_exit` says so.
    Shutdown,
    /// Read `config.toml` again.
    ReloadConfig,
    /// A question or order to the brain or the agent. They answer behind a port; this crate
    /// carries it and knows the role it needs.
    Port(PortCommand),
}

/// An order for a part that lies behind a port.
#[derive(Debug, Clone, PartialEq)]
pub struct PortCommand {
    /// Its JSON-RPC method, such as `brain.history` or `agent.approve`.
    pub method: String,
    /// Its parameters.
    pub params: Value,
    /// The least role that may ask.
    pub role: Role,
    /// Does it change anything? Then it is audited.
    pub changes: bool,
}

/// A set of definitions to bring about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Apply {
    /// Processes, in file order.
    pub processes: Vec<ProcessSpec>,
    /// Groups of the same file.
    pub groups: Vec<GroupSpec>,
    /// Processes of the same file that are not part of this: they are left as they are.
    #[serde(default)]
    pub others: Vec<ProcessName>,
    /// Remove processes of the same project that are no longer in the file.
    pub prune: bool,
    /// Restart what runs unchanged, too.
    pub force: bool,
    /// Forget an earlier `mhost scale`.
    pub reset_scale: bool,
    /// Wait until they are online, at most this long.
    #[serde(with = "optional_millis")]
    pub wait: Option<Duration>,
}

mod optional_millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(|d| d.as_millis() as u64).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_millis))
    }
}

/// A new number of copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScaleChange {
    /// So many.
    To(u16),
    /// So many more or fewer.
    By(i32),
}

/// A limit that can be changed while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Bytes.
    MaxMemory(u64),
    /// Crashes in a row.
    MaxRestarts(u32),
    /// Milliseconds.
    GracePeriodMs(u64),
}

/// What is answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// Processes.
    Processes(Vec<ProcessView>),
    /// What a start did.
    Started(StartOutcome),
    /// What was done to each target.
    Done(Vec<Done>),
    /// A number of copies changed.
    Scaled {
        /// The process.
        process: ProcessName,
        /// Before.
        from: u16,
        /// Now.
        to: u16,
    },
    /// Environments.
    Env(Vec<EnvView>),
    /// Events.
    Events(Vec<crate::event::Event>),
    /// Probe rows.
    Health(Vec<HealthView>),
    /// Samples.
    Metrics(Vec<MetricsView>),
    /// Schedules.
    Cron(Vec<CronView>),
    /// Limits.
    Limits(Vec<LimitsView>),
    /// Edges of the dependency graph.
    Links(LinkView),
    /// Log lines.
    Logs(crate::logs::LogPage),
    /// How the index over kept lines is.
    Index(crate::logs::IndexView),
    /// The process list was written.
    Saved {
        /// Entries.
        count: usize,
        /// Where.
        path: std::path::PathBuf,
    },
    /// Version of the daemon.
    Version(VersionView),
    /// What would be done: the answer to a dry run.
    Plan(Vec<PlannedChange>),
    /// The answer of a port.
    Port(Value),
    /// The daemon ends.
    Ending {
        /// Its processes are stopped too; else they run on for the next daemon.
        stops_processes: bool,
    },
    /// Nothing to say.
    Ok,
}

/// What was done to one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Process or `process:instance`.
    pub target: String,
    /// False when there was nothing to do.
    pub changed: bool,
    /// What a person should know, such as "was already stopped".
    pub note: Option<String>,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

/// A command with how it is to be taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// What is asked.
    pub command: Command,
    /// Only say what would happen.
    pub dry_run: bool,
    /// The incident it belongs to, for the audit.
    pub incident: Option<String>,
}

impl From<Command> for Request {
    fn from(command: Command) -> Self {
        Self {
            command,
            dry_run: false,
            incident: None,
        }
    }
}
