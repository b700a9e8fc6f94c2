//! One run that is watched: its pidfd, how it ended, whose it is.
//!
//! Making one says that nobody else may wait for the process, dropping it collects the
//! zombie. It decides nothing; the table of all runs is the launcher's.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use tokio::io::unix::AsyncFd;
use tokio::sync::OnceCell;

use super::cgroup::Cgroup;
use super::{guard_link, kernel, proc_scan, reap, tree};
use crate::ids::{Generation, InstanceId};
use crate::state::{ExitStatus, ProcessRef};

/// A run that is watched.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) process: ProcessRef,
    pidfd: AsyncFd<OwnedFd>,
    /// We are its parent.
    pub(super) child: bool,
    /// Whose run it is, if that is known.
    run: Mutex<Option<(InstanceId, Generation)>>,
    exit: OnceCell<ExitStatus>,
    /// Its control group, if it was started into one.
    pub(super) cgroup: Option<Cgroup>,
}

impl Kept {
    pub(super) fn new(
        process: ProcessRef,
        pidfd: OwnedFd,
        child: bool,
        cgroup: Option<Cgroup>,
    ) -> std::io::Result<Self> {
        // Before anything can fail, so that dropping undoes it.
        reap::own(process.pid);
        match kernel::watch(pidfd) {
            Ok(pidfd) => Ok(Self {
                process,
                pidfd,
                child,
                run: Mutex::new(None),
                exit: OnceCell::new(),
                cgroup,
            }),
            Err(error) => {
                reap::disown(process.pid);
                Err(error)
            }
        }
    }

    pub(super) fn has_exited(&self) -> bool {
        kernel::has_exited(self.pidfd.get_ref())
    }

    /// Its pid still means this process: it lives, or it is a zombie that only we collect.
    pub(super) fn number_is_safe(&self) -> bool {
        self.child || !self.has_exited() || {
            let stat = proc_scan::stat(self.process.pid);
            stat.is_some_and(|stat| stat.start_time == self.process.start_time)
        }
    }

    pub(super) async fn wait(&self) -> ExitStatus {
        *self.exit.get_or_init(|| self.read_exit()).await
    }

    async fn read_exit(&self) -> ExitStatus {
        if !self.has_exited() && kernel::until_exited(&self.pidfd).await.is_err() {
            // The runtime is going down and nobody can wait for the answer.
            return ExitStatus::Unknown;
        }
        let pidfd = self.pidfd.get_ref().as_fd();
        let foreign = || reap::exit_of_foreign(pidfd, self.process.pid, self.process.start_time);
        reap::peek(pidfd)
            .or_else(foreign)
            .unwrap_or(ExitStatus::Unknown)
    }

    pub(super) fn key(&self) -> tree::Key {
        (self.process.pid, self.process.start_time)
    }

    pub(super) fn set_run(&self, instance: &InstanceId, generation: Generation) {
        *self.run.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((instance.clone(), generation));
    }

    pub(super) fn run(&self) -> Option<(InstanceId, Generation)> {
        self.run
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Which run of this instance it is, if it is one.
    pub(super) fn generation_of(&self, instance: &InstanceId) -> Option<Generation> {
        let run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        let (whose, generation) = run.as_ref()?;
        (whose == instance).then_some(*generation)
    }

    /// A copy of one of its descriptors, where the system lets us have it.
    pub(super) fn descriptor(&self, number: i32) -> Option<OwnedFd> {
        let flags = rustix::process::PidfdGetfdFlags::empty();
        rustix::process::pidfd_getfd(self.pidfd.get_ref(), number, flags).ok()
    }

    /// Signals the leader alone.
    pub(super) fn signal(&self, signal: i32) -> bool {
        !self.has_exited() && kernel::signal(self.pidfd.get_ref().as_fd(), signal).is_ok()
    }

    /// Signals the group of a leader, alive or not collected yet.
    pub(super) fn signal_group(&self, signal: i32) -> bool {
        let pidfd = self.pidfd.get_ref().as_fd();
        // Only a leader's pid names its own group.
        let leads = proc_scan::stat(self.process.pid).is_some_and(|stat| {
            stat.start_time == self.process.start_time && stat.group == stat.pid
        });
        if !leads {
            return kernel::signal(pidfd, signal).is_ok();
        }
        match kernel::signal_group(pidfd, signal) {
            Ok(()) => true,
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                self.number_is_safe()
                    && kernel::signal_group_number(self.process.pid, signal).is_ok()
            }
            Err(_) => false,
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if self.child {
            reap::collect(self.pidfd.get_ref().as_fd());
        } else if self.has_exited()
            && let Some(guard) = guard_link::parent_guard()
            && proc_scan::stat(self.process.pid).is_some_and(|stat| {
                stat.start_time == self.process.start_time && stat.parent == guard.pid()
            })
        {
            guard.reap(self.process.pid);
        }
        reap::disown(self.process.pid);
    }
}
