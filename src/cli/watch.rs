//! Showing the same again and again: `--watch`.

use std::time::Duration;

use super::context::Context;
use super::error::CliError;
use crate::exit::Exit;

/// Cursor to the top, everything below it gone.
const CLEAR: &str = "\u{1b}[H\u{1b}[J";

/// Shows once, or every `interval` until somebody ends it.
pub(crate) fn repeat(
    ctx: &Context,
    interval: Option<Duration>,
    show: impl Fn() -> Result<Exit, CliError>,
) -> Result<Exit, CliError> {
    let Some(interval) = interval else {
        return show();
    };
    loop {
        if ctx.output.is_terminal() && !ctx.output.is_json() {
            ctx.output.write(CLEAR)?;
        }
        show()?;
        pause(interval);
    }
}

/// Waits. A spurious wake-up only makes a picture come early.
pub(crate) fn pause(time: Duration) {
    std::thread::park_timeout(time.max(Duration::from_millis(100)));
}
