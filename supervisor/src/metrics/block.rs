//! Some points of one instance in few bytes.
//!
//! A block holds its points column by column, each value as the difference to the one before,
//! so that a quiet process takes five bytes a point.

use crate::sampler::TreeSample;

/// The form of the bytes.
const VERSION: u8 = 1;
/// More points than this are not in one block, whatever its bytes say.
const MOST: u64 = 100_000;

/// What a tree used at one moment, or on average from there on.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Point {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Of one core; kept to two decimals.
    pub cpu_percent: f32,
    /// Resident memory; kept in whole KiB.
    pub rss_bytes: u64,
    /// Open descriptors of the leader.
    pub fds: u32,
    /// Threads of all processes.
    pub threads: u32,
}

impl From<&TreeSample> for Point {
    fn from(sample: &TreeSample) -> Self {
        let small = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        Self {
            at_ms: sample.at.as_millisecond(),
            cpu_percent: sample.cpu_percent as f32,
            rss_bytes: sample.rss_bytes,
            fds: small(sample.fds),
            threads: small(sample.threads),
        }
    }
}

/// How a column is read from a point, and put back.
type Column = (fn(&Point) -> i64, fn(&mut Point, i64));

const COLUMNS: [Column; 5] = [
    (|point| point.at_ms, |point, value| point.at_ms = value),
    (
        |point| (f64::from(point.cpu_percent) * 100.0).round() as i64,
        |point, value| point.cpu_percent = (value as f64 / 100.0) as f32,
    ),
    (
        |point| (point.rss_bytes >> 10).cast_signed(),
        |point, value| point.rss_bytes = value.max(0).cast_unsigned() << 10,
    ),
    (
        |point| i64::from(point.fds),
        |point, value| point.fds = u32::try_from(value).unwrap_or(0),
    ),
    (
        |point| i64::from(point.threads),
        |point, value| point.threads = u32::try_from(value).unwrap_or(0),
    ),
];

/// Packs points.
pub(super) fn pack(points: &[Point]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + points.len() * 6);
    bytes.push(VERSION);
    put(&mut bytes, points.len() as u64);
    for (column, (get, _)) in COLUMNS.iter().enumerate() {
        let (mut last, mut last_step) = (0i64, 0i64);
        for point in points {
            let value = get(point);
            let step = value.wrapping_sub(last);
            // Times are apart by about the same; all else stays about the same.
            let kept = if column == 0 {
                step.wrapping_sub(last_step)
            } else {
                step
            };
            put(&mut bytes, folded(kept));
            (last, last_step) = (value, step);
        }
    }
    bytes
}

/// The points of a block. `None` when it is damaged.
pub(super) fn unpack(bytes: &[u8]) -> Option<Vec<Point>> {
    let (version, mut rest) = bytes.split_first()?;
    if *version != VERSION {
        return None;
    }
    let count = take(&mut rest)?;
    // Every value takes a byte at least.
    if count > MOST || count * COLUMNS.len() as u64 > rest.len() as u64 {
        return None;
    }
    let mut points = vec![Point::default(); count as usize];
    for (column, (_, set)) in COLUMNS.iter().enumerate() {
        let (mut last, mut last_step) = (0i64, 0i64);
        for point in &mut points {
            let kept = unfolded(take(&mut rest)?);
            let step = if column == 0 {
                kept.wrapping_add(last_step)
            } else {
                kept
            };
            last = last.wrapping_add(step);
            last_step = step;
            set(point, last);
        }
    }
    Some(points)
}

/// The averages of all points that lie in the same `step_ms`, which begin at its multiples.
pub(super) fn averages(points: &[Point], step_ms: i64) -> Vec<Point> {
    points
        .chunk_by(|one, other| one.at_ms.div_euclid(step_ms) == other.at_ms.div_euclid(step_ms))
        .filter_map(|chunk| {
            let first = chunk.first()?;
            let of = |value: fn(&Point) -> f64| {
                chunk.iter().map(value).sum::<f64>() / chunk.len() as f64
            };
            Some(Point {
                at_ms: first.at_ms.div_euclid(step_ms) * step_ms,
                cpu_percent: of(|point| f64::from(point.cpu_percent)) as f32,
                rss_bytes: of(|point| point.rss_bytes as f64) as u64,
                fds: of(|point| f64::from(point.fds)).round() as u32,
                threads: of(|point| f64::from(point.threads)).round() as u32,
            })
        })
        .collect()
}

/// Small numbers of either sign become small numbers.
fn folded(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn unfolded(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

/// Seven bits a byte.
fn put(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn take(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quiet(count: i64) -> Vec<Point> {
        (0..count)
            .map(|at| Point {
                at_ms: 1_774_700_000_000 + at * 5_001 + at % 3,
                cpu_percent: 0.0,
                rss_bytes: 50 << 20,
                fds: 12,
                threads: 3,
            })
            .collect()
    }

    #[test]
    fn a_quiet_process_takes_few_bytes() {
        let points = quiet(60);
        let bytes = pack(&points);
        assert!(bytes.len() < 60 * 5 + 30, "{}", bytes.len());
        assert_eq!(unpack(&bytes), Some(points));
    }

    #[test]
    fn averages_begin_at_whole_steps() {
        let mut points = quiet(24);
        points[0].cpu_percent = 24.0;
        let minutes = averages(&points, 60_000);
        assert_eq!(minutes.len(), 3);
        assert!(minutes.iter().all(|point| point.at_ms % 60_000 == 0));
        assert!(minutes[0].cpu_percent > 0.0);
        assert_eq!(minutes[1].rss_bytes, 50 << 20);
    }

    proptest! {
        #[test]
        fn what_was_packed_is_found(values in proptest::collection::vec(
            (any::<i64>(), 0u32..1_000_000, 0u64..1 << 40, any::<u32>(), any::<u32>()), 0..50)
        ) {
            let points: Vec<Point> = values
                .into_iter()
                .map(|(at_ms, cpu, rss, fds, threads)| Point {
                    at_ms,
                    cpu_percent: (f64::from(cpu) / 100.0) as f32,
                    rss_bytes: rss >> 10 << 10,
                    fds,
                    threads,
                })
                .collect();
            prop_assert_eq!(unpack(&pack(&points)), Some(points));
        }

        #[test]
        fn damaged_bytes_are_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = unpack(&bytes);
            let _ = unpack(&[&[VERSION], bytes.as_slice()].concat());
        }
    }
}
