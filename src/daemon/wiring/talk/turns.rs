//! What people and the agent said to each other, until the daemon ends.
//!
//! So many turns of so many people: whoever was silent longest is forgotten first.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use brain::llm::Message;
use brain::redact::Marks;

/// Turns that the agent remembers of a person.
const TURNS: usize = 20;
/// People whose turns are remembered.
const PEOPLE: usize = 100;
/// Longest answer that is remembered, in characters.
const REMEMBERED: usize = 1_200;

/// What was said before, by who said it; who spoke last is last.
#[derive(Debug, Default)]
pub(in crate::daemon::wiring) struct Turns(Mutex<VecDeque<(String, Talked)>>);

/// A conversation so far. Its answers name secrets by these marks.
#[derive(Debug, Clone, Default)]
pub(super) struct Talked {
    pub(super) past: Past,
    pub(super) marks: Marks,
}

/// Questions and answers, oldest first.
pub(super) type Past = VecDeque<(String, String)>;

impl Turns {
    /// The conversation with somebody, begun if there is none.
    pub(super) fn of(&self, who: &str) -> Talked {
        self.last(who, |talked| talked.clone())
    }

    pub(super) fn add(&self, who: &str, asked: &str, answered: &str) {
        let short = answered.chars().take(REMEMBERED).collect();
        self.last(who, |talked| {
            talked.past.push_back((asked.to_owned(), short));
            while talked.past.len() > TURNS {
                talked.past.pop_front();
            }
        });
    }

    /// Does something with the conversation of who spoke last.
    fn last<T>(&self, who: &str, with: impl FnOnce(&mut Talked) -> T) -> T {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = all.iter().position(|(person, _)| person == who);
        let found = place.and_then(|place| all.remove(place));
        let mut one = found.unwrap_or_else(|| (who.to_owned(), Talked::default()));
        let done = with(&mut one.1);
        all.push_back(one);
        while all.len() > PEOPLE {
            all.pop_front();
        }
        done
    }
}

/// Turns as messages: the newest that have room in so many bytes.
pub(super) fn recalled(past: Past, mut room: usize) -> Vec<Message> {
    let newest = past.into_iter().rev().take_while(|(asked, answered)| {
        let size = asked.len() + answered.len();
        let fits = size <= room;
        room = room.saturating_sub(size);
        fits
    });
    let mut kept: Vec<_> = newest.collect();
    kept.reverse();
    kept.into_iter()
        .flat_map(|(asked, answered)| {
            [
                Message::User { text: asked },
                Message::Assistant {
                    text: answered,
                    calls: Vec::new(),
                },
            ]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_turns_are_remembered_for_each_person() {
        let turns = Turns::default();
        for n in 0..30 {
            turns.add("cli:ana", &format!("q{n}"), "a");
        }
        turns.add("cli:bob", "hello", "hi");
        let ana = turns.of("cli:ana").past;
        assert_eq!(ana.len(), TURNS);
        assert_eq!(ana[0].0, "q10");
        assert_eq!(turns.of("cli:bob").past.len(), 1);
        assert_eq!(turns.of("cli:eve").past.len(), 0);
        for n in 0..PEOPLE - 2 {
            turns.add(&format!("chat:{n}"), "q", "a");
        }
        assert_eq!(turns.of("cli:bob").past.len(), 1);
        let silent = turns.of("cli:ana").past;
        assert_eq!(silent.len(), 0, "whoever was silent longest");
    }

    #[test]
    fn the_newest_turns_that_have_room_are_recalled() {
        let past: Past = (0..5)
            .map(|n| (format!("q{n}"), "an answer".into()))
            .collect();
        let all = recalled(past.clone(), 1_000);
        assert_eq!(all.len(), 10);
        let some = recalled(past, 25);
        assert_eq!(some.len(), 4);
        assert_eq!(some[0], Message::User { text: "q3".into() });
    }
}
