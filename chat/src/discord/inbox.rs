//! What came in and is not on record yet.
//!
//! Discord delivers once, and again only what it sent after the last thing that a resumed
//! connection has seen. So what was handed out and not taken is kept here, and is handed out
//! again with the next connection; what comes twice is left out. What has to be looked up first
//! waits as if it were handed out, in front of nobody.

use std::collections::{HashSet, VecDeque};

use crate::{Incoming, Place, What};

/// Most that is not on record; a person who presses faster than mhost writes down is not heard.
const WAITING: usize = 1_000;
/// Deliveries that are remembered, to know what comes twice.
const KNOWN: usize = 2_000;

/// Something that came in.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) incoming: Incoming,
    /// It has still to be looked up whether its place is a thread.
    pub(super) unplaced: bool,
}

/// What waits, what was handed out, and what is known.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    waiting: VecDeque<Item>,
    handed: Vec<Item>,
    known: HashSet<String>,
    order: VecDeque<String>,
}

impl Inbox {
    /// It has come. `false` when it has come before, or is one too many.
    pub(super) fn put(&mut self, item: Item) -> bool {
        let delivery = &item.incoming.delivery;
        if self.known.contains(delivery) {
            return false;
        }
        if self.waiting.len() + self.handed.len() >= WAITING {
            tracing::warn!("More comes in from Discord than can be taken; some of it is left out.");
            return false;
        }
        self.known.insert(delivery.clone());
        self.order.push_back(delivery.clone());
        if self.order.len() > KNOWN
            && let Some(old) = self.order.pop_front()
        {
            self.known.remove(&old);
        }
        self.waiting.push_back(item);
        true
    }

    /// The next one.
    pub(super) fn next(&mut self) -> Option<Item> {
        let item = self.waiting.pop_front()?;
        self.handed.push(item.clone());
        Some(item)
    }

    /// It is known now where this channel is: what was looked up for it is next.
    pub(super) fn place(&mut self, channel: &str, place: &Place) {
        let meant = |item: &Item| item.unplaced && item.incoming.place.chat == channel;
        let (found, handed) = self.handed.drain(..).partition(meant);
        self.handed = handed;
        let found: Vec<Item> = found;
        for mut item in found.into_iter().rev() {
            if let What::Text { message, .. } = &mut item.incoming.what {
                message.place = place.clone();
            }
            item.incoming.place = place.clone();
            item.unplaced = false;
            self.waiting.push_front(item);
        }
    }

    /// It is on record.
    pub(super) fn take(&mut self, delivery: &str) {
        let other = |item: &Item| item.incoming.delivery != delivery;
        self.handed.retain(other);
        self.waiting.retain(other);
    }

    /// There is a new connection: what was not taken is handed out again, in its order.
    pub(super) fn again(&mut self) {
        for item in self.handed.drain(..).rev() {
            self.waiting.push_front(item);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::text;

    fn item(delivery: &str) -> Item {
        Item {
            incoming: Incoming {
                delivery: delivery.to_owned(),
                ..text("discord:175928847299117063", "7", "/status")
            },
            unplaced: false,
        }
    }

    fn next(inbox: &mut Inbox) -> Option<String> {
        inbox.next().map(|item| item.incoming.delivery)
    }

    #[test]
    fn what_was_not_taken_comes_again_in_its_order() {
        let mut inbox = Inbox::default();
        for delivery in ["1", "2", "3", "4"] {
            inbox.put(item(delivery));
        }
        for expected in ["1", "2", "3"] {
            assert_eq!(next(&mut inbox).as_deref(), Some(expected));
        }
        inbox.take("2");
        inbox.again();
        for expected in [Some("1"), Some("3"), Some("4"), None] {
            assert_eq!(next(&mut inbox).as_deref(), expected);
        }
    }

    #[test]
    fn what_comes_twice_is_handed_out_once() {
        let mut inbox = Inbox::default();
        inbox.put(item("1"));
        inbox.put(item("1"));
        assert_eq!(next(&mut inbox).as_deref(), Some("1"));
        inbox.take("1");
        inbox.put(item("1"));
        inbox.again();
        assert_eq!(next(&mut inbox), None);
    }

    #[test]
    fn what_is_looked_up_waits_beside_the_others_and_keeps_its_order() {
        let mut inbox = Inbox::default();
        for delivery in ["1", "2", "3"] {
            let mut one = item(delivery);
            one.unplaced = delivery != "2";
            inbox.put(one);
        }
        assert!(inbox.next().unwrap().unplaced);
        assert_eq!(next(&mut inbox).as_deref(), Some("2"));
        assert!(inbox.next().unwrap().unplaced);
        let place = Place {
            thread: Some("8".into()),
            ..Place::chat(crate::Platform::Discord, "7")
        };
        inbox.place("another", &place);
        assert_eq!(next(&mut inbox), None);
        inbox.place("175928847299117063", &place);
        for expected in ["1", "3"] {
            let item = inbox.next().unwrap();
            assert_eq!(item.incoming.delivery, expected);
            assert_eq!(item.incoming.place, place);
            assert_eq!(item.incoming.message().place, place);
            assert!(!item.unplaced);
        }
        inbox.place("175928847299117063", &place);
        assert_eq!(next(&mut inbox), None, "each once");
    }

    #[test]
    fn memory_has_a_bound() {
        let mut inbox = Inbox::default();
        for number in 0..2 * WAITING {
            inbox.put(item(&number.to_string()));
        }
        assert_eq!(inbox.waiting.len(), WAITING);
        for number in 0..3 * KNOWN {
            inbox.put(item(&format!("x{number}")));
            inbox.next();
            inbox.handed.clear();
        }
        assert_eq!((inbox.known.len(), inbox.order.len()), (KNOWN, KNOWN));
    }
}
