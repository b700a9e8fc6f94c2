//! Ten minutes of samples of every process, in little memory.
//!
//! Most processes do the same for minutes, so samples with the same figures are one span, of
//! which the first and the last time are kept and those between lie evenly. A quiet process
//! takes 56 bytes, a busy one that much for each sample.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::TreeSample;

/// In place of a number that is not known.
const UNKNOWN: u32 = u32::MAX;
/// A step that differs from those before by half and this much, in milliseconds, is none of a
/// span: nobody looked meanwhile, or looks more often now.
const TOLERANCE: i64 = 500;

/// The samples of one instance, oldest first.
#[derive(Debug, Default)]
pub(super) struct Ring {
    spans: VecDeque<Span>,
}

/// Samples in a row that say the same.
#[derive(Debug, Clone, Copy)]
struct Span {
    first_ms: i64,
    last_ms: i64,
    figures: Figures,
    count: u16,
}

/// What a sample says besides its time.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Figures {
    cpu_percent: f32,
    rss_kib: u32,
    pss_kib: u32,
    /// Bytes per second.
    read: u32,
    /// Bytes per second.
    written: u32,
    fds: u32,
    threads: u16,
    processes: u16,
    zombies: u16,
}

impl Ring {
    pub(super) fn push(&mut self, sample: &TreeSample) {
        let (at_ms, figures) = (sample.at.as_millisecond(), Figures::of(sample));
        if let Some(span) = self.spans.back_mut()
            && span.figures == figures
            && span.goes_on(at_ms)
        {
            span.last_ms = at_ms;
            span.count += 1;
            return;
        }
        self.spans.push_back(Span {
            first_ms: at_ms,
            last_ms: at_ms,
            figures,
            count: 1,
        });
    }

    /// Drops what is older.
    pub(super) fn forget_before(&mut self, oldest_ms: i64) {
        while let Some(span) = self.spans.front_mut() {
            while span.count > 1 && span.first_ms < oldest_ms {
                span.first_ms = span.at(1);
                span.count -= 1;
            }
            if span.first_ms >= oldest_ms {
                return;
            }
            self.spans.pop_front();
        }
    }

    /// How many samples there are.
    pub(super) fn len(&self) -> usize {
        self.spans.iter().map(|span| usize::from(span.count)).sum()
    }

    /// When the newest was taken.
    pub(super) fn last_ms(&self) -> Option<i64> {
        self.spans.back().map(|span| span.last_ms)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = TreeSample> {
        let spans = self.spans.iter();
        spans.flat_map(|span| (0..span.count).map(|place| span.figures.at(span.at(place))))
    }
}

impl Span {
    fn goes_on(&self, at_ms: i64) -> bool {
        let gap = at_ms - self.last_ms;
        let step = (self.last_ms - self.first_ms) / i64::from(self.count.max(2) - 1);
        let in_time = self.count == 1 || (gap - step).abs() <= step / 2 + TOLERANCE;
        gap >= 0 && in_time && self.count < u16::MAX
    }

    /// When the sample at this place was taken.
    fn at(&self, place: u16) -> i64 {
        let steps = i64::from(self.count.max(2) - 1);
        self.first_ms + (self.last_ms - self.first_ms) * i64::from(place) / steps
    }
}

impl Figures {
    fn of(sample: &TreeSample) -> Self {
        Self {
            cpu_percent: sample.cpu_percent as f32,
            rss_kib: known(sample.rss_bytes >> 10),
            pss_kib: sample.pss_bytes.map_or(UNKNOWN, |bytes| known(bytes >> 10)),
            read: sample.read_bytes_per_second.map_or(UNKNOWN, known),
            written: sample.written_bytes_per_second.map_or(UNKNOWN, known),
            fds: known(sample.fds),
            threads: u16::try_from(sample.threads).unwrap_or(u16::MAX),
            processes: u16::try_from(sample.processes).unwrap_or(u16::MAX),
            zombies: u16::try_from(sample.zombies).unwrap_or(u16::MAX),
        }
    }

    fn at(self, at_ms: i64) -> TreeSample {
        let unless_unknown = |value: u32| (value != UNKNOWN).then_some(u64::from(value));
        TreeSample {
            at: Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::UNIX_EPOCH),
            cpu_percent: f64::from(self.cpu_percent),
            rss_bytes: u64::from(self.rss_kib) << 10,
            pss_bytes: unless_unknown(self.pss_kib).map(|kib| kib << 10),
            read_bytes_per_second: unless_unknown(self.read),
            written_bytes_per_second: unless_unknown(self.written),
            fds: u64::from(self.fds),
            threads: u64::from(self.threads),
            processes: u32::from(self.processes),
            zombies: u32::from(self.zombies),
        }
    }
}

/// The most that can be said stands for all above it.
fn known(value: u64) -> u32 {
    u32::try_from(value).map_or(UNKNOWN - 1, |value| value.min(UNKNOWN - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at_ms: i64, rss_bytes: u64) -> TreeSample {
        TreeSample {
            at: Timestamp::from_millisecond(at_ms).unwrap(),
            cpu_percent: 12.5,
            rss_bytes,
            pss_bytes: Some(3 << 20),
            read_bytes_per_second: None,
            written_bytes_per_second: Some(7),
            fds: 70_000,
            threads: 400,
            processes: 3,
            zombies: 1,
        }
    }

    #[test]
    fn samples_come_back() {
        let mut ring = Ring::default();
        let taken = [
            sample(0, 5 << 30),
            sample(5_000, 5 << 30),
            sample(10_000, 6 << 30),
            sample(15_000, 5 << 30),
        ];
        for sample in &taken {
            ring.push(sample);
        }
        assert_eq!(ring.iter().collect::<Vec<_>>(), taken);
        assert_eq!((ring.len(), ring.last_ms()), (4, Some(15_000)));
        let huge = TreeSample {
            read_bytes_per_second: Some(u64::MAX),
            threads: 1 << 40,
            ..taken[0]
        };
        let back = Figures::of(&huge).at(0);
        assert_eq!(back.read_bytes_per_second, Some(u64::from(UNKNOWN - 1)));
        assert_eq!(back.threads, u64::from(u16::MAX));
    }

    #[test]
    fn a_process_that_stays_the_same_takes_one_span() {
        assert!(size_of::<Span>() <= 56);
        let mut ring = Ring::default();
        for step in 0..500 {
            ring.push(&sample(step * 5_003, 1 << 20));
            ring.forget_before((step - 120) * 5_003);
        }
        assert_eq!((ring.spans.len(), ring.len()), (1, 121));
        let times: Vec<i64> = ring.iter().map(|one| one.at.as_millisecond()).collect();
        let expected: Vec<i64> = (379..500).map(|step| step * 5_003).collect();
        assert_eq!(times, expected);
        ring.forget_before(i64::MAX);
        assert_eq!((ring.len(), ring.last_ms()), (0, None));
    }

    #[test]
    fn nothing_is_made_up_where_nobody_looked() {
        let mut ring = Ring::default();
        // Two minutes without a run, and a clock that was set back.
        for at in [0, 5_000, 10_000, 130_000, 135_000, 60_000, 360_000, 365_000] {
            ring.push(&sample(at, 1 << 20));
        }
        let times: Vec<i64> = ring.iter().map(|one| one.at.as_millisecond()).collect();
        let taken = [0, 5_000, 10_000, 130_000, 135_000, 60_000, 360_000, 365_000];
        assert_eq!(times, taken);
        assert_eq!(ring.spans.len(), 4);
    }
}
