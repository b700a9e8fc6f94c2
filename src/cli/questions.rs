//! Questions on the terminal, which is given back however they end.
//!
//! While somebody answers, the terminal has no cursor, or shows no letters of a key. Who presses
//! Ctrl-C then, or ends the program from outside, must not be left with that: the settings from
//! before are put back, and the program ends as by the signal.

use std::io::{self, Write};
use std::sync::OnceLock;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use super::error::CliError;

/// How the terminal was before the first question.
static BEFORE: OnceLock<Termios> = OnceLock::new();
/// What shells say of programs that a signal ended: 128 and its number.
const ENDED: i32 = 128;

/// To be called before a question. Where it cannot watch, an end by a signal is as sudden as
/// for any program.
pub(crate) fn begin() {
    if BEFORE.get().is_none()
        && let Ok(before) = tcgetattr(io::stdin())
        && BEFORE.set(before).is_ok()
    {
        let _ = watch();
    }
}

/// Somebody went away instead of answering.
pub(crate) fn gone(error: dialoguer::Error) -> CliError {
    let dialoguer::Error::IO(error) = error;
    if error.kind() == io::ErrorKind::Interrupted {
        // The signal for it is on its way to the other thread.
        leave(SignalKind::interrupt());
    }
    give_back();
    CliError::failure(format!("no answer: {error}"))
}

/// Waits beside the program for somebody to end it.
fn watch() -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (mut interrupted, mut terminated, mut hung_up) = {
        let _inside = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        )
    };
    let wait = async move {
        tokio::select! {
            _ = interrupted.recv() => SignalKind::interrupt(),
            _ = terminated.recv() => SignalKind::terminate(),
            _ = hung_up.recv() => SignalKind::hangup(),
        }
    };
    let thread = std::thread::Builder::new().name("signals".into());
    thread.spawn(move || leave(runtime.block_on(wait)))?;
    Ok(())
}

fn leave(by: SignalKind) -> ! {
    give_back();
    std::process::exit(ENDED + by.as_raw_value())
}

fn give_back() {
    if let Some(before) = BEFORE.get() {
        // If the terminal is gone nobody misses it.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        let _ = crossterm::execute!(io::stderr(), crossterm::cursor::Show);
        let _ = writeln!(io::stderr());
    }
}
