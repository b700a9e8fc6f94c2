//! `[brain]`: what is asked about an incident, in which order, and how far it may go.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::spec::AutonomyLimit;
use crate::units::optional_duration;

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
    /// Which brains are asked about an incident, in this order: `playbooks` (yours, then the built-in ones), `memory` (what was learned; asked between the two), `causes` (the knowledge base, asked after both), names of `[brain.external]`, and last `model` (the model of `[ai]`, asked while the agent is enabled, about what nobody else has a plan for). Default `["playbooks", "memory", "causes", "model"]`.
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
const BRAINS: [&str; 4] = ["playbooks", "memory", "causes", MODEL];
/// The slowest and dearest of them.
const MODEL: &str = "model";
/// An answer that comes later helps nobody.
const LONGEST_THOUGHT: Duration = Duration::from_secs(30);

impl BrainConfig {
    /// What is wrong with the chain and its brains, with what to do instead.
    pub(super) fn problems(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for (place, name) in self.chain.iter().enumerate() {
            let known = BRAINS.contains(&name.as_str()) || self.external.contains_key(name);
            if name == MODEL && place + 1 < self.chain.len() {
                all.push((
                    "`[brain] chain` names `model` before others, and it is asked last".into(),
                    "move it to the end of the chain".into(),
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
            if BRAINS.contains(&name.as_str()) {
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
