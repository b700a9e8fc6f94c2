//! What piles up: zombies, children, threads and descriptors that grow and never shrink.
//!
//! A leak that nobody complains of yet. Judged by samples that are taken anyway. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use supervisor::{ProcessName, until};

use crate::facts::{Facts, Sample};

/// So few of them are no pile, however they grow.
const ZOMBIES: u64 = 20;
const PROCESSES: u64 = 30;
const THREADS: u64 = 200;
const DESCRIPTORS: u64 = 200;
/// Samples that are needed: fewer may be the start of a pool.
const SAMPLES: usize = 5;
/// The newest is at least so many times the oldest.
const GROWN: f64 = 1.3;
/// How well a straight line must fit, as R². Who starts a pool and rests does not grow in a line.
const FIT: f64 = 0.85;

/// Something that grows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pile {
    /// `zombies`, `child processes`, `threads` or `open descriptors`.
    pub(crate) what: String,
    /// How many there were.
    pub(crate) from: u64,
    /// How many there are.
    pub(crate) to: u64,
    /// Seconds between the two.
    pub(crate) seconds: f64,
}

impl Pile {
    /// `threads rose from 210 to 402 in 45 s and never fell`.
    pub(crate) fn words(&self) -> String {
        format!(
            "{} rose from {} to {} in {:.0} s and never fell",
            self.what, self.from, self.to, self.seconds
        )
    }
}

/// Are there so many of anything that it is worth a look at how they grew?
pub fn may_pile_up(zombies: u64, processes: u64, threads: u64, descriptors: u64) -> bool {
    zombies >= ZOMBIES || processes >= PROCESSES || threads >= THREADS || descriptors >= DESCRIPTORS
}

/// What piles up in a process, by its samples of the last `window`. Cheap for one that is small.
pub(crate) fn pile(facts: &dyn Facts, name: &ProcessName, window: Duration) -> Option<Pile> {
    const NEWEST: Duration = Duration::from_secs(12);
    let large = |one: &Sample| may_pile_up(one.zombies, one.processes, one.threads, one.fds);
    if !facts.samples(name, NEWEST.min(window)).iter().any(large) {
        return None;
    }
    let all = facts.samples(name, window);
    let mut copies: Vec<u16> = all.iter().map(|sample| sample.instance).collect();
    copies.sort_unstable();
    copies.dedup();
    copies.into_iter().find_map(|copy| {
        let own = all.iter().filter(|sample| sample.instance == copy);
        of_copy(&own.copied().collect::<Vec<_>>())
    })
}

/// A figure that may pile up: its name, how many are a pile, and where it is in a sample.
type Figure = (&'static str, u64, fn(&Sample) -> u64);

fn of_copy(samples: &[Sample]) -> Option<Pile> {
    let figures: [Figure; 4] = [
        ("zombies", ZOMBIES, |one| one.zombies),
        ("child processes", PROCESSES, |one| {
            one.processes.saturating_sub(1)
        }),
        ("threads", THREADS, |one| one.threads),
        ("open descriptors", DESCRIPTORS, |one| one.fds),
    ];
    figures.into_iter().find_map(|(what, least, of)| {
        // Descriptors are counted seldom: what did not move since is the same count.
        let mut points: Vec<(f64, u64)> = Vec::new();
        let first = samples.first()?;
        for sample in samples {
            let at = until(first.at, sample.at).as_secs_f64();
            let value = of(sample);
            if what != "open descriptors" || points.last().is_none_or(|last| last.1 != value) {
                points.push((at, value));
            }
        }
        grows(&points, least).then(|| {
            let (from, to) = (points.first()?, points.last()?);
            Some(Pile {
                what: what.to_owned(),
                from: from.1,
                to: to.1,
                seconds: to.0 - from.0,
            })
        })?
    })
}

/// Does it grow in a line, and never fall?
fn grows(points: &[(f64, u64)], least: u64) -> bool {
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return false;
    };
    let fell = points.windows(2).any(|pair| pair[1].1 < pair[0].1);
    let grown = last.1 as f64 >= first.1 as f64 * GROWN && last.1 >= first.1 + least / 4;
    if points.len() < SAMPLES || last.1 < least || fell || !grown {
        return false;
    }
    // Still: a pool that has reached its size is no leak.
    let tail = points.len() * 2 / 3;
    if points[tail].1 == last.1 {
        return false;
    }
    let n = points.len() as f64;
    let mean_t = points.iter().map(|point| point.0).sum::<f64>() / n;
    let mean_v = points.iter().map(|point| point.1 as f64).sum::<f64>() / n;
    let (mut over, mut time, mut value) = (0.0, 0.0, 0.0);
    for (at, count) in points {
        let (dt, dv) = (at - mean_t, *count as f64 - mean_v);
        over += dt * dv;
        time += dt * dt;
        value += dv * dv;
    }
    time > 0.0 && value > 0.0 && over * over / (time * value) >= FIT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grow(values: &[u64]) -> bool {
        let points: Vec<(f64, u64)> = values
            .iter()
            .enumerate()
            .map(|(at, value)| (at as f64 * 5.0, *value))
            .collect();
        grows(&points, THREADS)
    }

    #[test]
    fn only_what_grows_in_a_line_and_never_falls_piles_up() {
        assert!(grow(&[100, 150, 202, 248, 301, 350]));
        assert!(!grow(&[20, 30, 40, 50, 60]), "that is few");
        assert!(!grow(&[1, 400, 400, 400, 400, 400]), "a pool");
        assert!(
            !grow(&[100, 200, 300, 400, 400, 400, 400]),
            "a pool that is full"
        );
        assert!(!grow(&[100, 300, 200, 400, 300, 500]), "up and down");
        assert!(!grow(&[300, 301, 302, 303, 304, 305]), "hardly");
        assert!(!grow(&[100, 400]), "too early to say");
    }
}
