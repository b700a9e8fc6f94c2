//! What the command line makes of a daemon's answers: tables, texts, JSON, exit codes.
//!
//! The daemon is a fake. What the real one answers is tested with real processes elsewhere.

mod ai;
mod changes;
mod fake;
mod listing;
mod logs;
mod start;
mod views;
