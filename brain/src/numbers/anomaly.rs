//! What is not as it usually is: figures by their distance from what they were, and lines of
//! kinds that were not there before.
//!
//! A z-score alone calls every ripple of a quiet process an anomaly, so the deviation has a
//! floor: a share of the average, a least step that anybody would call a change, and for
//! counts the noise that counting has by itself.

use serde::{Deserialize, Serialize};

use super::fit::Spread;
use super::words::size;

/// From here on it is told, called a warning, called critical.
const TOLD: f64 = 3.0;
const WARNS: f64 = 4.0;
const CRITICAL: f64 = 8.0;
/// Fewer values than this are no past to compare with.
pub const LEAST: usize = 6;
/// A distance beyond this says nothing more.
const MOST: f64 = 99.0;

/// A figure that is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// Lines a minute.
    LogRate,
    /// Lines of level error or worse a minute.
    ErrorRate,
    /// Percent of one core, all copies.
    Cpu,
    /// Resident bytes, all copies.
    Memory,
    /// Milliseconds of a probe.
    Latency,
}

impl Figure {
    /// The least step that counts, in its unit.
    fn step(self) -> f64 {
        match self {
            Self::LogRate => 2.0,
            Self::ErrorRate => 0.2,
            Self::Cpu => 2.0,
            Self::Memory => 4.0 * 1024.0 * 1024.0,
            Self::Latency => 5.0,
        }
    }

    /// Is less of it worth a word? A log that falls silent is; less memory is not.
    fn both_ways(self) -> bool {
        matches!(self, Self::LogRate)
    }

    fn is_count(self) -> bool {
        matches!(self, Self::LogRate | Self::ErrorRate)
    }

    fn name(self) -> &'static str {
        match self {
            Self::LogRate => "log rate",
            Self::ErrorRate => "error rate",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Latency => "probe latency",
        }
    }

    fn shown(self, value: f64) -> String {
        match self {
            Self::LogRate | Self::ErrorRate => format!("{value:.1}/min"),
            Self::Cpu => format!("{value:.1} %"),
            Self::Memory => size(value),
            Self::Latency => format!("{value:.0} ms"),
        }
    }
}

/// What a figure is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The same hour of earlier days.
    SameHour,
    /// The last 24 hours.
    Day,
    /// The last hour: there is no more yet.
    Hour,
    /// The newest tries of a probe, which are all that is kept.
    Tries,
}

impl Basis {
    fn name(self) -> &'static str {
        match self {
            Self::SameHour => "the same hour of earlier days",
            Self::Day => "the last 24 hours",
            Self::Hour => "the last hour",
            Self::Tries => "the tries before",
        }
    }
}

/// A figure now, and what it was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// Which.
    pub figure: Figure,
    /// Its value now.
    pub now: f64,
    /// Over how many minutes it was measured.
    pub minutes: f64,
    /// Its values before.
    pub past: Vec<f64>,
    /// What those are.
    pub basis: Basis,
}

/// A kind of line that came up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewKind {
    /// What says so: `event:<id>`.
    pub id: String,
    /// With `<*>` for values.
    pub pattern: String,
    /// As the program said.
    pub level: Option<String>,
}

/// Something unusual.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Anomaly {
    /// `info`, `warning` or `critical`.
    pub severity: String,
    /// The process.
    pub process: String,
    /// What, in a few words.
    pub what: String,
    /// On what grounds.
    pub evidence: String,
    /// Standard deviations from the average; none for a new kind of line.
    pub z: Option<f64>,
}

/// How far a figure is from what it was, in standard deviations; none without a past.
pub fn distance(reading: &Reading) -> Option<f64> {
    if reading.past.len() < LEAST {
        return None;
    }
    let past = Spread::of(&reading.past)?;
    // Counting n things by chance has a deviation of √n.
    let counting = if reading.figure.is_count() {
        past.mean.max(0.0) / reading.minutes.max(1.0)
    } else {
        0.0
    };
    let deviation = (past.deviation.powi(2) + counting)
        .sqrt()
        .max(past.mean.abs() * 0.05)
        .max(reading.figure.step() / TOLD);
    Some(((reading.now - past.mean) / deviation).clamp(-MOST, MOST))
}

/// Is it unusual?
pub fn judge(process: &str, reading: &Reading) -> Option<Anomaly> {
    let z = distance(reading)?;
    if z < TOLD && !(reading.figure.both_ways() && z <= -TOLD) {
        return None;
    }
    let past = Spread::of(&reading.past)?;
    let figure = reading.figure;
    let severity = match z.abs() {
        z if z >= CRITICAL && figure != Figure::LogRate => "critical",
        z if z >= WARNS => "warning",
        _ => "info",
    };
    let way = if z > 0.0 { "is high" } else { "is low" };
    Some(Anomaly {
        severity: severity.to_owned(),
        process: process.to_owned(),
        what: format!("{} {way}: {}", figure.name(), figure.shown(reading.now)),
        evidence: format!(
            "z = {z:.1}; {} ± {} over {} ({} values)",
            figure.shown(past.mean),
            figure.shown(past.deviation),
            reading.basis.name(),
            reading.past.len()
        ),
        z: Some((z * 10.0).round() / 10.0),
    })
}

/// A new kind of line as an anomaly: one that speaks of trouble weighs more.
pub fn of_kind(process: &str, kind: &NewKind) -> Anomaly {
    let graver = kind
        .level
        .as_deref()
        .is_some_and(|level| matches!(level, "error" | "fatal"));
    let severity = if graver { "warning" } else { "info" };
    Anomaly {
        severity: severity.to_owned(),
        process: process.to_owned(),
        what: format!(
            "new kind of line: {}",
            kind.pattern.chars().take(160).collect::<String>()
        ),
        evidence: kind.id.clone(),
        z: None,
    }
}

/// The gravest first, then the farthest.
pub fn sort(all: &mut [Anomaly]) {
    let rank = |one: &Anomaly| match one.severity.as_str() {
        "critical" => 0,
        "warning" => 1,
        _ => 2,
    };
    all.sort_by(|a, b| {
        let far = |one: &Anomaly| one.z.map_or(0.0, f64::abs);
        rank(a)
            .cmp(&rank(b))
            .then(far(b).total_cmp(&far(a)))
            .then(a.process.cmp(&b.process))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(figure: Figure, now: f64, past: &[f64]) -> Reading {
        Reading {
            figure,
            now,
            minutes: 10.0,
            past: past.to_vec(),
            basis: Basis::Day,
        }
    }

    #[test]
    fn a_flood_of_errors_is_critical_and_a_ripple_is_nothing() {
        let quiet = [0.0; 24];
        let flood = judge("api", &reading(Figure::ErrorRate, 12.0, &quiet)).unwrap();
        assert_eq!(flood.severity, "critical");
        assert!(flood.evidence.contains("24 values"), "{}", flood.evidence);
        // One error in ten minutes, where there were none all day.
        assert_eq!(judge("api", &reading(Figure::ErrorRate, 0.1, &quiet)), None);
        let busy: Vec<f64> = (0..24).map(|hour| 100.0 + f64::from(hour % 5)).collect();
        assert_eq!(judge("api", &reading(Figure::LogRate, 110.0, &busy)), None);
    }

    #[test]
    fn a_log_that_falls_silent_is_told_and_less_memory_is_not() {
        let talks: Vec<f64> = (0..24).map(|hour| 60.0 + f64::from(hour % 3)).collect();
        let silent = judge("api", &reading(Figure::LogRate, 0.0, &talks)).unwrap();
        assert!(silent.what.contains("is low"), "{}", silent.what);
        let large = [400e6; 24];
        assert_eq!(judge("api", &reading(Figure::Memory, 50e6, &large)), None);
        let more = judge("api", &reading(Figure::Memory, 900e6, &large)).unwrap();
        assert_eq!((more.severity.as_str(), more.z), ("critical", Some(25.0)));
    }

    #[test]
    fn without_a_past_nothing_is_unusual() {
        assert_eq!(distance(&reading(Figure::Cpu, 100.0, &[1.0; 5])), None);
        assert_eq!(
            distance(&reading(Figure::Cpu, f64::MAX, &[1.0; 6])),
            Some(99.0)
        );
    }

    #[test]
    fn the_gravest_comes_first() {
        let kind = |level: Option<&str>| {
            of_kind(
                "api",
                &NewKind {
                    id: "event:1".into(),
                    pattern: "x".repeat(500),
                    level: level.map(str::to_owned),
                },
            )
        };
        let mut all = vec![kind(None), kind(Some("error"))];
        all.push(judge("api", &reading(Figure::Cpu, 90.0, &[1.0; 6])).unwrap());
        sort(&mut all);
        let grave: Vec<&str> = all.iter().map(|one| one.severity.as_str()).collect();
        assert_eq!(grave, ["critical", "warning", "info"]);
        assert!(all[1].what.len() < 200);
    }
}
