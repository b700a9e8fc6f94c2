//! So that nobody who asks much, or has no right to ask, stands before others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::Answer;
use crate::desk::Verdict;
use crate::{Incoming, Place, What};

/// Texts that are worked on at once, and as many presses: whoever fills the chat with questions
/// that take long delays no decision.
const AT_ONCE: usize = 32;

/// Turns to have something done.
#[derive(Debug)]
pub(super) struct Turns {
    texts: Arc<Semaphore>,
    presses: Arc<Semaphore>,
}

impl Default for Turns {
    fn default() -> Self {
        let all = || Arc::new(Semaphore::new(AT_ONCE));
        Self {
            texts: all(),
            presses: all(),
        }
    }
}

impl Turns {
    /// Waits for a turn; it is over when this is dropped.
    pub(super) async fn of(&self, incoming: &Incoming) -> Option<OwnedSemaphorePermit> {
        let turns = match incoming.what {
            What::Press { .. } => &self.presses,
            What::Text { .. } => &self.texts,
        };
        // Nobody closes it.
        turns.clone().acquire_owned().await.ok()
    }
}

/// Answers that wait for a slow place.
#[derive(Debug, Default)]
pub(super) struct Crowd(Mutex<BTreeMap<Place, usize>>);

/// Answers that wait in one place: what Telegram takes in a minute of a group.
const CROWD: usize = 20;

/// One of them.
#[derive(Debug)]
pub(super) struct Room<'a>(&'a Crowd, &'a Place);

impl Crowd {
    /// Is there room for one more?
    pub(super) fn enter<'a>(&'a self, place: &'a Place) -> Option<Room<'a>> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waiting.entry(place.clone()).or_default();
        if *count >= CROWD {
            return None;
        }
        *count += 1;
        Some(Room(self, place))
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        let mut waiting = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = waiting.get_mut(self.1) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(self.1);
            }
        }
    }
}

/// What strangers and those who are too fast have on record: each attempt, up to a number in a
/// minute, so that nobody washes the history of others away.
#[derive(Debug, Default)]
pub(super) struct Silences(Mutex<Option<(Instant, u32)>>);

/// Rows of silence in a minute.
const ROWS: u32 = 600;
const MINUTE: Duration = Duration::from_secs(60);

impl Silences {
    /// Does this one have its row? What was answered always has.
    pub(super) fn counts(&self, answer: &Answer) -> bool {
        let silent = answer.note.is_none() && answer.card.is_none();
        if !silent || !matches!(answer.verdict, Verdict::Denied | Verdict::TooFast) {
            return true;
        }
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match window.as_mut() {
            Some((began, count)) if now.duration_since(*began) < MINUTE => {
                *count = count.saturating_add(1);
                if *count == ROWS + 1 {
                    tracing::warn!(
                        "A flood of strangers; their further attempts of this minute are not recorded."
                    );
                }
                *count <= ROWS
            }
            _ => {
                *window = Some((now, 1));
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Platform;

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_strangers_has_a_bound_and_people_have_none() {
        let silences = Silences::default();
        let stranger = Answer::silent(Verdict::Denied, "not listed");
        let rows = (0..2 * ROWS).filter(|_| silences.counts(&stranger)).count();
        assert_eq!(rows, ROWS as usize);
        assert!(silences.counts(&Answer::refusal(Verdict::Denied, "no")));
        assert!(silences.counts(&Answer::quiet(Verdict::Done)));
        tokio::time::advance(MINUTE).await;
        assert!(silences.counts(&stranger));
    }

    #[test]
    fn a_place_holds_so_many() {
        let (crowd, place) = (Crowd::default(), Place::chat(Platform::Slack, "C1"));
        let mut rooms: Vec<_> = (0..CROWD).map(|_| crowd.enter(&place).unwrap()).collect();
        assert!(crowd.enter(&place).is_none());
        rooms.pop();
        assert!(crowd.enter(&place).is_some());
        drop(rooms);
        assert!(crowd.0.lock().unwrap().is_empty());
    }
}
