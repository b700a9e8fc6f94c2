//! What processes used: kept for a day in detail and for a week by the minute.
//!
//! ```text
//!   Sampler ──each minute, what is new──► Metrics task ──► metrics.sqlite
//!      └────────── the newest ──────────┐                      │
//!                          history(): one series ◄─────────────┘
//! ```
//!
//! Samples lie packed in the database, the points of some minutes of one instance in one row:
//! rows of their own would take twenty times the room. Each hour the minutes of the hour
//! before are averaged, and what is too old goes in one range. The file is apart from the
//! state database, so that figures never delay a restart and may be thrown away. What a kill
//! of the daemon takes is the samples of the last minute.
//!
//! Nothing is decided here, and nobody waits for it.

mod block;
mod probes;
mod series;
mod store;
mod worker;

pub use block::Point;
pub use probes::{BUCKETS_MS, ProbeCounts, count_probe, probe_counts};
pub use series::{Metric, Series};
pub use store::MetricsError;
pub use worker::{History, Metrics};
