//! Follows kept lines as they come.
//!
//! A follower reads segments at its own pace and holds no queue: one that is slow delays
//! nobody and loses nothing, it is only later.

use std::time::Duration;

use tokio::sync::watch;

use super::ingest::Ingest;
use super::{LogError, LogPage, LogQuery, Source, query};
use crate::paths::Paths;

/// Longest wait for new lines: an unfinished line becomes visible by time alone.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Most lines of a page while following.
const PAGE: usize = 1_000;

/// Yields pages of new lines.
#[derive(Debug)]
pub struct Follower {
    paths: Paths,
    query: LogQuery,
    grew: watch::Receiver<u64>,
    /// The last page was full: there is more without waiting.
    more: bool,
}

impl Follower {
    /// Follows from `query.after` on; without it the first page is the last `query.lines`.
    pub fn new(paths: &Paths, ingest: &Ingest, query: LogQuery) -> Self {
        Self {
            paths: paths.clone(),
            query,
            grew: ingest.grew(),
            more: true,
        }
    }

    /// The next page: at once if there are lines, else when there are some, or an empty one
    /// after a second, so that the caller can see whether its sources are still the same.
    /// `next` of the page is where another follower would go on.
    ///
    /// Dropping the future loses nothing: the place moves only with a page that was returned.
    ///
    /// # Errors
    /// As [`query()`].
    pub async fn next(&mut self, sources: &[Source]) -> Result<LogPage, LogError> {
        if !self.more {
            let news = tokio::time::timeout(LOOK_EVERY, self.grew.changed());
            if let Ok(Err(_closed)) = news.await {
                // Nothing comes any more; only an unfinished line may still become visible.
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        let first = self.query.after.is_none();
        let mut asked = self.query.clone();
        if !first {
            asked.lines = PAGE;
        }
        let (paths, sources) = (self.paths.clone(), sources.to_vec());
        let page = tokio::task::spawn_blocking(move || query(&paths, &sources, &asked));
        let page = match page.await {
            Ok(page) => page?,
            Err(error) => {
                return Err(LogError::Read {
                    folder: self.paths.logs(),
                    source: std::io::Error::other(error),
                });
            }
        };
        self.more = first || page.cut || page.lines.len() >= PAGE;
        self.query.after = Some(page.next.clone());
        Ok(page)
    }
}
