//! Some points of one instance in few bytes.
//!
//! A block holds its points column by column, each value as the difference to the one before,
//! and a column that stays the same as its first value only: a quiet process takes less than
//! four bytes a point.

use crate::sampler::TreeSample;

/// The form of the bytes. The form before it, 1, had the first five columns, each in full.
const VERSION: u8 = 2;
const COLUMNS_OF_1: usize = 5;
/// What stands before a column: all its values, or the first for all.
const EACH: u64 = 0;
const SAME: u64 = 1;
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
    /// Resident memory with shared pages divided, in whole KiB; not known of all.
    pub pss_bytes: Option<u64>,
    /// Bytes per second from storage; not known of all.
    pub read: Option<u64>,
    /// Bytes per second to storage; not known of all.
    pub written: Option<u64>,
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
            pss_bytes: sample.pss_bytes,
            read: sample.read_bytes_per_second,
            written: sample.written_bytes_per_second,
        }
    }
}

/// How a column is read from a point, and put back.
type Column = (fn(&Point) -> i64, fn(&mut Point, i64));

const COLUMNS: [Column; 8] = [
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
    (
        |point| or_minus(point.pss_bytes.map(|bytes| bytes >> 10)),
        |point, value| point.pss_bytes = unless_minus(value).map(|kib| kib << 10),
    ),
    (
        |point| or_minus(point.read),
        |point, value| point.read = unless_minus(value),
    ),
    (
        |point| or_minus(point.written),
        |point, value| point.written = unless_minus(value),
    ),
];

/// What is not known is -1.
fn or_minus(value: Option<u64>) -> i64 {
    value.map_or(-1, |value| i64::try_from(value).unwrap_or(i64::MAX))
}

fn unless_minus(value: i64) -> Option<u64> {
    u64::try_from(value).ok()
}

/// Packs points.
pub(super) fn pack(points: &[Point]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + points.len() * 6);
    bytes.push(VERSION);
    put(&mut bytes, points.len() as u64);
    for (column, (get, _)) in COLUMNS.iter().enumerate() {
        let first = points.first().map(get);
        // Times differ, so a block has a byte for each of its points at least.
        let same = column > 0 && points.iter().all(|point| Some(get(point)) == first);
        put(&mut bytes, if same { SAME } else { EACH });
        let (mut last, mut last_step) = (0i64, 0i64);
        for point in points.iter().take(if same { 1 } else { points.len() }) {
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
    let columns = match *version {
        1 => COLUMNS_OF_1,
        VERSION => COLUMNS.len(),
        _ => return None,
    };
    let count = take(&mut rest)?;
    if count > MOST || count > rest.len() as u64 {
        return None;
    }
    let mut points = vec![Point::default(); count as usize];
    for (column, (_, set)) in COLUMNS.iter().enumerate().take(columns) {
        let same = *version > 1 && take(&mut rest)? == SAME;
        if same && column == 0 {
            return None;
        }
        let (mut last, mut last_step) = (0i64, 0i64);
        for (at, point) in points.iter_mut().enumerate() {
            if same && at > 0 {
                set(point, last);
                continue;
            }
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
                pss_bytes: known_average(chunk, |point| point.pss_bytes),
                read: known_average(chunk, |point| point.read),
                written: known_average(chunk, |point| point.written),
            })
        })
        .collect()
}

/// The average of those points of which it is known.
fn known_average(points: &[Point], value: fn(&Point) -> Option<u64>) -> Option<u64> {
    let (mut sum, mut count) = (0u128, 0u128);
    for value in points.iter().filter_map(value) {
        sum += u128::from(value);
        count += 1;
    }
    u64::try_from((sum + count / 2).checked_div(count)?).ok()
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
                pss_bytes: Some(20 << 20),
                read: Some(0),
                written: None,
            })
            .collect()
    }

    #[test]
    fn a_quiet_process_takes_few_bytes() {
        for (count, most) in [(60, 110), (12, 44), (1, 40)] {
            let points = quiet(count);
            let bytes = pack(&points);
            assert!(bytes.len() <= most, "{} for {count}", bytes.len());
            assert_eq!(unpack(&bytes), Some(points));
        }
    }

    /// What a daemon of the version before has written.
    #[test]
    fn the_form_before_is_read() {
        let mut bytes = vec![1, 2];
        for (first, second) in [(5_000, 5_000), (150, 50), (1024, 0), (3, 1), (2, 0)] {
            // The second time is the difference of the differences.
            let second = if first == 5_000 { 0 } else { second };
            put(&mut bytes, folded(first));
            put(&mut bytes, folded(second));
        }
        let points = unpack(&bytes).expect("is read");
        let second = Point {
            at_ms: 10_000,
            cpu_percent: 2.0,
            rss_bytes: 1 << 20,
            fds: 4,
            threads: 2,
            ..Point::default()
        };
        assert_eq!(points[1], second);
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
        points[3].written = Some(10);
        points[4].written = Some(20);
        let minutes = averages(&points, 60_000);
        assert_eq!((minutes[0].written, minutes[2].written), (Some(15), None));
    }

    proptest! {
        #[test]
        fn what_was_packed_is_found(values in proptest::collection::vec(
            (any::<i64>(), 0u32..1_000_000, 0u64..1 << 40, any::<u32>(), any::<u32>(),
             proptest::option::of(0u64..1 << 50)), 0..50)
        ) {
            let points: Vec<Point> = values
                .into_iter()
                .map(|(at_ms, cpu, rss, fds, threads, read)| Point {
                    at_ms,
                    cpu_percent: (f64::from(cpu) / 100.0) as f32,
                    rss_bytes: rss >> 10 << 10,
                    fds,
                    threads,
                    pss_bytes: read.map(|read| read >> 20 << 10),
                    read,
                    written: read.map(|read| read / 7),
                })
                .collect();
            prop_assert_eq!(unpack(&pack(&points)), Some(points));
        }

        #[test]
        fn damaged_bytes_are_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = unpack(&bytes);
            let _ = unpack(&[&[1], bytes.as_slice()].concat());
            let _ = unpack(&[&[VERSION], bytes.as_slice()].concat());
        }
    }
}
