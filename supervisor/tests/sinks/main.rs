//! Sinks with real pipes, segments and sockets; syslog with a real rsyslogd where there is one.
//!
//! For GELF, Loki and Elasticsearch no server of their makers runs here: strict receivers,
//! written after their documents, stand in for them, and for two of them servers of others.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../../../tests/rig/counterparts.rs"]
mod counterparts;

mod elastic;
mod failures;
mod feed;
mod gelf;
mod http;
mod loki;
mod others;
mod rig;
mod syslog;
