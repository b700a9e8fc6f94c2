//! The guard that watches this daemon now. It may be replaced while we run.

use std::sync::{Arc, Mutex, PoisonError};

use supervisor::sys::GuardLink;

/// The guard of the moment. Clones see the same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Guarded {
    current: Arc<Mutex<Option<Arc<GuardLink>>>>,
}

impl Guarded {
    /// The guard that started us, if one did. Called once, before any descriptor is opened.
    pub(crate) fn from_env() -> Self {
        Self {
            current: Arc::new(Mutex::new(GuardLink::from_env())),
        }
    }

    /// The guard, dead or alive.
    pub(crate) fn link(&self) -> Option<Arc<GuardLink>> {
        self.current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The guard, while it lives.
    pub(crate) fn alive(&self) -> Option<Arc<GuardLink>> {
        self.link().filter(|guard| guard.is_alive())
    }

    /// Puts another in its place.
    pub(crate) fn replace(&self, guard: Arc<GuardLink>) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(guard);
    }

    /// Resolves when the guard is gone; never where there has been none.
    pub(crate) async fn gone(&self) {
        match self.link() {
            Some(guard) if guard.gone().await.is_ok() => {}
            _ => std::future::pending().await,
        }
    }
}
