//! The failing programs of the demo. They are real: they die, leak and hang.
//!
//! The leak and the hang belong to the first life only (`MHOST_GENERATION`), as most leaks
//! and hangs do: a fresh start works for a while.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::cli::error::CliError;
use crate::exit::Exit;

/// How long the server answers before it hangs.
const WELL_FOR: Duration = Duration::from_secs(4);
/// What the program needs from the start, what its leak keeps with every step, and how often.
const BASE: usize = 80 << 20;
const BLOCK: usize = 4 << 20;
const STEP: Duration = Duration::from_millis(250);

/// One of the failing programs
#[derive(Debug, Args)]
pub(crate) struct Program {
    #[command(subcommand)]
    which: Which,
}

#[derive(Debug, Subcommand)]
enum Which {
    /// Dies of the same error at every start
    Crasher,
    /// Grows until it is stopped
    Leaker,
    /// Answers for a while, then only lives
    Frozen,
    /// Asks the server whether it answers: its health probe
    Ask,
}

impl Program {
    pub(crate) fn run(self) -> Result<Exit, CliError> {
        match self.which {
            Which::Crasher => crasher(),
            Which::Leaker => leaker(),
            Which::Frozen => frozen(),
            Which::Ask => ask(),
        }
    }
}

fn first_life() -> bool {
    std::env::var("MHOST_GENERATION").is_ok_and(|generation| generation == "1")
}

fn crasher() -> Result<Exit, CliError> {
    pause(Duration::from_millis(150));
    let error = "Error: settings.json: Unexpected token } in JSON at position 118";
    writeln!(std::io::stderr(), "{error}")?;
    Ok(Exit::Failure)
}

fn leaker() -> Result<Exit, CliError> {
    // Written to, so that the pages are really taken.
    let mut kept: Vec<Vec<u8>> = vec![vec![1; BASE]];
    loop {
        if first_life() {
            kept.push(vec![1; BLOCK]);
            let held = kept.iter().map(Vec::len).sum::<usize>() >> 20;
            writeln!(std::io::stdout(), "cache holds {held} MB")?;
        }
        pause(STEP);
    }
}

/// The server's socket lies in its home, so that two demos do not meet.
fn socket() -> PathBuf {
    let home = std::env::var_os("MHOST_HOME").unwrap_or_default();
    PathBuf::from(home).join("frozen.sock")
}

fn frozen() -> Result<Exit, CliError> {
    let path = socket();
    // Left behind by the life before.
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path)?;
    writeln!(std::io::stdout(), "listening")?;
    if first_life() {
        listener.set_nonblocking(true)?;
        let steps = WELL_FOR.as_millis() / STEP.as_millis();
        for _ in 0..steps {
            if let Ok((stream, _)) = listener.accept() {
                answer(stream);
            }
            pause(STEP);
        }
        writeln!(
            std::io::stdout(),
            "waiting for a lock that nobody will release"
        )?;
        loop {
            pause(Duration::from_secs(60));
        }
    }
    for stream in listener.incoming() {
        answer(stream?);
    }
    Ok(Exit::Success)
}

fn answer(mut stream: UnixStream) {
    // The probe may have gone away; that is its own affair.
    let _ = stream.write_all(b"ok\n");
}

fn ask() -> Result<Exit, CliError> {
    let mut stream = UnixStream::connect(socket())?;
    let mut said = String::new();
    stream.read_to_string(&mut said)?;
    Ok(if said == "ok\n" {
        Exit::Success
    } else {
        Exit::Failure
    })
}

#[expect(clippy::disallowed_methods, reason = "these programs have no runtime")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}
