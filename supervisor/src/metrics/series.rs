//! One figure of one instance over time, as it is asked for.

use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::block::Point;
use crate::ids::ProcessName;

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// Percent of one core.
    Cpu,
    /// Resident bytes of the tree.
    Memory,
    /// Open descriptors of the leader.
    Fds,
    /// Threads of the tree.
    Threads,
    /// Resident bytes with shared pages divided.
    Pss,
    /// Bytes per second from storage.
    Read,
    /// Bytes per second to storage.
    Written,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Cpu,
        Self::Memory,
        Self::Fds,
        Self::Threads,
        Self::Pss,
        Self::Read,
        Self::Written,
    ];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Fds => "fds",
            Self::Threads => "threads",
            Self::Pss => "pss",
            Self::Read => "read",
            Self::Written => "written",
        }
    }

    /// Not every point knows all.
    fn of(self, point: &Point) -> Option<f64> {
        match self {
            // The decimals that were kept, and none that come from the conversion.
            Self::Cpu => Some((f64::from(point.cpu_percent) * 100.0).round() / 100.0),
            Self::Memory => Some(point.rss_bytes as f64),
            Self::Fds => Some(f64::from(point.fds)),
            Self::Threads => Some(f64::from(point.threads)),
            Self::Pss => point.pss_bytes.map(|bytes| bytes as f64),
            Self::Read => point.read.map(|bytes| bytes as f64),
            Self::Written => point.written.map(|bytes| bytes as f64),
        }
    }
}

impl FromStr for Metric {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|metric| metric.as_str() == text)
            .ok_or_else(|| {
                let words = Self::ALL.map(Self::as_str).join(", ");
                format!("one of {words}")
            })
    }
}

/// A metric of one instance between two times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// The process.
    pub name: ProcessName,
    /// The copy.
    pub instance: u16,
    /// What was measured.
    pub metric: Metric,
    /// The beginning of the first step.
    pub from: Timestamp,
    /// The end of the last step.
    pub to: Timestamp,
    /// Length of a step in milliseconds.
    pub step_ms: u64,
    /// The average of each step; absent where nothing was measured.
    pub points: Vec<Option<f64>>,
    /// Samples behind all figures.
    pub samples: u64,
    /// The least sample.
    pub min: Option<f64>,
    /// The average of all samples.
    pub avg: Option<f64>,
    /// The greatest sample.
    pub max: Option<f64>,
    /// 95 of 100 samples are not above it.
    pub p95: Option<f64>,
}

/// Steps are not shorter than the time between two samples.
const LEAST_STEP_MS: i64 = 5_000;

impl Series {
    /// Sorts samples into at most `steps` steps.
    pub(super) fn of(
        (name, instance, metric): (ProcessName, u16, Metric),
        samples: &[Point],
        (from_ms, to_ms): (i64, i64),
        steps: usize,
    ) -> Self {
        let span = to_ms.saturating_sub(from_ms).max(1);
        let steps = i64::try_from(steps).unwrap_or(i64::MAX).max(1);
        let step = (span.div_euclid(steps) + i64::from(span % steps != 0)).max(LEAST_STEP_MS);
        let count = span.div_euclid(step) + i64::from(span % step != 0);
        let mut sums = vec![(0.0, 0u32); usize::try_from(count).unwrap_or(0)];
        let mut values = Vec::with_capacity(samples.len());
        for sample in samples {
            let at = sample.at_ms - from_ms;
            if at < 0 || sample.at_ms > to_ms {
                continue;
            }
            let Some(value) = metric.of(sample) else {
                continue;
            };
            values.push(value);
            let at = usize::try_from(at / step).unwrap_or(usize::MAX);
            let last = sums.len() - 1;
            let (sum, count) = &mut sums[at.min(last)];
            *sum += value;
            *count += 1;
        }
        values.sort_unstable_by(f64::total_cmp);
        let sum: f64 = values.iter().sum();
        let rank = (values.len() * 95).div_ceil(100).saturating_sub(1);
        let time = |ms| Timestamp::from_millisecond(ms).unwrap_or_default();
        Self {
            name,
            instance,
            metric,
            from: time(from_ms),
            to: time(from_ms.saturating_add(step.saturating_mul(count))),
            step_ms: step.unsigned_abs(),
            points: sums
                .into_iter()
                .map(|(sum, count)| (count > 0).then(|| rounded(sum / f64::from(count))))
                .collect(),
            samples: values.len() as u64,
            min: values.first().copied(),
            avg: (!values.is_empty()).then(|| rounded(sum / values.len() as f64)),
            max: values.last().copied(),
            p95: values.get(rank).copied(),
        }
    }
}

fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: &[(i64, f32)], span: (i64, i64), steps: usize) -> Series {
        let points: Vec<Point> = values
            .iter()
            .map(|(at_ms, cpu_percent)| Point {
                at_ms: *at_ms,
                cpu_percent: *cpu_percent,
                ..Point::default()
            })
            .collect();
        let name = "api".parse().expect("a name");
        Series::of((name, 0, Metric::Cpu), &points, span, steps)
    }

    #[test]
    fn samples_are_averaged_in_steps_and_gaps_stay() {
        let values = [(1_000, 10.0), (2_000, 20.0), (25_000, 5.5), (30_000, 7.5)];
        let series = series(&values, (0, 30_000), 3);
        assert_eq!(series.points, [Some(15.0), None, Some(6.5)]);
        assert_eq!(series.step_ms, 10_000);
        let figures = (series.min, series.avg, series.max, series.samples);
        assert_eq!(figures, (Some(5.5), Some(10.75), Some(20.0), 4));
    }

    #[test]
    fn p95_is_the_nearest_rank() {
        let values: Vec<(i64, f32)> = (1u8..=100).map(|n| (i64::from(n), f32::from(n))).collect();
        assert_eq!(series(&values, (0, 1_000), 10).p95, Some(95.0));
        assert_eq!(series(&values[..1], (0, 1_000), 10).p95, Some(1.0));
        let none = series(&[], (0, 20_000), 2);
        assert_eq!((none.points, none.p95), (vec![None, None], None));
    }

    #[test]
    fn hostile_spans_are_no_harm() {
        assert_eq!(series(&[(5, 1.0)], (10, 0), 0).samples, 0);
        assert_eq!(series(&[], (0, 1), usize::MAX).points, [None]);
    }
}
