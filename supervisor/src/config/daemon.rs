//! `config.toml` of the home folder: how the daemon itself behaves.
//!
//! It goes through the same tree, check and types as a project file; its `${…}` are filled in
//! from the daemon's own environment. A missing file means all defaults.

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
use crate::spec::AutonomyLimit;
use crate::units::ByteSize;

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
/// `raw_max_size` × `raw_keep`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogsConfig {
    /// Size at which a new log file begins. Default `50MB`.
    #[schemars(with = "String", extend("x-form" = "memory"))]
    pub raw_max_size: ByteSize,
    /// Log files kept per stream, the current one included. Default 5.
    #[schemars(range(min = 1))]
    pub raw_keep: u32,
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
    /// How long averages of a minute are kept; samples are kept for a day. Default `7d`.
    #[serde(with = "crate::units::duration")]
    #[schemars(with = "String", extend("x-form" = "duration"))]
    pub history: Duration,
}

/// Playbooks: known illnesses and their cures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BrainConfig {
    /// Watch for illnesses. Default `true`.
    pub enabled: bool,
    /// What playbooks may do by themselves. Default `semi`.
    pub autonomy: AutonomyLimit,
    /// Least time between two actions of one kind on one process. Default `5m`.
    #[serde(with = "crate::units::duration")]
    #[schemars(with = "String", extend("x-form" = "duration"))]
    pub cooldown: Duration,
    /// Which brains are asked about an incident, in this order: `playbooks` (yours, then the built-in ones), `memory` (what was learned; asked between the two), `causes` (the knowledge base, asked after both), and names of `[brain.external]`. Default `["playbooks", "memory", "causes"]`.
    pub chain: Vec<String>,
    /// Make a playbook of every cure that was measured. Default `true`.
    pub learn: bool,
    /// Settings of single playbooks by name.
    pub playbooks: BTreeMap<String, PlaybookConfig>,
    /// Brains of your own by name.
    pub external: BTreeMap<String, ExternalBrainConfig>,
}

/// A brain of your own: a program or an HTTP endpoint, one of the two. It is asked only if `chain` names it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExternalBrainConfig {
    /// Program and its arguments. It is started for each question, which is a line on its standard input.
    pub command: Vec<String>,
    /// Address that the question is posted to.
    pub url: Option<String>,
    /// Longest time it may think, at most `30s`. Default `5s`.
    #[serde(with = "crate::units::duration")]
    #[schemars(with = "String", extend("x-form" = "duration"))]
    pub timeout: Duration,
    /// The most it may do by itself. Default `supervised`.
    pub autonomy: AutonomyLimit,
}

/// Brains that are built in.
const BRAINS: [&str; 3] = ["playbooks", "memory", "causes"];
/// An answer that comes later helps nobody.
const LONGEST_THOUGHT: Duration = Duration::from_secs(30);

impl BrainConfig {
    /// What is wrong with the chain and its brains, with what to do instead.
    fn problems(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for (place, name) in self.chain.iter().enumerate() {
            let known = BRAINS.contains(&name.as_str()) || self.external.contains_key(name);
            if name == "model" {
                all.push((
                    "`[brain] chain` names `model`, which this version of mhost does not have"
                        .into(),
                    "remove it from the chain".into(),
                ));
            } else if !known {
                all.push((
                    format!("`[brain] chain` names `{name}`, which is no brain"),
                    format!(
                        "known are {}, and the names of [brain.external.<name>]",
                        BRAINS.join(", ")
                    ),
                ));
            } else if self.chain[..place].contains(name) {
                all.push((
                    format!("`[brain] chain` names `{name}` twice"),
                    "keep the place that you mean".into(),
                ));
            }
        }
        for (name, one) in &self.external {
            if BRAINS.contains(&name.as_str()) || name == "model" {
                all.push((
                    format!("`[brain.external.{name}]` has the name of a built-in brain"),
                    "choose another name".into(),
                ));
            }
            if one.command.is_empty() == one.url.is_none() {
                all.push((
                    format!(
                        "`[brain.external.{name}]` needs a `command` or a `url`, one of the two"
                    ),
                    "command = [\"python3\", \"/path/to/brain.py\"]".into(),
                ));
            }
            if let Some(url) = &one.url
                && !(url.starts_with("http://") || url.starts_with("https://"))
            {
                all.push((
                    format!("the url of `[brain.external.{name}]` is no address of a server"),
                    "begin it with http:// or https://".into(),
                ));
            }
            if one.timeout.is_zero() || one.timeout > LONGEST_THOUGHT {
                all.push((
                    format!("the timeout of `[brain.external.{name}]` lies outside 1ms to 30s"),
                    "an answer that comes later helps nobody".into(),
                ));
            }
        }
        all
    }
}

/// Settings of one playbook. What is left out stays as the playbook says.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PlaybookConfig {
    /// Use it at all.
    pub enabled: Option<bool>,
    /// What it may do by itself.
    pub autonomy: Option<AutonomyLimit>,
    /// Least time between two runs on one process.
    #[serde(with = "optional_duration", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("x-form" = "duration"))]
    pub cooldown: Option<Duration>,
    /// Its own parameters, as its header names them.
    pub params: BTreeMap<String, serde_json::Value>,
}

/// The agent, which handles what no playbook knows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AgentConfig {
    /// Start it with the daemon. Default `false`.
    pub enabled: bool,
    /// What it may do by itself. The variable `MHOST_AUTONOMY` overrides it. Default `supervised`.
    pub autonomy: AutonomyLimit,
    /// Time between two slow looks; events wake it at once. Default `30s`.
    #[serde(with = "crate::units::duration")]
    #[schemars(with = "String", extend("x-form" = "duration"))]
    pub poll_interval: Duration,
    /// Actions without a person in a rolling hour, all processes together. Above that it asks. Default 10.
    pub max_actions_per_hour: u32,
    /// The same for one process. Default 3.
    pub max_actions_per_process_per_hour: u32,
    /// Time after which a question without an answer is a no. Default `10m`.
    #[serde(with = "crate::units::duration")]
    #[schemars(with = "String", extend("x-form" = "duration"))]
    pub approval_timeout: Duration,
    /// How long a process must stay well after an action before that counts as a success. Default `60s`.
    #[serde(with = "crate::units::duration")]
    #[schemars(with = "String", extend("x-form" = "duration"))]
    pub verify_window: Duration,
    /// Span of the day, local time, in which high risk always asks: `22:00-07:00`. Default: none.
    #[schemars(extend("x-form" = "hours"))]
    pub quiet_hours: String,
    /// Actions that are refused at every level. Default `["delete", "daemon.kill"]`.
    pub blocked_actions: Vec<String>,
    /// How far it may go by itself.
    pub bounds: BoundsConfig,
}

/// How far the agent may go by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BoundsConfig {
    /// Most instances of a process. Default: twice the configured number, at least 4, at most twice the CPUs.
    #[schemars(range(min = 1, max = 256))]
    pub max_instances: Option<u16>,
    /// How many times its configured memory limit a process may get. Default 2.
    #[schemars(range(min = 1))]
    pub max_memory_factor: f64,
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
        Self {
            raw_max_size: ByteSize::mib(50),
            raw_keep: 5,
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
            history: Duration::from_secs(7 * 24 * 3_600),
        }
    }
}

impl Default for BrainConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            autonomy: AutonomyLimit::Semi,
            cooldown: Duration::from_secs(300),
            chain: BRAINS.map(str::to_owned).to_vec(),
            learn: true,
            playbooks: BTreeMap::new(),
            external: BTreeMap::new(),
        }
    }
}

impl Default for ExternalBrainConfig {
    fn default() -> Self {
        Self {
            command: Vec::new(),
            url: None,
            timeout: Duration::from_secs(5),
            autonomy: AutonomyLimit::Supervised,
        }
    }
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            autonomy: AutonomyLimit::Supervised,
            poll_interval: Duration::from_secs(30),
            max_actions_per_hour: 10,
            max_actions_per_process_per_hour: 3,
            approval_timeout: Duration::from_secs(600),
            verify_window: Duration::from_secs(60),
            quiet_hours: String::new(),
            blocked_actions: ["delete", "daemon.kill"].map(str::to_owned).to_vec(),
            bounds: BoundsConfig::default(),
        }
    }
}

impl Default for BoundsConfig {
    fn default() -> Self {
        Self {
            max_instances: None,
            max_memory_factor: 2.0,
        }
    }
}

mod optional_duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    use crate::units::{format_duration, parse_duration};

    pub(super) fn serialize<S: Serializer>(
        value: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.serialize_str(&format_duration(*value)),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Option::<String>::deserialize(deserializer)?
            .map(|text| parse_duration(&text).map_err(serde::de::Error::custom))
            .transpose()
    }
}

impl DaemonConfig {
    /// The settings of a home, with this process's environment, and warnings.
    ///
    /// # Errors
    /// Every problem of the file at once.
    pub fn load(paths: &Paths) -> Result<(Self, Vec<Problem>), LoadError> {
        let context = LoadContext::current().unwrap_or_default();
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
        folder: file.parent().unwrap_or(Path::new("/")),
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
    const LATER: [&str; 11] = [
        "dashboard",
        "rpc",
        "api",
        "notifications",
        "alerts",
        "remediation",
        "ai",
        "bot",
        "cloud",
        "proxy",
        "deploy",
    ];
    const LATER_LOGS: [&str; 8] = [
        "retention_info",
        "retention_warn",
        "retention_error",
        "retention_fatal",
        "retention_default",
        "max_db",
        "raw_files",
        "max_line",
    ];
    const LATER_BRAIN: [&str; 3] = ["learn_threshold", "notify_below", "act_below"];
    const LATER_AGENT: [&str; 3] = ["telegram_chat", "approvers", "channels"];
    let later = match table {
        "" if matches!(key, "process" | "groups") => {
            return Some(format!(
                "processes stand in a project file: move `[{key}]` to `mhost.toml`"
            ));
        }
        "" => LATER.contains(&key),
        "logs" => LATER_LOGS.contains(&key),
        "brain" => LATER_BRAIN.contains(&key),
        "agent" => LATER_AGENT.contains(&key),
        _ => false,
    };
    later.then(|| {
        format!("this version of mhost does not know it: remove it, or name it `x-{key}` to keep it for later")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, env: &[(&str, &str)]) -> Result<DaemonConfig, Vec<(usize, String)>> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, text).unwrap();
        let env = env
            .iter()
            .map(|(key, value)| ((*key).to_owned(), OsText::from(*value)))
            .collect();
        DaemonConfig::load_with(&file, &env)
            .map(|(config, _)| config)
            .map_err(|error| {
                let problems = error.problems().iter();
                problems.map(|p| (p.line, p.message.clone())).collect()
            })
    }

    #[test]
    fn a_missing_or_empty_file_means_defaults() {
        let gone = Path::new("/no/such/config.toml");
        let (config, _) = DaemonConfig::load_with(gone, &BTreeMap::new()).unwrap();
        assert_eq!(config, DaemonConfig::default());
        assert_eq!(load("", &[]), Ok(DaemonConfig::default()));
        assert!(!config.agent.enabled && config.brain.enabled);
    }

    #[test]
    fn keys_are_read_and_the_environment_wins_for_autonomy() {
        let text = r#"
            [daemon]
            log_level = "debug"
            [agent]
            enabled = true
            autonomy = "semi"
            poll_interval = "${POLL:-1s}"
            bounds = { max_instances = 8, max_memory_factor = 1.5 }
            [brain.playbooks.cpu-spike]
            cooldown = "1m"
            params = { pct = 80.0, hold = "30s" }
            [logs]
            raw_max_size = "1MB"
            [x-mine]
            anything = "${goes}"
        "#;
        let config = load(text, &[("MHOST_AUTONOMY", "Autonomous")]).unwrap();
        assert_eq!(config.daemon.log_level, LogLevel::Debug);
        assert_eq!(config.agent.autonomy, AutonomyLimit::Autonomous);
        assert_eq!(config.agent.poll_interval, Duration::from_secs(1));
        assert_eq!(config.agent.bounds.max_instances, Some(8));
        let playbook = &config.brain.playbooks["cpu-spike"];
        assert_eq!(playbook.cooldown, Some(Duration::from_secs(60)));
        assert_eq!(playbook.params["pct"], 80.0);
        assert_eq!(config.logs.raw_max_size, ByteSize::mib(1));
    }

    #[test]
    fn an_address_and_a_path_look_like_one() {
        let good =
            "[metrics]\nenabled = true\nbind = \"::\"\npath = \"/a/b-c\"\nhistory = \"3d\"\n";
        let config = load(good, &[]).unwrap();
        assert_eq!(config.metrics.history, Duration::from_secs(3 * 24 * 3_600));
        let bad = "[metrics]\nbind = \"localhost\"\nport = 0\npath = \"metrics\"\n";
        let lines: Vec<usize> = load(bad, &[]).unwrap_err().iter().map(|p| p.0).collect();
        assert_eq!(lines, [2, 3, 4]);
    }

    #[test]
    fn the_chain_names_brains_that_exist() {
        let brains = |text: &str| {
            let problems = load(text, &[]).unwrap_err().into_iter();
            problems
                .map(|(_, message)| message)
                .collect::<Vec<_>>()
                .join("; ")
        };
        assert!(brains("[brain]\nchain = [\"model\"]").contains("`model`, which this version"));
        assert!(brains("[brain]\nchain = [\"mine\"]").contains("no brain"));
        assert!(brains("[brain]\nchain = [\"memory\", \"memory\"]").contains("twice"));
        assert!(brains("[brain.external.mine]\ntimeout = \"1s\"").contains("one of the two"));
        let both = "[brain.external.mine]\ncommand = [\"x\"]\nurl = \"http://x\"";
        assert!(brains(both).contains("one of the two"));
        let well = "[brain]\nchain = [\"mine\"]\n[brain.external.mine]\nurl = \"http://x/\"";
        assert_eq!(load(well, &[]).unwrap().brain.chain, ["mine"]);
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let text = "[daemon]\nlog_levle = 1\nshutdown_timeout = 5\n[agent]\nautonomy = \"full\"\nbounds = { max_memory_factor = 0.5 }\nquiet_hours = \"night\"\n[dashboard]\nport = 1\n";
        let lines: Vec<usize> = load(text, &[]).unwrap_err().iter().map(|p| p.0).collect();
        assert_eq!(lines, [2, 3, 5, 6, 7, 8]);
        let error = load("", &[("MHOST_AUTONOMY", "max")]).unwrap_err();
        assert_eq!(error[0].1, "MHOST_AUTONOMY cannot be `max`");
    }
}
