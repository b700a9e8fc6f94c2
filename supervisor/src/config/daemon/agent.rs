//! `[agent]`: how far it may go by itself, and when it asks.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bot::{BotConfig, BotRole};
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
    /// Only these people may decide on what the agent asks, if their role allows it: ids as in
    /// `[bot.users]`, or `cli:<user>` for somebody on this machine. Default: everybody whose role
    /// could do the same by hand.
    pub approvers: Vec<String>,
    /// How many different people must say yes before a plan of a risk class is carried out.
    pub approvals: ApprovalsConfig,
    /// Chats that are asked, beside those under `[bot] channels`: `telegram:-1001234`, with a
    /// topic `telegram:-1001234/7`. Default: none.
    pub channels: Vec<String>,
    /// The same for one chat on Telegram: `-1001234`, with a topic `-1001234/7`. Default: none.
    pub telegram_chat: Option<String>,
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

/// How many different people must say yes, from 1 to 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ApprovalsConfig {
    /// Of low risk, such as a restart. Default 1.
    #[schemars(range(min = 1, max = 3))]
    pub low: u8,
    /// Of high risk, such as a stop or another limit. Default 1.
    #[schemars(range(min = 1, max = 3))]
    pub high: u8,
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

impl Default for ApprovalsConfig {
    fn default() -> Self {
        Self { low: 1, high: 1 }
    }
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
            approvers: Vec::new(),
            approvals: ApprovalsConfig::default(),
            channels: Vec::new(),
            telegram_chat: None,
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

/// How the id of somebody on this machine begins.
const LOCAL: &str = "cli:";

impl AgentConfig {
    /// Every chat that is asked, with its platform, each once.
    pub fn chats(&self) -> Vec<String> {
        let telegram = self.telegram_chat.iter().map(|chat| chat.trim());
        let telegram = telegram.filter(|chat| !chat.is_empty());
        let telegram = telegram.map(|chat| match chat.strip_prefix("telegram:") {
            Some(_) => chat.to_owned(),
            None => format!("telegram:{chat}"),
        });
        let mut chats: Vec<String> = Vec::new();
        for chat in self.channels.iter().cloned().chain(telegram) {
            if !chats.contains(&chat) {
                chats.push(chat);
            }
        }
        chats
    }

    /// What will not work as it was meant: the key, what is wrong, and what to do.
    pub(super) fn doubts(&self, bot: Option<&BotConfig>) -> Vec<(&'static str, String, String)> {
        let mut all = Vec::new();
        let mut can = 0;
        for id in &self.approvers {
            match never(id, bot) {
                Some((why, help)) => {
                    all.push(("approvers", format!("approver `{id}` {why}"), help));
                }
                None => can += 1,
            }
        }
        let most = usize::from(self.approvals.low.max(self.approvals.high));
        if !self.approvers.is_empty() && can < most {
            all.push((
                "approvers",
                format!("{most} people must say yes, and {can} of `approvers` ever could"),
                "name more people, or lower `approvals`".into(),
            ));
        }
        for chat in self.chats() {
            let key = if self.channels.contains(&chat) {
                "channels"
            } else {
                "telegram_chat"
            };
            if !is_chat(&chat) {
                all.push((
                    key,
                    format!("`{chat}` is no chat"),
                    "write the platform and its id, such as telegram:-1001234".into(),
                ));
            } else if bot.is_none() {
                all.push((
                    key,
                    "nobody is asked in a chat without `[bot]`".into(),
                    "mhost bot setup".into(),
                ));
            }
        }
        all
    }
}

/// A platform, a colon, and an id.
fn is_chat(text: &str) -> bool {
    text.split_once(':').is_some_and(|(platform, chat)| {
        let chat = chat.split('/').next().unwrap_or_default();
        !platform.is_empty()
            && platform.bytes().all(|byte| byte.is_ascii_lowercase())
            && !chat.is_empty()
    })
}

/// Why this approver could never decide anything, as far as the file says, and what to do.
/// Whoever is on this machine may do everything.
fn never(id: &str, bot: Option<&BotConfig>) -> Option<(&'static str, String)> {
    if id.starts_with(LOCAL) {
        return None;
    }
    let same = |one: &String| {
        let bare = |id: &str| id.split_once(':').is_none();
        let end = |id: &str| id.rsplit(':').next().unwrap_or_default().to_owned();
        *one == *id || (bare(one) || bare(id)) && end(one) == end(id)
    };
    let role = bot.and_then(|bot| bot.users.iter().find(|(one, _)| same(one)));
    match role {
        _ if bot.is_some_and(|bot| bot.blocked.iter().any(same)) => Some((
            "is blocked in [bot]",
            "take it out of `blocked`, or out of `approvers`".into(),
        )),
        Some((_, BotRole::Viewer)) => Some((
            "is a viewer, who may decide nothing",
            format!("mhost bot add-operator {id}"),
        )),
        Some(_) => None,
        None => Some((
            "is not in [bot.users]",
            format!("mhost bot add-operator {id}, or cli:{id} for a user of this machine"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chats_are_joined_without_doubles() {
        let agent = AgentConfig {
            channels: vec!["telegram:-1/7".into(), "pager:C1".into()],
            telegram_chat: Some("-1/7".into()),
            ..AgentConfig::default()
        };
        assert_eq!(agent.chats(), ["telegram:-1/7", "pager:C1"]);
        let agent = AgentConfig {
            telegram_chat: Some("-2".into()),
            ..AgentConfig::default()
        };
        assert_eq!(agent.chats(), ["telegram:-2"]);
    }

    #[test]
    fn what_cannot_work_is_told() {
        let bot = BotConfig {
            users: [
                ("telegram:7".to_owned(), BotRole::Admin),
                ("8".to_owned(), BotRole::Viewer),
                ("9".to_owned(), BotRole::Operator),
            ]
            .into(),
            blocked: vec!["telegram:9".into()],
            ..BotConfig::default()
        };
        let told = |approvers: &[&str], high: u8| {
            let agent = AgentConfig {
                approvers: approvers.iter().map(|&one| one.to_owned()).collect(),
                approvals: ApprovalsConfig { low: 1, high },
                ..AgentConfig::default()
            };
            let doubts = agent.doubts(Some(&bot)).into_iter();
            doubts.map(|(_, what, _)| what).collect::<Vec<_>>()
        };
        assert_eq!(told(&["7", "cli:ana"], 2), Vec::<String>::new());
        let one = told(&["telegram:8", "7"], 1);
        assert_eq!(
            one,
            ["approver `telegram:8` is a viewer, who may decide nothing"]
        );
        assert!(told(&["9", "7"], 1)[0].contains("blocked"));
        assert!(told(&["bob", "7"], 1)[0].contains("not in [bot.users]"));
        assert!(told(&["7"], 2)[0].contains("2 people must say yes, and 1"));
        assert_eq!(told(&[], 3), Vec::<String>::new(), "roles are not known");
    }

    #[test]
    fn a_chat_without_a_bot_or_a_platform_is_told() {
        let agent = AgentConfig {
            channels: vec!["ops".into(), "telegram:-1".into()],
            ..AgentConfig::default()
        };
        let told = agent.doubts(None);
        assert!(told[0].1.contains("`ops` is no chat"), "{told:?}");
        assert!(told[1].1.contains("without `[bot]`"), "{told:?}");
        assert_eq!(agent.doubts(Some(&BotConfig::default())).len(), 1);
    }
}
