//! Every task has a name and an end.
//!
//! Nothing is spawned detached: a task goes through one [`Tasks`] set. Shutdown cancels the
//! token, joins with a deadline, and says what did not stop.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A set of named tasks that end together. Clones are the same set.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    cancel: CancellationToken,
    running: Arc<Mutex<BTreeMap<String, usize>>>,
}

/// Takes the task off the list, also when it panics.
struct Listed {
    name: String,
    running: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = running.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                running.remove(&self.name);
            }
        }
    }
}

impl Tasks {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs a task in this set. It should watch [`Tasks::cancelled`] and end soon after.
    pub fn spawn<F>(&self, name: impl Into<String>, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let name = name.into();
        *self
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(name.clone())
            .or_default() += 1;
        let listed = Listed {
            name,
            running: self.running.clone(),
        };
        // Not an async block around it, which would keep room for the task twice.
        self.tracker.spawn(task.map(move |output| {
            drop(listed);
            output
        }))
    }

    /// The token that tells tasks of this set to end.
    pub fn token(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// Waits until the set is told to end.
    pub async fn cancelled(&self) {
        self.cancel.cancelled().await;
    }

    /// Tells all tasks to end and waits for them, at most `deadline`. Returns the names of
    /// those that did not.
    pub async fn shutdown(&self, deadline: Duration) -> Vec<String> {
        self.cancel.cancel();
        self.tracker.close();
        match tokio::time::timeout(deadline, self.tracker.wait()).await {
            Ok(()) => Vec::new(),
            Err(_) => self
                .running
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .keys()
                .cloned()
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn says_what_did_not_stop() {
        let tasks = Tasks::new();
        let token = tasks.token();
        tasks.spawn("good", async move { token.cancelled().await });
        tasks.spawn("stubborn", std::future::pending::<()>());
        assert_eq!(
            tasks.shutdown(Duration::from_secs(1)).await,
            ["stubborn".to_owned()]
        );
    }
}
