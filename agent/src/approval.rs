//! Questions to people, bound to one exact plan.
//!
//!   pending ─yes─► approved ─ran─► done | failed
//!      ├──no─────► denied
//!      ├──time───► expired        silence is a no
//!      └──changed► superseded     an answer to another plan does not count
//!
//! [`step`] is the machine. The store moves a row by compare-and-set, so that the first
//! decision wins; this file says which moves there are, who may answer, and whether the
//! world is still the one the question was asked about.

use std::hash::{BuildHasher, Hasher, RandomState};

use brain::{Action, Approval, ApprovalState, Plan, ProcessFacts};
use serde::{Deserialize, Serialize};
use supervisor::{Caller, HealthStatus, Role, Status};

use crate::policy::required_role;

/// Questions that may be open at once. More would only be noise.
pub const MOST_OPEN: usize = 10;

/// What happens to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Input {
    /// Somebody said yes.
    Approved,
    /// Somebody said no.
    Denied,
    /// Its time is up.
    TimePassed,
    /// The incident, the process or the plan is not what it was.
    Changed,
    /// Its plan ran and helped.
    RanWell,
    /// Its plan ran and failed, or did not help.
    RanBadly,
}

/// The question is already decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the question is already {}", .0.as_str())]
pub struct AlreadyDecided(pub ApprovalState);

/// Moves a question. Pure.
///
/// # Errors
/// When it is past the point where this could happen.
pub fn step(state: ApprovalState, input: Input) -> Result<ApprovalState, AlreadyDecided> {
    use ApprovalState::{Approved, Denied, Done, Expired, Failed, Pending, Superseded};
    match (state, input) {
        (Pending, Input::Approved) => Ok(Approved),
        (Pending, Input::Denied) => Ok(Denied),
        (Pending, Input::TimePassed) => Ok(Expired),
        // Also after a yes: the preconditions are looked at again before the plan runs.
        (Pending | Approved, Input::Changed) => Ok(Superseded),
        (Approved, Input::RanWell) => Ok(Done),
        (Approved, Input::RanBadly) => Ok(Failed),
        (Pending, Input::RanWell | Input::RanBadly)
        | (Approved, Input::Approved | Input::Denied | Input::TimePassed)
        | (Denied | Expired | Superseded | Done | Failed, _) => Err(AlreadyDecided(state)),
    }
}

/// What must still hold when somebody says yes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preconditions {
    /// The state of the process.
    pub state: Status,
    /// Which life each copy is in, by its place.
    pub generations: Vec<(u16, u64)>,
    /// Did its probe fail?
    #[serde(default)]
    pub failing: bool,
}

impl Preconditions {
    /// As things are now.
    pub fn of(process: &ProcessFacts) -> Self {
        Self {
            state: process.state,
            generations: process
                .instances
                .iter()
                .map(|instance| (instance.index, instance.generation))
                .collect(),
            failing: process
                .instances
                .iter()
                .any(|instance| instance.health == HealthStatus::Fail),
        }
    }

    /// What is no longer so, in words.
    pub fn changed(&self, process: Option<&ProcessFacts>) -> Option<String> {
        let Some(process) = process else {
            return Some("the process is gone".into());
        };
        let now = Self::of(process);
        let up = |state| state == Status::Online;
        if up(now.state) != up(self.state) {
            return Some(format!(
                "it was {} and is {} now",
                self.state.as_str(),
                now.state.as_str()
            ));
        }
        let passes = process
            .instances
            .iter()
            .all(|instance| instance.health == HealthStatus::Pass);
        if self.failing && passes && up(now.state) {
            return Some("its probe passes again".into());
        }
        // A process that does not come up gets a new life with every retry, and the question
        // stays the same; one that ran and was started again may be well.
        (up(self.state) && now.generations != self.generations)
            .then(|| "it was started again meanwhile".into())
    }
}

/// The alphabet of ids: RFC 4648 base32 in lower case, without characters that look alike.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// A new id: six characters. It is a handle and no secret: who may answer is decided by role.
pub fn new_id() -> String {
    // The standard library's hash keys are the process's own source of randomness.
    let mut bits = RandomState::new().build_hasher().finish();
    (0..6)
        .map(|_| {
            let letter = ALPHABET[(bits & 31) as usize];
            bits >>= 5;
            char::from(letter)
        })
        .collect()
}

/// What identifies a plan: its steps with their arguments, without the words for people, so
/// that a plan whose text counts crashes stays the same plan.
pub fn digest(playbook: &str, plan: &Plan) -> String {
    let mut text = playbook.to_owned();
    for step in &plan.steps {
        let bare = match &step.action {
            Action::Halt { .. } => serde_json::json!("halt"),
            Action::Notify { .. } | Action::LogIncident { .. } | Action::Escalate { .. } => {
                serde_json::json!(step.action.name())
            }
            action => serde_json::json!(action),
        };
        text.push_str(&bare.to_string());
    }
    // FNV-1a: short, and the same in every version of the program.
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// The role that may say yes: the one that could run every step by hand.
pub fn approver_role(plan: &Plan) -> Role {
    plan.steps
        .iter()
        .map(|step| required_role(&step.action))
        .max()
        .unwrap_or(Role::Viewer)
}

/// May this caller decide on this plan? Says why not.
pub fn may_decide(caller: &Caller, plan: &Plan, approvers: &[String]) -> Result<(), Role> {
    let needed = approver_role(plan).max(Role::Operator);
    let listed = approvers.is_empty()
        || approvers
            .iter()
            .any(|name| *name == caller.principal || *name == caller.to_string());
    if caller.role < needed || !listed {
        return Err(needed);
    }
    Ok(())
}

/// Does the question wait for an answer?
pub fn is_open(approval: &Approval) -> bool {
    approval.state == ApprovalState::Pending
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use brain::{Severity, Step};
    use supervisor::Via;

    use super::*;

    const STATES: [ApprovalState; 7] = [
        ApprovalState::Pending,
        ApprovalState::Approved,
        ApprovalState::Denied,
        ApprovalState::Expired,
        ApprovalState::Superseded,
        ApprovalState::Done,
        ApprovalState::Failed,
    ];
    const INPUTS: [Input; 6] = [
        Input::Approved,
        Input::Denied,
        Input::TimePassed,
        Input::Changed,
        Input::RanWell,
        Input::RanBadly,
    ];

    /// All pairs, as a drawing: a dot is "already decided".
    #[test]
    fn every_pair_is_decided() {
        //                    yes no time changed well badly
        let drawing = [
            ("pending", "A D E S . ."),
            ("approved", ". . . S + -"),
            ("denied", ". . . . . ."),
            ("expired", ". . . . . ."),
            ("superseded", ". . . . . ."),
            ("done", ". . . . . ."),
            ("failed", ". . . . . ."),
        ];
        for (state, (name, row)) in STATES.into_iter().zip(drawing) {
            assert_eq!(state.as_str(), name);
            for (input, mark) in INPUTS.into_iter().zip(row.split(' ')) {
                let expected = match mark {
                    "A" => Ok(ApprovalState::Approved),
                    "D" => Ok(ApprovalState::Denied),
                    "E" => Ok(ApprovalState::Expired),
                    "S" => Ok(ApprovalState::Superseded),
                    "+" => Ok(ApprovalState::Done),
                    "-" => Ok(ApprovalState::Failed),
                    _ => Err(AlreadyDecided(state)),
                };
                assert_eq!(step(state, input), expected, "{state:?} {input:?}");
            }
        }
    }

    fn plan(actions: Vec<Action>) -> Plan {
        let steps = actions.into_iter().map(|action| Step {
            action,
            why: String::new(),
        });
        Plan {
            steps: steps.collect(),
            ask: None,
        }
    }

    #[test]
    fn ids_are_short_and_differ() {
        let ids: std::collections::BTreeSet<String> = (0..100).map(|_| new_id()).collect();
        assert!(ids.len() > 95);
        assert!(ids.iter().all(|id| id.len() == 6));
    }

    /// Words may change; what is done may not.
    #[test]
    fn a_digest_is_about_what_is_done() {
        let halt = |reason: &str| Action::Halt {
            reason: reason.into(),
        };
        let say = |text: &str| Action::Notify {
            severity: Severity::Info,
            text: text.into(),
        };
        let wait = |s| Action::Wait(Duration::from_secs(s));
        let of = |playbook: &str, actions| digest(playbook, &plan(actions));
        assert_eq!(
            of("x", vec![halt("4 crashes"), say("a")]),
            of("x", vec![halt("5 crashes"), say("b")])
        );
        assert_ne!(of("x", vec![wait(5)]), of("x", vec![wait(6)]));
        assert_ne!(of("x", vec![wait(5)]), of("y", vec![wait(5)]));
        assert_ne!(
            of("x", vec![Action::ScaleUp { by: 1 }]),
            of("x", vec![Action::ScaleUp { by: 2 }])
        );
    }

    /// Nobody approves what they could not do themselves.
    #[test]
    fn the_role_of_the_plan_is_needed() {
        let who = |role| Caller {
            principal: "ana".into(),
            role,
            via: Via::Cli,
        };
        let restart = plan(vec![Action::Restart { instance: None }]);
        let stop = plan(vec![Action::Restart { instance: None }, Action::Stop]);
        assert_eq!(may_decide(&who(Role::Operator), &restart, &[]), Ok(()));
        assert_eq!(
            may_decide(&who(Role::Viewer), &restart, &[]),
            Err(Role::Operator)
        );
        assert_eq!(
            may_decide(&who(Role::Operator), &stop, &[]),
            Err(Role::Admin)
        );
        assert_eq!(may_decide(&who(Role::Admin), &stop, &[]), Ok(()));
        let only = ["cli:ana".to_owned()];
        assert_eq!(may_decide(&who(Role::Admin), &stop, &only), Ok(()));
        let other = ["bob".to_owned()];
        assert!(may_decide(&who(Role::Admin), &stop, &other).is_err());
    }
}
