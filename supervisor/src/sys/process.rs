//! The one place that makes a [`ProcessRef`].
//!
//! Always in this order: open a pidfd, read the start time, see that the pidfd still means a
//! living process or a zombie. From then on only the pidfd is trusted.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;

use rustix::process::{Pid, PidfdFlags, pidfd_open, test_kill_process};

use super::{kernel, proc_scan};
use crate::state::ProcessRef;

/// The kernel's id of this boot; empty where there is none, and while it cannot be read.
pub fn boot_id() -> &'static str {
    boot().unwrap_or_default()
}

/// The kernel's id of this boot; empty where there is none.
///
/// # Errors
/// When it cannot be read now: then nobody knows of which boot anything is.
pub(super) fn boot() -> io::Result<&'static str> {
    static BOOT: OnceLock<String> = OnceLock::new();
    if let Some(boot) = BOOT.get() {
        return Ok(boot);
    }
    match std::fs::read_to_string("/proc/sys/kernel/random/boot_id") {
        Ok(text) => Ok(BOOT.get_or_init(|| text.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(""),
        Err(error) => Err(error),
    }
}

/// The release of the kernel, such as `6.8.0-31-generic`.
pub fn kernel_release() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Opens a pidfd for whatever has this pid now.
pub(super) fn open(pid: i32) -> io::Result<OwnedFd> {
    let pid = Pid::from_raw(pid).ok_or(rustix::io::Errno::SRCH)?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// As [`open`], for a process that is known to be there: tries again for a while.
pub(super) fn open_patiently(pid: i32) -> io::Result<OwnedFd> {
    let moment = rustix::event::Timespec {
        tv_sec: 0,
        tv_nsec: 10_000_000,
    };
    // A fifth of a second.
    for _ in 0..20 {
        match open(pid) {
            Err(error) if !means_nobody(&error) => {
                let _ = rustix::event::poll(&mut [], Some(&moment));
            }
            opened => return opened,
        }
    }
    open(pid)
}

/// Nobody has this number, or only a thread, which is not a process.
fn means_nobody(error: &io::Error) -> bool {
    let number = error.raw_os_error();
    [libc::ESRCH, libc::EINVAL, libc::ENOENT]
        .map(Some)
        .contains(&number)
}

/// The reference of the process behind `pidfd`, which was opened for `pid`.
///
/// # Errors
/// When there is no such process any more, or when that cannot be read.
pub(super) fn reference(pid: i32, pidfd: &OwnedFd) -> io::Result<ProcessRef> {
    let boot = boot()?;
    let stat = proc_scan::try_stat(pid)?.ok_or(rustix::io::Errno::SRCH)?;
    // If the pidfd's process had been reaped before the read, the stat could be another's.
    if !still_there(pidfd) {
        return Err(rustix::io::Errno::SRCH.into());
    }
    Ok(ProcessRef {
        pid,
        start_time: stat.start_time,
        boot_id: boot.to_owned(),
    })
}

/// Opens a pidfd and proves that it means this very process (alive or a zombie).
pub(super) fn prove(process: &ProcessRef) -> Option<OwnedFd> {
    if process.boot_id != boot_id() {
        return None;
    }
    prove_key(process.pid, process.start_time)
}

/// As [`prove`], and it is no zombie.
pub(super) fn prove_alive(process: &ProcessRef) -> Option<OwnedFd> {
    let pidfd = prove(process)?;
    let lives = proc_scan::stat(process.pid).is_some_and(|stat| !stat.is_zombie());
    (lives && still_there(&pidfd)).then_some(pidfd)
}

/// As [`prove`], for a process of this boot.
fn prove_key(pid: i32, start_time: u64) -> Option<OwnedFd> {
    try_prove_key(pid, start_time).ok().flatten()
}

/// Opens a pidfd for this very process, of this boot; `None` when it is gone.
///
/// # Errors
/// When that cannot be known, such as without a descriptor to look with.
pub(super) fn try_prove_key(pid: i32, start_time: u64) -> io::Result<Option<OwnedFd>> {
    let pidfd = match open(pid) {
        Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(None),
        opened => opened?,
    };
    let stat = proc_scan::try_stat(pid)?;
    let same = stat.is_some_and(|stat| stat.start_time == start_time) && still_there(&pidfd);
    Ok(same.then_some(pidfd))
}

/// Is this process gone for certain? Where no descriptor is left to look with, nothing is.
pub(super) fn is_gone(process: &ProcessRef) -> bool {
    match boot() {
        Ok(boot) if boot == process.boot_id => {}
        Ok(_) => return true,
        Err(_) => return false,
    }
    match proc_scan::stat(process.pid) {
        Some(stat) => stat.start_time != process.start_time,
        None => Pid::from_raw(process.pid)
            .is_none_or(|pid| test_kill_process(pid) == Err(rustix::io::Errno::SRCH)),
    }
}

/// Alive or a zombie: not reaped.
fn still_there(pidfd: &OwnedFd) -> bool {
    use std::os::fd::AsFd;
    kernel::signal(pidfd.as_fd(), 0)
        .err()
        .is_none_or(|error| error.raw_os_error() != Some(libc::ESRCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_start_time_is_another_process() {
        let pid = i32::try_from(std::process::id()).expect("pids are small");
        let own = open(pid).and_then(|fd| reference(pid, &fd)).expect("lives");
        assert!(prove(&own).is_some());
        let reused = ProcessRef {
            start_time: own.start_time + 1,
            ..own.clone()
        };
        assert!(prove(&reused).is_none());
        let rebooted = ProcessRef {
            boot_id: "another".to_owned(),
            ..own
        };
        assert!(prove(&rebooted).is_none());
    }
}
