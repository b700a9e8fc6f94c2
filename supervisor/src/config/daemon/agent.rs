//! `[agent]`: how far it may go by itself, and when it asks.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::spec::AutonomyLimit;

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
    /// When a model is asked. `signal`: about an incident that nobody else has a plan for. `always`: also about all processes together, at each slow look while no incident is open; that costs a request each time, and uses at most half of each cap of `[ai]`. Default `signal`.
    pub think_when: ThinkWhen,
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

/// When the agent asks a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ThinkWhen {
    /// About an incident that nobody else has a plan for.
    #[default]
    Signal,
    /// Also about all processes together, while no incident is open.
    Always,
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

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            autonomy: AutonomyLimit::Supervised,
            poll_interval: Duration::from_secs(30),
            think_when: ThinkWhen::Signal,
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
