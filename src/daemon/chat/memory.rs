//! The chats' database, opened by whoever needs it first: chats and notifications share it.

use std::path::PathBuf;
use std::sync::Arc;

use chat::store::Store;
use supervisor::{Clock, Paths};
use tokio::sync::OnceCell;

/// The database, open or not. Clones are the same.
#[derive(Clone)]
pub(crate) struct Memory {
    path: PathBuf,
    clock: Clock,
    store: Arc<OnceCell<Store>>,
}

impl Memory {
    pub(crate) fn new(paths: &Paths, clock: &Clock) -> Self {
        Self {
            path: paths.chats(),
            clock: clock.clone(),
            store: Arc::default(),
        }
    }

    /// Opens it, or says why it cannot be.
    pub(crate) async fn open(&self) -> Result<Store, String> {
        let open = async || {
            let (path, clock) = (self.path.clone(), self.clock.clone());
            let opened = tokio::task::spawn_blocking(move || Store::open(&path, clock)).await;
            match opened {
                Ok(opened) => opened.map_err(|error| error.to_string()),
                Err(error) => Err(error.to_string()),
            }
        };
        self.store.get_or_try_init(open).await.cloned()
    }

    /// Nobody writes any more.
    pub(crate) async fn close(&self) {
        if let Some(store) = self.store.get()
            && let Err(error) = store.checkpoint().await
        {
            tracing::warn!(%error, "What the chats remember could not be closed.");
        }
    }
}
