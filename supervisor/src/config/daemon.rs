//! `config.toml` of the home folder: how the daemon itself behaves.
//!
//! It goes through the same tree, check and types as a project file; its `${…}` are filled in
//! from the daemon's own environment. A missing file means all defaults. The tables of the
//! brain and of the agent are in files of their own.

mod agent;
mod ai;
mod bot;
mod brain;
mod notifications;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::check;
use super::deserialize::from_node;
use super::expand::{Scope, Which, expand_tree};
use super::problem::{LoadError, Problem, Problems, Source};
use super::project::LoadContext;
use super::schema;
use super::sinks::{self, SinkConfig};
use super::tree::Format;
use crate::os_text::OsText;
use crate::paths::Paths;
use crate::secret::{Secret, passwords_of};
use crate::spec::AutonomyLimit;
use crate::units::ByteSize;

pub use agent::{AgentConfig, ApprovalsConfig, BoundsConfig, ThinkWhen};
pub use ai::{AiConfig, AiPrice, AiProvider, AiProviderConfig, is_here};
pub use bot::{BotConfig, BotRole, DiscordConfig, SlackConfig, TelegramConfig, WebhookConfig};
pub use brain::{BrainConfig, ExternalBrainConfig, PlaybookConfig};
pub use notifications::{
    ChatId, EscalationConfig, NOTIFICATION_ALIASES, NOTIFICATION_EVENTS, NotificationConfig,
    NotificationRegion, NotificationSeverity, NotificationTls, NotificationType,
    NotificationsConfig, SeverityMap,
};

/// The settings of the daemon.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DaemonConfig {
    /// The daemon itself.
    #[serde(default)]
    pub daemon: DaemonTable,
    /// Logs of processes on disk.
    #[serde(default)]
    pub logs: LogsConfig,
    /// Places that kept lines are sent to, by name.
    #[serde(default)]
    pub sinks: BTreeMap<String, SinkConfig>,
    /// The page that Prometheus reads, and how long figures are kept.
    #[serde(default)]
    pub metrics: MetricsConfig,
    /// Playbooks: known illnesses and their cures.
    #[serde(default)]
    pub brain: BrainConfig,
    /// The agent, which handles what no playbook knows.
    #[serde(default)]
    pub agent: AgentConfig,
    /// A language model, for what the brain does not know by itself. Without this table no
    /// model is asked, and nothing is sent anywhere.
    #[serde(default)]
    pub ai: Option<AiConfig>,
    /// A chat that the fleet is run from. Without this table none is.
    #[serde(default)]
    pub bot: Option<BotConfig>,
    /// Places that are told what happens, by name. Without one nobody is told.
    #[serde(default)]
    pub notifications: NotificationsConfig,
}

/// The daemon itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DaemonTable {
    /// Least level that goes to `daemon.log`. Default `info`.
    pub log_level: LogLevel,
    /// Longest time that stopping everything may take. Default `60s`.
    #[serde(with = "crate::units::duration")]
    #[schemars(with = "String", extend("x-form" = "duration"))]
    pub shutdown_timeout: Duration,
    /// Stop all processes when the daemon is stopped. `false` leaves them running, to be
    /// adopted by the next daemon. Default `true`.
    pub stop_children_on_exit: bool,
    /// Give each run a control group of its own where the host has cgroup v2 and lets us. A
    /// program that cuts every tie to its run is then still found by a stop; each start
    /// costs some 10 ms more, since the kernel waits to move it. Read when the daemon
    /// starts. Default `false`.
    pub control_groups: bool,
}

/// Least level of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Someone must act.
    Error,
    /// mhost coped.
    Warn,
    /// A state changed.
    #[default]
    Info,
    /// Why it decided so.
    Debug,
    /// Every message.
    Trace,
}

impl LogLevel {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// Logs of processes on disk. A stream of one instance takes at most
/// `raw_max_size` × `raw_keep`, and all of them with their index `max_db`. How long lines are
/// kept depends on their level.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogsConfig {
    /// Size at which a new log file begins. Read when the daemon starts. Default `50MB`.
    #[schemars(with = "String", extend("x-form" = "memory"))]
    pub raw_max_size: ByteSize,
    /// Log files kept per stream, the current one included. One that is smaller counts for
    /// its part. Read when the daemon starts. Default 5.
    #[schemars(range(min = 1))]
    pub raw_keep: u32,
    /// How long lines of level info, debug and trace are kept. Default `7d`.
    #[serde(with = "crate::units::duration")]
    #[schemars(with = "String", extend("x-form" = "duration"))]
    pub retention_info: Duration,
    /// How long warnings are kept. Default `30d`.
    #[serde(with = "crate::units::duration")]
    #[schemars(with = "String", extend("x-form" = "duration"))]
    pub retention_warn: Duration,
    /// How long errors are kept. Default `30d`.
    #[serde(with = "crate::units::duration")]
    #[schemars(with = "String", extend("x-form" = "duration"))]
    pub retention_error: Duration,
    /// How long fatal errors are kept. Default `90d`.
    #[serde(with = "crate::units::duration")]
    #[schemars(with = "String", extend("x-form" = "duration"))]
    pub retention_fatal: Duration,
    /// How long lines without a level are kept. Default `7d`.
    #[serde(with = "crate::units::duration")]
    #[schemars(with = "String", extend("x-form" = "duration"))]
    pub retention_default: Duration,
    /// Most that all logs and their index take on the disk. Over it the oldest lines of the
    /// lowest level go first. Default `2GB`.
    #[schemars(with = "String", extend("x-form" = "memory"))]
    pub max_db: ByteSize,
}

/// The page that Prometheus reads, and how long figures are kept. What `mhost metrics start`
/// or `stop` said last counts more than `enabled`, `bind` and `port`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsConfig {
    /// Serve the page. Default `false`.
    pub enabled: bool,
    /// Address to listen on: this machine only, unless another is given. The page asks for no
    /// password. Default `127.0.0.1`.
    #[schemars(extend("x-form" = "ip"))]
    pub bind: String,
    /// Port to listen on. Default 9161.
    #[schemars(range(min = 1))]
    pub port: u16,
    /// Path of the page. Default `/metrics`.
    #[schemars(extend("x-form" = "urlpath"))]
    pub path: String,
    /// Time between two samples of all processes, from `1s` to `1m`. Those with `max_memory` are looked at each second all the same, and more often when they are about to reach it. Default `5s`.
    #[serde(with = "crate::units::duration")]
    #[schemars(with = "String", extend("x-form" = "interval"))]
    pub interval: Duration,
    /// How long averages of a minute are kept; samples are kept for a day. Default `7d`.
    #[serde(with = "crate::units::duration")]
    #[schemars(with = "String", extend("x-form" = "duration"))]
    pub history: Duration,
}

impl Default for DaemonTable {
    fn default() -> Self {
        Self {
            log_level: LogLevel::Info,
            // Longer than any usual grace period, so that none is cut short.
            shutdown_timeout: Duration::from_secs(60),
            stop_children_on_exit: true,
            control_groups: false,
        }
    }
}

impl Default for LogsConfig {
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * 24 * 3_600);
        Self {
            raw_max_size: ByteSize::mib(50),
            raw_keep: 5,
            retention_info: days(7),
            retention_warn: days(30),
            retention_error: days(30),
            retention_fatal: days(90),
            retention_default: days(7),
            max_db: ByteSize::mib(2 << 10),
        }
    }
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            bind: "127.0.0.1".into(),
            port: 9161,
            path: "/metrics".into(),
            interval: Duration::from_secs(5),
            history: Duration::from_secs(7 * 24 * 3_600),
        }
    }
}

impl DaemonConfig {
    /// The settings of a home, with this process's environment, and warnings.
    ///
    /// # Errors
    /// Every problem of the file at once.
    pub fn load(paths: &Paths) -> Result<(Self, Vec<Problem>), LoadError> {
        // Not the current folder's: that may be gone, and nothing here is relative to it.
        let context = LoadContext::within(paths.home().to_owned());
        Self::load_with(&paths.config(), &context.env)
    }

    /// As [`DaemonConfig::load`], from any file and environment.
    ///
    /// # Errors
    /// Every problem of the file at once.
    pub fn load_with(
        file: &Path,
        env: &BTreeMap<String, OsText>,
    ) -> Result<(Self, Vec<Problem>), LoadError> {
        let (mut config, warnings) = match std::fs::symlink_metadata(file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Default::default(),
            _ => read(file, env)?,
        };
        if let Some(value) = env
            .get("MHOST_AUTONOMY")
            .filter(|value| !value.0.is_empty())
        {
            config.agent.autonomy = autonomy(&value.0.to_string_lossy())?;
        }
        Ok((config, warnings))
    }

    /// All it holds that must not be shown: keys, headers, passwords in addresses.
    pub fn secrets(&self) -> Vec<Secret> {
        let mut secrets: Vec<Secret> = self.ai.iter().flat_map(AiConfig::secrets).collect();
        secrets.extend(self.bot.iter().flat_map(BotConfig::secrets));
        secrets.extend(self.notifications.secrets());
        secrets.extend(self.sinks.values().flat_map(SinkConfig::secrets));
        for brain in self.brain.external.values() {
            let words = brain.command.iter().chain(&brain.url);
            secrets.extend(words.flat_map(|word| passwords_of(word)));
        }
        secrets
    }
}

fn read(
    file: &Path,
    env: &BTreeMap<String, OsText>,
) -> Result<(DaemonConfig, Vec<Problem>), LoadError> {
    let mut problems = Problems::new(Source::read(file)?);
    let Some(mut root) = Format::Toml.parse(&mut problems) else {
        return Err(problems
            .finish()
            .expect_err("a text without a tree has an error"));
    };
    let scope = Scope {
        env,
        fallback: None,
        later: None,
        folder: Some(file.parent().unwrap_or(Path::new("/"))),
    };
    expand_tree(
        &mut root,
        &mut Vec::new(),
        &scope,
        Which::AtLoad,
        &mut problems,
    );
    check(
        &mut root,
        schema::daemon(),
        Format::Toml,
        explain,
        &mut problems,
    );
    let mode = std::fs::metadata(file).map(|meta| meta.permissions().mode());
    let is_public = mode.is_ok_and(|mode| mode & 0o004 != 0);
    sinks::check(&root, is_public, &mut problems);
    ai::check(&root, is_public, &mut problems);
    notifications::check(&root, is_public, &mut problems);
    let config = from_node::<DaemonConfig>(&root);
    if let Err(error) = &config
        && problems.errors() == 0
    {
        let span = error.span.clone().unwrap_or(root.span);
        problems.bare(&span, error.message.clone());
    }
    if let Ok(config) = &config
        && problems.errors() == 0
    {
        for (message, help) in config.brain.problems() {
            problems.error(&brain_table(&problems.source.text), message, help);
        }
        let bots = config.bot.iter().flat_map(BotConfig::problems);
        for (message, help) in bots.collect::<Vec<_>>() {
            problems.error(&bot::table(&problems.source.text), message, help);
        }
        for (key, message, help) in config.agent.doubts(config.bot.as_ref()) {
            problems.warning(&agent_key(&problems.source.text, key), message, help);
        }
    }
    let warnings = problems.finish()?;
    Ok((config.unwrap_or_default(), warnings))
}

/// Where the table `[brain]` is named, for problems that are about all of it.
fn brain_table(text: &str) -> std::ops::Range<usize> {
    text.find("chain")
        .or_else(|| text.find("[brain"))
        .map_or(0..0, |at| at..at + 5)
}

/// Where a key of `[agent]` stands, for problems that are about what it holds.
fn agent_key(text: &str, key: &str) -> std::ops::Range<usize> {
    let table = text.find("[agent").unwrap_or(0);
    let at = text[table..].find(key).map_or(table, |at| table + at);
    at..at + key.len().min(text.len() - at)
}

fn autonomy(text: &str) -> Result<AutonomyLimit, LoadError> {
    let value = serde_json::Value::from(text.to_lowercase());
    serde_json::from_value(value).map_err(|_| {
        let mut problems = Problems::new(Source::new(
            "the environment",
            format!("MHOST_AUTONOMY={text}"),
        ));
        let start = "MHOST_AUTONOMY=".len();
        problems.error(
            &(start..start + text.len()),
            format!("MHOST_AUTONOMY cannot be `{text}`"),
            "write `manual`, `supervised`, `semi` or `autonomous`",
        );
        LoadError::Invalid(
            problems
                .finish()
                .err()
                .map_or_else(Vec::new, |error| error.problems().to_vec()),
        )
    })
}

fn explain(table: &str, key: &str) -> Option<String> {
    const LATER: [&str; 8] = [
        "dashboard",
        "rpc",
        "api",
        "alerts",
        "remediation",
        "cloud",
        "proxy",
        "deploy",
    ];
    const LATER_LOGS: [&str; 2] = ["raw_files", "max_line"];
    const LATER_BRAIN: [&str; 3] = ["learn_threshold", "notify_below", "act_below"];
    let later = match table {
        "" if matches!(key, "process" | "groups") => {
            return Some(format!(
                "processes stand in a project file: move `[{key}]` to `mhost.toml`"
            ));
        }
        "" => LATER.contains(&key),
        "logs" => LATER_LOGS.contains(&key),
        "brain" => LATER_BRAIN.contains(&key),
        _ => false,
    };
    later.then(|| {
        format!("this version of mhost does not know it: remove it, or name it `x-{key}` to keep it for later")
    })
}

#[cfg(test)]
mod tests;
