//! A short memory of CPU and memory for each row, for the sparklines.
//!
//! One point a second, in step with the screen, so that a line reads as time. Rows that are
//! gone are forgotten.

use std::collections::{HashMap, VecDeque};

use super::data::{Past, RowKey};

/// Points kept: as many as the widest sparkline shows.
const POINTS: usize = 180;
/// Seconds for which a measurement of the past holds: somewhat more than lies between two.
const HOLD: u32 = 7;

/// What is remembered of one row.
#[derive(Debug, Default, Clone)]
pub(crate) struct Series {
    /// Percent of one core; NaN where there was no value.
    pub(crate) cpu: VecDeque<f64>,
    /// Resident bytes; NaN where there was no value.
    pub(crate) memory: VecDeque<f64>,
    cpu_before: bool,
    memory_before: bool,
}

/// The memory of all rows.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    rows: HashMap<RowKey, Series>,
}

impl Samples {
    /// Adds a point.
    pub(crate) fn push(&mut self, key: &RowKey, cpu: Option<f64>, memory: Option<u64>) {
        if !self.rows.contains_key(key) {
            self.rows.insert(key.clone(), Series::default());
        }
        if let Some(series) = self.rows.get_mut(key) {
            keep(&mut series.cpu, cpu.unwrap_or(f64::NAN));
            keep(
                &mut series.memory,
                memory.map_or(f64::NAN, |bytes| bytes as f64),
            );
        }
    }

    /// Puts what was measured before the screen was opened in front of what it has seen. Only
    /// once for each: what is seen later is known.
    pub(crate) fn before(&mut self, past: &Past) {
        let key = RowKey {
            name: past.name.clone(),
            instance: Some(past.instance),
        };
        let series = self.rows.entry(key).or_default();
        let (points, known) = if past.metric == "cpu" {
            (&mut series.cpu, &mut series.cpu_before)
        } else {
            (&mut series.memory, &mut series.memory_before)
        };
        if std::mem::replace(known, true) {
            return;
        }
        // Samples are further apart than the points: each holds until the next.
        let (mut held, mut age) = (f64::NAN, 0);
        let mut before: Vec<f64> = Vec::with_capacity(past.points.len());
        for point in &past.points {
            (held, age) = match point {
                Some(value) => (*value, 0),
                None if age < HOLD => (held, age + 1),
                None => (f64::NAN, age),
            };
            before.push(held);
        }
        // The newest of them are those that the screen has seen.
        before.truncate(before.len().saturating_sub(points.len()));
        for value in before.into_iter().rev() {
            if points.len() == POINTS {
                break;
            }
            points.push_front(value);
        }
    }

    /// What is known of a row.
    pub(crate) fn of(&self, key: &RowKey) -> Option<&Series> {
        self.rows.get(key)
    }

    /// Forgets all rows but these.
    pub(crate) fn retain(&mut self, lives: impl Fn(&RowKey) -> bool) {
        self.rows.retain(|key, _| lives(key));
    }
}

fn keep(points: &mut VecDeque<f64>, value: f64) {
    if points.len() == POINTS {
        points.pop_front();
    }
    points.push_back(value);
}

/// The top of the scale of memory: the limit, or twice the largest point, so that what does
/// not change is a calm line in the middle.
pub(crate) fn memory_top(points: &VecDeque<f64>, limit: Option<u64>) -> f64 {
    match limit {
        Some(limit) => limit as f64,
        None => {
            let finite = points.iter().copied().filter(|point| point.is_finite());
            finite.fold(0.0, f64::max) * 2.0
        }
    }
}

/// Draws the newest points as bars, oldest left, exactly `columns` wide. The top of the scale
/// is `top` or the largest point, whichever is more.
pub(crate) fn sparkline(points: &VecDeque<f64>, columns: usize, top: f64) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let shown = points.len().min(columns);
    let newest = points.range(points.len() - shown..);
    let top = newest
        .clone()
        .filter(|point| point.is_finite())
        .fold(top, |top, point| top.max(*point));
    let mut line: String = " ".repeat(columns - shown);
    line.extend(newest.map(|point| {
        if !point.is_finite() {
            return ' ';
        }
        let share = if top > 0.0 { point / top } else { 0.0 };
        BARS[((share * 8.0) as usize).min(7)]
    }));
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_to_scale_and_right_aligned() {
        let points = VecDeque::from([0.0, 50.0, f64::NAN, 100.0]);
        assert_eq!(sparkline(&points, 6, 1.0), "  ▁▅ █");
        assert_eq!(sparkline(&points, 2, 1.0), " █");
        assert_eq!(sparkline(&points, 4, 200.0), "▁▃ ▅");
        assert_eq!(sparkline(&VecDeque::new(), 3, 0.0), "   ");
        assert_eq!(sparkline(&VecDeque::from([0.0]), 1, 0.0), "▁");
    }

    #[test]
    fn the_past_stands_before_the_present_once() {
        let key = RowKey {
            name: "api".into(),
            instance: Some(0),
        };
        let past = |points: Vec<Option<f64>>| Past {
            name: "api".into(),
            instance: 0,
            metric: "cpu".into(),
            points,
        };
        let mut samples = Samples::default();
        samples.push(&key, Some(9.0), None);
        samples.before(&past(vec![Some(1.0), None, Some(2.0), None, Some(5.0)]));
        samples.before(&past(vec![Some(7.0); 9]));
        let series = samples.of(&key).unwrap();
        assert_eq!(series.cpu, [1.0, 1.0, 2.0, 2.0, 9.0]);
        assert_eq!(series.memory.len(), 1);
    }

    #[test]
    fn the_memory_is_bounded() {
        let key = RowKey {
            name: "api".into(),
            instance: Some(0),
        };
        let mut samples = Samples::default();
        for point in 0..1000 {
            samples.push(&key, Some(f64::from(point)), None);
        }
        let series = samples.of(&key).unwrap();
        assert_eq!(series.cpu.len(), POINTS);
        assert_eq!(series.cpu.back(), Some(&999.0));
        samples.retain(|_| false);
        assert!(samples.of(&key).is_none());
    }
}
