//! Who waits for which child.
//!
//! Children belong to the whole operating-system process, so this is the one table that is
//! global: the pids somebody waits for by pidfd. Everything else that turns up as a child is
//! an orphan of some program's tree, which came to us because we are a subreaper, and is
//! collected by [`collect_strays`].

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::latest::Latest;
use super::{guard_link, kernel, proc_scan, process};
use crate::state::{ExitStatus, ProcessRef};

static OWNED: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());
/// Held for reading from before a fork until the child is in `OWNED`.
static FORKING: RwLock<()> = RwLock::new(());
/// The guard's strays at the last pass.
static SEEN: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());
static SUBREAPER: AtomicBool = AtomicBool::new(false);

/// Keeps strays from being collected while a child exists that is not listed yet.
pub(super) fn forking() -> RwLockReadGuard<'static, ()> {
    FORKING.read().unwrap_or_else(PoisonError::into_inner)
}

/// Somebody waits for this child, or watches this adopted process, and nobody else may.
pub(super) fn own(pid: i32) {
    OWNED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(pid);
}

/// Nobody waits for it any longer.
pub(super) fn disown(pid: i32) {
    OWNED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .remove(&pid);
}

/// All pids that somebody waits for.
pub(super) fn owned() -> BTreeSet<i32> {
    OWNED.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Makes this process the one that orphans of its descendants move up to.
///
/// # Errors
/// What the system said.
pub fn set_subreaper() -> std::io::Result<()> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    SUBREAPER.store(true, Ordering::Release);
    Ok(())
}

/// Do orphans come to this process?
pub(super) fn is_subreaper() -> bool {
    SUBREAPER.load(Ordering::Acquire)
}

/// How our child ended, without collecting it: its pid stays taken until [`collect`].
pub(super) fn peek(pidfd: BorrowedFd<'_>) -> Option<ExitStatus> {
    wait(pidfd, WaitIdOptions::NOWAIT)
}

/// Collects our child if it has ended. From now on its pid may be used again.
pub(super) fn collect(pidfd: BorrowedFd<'_>) -> Option<ExitStatus> {
    wait(pidfd, WaitIdOptions::empty())
}

fn wait(pidfd: BorrowedFd<'_>, more: WaitIdOptions) -> Option<ExitStatus> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | more;
    loop {
        match waitid(WaitId::PidFd(pidfd), options) {
            Ok(Some(status)) => {
                return status
                    .exit_status()
                    .map(ExitStatus::Code)
                    .or_else(|| status.terminating_signal().map(ExitStatus::Signal));
            }
            Err(rustix::io::Errno::INTR) => {}
            Ok(None) | Err(_) => return None,
        }
    }
}

/// How a process that is not our child ended: from its zombie, else from what the kernel
/// remembers. `pidfd` has been seen to be readable.
pub(super) fn exit_of_foreign(
    pidfd: BorrowedFd<'_>,
    pid: i32,
    start_time: u64,
) -> Option<ExitStatus> {
    let zombie = proc_scan::stat(pid)
        .filter(|stat| stat.start_time == start_time && stat.is_zombie())
        .map(|stat| kernel::decode(stat.exit_code));
    zombie.or_else(|| kernel::exit_info(pidfd))
}

/// Collects zombies that nobody waits for: children of ours, and, through the guard, of the
/// guard. Returns how many. Does nothing in a process that is no subreaper, since its
/// children may belong to somebody else in it.
pub(crate) fn collect_strays() -> usize {
    if !is_subreaper() {
        return 0;
    }
    let _none_is_being_born = FORKING.write().unwrap_or_else(PoisonError::into_inner);
    let owned = owned();
    let zombies = |parent: i32| {
        let stray = |pid: &i32| {
            !owned.contains(pid)
                && proc_scan::stat(*pid)
                    .is_some_and(|stat| stat.is_zombie() && stat.parent == parent)
        };
        proc_scan::children(parent)
            .unwrap_or_default()
            .into_iter()
            .filter(stray)
            .collect::<Vec<i32>>()
    };
    let mut count = 0;
    let here = rustix::process::getpid().as_raw_nonzero().get();
    for pid in zombies(here) {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        if let Some(pid) = Pid::from_raw(pid)
            && matches!(waitid(WaitId::Pid(pid), options), Ok(Some(_)))
        {
            count += 1;
        }
    }
    if let Some(guard) = guard_link::parent_guard() {
        // Only those that were there at the last pass as well: right after a start they may
        // be leaders that nobody has adopted yet.
        let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        let now: BTreeSet<i32> = zombies(guard.pid()).into_iter().collect();
        for pid in now.intersection(&seen) {
            guard.reap(*pid);
            count += 1;
        }
        *seen = now;
    }
    count
}

/// Living children of ours and of the guard that nobody waits for: orphans of some tree.
/// `None` where that cannot be known cheaply.
pub(super) fn living_strays(except: i32) -> Option<Vec<proc_scan::Stat>> {
    static LATEST: Latest<Option<Arc<[proc_scan::Stat]>>> = Latest::new();
    if !is_subreaper() {
        return None;
    }
    // The list of a crowd of children takes a while to read, and those of one crowd end at once.
    let Ok(strays) = LATEST.ask(|| Ok::<_, std::convert::Infallible>(look_for_strays()));
    let strays = strays?;
    let others = strays.iter().filter(|stray| stray.pid != except);
    Some(others.copied().collect())
}

fn look_for_strays() -> Option<Arc<[proc_scan::Stat]>> {
    let owned = owned();
    let mut parents = vec![rustix::process::getpid().as_raw_nonzero().get()];
    parents.extend(guard_link::parent_guard().map(|guard| guard.pid()));
    let children = || -> Option<BTreeSet<i32>> {
        let mut children = BTreeSet::new();
        for parent in &parents {
            // An orphan is given to the first living thread of its new parent, and that is the
            // main thread for as long as the process lives.
            children.extend(proc_scan::children_of_main_thread(*parent)?);
        }
        Some(children)
    };
    // The kernel may skip a child while another one is being collected. Two equal looks in a
    // row show that this did not happen; with many exits at once it is better to give up.
    let mut before = children()?;
    for _ in 0..5 {
        let now = children()?;
        if now == before {
            let is_stray = |pid: &i32| !owned.contains(pid) && !parents.contains(pid);
            let strays = now.into_iter().filter(is_stray);
            return Some(
                strays
                    .filter_map(proc_scan::stat)
                    .filter(|stat| !stat.is_zombie())
                    .collect(),
            );
        }
        before = now;
    }
    None
}

/// A child of ours that somebody waits for; collected when this is dropped after its end.
#[derive(Debug)]
pub(super) struct OwnedChild {
    pub(super) pid: i32,
    pidfd: Option<OwnedFd>,
}

impl OwnedChild {
    pub(super) fn new(pid: i32, pidfd: OwnedFd) -> Self {
        own(pid);
        Self {
            pid,
            pidfd: Some(pidfd),
        }
    }

    /// What names it for ever.
    ///
    /// # Errors
    /// When that cannot be read.
    pub(super) fn reference(&self) -> std::io::Result<ProcessRef> {
        let pidfd = self.pidfd.as_ref().ok_or(rustix::io::Errno::BADF)?;
        process::reference(self.pid, pidfd)
    }

    /// Hands the descriptor over: collecting and disowning are the caller's business now.
    pub(super) fn release(mut self) -> (i32, OwnedFd) {
        let pidfd = self.pidfd.take();
        (
            self.pid,
            pidfd.expect("only this takes it, and it takes self"),
        )
    }
}

impl Drop for OwnedChild {
    fn drop(&mut self) {
        if let Some(pidfd) = &self.pidfd {
            collect(pidfd.as_fd());
            disown(self.pid);
        }
    }
}
