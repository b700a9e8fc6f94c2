//! A line through points, and how far values lie apart.

/// A line fitted by least squares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// Rise per unit of time.
    pub slope: f64,
    /// Its value at the first point.
    pub start: f64,
    /// From the first point to the last, in units of time.
    pub span: f64,
    /// The share of the movement that the line explains, 0 to 1.
    pub fit: f64,
}

impl Line {
    /// The line through (time, value); none through fewer than two times, or where nothing
    /// moves.
    pub fn through(points: &[(f64, f64)]) -> Option<Self> {
        let (first, last) = (points.first()?, points.last()?);
        let n = points.len() as f64;
        let mean_t = points.iter().map(|point| point.0).sum::<f64>() / n;
        let mean_v = points.iter().map(|point| point.1).sum::<f64>() / n;
        let (mut tt, mut tv, mut vv) = (0.0, 0.0, 0.0);
        for (t, v) in points {
            tt += (t - mean_t).powi(2);
            tv += (t - mean_t) * (v - mean_v);
            vv += (v - mean_v).powi(2);
        }
        if tt <= 0.0 || vv <= 0.0 {
            return None;
        }
        let slope = tv / tt;
        Some(Self {
            slope,
            start: mean_v + slope * (first.0 - mean_t),
            span: last.0 - first.0,
            fit: tv * tv / (tt * vv),
        })
    }
}

/// Average and standard deviation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    /// The average.
    pub mean: f64,
    /// The standard deviation of the values themselves.
    pub deviation: f64,
}

impl Spread {
    /// That of some values; none of none.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() {
            return None;
        }
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values
            .iter()
            .map(|value| (value - mean).powi(2))
            .sum::<f64>()
            / n;
        Some(Self {
            mean,
            deviation: variance.sqrt(),
        })
    }
}

/// The value that so much of 1 is not above, by nearest rank.
pub(super) fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted: Vec<f64> = values
        .iter()
        .copied()
        .filter(|value| value.is_finite())
        .collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let rank = (sorted.len() as f64 * share.clamp(0.0, 1.0)).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_in_points_on_it() {
        let points: Vec<(f64, f64)> = (0..10)
            .map(|t| (f64::from(t), 5.0 + 2.0 * f64::from(t)))
            .collect();
        let line = Line::through(&points).unwrap();
        assert_eq!((line.slope, line.start, line.span), (2.0, 5.0, 9.0));
        assert!(line.fit > 0.999);
        assert_eq!(Line::through(&[(1.0, 1.0)]), None);
        assert_eq!(Line::through(&[(1.0, 1.0), (2.0, 1.0)]), None);
        assert_eq!(Line::through(&[]), None);
    }

    #[test]
    fn spread_and_quantile() {
        let spread = Spread::of(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).unwrap();
        assert_eq!((spread.mean, spread.deviation), (5.0, 2.0));
        assert_eq!(Spread::of(&[]), None);
        let values: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!(quantile(&values, 0.99), Some(198.0));
        assert_eq!(quantile(&[3.0], 0.5), Some(3.0));
        assert_eq!(quantile(&[f64::NAN], 0.5), None);
    }
}
