//! Lets lines go when their time has come, between two batches of the indexer.
//!
//! What goes is decided in [`Pass`]; here is when. A look is a plan and many small steps, so
//! that new lines are indexed in between.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::ids::InstanceId;
use crate::logs::mend::Plan;
use crate::logs::retention::{Change, Pass, Retention};
use crate::paths::Stream;

/// A clock that went on by so much more than time did is not believed at first: it would
/// delete everything.
const JUMP_MS: i64 = 3_600_000;

/// What only the capture may do.
pub(in crate::logs) enum Order {
    /// No more goes into the current segment of a stream.
    Seal(InstanceId, Stream),
    /// A side index that was lost is put in place.
    Mend(Box<Plan>),
}

/// Asks the capture to do it.
pub(in crate::logs) type Orders = Arc<dyn Fn(Order) + Send + Sync>;

/// Knows when the next look is due.
pub(super) struct Keeper {
    retention: watch::Receiver<Retention>,
    orders: Orders,
    pass: Option<Pass>,
    /// The last look, by the clock and by time.
    last: Option<(i64, Instant)>,
}

impl Keeper {
    pub(super) fn new(retention: watch::Receiver<Retention>, orders: Orders) -> Self {
        Self {
            retention,
            orders,
            pass: None,
            last: None,
        }
    }

    /// Has the capture do something.
    pub(super) fn order(&self, order: Order) {
        (self.orders)(order);
    }

    fn is_due(&mut self, retention: &Retention, now_ms: i64) -> bool {
        let now = Instant::now();
        let Some((last_ms, last)) = self.last else {
            self.last = Some((now_ms, now));
            return true;
        };
        let passed = now.duration_since(last);
        if passed < retention.every() {
            return false;
        }
        self.last = Some((now_ms, now));
        let passed_ms = i64::try_from(passed.as_millis()).unwrap_or(i64::MAX);
        let jump = now_ms.saturating_sub(last_ms).saturating_sub(passed_ms);
        if jump > JUMP_MS {
            tracing::warn!(
                elapsed_ms = jump,
                "The clock went ahead; old logs are kept until the next look."
            );
            return false;
        }
        true
    }

    /// Does a little of what is due; gives the rows that go with it. `None` when nothing is.
    pub(super) fn step(
        &mut self,
        folder: &Path,
        index_bytes: impl FnOnce() -> u64,
        now_ms: i64,
    ) -> Option<Change> {
        if self.retention.has_changed().unwrap_or(false) {
            self.retention.mark_unchanged();
            (self.pass, self.last) = (None, None);
        }
        let retention = self.retention.borrow().clone();
        if self.pass.is_none() && self.is_due(&retention, now_ms) {
            match Pass::plan(folder, &retention, index_bytes(), now_ms) {
                Ok(mut pass) => {
                    for (instance, stream) in pass.to_seal.drain(..) {
                        self.order(Order::Seal(instance, stream));
                    }
                    self.pass = Some(pass);
                }
                Err(error) => tracing::warn!(%error, "Old logs could not be looked for."),
            }
        }
        match self.pass.as_mut()?.step(&retention) {
            Ok(Some(change)) => Some(change),
            Ok(None) => {
                self.pass = None;
                None
            }
            Err(error) => {
                tracing::warn!(%error, "Old logs could not be let go.");
                self.pass = None;
                None
            }
        }
    }
}
