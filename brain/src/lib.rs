//! Thinks: turns events into incidents and incidents into proposals.
//!
//! It does no input or output of its own except through [`Facts`] (reads) and its own store,
//! and it holds no handle that could act. What it proposes is data; `agent` decides and acts.

#![forbid(unsafe_code)]

mod action;
mod causes;
mod context;
mod diagnose;
mod facts;
pub mod guard;
pub mod helper;
pub mod incident;
mod interpreter;
pub mod investigate;
mod knowledge;
pub mod llm;
pub mod memory;
pub mod numbers;
pub mod observation;
mod pile;
mod playbook;
pub mod prompts;
mod proposal;
pub mod redact;
mod replay;
pub mod sandbox;
pub mod scenario;
mod score;
mod store;
mod suspect;
mod words;

pub use action::{Action, Severity};
pub use causes::addresses_in;
pub use causes::{
    Advice, Case, Investigation, RuledOut, Standing, investigate, is_cause, ports_of, reinvestigate,
};
pub use context::{Recording, is_well, plan_of};
pub use diagnose::{
    Asked, CAUSE_COOLDOWN, DiagnoseContext, Diagnosis, TrailEntry, Verdict, diagnose, look,
    on_failure, replay, settle, settle_sure, verify, with_causes, worth_a_look,
};
pub use facts::{
    AttemptLook, BrokenFile, CertificateLook, ChangeLook, EnvFileLook, Facts, FileLook, HostFacts,
    InstanceFacts, LockLook, LogHit, NeighbourLook, OrderLook, ProbeResult, ProcessFacts,
    ReachLook, Sample, seconds,
};
pub use incident::{
    Evidence, Fingerprint, IllegalInput, Incident, IncidentId, IncidentInput, IncidentState, Seen,
    Symptom, SymptomKind,
};
pub use pile::may_pile_up;
pub use playbook::Finding;
pub use playbook::lint::{Weight, lint};
pub use playbook::{
    Format, PlaybookInfo, PlaybookOverride, PlaybookSource, PlaybookState, Playbooks, Switch,
    TRUSTED_AFTER, Trust, TrustInput,
};

/// Texts about playbooks: reference, definitions for editors, starters.
pub mod texts {
    pub use crate::playbook::import::{ImportError, Imported, imported};
    pub use crate::playbook::reference::{definitions, markdown};
    pub use crate::playbook::starter::{declared, scenario, script};
}
pub use proposal::{Plan, PlaybookId, Proposal, Step};
pub use replay::{Answered, Moment, Snapshot, Tried, backtest};
pub use score::{LOW, LowWatch, Score, VERY_LOW, score};
pub use store::{
    ActionCount, ActionId, Answer, Approval, ApprovalState, BrainStore, BrainStoreError,
    BrainStoreThread, BudgetUse, Decision, Grant, HistoryFilter, HistoryRow, IncidentStep,
    ModelCall, NewAction, NewIncident, PlaybookRun, PlaybookStats, StoredAction, StoredIncident,
    Victim, Vote, Voted,
};
pub use suspect::suspect;
