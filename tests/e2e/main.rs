//! The real binary with real processes: one file per promise, one home per test.
//!
//! It is one test program, so that it is linked once and its tests run side by side.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../rig/mod.rs"]
#[allow(dead_code, reason = "each group of tests uses its part")]
mod rig;

mod ai;
mod approvals;
mod brain;
mod causes;
mod chat;
mod config;
mod config_wrong;
mod daemon_life;
mod daemon_start;
mod databases;
mod lifecycle;
mod load;
mod logs;
mod logs_kept;
mod logs_query;
mod main_process;
mod mcp;
mod metrics;
mod monit;
mod notify;
mod nth_call;
mod on_call;
mod output;
mod playbook_process;
mod playbooks;
mod ready;
mod reload;
mod rpc;
mod sandbox;
mod secrets;
mod sinks;
mod sockets;
mod spec_examples;
mod stop;
mod survival;
mod targets;
mod terminal;
mod triggers;
mod watch;
