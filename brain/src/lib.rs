//! Thinks: turns events into incidents and incidents into proposals.
//!
//! It does no input or output of its own except through [`Facts`] (reads) and its own store,
//! and it holds no handle that could act. What it proposes is data; `agent` decides and acts.

#![forbid(unsafe_code)]

mod action;
mod facts;
mod incident;
mod proposal;

pub use action::{Action, Severity};
pub use facts::{Facts, InstanceFacts, LogHit, ProcessFacts, Sample};
pub use incident::{
    Evidence, Fingerprint, Incident, IncidentId, IncidentState, Symptom, SymptomKind,
};
pub use proposal::{Plan, PlaybookId, Proposal, Step};
