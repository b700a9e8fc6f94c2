//! Socket Mode: a connection at all times, the next one opened before the last one ends.
//!
//! When Slack asks for another one again and again, each comes later than the one before; the
//! last one is read on meanwhile.
//!
//! The task lives as long as this does; dropped, all of its connections are gone.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::api::Api;
use super::line::{Line, Times};
use super::wire::Delivery;
use crate::ChatError;
use crate::again::Again;
use crate::queue::Queue;

/// Connections that are asked for too soon and opened at once all the same.
const FREE: u32 = 1;
/// Longest pause: less than the last one is read on.
const LONGEST: Duration = Duration::from_secs(20);

/// The connections of one app.
pub(super) struct Sockets {
    api: Arc<Api>,
    queue: Arc<Queue<Delivery>>,
    times: Times,
    /// One task, which owns all connections; none before the first one, or after the end.
    task: Mutex<JoinSet<()>>,
}

impl Sockets {
    pub(super) fn new(api: Arc<Api>, queue: Arc<Queue<Delivery>>, times: Times) -> Self {
        Self {
            api,
            queue,
            times,
            task: Mutex::default(),
        }
    }

    /// Makes sure that there is a connection.
    pub(super) async fn connect(&self) -> Result<(), ChatError> {
        let mut task = self.task.lock().await;
        while task.try_join_next().is_some() {}
        if !task.is_empty() {
            return Ok(());
        }
        let line = Line::open(&self.api, &self.queue, self.times).await?;
        let keep = keep(
            line,
            Arc::clone(&self.api),
            Arc::clone(&self.queue),
            self.times,
        );
        task.spawn(keep);
        Ok(())
    }

    /// Is there one, or will the queue say why there is none any more?
    pub(super) async fn is_connected(&self) -> bool {
        let mut task = self.task.lock().await;
        while task.try_join_next().is_some() {}
        !task.is_empty()
    }
}

/// Carries with one connection after the other, until one breaks.
async fn keep(first: Line, api: Arc<Api>, queue: Arc<Queue<Delivery>>, times: Times) {
    let mut lines = JoinSet::new();
    let mut line = first;
    let mut again = Again::new(FREE, LONGEST);
    let end = loop {
        let (turn, next) = oneshot::channel();
        let opened = Instant::now();
        lines.spawn(line.run(turn));
        match next.await {
            Ok(Ok(())) => tokio::time::sleep(again.ended(opened.elapsed())).await,
            Ok(Err(end)) => break end,
            Err(_) => break ChatError::Unavailable("a connection fell".into()),
        }
        line = match Line::open(&api, &queue, times).await {
            Ok(line) => line,
            Err(error) => break error,
        };
        while lines.try_join_next().is_some() {}
    };
    queue.fail(end);
}
