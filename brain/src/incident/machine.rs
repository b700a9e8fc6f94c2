//! How an incident moves. Pure.
//!
//!   open → diagnosing → planned → awaiting_approval → acting → verifying → resolved → closed
//!    ▲         │                        │                │         │
//!    └─ nothing to do, nothing changed ─┴────────────────┘         └─► escalated → closed
//!
//! A plan that changes nothing (a note, a message) leads back to `open`: the trouble may go
//! on, and a later sign may deserve a real plan. What was recovered from by itself is
//! resolved from every state in which nothing of ours is under way.

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
}

impl IncidentInput {
    /// Every input, for tables.
    pub const ALL: [IncidentInput; 17] = [
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
    pub const ALL: [IncidentState; 9] = [
        IncidentState::Open,
        IncidentState::Diagnosing,
        IncidentState::Planned,
        IncidentState::AwaitingApproval,
        IncidentState::Acting,
        IncidentState::Verifying,
        IncidentState::Resolved,
        IncidentState::Escalated,
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
        S::Open => match input {
            I::Symptom | I::NothingToDo | I::TakenUp => Ok(S::Open),
            I::Thinking => Ok(S::Diagnosing),
            I::Recovered => Ok(S::Resolved),
            I::Escalated => Ok(S::Escalated),
            I::Closed => Ok(S::Closed),
            I::Proposed
            | I::Asked
            | I::Allowed
            | I::Denied
            | I::Superseded
            | I::Acted
            | I::Noted
            | I::ActionFailed
            | I::Verified
            | I::NotHelped => illegal,
        },
        S::Diagnosing => match input {
            I::Symptom | I::Thinking => Ok(S::Diagnosing),
            I::Proposed => Ok(S::Planned),
            I::NothingToDo | I::TakenUp => Ok(S::Open),
            I::Recovered => Ok(S::Resolved),
            I::Escalated => Ok(S::Escalated),
            I::Closed => Ok(S::Closed),
            I::Asked
            | I::Allowed
            | I::Denied
            | I::Superseded
            | I::Acted
            | I::Noted
            | I::ActionFailed
            | I::Verified
            | I::NotHelped => illegal,
        },
        S::Planned => match input {
            I::Symptom => Ok(S::Planned),
            I::Asked => Ok(S::AwaitingApproval),
            I::Allowed => Ok(S::Acting),
            I::Denied | I::Escalated => Ok(S::Escalated),
            // The plan is thought through again with what is known now.
            I::Superseded | I::TakenUp => Ok(S::Open),
            I::Recovered => Ok(S::Resolved),
            I::Closed => Ok(S::Closed),
            I::Thinking
            | I::Proposed
            | I::NothingToDo
            | I::Acted
            | I::Noted
            | I::ActionFailed
            | I::Verified
            | I::NotHelped => illegal,
        },
        S::AwaitingApproval => match input {
            // Approvals survive the daemon.
            I::Symptom | I::TakenUp => Ok(S::AwaitingApproval),
            I::Allowed => Ok(S::Acting),
            I::Denied | I::Escalated => Ok(S::Escalated),
            I::Superseded => Ok(S::Open),
            I::Recovered => Ok(S::Resolved),
            I::Closed => Ok(S::Closed),
            I::Thinking
            | I::Proposed
            | I::NothingToDo
            | I::Asked
            | I::Acted
            | I::Noted
            | I::ActionFailed
            | I::Verified
            | I::NotHelped => illegal,
        },
        S::Acting => match input {
            // Our own restart gives signs too; whether it is well is measured afterwards.
            I::Symptom | I::Recovered => Ok(S::Acting),
            I::Acted => Ok(S::Verifying),
            I::Noted => Ok(S::Open),
            I::ActionFailed | I::Escalated => Ok(S::Escalated),
            // What ran is not run again; only the measurement decides.
            I::TakenUp => Ok(S::Verifying),
            I::Closed => Ok(S::Closed),
            I::Thinking
            | I::Proposed
            | I::NothingToDo
            | I::Asked
            | I::Allowed
            | I::Denied
            | I::Superseded
            | I::Verified
            | I::NotHelped => illegal,
        },
        S::Verifying => match input {
            I::Symptom | I::Recovered | I::TakenUp => Ok(S::Verifying),
            I::Verified => Ok(S::Resolved),
            I::NotHelped | I::Escalated => Ok(S::Escalated),
            I::Closed => Ok(S::Closed),
            I::Thinking
            | I::Proposed
            | I::NothingToDo
            | I::Asked
            | I::Allowed
            | I::Denied
            | I::Superseded
            | I::Acted
            | I::Noted
            | I::ActionFailed => illegal,
        },
        S::Resolved => match input {
            I::Closed => Ok(S::Closed),
            I::TakenUp | I::Recovered => Ok(S::Resolved),
            // It came back within the window: a cure that does not last is none.
            I::NotHelped => Ok(S::Escalated),
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
            | I::Escalated => illegal,
        },
        S::Escalated => match input {
            // A person has it: signs are kept, nothing is planned.
            I::Symptom | I::TakenUp | I::Escalated => Ok(S::Escalated),
            I::Recovered | I::Verified => Ok(S::Resolved),
            I::Closed => Ok(S::Closed),
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
            | I::NotHelped => illegal,
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
            | I::Escalated => illegal,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One letter a cell: where the pair leads, `.` for illegal. Columns as in
    /// `IncidentInput::ALL`: Symptom Thinking Proposed NothingToDo Asked Allowed Denied
    /// Superseded Acted Noted ActionFailed Verified NotHelped Recovered Escalated Closed
    /// TakenUp.
    #[test]
    fn all_pairs() {
        let table = [
            (IncidentState::Open, "OD.O.........REXO"),
            (IncidentState::Diagnosing, "DDPO.........REXO"),
            (IncidentState::Planned, "P...WAEO.....REXO"),
            (IncidentState::AwaitingApproval, "W....AEO.....REXW"),
            (IncidentState::Acting, "A.......VOE..AEXV"),
            (IncidentState::Verifying, "V..........REVEXV"),
            (IncidentState::Resolved, "............ER.XR"),
            (IncidentState::Escalated, "E..........R.REXE"),
            (IncidentState::Closed, "...............XX"),
        ];
        assert_eq!(table.len(), IncidentState::ALL.len());
        for (state, row) in table {
            for (input, expected) in IncidentInput::ALL.into_iter().zip(row.chars()) {
                let found = step(state, input).map_or('.', |next| match next {
                    IncidentState::Open => 'O',
                    IncidentState::Diagnosing => 'D',
                    IncidentState::Planned => 'P',
                    IncidentState::AwaitingApproval => 'W',
                    IncidentState::Acting => 'A',
                    IncidentState::Verifying => 'V',
                    IncidentState::Resolved => 'R',
                    IncidentState::Escalated => 'E',
                    IncidentState::Closed => 'X',
                });
                assert_eq!(found, expected, "{state:?} × {input:?}");
            }
        }
    }
}
