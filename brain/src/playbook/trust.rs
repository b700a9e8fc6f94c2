//! How far a learned playbook is believed.
//!
//! ```text
//!   draft ─checked─► replayed ─silent elsewhere─► probation ─3 helped─► trusted
//!     ▲ rejected stays    │                         ▲  │ 2 failed in a row   │ failed
//!     │                   └─rejected─► draft        │  ▼                     │
//!     └── edited (from anywhere)                    │ retired                │
//!                                                   └────────────────────────┘
//! ```
//!
//! Learning never raises a limit: on probation it asks, except where the owner said
//! `autonomous`, and never does more than low risk there. A person may promote or retire.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Verified outcomes that make a playbook trusted.
pub const TRUSTED_AFTER: u32 = 3;
/// Failed outcomes in a row that retire it.
const FAILURES: u32 = 2;

/// How far a playbook is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// Written; nobody has checked it.
    Draft,
    /// Its text is right; it was not yet tried on what is recorded.
    Replayed,
    /// It matches its own incident and is silent elsewhere. It asks before it acts.
    Probation,
    /// It helped three times.
    Trusted,
    /// It did not help.
    Retired,
}

/// What moves a playbook on the ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustInput {
    /// Its text is right.
    Checked,
    /// It matches its own incident and no other.
    Silent,
    /// It is wrong, or would have acted where nothing was needed.
    Rejected,
    /// A verified outcome, so many by now.
    Helped(u32),
    /// A failed outcome, so many in a row.
    Failed(u32),
    /// Its text changed.
    Edited,
    /// A person believes it.
    Promoted,
    /// A person does not.
    Retired,
}

impl Trust {
    /// May it be asked at all?
    pub fn is_asked(self) -> bool {
        matches!(self, Trust::Probation | Trust::Trusted)
    }

    /// The word in lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Trust::Draft => "draft",
            Trust::Replayed => "replayed",
            Trust::Probation => "probation",
            Trust::Trusted => "trusted",
            Trust::Retired => "retired",
        }
    }

    /// Where an input leads. What has no meaning in a state changes nothing.
    #[must_use]
    pub fn step(self, input: TrustInput) -> Trust {
        match (self, input) {
            (_, TrustInput::Promoted) => Trust::Trusted,
            (_, TrustInput::Retired) => Trust::Retired,
            (_, TrustInput::Edited) => Trust::Draft,
            (Trust::Draft, TrustInput::Checked) => Trust::Replayed,
            (Trust::Replayed, TrustInput::Silent) => Trust::Probation,
            (Trust::Draft | Trust::Replayed, TrustInput::Rejected) => Trust::Draft,
            (Trust::Probation, TrustInput::Helped(times)) if times >= TRUSTED_AFTER => {
                Trust::Trusted
            }
            (Trust::Probation | Trust::Trusted, TrustInput::Failed(row)) if row >= FAILURES => {
                Trust::Retired
            }
            (Trust::Trusted, TrustInput::Failed(_)) => Trust::Probation,
            (
                Trust::Draft | Trust::Replayed | Trust::Probation | Trust::Trusted | Trust::Retired,
                TrustInput::Checked
                | TrustInput::Silent
                | TrustInput::Rejected
                | TrustInput::Helped(_)
                | TrustInput::Failed(_),
            ) => self,
        }
    }
}

/// What is known of a playbook's standing; kept in `history.db`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Switch {
    /// The playbook.
    pub name: String,
    /// What a person said; none is yes.
    pub enabled: Option<bool>,
    /// How far it is believed.
    pub trust: Trust,
    /// Hash of the text this is about.
    pub hash: u64,
    /// Verified outcomes since it came on probation.
    pub helped: u32,
    /// Failed outcomes in a row.
    pub failed_in_a_row: u32,
    /// The illness it was learned from.
    pub fingerprint: Option<String>,
    /// Who changed it last: `cli:ana`, `brain`.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

impl Switch {
    /// Moves it on the ladder, and counts.
    pub fn apply(&mut self, outcome: bool) {
        let input = if outcome {
            self.helped += 1;
            self.failed_in_a_row = 0;
            TrustInput::Helped(self.helped)
        } else {
            self.failed_in_a_row += 1;
            TrustInput::Failed(self.failed_in_a_row)
        };
        let next = self.trust.step(input);
        if next == Trust::Probation && self.trust == Trust::Trusted {
            self.helped = 0;
        }
        self.trust = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Trust; 5] = [
        Trust::Draft,
        Trust::Replayed,
        Trust::Probation,
        Trust::Trusted,
        Trust::Retired,
    ];

    #[test]
    fn all_pairs() {
        let inputs = [
            TrustInput::Checked,
            TrustInput::Silent,
            TrustInput::Rejected,
            TrustInput::Helped(1),
            TrustInput::Helped(3),
            TrustInput::Failed(1),
            TrustInput::Failed(2),
            TrustInput::Edited,
            TrustInput::Promoted,
            TrustInput::Retired,
        ];
        let table = [
            "rddddddDTX",
            "rPdrrrrDTX",
            "PPPPTPXDTX",
            "TTTTTPXDTX",
            "XXXXXXXDTX",
        ];
        for (state, row) in ALL.into_iter().zip(table) {
            for (input, expected) in inputs.into_iter().zip(row.chars()) {
                let found = match state.step(input) {
                    Trust::Draft => 'd',
                    Trust::Replayed => 'r',
                    Trust::Probation => 'P',
                    Trust::Trusted => 'T',
                    Trust::Retired => 'X',
                };
                let expected = if expected == 'D' { 'd' } else { expected };
                assert_eq!(found, expected, "{state:?} × {input:?}");
            }
        }
    }

    #[test]
    fn three_cures_make_it_trusted_and_two_failures_retire_it() {
        let mut switch = Switch {
            name: "x".into(),
            enabled: None,
            trust: Trust::Probation,
            hash: 1,
            helped: 0,
            failed_in_a_row: 0,
            fingerprint: None,
            by: "brain".into(),
            at: Timestamp::UNIX_EPOCH,
        };
        for expected in [Trust::Probation, Trust::Probation, Trust::Trusted] {
            switch.apply(true);
            assert_eq!(switch.trust, expected);
        }
        switch.apply(false);
        assert_eq!((switch.trust, switch.helped), (Trust::Probation, 0));
        switch.apply(false);
        assert_eq!(switch.trust, Trust::Retired);
    }
}
