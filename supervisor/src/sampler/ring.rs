//! A sample in 40 bytes, since every process keeps ten minutes of them.

use jiff::Timestamp;

use super::TreeSample;

/// In place of a number that is not known.
const UNKNOWN: u32 = u32::MAX;

/// A sample as it is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Compact {
    pub(super) at_ms: i64,
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

impl Compact {
    pub(super) fn of(sample: &TreeSample) -> Self {
        Self {
            at_ms: sample.at.as_millisecond(),
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

    pub(super) fn expand(self) -> TreeSample {
        let unless_unknown = |value: u32| (value != UNKNOWN).then_some(u64::from(value));
        TreeSample {
            at: Timestamp::from_millisecond(self.at_ms).unwrap_or(Timestamp::UNIX_EPOCH),
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

    #[test]
    fn a_sample_comes_back() {
        assert_eq!(size_of::<Compact>(), 40);
        let sample = TreeSample {
            at: Timestamp::UNIX_EPOCH,
            cpu_percent: 12.5,
            rss_bytes: 5 << 30,
            pss_bytes: Some(3 << 20),
            read_bytes_per_second: None,
            written_bytes_per_second: Some(7),
            fds: 70_000,
            threads: 400,
            processes: 3,
            zombies: 1,
        };
        assert_eq!(Compact::of(&sample).expand(), sample);
        let huge = TreeSample {
            read_bytes_per_second: Some(u64::MAX),
            threads: 1 << 40,
            ..sample
        };
        let back = Compact::of(&huge).expand();
        assert_eq!(back.read_bytes_per_second, Some(u64::from(UNKNOWN - 1)));
        assert_eq!(back.threads, u64::from(u16::MAX));
    }
}
