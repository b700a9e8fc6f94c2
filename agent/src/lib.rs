//! Acts: gates, asks, runs plans and measures whether they helped.
//!
//! It reaches processes only through `supervisor::Control`, and people only through an
//! `Approver`. It holds no SQL and no socket, and knows no message format.

#![forbid(unsafe_code)]

pub mod budget;
pub mod policy;
