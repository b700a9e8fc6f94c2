//! What a plan changed is put back when it made things worse.
//!
//! ```text
//!   before ──► steps ──► measured ──► worse than before? ──no──► as it is
//!     └ a line of the story,                └──yes──► instances, limits, revision as they were,
//!       so that a new daemon knows it too             and a person is called
//! ```
//!
//! Pure: what was, what is, and which actions lead back. A restart cannot be undone, and what
//! was halted is a person's to start. The line before the first step is the intention that
//! survives the daemon.

use brain::{Action, Plan, ProcessFacts};
use serde::{Deserialize, Serialize};
use supervisor::units::{ByteSize, format_duration};
use supervisor::{HealthStatus, Status};

use crate::policy::Target;

/// The line of an incident's story that holds what was before its plan.
pub(crate) const BEFORE: &str = "before";

/// How a process stood before a plan, as far as that can be put back or compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Before {
    /// Copies wanted.
    pub(crate) desired: u16,
    /// Copies that were up.
    pub(crate) online: u16,
    /// Copies that were up and passed their probes.
    pub(crate) well: u16,
    /// Crashes of the last five minutes.
    pub(crate) crashes: u32,
    max_memory: Option<u64>,
    max_restarts: u32,
    grace_period_ms: u64,
    /// Which life each copy was in, by its place.
    #[serde(default)]
    pub(crate) lives: Vec<(u16, u64)>,
    /// Was it meant to run, and held?
    #[serde(default)]
    pub(crate) wish: Option<(bool, bool)>,
}

/// How a process stands after a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct After {
    pub(crate) desired: u16,
    pub(crate) online: u16,
    pub(crate) well: u16,
    /// Crashes since the plan ran.
    pub(crate) crashes: u32,
}

fn count(facts: &ProcessFacts, well: bool) -> u16 {
    let up = facts.instances.iter().filter(|one| {
        let passes = matches!(one.health, HealthStatus::Pass | HealthStatus::Off);
        one.state == Status::Online && (!well || passes && one.probe_failures == 0)
    });
    u16::try_from(up.count()).unwrap_or(u16::MAX)
}

impl Before {
    pub(crate) fn of(facts: &ProcessFacts, crashes: u32) -> Self {
        let target = Target::of(facts, crashes);
        Self {
            desired: facts.desired,
            online: count(facts, false),
            well: count(facts, true),
            crashes,
            max_memory: target.max_memory,
            max_restarts: target.max_restarts,
            grace_period_ms: u64::try_from(target.grace_period.as_millis()).unwrap_or(u64::MAX),
            lives: facts
                .instances
                .iter()
                .map(|copy| (copy.index, copy.generation))
                .collect(),
            wish: Some((facts.wanted, facts.held)),
        }
    }
}

impl After {
    pub(crate) fn of(facts: &ProcessFacts, crashes: u32) -> Self {
        Self {
            desired: facts.desired,
            online: count(facts, false),
            well: count(facts, true),
            crashes,
        }
    }
}

/// Why it is worse now than it was, if it is. Copies that a plan took away on purpose are not
/// missed.
pub(crate) fn worse(before: &Before, after: &After) -> Option<String> {
    let most = before.desired.min(after.desired);
    let (was, is) = (before.online.min(most), after.online.min(most));
    if is < was {
        return Some(format!("{is} of {most} copies are up, and {was} were"));
    }
    let (was, is) = (before.well.min(most), after.well.min(most));
    if is < was {
        return Some(format!("{is} of {most} copies are well, and {was} were"));
    }
    (after.crashes > 0 && before.crashes == 0).then(|| "it dies now, and did not before".to_owned())
}

/// The actions that put back what the steps of a plan changed, the newest change first.
pub(crate) fn undo(plan: &Plan, before: &Before, after: &After) -> Vec<Action> {
    let mut back = Vec::new();
    for step in plan.steps.iter().rev() {
        let action = match &step.action {
            Action::ScaleUp { .. } | Action::ScaleDown { .. } => scale(before, after),
            Action::SetLimit { key, .. } => limit(before, key),
            // The definition it replaced is the previous one now.
            Action::Rollback => Some(Action::Rollback),
            Action::Restart { .. }
            | Action::Reload
            | Action::Start
            | Action::KillRestart { .. }
            | Action::Halt { .. }
            | Action::Stop
            | Action::ClearError
            | Action::ClearLock { .. }
            | Action::UpdateScore
            | Action::RunProbe
            | Action::Wait(_)
            | Action::Notify { .. }
            | Action::LogIncident { .. }
            | Action::Escalate { .. } => None,
        };
        back.extend(action.filter(|action| !back.contains(action)));
    }
    back
}

fn scale(before: &Before, after: &After) -> Option<Action> {
    match (before.desired, after.desired) {
        (was, is) if is > was => Some(Action::ScaleDown { by: is - was }),
        (was, is) if is < was => Some(Action::ScaleUp { by: was - is }),
        _ => None,
    }
}

fn limit(before: &Before, key: &str) -> Option<Action> {
    let value = match key {
        "max_memory" => ByteSize(before.max_memory?).to_string(),
        "max_restarts" => before.max_restarts.to_string(),
        "grace_period" => format_duration(std::time::Duration::from_millis(before.grace_period_ms)),
        _ => return None,
    };
    Some(Action::SetLimit {
        key: key.to_owned(),
        value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::limit_of;

    fn before() -> Before {
        Before {
            desired: 2,
            online: 2,
            well: 2,
            crashes: 0,
            max_memory: Some(157_286_400),
            max_restarts: 5,
            grace_period_ms: 2500,
            lives: vec![(0, 1), (1, 1)],
            wish: None,
        }
    }

    fn after(desired: u16, online: u16, well: u16, crashes: u32) -> After {
        After {
            desired,
            online,
            well,
            crashes,
        }
    }

    fn plan(actions: &[Action]) -> Plan {
        actions.iter().cloned().collect()
    }

    #[test]
    fn worse_is_less_of_what_was_there() {
        let ill = Before {
            online: 1,
            well: 0,
            crashes: 2,
            ..before()
        };
        for (before, after, is_worse) in [
            (before(), after(2, 2, 2, 0), false),
            (before(), after(2, 1, 1, 0), true),
            (before(), after(2, 2, 1, 0), true),
            (before(), after(2, 2, 2, 1), true),
            // One copy was taken away, and the other is as well as it was.
            (before(), after(1, 1, 1, 0), false),
            // A new copy that does not come up harms nobody.
            (before(), after(4, 2, 2, 0), false),
            // It did not help, which is not worse.
            (ill.clone(), after(2, 1, 0, 3), false),
            (ill, after(2, 0, 0, 0), true),
        ] {
            let found = worse(&before, &after);
            assert_eq!(found.is_some(), is_worse, "{before:?} {after:?} {found:?}");
        }
    }

    #[test]
    fn changes_are_put_back_the_newest_first() {
        let limit = |key: &str, value: &str| Action::SetLimit {
            key: key.into(),
            value: value.into(),
        };
        let done = plan(&[
            limit("max_memory", "300MB"),
            limit("max_restarts", "9"),
            limit("grace_period", "20s"),
            Action::ScaleUp { by: 2 },
            Action::Restart { instance: None },
            Action::Rollback,
        ]);
        let back = undo(&done, &before(), &after(4, 0, 0, 0));
        assert_eq!(back[0], Action::Rollback);
        assert_eq!(back[1], Action::ScaleDown { by: 2 });
        assert_eq!(back.len(), 5);
        // Every value is one that can be set, and it is the old one exactly.
        for (action, old) in back[2..].iter().zip([2500, 5, 157_286_400]) {
            let Action::SetLimit { key, value } = action else {
                panic!("{action:?}");
            };
            let set = match limit_of(key, value).expect("a limit") {
                supervisor::command::Limit::MaxMemory(bytes) => bytes,
                supervisor::command::Limit::MaxRestarts(count) => u64::from(count),
                supervisor::command::Limit::GracePeriodMs(ms) => ms,
            };
            assert_eq!(set, old, "{key} = {value}");
        }
        // What did not happen is not undone, and a restart cannot be.
        let restart = plan(&[
            Action::Restart { instance: None },
            Action::ScaleUp { by: 1 },
        ]);
        assert_eq!(undo(&restart, &before(), &after(2, 0, 0, 0)), []);
        let up = undo(
            &plan(&[Action::ScaleDown { by: 1 }]),
            &before(),
            &after(1, 1, 1, 0),
        );
        assert_eq!(up, [Action::ScaleUp { by: 1 }]);
    }
}
