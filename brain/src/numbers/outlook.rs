//! The risk that something goes wrong with a process in the next hour.
//!
//! A logistic of what usually comes before: a score that falls, crashes of the last hour,
//! memory that will reach its limit, probes that take longer and longer. The weights are set
//! by hand; the tests hold them to cases whose end is known.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use supervisor::{EventKind, HealthStatus, ProcessName, Status, until};

use super::fit::{Line, Spread};
use super::words::{size, span, times};
use crate::facts::{Facts, Sample};

/// How far the outlook goes.
pub const AHEAD_S: f64 = 3_600.0;

/// Without any sign: 1.8 in 100.
const BIAS: f64 = -4.0;
/// For each point of score lost within the last hour.
const PER_POINT: f64 = 0.05;
/// A score cannot fall by more than it is worth.
const MOST_POINTS: f64 = 60.0;
/// For crashes, by the logarithm of their number: the third says less than the first.
const CRASHES: f64 = 2.2;
/// The limit is reached within the hour: as likely as not when it is at the end of the hour,
const REACHES: f64 = 4.0;
/// and nearly sure when it is soon.
const SOON: f64 = 3.0;
/// For each time that probes take as long again as they did.
const SLOWER: f64 = 1.2;
/// More than that is not measured well.
const MOST_SLOWER: f64 = 3.0;
/// Probes fail now.
const FAILING: f64 = 4.0;
/// Little room on a disk it writes to, and hardly any: a share of a large disk is much.
const DISK_LOW: f64 = 2.0;
const LOW_BYTES: f64 = 2.0 * 1024.0 * 1024.0 * 1024.0;
const DISK_FULL: f64 = 4.0;
const FULL_BYTES: f64 = 256.0 * 1024.0 * 1024.0;
/// A line that explains less of the movement is no trend.
const FIT: f64 = 0.5;
/// Points that a trend needs.
const POINTS: usize = 10;
/// A leak of less than this share an hour is noise.
const NOISE: f64 = 0.01;

/// What the risk is computed from.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Signs {
    /// Why it is down, if it is.
    pub down: Option<String>,
    /// Its score now.
    pub score: Option<f64>,
    /// Points an hour that the score rises; below zero it falls.
    pub score_per_hour: f64,
    /// Crashes of the last hour.
    pub crashes: u32,
    /// Seconds between them, on average.
    pub crash_every_s: Option<f64>,
    /// Resident bytes of the copy that reaches its limit first.
    pub rss_bytes: Option<f64>,
    /// Its limit.
    pub limit_bytes: Option<f64>,
    /// How fast that copy grows; none where it does not.
    pub growth_bytes_per_s: Option<f64>,
    /// Seconds until it reaches its limit: (limit − resident) / growth.
    pub to_limit_s: Option<f64>,
    /// By how much probes take longer than they did: 1 is twice as long.
    pub latency_growth: Option<f64>,
    /// Do probes fail now?
    pub probe_failing: bool,
    /// Free share of the fullest disk it uses, in percent, and which.
    pub disk_free_percent: Option<f64>,
    /// The same in bytes.
    pub disk_free_bytes: Option<f64>,
    /// Its folder.
    pub disk: Option<String>,
}

/// A risk and what it comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outlook {
    /// 0 to 1.
    pub risk: f64,
    /// `down`, `high`, `medium` or `low`.
    pub level: String,
    /// Seconds until it is expected, at most an hour.
    pub in_next_s: f64,
    /// The signs in words, the weightiest first; one that says so where there are none.
    pub reasons: Vec<String>,
}

/// Reads the signs of a process. `scores` are those of the last hour, oldest first. None of a
/// process that is stopped on purpose or not there.
pub fn signs(facts: &dyn Facts, name: &ProcessName, scores: &[(Timestamp, f64)]) -> Option<Signs> {
    let process = facts.process(name)?;
    if process.state == Status::Stopped || (!process.wanted && !process.held) {
        return None;
    }
    let hour = Duration::from_secs(3_600);
    let crashes = facts.events(name, Some(EventKind::Crash), hour);
    let down = (process.held || process.state == Status::Errored).then(|| process.detail.clone());
    let mut signs = Signs {
        down,
        score: crate::score(facts, name).map(|score| score.value),
        score_per_hour: trend_of(scores, facts.now()),
        crashes: u32::try_from(crashes.len()).unwrap_or(u32::MAX),
        crash_every_s: every(&crashes.iter().map(|one| one.at).collect::<Vec<_>>()),
        limit_bytes: process.max_memory.map(|limit| limit as f64),
        latency_growth: slower(&facts.probe_results(name, 20)),
        probe_failing: process
            .instances
            .iter()
            .any(|one| one.health == HealthStatus::Fail && one.state == Status::Online),
        ..Signs::default()
    };
    let samples = facts.samples(name, Duration::from_secs(1_800));
    memory(&mut signs, &samples);
    for disk in facts.disks(name) {
        if disk.total == 0 {
            continue;
        }
        let free = disk.free as f64 / disk.total as f64 * 100.0;
        if signs.disk_free_percent.is_none_or(|least| free < least) {
            signs.disk_free_percent = Some(free);
            signs.disk_free_bytes = Some(disk.free as f64);
            signs.disk = Some(disk.path);
        }
    }
    Some(signs)
}

/// Points an hour, of the scores of the last hour. A score is written when it moves, so its
/// newest value counts until now.
fn trend_of(scores: &[(Timestamp, f64)], now: Timestamp) -> f64 {
    let (Some(first), Some(last)) = (scores.first(), scores.last()) else {
        return 0.0;
    };
    let hours = until(first.0, now).as_secs_f64() / 3_600.0;
    if hours < 1.0 / 60.0 {
        return 0.0;
    }
    // What was lost in ten minutes is not extrapolated to an hour.
    (last.1 - first.1) / hours.max(1.0)
}

/// The average time between moments, oldest first.
fn every(moments: &[Timestamp]) -> Option<f64> {
    let (first, last) = (moments.first()?, moments.last()?);
    (moments.len() > 1).then(|| until(*first, *last).as_secs_f64() / (moments.len() - 1) as f64)
}

/// By how much the newest third of the tries that passed took longer than the oldest third.
fn slower(tries: &[crate::facts::ProbeResult]) -> Option<f64> {
    let took: Vec<f64> = tries
        .iter()
        .filter(|one| one.passed)
        .map(|one| one.latency_ms as f64)
        .collect();
    let third = took.len() / 3;
    if third < 2 {
        return None;
    }
    let before = Spread::of(&took[..third])?.mean;
    let now = Spread::of(&took[took.len() - third..])?.mean;
    // Below 5 ms it is the machine's noise.
    Some(((now - before) / before.max(5.0)).max(0.0))
}

/// The copy that reaches its limit first, or the one that is largest.
fn memory(signs: &mut Signs, samples: &[Sample]) {
    let mut copies: Vec<u16> = samples.iter().map(|sample| sample.instance).collect();
    copies.sort_unstable();
    copies.dedup();
    for copy in copies {
        let points: Vec<(f64, f64)> = samples
            .iter()
            .filter(|sample| sample.instance == copy)
            .map(|sample| {
                (
                    sample.at.as_millisecond() as f64 / 1_000.0,
                    sample.rss_bytes as f64,
                )
            })
            .collect();
        let points = last_life(&points);
        let Some(now) = points.last().map(|point| point.1) else {
            continue;
        };
        let growth = Line::through(points)
            .filter(|line| points.len() >= POINTS && line.fit >= FIT)
            .map(|line| line.slope)
            .filter(|slope| slope * AHEAD_S > now * NOISE);
        let to_limit = growth
            .zip(signs.limit_bytes)
            .map(|(slope, limit)| ((limit - now) / slope).max(0.0));
        let sooner = match (to_limit, signs.to_limit_s) {
            (Some(own), Some(known)) => own < known,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => signs.rss_bytes.is_none_or(|known| now > known),
        };
        if sooner {
            signs.rss_bytes = Some(now);
            signs.growth_bytes_per_s = growth;
            signs.to_limit_s = to_limit;
        }
    }
}

/// From the last restart on: there memory falls by more than a third.
fn last_life(points: &[(f64, f64)]) -> &[(f64, f64)] {
    let fell = points
        .windows(2)
        .rposition(|pair| matches!(pair, [before, after] if after.1 < before.1 * 0.66));
    fell.map_or(points, |at| &points[at + 1..])
}

/// The risk that follows from the signs.
pub fn outlook(signs: &Signs) -> Outlook {
    if let Some(down) = &signs.down {
        return Outlook {
            risk: 1.0,
            level: "down".to_owned(),
            in_next_s: 0.0,
            reasons: vec![format!("is down: {down}")],
        };
    }
    let mut weighed: Vec<(f64, String)> = Vec::new();
    let lost = (-signs.score_per_hour).clamp(0.0, MOST_POINTS);
    if lost >= 5.0 {
        weighed.push((
            PER_POINT * lost,
            format!("score falls by {lost:.0} points an hour"),
        ));
    }
    if signs.crashes > 0 {
        let often = signs
            .crash_every_s
            .map_or_else(String::new, |every| format!(", every {}", span(every)));
        weighed.push((
            CRASHES * (1.0 + f64::from(signs.crashes)).ln(),
            format!(
                "crashed {} in the last hour{often}",
                times(u64::from(signs.crashes))
            ),
        ));
    }
    memory_reason(signs, &mut weighed);
    if signs.probe_failing {
        weighed.push((FAILING, "its probe fails now".to_owned()));
    }
    if let Some(growth) = signs.latency_growth.filter(|growth| *growth >= 0.2) {
        weighed.push((
            SLOWER * growth.min(MOST_SLOWER),
            format!("probes take {:.1} times as long as before", 1.0 + growth),
        ));
    }
    if let (Some(percent), Some(free)) = (signs.disk_free_percent, signs.disk_free_bytes)
        && percent < 5.0
        && free < LOW_BYTES
    {
        let weight = if free < FULL_BYTES {
            DISK_FULL
        } else {
            DISK_LOW
        };
        let disk = signs.disk.as_deref().unwrap_or("its disk");
        weighed.push((weight, format!("{} free on {disk}", size(free))));
    }
    let sum: f64 = BIAS + weighed.iter().map(|(weight, _)| weight).sum::<f64>();
    let risk = 1.0 / (1.0 + (-sum).exp());
    weighed.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut reasons: Vec<String> = weighed.into_iter().map(|(_, reason)| reason).collect();
    if reasons.is_empty() {
        reasons.push("nothing points to trouble".to_owned());
    }
    Outlook {
        risk,
        level: level(risk).to_owned(),
        in_next_s: when(signs),
        reasons,
    }
}

fn memory_reason(signs: &Signs, weighed: &mut Vec<(f64, String)>) {
    let (Some(rss), Some(growth)) = (signs.rss_bytes, signs.growth_bytes_per_s) else {
        return;
    };
    let rate = format!("grows by {} an hour", size(growth * 3_600.0));
    match (signs.to_limit_s, signs.limit_bytes) {
        (Some(left), Some(limit)) => {
            let weight = if left < AHEAD_S {
                REACHES + SOON * (1.0 - left / AHEAD_S)
            } else {
                0.0
            };
            let reaches = format!(
                "memory {rate}: {} of {}, at its limit in {}",
                size(rss),
                size(limit),
                span(left)
            );
            weighed.push((weight, reaches));
        }
        _ => weighed.push((0.0, format!("memory {rate}, and there is no max_memory"))),
    }
}

/// Where a risk begins to be called so.
fn level(risk: f64) -> &'static str {
    match risk {
        risk if risk >= 0.5 => "high",
        risk if risk >= 0.2 => "medium",
        _ => "low",
    }
}

/// Until the first thing that is expected.
fn when(signs: &Signs) -> f64 {
    if signs.probe_failing {
        return 0.0;
    }
    let limit = signs.to_limit_s.unwrap_or(AHEAD_S);
    let crash = signs.crash_every_s.unwrap_or(AHEAD_S);
    limit.min(crash).min(AHEAD_S)
}

#[cfg(test)]
mod tests;
