//! Starts the daemon, and no second one.
//!
//! The lock on `daemon.lock` lets one command at a time try; the daemon's own lock on
//! `mhost.pid` is what makes it the only one. A pid file or a socket file proves nothing:
//! only an answer does.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::fs::FlockOperation;
use supervisor::Paths;

use super::{Client, ClientError};

/// Set by the one who starts a daemon in the background: it makes a session of its own.
pub(crate) const DETACHED: &str = "MHOST_DETACHED";
/// How often the new daemon is asked whether it is up.
const POLL: Duration = Duration::from_millis(20);
/// How many times: 5 s.
const POLLS: u32 = 250;
/// Lines of its log that are told when it does not come up.
const LAST_LINES: usize = 10;
/// A log longer than this is put aside before a new daemon writes to it.
const LOG_LIMIT: u64 = 10 * 1024 * 1024;

/// Starts the daemon of a home folder and connects to it.
pub(super) fn daemon(paths: &Paths) -> Result<Client, ClientError> {
    let off = std::env::var_os("MHOST_NO_AUTOSTART")
        .is_some_and(|value| !value.is_empty() && value != "0");
    if off {
        return Err(ClientError::NotRunning {
            socket: paths.socket(),
        });
    }
    paths.create()?;
    let failed = |reason: String| ClientError::NotStarted {
        reason,
        log: Vec::new(),
        log_path: paths.daemon_log(),
    };
    let _lock = lock(paths)
        .map_err(|error| failed(format!("{}: {error}", paths.start_lock().display())))?;
    // Whoever held the lock before us may have started it.
    match Client::connect_any(paths) {
        Err(ClientError::NotRunning { .. }) => {}
        connected => return greeted(connected?),
    }
    // A socket file that nobody answers on is removed by the daemon, under its own lock.
    let log_start = log_length(paths);
    let mut guard = spawn(paths).map_err(|error| failed(error.to_string()))?;
    for _ in 0..POLLS {
        match Client::connect_any(paths) {
            Err(ClientError::NotRunning { .. }) => {}
            connected => return greeted(connected?),
        }
        if let Ok(Some(status)) = guard.try_wait() {
            return Err(not_up(paths, log_start, &format!("it ended with {status}")));
        }
        wait(POLL);
    }
    Err(not_up(paths, log_start, "it did not answer within 5 s"))
}

fn greeted(mut client: Client) -> Result<Client, ClientError> {
    client.greet()?;
    Ok(client)
}

/// The lock of those who start a daemon, until it is dropped.
fn lock(paths: &Paths) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(paths.start_lock())?;
    rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
    Ok(file)
}

/// Starts the guard: this program in its other role.
#[expect(
    clippy::disallowed_methods,
    reason = "the command line has no launcher; this is no supervised process"
)]
fn spawn(paths: &Paths) -> io::Result<Child> {
    let path = paths.daemon_log();
    if fs::metadata(&path).is_ok_and(|log| log.len() > LOG_LIMIT) {
        fs::rename(&path, path.with_extension("log.1"))?;
    }
    let log = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(&path)?;
    std::process::Command::new(std::env::current_exe()?)
        .args(["daemon", "run"])
        .env("MHOST_HOME", paths.home())
        .env(DETACHED, "1")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
}

fn log_length(paths: &Paths) -> u64 {
    fs::metadata(paths.daemon_log()).map_or(0, |log| log.len())
}

fn not_up(paths: &Paths, log_start: u64, reason: &str) -> ClientError {
    ClientError::NotStarted {
        reason: reason.to_owned(),
        log: last_lines(paths, log_start).unwrap_or_default(),
        log_path: paths.daemon_log(),
    }
}

/// What the daemon wrote since it was started, its last lines.
fn last_lines(paths: &Paths, start: u64) -> io::Result<Vec<String>> {
    const ENOUGH: u64 = 64 * 1024;
    let mut file = File::open(paths.daemon_log())?;
    let length = file.metadata()?.len();
    // When it wrote nothing, what the one before it said is better than nothing.
    let start = if start < length { start } else { 0 };
    file.seek(SeekFrom::Start(start.max(length.saturating_sub(ENOUGH))))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    Ok(lines[lines.len().saturating_sub(LAST_LINES)..].to_vec())
}

/// Nothing tells a client that a socket has come into being, so it looks again after a while.
fn wait(time: Duration) {
    let time = rustix::event::Timespec {
        tv_sec: 0,
        tv_nsec: i64::from(time.subsec_nanos()),
    };
    // Waking early only means looking early.
    let _ = rustix::event::poll(&mut [], Some(&time));
}
