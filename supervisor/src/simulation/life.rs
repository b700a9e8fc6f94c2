//! One life of the daemon: what it asks of the world goes through here, and so does its death.
//!
//! A daemon that was killed does nothing any more that anybody could see. So after its death no
//! call of it is answered: its tasks stand still where they were, until the story is over.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio_util::sync::CancellationToken;

/// When a life ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It does not.
    Lives,
    /// In the call after so many more, which has no effect then.
    Before(u64),
    /// The same, and the call has its effect, but nobody learns of it.
    After(u64),
}

/// A life.
#[derive(Debug)]
pub(super) struct Life {
    dead: CancellationToken,
    fate: Mutex<Fate>,
    calls: AtomicU64,
}

impl Life {
    pub(super) fn new() -> Self {
        Self {
            dead: CancellationToken::new(),
            fate: Mutex::new(Fate::Lives),
            calls: AtomicU64::new(0),
        }
    }

    /// It will end like this.
    pub(super) fn doom(&self, fate: Fate) {
        let calls = self.calls.load(Ordering::Relaxed);
        *self.fate.lock().expect("no panic") = match fate {
            Fate::Lives => Fate::Lives,
            Fate::Before(more) => Fate::Before(calls + more),
            Fate::After(more) => Fate::After(calls + more),
        };
    }

    pub(super) fn kill(&self) {
        self.dead.cancel();
    }

    pub(super) fn is_over(&self) -> bool {
        self.dead.is_cancelled()
    }

    /// Waits for its end.
    pub(super) async fn over(&self) {
        self.dead.cancelled().await;
    }

    /// Does something in the world that takes time, unless it dies over it.
    pub(super) async fn call<T>(&self, effect: impl Future<Output = T>) -> T {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let fate = *self.fate.lock().expect("no panic");
        if fate == Fate::Before(number) {
            self.kill();
        }
        if !self.is_over() {
            // Its death first: what was still to be done in the same moment is not done any more.
            let done = tokio::select! {
                biased;
                () = self.dead.cancelled() => None,
                answer = effect => Some(answer),
            };
            if fate == Fate::After(number) {
                self.kill();
            }
            if let Some(answer) = done
                && !self.is_over()
            {
                return answer;
            }
        }
        std::future::pending().await
    }

    /// Does something that takes none. Nothing, once it is dead.
    pub(super) fn now<T>(&self, effect: impl FnOnce() -> T) -> Option<T> {
        (!self.is_over()).then(effect)
    }
}
