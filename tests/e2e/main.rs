//! The real binary with real processes: one file per promise, one home per test.
//!
//! It is one test program, so that it is linked once and its tests run side by side.
//! `MHOST_STORM` and `MHOST_STOPS` make two of them as long as wanted.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../rig/mod.rs"]
#[allow(dead_code, reason = "each group of tests uses its part")]
mod rig;

mod ai;
mod brain;
mod causes;
mod config;
mod daemon_life;
mod daemon_start;
mod lifecycle;
mod logs;
mod logs_query;
mod mcp;
mod metrics;
mod monit;
mod on_call;
mod output;
mod playbooks;
mod rpc;
mod secrets;
mod sinks;
mod stop;
mod survival;
mod targets;
mod terminal;
mod triggers;
mod watch;
