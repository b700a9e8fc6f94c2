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

mod lapse;

use std::hash::{BuildHasher, Hasher, RandomState};

use brain::{Action, Approval, ApprovalState, Plan, ProcessFacts};
use serde::{Deserialize, Serialize};
use supervisor::{Caller, ControlError, HealthStatus, ProcessName, Role, Status, Via};

use crate::policy::required_role;
pub use lapse::{gone, lapse};

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
    /// Was it meant to run?
    #[serde(default)]
    pub wanted: bool,
    /// Did somebody hold it?
    #[serde(default)]
    pub held: bool,
    /// What identifies its definition and how many copies of it were wanted.
    #[serde(default)]
    pub definition: Option<String>,
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
            wanted: process.wanted,
            held: process.held,
            definition: Some(definition(process)),
        }
    }

    /// What is no longer so, in words.
    pub fn changed(&self, process: Option<&ProcessFacts>) -> Option<String> {
        let Some(process) = process else {
            return Some("the process is gone".into());
        };
        let now = Self::of(process);
        if self.wanted && !now.wanted {
            return Some("it is not meant to run any more".into());
        }
        if !self.held && now.held {
            return Some("somebody holds it".into());
        }
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
        if up(self.state) && now.generations != self.generations {
            return Some("it was started again meanwhile".into());
        }
        // The same words mean something else then: a limit, a rollback, a copy more.
        (self.definition.is_some() && now.definition != self.definition)
            .then(|| "its definition is another one now".into())
    }
}

/// What identifies the definition of a process, and how many copies of it are wanted.
fn definition(process: &ProcessFacts) -> String {
    let limits = (process.max_memory, process.max_restarts);
    fnv(&format!(
        "{} {limits:?} {}",
        process.desired, process.config
    ))
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
    fnv(&text)
}

/// FNV-1a: short, and the same in every version of the program.
fn fnv(text: &str) -> String {
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

/// May this caller decide on this plan?
///
/// # Errors
/// Why not: the role, or that they are none of `approvers`.
pub fn may_decide(
    caller: &Caller,
    plan: &Plan,
    process: &ProcessName,
    approvers: &[String],
) -> Result<(), ControlError> {
    let needed = approver_role(plan).max(Role::Operator);
    let names: Vec<_> = plan.steps.iter().map(|step| step.action.name()).collect();
    let what = format!("to decide on {} of {process}", names.join(", "));
    if caller.role < needed {
        return Err(ControlError::Forbidden {
            what,
            who: caller.to_string(),
            needed,
            has: caller.role,
        });
    }
    must_be_listed(caller, what, approvers)
}

/// Is this caller one of `approvers`, or are there none?
///
/// # Errors
/// Who may do it instead.
pub fn must_be_listed(
    caller: &Caller,
    what: String,
    approvers: &[String],
) -> Result<(), ControlError> {
    if is_listed(caller, approvers) {
        return Ok(());
    }
    Err(ControlError::NotListed {
        what,
        who: caller.to_string(),
        listed: approvers.to_vec(),
    })
}

/// Is this caller one of `approvers`, or are there none?
pub fn is_listed(caller: &Caller, approvers: &[String]) -> bool {
    approvers.is_empty() || approvers.iter().any(|name| names(name, caller))
}

/// Whoever is named so in the history, with this role.
pub fn caller_of(by: &str, role: Role) -> Caller {
    let (via, principal) = match by.split_once(':') {
        Some(("cli", name)) => (Via::Cli, name),
        Some(("chat", name)) => (Via::Chat, name),
        Some(("mcp", name)) => (Via::Mcp, name),
        Some(("rpc", name)) => (Via::Rpc, name),
        _ => (Via::Rpc, by),
    };
    Caller {
        principal: principal.to_owned(),
        role,
        via,
    }
}

/// Does this id mean the caller? `telegram:7` is somebody in a chat, `cli:ana` somebody on this
/// machine at a terminal, whichever program they use there. Another agent is nobody's terminal.
fn names(id: &str, caller: &Caller) -> bool {
    let local = match caller.via {
        Via::Cli | Via::Rpc => id.strip_prefix("cli:"),
        _ => None,
    };
    local == Some(&*caller.principal) || id == caller.principal || id == caller.to_string()
}

/// Who a caller is as a person, whichever way they came. Users of this machine and people in
/// chats cannot have the same name, since theirs has a platform before it.
pub fn person(caller: &Caller) -> String {
    caller.principal.clone()
}

/// Everybody who said yes, in words: `cli:ana and chat:telegram:7`.
pub fn voters(approval: &Approval) -> Option<String> {
    let all: Vec<&str> = approval.votes.iter().map(|vote| vote.by.as_str()).collect();
    (!all.is_empty()).then(|| all.join(" and "))
}

/// Does the question wait for an answer?
pub fn is_open(approval: &Approval) -> bool {
    approval.state == ApprovalState::Pending
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use brain::Severity;

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
        Plan::from_iter(actions)
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
        let api: ProcessName = "api".parse().unwrap();
        let needs = |role, plan| match may_decide(&who(role), plan, &api, &[]) {
            Ok(()) => None,
            Err(ControlError::Forbidden { needed, .. }) => Some(needed),
            Err(other) => panic!("{other}"),
        };
        assert_eq!(needs(Role::Operator, &restart), None);
        assert_eq!(needs(Role::Viewer, &restart), Some(Role::Operator));
        assert_eq!(needs(Role::Operator, &stop), Some(Role::Admin));
        assert_eq!(needs(Role::Admin, &stop), None);
    }

    /// The list narrows the roles and never widens them.
    #[test]
    fn only_those_on_the_list_decide() {
        let api: ProcessName = "api".parse().unwrap();
        let restart = plan(vec![Action::Restart { instance: None }]);
        let may = |principal: &str, via: Via, role, list: &[&str]| {
            let caller = Caller {
                principal: principal.into(),
                role,
                via,
            };
            let list: Vec<String> = list.iter().map(|&one| one.to_owned()).collect();
            may_decide(&caller, &restart, &api, &list)
        };
        let admin = Role::Admin;
        for (principal, via, list) in [
            ("ana", Via::Cli, ["cli:ana"]),
            ("ana", Via::Rpc, ["cli:ana"]),
            ("ana", Via::Mcp, ["ana"]),
            ("pager:7", Via::Chat, ["pager:7"]),
            ("pager:7", Via::Chat, ["chat:pager:7"]),
        ] {
            assert_eq!(may(principal, via, admin, &list), Ok(()), "{list:?}");
        }
        for (principal, via, list) in [
            ("ana", Via::Mcp, ["cli:ana"]),
            ("pager:70", Via::Chat, ["pager:7"]),
            ("other:7", Via::Chat, ["pager:7"]),
            ("ana", Via::Chat, ["cli:ana"]),
            ("bob", Via::Cli, ["cli:ana"]),
        ] {
            let refused = may(principal, via, admin, &list).unwrap_err();
            assert!(
                matches!(refused, ControlError::NotListed { .. }),
                "{list:?}"
            );
            assert!(refused.to_string().contains(list[0]), "{refused}");
        }
        let viewer = may("ana", Via::Cli, Role::Viewer, &["cli:ana"]).unwrap_err();
        assert!(matches!(viewer, ControlError::Forbidden { .. }));
    }
}
