//! Starts the daemon, and no second one.
//!
//! The lock on `daemon.lock` lets one command at a time try; the daemon's own lock on
//! `mhost.pid` is what makes it the only one. A pid file or a socket file proves nothing:
//! only an answer does.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::time::Duration;

use rustix::process::{Pid, WaitOptions, waitpid};
use supervisor::Paths;
use supervisor::sys::{FileLock, daemonize_spawn};

use super::{Client, ClientError};

/// How often the new daemon is asked whether it is up.
pub(super) const POLL: Duration = Duration::from_millis(20);
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
    let _lock = FileLock::acquire(&paths.start_lock())
        .map_err(|error| failed(format!("{}: {error}", paths.start_lock().display())))?;
    // Whoever held the lock before us may have started it.
    match Client::connect_any(paths) {
        Err(ClientError::NotRunning { .. }) => {}
        connected => return greeted(connected?),
    }
    // A socket file that nobody answers on is removed by the daemon, under its own lock.
    let log_start = log_length(paths);
    let guard = spawn(paths).map_err(|error| failed(error.to_string()))?;
    for _ in 0..POLLS {
        match Client::connect_any(paths) {
            Err(ClientError::NotRunning { .. }) => {}
            connected => return greeted(connected?),
        }
        if let Some(how) = ended(guard) {
            // It also leaves when another guard has brought a daemon up meanwhile.
            return match Client::connect_any(paths) {
                Ok(client) => greeted(client),
                Err(_) => Err(not_up(paths, log_start, &how)),
            };
        }
        wait(POLL);
    }
    Err(not_up(paths, log_start, "it did not answer within 5 s"))
}

fn greeted(mut client: Client) -> Result<Client, ClientError> {
    client.greet()?;
    Ok(client)
}

/// Starts the guard: this program in its other role. Returns its pid.
fn spawn(paths: &Paths) -> io::Result<i32> {
    let path = paths.daemon_log();
    if fs::metadata(&path).is_ok_and(|log| log.len() > LOG_LIMIT) {
        fs::rename(&path, path.with_extension("log.1"))?;
    }
    let args = ["daemon", "run"].map(Into::into);
    let env = [("MHOST_HOME", paths.home().as_os_str())];
    daemonize_spawn(&std::env::current_exe()?, &args, &path, &env)
}

/// How our child ended, if it has.
fn ended(child: i32) -> Option<String> {
    let pid = Pid::from_raw(child)?;
    let (_, status) = waitpid(Some(pid), WaitOptions::NOHANG).ok()??;
    Some(match status.exit_status() {
        Some(code) => format!("it ended with exit code {code}"),
        None => "it was killed".to_owned(),
    })
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
pub(crate) fn wait(time: Duration) {
    let time = rustix::event::Timespec {
        tv_sec: 0,
        tv_nsec: i64::from(time.subsec_nanos()),
    };
    // Waking early only means looking early.
    let _ = rustix::event::poll(&mut [], Some(&time));
}
