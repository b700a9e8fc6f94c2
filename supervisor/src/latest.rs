//! A value of which everybody sees the latest, and for which some wait.
//!
//! ```text
//!   Teller ──say──► value ◄──get── any number of Viewers
//!                     └──► those who wait, in the order in which they came
//! ```
//!
//! As `tokio::sync::watch`, but who has waited longest goes on first. That one has eight queues
//! for those who wait and puts each into a random one, for many processors that look at one
//! value; here there are many values, and few look at each.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

#[derive(Debug)]
struct Shared<T> {
    inner: Mutex<Inner<T>>,
    changed: Notify,
}

#[derive(Debug)]
struct Inner<T> {
    value: T,
    /// There is no teller any more.
    is_final: bool,
}

impl<T> Shared<T> {
    fn inner(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end that says what the value is. There is one; with it the value becomes final.
#[derive(Debug)]
pub(crate) struct Teller<T> {
    shared: Arc<Shared<T>>,
}

/// The end that looks at it. Clones look at the same value.
#[derive(Debug)]
pub(crate) struct Viewer<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Clone for Viewer<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> Teller<T> {
    /// A value that nobody looks at yet.
    pub(crate) fn new(value: T) -> Self {
        let inner = Inner {
            value,
            is_final: false,
        };
        let shared = Shared {
            inner: Mutex::new(inner),
            changed: Notify::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Lets somebody look.
    pub(crate) fn viewer(&self) -> Viewer<T> {
        Viewer {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Changes the value; those who wait look at it when `change` says that it did.
    pub(crate) fn say(&self, change: impl FnOnce(&mut T) -> bool) {
        if change(&mut self.shared.inner().value) {
            self.shared.changed.notify_waiters();
        }
    }
}

impl<T> Drop for Teller<T> {
    fn drop(&mut self) {
        self.shared.inner().is_final = true;
        self.shared.changed.notify_waiters();
    }
}

impl<T: Clone> Viewer<T> {
    /// The value now.
    pub(crate) fn get(&self) -> T {
        self.shared.inner().value.clone()
    }

    /// Waits until the value is such. False when it never will be. Cancel safe.
    pub(crate) async fn until(&self, mut such: impl FnMut(&T) -> bool) -> bool {
        loop {
            let mut change = std::pin::pin!(self.shared.changed.notified());
            // In the queue before the look, so that no change is missed.
            change.as_mut().enable();
            let (value, is_final) = {
                let inner = self.shared.inner();
                (inner.value.clone(), inner.is_final)
            };
            // Not under the lock: to look may be to ask others.
            if such(&value) {
                return true;
            }
            if is_final {
                return false;
            }
            change.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_came_first_goes_on_first() {
        let teller = Teller::new(0);
        let order = Arc::new(Mutex::new(Vec::new()));
        let waits = (0..20).map(|number| {
            let (viewer, order) = (teller.viewer(), Arc::clone(&order));
            tokio::spawn(async move {
                assert!(viewer.until(|value| *value == 1).await);
                order.lock().expect("no panic").push(number);
            })
        });
        let waits: Vec<_> = waits.collect();
        tokio::task::yield_now().await;
        teller.say(|value| {
            *value = 1;
            true
        });
        for wait in waits {
            wait.await.expect("no panic");
        }
        let order = order.lock().expect("no panic").clone();
        assert_eq!(order, (0..20).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn what_is_final_is_not_waited_for() {
        let teller = Teller::new("first");
        let viewer = teller.viewer();
        let waits = tokio::spawn(async move { viewer.until(|value| *value == "never").await });
        let viewer = teller.viewer();
        tokio::task::yield_now().await;
        drop(teller);
        assert!(!waits.await.expect("no panic"));
        assert_eq!(viewer.get(), "first");
        assert!(viewer.until(|value| *value == "first").await);
    }
}
