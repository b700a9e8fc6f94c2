//! What is missing in a compressed segment: lines whose level is kept for a shorter time.
//!
//! Offsets in a stream never change, so a segment that lost lines has gaps: places between
//! offsets where there is nothing any more. The list of them stands in a frame that zstd skips,
//! so that `zstdcat` gives the lines that are left. A reader sees zeros and a line end in a gap,
//! which keeps the lines around it apart, and leaves out what begins in one.
//!
//! ```text
//! kept levels (1) · number of gaps (4) · pairs of numbers: kept bytes before it, its length
//! ```
//!
//! The pairs are written in base 128, low part first: most take three bytes.

use crate::logs::levels::Levels;

/// A part of a segment that is not there any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Gap {
    /// Where it begins in the segment as it was printed.
    from: u64,
    length: u64,
    /// Bytes in all gaps before it.
    before: u64,
}

/// All gaps of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::logs) struct Gaps {
    /// Lines of these levels are left.
    pub(in crate::logs) kept: Levels,
    gaps: Vec<Gap>,
}

/// Where a byte of a segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spot {
    /// There, at this place among the bytes that are left; so many follow.
    Kept { at: u64, follow: u64 },
    /// In a gap that goes on for so many bytes.
    Gone { follow: u64 },
}

impl Default for Gaps {
    fn default() -> Self {
        Self {
            kept: Levels::ALL,
            gaps: Vec::new(),
        }
    }
}

impl Gaps {
    pub(in crate::logs) fn of(kept: Levels) -> Self {
        Self {
            kept,
            gaps: Vec::new(),
        }
    }

    /// Adds one that begins after all that are known; touching ones become one.
    pub(in crate::logs) fn push(&mut self, from: u64, to: u64) {
        let length = to.saturating_sub(from);
        match self.gaps.last_mut() {
            _ if length == 0 => {}
            Some(last) if last.from + last.length >= from => {
                last.length = last.length.max(to.saturating_sub(last.from));
            }
            last => {
                let before = last.map_or(0, |last| last.before + last.length);
                self.gaps.push(Gap {
                    from,
                    length,
                    before,
                });
            }
        }
    }

    pub(in crate::logs) fn is_empty(&self) -> bool {
        self.gaps.is_empty()
    }

    /// All bytes that are missing.
    pub(super) fn total(&self) -> u64 {
        self.gaps.last().map_or(0, |last| last.before + last.length)
    }

    fn last_from(&self, offset: u64) -> Option<&Gap> {
        let after = self.gaps.partition_point(|gap| gap.from <= offset);
        self.gaps.get(after.checked_sub(1)?)
    }

    /// Does this byte belong to a gap?
    pub(super) fn has(&self, offset: u64) -> bool {
        self.last_from(offset)
            .is_some_and(|gap| offset < gap.from + gap.length)
    }

    pub(super) fn spot(&self, offset: u64) -> Spot {
        let after = self.gaps.partition_point(|gap| gap.from <= offset);
        let next = self.gaps.get(after).map_or(u64::MAX, |gap| gap.from);
        let last = after.checked_sub(1).and_then(|at| self.gaps.get(at));
        match last {
            Some(gap) if offset < gap.from + gap.length => Spot::Gone {
                follow: gap.from + gap.length - offset,
            },
            last => Spot::Kept {
                at: offset - last.map_or(0, |gap| gap.before + gap.length),
                follow: next - offset,
            },
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![self.kept.bits()];
        let count = u32::try_from(self.gaps.len()).unwrap_or(u32::MAX);
        bytes.extend(count.to_le_bytes());
        let mut at = 0;
        for gap in &self.gaps {
            push_number(&mut bytes, gap.from - at);
            push_number(&mut bytes, gap.length);
            at = gap.from + gap.length;
        }
        bytes
    }

    /// Reads a list; `None` when it is none.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (kept, rest) = bytes.split_first()?;
        let (count, mut rest) = rest.split_first_chunk::<4>()?;
        let mut gaps = Self::of(Levels::of_bits(*kept));
        let mut at = 0_u64;
        for _ in 0..u32::from_le_bytes(*count) {
            let from = at.checked_add(take_number(&mut rest)?)?;
            let to = from.checked_add(take_number(&mut rest)?)?;
            gaps.push(from, to);
            at = to;
        }
        Some(gaps)
    }
}

fn push_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..63).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_spot() {
        let mut gaps = Gaps::of(Levels::ALL);
        for (from, to) in [(10, 20), (20, 25), (40, 41), (41, 41), (100, 300)] {
            gaps.push(from, to);
        }
        assert_eq!(gaps.total(), 15 + 1 + 200);
        let mut kept = 0;
        for offset in 0..400 {
            let gone = matches!(offset, 10..25 | 40 | 100..300);
            assert_eq!(gaps.has(offset), gone, "{offset}");
            match gaps.spot(offset) {
                Spot::Gone { follow } => {
                    assert!(gone && follow > 0, "{offset}");
                    assert!(!gaps.has(offset + follow), "{offset}");
                }
                Spot::Kept { at, follow } => {
                    assert_eq!(at, kept, "{offset}");
                    assert!(follow > 0 && (follow > 400 || gaps.has(offset + follow)));
                    kept += 1;
                }
            }
        }
        assert_eq!(Gaps::decode(&gaps.encode()), Some(gaps));
    }

    #[test]
    fn damage_is_no_list() {
        let mut gaps = Gaps::default();
        (0..300).for_each(|n| gaps.push(n * 1_000, n * 1_000 + n));
        let bytes = gaps.encode();
        assert_eq!(Gaps::decode(&bytes), Some(gaps));
        for cut in 0..bytes.len() {
            assert_eq!(Gaps::decode(&bytes[..cut]), None, "{cut}");
        }
        assert_eq!(Gaps::decode(&[0, 1, 0, 0, 0, 0xff, 0xff, 0xff]), None);
        assert_eq!(Gaps::decode(&[0xff; 40]), None);
    }
}
