//! How an incident moves. Pure.
//!
//! ```text
//!  suspected ─proved─► open → diagnosing → planned → awaiting_approval → acting → verifying → resolved → closed
//!    ▲   │              ▲ ▲         │                        │             │         │           │
//!    │   │ passing      │ └─ nothing to do, or another plan ─┴─────────────┴─────────┤           │
//!    │   ▼              │                                                            └► escalated → closed
//!    │ resolved         └── released ◄── merged ◄── absorbed: what is not under way belongs to its cause
//!    └───────────────────────────────────────────────────────── returned ◄──────────────────────┘
//! ```
//!
//! A first sign only makes an incident suspected: it is told and looked into, and nothing is
//! done about it before a proof. A plan that changes nothing (a note, a message) leads back to
//! `open`: the trouble may go on, and a later sign may deserve a real plan; so does a plan that
//! did not help while another one may. What was recovered from by itself is resolved from every
//! state in which nothing of ours is under way. A victim's incident is merged into that of its
//! cause, and is released when that one ends and it is still ill. What is escalated is thought
//! about once more when a model, asked beside all this, has a plan after a person was called. The same illness that comes
//! back soon is the same incident.

use super::IncidentState;

/// What can happen to an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IncidentInput {
    /// Another sign of the same process.
    Symptom,
    /// The brain looks at it.
    Thinking,
    /// There is a plan.
    Proposed,
    /// No playbook has a plan.
    NothingToDo,
    /// The gate wants a person's word; the question is out.
    Asked,
    /// The gate, or a person, let the plan run.
    Allowed,
    /// A person said no, nobody answered in time, or the gate refused.
    Denied,
    /// The world changed while a person was asked.
    Superseded,
    /// All steps ran, and at least one changed the state of a process.
    Acted,
    /// All steps ran, and none changed anything.
    Noted,
    /// A step failed.
    ActionFailed,
    /// The measurement says that it helped.
    Verified,
    /// The measurement says that it did not.
    NotHelped,
    /// It is well again without us.
    Recovered,
    /// A person was told to take over.
    Escalated,
    /// The process was removed or stopped on purpose, or a person closed it.
    Closed,
    /// A new daemon took the incident up again.
    TakenUp,
    /// What was suspected is true.
    Proved,
    /// Its cause is another process that has an incident of its own.
    Absorbed,
    /// The incident of its cause is over, and it is still ill.
    Released,
    /// The same illness came back soon after it was over.
    Returned,
    /// It did not help, and another plan may.
    NextPlan,
}

impl IncidentInput {
    /// Every input, for tables.
    pub const ALL: [IncidentInput; 22] = [
        IncidentInput::Symptom,
        IncidentInput::Thinking,
        IncidentInput::Proposed,
        IncidentInput::NothingToDo,
        IncidentInput::Asked,
        IncidentInput::Allowed,
        IncidentInput::Denied,
        IncidentInput::Superseded,
        IncidentInput::Acted,
        IncidentInput::Noted,
        IncidentInput::ActionFailed,
        IncidentInput::Verified,
        IncidentInput::NotHelped,
        IncidentInput::Recovered,
        IncidentInput::Escalated,
        IncidentInput::Closed,
        IncidentInput::TakenUp,
        IncidentInput::Proved,
        IncidentInput::Absorbed,
        IncidentInput::Released,
        IncidentInput::Returned,
        IncidentInput::NextPlan,
    ];
}

/// An input that a state has no use for: a bug of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an incident that is {state:?} cannot take {input:?}")]
pub struct IllegalInput {
    /// The state.
    pub state: IncidentState,
    /// The input.
    pub input: IncidentInput,
}

impl IncidentState {
    /// Every state, for tables.
    pub const ALL: [IncidentState; 11] = [
        IncidentState::Suspected,
        IncidentState::Open,
        IncidentState::Diagnosing,
        IncidentState::Planned,
        IncidentState::AwaitingApproval,
        IncidentState::Acting,
        IncidentState::Verifying,
        IncidentState::Resolved,
        IncidentState::Escalated,
        IncidentState::Merged,
        IncidentState::Closed,
    ];

    /// Is it still to be looked at when a new sign comes?
    pub fn wants_diagnosis(self) -> bool {
        self == IncidentState::Open
    }

    /// Is an action of ours under way or unmeasured? Then no second one may begin.
    pub fn is_busy(self) -> bool {
        matches!(self, IncidentState::Acting | IncidentState::Verifying)
    }

    /// May it become part of another process's incident: nothing of ours is under way, and no
    /// person has it?
    pub fn may_be_absorbed(self) -> bool {
        matches!(
            self,
            IncidentState::Suspected
                | IncidentState::Open
                | IncidentState::Diagnosing
                | IncidentState::Planned
                | IncidentState::AwaitingApproval
        )
    }

    /// Is it over? A new sign opens a new incident.
    pub fn is_over(self) -> bool {
        matches!(self, IncidentState::Resolved | IncidentState::Closed)
    }
}

/// Moves an incident. Pure.
///
/// # Errors
/// When the state has no use for the input.
pub fn step(state: IncidentState, input: IncidentInput) -> Result<IncidentState, IllegalInput> {
    use IncidentInput as I;
    use IncidentState as S;
    let illegal = Err(IllegalInput { state, input });
    match state {
        S::Suspected => match input {
            // A sign is no proof, however often it comes.
            I::Symptom | I::TakenUp => Ok(S::Suspected),
            I::Recovered => Ok(S::Resolved),
            I::Escalated => Ok(S::Escalated),
            I::Closed => Ok(S::Closed),
            I::Proved => Ok(S::Open),
            I::Absorbed => Ok(S::Merged),
            I::Thinking
            | I::Proposed
            | I::NothingToDo
            | I::Asked
            | I::Allowed
            | I::Denied
            | I::Superseded
            | I::Acted
            | I::Noted
            | I::ActionFailed
            | I::Verified
            | I::NotHelped
            | I::Released
            | I::Returned
            | I::NextPlan => illegal,
        },
        S::Open => match input {
            I::Symptom | I::NothingToDo | I::TakenUp | I::Proved => Ok(S::Open),
            I::Thinking => Ok(S::Diagnosing),
            I::Recovered => Ok(S::Resolved),
            I::Escalated => Ok(S::Escalated),
            I::Closed => Ok(S::Closed),
            I::Absorbed => Ok(S::Merged),
            I::Proposed
            | I::Asked
            | I::Allowed
            | I::Denied
            | I::Superseded
            | I::Acted
            | I::Noted
            | I::ActionFailed
            | I::Verified
            | I::NotHelped
            | I::Released
            | I::Returned
            | I::NextPlan => illegal,
        },
        S::Diagnosing => match input {
            I::Symptom | I::Thinking | I::Proved => Ok(S::Diagnosing),
            I::Proposed => Ok(S::Planned),
            I::NothingToDo | I::TakenUp => Ok(S::Open),
            I::Recovered => Ok(S::Resolved),
            I::Escalated => Ok(S::Escalated),
            I::Closed => Ok(S::Closed),
            I::Absorbed => Ok(S::Merged),
            I::Asked
            | I::Allowed
            | I::Denied
            | I::Superseded
            | I::Acted
            | I::Noted
            | I::ActionFailed
            | I::Verified
            | I::NotHelped
            | I::Released
            | I::Returned
            | I::NextPlan => illegal,
        },
        S::Planned => match input {
            I::Symptom | I::Proved => Ok(S::Planned),
            I::Asked => Ok(S::AwaitingApproval),
            I::Allowed => Ok(S::Acting),
            I::Denied | I::Escalated => Ok(S::Escalated),
            // The plan is thought through again with what is known now.
            I::Superseded | I::TakenUp => Ok(S::Open),
            I::Recovered => Ok(S::Resolved),
            I::Closed => Ok(S::Closed),
            I::Absorbed => Ok(S::Merged),
            I::Thinking
            | I::Proposed
            | I::NothingToDo
            | I::Acted
            | I::Noted
            | I::ActionFailed
            | I::Verified
            | I::NotHelped
            | I::Released
            | I::Returned
            | I::NextPlan => illegal,
        },
        S::AwaitingApproval => match input {
            // Approvals survive the daemon.
            I::Symptom | I::TakenUp | I::Proved => Ok(S::AwaitingApproval),
            I::Allowed => Ok(S::Acting),
            I::Denied | I::Escalated => Ok(S::Escalated),
            I::Superseded => Ok(S::Open),
            I::Recovered => Ok(S::Resolved),
            I::Closed => Ok(S::Closed),
            I::Absorbed => Ok(S::Merged),
            I::Thinking
            | I::Proposed
            | I::NothingToDo
            | I::Asked
            | I::Acted
            | I::Noted
            | I::ActionFailed
            | I::Verified
            | I::NotHelped
            | I::Released
            | I::Returned
            | I::NextPlan => illegal,
        },
        S::Acting => match input {
            // Our own restart gives signs too; whether it is well is measured afterwards.
            I::Symptom | I::Recovered | I::Proved => Ok(S::Acting),
            // What ran is not run again; only the measurement decides.
            I::Acted | I::TakenUp => Ok(S::Verifying),
            I::Noted | I::NextPlan => Ok(S::Open),
            I::ActionFailed | I::Escalated => Ok(S::Escalated),
            I::Closed => Ok(S::Closed),
            I::Thinking
            | I::Proposed
            | I::NothingToDo
            | I::Asked
            | I::Allowed
            | I::Denied
            | I::Superseded
            | I::Verified
            | I::NotHelped
            | I::Absorbed
            | I::Released
            | I::Returned => illegal,
        },
        S::Verifying => match input {
            I::Symptom | I::Recovered | I::TakenUp | I::Proved => Ok(S::Verifying),
            I::Verified => Ok(S::Resolved),
            I::NotHelped | I::Escalated => Ok(S::Escalated),
            I::Closed => Ok(S::Closed),
            I::NextPlan => Ok(S::Open),
            I::Thinking
            | I::Proposed
            | I::NothingToDo
            | I::Asked
            | I::Allowed
            | I::Denied
            | I::Superseded
            | I::Acted
            | I::Noted
            | I::ActionFailed
            | I::Absorbed
            | I::Released
            | I::Returned => illegal,
        },
        S::Resolved => match input {
            // It came back within the window: a cure that does not last is none.
            I::NotHelped => Ok(S::Escalated),
            I::Recovered | I::TakenUp => Ok(S::Resolved),
            I::Closed => Ok(S::Closed),
            // As every sign, it has to prove itself again.
            I::Returned => Ok(S::Suspected),
            I::Symptom
            | I::Thinking
            | I::Proposed
            | I::NothingToDo
            | I::Asked
            | I::Allowed
            | I::Denied
            | I::Superseded
            | I::Acted
            | I::Noted
            | I::ActionFailed
            | I::Verified
            | I::Escalated
            | I::Proved
            | I::Absorbed
            | I::Released
            | I::NextPlan => illegal,
        },
        S::Escalated => match input {
            // A person has it: signs are kept, and nothing is planned but by a model that was
            // asked meanwhile.
            I::Symptom | I::Escalated | I::TakenUp | I::Proved => Ok(S::Escalated),
            I::Verified | I::Recovered => Ok(S::Resolved),
            I::Closed => Ok(S::Closed),
            I::Thinking => Ok(S::Diagnosing),
            I::Proposed
            | I::NothingToDo
            | I::Asked
            | I::Allowed
            | I::Denied
            | I::Superseded
            | I::Acted
            | I::Noted
            | I::ActionFailed
            | I::NotHelped
            | I::Absorbed
            | I::Released
            | I::Returned
            | I::NextPlan => illegal,
        },
        S::Merged => match input {
            // Its signs are kept; what is done, is done about the cause.
            I::Symptom | I::TakenUp | I::Proved => Ok(S::Merged),
            I::Recovered => Ok(S::Resolved),
            I::Closed => Ok(S::Closed),
            I::Released => Ok(S::Open),
            I::Thinking
            | I::Proposed
            | I::NothingToDo
            | I::Asked
            | I::Allowed
            | I::Denied
            | I::Superseded
            | I::Acted
            | I::Noted
            | I::ActionFailed
            | I::Verified
            | I::NotHelped
            | I::Escalated
            | I::Absorbed
            | I::Returned
            | I::NextPlan => illegal,
        },
        S::Closed => match input {
            I::Closed | I::TakenUp => Ok(S::Closed),
            I::Symptom
            | I::Thinking
            | I::Proposed
            | I::NothingToDo
            | I::Asked
            | I::Allowed
            | I::Denied
            | I::Superseded
            | I::Acted
            | I::Noted
            | I::ActionFailed
            | I::Verified
            | I::NotHelped
            | I::Recovered
            | I::Escalated
            | I::Proved
            | I::Absorbed
            | I::Released
            | I::Returned
            | I::NextPlan => illegal,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One letter a cell: where the pair leads, `.` for illegal. Columns as in
    /// `IncidentInput::ALL`: Symptom Thinking Proposed NothingToDo Asked Allowed Denied
    /// Superseded Acted Noted ActionFailed Verified NotHelped Recovered Escalated Closed
    /// TakenUp Proved Absorbed Released Returned NextPlan.
    #[test]
    fn all_pairs() {
        let table = [
            (IncidentState::Suspected, "S............REXSOM..."),
            (IncidentState::Open, "OD.O.........REXOOM..."),
            (IncidentState::Diagnosing, "DDPO.........REXODM..."),
            (IncidentState::Planned, "P...WAEO.....REXOPM..."),
            (IncidentState::AwaitingApproval, "W....AEO.....REXWWM..."),
            (IncidentState::Acting, "A.......VOE..AEXVA...O"),
            (IncidentState::Verifying, "V..........REVEXVV...O"),
            (IncidentState::Resolved, "............ER.XR...S."),
            (IncidentState::Escalated, "ED.........R.REXEE...."),
            (IncidentState::Merged, "M............R.XMM.O.."),
            (IncidentState::Closed, "...............XX....."),
        ];
        assert_eq!(table.len(), IncidentState::ALL.len());
        for (state, row) in table {
            for (input, expected) in IncidentInput::ALL.into_iter().zip(row.chars()) {
                let found = step(state, input).map_or('.', |next| match next {
                    IncidentState::Suspected => 'S',
                    IncidentState::Open => 'O',
                    IncidentState::Diagnosing => 'D',
                    IncidentState::Planned => 'P',
                    IncidentState::AwaitingApproval => 'W',
                    IncidentState::Acting => 'A',
                    IncidentState::Verifying => 'V',
                    IncidentState::Resolved => 'R',
                    IncidentState::Escalated => 'E',
                    IncidentState::Merged => 'M',
                    IncidentState::Closed => 'X',
                });
                assert_eq!(found, expected, "{state:?} × {input:?}");
            }
        }
    }
}
