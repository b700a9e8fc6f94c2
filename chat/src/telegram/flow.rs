//! How fast Telegram is written to.
//!
//! Its documentation asks for no more than one message a second in a chat, 20 a minute in a
//! group and 30 a second in all. The limits here hold for every window of that length, not on
//! average. Whoever is told to wait all the same is left alone until then.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::clock::Clock;
use governor::state::keyed::HashMapStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{NotUntil, Quota, RateLimiter};
use tokio::time::Instant;

use crate::ChatError;
use crate::ticks::Ticks;

/// In one chat.
const SECOND: Duration = Duration::from_secs(1);
/// In one group: five at once and one each four seconds are 20 in any minute.
const GROUP: (u32, Duration) = (5, Duration::from_secs(4));
/// In all: five at once and one each 40 ms are 30 in any second.
const ALL: (u32, Duration) = (5, Duration::from_millis(40));
/// Chats that are remembered before idle ones are dropped.
const MOST_CHATS: usize = 1_000;

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    /// A new message.
    Message,
    /// Something that makes no new one.
    Edit,
}

type Chats =
    RateLimiter<i64, HashMapStateStore<i64>, Ticks, governor::middleware::NoOpMiddleware<Duration>>;
type All =
    RateLimiter<NotKeyed, InMemoryState, Ticks, governor::middleware::NoOpMiddleware<Duration>>;

/// The limits and how much of them is used.
pub(super) struct Flow {
    ticks: Ticks,
    all: All,
    chat: Chats,
    group: Chats,
    held: Mutex<HashMap<i64, Instant>>,
}

impl Flow {
    pub(super) fn new() -> Self {
        let ticks = Ticks::new();
        let chats = |quota| RateLimiter::new(quota, HashMapStateStore::default(), ticks.clone());
        Self {
            all: RateLimiter::direct_with_clock(quota(ALL), ticks.clone()),
            chat: chats(quota((1, SECOND))),
            group: chats(quota(GROUP)),
            held: Mutex::default(),
            ticks,
        }
    }

    /// Waits until something may be sent to this chat.
    ///
    /// # Errors
    /// [`ChatError::TooFast`] while Telegram has asked to leave the chat alone: that may be
    /// long, and nobody waits here for it.
    pub(super) async fn admit(&self, chat: i64, load: Load) -> Result<(), ChatError> {
        self.is_held(chat)?;
        self.forget();
        // Ids of groups and channels are below zero.
        if chat < 0 && load == Load::Message {
            self.wait(|| self.group.check_key(&chat)).await;
        }
        self.wait(|| self.chat.check_key(&chat)).await;
        self.wait(|| self.all.check()).await;
        self.is_held(chat)
    }

    /// As [`admit`](Self::admit), for what is in no chat.
    pub(super) async fn admit_any(&self) {
        self.wait(|| self.all.check()).await;
    }

    /// Telegram asks to leave the chat alone for so long.
    pub(super) fn hold(&self, chat: i64, after: Duration) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.insert(chat, Instant::now() + after);
    }

    fn is_held(&self, chat: i64) -> Result<(), ChatError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        held.retain(|_, until| *until > now);
        held.get(&chat).map_or(Ok(()), |until| {
            let after = *until - now;
            Err(ChatError::TooFast { after })
        })
    }

    async fn wait(&self, mut check: impl FnMut() -> Result<(), NotUntil<Duration>>) {
        while let Err(refused) = check() {
            tokio::time::sleep(refused.wait_time_from(self.ticks.now())).await;
        }
    }

    fn forget(&self) {
        for limiter in [&self.chat, &self.group] {
            if limiter.len() > MOST_CHATS {
                limiter.retain_recent();
            }
        }
    }
}

fn quota((burst, period): (u32, Duration)) -> Quota {
    let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
    Quota::with_period(period)
        .expect("a period is not zero")
        .allow_burst(burst)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When so many were let through, in order.
    async fn times(flow: &Flow, chats: impl Iterator<Item = i64>) -> Vec<Duration> {
        let begun = Instant::now();
        let mut times = Vec::new();
        for chat in chats {
            flow.admit(chat, Load::Message).await.unwrap();
            times.push(begun.elapsed());
        }
        times
    }

    /// Most within any window of this length.
    fn most(times: &[Duration], window: Duration) -> usize {
        let within = |from: &Duration| {
            let inside = |time: &&Duration| **time >= *from && **time < *from + window;
            times.iter().filter(inside).count()
        };
        times.iter().map(within).max().unwrap_or_default()
    }

    #[tokio::test(start_paused = true)]
    async fn one_chat_gets_one_a_second() {
        let flow = Flow::new();
        let times = times(&flow, std::iter::repeat_n(7, 10)).await;
        assert_eq!(most(&times, SECOND), 1);
        assert!(
            times[9] < Duration::from_secs(10),
            "and no slower: {times:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_group_gets_twenty_a_minute_and_edits_besides() {
        let flow = Flow::new();
        let times = times(&flow, std::iter::repeat_n(-7, 60)).await;
        let most = most(&times, Duration::from_secs(60));
        assert!((18..=20).contains(&most), "{most}");
        let begun = Instant::now();
        for _ in 0..30 {
            flow.admit(-7, Load::Edit).await.unwrap();
        }
        assert!(begun.elapsed() < Duration::from_secs(32));
    }

    #[tokio::test(start_paused = true)]
    async fn all_chats_together_get_thirty_a_second() {
        let flow = Flow::new();
        let times = times(&flow, 1..=200).await;
        let most = most(&times, SECOND);
        assert!((25..=30).contains(&most), "{most}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_chat_that_is_held_is_left_alone() {
        let flow = Flow::new();
        flow.hold(7, Duration::from_secs(20));
        let too_fast = flow.admit(7, Load::Message).await;
        let after = Duration::from_secs(20);
        assert_eq!(too_fast, Err(ChatError::TooFast { after }));
        assert_eq!(flow.admit(8, Load::Message).await, Ok(()), "others are not");
        tokio::time::advance(after).await;
        assert_eq!(flow.admit(7, Load::Message).await, Ok(()));
    }
}
