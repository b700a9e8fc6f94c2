//! Figures for people and for Prometheus.
//!
//! ```text
//!   registry, probes, events ─┐
//!   brain (a Contributor) ────┼─► exposition ──► endpoint ──► Prometheus
//!   sampler ──► supervisor::metrics ──► metrics.history ──► mhost metrics history
//! ```
//!
//! The endpoint is off until `config.toml` or `mhost metrics start` says otherwise, and then
//! listens on this machine only, unless told where. It shows names and figures, never
//! arguments, environments or output.

mod collect;
mod endpoint;
mod exposition;
mod logs;
mod port;
mod restarts;
mod sinks;

pub(super) use collect::{Collector, Contributor};
pub(super) use endpoint::Endpoint;
pub(super) use exposition::{Exposition, Kind};
pub(super) use logs::LogFigures;
pub(super) use port::MetricsPort;
pub(super) use sinks::SinkFigures;
