//! Looking into an illness with a language model.
//!
//! ```text
//!   opening (facts, fenced) ──► Model ──► wants to look up? ──► tools ──► Facts, reads only
//!                                 ▲             │ fenced, capped, with ids      │
//!                                 └─────────────┴───────────────────────────────┘
//!                                       says what it thinks ──► checked ──► Proposal
//! ```
//!
//! A model decides nothing: it may look things up and say what it thinks. What it says becomes
//! a typed [`Proposal`](crate::Proposal) or is dropped, evidence that it was not shown is
//! dropped, and the texts of the steps are ours. It all ends after so many rounds, at a
//! deadline, or when it asks the same again and again.

mod answer;
mod desk;
mod fleet;
mod opening;
mod round;
mod tools;

#[cfg(test)]
mod tests;

pub use answer::{Checked, GUEST, ModelVerdict, actions_schema, check, is_guest, is_model};
pub use desk::{Desk, Shown};
pub use fleet::{Found, ask_about_all, fleet_opening};
pub use opening::opening;
pub use round::{Bounds, Ended, Stop, Talk, ask_for_a_plan, ask_in_prose, first_request};
pub use tools::{LookUp, look_up, look_ups, may_show};

pub use crate::words::{Piecewise, clean, clean_lines, fence};

/// Tokens below which a model gets one question by schema and no tools: smaller ones put calls
/// into their text, and the descriptions alone would fill what they can read.
pub const TOOLS_FROM: u32 = 8_000;
