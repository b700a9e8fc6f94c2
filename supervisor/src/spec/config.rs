//! The table `[process.<name>]`, as a person writes it.
//!
//! These types are the manual: a field's doc says what it does, its unit and its default.
//! The JSON Schema and the reference page are generated from them. A value of
//! [`ProcessConfig`] has its variables expanded; that it is *valid* is said by
//! [`crate::spec::ProcessSpec`], which holds one.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::health::Health;
use super::listen::Listen;
use super::ready::Ready;
use super::reload::Reload;
use super::sandbox::Capabilities;
use crate::launch::Voice;
use crate::secret::EnvVars;
use crate::units::ByteSize;

/// One process: what to run, how many, and what to do when it fails.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessConfig {
    /// Command line or script path. A script's interpreter is found by its extension.
    /// A shell runs it only if it holds one of `| & ; < > $( \``.
    #[serde(serialize_with = "crate::secret::shown")]
    #[schemars(extend("x-form" = "command"))]
    pub command: String,
    /// Arguments added after the command's own words.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        serialize_with = "crate::secret::all_shown"
    )]
    pub args: Vec<String>,
    /// Program that runs the script; `none` runs it directly. Default: by extension.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interpreter: Option<String>,
    /// Number of copies, 0 to 256, or `"max"` for one per CPU. Default 1. One that is
    /// stopped by itself (`mhost stop api:1`) stays down until it is started or restarted, or
    /// the whole process is started, restarted or reloaded.
    #[serde(default)]
    pub instances: Instances,
    /// Working folder, relative to this file. Default: the file's folder. `~` expands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Environment variables. Numbers and booleans become strings.
    #[serde(default, skip_serializing_if = "EnvVars::is_empty")]
    #[schemars(with = "BTreeMap<String, EnvValue>")]
    pub env: EnvVars<EnvValue>,
    /// Env file or files, later wins; `true` reads `.env`, `.env.local` and `.env.$NODE_ENV`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env_file: Option<EnvFile>,
    /// Which wins when the same variable is in `[env]` and in the environment that ran
    /// `mhost start`: `"os"` (default) or `"config"`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub env_priority: EnvPriority,
    /// Resident memory of one instance's whole process tree at which it is restarted. At least `1MB`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("x-form" = "memory"))]
    pub max_memory: Option<ByteSize>,
    /// Crashes in a row, each within `min_uptime`, after which it is not retried. 0 = no limit. Default 0.
    /// A number also governs the playbook `rapid-crash`, which counts crashes and then leaves the
    /// process alone. `same-death` does not count: it holds a process whose deaths all have the
    /// same cause that no further try can cure, also before this number is reached. It is switched off with
    /// `[brain.playbooks.same-death] enabled = false`, for one process with `autonomy = "manual"`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub max_restarts: u32,
    /// A run shorter than this counts for `max_restarts`. Default `1s`.
    #[serde(default = "defaults::min_uptime", with = "crate::units::duration")]
    #[schemars(with = "String", extend("x-form" = "duration"))]
    pub min_uptime: Duration,
    /// A run longer than this makes the delay start again at `restart_delay`. Default `60s`.
    #[serde(default = "defaults::stable_after", with = "crate::units::duration")]
    #[schemars(with = "String", extend("x-form" = "duration"))]
    pub stable_after: Duration,
    /// Delay before the first retry; doubles with each. Default `100ms`.
    #[serde(default = "defaults::restart_delay", with = "crate::units::duration")]
    #[schemars(with = "String", extend("x-form" = "duration"))]
    pub restart_delay: Duration,
    /// Longest delay between retries. Default `30s`.
    #[serde(
        default = "defaults::max_restart_delay",
        with = "crate::units::duration"
    )]
    #[schemars(with = "String", extend("x-form" = "duration"))]
    pub max_restart_delay: Duration,
    /// Time between `stop_signal` and SIGKILL. `0s` kills at once. Default `10s`.
    #[serde(default = "defaults::grace_period", with = "crate::units::duration")]
    #[schemars(with = "String", extend("x-form" = "duration"))]
    pub grace_period: Duration,
    /// Signal that asks it to stop. Default `SIGTERM`.
    #[serde(default)]
    #[schemars(with = "String", extend("x-form" = "signal"))]
    pub stop_signal: Signal,
    /// `true` restarts after a failure (default), `"always"` also after exit 0, `false` never.
    #[serde(default, skip_serializing_if = "is_default")]
    pub autorestart: Autorestart,
    /// When to restart it, as cron: five fields, six with seconds first, or `@daily`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-form" = "cron"))]
    pub cron_restart: Option<String>,
    /// IANA time zone of `cron_restart`. Default `UTC`.
    #[serde(default = "defaults::timezone")]
    #[schemars(extend("x-form" = "timezone"))]
    pub timezone: String,
    /// Restart when files change: `true` for source files under `cwd`, or a list of globs.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schemars(extend("x-form" = "glob"))]
    pub watch: Watch,
    /// Globs that `watch` does not look at, beside the built-in ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-form" = "glob"))]
    pub ignore: Vec<String>,
    /// How `mhost logs` shows times, of `YYYY MM DD HH mm ss SSS Z`. Default `YYYY-MM-DDTHH:mm:ssZ`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-form" = "time"))]
    pub log_date_format: Option<String>,
    /// How its output reaches the log: through a `"pipe"` (default), or through a `"file"` for a
    /// program that must never wait for a reader. A file has two prices: a program that truncates
    /// it (`echo x > /dev/stdout` in a shell) loses what was not read yet, and a daemon that is
    /// killed while it copies may keep the same lines twice.
    #[serde(default, skip_serializing_if = "is_default")]
    pub output: Output,
    /// Addresses that mhost listens on for it: `tcp://<ip>:<port>` or `unix://<path>`, or tables
    /// of `address`, `name` and `mode`. The program gets the open sockets as descriptors 3, 4, …
    /// (`LISTEN_FDS`, as from systemd); `${FD}` and `${FD_<NAME>}` in `command`, `args` and `env`
    /// are their numbers. They stay open while the program or the daemon dies; see `sockets.md`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-form" = "listen"))]
    pub listen: Vec<Listen>,
    /// Processes that must be online before this one starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<String>,
    /// How it tells that it is up, beside its probes: `"notify"` when it sends `READY=1` to the
    /// socket in `NOTIFY_SOCKET` (the protocol of `sd_notify`), `{ log = "listening on" }` when it
    /// prints a line that matches this regular expression. Default: its probes, and without
    /// probes it is up when it has lived for a second, or `min_uptime` if that is less. See
    /// `readiness.md`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready: Option<Ready>,
    /// Its probes must pass within this time after a start, and the sign of `ready` must have come.
    /// Default `30s`.
    #[serde(default = "defaults::start_timeout", with = "crate::units::duration")]
    #[schemars(with = "String", extend("x-form" = "duration"))]
    pub start_timeout: Duration,
    /// Once it is online it has to send `WATCHDOG=1` to the socket in `NOTIFY_SOCKET` within this
    /// time, again and again (`WATCHDOG_USEC`), or is restarted as after a failed probe. At least
    /// `100ms`; programs send it after half of the time. Default: none. See `readiness.md`.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "crate::units::optional_duration"
    )]
    #[schemars(with = "Option<String>", extend("x-form" = "duration"))]
    pub watchdog: Option<Duration>,
    /// Probes; all must pass.
    #[serde(default, skip_serializing_if = "is_default")]
    pub health: Health,
    /// What `mhost reload` does.
    #[serde(default, skip_serializing_if = "is_default")]
    pub reload: Reload,
    /// Labels for `--tag`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// End the whole tree on stop and what is left of it on exit. Default `true`.
    #[serde(default = "defaults::yes")]
    pub kill_tree: bool,
    /// User to run as. Only when the daemon is root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Group to run as. Only when the daemon is root. Default: the user's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Limits the kernel enforces.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: Limits,
    /// `true`: neither it nor what it starts gains rights by executing a file, as of a setuid
    /// program such as `sudo`. Default `false`. See `sandbox.md`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub no_new_privs: bool,
    /// All that is left to it of root's rights, by the names of capabilities(7):
    /// `["net_bind_service"]`; `[]` leaves none. With `user` they are that user's. Only when the
    /// daemon is root. Default: what root or `user` has. See `sandbox.md`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Capabilities>,
    /// `true`: each run has an empty `/tmp` and `/var/tmp` of its own, in memory, which nobody else
    /// sees and which go with its last process. Only when the daemon is root. Default `false`.
    /// See `sandbox.md`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub private_tmp: bool,
    /// Variable whose number is raised by the instance's index, such as `PORT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-form" = "variable"))]
    pub increment_var: Option<String>,
    /// `false` registers it without starting it. Default `true`.
    #[serde(default = "defaults::yes")]
    pub enabled: bool,
    /// The most that mhost's brain and agent may do to it: `manual`, `supervised`, `semi`
    /// or `autonomous`. It can only lower the configured level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autonomy: Option<AutonomyLimit>,
    /// Who is told what happens to it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub notify: Notify,
}

impl ProcessConfig {
    /// What it is told about speaking to us, if anybody listens.
    pub fn voice(&self) -> Option<Voice> {
        let watchdog = self.watchdog;
        let listens = self.ready == Some(Ready::Notify) || watchdog.is_some();
        listens.then_some(Voice { watchdog })
    }
}

/// Who is told what happens to a process. The channels are those of `[notifications]` in
/// `config.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    /// Tell its crashes, also to channels that do not name them in `events`. Default `false`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub on_crash: bool,
    /// Only these channels. Default: all whose own filters let it through.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<String>,
}

/// A number of copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instances {
    /// So many.
    Count(u16),
    /// One per CPU.
    Max,
}

/// A value of `[env]`: a string, or a scalar that is turned into one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct EnvValue(pub String);

/// The key `env_file`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvFile {
    /// `true`: the conventional names. `false` is the same as leaving it out.
    Conventional(bool),
    /// These files, later wins.
    Files(Vec<String>),
}

/// Who wins when a variable is in `[env]` and in the caller's environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EnvPriority {
    /// The environment of the caller.
    #[default]
    Os,
    /// The table.
    Config,
}

/// What carries a program's output to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Output {
    /// A FIFO of up to 1 MiB. A program that fills it waits until it is read.
    #[default]
    Pipe,
    /// A file under `run/`. Nothing makes the program wait but the disk.
    File,
}

/// The key `autorestart`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Autorestart {
    /// Never.
    Never,
    /// After a non-zero exit or a signal.
    #[default]
    OnFailure,
    /// Also after exit 0.
    Always,
}

/// The key `watch`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Watch {
    /// Nothing is watched.
    #[default]
    Off,
    /// Source files under `cwd`.
    Sources,
    /// Files that match one of these globs, relative to `cwd`.
    Globs(Vec<String>),
}

/// Upper bound for brain and agent, least first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum AutonomyLimit {
    /// Observe only.
    Manual,
    /// Ask before anything that changes state.
    Supervised,
    /// Do what is low risk, ask for the rest.
    Semi,
    /// Act within bounds.
    Autonomous,
}

/// Limits the kernel enforces, set before the program starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Open files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nofile: Option<u64>,
    /// Processes and threads of the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nproc: Option<u64>,
    /// Size of a core file, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub core: Option<u64>,
    /// CPU time, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<u64>,
    /// Niceness, -20 to 19. Below 0 needs privilege.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -20, max = 19))]
    pub nice: Option<i8>,
}

/// A signal by its name, such as `SIGTERM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signal(pub i32);

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Defaults, each with its source.
pub mod defaults {
    use std::time::Duration;

    /// 1 s: a run shorter than this never came up.
    pub fn min_uptime() -> Duration {
        Duration::from_secs(1)
    }
    /// 60 s: a run longer than this was a healthy one.
    pub fn stable_after() -> Duration {
        Duration::from_secs(60)
    }
    /// 100 ms: the base delay of the peer.
    pub fn restart_delay() -> Duration {
        Duration::from_millis(100)
    }
    /// 30 s: the cap of the peer.
    pub fn max_restart_delay() -> Duration {
        Duration::from_secs(30)
    }
    /// 10 s: the grace period container runtimes use.
    pub fn grace_period() -> Duration {
        Duration::from_secs(10)
    }
    /// 30 s.
    pub fn start_timeout() -> Duration {
        Duration::from_secs(30)
    }
    /// `SIGUSR2`: what Puma, unicorn and others renew themselves on.
    pub fn reload_signal() -> super::Signal {
        super::Signal::USR2
    }
    /// 30 s: the figure of the peer.
    pub fn reload_timeout() -> Duration {
        Duration::from_secs(30)
    }
    /// 10 s, also for TCP.
    pub fn http_interval() -> Duration {
        Duration::from_secs(10)
    }
    /// 3 s.
    pub fn http_timeout() -> Duration {
        Duration::from_secs(3)
    }
    /// 2 s.
    pub fn tcp_timeout() -> Duration {
        Duration::from_secs(2)
    }
    /// 30 s: a script costs more than a request.
    pub fn script_interval() -> Duration {
        Duration::from_secs(30)
    }
    /// 5 s.
    pub fn script_timeout() -> Duration {
        Duration::from_secs(5)
    }
    /// 3.
    pub fn retries() -> u32 {
        3
    }
    /// 1.
    pub fn success_threshold() -> u32 {
        1
    }
    /// `GET`.
    pub fn get() -> String {
        "GET".into()
    }
    /// `localhost`.
    pub fn localhost() -> String {
        "localhost".into()
    }
    /// `UTC`.
    pub fn timezone() -> String {
        "UTC".into()
    }
    /// `true`.
    pub fn yes() -> bool {
        true
    }
}
