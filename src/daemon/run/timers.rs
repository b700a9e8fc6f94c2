//! Timers of the daemon's own loop, of which some may be absent.

use std::pin::Pin;
use std::time::Duration;

use supervisor::Clock;
use tokio::time::{Instant, Interval, MissedTickBehavior, Sleep};

pub(super) fn every(period: Duration) -> Interval {
    let start = Instant::now() + period;
    let mut interval = tokio::time::interval_at(start, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// The same, together with all others who look at this pace.
pub(super) fn on_beat(clock: &Clock, period: Duration) -> Interval {
    let mut interval = tokio::time::interval_at(clock.beat(period), period);
    // One that comes late does not fall out of step.
    interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    interval
}

pub(super) async fn tick(interval: &mut Option<Interval>) {
    match interval {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}

/// Resolves once when the time is over.
pub(super) async fn over(timer: &mut Option<Pin<Box<Sleep>>>) {
    match timer {
        Some(sleep) => {
            sleep.await;
            *timer = None;
        }
        None => std::future::pending().await,
    }
}

/// Begins to wait anew: something happens.
pub(super) fn again(timer: &mut Option<Pin<Box<Sleep>>>, wait: Duration) {
    let deadline = Instant::now() + wait;
    match timer {
        Some(sleep) => sleep.as_mut().reset(deadline),
        None => *timer = Some(Box::pin(tokio::time::sleep_until(deadline))),
    }
}
