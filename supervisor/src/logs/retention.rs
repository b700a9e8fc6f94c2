//! How long lines are kept, by their level, and how much all of them may take.
//!
//! ```text
//!   each hour:  plan over all sealed segments ──► one step a round ──► thinned or deleted
//! ```
//!
//! A sealed segment whose newest line is older than its level is kept loses the lines of that
//! level; one that has nothing left is deleted. Over the bound for the disk, the oldest
//! segments lose the lines of the lowest level first, then those of the next. Only sealed
//! segments are touched; a current one that is old is sealed first, which the capture does.
//! What rows of the index go with them is told to the caller.

mod thin;

use std::collections::VecDeque;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use super::levels::Levels;
use super::lost;
use super::names::{Names, streams_in};
use super::packed::Bytes;
use super::record::Level;
use super::side::Index;
use crate::ids::InstanceId;
use crate::paths::Stream;

/// Longest and shortest time between two looks.
const LOOKS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3_600));
/// A current segment is sealed when it reaches over this part of the shortest time that lines
/// are kept: a line stays at most so much longer than it should.
const PART: u32 = 4;
/// Smaller current segments are not sealed to get room.
const WORTH_SEALING: u64 = 64 << 10;

/// How long and how much is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// Lines of level info and below.
    pub info: Duration,
    /// Warnings.
    pub warn: Duration,
    /// Errors.
    pub error: Duration,
    /// Fatal ones.
    pub fatal: Duration,
    /// Lines without a level.
    pub default: Duration,
    /// Most bytes of all segments and the index together.
    pub max_bytes: u64,
}

impl Default for Retention {
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        Self {
            info: days(7),
            warn: days(30),
            error: days(30),
            fatal: days(90),
            default: days(7),
            max_bytes: 2 << 30,
        }
    }
}

impl Retention {
    /// Levels that go together, lowest first.
    fn classes(&self) -> [(Levels, Duration); 5] {
        let low = [Level::Trace, Level::Debug, Level::Info];
        let low = low.map(|level| Levels::only(Some(level)));
        [
            (Levels::only(None), self.default),
            (low[0].with(low[1]).with(low[2]), self.info),
            (Levels::only(Some(Level::Warn)), self.warn),
            (Levels::only(Some(Level::Error)), self.error),
            (Levels::only(Some(Level::Fatal)), self.fatal),
        ]
    }

    /// What is still kept of lines of this age.
    fn kept_after(&self, age: Duration) -> Levels {
        let classes = self.classes().into_iter();
        classes
            .filter(|(_, kept)| age <= *kept)
            .fold(Levels::NOTHING, |all, (levels, _)| all.with(levels))
    }

    fn shortest(&self) -> Duration {
        let all = self.classes().map(|(_, kept)| kept);
        all.into_iter().min().unwrap_or_default()
    }

    /// Between two looks.
    pub(super) fn every(&self) -> Duration {
        (self.shortest() / PART).clamp(LOOKS.0, LOOKS.1)
    }
}

/// Rows of the index that go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// Between these offsets only these levels are left.
    Thinned {
        stem: String,
        from: u64,
        to: u64,
        kept: Levels,
    },
    /// The stream begins at this offset now.
    Begins { stem: String, first: u64 },
}

/// A sealed segment.
#[derive(Debug, Clone)]
struct Sealed {
    names: Names,
    number: u64,
    newest_ms: i64,
    /// What it has.
    levels: Levels,
    /// It cannot be read, so it goes as a whole or not at all.
    lost: bool,
    /// Bytes on the disk.
    size: u64,
}

/// A look at all segments, done step by step.
#[derive(Debug, Default)]
pub(super) struct Pass {
    /// To be thinned for its age, and to what.
    aged: VecDeque<(Sealed, Levels)>,
    /// All that could go for want of room, oldest first.
    rest: Vec<Sealed>,
    /// Bytes that are too much.
    over: u64,
    /// How many bytes go on the whole for one of a segment: its part of the index goes, too.
    weight: f64,
    /// Current segments that are old, or too many.
    pub(super) to_seal: Vec<(InstanceId, Stream)>,
}

impl Pass {
    /// Looks at all that is kept. `index_bytes` is what the index takes.
    pub(super) fn plan(
        folder: &Path,
        retention: &Retention,
        index_bytes: u64,
        now_ms: i64,
    ) -> io::Result<Self> {
        let mut pass = Self::default();
        let mut segments = 0;
        let mut currents = Vec::new();
        for names in streams_in(folder)? {
            let Some(owner) = names.owner() else {
                continue;
            };
            let Some(mut current) = Index::open(&names.index())? else {
                continue;
            };
            let size = size_of(&names.log()) + size_of(&names.index());
            segments += size;
            if let Some(first) = current.get(0)? {
                let age = age(first.ts_ms, now_ms);
                if size_of(&names.log()) == 0 {
                    // Nothing to seal.
                } else if age > retention.shortest() / PART {
                    pass.to_seal.push(owner);
                } else if size >= WORTH_SEALING {
                    currents.push((first.ts_ms, owner));
                }
            }
            for number in names.sealed()? {
                if number < current.header.number
                    && let Some(sealed) = Sealed::look(&names, number)
                {
                    segments += sealed.size;
                    pass.add(sealed, retention, now_ms);
                }
            }
        }
        let all = segments + index_bytes;
        pass.over = all.saturating_sub(retention.max_bytes);
        pass.weight = all as f64 / segments.max(1) as f64;
        pass.rest.sort_by_key(|sealed| sealed.newest_ms);
        if pass.over > 0 && pass.rest.iter().all(|sealed| sealed.levels.is_empty()) {
            // The next look can take from these.
            currents.sort_by_key(|(first_ms, _)| *first_ms);
            let half = currents.len().div_ceil(2);
            let oldest = currents.into_iter().take(half).map(|(_, owner)| owner);
            pass.to_seal.extend(oldest);
        }
        Ok(pass)
    }

    fn add(&mut self, sealed: Sealed, retention: &Retention, now_ms: i64) {
        let kept = retention.kept_after(age(sealed.newest_ms, now_ms));
        let left = sealed.levels.shared_with(kept);
        if sealed.lost && !(left.is_empty() && sealed.is_oldest()) {
            // Whoever asks for its lines is told.
        } else if left == sealed.levels && !(left.is_empty() && sealed.is_oldest()) {
            self.rest.push(sealed);
        } else {
            self.aged.push_back((sealed, left));
        }
    }

    /// Does one step. `None` when there is nothing left to do.
    pub(super) fn step(&mut self, retention: &Retention) -> io::Result<Option<Change>> {
        if let Some((sealed, left)) = self.aged.pop_front() {
            return self.reduce(sealed, left).map(Some);
        }
        if self.over == 0 {
            return Ok(None);
        }
        let [none, low, warn, error, fatal] = retention.classes().map(|(levels, _)| levels);
        for levels in [none.with(low), warn, error, fatal] {
            let found = self
                .rest
                .iter()
                .position(|sealed| !sealed.levels.shared_with(levels).is_empty());
            if let Some(at) = found {
                let sealed = self.rest.remove(at);
                let left = sealed.levels.without(levels);
                return self.reduce(sealed, left).map(Some);
            }
        }
        self.over = 0;
        Ok(None)
    }

    /// Leaves only these levels of a segment.
    fn reduce(&mut self, mut sealed: Sealed, left: Levels) -> io::Result<Change> {
        let before = sealed.size;
        let stem = sealed.names.stem().to_owned();
        let change = if left.is_empty() && sealed.is_oldest() {
            let first = sealed.after()?;
            sealed.names.let_go(sealed.number)?;
            sealed.size = 0;
            Change::Begins { stem, first }
        } else {
            let (from, to) = thin::thin(&sealed.names, sealed.number, left)?;
            sealed.size = size_of(&sealed.names.packed_log(sealed.number))
                + size_of(&sealed.names.sealed_index(sealed.number));
            Change::Thinned {
                stem,
                from,
                to,
                kept: left,
            }
        };
        sealed.levels = left;
        let gone = before.saturating_sub(sealed.size) as f64 * self.weight;
        self.over = self.over.saturating_sub(gone as u64);
        if sealed.size > 0 {
            let at = self
                .rest
                .partition_point(|other| other.newest_ms <= sealed.newest_ms);
            self.rest.insert(at, sealed);
        }
        Ok(change)
    }
}

impl Sealed {
    fn look(names: &Names, number: u64) -> Option<Self> {
        let files = [
            names.sealed_log(number),
            names.packed_log(number),
            names.sealed_index(number),
        ];
        let index = Index::open(&names.sealed_index(number)).ok().flatten();
        let newest = index.and_then(|mut index| index.last().ok().flatten());
        let bytes = Bytes::open_sealed(names, number).ok().flatten();
        let newest_ms = match newest {
            Some(newest) => newest.ts_ms,
            // No line of it came after its files were last written.
            None => files.iter().filter_map(|path| written_ms(path)).max()?,
        };
        Some(Self {
            names: names.clone(),
            number,
            newest_ms,
            lost: newest.is_none() || bytes.is_none(),
            levels: bytes
                .and_then(|bytes| bytes.gaps().map(|gaps| gaps.kept))
                .unwrap_or(Levels::ALL),
            size: files.iter().map(|path| size_of(path)).sum(),
        })
    }

    /// None before it: it can go without a hole in the stream.
    fn is_oldest(&self) -> bool {
        let all = self.names.sealed();
        all.is_ok_and(|all| all.first() == Some(&self.number))
    }

    /// Where the stream goes on after it.
    fn after(&self) -> io::Result<u64> {
        let next = self.names.sealed_index(self.number + 1);
        if let Some(index) = Index::open(&next)? {
            return Ok(index.header.base);
        }
        let end = lost::end_below(&self.names, self.number + 1)?;
        Ok(end.map_or(0, |end| end.offset))
    }
}

/// Segments of a stream from which lines are missing, with what is left of them.
pub(super) fn thinned(names: &Names) -> Vec<(u64, u64, Levels)> {
    let mut found = Vec::new();
    for number in names.sealed().unwrap_or_default() {
        let index = Index::open(&names.sealed_index(number)).ok().flatten();
        let bytes = Bytes::open_sealed(names, number).ok().flatten();
        if let (Some(index), Some(bytes)) = (index, bytes)
            && let Some(gaps) = bytes.gaps()
            && gaps.kept != Levels::ALL
        {
            let from = index.header.base;
            found.push((from, from + bytes.size(), gaps.kept));
        }
    }
    found
}

fn age(then_ms: i64, now_ms: i64) -> Duration {
    Duration::from_millis(now_ms.saturating_sub(then_ms).max(0).unsigned_abs())
}

/// When a file was last written; nothing when there is none.
fn written_ms(path: &Path) -> Option<i64> {
    let metadata = std::fs::metadata(path).ok()?;
    Some(metadata.mtime() * 1_000 + metadata.mtime_nsec() / 1_000_000)
}

fn size_of(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_go_by_their_age() {
        let retention = Retention::default();
        let day = Duration::from_secs(86_400);
        let has = |age: u32, level: Option<Level>| retention.kept_after(day * age).has(level);
        assert!(has(7, None) && has(7, Some(Level::Trace)));
        assert!(!has(8, None) && !has(8, Some(Level::Info)) && has(8, Some(Level::Warn)));
        assert!(has(30, Some(Level::Error)) && !has(31, Some(Level::Error)));
        assert!(has(31, Some(Level::Fatal)) && !has(91, Some(Level::Fatal)));
        assert_eq!(retention.every(), Duration::from_secs(3_600));
        let short = Retention {
            info: Duration::from_secs(2),
            ..retention
        };
        assert_eq!(short.every(), Duration::from_secs(1));
    }
}
