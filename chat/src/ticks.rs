//! The time of limits on how often something is done: that of the runtime, so that tests can
//! move it and need not be quick.

use std::time::Duration;

use governor::clock::Clock;
use tokio::time::Instant;

/// Time since it was made.
#[derive(Debug, Clone)]
pub(crate) struct Ticks(Instant);

impl Ticks {
    /// Begins now.
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }
}

impl Clock for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}
