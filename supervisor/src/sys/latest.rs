//! A look at the machine that is shared by all who asked before it began.
//!
//! Whoever asks gets what was seen after the question, never before it: a look that has begun
//! already may have passed the place that matters. So one who asks while a look is under way
//! waits for the next one, together with all others who do, and a crowd costs two looks.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// The last look, and when it began.
#[derive(Debug)]
pub(super) struct Latest<T>(Mutex<Option<(Instant, T)>>);

impl<T: Clone> Latest<T> {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// What was seen after this was called, by this caller or by another one. A look that
    /// fails is shared with nobody.
    ///
    /// # Errors
    /// Those of `look`.
    pub(super) fn ask<E>(&self, look: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let asked = wall();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((began, seen)) = &*last
            && *began > asked
        {
            return Ok(seen.clone());
        }
        let began = wall();
        let seen = look()?;
        *last = Some((began, seen.clone()));
        Ok(seen)
    }
}

/// The same for those who must not keep a thread waiting: of a thousand there are few that may.
#[derive(Debug)]
pub(super) struct LatestOfAll<T>(tokio::sync::Mutex<Option<(Instant, T)>>);

impl<T: Clone + Send + 'static> LatestOfAll<T> {
    pub(super) const fn new() -> Self {
        Self(tokio::sync::Mutex::const_new(None))
    }

    /// As [`Latest::ask`]. The look is a task of its own: who asks may be a future that nobody
    /// polls for a while, such as one beside which its owner waits for another look, and must
    /// not keep the others from their turn meanwhile.
    ///
    /// # Errors
    /// Those of `look`.
    pub(super) async fn ask(
        &'static self,
        look: impl Future<Output = io::Result<T>> + Send + 'static,
    ) -> io::Result<T> {
        let asked = wall();
        let turn = tokio::spawn(async move {
            let mut last = self.0.lock().await;
            if let Some((began, seen)) = &*last
                && *began > asked
            {
                return Ok(seen.clone());
            }
            let began = wall();
            let seen = look.await?;
            *last = Some((began, seen.clone()));
            Ok(seen)
        });
        turn.await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}

/// The real monotonic clock: `/proc` does not stand still when a test pauses time.
#[expect(
    clippy::disallowed_methods,
    reason = "the age of a look is real time, also in tests with paused time"
)]
fn wall() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Eight ask in the middle of a look: it is not theirs.
    #[test]
    fn nobody_gets_what_was_seen_before_the_question() {
        let (latest, looks) = (Latest::new(), AtomicU32::new(0));
        let look = || Ok::<_, ()>(looks.fetch_add(1, Ordering::SeqCst));
        let [begun, go_on, asked] = [2, 2, 9].map(std::sync::Barrier::new);
        let seen: Vec<u32> = std::thread::scope(|scope| {
            let first = scope.spawn(|| {
                latest.ask(|| {
                    begun.wait();
                    go_on.wait();
                    look()
                })
            });
            begun.wait();
            let crowd: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        asked.wait();
                        latest.ask(look)
                    })
                })
                .collect();
            asked.wait();
            go_on.wait();
            assert_eq!(first.join().expect("no panic"), Ok(0));
            crowd
                .into_iter()
                .map(|one| one.join().expect("no panic").expect("looks"))
                .collect()
        });
        assert!(seen.iter().all(|number| *number >= 1), "{seen:?}");
        let failed: Result<u32, &str> = latest.ask(|| Err("no descriptor"));
        assert_eq!(failed, Err("no descriptor"));
    }

    async fn look(looks: &'static AtomicU32) -> io::Result<u32> {
        tokio::task::yield_now().await;
        Ok(looks.fetch_add(1, Ordering::SeqCst))
    }

    /// A hundred who ask while somebody looks share one look.
    #[tokio::test]
    async fn a_crowd_costs_two_looks() {
        static LATEST: LatestOfAll<u32> = LatestOfAll::new();
        static LOOKS: AtomicU32 = AtomicU32::new(0);
        let crowd = (0..101).map(|_| LATEST.ask(look(&LOOKS)));
        let seen = futures::future::join_all(crowd).await;
        assert!(seen.into_iter().all(|one| one.is_ok()));
        assert!(LOOKS.load(Ordering::SeqCst) <= 2);
    }

    /// An instance that waits for the end of a tree sends it a signal, and both look.
    #[tokio::test]
    async fn who_is_not_polled_keeps_nobody_waiting() {
        static LATEST: LatestOfAll<u32> = LatestOfAll::new();
        static LOOKS: AtomicU32 = AtomicU32::new(0);
        let mut first = Box::pin(LATEST.ask(look(&LOOKS)));
        assert!(futures::poll!(&mut first).is_pending());
        let second = LATEST.ask(look(&LOOKS));
        let soon = std::time::Duration::from_secs(10);
        let second = tokio::time::timeout(soon, second).await;
        second.expect("it has its turn").expect("looks");
        first.await.expect("looks");
    }
}
