//! The runtime of the daemon, or an orderly end without one.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tracing::error;

use super::{StartError, cannot};
use crate::daemon::guarded::Guarded;

/// Worker threads. The work is small; two keep a long answer from delaying a restart.
const WORKERS: usize = 2;

/// Starts the runtime. Where the system gives no thread it panics, and then waits for ever for
/// threads that have nothing to do: the guard would take that for a living daemon. So the panic
/// ends the program, and the guard tries again.
pub(super) fn build(guard: &Guarded) -> Result<Runtime, StartError> {
    const CODE: u8 = 1;
    let usual = std::panic::take_hook();
    let guard = guard.clone();
    std::panic::set_hook(Box::new(move |info| {
        let error = info.payload_as_str().unwrap_or("the runtime panicked");
        error!(error, "The daemon could not start.");
        if let Some(guard) = guard.link() {
            guard.later(CODE.into());
        }
        std::process::exit(CODE.into());
    }));
    let built = Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(16)
        .thread_keep_alive(Duration::from_secs(2))
        .thread_stack_size(1024 * 1024)
        .thread_name("mhost")
        .enable_all()
        .build();
    std::panic::set_hook(usual);
    built.map_err(cannot("start the runtime"))
}
