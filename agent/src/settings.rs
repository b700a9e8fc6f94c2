//! What the agent is told: the tables `[brain]` and `[agent]`, checked.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use supervisor::config::ThinkWhen;
use supervisor::{Caller, Role, Via};

use crate::budget::Limits;
use crate::policy::{Autonomy, Bounds, QuietHours, Risk, Source, effective};

/// What the owner says about one playbook.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PlaybookSettings {
    /// Its own level.
    pub autonomy: Option<Autonomy>,
    /// Its own cooldown.
    pub cooldown: Option<Duration>,
}

/// How many different people must say yes, by risk class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approvals {
    /// Of low risk.
    pub low: u8,
    /// Of high risk.
    pub high: u8,
}

impl Approvals {
    /// How many for a plan of this risk; one at least.
    pub fn of(self, risk: Risk) -> u8 {
        match risk {
            Risk::None | Risk::Low => self.low,
            Risk::High | Risk::Forbidden => self.high,
        }
        .max(1)
    }
}

impl Default for Approvals {
    fn default() -> Self {
        Self { low: 1, high: 1 }
    }
}

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Is the agent enabled, so that its level holds instead of the brain's?
    pub enabled: bool,
    /// The agent's level.
    pub autonomy: Autonomy,
    /// The level of playbooks while the agent is not enabled.
    pub brain_autonomy: Autonomy,
    /// Time between two slow looks.
    pub poll_interval: Duration,
    /// Is a model also asked while no incident is open?
    pub think_when: ThinkWhen,
    /// Actions per hour and per process, and the cooldown.
    pub limits: Limits,
    /// How long a question waits before silence is a no.
    pub approval_timeout: Duration,
    /// Only these people may approve; everybody with the role when empty.
    pub approvers: Vec<String>,
    /// How many of them must say yes.
    pub approvals: Approvals,
    /// What people in chats may do now, by their id; whoever is not listed may do nothing. Without
    /// it the role counts that somebody had when they spoke.
    pub chats: Option<BTreeMap<String, Role>>,
    /// Actions that are refused at every level.
    pub blocked: Vec<String>,
    /// Hours without unasked high risk.
    pub quiet_hours: Option<QuietHours>,
    /// How far an autonomous agent goes.
    pub bounds: Bounds,
    /// How long a process must stay well before an action counts as a success.
    pub verify_window: Duration,
    /// The role of the agent's own calls.
    pub role: Role,
    /// Playbooks by name.
    pub playbooks: BTreeMap<String, PlaybookSettings>,
    /// Where `agent start`, `stop` and `pause` are remembered; nowhere when absent.
    pub switch: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: false,
            autonomy: Autonomy::Supervised,
            brain_autonomy: Autonomy::Semi,
            poll_interval: Duration::from_secs(30),
            think_when: ThinkWhen::Signal,
            limits: Limits {
                per_hour: 10,
                per_process: 3,
                cooldown: Duration::from_secs(300),
            },
            approval_timeout: Duration::from_secs(600),
            approvers: Vec::new(),
            approvals: Approvals::default(),
            chats: None,
            blocked: ["delete", "daemon.kill", "cloud.destroy"]
                .map(str::to_owned)
                .to_vec(),
            quiet_hours: None,
            bounds: Bounds {
                max_instances: None,
                max_memory_factor: 2.0,
                cpus: cpus(),
            },
            verify_window: Duration::from_secs(60),
            role: Role::Operator,
            playbooks: BTreeMap::new(),
            switch: None,
        }
    }
}

fn cpus() -> u16 {
    std::thread::available_parallelism()
        .map_or(1, |count| u16::try_from(count.get()).unwrap_or(u16::MAX))
}

impl Settings {
    /// The role that is left to somebody who had `caller.role` when they spoke.
    pub fn role_now(&self, caller: &Caller) -> Role {
        match (&caller.via, &self.chats) {
            (Via::Chat, Some(chats)) => {
                let now = chats.get(&caller.principal).copied();
                caller.role.min(now.unwrap_or(Role::None))
            }
            // Whoever is on this machine is its owner.
            _ => caller.role,
        }
    }

    /// The level that holds for a playbook, before a process lowers it.
    pub fn level(&self, playbook: &str, enabled: bool) -> Autonomy {
        effective(Source {
            playbook: self.playbooks.get(playbook).and_then(|one| one.autonomy),
            agent: enabled.then_some(self.autonomy),
            brain: self.brain_autonomy,
        })
    }

    /// The limits that hold for a playbook: the owner's word on it, then its own, then the
    /// general one.
    pub fn limits(&self, playbook: &str, own: Option<Duration>) -> Limits {
        let set = self.playbooks.get(playbook).and_then(|one| one.cooldown);
        Limits {
            cooldown: set.or(own).unwrap_or(self.limits.cooldown),
            ..self.limits
        }
    }
}
