//! Starts mhost itself: the guard from a command line, the daemon from its guard, and a new
//! guard from the daemon.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::Mode;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::guard_link::{GUARD_FD, REAP_FD};
use super::{kernel, limits, process, reap};

/// Starts `exe args…` detached from the terminal: own session, standard input empty, output
/// appended to `log_file`, in `/`, files readable by nobody else. `env` is added to the
/// environment of this process. Returns its pid at once.
///
/// # Errors
/// When the log cannot be opened or the program cannot be started.
pub fn daemonize_spawn(
    exe: &Path,
    args: &[OsString],
    log_file: &Path,
    env: &[(&str, &OsStr)],
) -> io::Result<i32> {
    let log = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(log_file)?;
    let mut command = command(exe, args);
    command
        .envs(env.iter().copied())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    // SAFETY: plain system calls only, without allocation or locks.
    unsafe {
        command.pre_exec(|| {
            rustix::process::setsid()?;
            rustix::process::umask(Mode::RWXG | Mode::RWXO);
            kernel::reset_signals();
            kernel::close_rest_on_exec();
            Ok(())
        });
    }
    let _in_progress = reap::forking();
    start(command)
}

/// Starts `exe args…` in a process group of its own, with `passed` open under the number
/// that the variable `name` tells. What cannot be watched is ended again.
pub(super) fn spawn_with(
    exe: &Path,
    args: &[OsString],
    name: &str,
    passed: BorrowedFd<'_>,
) -> io::Result<(i32, OwnedFd)> {
    let number = passed.as_raw_fd();
    let nofile = limits::original_nofile();
    let mut command = command(exe, args);
    command.env(name, number.to_string()).stdin(Stdio::null());
    // SAFETY: plain system calls only, without allocation or locks; the descriptor is open
    // in the parent until the fork, and so in the child.
    unsafe {
        command.pre_exec(move || {
            rustix::process::setpgid(None, None)?;
            if let Some(limit) = nofile {
                rustix::process::setrlimit(rustix::process::Resource::Nofile, limit)?;
            }
            kernel::reset_signals();
            kernel::close_rest_on_exec();
            rustix::io::fcntl_setfd(BorrowedFd::borrow_raw(number), rustix::io::FdFlags::empty())?;
            Ok(())
        });
    }
    let _in_progress = reap::forking();
    let pid = start(command)?;
    let watched = process::open_patiently(pid);
    watched.map(|pidfd| (pid, pidfd)).inspect_err(|_| {
        // Our own child, not collected: the number is its group for sure.
        let _ = kernel::signal_group_number(pid, libc::SIGKILL);
        if let Some(pid) = Pid::from_raw(pid) {
            let wait = || waitid(WaitId::Pid(pid), WaitIdOptions::EXITED);
            let _ = rustix::io::retry_on_intr(wait);
        }
    })
}

#[expect(clippy::disallowed_methods, reason = "this starts mhost itself")]
fn command(exe: &Path, args: &[OsString]) -> Command {
    let mut command = Command::new(exe);
    command.args(args).env_remove(REAP_FD).env_remove(GUARD_FD);
    // A managed program may be the one that starts the daemon. With its mark the daemon would
    // pass for a part of that program's tree and be ended with it.
    for mark in ["MHOST_NAME", "MHOST_INSTANCE", "MHOST_GENERATION"] {
        command.env_remove(mark);
    }
    command
}

fn start(mut command: Command) -> io::Result<i32> {
    let child = command.spawn()?;
    i32::try_from(child.id()).map_err(io::Error::other)
}
