//! How often somebody may ask.
//!
//! A person has 30 commands a minute and ten at once, a chat 60 a minute, and questions to a
//! model are six a minute: figures of `[bot] rate_limit` and of the platforms' own patience.
//! Whoever is too fast is told so once, and then nothing until the window frees.

use std::num::NonZeroU32;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{NotUntil, Quota, RateLimiter};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::ticks::Ticks;

/// Commands of one person at once.
const BURST: u32 = 10;
/// Commands in one chat, a minute.
const CHAT: u32 = 60;
/// Questions of one person, a minute.
const ASKING: u32 = 6;
/// Strangers that are answered in one chat, a minute.
const STRANGERS: u32 = 6;
/// How often a stranger is answered.
const STRANGER: Duration = Duration::from_secs(3_600);
/// Keys that are remembered before idle ones are dropped.
const MOST_KEYS: usize = 1_000;

/// May it be done now?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// Yes.
    Given,
    /// No, and they should be told: it is the first time in this window.
    TooFast {
        /// When the next one is taken.
        after: Duration,
    },
    /// No, and they were told.
    Silence,
}

type Limits = RateLimiter<String, HashMapStateStore<String>, Ticks, NoOpMiddleware<Duration>>;

/// The limits and who has used how much of them.
pub struct Pace {
    ticks: Ticks,
    /// With the figure that it keeps to.
    person: RwLock<(NonZeroU32, Arc<Limits>)>,
    chat: Limits,
    asking: Limits,
    strangers: Limits,
    /// Once each: strangers by the hour, and people by the window they were told about.
    told: Arc<Mutex<Told>>,
}

#[derive(Default)]
struct Told {
    strangers: Vec<(String, Instant)>,
    fast: Vec<(String, Instant)>,
}

impl std::fmt::Debug for Pace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pace").finish_non_exhaustive()
    }
}

impl Pace {
    /// With so many commands a minute for each person; none means the default.
    pub fn new(per_minute: NonZeroU32) -> Self {
        let ticks = Ticks::new();
        let limits = |most: u32| {
            let most = NonZeroU32::new(most).unwrap_or(NonZeroU32::MIN);
            keyed(Quota::per_minute(most), &ticks)
        };
        Self {
            person: RwLock::new((per_minute, of_person(per_minute, &ticks))),
            chat: limits(CHAT),
            asking: limits(ASKING),
            strangers: limits(STRANGERS),
            told: Arc::default(),
            ticks,
        }
    }

    /// An answer of this person to a question: it counts for them, and not for the chat.
    pub async fn admit_person(&self, person: &str) -> Leave {
        self.forget();
        let key = person.to_owned();
        match self.person().check_key(&key) {
            Ok(()) => Leave::Given,
            Err(refused) => self.refuse(key, &refused).await,
        }
    }

    /// Another figure is in force. What was used of the old one is forgotten.
    pub fn keep(&self, per_minute: NonZeroU32) {
        let mut person = self.person.write().unwrap_or_else(PoisonError::into_inner);
        if person.0 != per_minute {
            *person = (per_minute, of_person(per_minute, &self.ticks));
        }
    }

    fn person(&self) -> Arc<Limits> {
        let person = self.person.read().unwrap_or_else(PoisonError::into_inner);
        person.1.clone()
    }

    /// A command or press of this person in this chat; `asking` when a model would be asked.
    pub async fn admit(&self, person: &str, chat: &str, asking: bool) -> Leave {
        self.forget();
        let key = person.to_owned();
        // A press in vain must not use up what the whole chat may do.
        let refused = match self.person().check_key(&key) {
            Err(refused) => Some(refused),
            Ok(()) => match asking.then(|| self.asking.check_key(&key)) {
                Some(Err(refused)) => Some(refused),
                _ => self.chat.check_key(&chat.to_owned()).err(),
            },
        };
        let Some(refused) = refused else {
            return Leave::Given;
        };
        self.refuse(key, &refused).await
    }

    async fn refuse(&self, key: String, refused: &NotUntil<Duration>) -> Leave {
        let after = refused.wait_time_from(self.ticks.now());
        let mut told = self.told.lock().await;
        let now = Instant::now();
        told.fast.retain(|(_, until)| *until > now);
        if told.fast.iter().any(|(who, _)| *who == key) {
            return Leave::Silence;
        }
        if told.fast.len() < MOST_KEYS {
            told.fast.push((key, now + after));
        }
        Leave::TooFast { after }
    }

    /// Is this stranger answered in this chat? Once an hour each, and few of them.
    pub async fn answers_stranger(&self, person: &str, chat: &str) -> bool {
        self.forget();
        let mut told = self.told.lock().await;
        let now = Instant::now();
        told.strangers.retain(|(_, until)| *until > now);
        // With so many strangers at once nobody is answered: it is no conversation.
        if told.strangers.len() >= MOST_KEYS || told.strangers.iter().any(|(who, _)| who == person)
        {
            return false;
        }
        if self.strangers.check_key(&chat.to_owned()).is_err() {
            return false;
        }
        told.strangers.push((person.to_owned(), now + STRANGER));
        true
    }

    fn forget(&self) {
        let person = self.person();
        for limiter in [&*person, &self.chat, &self.asking, &self.strangers] {
            if limiter.len() > MOST_KEYS {
                limiter.retain_recent();
            }
        }
    }
}

fn keyed(quota: Quota, ticks: &Ticks) -> Limits {
    RateLimiter::new(quota, HashMapStateStore::default(), ticks.clone())
}

fn of_person(per_minute: NonZeroU32, ticks: &Ticks) -> Arc<Limits> {
    let burst = NonZeroU32::new(BURST).unwrap_or(NonZeroU32::MIN);
    let quota = Quota::per_minute(per_minute).allow_burst(per_minute.min(burst));
    Arc::new(keyed(quota, ticks))
}

impl Pace {
    /// Commands of one person in a minute, where the settings say nothing.
    pub const PER_MINUTE: NonZeroU32 = NonZeroU32::new(30).expect("it is not zero");
}

impl Default for Pace {
    fn default() -> Self {
        Self::new(Self::PER_MINUTE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whoever_is_too_fast_is_told_once() {
        let pace = Pace::default();
        for _ in 0..BURST {
            assert_eq!(
                pace.admit("telegram:1", "telegram:-1", false).await,
                Leave::Given
            );
        }
        let told = pace.admit("telegram:1", "telegram:-1", false).await;
        assert!(matches!(told, Leave::TooFast { after } if after <= Duration::from_secs(2)));
        assert_eq!(
            pace.admit("telegram:1", "telegram:-1", false).await,
            Leave::Silence
        );
        // Somebody else is not.
        assert_eq!(
            pace.admit("telegram:2", "telegram:-1", false).await,
            Leave::Given
        );
        // A moment later one more is taken.
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(
            pace.admit("telegram:1", "telegram:-1", false).await,
            Leave::Given
        );
    }

    #[tokio::test(start_paused = true)]
    async fn another_figure_counts_at_once_and_the_same_one_forgives_nothing() {
        let pace = Pace::default();
        for _ in 0..BURST {
            pace.admit("telegram:1", "telegram:-1", false).await;
        }
        pace.keep(Pace::PER_MINUTE);
        let refused = pace.admit("telegram:1", "telegram:-1", false).await;
        assert!(matches!(refused, Leave::TooFast { .. }));
        pace.keep(NonZeroU32::MIN);
        let given = pace.admit("telegram:1", "telegram:-1", false).await;
        assert_eq!(given, Leave::Given);
        let refused = pace.admit("telegram:1", "telegram:-1", false).await;
        assert_ne!(refused, Leave::Given, "one a minute");
    }

    #[tokio::test(start_paused = true)]
    async fn questions_are_fewer_and_a_chat_has_its_own_limit() {
        let pace = Pace::default();
        for _ in 0..ASKING {
            assert_eq!(pace.admit("slack:1", "slack:C", true).await, Leave::Given);
        }
        assert!(matches!(
            pace.admit("slack:1", "slack:C", true).await,
            Leave::TooFast { .. }
        ));
        let mut given = 0;
        for person in 0..100 {
            let person = format!("slack:p{person}");
            given += u32::from(pace.admit(&person, "slack:D", false).await == Leave::Given);
        }
        assert_eq!(given, CHAT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stranger_is_answered_once_an_hour() {
        let pace = Pace::default();
        let answers = async |person: &str| pace.answers_stranger(person, "discord:C").await;
        assert!(answers("discord:9").await);
        assert!(!answers("discord:9").await);
        assert!(answers("discord:8").await);
        // A crowd of them does not make the bot speak all day.
        let mut count = 2;
        for person in 0..100 {
            count += u32::from(answers(&format!("discord:p{person}")).await);
        }
        assert_eq!(count, STRANGERS);
    }
}
