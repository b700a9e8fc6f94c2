//! How dangerous an action is on a target, and how far it goes.

use std::time::Duration;

use brain::{Action, ProcessFacts};
use serde::{Deserialize, Serialize};
use supervisor::command::Limit;
use supervisor::units::{ByteSize, parse_duration};
use supervisor::{HealthStatus, Role, Status};

use super::Autonomy;

/// How dangerous an action is where it would be done. Ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// It changes nothing.
    None,
    /// It brings back what was there, or contains damage.
    Low,
    /// It may take something away that works.
    High,
    /// Never by a machine.
    Forbidden,
}

impl Risk {
    /// The word a person sees.
    pub fn as_str(self) -> &'static str {
        match self {
            Risk::None => "none",
            Risk::Low => "low",
            Risk::High => "high",
            Risk::Forbidden => "forbidden",
        }
    }
}

/// Crashes within five minutes from which a process counts as crash-looping, although its
/// newest run may be up for a few seconds.
pub(super) const LOOPING_CRASHES: u32 = 3;

/// What the policy has to know of a process.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Its worst state.
    pub state: Status,
    /// Does a probe of a copy fail?
    pub probe_failing: bool,
    /// Crashes in the last five minutes.
    pub recent_crashes: u32,
    /// Copies wanted now.
    pub instances: u16,
    /// Copies written in its file.
    pub configured_instances: u16,
    /// Its memory limit.
    pub max_memory: Option<u64>,
    /// Its breaker; 0 is none.
    pub max_restarts: u32,
    /// Its grace period.
    pub grace_period: Duration,
    /// Is there a definition to go back to?
    pub has_previous: bool,
    /// Its own upper bound.
    pub autonomy: Option<Autonomy>,
}

impl Target {
    /// From what is known of a process, and its crashes in the last five minutes.
    pub fn of(process: &ProcessFacts, recent_crashes: u32) -> Self {
        Self {
            state: process.state,
            probe_failing: process
                .instances
                .iter()
                .any(|instance| instance.health == HealthStatus::Fail),
            recent_crashes,
            instances: process.desired,
            configured_instances: process.configured_instances,
            max_memory: process.max_memory,
            max_restarts: process.max_restarts,
            grace_period: process
                .config
                .get("grace_period")
                .and_then(|value| parse_duration(value.as_str()?).ok())
                .unwrap_or_else(supervisor::spec::defaults::grace_period),
            has_previous: process.has_previous,
            autonomy: process.autonomy,
        }
    }

    /// Does it run and stay up?
    pub fn steadily_online(&self) -> bool {
        self.state == Status::Online && self.recent_crashes < LOOPING_CRASHES
    }
}

/// How far an action may go without a person.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Copies; `None` is max(2 × configured, 4).
    pub max_instances: Option<u16>,
    /// Times the memory limit in one step.
    pub max_memory_factor: f64,
    /// CPUs of the machine: twice so many copies are the end in any case.
    pub cpus: u16,
}

impl Bounds {
    /// The most copies a process may be brought to.
    pub fn instances(&self, configured: u16) -> u16 {
        self.max_instances
            .unwrap_or_else(|| configured.saturating_mul(2).max(4))
            .min(self.cpus.saturating_mul(2).max(1))
    }
}

/// The risk of an action on a target.
pub fn risk(action: &Action, target: &Target) -> Risk {
    match action {
        Action::Wait(_)
        | Action::UpdateScore
        | Action::RunProbe
        | Action::Notify { .. }
        | Action::LogIncident { .. }
        | Action::Escalate { .. } => Risk::None,
        Action::Restart { .. } | Action::Reload | Action::Start | Action::ClearError => Risk::Low,
        Action::KillRestart { .. } if target.probe_failing => Risk::Low,
        // What works is stopped by `stop`, which says so; a halt only contains damage.
        Action::Halt { .. } if target.steadily_online() => Risk::Forbidden,
        Action::Halt { .. } => Risk::Low,
        // It takes nothing away: the file is moved aside, and only where its holder is dead.
        Action::ClearLock { .. } if target.steadily_online() => Risk::Forbidden,
        Action::ClearLock { .. } => Risk::High,
        Action::Rollback if !target.has_previous => Risk::Forbidden,
        Action::SetLimit { key, value } if limit_of(key, value).is_none() => Risk::Forbidden,
        Action::KillRestart { .. }
        | Action::Stop
        | Action::ScaleUp { .. }
        | Action::ScaleDown { .. }
        | Action::SetLimit { .. }
        | Action::Rollback => Risk::High,
    }
}

/// The highest risk that an action of this name can have: what a list shows before anybody
/// knows the target.
pub fn worst_risk(action: &str) -> Risk {
    match action {
        "wait" | "update_score" | "notify" | "log_incident" | "log_only" | "escalate" | "ask"
        | "run_probe" => Risk::None,
        "restart" | "reload" | "start" | "clear_error" | "halt" => Risk::Low,
        _ => Risk::High,
    }
}

/// The limit a `set_limit` names, if it is one that can be set.
pub fn limit_of(key: &str, value: &str) -> Option<Limit> {
    match key {
        "max_memory" => Some(Limit::MaxMemory(value.parse::<ByteSize>().ok()?.0)),
        "max_restarts" => Some(Limit::MaxRestarts(value.parse().ok()?)),
        "grace_period" => Some(Limit::GracePeriodMs(
            u64::try_from(parse_duration(value).ok()?.as_millis()).ok()?,
        )),
        _ => None,
    }
}

/// Why an action goes further than a machine may, if it does.
pub fn out_of_bounds(action: &Action, target: &Target, bounds: &Bounds) -> Option<String> {
    match action {
        Action::ScaleUp { by } => {
            let to = target.instances.saturating_add(*by);
            let most = bounds.instances(target.configured_instances);
            (to > most).then(|| format!("{to} instances are more than the bound of {most}"))
        }
        Action::ScaleDown { by } => {
            let to = target.instances.saturating_sub(*by);
            (to == 0).then(|| "no instance would be left".to_owned())
        }
        Action::SetLimit { key, value } => {
            let (old, new) = match limit_of(key, value)? {
                Limit::MaxMemory(bytes) => (target.max_memory?, bytes),
                Limit::MaxRestarts(count) => (u64::from(target.max_restarts), u64::from(count)),
                Limit::GracePeriodMs(ms) => (target.grace_period.as_millis() as u64, ms),
            };
            let factor = bounds.max_memory_factor;
            let (low, high) = (old.min(new) as f64, old.max(new) as f64);
            (high > low * factor)
                .then(|| format!("{key} would change by more than a factor of {factor}"))
        }
        _ => None,
    }
}

/// The role with which a person could do the same by hand.
pub fn required_role(action: &Action) -> Role {
    match action {
        Action::Stop | Action::SetLimit { .. } | Action::Rollback | Action::ClearLock { .. } => {
            Role::Admin
        }
        Action::Restart { .. }
        | Action::Reload
        | Action::Start
        | Action::KillRestart { .. }
        | Action::Halt { .. }
        | Action::ScaleUp { .. }
        | Action::ScaleDown { .. }
        | Action::ClearError => Role::Operator,
        Action::UpdateScore
        | Action::RunProbe
        | Action::Wait(_)
        | Action::Notify { .. }
        | Action::LogIncident { .. }
        | Action::Escalate { .. } => Role::Viewer,
    }
}

/// The role the gate will ask of the machine itself. A rollback is an `Apply`, which an
/// operator may do; that a person needs more to approve one is [`required_role`].
pub(super) fn command_role(action: &Action) -> Role {
    match action {
        Action::SetLimit { .. } => Role::Admin,
        Action::Rollback | Action::Stop | Action::ClearLock { .. } => Role::Operator,
        other => required_role(other),
    }
}
