//! Which level of autonomy holds.
//!
//! A playbook's own setting wins over the agent's, the agent's over the brain's. A process
//! can only lower what comes out.

pub use supervisor::AutonomyLimit as Autonomy;

/// Where the level comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// `[brain.playbooks.<name>] autonomy`.
    pub playbook: Option<Autonomy>,
    /// `[agent] autonomy`, when the agent is enabled.
    pub agent: Option<Autonomy>,
    /// `[brain] autonomy`.
    pub brain: Autonomy,
}

/// The level that holds for a playbook's action.
pub fn effective(source: Source) -> Autonomy {
    source.playbook.or(source.agent).unwrap_or(source.brain)
}

/// What a process's own `autonomy` leaves of a level.
pub fn capped(level: Autonomy, process: Option<Autonomy>) -> Autonomy {
    process.map_or(level, |bound| level.min(bound))
}
