//! A set of levels, with one place for lines that have none.

use super::record::Level;

/// Which levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Levels(u8);

/// The place of lines without a level.
const NONE: u8 = 1 << 6;

impl Levels {
    /// Every line.
    pub(super) const ALL: Levels = Levels(0b0111_1111);
    /// No line.
    pub(super) const NOTHING: Levels = Levels(0);

    pub(super) fn of_bits(bits: u8) -> Self {
        Self(bits & Self::ALL.0)
    }

    pub(super) fn bits(self) -> u8 {
        self.0
    }

    /// The set of this one.
    pub(super) fn only(level: Option<Level>) -> Self {
        Self::only_rank(level.map(Level::rank))
    }

    fn only_rank(rank: Option<u8>) -> Self {
        Self(rank.map_or(NONE, |rank| 1 << rank.min(5)))
    }

    pub(super) fn with(self, other: Levels) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn without(self, other: Levels) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) fn shared_with(self, other: Levels) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn has(self, level: Option<Level>) -> bool {
        self.0 & Self::only(level).0 != 0
    }

    /// As [`Levels::has`], by rank.
    pub(super) fn has_rank(self, rank: Option<u8>) -> bool {
        self.0 & Self::only_rank(rank).0 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_told_apart() {
        let set = Levels::only(Some(Level::Warn)).with(Levels::only(None));
        assert!(set.has(None) && set.has(Some(Level::Warn)));
        assert!(!set.has(Some(Level::Error)) && !set.has_rank(Some(0)));
        assert!(Levels::ALL.without(set).has(Some(Level::Fatal)));
        assert_eq!(Levels::of_bits(set.bits()), set);
        assert!(Levels::ALL.without(Levels::ALL).is_empty());
        assert_eq!(Levels::ALL.shared_with(set), set);
    }
}
