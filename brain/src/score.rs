//! How well a process does: 0 to 100, with its parts shown.
//!
//! `100 − crashes (≤ 40) − probe (≤ 30) − memory (≤ 15) − CPU (≤ 15)`, then caps by state.
//! Pure figures from facts; nothing is kept here.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use supervisor::{EventKind, HealthStatus, ProcessName, Status, until};

use crate::facts::{Facts, Sample};
use crate::numbers::Line;

/// Probe tries that count.
const TRIES: usize = 20;
/// Below this people are told.
pub const LOW: u8 = 40;
/// Below this playbooks that are `on: ["score"]` are asked.
pub const VERY_LOW: u8 = 20;
/// Points above a threshold from which it counts again.
const REARM: f64 = 10.0;

/// The score and what was taken off for what.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// 0 to 100.
    pub value: f64,
    /// Taken off for crashes of the last hour, newer ones more: up to 40.
    pub crash: f64,
    /// Taken off for failed probes: up to 30.
    pub probe: f64,
    /// Taken off for memory that grows or nears its limit: up to 15.
    pub memory: f64,
    /// Taken off for a CPU that is full or jumps: up to 15.
    pub cpu: f64,
}

/// The score of a process now; none if it is stopped on purpose or not there.
pub fn score(facts: &dyn Facts, name: &ProcessName) -> Option<Score> {
    let process = facts.process(name)?;
    if process.state == Status::Stopped || (!process.wanted && !process.held) {
        return None;
    }
    let now = facts.now();
    let crashes: f64 = facts
        .events(name, Some(EventKind::Crash), Duration::from_secs(3600))
        .iter()
        .map(|event| (-until(event.at, now).as_secs_f64() / 60.0 / 20.0).exp())
        .sum();
    let samples = facts.samples(name, Duration::from_secs(1800));
    let failing = process
        .instances
        .iter()
        .any(|instance| instance.health == HealthStatus::Fail && instance.state == Status::Online);
    let mut score = Score {
        value: 0.0,
        crash: (13.0 * crashes).min(40.0),
        probe: probe(facts, name),
        memory: memory(&samples, process.max_memory),
        cpu: cpu(&samples),
    };
    let cap = if process.held || process.state == Status::Errored {
        15.0
    } else if failing {
        35.0
    } else if process.state == Status::Starting {
        90.0
    } else {
        100.0
    };
    score.value = (100.0 - score.crash - score.probe - score.memory - score.cpu).clamp(0.0, cap);
    Some(score)
}

/// Failures among the last 20 tries of all copies; the newest try counts twice.
fn probe(facts: &dyn Facts, name: &ProcessName) -> f64 {
    let tries = facts.probe_results(name, TRIES);
    let passes: Vec<bool> = tries.iter().map(|one| one.passed).collect();
    if passes.is_empty() {
        // Where only counts are known, they are of the last minute.
        let counted = facts.probe_attempts(name, Duration::from_secs(60));
        return counted
            .filter(|(_, total)| *total > 0)
            .map_or(0.0, |(passed, total)| {
                30.0 * (1.0 - passed as f64 / total as f64)
            });
    }
    30.0 * (1.0 - share(&passes))
}

/// The share that passed, the newest counted twice.
fn share(passes: &[bool]) -> f64 {
    let newest = passes.last().copied().unwrap_or(true);
    let passed = passes.iter().filter(|passed| **passed).count() + usize::from(newest);
    passed as f64 / (passes.len() + 1) as f64
}

/// Remembers whether people were told that a process does badly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LowWatch {
    low: bool,
    very_low: bool,
}

impl LowWatch {
    /// Takes a score. Answers with the threshold that it fell below, each once until the
    /// process has recovered by ten points.
    pub fn fell_below(&mut self, value: f64) -> Option<u8> {
        let crossed = |low: &mut bool, threshold: u8| {
            let limit = f64::from(threshold);
            let falls = !*low && value < limit;
            *low = value < limit || (*low && value < limit + REARM);
            falls.then_some(threshold)
        };
        let low = crossed(&mut self.low, LOW);
        crossed(&mut self.very_low, VERY_LOW).or(low)
    }
}

/// Growth over the window by least squares, and nearness to the limit.
fn memory(samples: &[Sample], limit: Option<u64>) -> f64 {
    let near = match (samples.last(), limit) {
        (Some(last), Some(limit)) if limit > 0 => {
            ((last.rss_bytes as f64 / limit as f64 - 0.85) / 0.15).clamp(0.0, 1.0)
        }
        _ => 0.0,
    };
    let first = samples.iter().filter(|sample| sample.instance == 0);
    let points: Vec<(f64, f64)> = first
        .map(|sample| {
            (
                sample.at.as_millisecond() as f64 / 1000.0,
                sample.rss_bytes as f64,
            )
        })
        .collect();
    let growing = growth(&points).map_or(0.0, |growth| ((growth - 0.10) / 0.40).clamp(0.0, 1.0));
    15.0 * near.max(growing)
}

/// Relative growth from the first to the last point of the fitted line; none if there are
/// under 10 points or they do not lie on a line.
fn growth(points: &[(f64, f64)]) -> Option<f64> {
    if points.len() < 10 {
        return None;
    }
    let line = Line::through(points).filter(|line| line.fit >= 0.5)?;
    (line.start > 0.0).then(|| line.slope * line.span / line.start)
}

/// A CPU that is full, or that jumps up and down.
fn cpu(samples: &[Sample]) -> f64 {
    let Some(newest) = samples.last().map(|sample| sample.at) else {
        return 0.0;
    };
    let recent: Vec<f64> = samples
        .iter()
        .filter(|sample| until(sample.at, newest) <= Duration::from_secs(300))
        .map(|sample| sample.cpu_percent / 100.0)
        .collect();
    let n = recent.len() as f64;
    // A sample is of one copy, and one core is what a copy is allotted.
    let mean = recent.iter().sum::<f64>() / n;
    let spread = (recent
        .iter()
        .map(|share| (share - mean).powi(2))
        .sum::<f64>()
        / n)
        .sqrt();
    let full = ((mean - 0.8) / 0.2).clamp(0.0, 1.0);
    let jumps = if mean > 0.2 {
        ((spread / mean - 1.0) / 2.0).clamp(0.0, 1.0)
    } else {
        0.0
    };
    15.0 * full.max(jumps)
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn samples(count: i64, figure: impl Fn(i64) -> (f64, u64)) -> Vec<Sample> {
        (0..count)
            .map(|index| {
                let (cpu_percent, rss_bytes) = figure(index);
                Sample {
                    at: Timestamp::from_second(1_000 + index * 5).unwrap(),
                    instance: 0,
                    cpu_percent,
                    rss_bytes,
                    fds: 1,
                    threads: 1,
                    processes: 1,
                    zombies: 0,
                }
            })
            .collect()
    }

    #[test]
    fn memory_that_grows_costs_and_memory_that_swings_does_not() {
        let leak = samples(60, |index| (1.0, 50_000_000 + index as u64 * 1_000_000));
        assert_eq!(memory(&leak, None), 15.0);
        let saw = samples(60, |index| {
            (1.0, 50_000_000 + (index as u64 % 5) * 15_000_000)
        });
        assert_eq!(memory(&saw, None), 0.0);
        assert_eq!(memory(&saw[..5], Some(110_000_000)), 15.0, "at its limit");
        assert_eq!(memory(&saw, Some(1 << 30)), 0.0);
    }

    #[test]
    fn the_newest_probe_counts_twice() {
        assert_eq!(share(&[true; 20]), 1.0);
        assert_eq!(share(&[false; 20]), 0.0);
        let mut tries = [true; 20];
        tries[19] = false;
        assert_eq!(share(&tries), 19.0 / 21.0);
        assert_eq!(share(&[false]), 0.0);
    }

    #[test]
    fn each_threshold_is_told_once_and_armed_again_ten_points_above() {
        let mut watch = LowWatch::default();
        let told: Vec<Option<u8>> = [
            90.0, 39.0, 38.0, 45.0, 39.0, 50.0, 30.0, 15.0, 25.0, 19.0, 31.0, 10.0, 80.0, 5.0,
        ]
        .into_iter()
        .map(|value| watch.fell_below(value))
        .collect();
        let low = Some(LOW);
        let very = Some(VERY_LOW);
        assert_eq!(
            told,
            [
                None, low, None, None, None, None, low, very, None, None, None, very, None, very
            ]
        );
    }

    #[test]
    fn a_full_cpu_costs_and_a_quiet_one_does_not() {
        assert!(cpu(&samples(60, |_| (100.0, 1))) > 14.99);
        assert_eq!(cpu(&samples(60, |_| (5.0, 1))), 0.0);
        assert_eq!(cpu(&samples(60, |_| (60.0, 1))), 0.0);
        assert_eq!(cpu(&[]), 0.0);
    }
}
