//! Waiting in tests for what nobody is told of: the end of a child that another test forks at the
//! same time, which holds every descriptor until it executes something.

use std::time::Duration;

/// Looks again and again, for a minute, whether it is so.
pub(super) fn comes_true(mut is_so: impl FnMut() -> bool) -> bool {
    for _ in 0..6_000 {
        if is_so() {
            return true;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    false
}
