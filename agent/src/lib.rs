//! Acts: gates, asks, runs plans and measures whether they helped.
//!
//! It reaches processes only through `supervisor::Control`, and people only through an
//! [`Approver`]. It holds no SQL and no socket, and knows no message format.

#![forbid(unsafe_code)]

mod aftermath;
mod agent;
mod always;
pub mod approval;
mod approver;
pub mod budget;
mod carry;
mod consult;
mod course;
pub mod grant;
mod group;
mod intention;
mod mind;
pub mod policy;
mod question;
mod report;
mod run;
mod settings;
mod shared;
mod switch;
mod undo;
pub mod verify;
mod worker;

pub use agent::{Agent, AgentHandle, StartError};
pub use approver::{Approver, Notice, Visible};
pub use mind::{Asking, Check, Diagnosis, Inquiring, Inquiry, Mind, Watch, Watching};
pub use report::{
    Act, Budget, ByGrant, Entry, Explanation, Question, Remembered, Status, Thinking, Told, Voter,
    describe, question,
};
pub use run::{CLEAR_LOCK, Revisions};
pub use settings::{Approvals, PlaybookSettings, Settings};
pub use shared::Parts;
pub use switch::LONGEST_PAUSE;
pub use worker::Put;
