//! What is wrong with a part that the daemon can do without: it is said with its state.

use std::sync::{Arc, Mutex, PoisonError};

/// All of it. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Troubles(Arc<Mutex<Vec<String>>>);

impl Troubles {
    /// One more, in a sentence that ends with what to type.
    pub(crate) fn add(&self, what: String) {
        self.lock().push(what);
    }

    /// Each, in the order in which they came.
    pub(crate) fn all(&self) -> Vec<String> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
