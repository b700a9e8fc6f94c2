//! Did it help?
//!
//! A success is never "the command returned": it is a measurement. A playbook's own check
//! decides where it has one, else [`default_check`]: up and passing its probes, without a
//! crash for the whole window; or, for a plan that ends by halting, down and staying down.
//! Everything here is pure; the worker polls it.

use std::time::Duration;

use brain::{Action, Plan, ProcessFacts};
use supervisor::{Event, EventKind, HealthStatus, Status};

use crate::mind::Check;

/// How long a plan whose aim is that nothing runs must hold.
const QUIET: Duration = Duration::from_secs(5);

/// After this a check that still says "not yet" is given up on.
pub const LONGEST: Duration = Duration::from_secs(600);

/// An illness that comes back within this time was not cured.
pub const RECURRENCE: Duration = Duration::from_secs(600);

/// What came of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The trouble is gone.
    Success,
    /// It is not, and why.
    Failed(String),
    /// Some copies are well and some are not.
    Partial(String),
    /// It could not be measured.
    Unknown(String),
}

impl Outcome {
    /// The word in the history.
    pub fn as_str(&self) -> &'static str {
        match self {
            Outcome::Success => "success",
            Outcome::Failed(_) => "failed",
            Outcome::Partial(_) => "partial",
            Outcome::Unknown(_) => "unknown",
        }
    }

    /// What else there is to say.
    pub fn why(&self) -> Option<&str> {
        match self {
            Outcome::Success => None,
            Outcome::Failed(why) | Outcome::Partial(why) | Outcome::Unknown(why) => Some(why),
        }
    }
}

/// What was seen since the plan ran.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The process now.
    pub process: Option<&'a ProcessFacts>,
    /// Events since the last step, oldest first.
    pub events: &'a [Event],
    /// Time since the last step.
    pub age: Duration,
    /// `verify_window`.
    pub window: Duration,
}

/// Does the plan want the process down?
pub fn wants_down(plan: &Plan) -> bool {
    plan.steps
        .iter()
        .rev()
        .find(|step| step.action.changes_state())
        .is_some_and(|step| matches!(step.action, Action::Halt { .. } | Action::Stop))
}

/// Joins the playbook's check with the default one. `None`: not yet.
pub fn check(plan: &Plan, own: Check, seen: Seen<'_>) -> Option<Outcome> {
    if seen.process.is_none() {
        return Some(Outcome::Unknown("the process is gone".into()));
    }
    match own {
        Check::Passed => return Some(Outcome::Success),
        Check::Failed => return Some(Outcome::Failed("the playbook's check failed".into())),
        Check::None | Check::Wait => {}
    }
    // A new crash is an answer, whatever the playbook still waits for.
    if !wants_down(plan)
        && let Some(kind) = first_of(seen.events, &FATAL)
    {
        return Some(Outcome::Failed(format!("{kind} after the action")));
    }
    match own {
        Check::Wait if seen.age >= LONGEST => {
            Some(Outcome::Unknown("its check came to no answer".into()))
        }
        Check::Wait => None,
        _ => default_check(plan, seen),
    }
}

const FATAL: [EventKind; 3] = [EventKind::Crash, EventKind::Errored, EventKind::SpawnFailed];

fn first_of(events: &[Event], kinds: &[EventKind]) -> Option<EventKind> {
    events
        .iter()
        .map(|event| event.kind)
        .find(|kind| kinds.contains(kind))
}

/// The check of a plan whose playbook has none. `None`: not yet.
pub fn default_check(plan: &Plan, seen: Seen<'_>) -> Option<Outcome> {
    let process = seen.process?;
    if wants_down(plan) {
        let alive = process.instances.iter().any(|instance| instance.alive);
        return match (alive, seen.age) {
            (false, age) if age >= QUIET.min(seen.window) => Some(Outcome::Success),
            (true, age) if age >= seen.window => {
                Some(Outcome::Failed("it still runs or runs again".into()))
            }
            _ => None,
        };
    }
    if let Some(kind) = first_of(seen.events, &FATAL) {
        return Some(Outcome::Failed(format!("{kind} after the action")));
    }
    // A probe that failed and passes again is not yet a verdict; the end of the window is.
    if seen.age < seen.window {
        return None;
    }
    let well = process
        .instances
        .iter()
        .filter(|one| {
            one.state == Status::Online
                && matches!(one.health, HealthStatus::Pass | HealthStatus::Off)
        })
        .count();
    let wanted = process.instances.len().max(usize::from(process.desired));
    if well >= wanted && well > 0 {
        return Some(Outcome::Success);
    }
    let coming = process.instances.iter().any(|one| {
        one.state == Status::Starting
            || (one.state == Status::Online && one.health == HealthStatus::Pending)
    });
    if coming && seen.age < (seen.window * 2).max(Duration::from_secs(30)) {
        return None;
    }
    if well > 0 {
        return Some(Outcome::Partial(format!(
            "{well} of {wanted} copies are well"
        )));
    }
    Some(Outcome::Failed(match process.state {
        Status::Online => "its probe still fails".into(),
        state => format!("it is {}", state.as_str()),
    }))
}

#[cfg(test)]
mod tests;
