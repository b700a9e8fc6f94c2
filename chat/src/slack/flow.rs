//! How fast Slack is written to.
//!
//! Its documentation asks for about one new message a second in a channel, and for no more
//! than 50 a minute of the other methods that are used here (tier 3). Whoever is told to wait
//! all the same leaves the channel, or the method, alone until then.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{NotUntil, Quota, RateLimiter};
use tokio::time::Instant;

use crate::ChatError;
use crate::ticks::Ticks;

/// New messages in one channel.
const MESSAGES: (u32, Duration) = (1, Duration::from_secs(1));
/// Calls of one other method: 15 at once and one each 1.7 s are 50 in any minute.
const OTHERS: (u32, Duration) = (15, Duration::from_millis(1_700));
/// Channels that are remembered before idle ones are dropped.
const MOST: usize = 1_000;

/// What is asked of Slack, as far as its pace goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load<'a> {
    /// A new message in this channel.
    Message(&'a str),
    /// A call of this method.
    Method(&'static str),
}

impl Load<'_> {
    fn key(self) -> String {
        match self {
            Self::Message(channel) => format!("#{channel}"),
            Self::Method(method) => method.to_owned(),
        }
    }
}

type Limits = RateLimiter<String, HashMapStateStore<String>, Ticks, NoOpMiddleware<Duration>>;

/// The limits and how much of them is used.
pub(super) struct Flow {
    ticks: Ticks,
    messages: Limits,
    others: Limits,
    held: Mutex<HashMap<String, Instant>>,
}

impl Flow {
    pub(super) fn new() -> Self {
        let ticks = Ticks::new();
        let limits =
            |pace| RateLimiter::new(quota(pace), HashMapStateStore::default(), ticks.clone());
        Self {
            messages: limits(MESSAGES),
            others: limits(OTHERS),
            held: Mutex::default(),
            ticks,
        }
    }

    /// Waits until it may be asked.
    ///
    /// # Errors
    /// [`ChatError::TooFast`] while Slack has asked to be left alone with it: that may be long,
    /// and nobody waits here for it.
    pub(super) async fn admit(&self, load: Load<'_>) -> Result<(), ChatError> {
        let key = load.key();
        self.is_held(&key)?;
        let limits = match load {
            Load::Message(_) => &self.messages,
            Load::Method(_) => &self.others,
        };
        if limits.len() > MOST {
            limits.retain_recent();
        }
        self.wait(|| limits.check_key(&key)).await;
        self.is_held(&key)
    }

    /// Slack asks to be left alone with it for so long.
    pub(super) fn hold(&self, load: Load<'_>, after: Duration) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.insert(load.key(), Instant::now() + after);
    }

    fn is_held(&self, key: &str) -> Result<(), ChatError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        held.retain(|_, until| *until > now);
        held.get(key).map_or(Ok(()), |until| {
            let after = *until - now;
            Err(ChatError::TooFast { after })
        })
    }

    async fn wait(&self, mut check: impl FnMut() -> Result<(), NotUntil<Duration>>) {
        while let Err(refused) = check() {
            tokio::time::sleep(refused.wait_time_from(self.ticks.now())).await;
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

    async fn times(flow: &Flow, load: Load<'_>, count: usize) -> Vec<Duration> {
        let begun = Instant::now();
        let mut times = Vec::new();
        for _ in 0..count {
            flow.admit(load).await.unwrap();
            times.push(begun.elapsed());
        }
        times
    }

    fn most(times: &[Duration], window: Duration) -> usize {
        let within = |from: &Duration| {
            let inside = |time: &&Duration| **time >= *from && **time < *from + window;
            times.iter().filter(inside).count()
        };
        times.iter().map(within).max().unwrap_or_default()
    }

    #[tokio::test(start_paused = true)]
    async fn one_channel_gets_one_a_second_and_others_besides() {
        let flow = Flow::new();
        let times = times(&flow, Load::Message("C1"), 10).await;
        assert_eq!(most(&times, Duration::from_secs(1)), 1);
        assert!(times[9] < Duration::from_secs(10), "and no slower");
        let begun = Instant::now();
        flow.admit(Load::Message("C2")).await.unwrap();
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_method_gets_fifty_a_minute() {
        let flow = Flow::new();
        let times = times(&flow, Load::Method("chat.update"), 120).await;
        let most = most(&times, Duration::from_secs(60));
        assert!((45..=51).contains(&most), "{most}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_is_left_alone() {
        let flow = Flow::new();
        let after = Duration::from_secs(20);
        flow.hold(Load::Message("C1"), after);
        let too_fast = flow.admit(Load::Message("C1")).await;
        assert_eq!(too_fast, Err(ChatError::TooFast { after }));
        assert_eq!(flow.admit(Load::Message("C2")).await, Ok(()));
        assert_eq!(flow.admit(Load::Method("C1")).await, Ok(()));
        tokio::time::advance(after).await;
        assert_eq!(flow.admit(Load::Message("C1")).await, Ok(()));
    }
}
