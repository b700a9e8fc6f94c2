//! Which updates are on record, and how far Telegram may forget them.
//!
//! `getUpdates` knows one number: everything before it is forgotten. So it moves only over
//! updates that were taken, in the order in which Telegram has them; whatever waits behind one
//! that was not is delivered again, and what was taken of that is left out here.

use std::collections::BTreeMap;

/// Updates that Telegram still has, as far as we know: taken or not.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    seen: BTreeMap<i64, bool>,
}

impl Ledger {
    /// What the next poll may tell. `None` when there is nothing to tell: an old number would
    /// be wrong once Telegram has begun to count anew, which it does after an idle week.
    pub(super) fn offset(&self) -> Option<i32> {
        let done = self.seen.iter().take_while(|(_, taken)| **taken);
        let (last, _) = done.last()?;
        i32::try_from(last.saturating_add(1)).ok()
    }

    /// A poll with this number was answered.
    pub(super) fn told(&mut self, offset: Option<i32>) {
        if let Some(offset) = offset {
            self.seen = self.seen.split_off(&i64::from(offset));
        }
    }

    /// It has come, maybe again. Is it to be handed out?
    pub(super) fn admit(&mut self, id: i64) -> bool {
        !*self.seen.entry(id).or_insert(false)
    }

    /// It is on record.
    pub(super) fn take(&mut self, id: i64) {
        if let Some(taken) = self.seen.get_mut(&id) {
            *taken = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_taken_in_order_is_told() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.offset(), None);
        assert!([5, 6, 7].into_iter().all(|id| ledger.admit(id)));
        ledger.take(6);
        assert_eq!(ledger.offset(), None, "5 was not taken");
        ledger.told(None);
        // It comes again.
        assert!(ledger.admit(5));
        assert!(!ledger.admit(6), "that one is on record");
        ledger.take(5);
        assert_eq!(ledger.offset(), Some(7));
        ledger.told(Some(7));
        assert_eq!(ledger.offset(), None);
        ledger.take(7);
        assert_eq!(ledger.offset(), Some(8));
        ledger.told(Some(8));
        assert!(ledger.seen.is_empty());
        // After an idle week Telegram counts from anywhere.
        assert!(ledger.admit(2));
        ledger.take(2);
        assert_eq!(ledger.offset(), Some(3));
    }

    #[test]
    fn what_was_never_seen_cannot_be_taken() {
        let mut ledger = Ledger::default();
        ledger.take(9);
        assert_eq!(ledger.offset(), None);
    }
}
