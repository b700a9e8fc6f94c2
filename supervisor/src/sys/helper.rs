//! A process of our own for work that may go wrong: it has one socket, little memory and time,
//! and nothing else.
//!
//! ```text
//!   daemon ──Helper──► thread ──fork──► the same program, confined
//!      └──────────── UnixStream ─────────────┘ its standard input
//! ```
//!
//! The thread lives as long as the process does: it waits for its end and collects it, and the
//! kernel kills the process when the thread is gone (`PR_SET_PDEATHSIG` is about the thread that
//! forked), so that it never outlives the daemon, however that ends. What the process may do is
//! settled before it executes: no rights to gain, no memory beyond its bound, no file to write,
//! no environment, no descriptor but its socket.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal, WaitId, WaitIdOptions, waitid};

use super::{kernel, process, reap};
use crate::state::ExitStatus;

/// The program that runs here, whatever lies at its path by now: both ends speak alike.
const PROGRAM: &str = "/proc/self/exe";
/// Stack of the thread: it forks and waits.
const STACK: usize = 128 << 10;
/// Descriptors of the process: three, and a few for its start.
const DESCRIPTORS: u64 = 16;
/// All that it may map, the program with its symbols included.
const ADDRESSES: u64 = 2 << 30;

/// How much a process may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes that it may write to, its stack not counted.
    pub memory: u64,
    /// Bytes of its stack.
    pub stack: u64,
}

/// A process of ours, confined. It is killed when this is dropped.
#[derive(Debug)]
pub struct Helper {
    stream: UnixStream,
    pid: i32,
    pidfd: OwnedFd,
    ended: mpsc::Receiver<ExitStatus>,
}

impl Helper {
    /// Starts this program with `args`, confined, its socket as standard input.
    ///
    /// # Errors
    /// What the system said.
    pub fn start(args: &[OsString], bounds: Bounds) -> io::Result<Helper> {
        let (ours, theirs) = UnixStream::pair()?;
        let (told, started) = mpsc::sync_channel(1);
        let (tell_end, ended) = mpsc::sync_channel(1);
        let args = args.to_vec();
        let live = move || {
            let child = spawn(&args, bounds, theirs);
            let watched = child
                .as_ref()
                .ok()
                .map(|(pid, pidfd)| (*pid, pidfd.try_clone()));
            if told.send(child).is_err() {
                return;
            }
            // A clone that failed is a process that nobody can wait for; the end of this thread
            // kills it, and it is collected as a stray.
            if let Some((pid, Ok(pidfd))) = watched {
                let _ = tell_end.send(until_ended(&pidfd));
                reap::disown(pid);
            } else if let Some((pid, Err(_))) = watched {
                reap::disown(pid);
            }
        };
        let thread = std::thread::Builder::new().name("helper".into());
        // Not joined: it ends with the process, which is killed with the last handle.
        thread.stack_size(STACK).spawn(live)?;
        let gone = || io::Error::other("its thread ended");
        let (pid, pidfd) = started.recv().map_err(|_| gone())??;
        Ok(Helper {
            stream: ours,
            pid,
            pidfd,
            ended,
        })
    }

    /// The way to it.
    pub fn stream(&mut self) -> &mut UnixStream {
        &mut self.stream
    }

    /// Its pid.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Has it ended?
    pub fn has_ended(&self) -> bool {
        kernel::has_exited(&self.pidfd)
    }

    /// How it ended by itself; one that has not within a moment is killed.
    pub fn end(self) -> ExitStatus {
        self.ended
            .recv_timeout(GRACE)
            .unwrap_or_else(|_| self.kill())
    }

    /// Kills it and waits for its end.
    fn kill(&self) -> ExitStatus {
        let _ = kernel::signal(self.pidfd.as_fd(), libc::SIGKILL);
        // It dies at once, but perhaps not on a machine that has no time for anybody.
        let ended = self.ended.recv_timeout(Duration::from_secs(5));
        ended.unwrap_or(ExitStatus::Unknown)
    }
}

/// For the end of a process that has closed its socket, or was about to.
const GRACE: Duration = Duration::from_millis(500);

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = kernel::signal(self.pidfd.as_fd(), libc::SIGKILL);
    }
}

fn until_ended(pidfd: &OwnedFd) -> ExitStatus {
    let wait = || waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
    let ended = rustix::io::retry_on_intr(wait).ok().flatten();
    ended.map_or(ExitStatus::Unknown, |status| {
        let code = status.exit_status().map(ExitStatus::Code);
        let signal = || status.terminating_signal().map(ExitStatus::Signal);
        code.or_else(signal).unwrap_or(ExitStatus::Unknown)
    })
}

fn spawn(args: &[OsString], bounds: Bounds, socket: UnixStream) -> io::Result<(i32, OwnedFd)> {
    let daemon = rustix::process::getpid();
    #[expect(clippy::disallowed_methods, reason = "this starts mhost itself")]
    let mut command = Command::new(PROGRAM);
    command
        .arg0("mhost")
        .args(args)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(OwnedFd::from(socket)))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // SAFETY: plain system calls only, without allocation or locks.
    unsafe {
        command.pre_exec(move || {
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            // Who died before that signal was set sends none.
            if rustix::process::getppid() != Some(daemon) {
                return Err(rustix::io::Errno::SRCH.into());
            }
            rustix::process::setsid()?;
            confine(bounds)?;
            kernel::reset_signals();
            kernel::close_rest_on_exec();
            Ok(())
        });
    }
    let _in_progress = reap::forking();
    let child = command.spawn()?;
    let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
    reap::own(pid);
    process::open_patiently(pid)
        .map(|pidfd| (pid, pidfd))
        .inspect_err(|_| reap::disown(pid))
}

/// Gives up what it will not need, for good.
fn confine(bounds: Bounds) -> rustix::io::Result<()> {
    rustix::thread::set_no_new_privs(true)?;
    for (resource, most) in [
        (Resource::Data, bounds.memory),
        (Resource::Stack, bounds.stack),
        (Resource::As, ADDRESSES),
        (Resource::Nofile, DESCRIPTORS),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Memlock, 0),
        (Resource::Msgqueue, 0),
    ] {
        // Where less was allowed already it stays so.
        let before = rustix::process::getrlimit(resource);
        let most = before.maximum.map_or(most, |before| before.min(most));
        let both = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        rustix::process::setrlimit(resource, both)?;
    }
    Ok(())
}

/// In the process itself: its socket, if it was started as a helper. It can make no other
/// process and no thread from then on.
pub fn enter() -> Option<UnixStream> {
    let socket = io::stdin().as_fd().try_clone_to_owned().ok()?;
    rustix::net::sockopt::socket_type(&socket).ok()?;
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _ = rustix::process::setrlimit(Resource::Nproc, none);
    // Who has to go when the machine's memory is used up: not the daemon, and none of yours.
    let _ = std::fs::write("/proc/self/oom_score_adj", "800");
    Some(UnixStream::from(socket))
}

/// Lets the kernel end this process when it computes for longer than this from now on.
pub fn compute_at_most(time: Duration) {
    let once = libc::itimerval {
        it_interval: libc::timeval {
            tv_sec: 0,
            tv_usec: 0,
        },
        it_value: libc::timeval {
            tv_sec: time.as_secs().try_into().unwrap_or(libc::time_t::MAX),
            tv_usec: time.subsec_micros().into(),
        },
    };
    // SAFETY: the kernel reads `once`, which lives across the call, and writes nothing. The
    // signal it sends has its default action: the end.
    unsafe {
        libc::setitimer(libc::ITIMER_PROF, &raw const once, std::ptr::null_mut());
    }
}
