//! The few system calls that no safe crate offers, each behind a safe function.
//!
//! It owns the `unsafe` of signals and pidfds. It keeps no state and decides nothing.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::state::ExitStatus;

/// When it is looked again whether a process has exited, after that could not be known.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Sends `signal` to the process behind `pidfd`.
pub(super) fn signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    pidfd_send_signal(pidfd, signal, 0)
}

/// Sends `signal` to the process group that the process behind `pidfd` leads.
///
/// The kernel finds the group through the pidfd, so no number is looked up that might have
/// been used again. Kernels before 6.9 answer `EINVAL`.
pub(super) fn signal_group(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    pidfd_send_signal(pidfd, signal, libc::PIDFD_SIGNAL_PROCESS_GROUP)
}

fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: i32, flags: libc::c_uint) -> io::Result<()> {
    // SAFETY: the descriptor is open for the duration of the call, `info` may be null, and
    // the kernel writes to no memory of ours.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            flags,
        )
    };
    if answer == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Sends `signal` to the process group `group`. The caller has proof that the number is
/// still the group it means.
pub(super) fn signal_group_number(group: i32, signal: i32) -> io::Result<()> {
    // SAFETY: `killpg` takes two numbers and touches no memory.
    if group > 1 && unsafe { libc::killpg(group, signal) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// How the process behind `pidfd` ended, as the kernel remembers it after it was reaped.
/// `None` before that, and on kernels before 6.15.
pub(super) fn exit_info(pidfd: BorrowedFd<'_>) -> Option<ExitStatus> {
    #[repr(C)]
    #[derive(Default)]
    struct PidfdInfo {
        mask: u64,
        cgroup: u64,
        pids: [u32; 3],
        ids: [u32; 8],
        exit_code: i32,
    }
    const _: () = assert!(size_of::<PidfdInfo>() == libc::PIDFD_INFO_SIZE_VER0 as usize);
    let wanted = u64::from(libc::PIDFD_INFO_EXIT);
    let mut info = PidfdInfo {
        mask: wanted,
        ..PidfdInfo::default()
    };
    // SAFETY: the request number encodes the size of the structure (checked above to be the
    // kernel's first version), which lives across the call and is ours alone.
    let answer = unsafe { libc::ioctl(pidfd.as_raw_fd(), libc::PIDFD_GET_INFO, &raw mut info) };
    (answer == 0 && info.mask & wanted != 0).then(|| decode(info.exit_code))
}

/// Reads a wait status as `wait(2)` and `/proc/<pid>/stat` have it.
pub(super) fn decode(wait_status: i32) -> ExitStatus {
    match wait_status & 0x7f {
        0 => ExitStatus::Code((wait_status >> 8) & 0xff),
        signal => ExitStatus::Signal(signal),
    }
}

/// Sets all signals to their default and unblocks them: for a child between fork and exec.
pub(super) fn reset_signals() {
    // The kernel's `struct sigaction` with all fields zero: the default action. Asked of the
    // kernel itself, since the C library keeps two signals from its callers.
    let default = [0_u64; 4];
    for signal in 1..=64 {
        // SAFETY: the structure is as large as the kernel's on all 64-bit machines, and only
        // read; SIGKILL and SIGSTOP are refused. Async-signal-safe.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                std::ptr::null_mut::<u64>(),
                size_of::<u64>(),
            );
        }
    }
    // SAFETY: the set is initialised by `sigemptyset` before it is read, and is ours alone.
    unsafe {
        let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut());
    }
}

/// Gives this process mounts of its own. What is mounted elsewhere from now on is seen here, and
/// what is mounted here nowhere else. For a child between fork and exec.
pub(super) fn leave_common_mounts() -> rustix::io::Result<()> {
    // SAFETY: no memory and no descriptors are unshared. The working folder and the root are
    // this process's alone already: it was forked without `CLONE_FS`.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS) }?;
    mount(c"none", c"/", c"", libc::MS_REC | libc::MS_SLAVE, c"")
}

/// Mounts an empty file system in memory, which trusts no program in it with more rights.
pub(super) fn mount_tmpfs(place: &CStr, options: &CStr) -> rustix::io::Result<()> {
    let flags = libc::MS_NOSUID | libc::MS_NODEV;
    mount(c"tmpfs", place, c"tmpfs", flags, options)
}

fn mount(
    what: &CStr,
    place: &CStr,
    kind: &CStr,
    flags: libc::c_ulong,
    options: &CStr,
) -> rustix::io::Result<()> {
    // SAFETY: all four are texts that live across the call and are only read.
    // Async-signal-safe: nothing but the system call.
    let answer = unsafe {
        libc::mount(
            what.as_ptr(),
            place.as_ptr(),
            kind.as_ptr(),
            flags,
            options.as_ptr().cast(),
        )
    };
    answered(answer)
}

/// Takes from this thread, and from all that it executes, the chance to ever have a capability
/// that is not in `kept`. For a child between fork and exec.
pub(super) fn bound_capabilities(kept: u64) -> rustix::io::Result<()> {
    for number in 0..64 {
        // SAFETY: takes numbers only, and reads a property of this thread.
        let has = unsafe { libc::prctl(libc::PR_CAPBSET_READ, number as libc::c_ulong, 0, 0, 0) };
        if has < 0 {
            // The kernel has no more.
            break;
        }
        if has > 0 && kept & (1 << number) == 0 {
            // SAFETY: takes numbers only, and changes this thread alone.
            answered(unsafe {
                libc::prctl(libc::PR_CAPBSET_DROP, number as libc::c_ulong, 0, 0, 0)
            })?;
        }
    }
    Ok(())
}

/// Has this thread keep exactly these capabilities when it executes a program as a user that is
/// not root. It has to have them, and to be allowed to inherit them.
pub(super) fn set_ambient_capabilities(kept: u64) -> rustix::io::Result<()> {
    let (ambient, clear) = (libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL);
    // SAFETY: takes numbers only, and changes this thread alone.
    answered(unsafe { libc::prctl(ambient, clear as libc::c_ulong, 0, 0, 0) })?;
    for number in (0..64).filter(|number| kept & (1 << number) != 0) {
        let raise = libc::PR_CAP_AMBIENT_RAISE as libc::c_ulong;
        // SAFETY: as above.
        answered(unsafe { libc::prctl(ambient, raise, number as libc::c_ulong, 0, 0) })?;
    }
    Ok(())
}

/// What a call of the C library says that answers 0, or -1 and an error.
fn answered(answer: libc::c_int) -> rustix::io::Result<()> {
    match answer {
        0 => Ok(()),
        _ => Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::PERM)),
    }
}

/// Blocks the signals that a guard passes on, and gives a descriptor to read them from.
pub(super) fn take_signals() -> io::Result<OwnedFd> {
    let wanted = [
        libc::SIGTERM,
        libc::SIGINT,
        libc::SIGHUP,
        libc::SIGQUIT,
        libc::SIGUSR1,
        libc::SIGUSR2,
    ];
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the set is initialised by `sigemptyset` before anything reads it; `signalfd`
    // makes a new descriptor, which nobody else has.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in wanted {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        if libc::sigprocmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut()) != 0 {
            return Err(io::Error::last_os_error());
        }
        let made = libc::signalfd(-1, set.as_ptr(), libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        if made < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(OwnedFd::from_raw_fd(made))
    }
}

/// The next signal that has come, if one has.
pub(super) fn read_signal(signals: &OwnedFd) -> Option<i32> {
    let mut info = [0; size_of::<libc::signalfd_siginfo>()];
    let count = rustix::io::read(signals, &mut info).ok()?;
    // The number is the first field.
    let number = u32::from_ne_bytes(info.get(..count)?.first_chunk().copied()?);
    i32::try_from(number).ok()
}

/// Marks every descriptor above 2 close-on-exec: for a child between fork and exec, so that
/// it does not keep what whoever started the daemon left open.
pub(super) fn close_rest_on_exec() {
    // SAFETY: only flags of descriptors change; nothing is closed and no memory is touched.
    // Kernels before 5.11 refuse, and then only foreign descriptors are passed on.
    unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        );
    }
}

/// Makes `number` mean what `source` means, open over an exec: for a child between fork and
/// exec, in which nobody else uses that number.
pub(super) fn place(source: RawFd, number: RawFd) -> rustix::io::Result<()> {
    // SAFETY: it takes two numbers. What `number` meant is closed in this process only, which
    // is about to become another program and has no use for it.
    if unsafe { libc::dup2(source, number) } < 0 {
        let error = io::Error::last_os_error();
        return Err(rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::BADF));
    }
    Ok(())
}

/// A datagram that came, and who sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Datagram {
    /// Bytes of it in the buffer.
    pub(super) length: usize,
    /// It was longer.
    pub(super) cut: bool,
    /// The pid of its sender, as the kernel has it; 0 for one that we cannot see.
    pub(super) sender: i32,
}

/// The next datagram of a socket that is told of its senders (`SO_PASSCRED`). Never waits.
///
/// Descriptors that come with it have no room here, and the kernel closes them.
pub(super) fn receive_from(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Datagram> {
    #[repr(C)]
    struct Control {
        header: libc::cmsghdr,
        who: libc::ucred,
        // The kernel counts in whole words.
        _rest: u32,
    }
    // SAFETY: structures of plain numbers and pointers, for which all zeros is a value.
    let (mut control, mut message): (Control, libc::msghdr) = unsafe { std::mem::zeroed() };
    let mut into = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    message.msg_iov = &raw mut into;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = size_of::<Control>() as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: every pointer in `message` is to memory of ours that lives across the call and has
    // the length that stands beside it.
    let count = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
    let Ok(length) = usize::try_from(count) else {
        return Err(io::Error::last_os_error());
    };
    let told = message.msg_controllen > 0
        && control.header.cmsg_level == libc::SOL_SOCKET
        && control.header.cmsg_type == libc::SCM_CREDENTIALS;
    Ok(Datagram {
        length,
        cut: message.msg_flags & libc::MSG_TRUNC != 0,
        sender: if told { control.who.pid } else { 0 },
    })
}

/// Lets the runtime watch a socket. Needs the runtime's context.
pub(super) fn watch_socket(socket: Arc<OwnedFd>) -> io::Result<AsyncFd<Arc<OwnedFd>>> {
    // SAFETY: as in `watch`; the `Arc` keeps the descriptor open for as long.
    Ok(unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) }?)
}

/// Waits until a watched socket has something to read. Cancel safe.
///
/// # Errors
/// When the runtime goes down.
pub(super) async fn until_readable(watched: &AsyncFd<Arc<OwnedFd>>) -> io::Result<()> {
    loop {
        let mut ready = watched.readable().await?;
        match readable(watched.get_ref()) {
            Ok(false) => ready.clear_ready(),
            Ok(true) | Err(_) => return Ok(()),
        }
    }
}

/// Lets the runtime watch a pidfd. Needs the runtime's context.
pub(super) fn watch(pidfd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` keeps its descriptor open and unchanged for as long as it lives,
    // and it lives inside the `AsyncFd`, which lends it out by shared reference only.
    Ok(unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE) }?)
}

/// Has the process behind `pidfd` exited (or is it gone)? False also when that cannot be known.
pub(super) fn has_exited(pidfd: impl AsFd) -> bool {
    readable(pidfd).unwrap_or(false)
}

/// Would reading it give something now? A pidfd does when its process has exited.
fn readable(descriptor: impl AsFd) -> rustix::io::Result<bool> {
    let mut fds = [rustix::event::PollFd::new(
        &descriptor,
        rustix::event::PollFlags::IN,
    )];
    let now = rustix::event::Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let ready = rustix::io::retry_on_intr(|| rustix::event::poll(&mut fds, Some(&now)))?;
    Ok(ready > 0)
}

/// Waits until the process behind a watched pidfd has exited. Cancel safe.
///
/// # Errors
/// When the runtime goes down.
pub(super) async fn until_exited(watched: &AsyncFd<OwnedFd>) -> io::Result<()> {
    loop {
        let mut ready = watched.readable().await?;
        match readable(watched.get_ref()) {
            Ok(true) => return Ok(()),
            Ok(false) => ready.clear_ready(),
            // The exit is told once, so what was told is not forgotten before it is known.
            Err(_) => tokio::time::sleep(LOOK_AGAIN).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wait_statuses_are_decoded() {
        assert_eq!(decode(0), ExitStatus::Code(0));
        assert_eq!(decode(37 << 8), ExitStatus::Code(37));
        assert_eq!(decode(9), ExitStatus::Signal(9));
        assert_eq!(decode(0x80 | 11), ExitStatus::Signal(11));
    }
}
