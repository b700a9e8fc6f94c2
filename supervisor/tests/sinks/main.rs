//! Sinks with real pipes, segments and sockets; syslog with a real rsyslogd where there is one.
//!
//! For GELF, Loki and Elasticsearch no server runs here: strict receivers, written after the
//! documents of their makers, stand in for them.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod elastic;
mod failures;
mod feed;
mod gelf;
mod http;
mod loki;
mod rig;
mod syslog;
