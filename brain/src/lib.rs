//! Thinks: turns events into incidents and incidents into proposals.
//!
//! It does no input or output of its own except through [`Facts`] (reads) and its own store,
//! and it holds no handle that could act. What it proposes is data; `agent` decides and acts.

#![forbid(unsafe_code)]

mod action;
mod context;
mod diagnose;
mod facts;
pub mod incident;
mod knowledge;
mod playbook;
mod proposal;
pub mod sandbox;
mod score;
mod store;

pub use action::{Action, Severity};
pub use context::Recording;
pub use diagnose::{
    Asked, DiagnoseContext, Diagnosis, TrailEntry, Verdict, diagnose, look, on_failure, replay,
    verify, worth_a_look,
};
pub use facts::{Facts, InstanceFacts, LogHit, ProcessFacts, Sample};
pub use incident::{
    Evidence, Fingerprint, IllegalInput, Incident, IncidentId, IncidentInput, IncidentState, Seen,
    Symptom, SymptomKind,
};
pub use playbook::{PlaybookInfo, PlaybookOverride, PlaybookSource, PlaybookState, Playbooks};
pub use proposal::{Plan, PlaybookId, Proposal, Step};
pub use score::{Score, score};
pub use store::{
    ActionId, Answer, Approval, ApprovalState, BrainStore, BrainStoreError, BrainStoreThread,
    BudgetUse, Decision, HistoryFilter, HistoryRow, IncidentStep, NewAction, NewIncident,
    PlaybookRun, PlaybookStats, StoredAction, StoredIncident,
};
