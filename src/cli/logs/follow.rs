//! Following a log through restarts of processes and of the daemon.
//!
//! The id of the last line shown is where the next connection goes on, so that a restart of
//! the daemon neither loses a line nor shows one twice.

use std::time::Duration;

use serde_json::json;
use supervisor::logs::{LogLine, LogQuery};

use super::line::Layout;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::watch::pause;
use crate::exit::Exit;

/// Time between two tries to reach a daemon that went away.
const RETRY: Duration = Duration::from_millis(200);
/// So many tries: the guard brings a fallen daemon back much sooner than in this minute.
const TRIES: u32 = 300;

/// Lines that may have been printed while there was no connection.
const MOST: usize = 100_000;

/// Shows each new line until somebody ends it.
pub(super) fn follow(
    ctx: &Context,
    layout: &Layout,
    mut query: LogQuery,
) -> Result<Exit, CliError> {
    // Only what one message may hold at most: nothing between two connections is left out.
    query.lines = MOST;
    let mut failed = 0;
    loop {
        let wanted = json!(query);
        let ended = ctx.stream("logs.stream", "line", wanted, |line: LogLine| {
            failed = 0;
            ctx.output
                .write(&layout.render(std::slice::from_ref(&line)))?;
            query.after = Some(line.id);
            Ok(())
        });
        match ended {
            Ok(()) => {}
            Err(error) if matches!(error.exit(), Exit::NotRunning | Exit::Protocol) => {
                failed += 1;
                if failed == TRIES {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
        if failed == 1 {
            ctx.output.note("The daemon went away; waiting for it …");
        }
        pause(RETRY);
    }
}
