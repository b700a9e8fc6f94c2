//! How often each probe was tried, and how long that took: what the endpoint shows.
//!
//! One table for the whole program, since a probe lives as long as one run and these counts
//! must outlive it. Who reads them says which instances there still are; the rest is dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::ids::InstanceId;

/// Upper bounds of the classes of durations, in milliseconds.
pub const BUCKETS_MS: [u32; 11] = [1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000];

/// The attempts of one probe of one instance.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ProbeCounts {
    /// Attempts by duration: up to each bound of [`BUCKETS_MS`], and above the last.
    pub by_duration: [u64; BUCKETS_MS.len() + 1],
    /// How long all attempts took together.
    pub sum_ms: f64,
    /// Attempts that passed.
    pub passed: u64,
    /// Attempts that did not.
    pub failed: u64,
}

type Counts = BTreeMap<(InstanceId, &'static str), ProbeCounts>;

static COUNTS: Mutex<Counts> = Mutex::new(BTreeMap::new());

/// Counts an attempt.
pub fn count_probe(instance: &InstanceId, probe: &'static str, took: Duration, passed: bool) {
    let ms = took.as_secs_f64() * 1_000.0;
    let mut counts = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    let counts = counts.entry((instance.clone(), probe)).or_default();
    let class = BUCKETS_MS.iter().position(|bound| ms <= f64::from(*bound));
    counts.by_duration[class.unwrap_or(BUCKETS_MS.len())] += 1;
    counts.sum_ms += ms;
    if passed {
        counts.passed += 1;
    } else {
        counts.failed += 1;
    }
}

/// The counts of these instances. Those of others are forgotten.
pub fn probe_counts(
    instances: &BTreeSet<InstanceId>,
) -> Vec<(InstanceId, &'static str, ProbeCounts)> {
    let mut counts = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
    counts.retain(|(instance, _), _| instances.contains(instance));
    counts
        .iter()
        .map(|((instance, probe), counts)| (instance.clone(), *probe, *counts))
        .collect()
}
