//! How well a process does: 0 to 100, with its parts shown.
//!
//! `100 − crashes (≤ 40) − probe (≤ 30) − memory (≤ 15) − CPU (≤ 15)`, then caps by state.
//! Pure figures from facts; nothing is kept here.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use supervisor::{EventKind, ProcessName, Status, until};

use crate::facts::{Facts, Sample};
use crate::numbers::Line;

/// Probe tries that count.
const TRIES: usize = 20;
/// Crashes that count are not older.
const CRASHES: Duration = Duration::from_secs(3600);
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
    let process = facts.vitals(name)?;
    if process.state == Status::Stopped || (!process.wanted && !process.held) {
        return None;
    }
    let now = facts.now();
    // A crash ends a run, so who runs on has had none, and nobody has to look for it.
    let crashes = if process.unbroken >= CRASHES {
        Vec::new()
    } else {
        facts.events(name, Some(EventKind::Crash), CRASHES)
    };
    let crashes: f64 = crashes
        .iter()
        .map(|event| (-until(event.at, now).as_secs_f64() / 60.0 / 20.0).exp())
        .sum();
    let samples = facts.samples(name, Duration::from_secs(1800));
    let mut score = Score {
        value: 0.0,
        crash: (13.0 * crashes).min(40.0),
        probe: if process.probed {
            probe(facts, name)
        } else {
            0.0
        },
        memory: memory(&samples, process.max_memory),
        cpu: cpu(&samples),
    };
    let cap = if process.held || process.state == Status::Errored {
        15.0
    } else if process.failing {
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
    /// What a daemon before this one told, and the scores that came after it.
    pub fn recalled(
        told: impl IntoIterator<Item = (Timestamp, u8)>,
        scores: impl IntoIterator<Item = (Timestamp, f64)>,
    ) -> Self {
        let told = told.into_iter().map(|(at, below)| (at, Ok(below)));
        let scores = scores.into_iter().map(|(at, value)| (at, Err(value)));
        let mut all: Vec<(Timestamp, std::result::Result<u8, f64>)> = told.chain(scores).collect();
        all.sort_by_key(|(at, _)| *at);
        let mut watch = Self::default();
        for (_, one) in all {
            match one {
                Ok(below) => {
                    watch.low |= below <= LOW;
                    watch.very_low |= below <= VERY_LOW;
                }
                // Only what was told counts as told.
                Err(value) => {
                    watch.low &= value < f64::from(LOW) + REARM;
                    watch.very_low &= value < f64::from(VERY_LOW) + REARM;
                }
            }
        }
        watch
    }

    /// Were people told, and has it not recovered?
    pub fn is_low(&self) -> bool {
        self.low
    }

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

    /// A process without a probe that has run for so long, and five crashes before that.
    struct RunsFor(Duration);

    impl Facts for RunsFor {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }

        fn process(&self, _: &ProcessName) -> Option<crate::ProcessFacts> {
            panic!("all that is known of it is not needed")
        }

        fn vitals(&self, _: &ProcessName) -> Option<supervisor::Vitals> {
            Some(supervisor::Vitals {
                state: Status::Online,
                wanted: true,
                held: false,
                failing: false,
                probed: false,
                max_memory: None,
                unbroken: self.0,
            })
        }

        fn processes(&self) -> Vec<ProcessName> {
            Vec::new()
        }

        fn events(
            &self,
            name: &ProcessName,
            kind: Option<EventKind>,
            window: Duration,
        ) -> Vec<supervisor::Event> {
            assert!(self.0 < window, "nothing can have happened");
            let crash = supervisor::Event {
                id: 1,
                at: self.now(),
                process: name.clone(),
                instance: Some(0),
                kind: kind.expect("crashes are asked for"),
                data: serde_json::Value::Null,
                actor: "system".into(),
            };
            vec![crash; 5]
        }

        fn samples(&self, _: &ProcessName, _: Duration) -> Vec<Sample> {
            Vec::new()
        }

        fn log_lines(
            &self,
            _: &ProcessName,
            _: &str,
            _: Duration,
            _: usize,
        ) -> Vec<crate::facts::LogHit> {
            Vec::new()
        }

        fn log_count(&self, _: &ProcessName, _: &str, _: Duration) -> u64 {
            0
        }

        fn log_bytes(&self, _: &ProcessName, _: Duration) -> u64 {
            0
        }

        fn port_holder(&self, _: u16) -> Option<(i32, String)> {
            None
        }

        fn probe_results(&self, _: &ProcessName, _: usize) -> Vec<crate::facts::ProbeResult> {
            panic!("it has no probe")
        }
    }

    /// Many quiet processes are scored each minute: what is not needed is not asked for.
    #[test]
    fn who_runs_on_without_a_probe_is_asked_for_nothing_more() {
        let name: ProcessName = "api".parse().unwrap();
        let value = |unbroken| score(&RunsFor(unbroken), &name).map(|score| score.value);
        assert_eq!(value(Duration::MAX), Some(100.0));
        assert_eq!(value(CRASHES), Some(100.0));
        assert_eq!(value(CRASHES - Duration::from_secs(1)), Some(60.0));
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

    /// What one daemon told, the next one does not tell again, unless it recovered between.
    #[test]
    fn what_was_told_is_recalled() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let told = [(at(10), LOW)];
        let mut watch = LowWatch::recalled(told, [(at(5), 90.0), (at(20), 45.0)]);
        assert!(watch.is_low());
        assert_eq!(watch.fell_below(35.0), None);
        assert_eq!(watch.fell_below(15.0), Some(VERY_LOW));
        let mut watch = LowWatch::recalled(told, [(at(20), 15.0), (at(30), 50.0)]);
        assert_eq!(watch.fell_below(35.0), Some(LOW));
        // It fell, and nobody was told before the daemon ended.
        let mut watch = LowWatch::recalled([], [(at(20), 15.0)]);
        assert_eq!(watch.fell_below(15.0), Some(VERY_LOW));
    }

    #[test]
    fn a_full_cpu_costs_and_a_quiet_one_does_not() {
        assert!(cpu(&samples(60, |_| (100.0, 1))) > 14.99);
        assert_eq!(cpu(&samples(60, |_| (5.0, 1))), 0.0);
        assert_eq!(cpu(&samples(60, |_| (60.0, 1))), 0.0);
        assert_eq!(cpu(&[]), 0.0);
    }
}
