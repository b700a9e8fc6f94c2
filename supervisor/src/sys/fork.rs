//! Starts a child that runs on our memory until it executes its program.
//!
//! A plain fork copies the page tables of the whole daemon, and afterwards every page that
//! its threads write to: several times the cost of the exec. So the child borrows the memory
//! (`CLONE_VM`) and this thread stands still until it has executed or exited
//! (`CLONE_VFORK`); the other threads go on. Rules for what the child runs: system calls
//! only; it writes to nothing but its own stack, the [`Note`] and the digits of its pid in the
//! image, which are this spawn's alone.
//!
//! A child that becomes another user gets a copy of the memory after all: the kernel would
//! else take the right to look at this daemon's memory away from the daemon's own user.

use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, waitid};

/// For the child; what it calls needs a few hundred bytes. Pages are taken when touched.
const STACK: usize = 128 << 10;

/// What the child tells: how far it came, and the error that ended it there.
#[derive(Debug, Default)]
pub(super) struct Note {
    stage: AtomicI32,
    error: AtomicI32,
}

impl Note {
    /// The child is about to do this.
    pub(super) fn at(&self, stage: i32) {
        self.stage.store(stage, Ordering::Relaxed);
    }
}

/// A child that has executed its program.
#[derive(Debug)]
pub(super) struct Forked {
    pub(super) pid: i32,
    pub(super) pidfd: OwnedFd,
}

/// A child that could not.
#[derive(Debug)]
pub(super) struct Failed {
    /// The last stage it noted; 0 if there was no child at all.
    pub(super) stage: i32,
    pub(super) error: io::Error,
}

/// What the child runs; it comes back only with an error.
pub(super) type Steps<'a> = dyn Fn(&Note) -> io::Error + 'a;

struct Call<'a> {
    steps: &'a Steps<'a>,
    note: &'a Note,
}

/// Makes a child that runs `steps`, and waits until it has executed a program or failed.
/// All signals are blocked when `steps` begin.
pub(super) fn fork(copy_memory: bool, steps: &Steps<'_>) -> Result<Forked, Failed> {
    let no_child = |error: io::Error| Failed { stage: 0, error };
    let memory = Memory::new().map_err(no_child)?;
    let note = memory.note();
    let call = Call { steps, note };
    let mut flags = libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    if !copy_memory {
        flags |= libc::CLONE_VM;
    }
    let mut pidfd: c_int = -1;
    let blocked = Blocked::all();
    // SAFETY: `run` gets `call`, which outlives the child's use of it: this thread goes on
    // only after the child has left our memory. The stack is mapped, ours, large enough and
    // used by nobody else. `pidfd` is where the kernel writes the new descriptor, as
    // CLONE_PIDFD asks. Nothing is shared but memory, and of that `steps` changes only the
    // stack and the note; signals are blocked, so no handler runs in the child.
    let pid = unsafe {
        libc::clone(
            run,
            memory.stack_top(),
            flags,
            (&raw const call).cast_mut().cast::<c_void>(),
            &raw mut pidfd,
        )
    };
    let refused = io::Error::last_os_error();
    drop(blocked);
    if pid < 0 {
        return Err(no_child(refused));
    }
    // SAFETY: the kernel has just made this descriptor for us (CLONE_PIDFD).
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    match note.error.load(Ordering::Acquire) {
        0 => Ok(Forked { pid, pidfd }),
        error => {
            // It has exited or is about to; nobody else knows it.
            let wait = || waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED);
            while matches!(wait(), Err(Errno::INTR)) {}
            Err(Failed {
                stage: note.stage.load(Ordering::Relaxed),
                error: io::Error::from_raw_os_error(error),
            })
        }
    }
}

extern "C" fn run(call: *mut c_void) -> c_int {
    // SAFETY: it is the `Call` that `fork` passed and keeps until the child is gone.
    let call = unsafe { &*call.cast::<Call<'_>>() };
    let error = (call.steps)(call.note);
    let number = error.raw_os_error().unwrap_or(libc::EINVAL);
    call.note.error.store(number, Ordering::Release);
    // SAFETY: ends the child at once, without anything that the parent wants to run at exit.
    unsafe { libc::_exit(127) }
}

/// A guard page, a stack and a note, seen by parent and child alike, also when the child has
/// a copy of everything else.
struct Memory {
    base: *mut c_void,
    page: usize,
}

impl Memory {
    fn new() -> io::Result<Self> {
        let page = rustix::param::page_size();
        let size = Self::size(page);
        // SAFETY: a new mapping, at a place the kernel chooses; nothing that exists changes.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let memory = Self { base, page };
        // SAFETY: the first page of the mapping just made, to which nobody has a pointer.
        if unsafe { libc::mprotect(base, page, libc::PROT_NONE) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(memory)
    }

    fn size(page: usize) -> usize {
        page + STACK + page
    }

    /// The end of the stack, from where it grows down; a multiple of the page size.
    fn stack_top(&self) -> *mut c_void {
        // SAFETY: inside the mapping.
        unsafe { self.base.byte_add(self.page + STACK) }
    }

    fn note(&self) -> &Note {
        // SAFETY: the page above the stack: mapped, zeroed by the kernel (which is a valid
        // note), aligned to a page, and only ever used through shared references to atomics.
        unsafe { &*self.stack_top().cast::<Note>() }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours alone; the child has left it, and the borrow of the
        // note cannot outlive `self`.
        unsafe { libc::munmap(self.base, Self::size(self.page)) };
    }
}

/// All signals blocked in this thread, those of the C library included, until it is dropped.
struct Blocked {
    before: u64,
}

impl Blocked {
    fn all() -> Self {
        Self {
            before: set_blocked(u64::MAX),
        }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        set_blocked(self.before);
    }
}

/// Sets this thread's mask of blocked signals, and returns what it was.
fn set_blocked(mask: u64) -> u64 {
    let mut before = 0_u64;
    // SAFETY: both are as large as the kernel's set of signals, and live across the call.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const mask,
            &raw mut before,
            size_of::<u64>(),
        );
    }
    before
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(forked: &Forked) -> Option<crate::state::ExitStatus> {
        while !super::super::kernel::has_exited(&forked.pidfd) {
            std::thread::yield_now();
        }
        super::super::reap::collect(forked.pidfd.as_fd())
    }

    #[test]
    fn a_child_executes_or_says_why_not() {
        let image = |program: &str| {
            let env = std::collections::BTreeMap::new();
            super::super::image::Image::new(program, &[], std::path::Path::new("/"), &env)
        };
        let image = image("/bin/true").expect("is there");
        for copy in [false, true] {
            let _forking = super::super::reap::forking();
            let forked = fork(copy, &|note| {
                note.at(3);
                image.execute()
            });
            let forked = forked.expect("executes");
            assert!(forked.pid > 0);
            assert_eq!(collect(&forked), Some(crate::state::ExitStatus::Code(0)));
            let failed = fork(copy, &|note| {
                note.at(3);
                note.at(4);
                io::Error::from_raw_os_error(libc::ENOEXEC)
            });
            let failed = failed.expect_err("gives up");
            assert_eq!(failed.stage, 4);
            assert_eq!(failed.error.raw_os_error(), Some(libc::ENOEXEC));
        }
    }

    #[test]
    fn signals_are_as_before() {
        let before = set_blocked(1 << (libc::SIGUSR2 - 1));
        drop(Blocked::all());
        assert_eq!(set_blocked(before), 1 << (libc::SIGUSR2 - 1));
    }
}
