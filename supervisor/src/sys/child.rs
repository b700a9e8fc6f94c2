//! What a child does between fork and exec: system calls only.
//!
//! Everything that allocates, locks or looks things up was done before the fork. Before each
//! step the child notes the stage, so that the parent can say which one failed.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit};

use super::confine::Confinement;
use super::fork::Note;
use super::image::Image;
use super::kernel;
use super::users::Identity;
use crate::spec::{FIRST_DESCRIPTOR, Limits, MAX_LISTEN};

/// All the child needs, laid out by the parent.
#[derive(Debug)]
pub(super) struct Setup<'a> {
    pub(super) image: &'a Image,
    pub(super) folder: &'a CStr,
    pub(super) stdin: &'a OwnedFd,
    pub(super) stdout: &'a OwnedFd,
    pub(super) stderr: &'a OwnedFd,
    pub(super) limits: Limits,
    /// The limit of open files when `limits` names none.
    pub(super) nofile: Option<Rlimit>,
    pub(super) identity: Option<&'a Identity>,
    pub(super) confinement: &'a Confinement,
    /// Takes the child into its control group.
    pub(super) cgroup: Option<&'a OwnedFd>,
    /// What becomes descriptors 3, 4, …; at most [`MAX_LISTEN`].
    pub(super) sockets: &'a [Arc<OwnedFd>],
}

/// How far the child got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub(super) enum Stage {
    Output = 1,
    Session,
    Sockets,
    NoFile,
    NoProc,
    Core,
    Cpu,
    Nice,
    Tmp,
    Bound,
    Identity,
    Capabilities,
    NoNewPrivs,
    Folder,
    Exec,
}

impl Stage {
    const ALL: [Stage; 15] = [
        Stage::Output,
        Stage::Session,
        Stage::Sockets,
        Stage::NoFile,
        Stage::NoProc,
        Stage::Core,
        Stage::Cpu,
        Stage::Nice,
        Stage::Tmp,
        Stage::Bound,
        Stage::Identity,
        Stage::Capabilities,
        Stage::NoNewPrivs,
        Stage::Folder,
        Stage::Exec,
    ];

    /// By the number that the child noted.
    pub(super) fn of(number: i32) -> Option<Self> {
        Stage::ALL.into_iter().find(|stage| *stage as i32 == number)
    }

    /// The key under `limits` that it sets.
    pub(super) fn limit(self) -> Option<&'static str> {
        match self {
            Stage::NoFile => Some("nofile"),
            Stage::NoProc => Some("nproc"),
            Stage::Core => Some("core"),
            Stage::Cpu => Some("cpu"),
            Stage::Nice => Some("nice"),
            Stage::Output
            | Stage::Session
            | Stage::Sockets
            | Stage::Tmp
            | Stage::Bound
            | Stage::Identity
            | Stage::Capabilities
            | Stage::NoNewPrivs
            | Stage::Folder
            | Stage::Exec => None,
        }
    }

    /// The key that says what it takes away.
    pub(super) fn taken(self) -> Option<&'static str> {
        match self {
            Stage::Tmp => Some("private_tmp"),
            Stage::Bound | Stage::Capabilities => Some("capabilities"),
            Stage::NoNewPrivs => Some("no_new_privs"),
            Stage::Output
            | Stage::Session
            | Stage::Sockets
            | Stage::NoFile
            | Stage::NoProc
            | Stage::Core
            | Stage::Cpu
            | Stage::Nice
            | Stage::Identity
            | Stage::Folder
            | Stage::Exec => None,
        }
    }
}

impl Setup<'_> {
    /// Becomes the program. Comes back only when that failed.
    pub(super) fn become_program(&self, note: &Note) -> io::Error {
        match self.prepare(note) {
            Ok(()) => {
                note.at(Stage::Exec as i32);
                self.image.set_own_pids();
                self.image.execute()
            }
            Err(error) => error.into(),
        }
    }

    fn prepare(&self, note: &Note) -> rustix::io::Result<()> {
        let at = |stage: Stage| note.at(stage as i32);
        at(Stage::Output);
        rustix::stdio::dup2_stdin(self.stdin)?;
        rustix::stdio::dup2_stdout(self.stdout)?;
        rustix::stdio::dup2_stderr(self.stderr)?;
        at(Stage::Session);
        if let Some(cgroup) = self.cgroup {
            // First, as whoever we are. Whether it worked is seen afterwards.
            let _ = rustix::io::write(cgroup, b"0");
        }
        rustix::process::setsid()?;
        rustix::process::umask(Mode::WGRP | Mode::WOTH);
        kernel::reset_signals();
        kernel::close_rest_on_exec();
        at(Stage::Sockets);
        self.place_sockets()?;
        at(Stage::NoFile);
        match self.limits.nofile {
            Some(value) => limit(Resource::Nofile, value)?,
            None => self.nofile.map_or(Ok(()), |value| {
                rustix::process::setrlimit(Resource::Nofile, value)
            })?,
        }
        for (stage, resource, value) in [
            (Stage::NoProc, Resource::Nproc, self.limits.nproc),
            (Stage::Core, Resource::Core, self.limits.core),
            (Stage::Cpu, Resource::Cpu, self.limits.cpu),
        ] {
            if let Some(value) = value {
                at(stage);
                limit(resource, value)?;
            }
        }
        if let Some(nice) = self.limits.nice {
            at(Stage::Nice);
            rustix::process::setpriority_process(None, i32::from(nice))?;
        }
        at(Stage::Tmp);
        self.confinement.enter_tmp()?;
        at(Stage::Bound);
        self.confinement.bound()?;
        if let Some(identity) = self.identity {
            at(Stage::Identity);
            become_user(identity)?;
        }
        at(Stage::Capabilities);
        self.confinement.drop_capabilities()?;
        at(Stage::NoNewPrivs);
        self.confinement.give_up_new_privileges()?;
        at(Stage::Folder);
        rustix::process::chdir(self.folder)
    }

    /// After everything else that was open has been used or closed.
    fn place_sockets(&self) -> rustix::io::Result<()> {
        let mut sources = [-1; MAX_LISTEN];
        let count = self.sockets.len().min(MAX_LISTEN);
        let above = FIRST_DESCRIPTOR + count as i32;
        for (source, socket) in sources.iter_mut().zip(self.sockets) {
            *source = socket.as_raw_fd();
            // One that lies where another goes would be closed by it.
            if *source < above {
                *source = rustix::io::fcntl_dupfd_cloexec(&**socket, above)?.into_raw_fd();
            }
        }
        for (number, source) in (FIRST_DESCRIPTOR..).zip(&sources[..count]) {
            kernel::place(*source, number)?;
        }
        Ok(())
    }
}

fn limit(resource: Resource, value: u64) -> rustix::io::Result<()> {
    let both = Rlimit {
        current: Some(value),
        maximum: Some(value),
    };
    rustix::process::setrlimit(resource, both)
}

/// Groups first, the user last: afterwards there is no right to change the others.
fn become_user(identity: &Identity) -> rustix::io::Result<()> {
    use rustix::process::{Gid, Uid, getegid, geteuid};
    let same_user = identity.uid.is_none_or(|uid| geteuid().as_raw() == uid);
    let same_group = identity.gid.is_none_or(|gid| getegid().as_raw() == gid);
    if same_user && same_group && !geteuid().is_root() {
        return Ok(());
    }
    if let Some(groups) = &identity.groups {
        set_groups(groups)?;
    }
    if let Some(gid) = identity.gid {
        let gid = Gid::from_raw(gid);
        rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    }
    if let Some(uid) = identity.uid {
        let uid = Uid::from_raw(uid);
        rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    }
    Ok(())
}

fn set_groups(groups: &[u32]) -> rustix::io::Result<()> {
    // SAFETY: the slice is `groups.len()` numbers of the type the kernel expects; the raw
    // call changes this thread, which is the only one of a forked child.
    let answer = unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) };
    if answer == 0 {
        Ok(())
    } else {
        Err(
            rustix::io::Errno::from_io_error(&io::Error::last_os_error())
                .unwrap_or(rustix::io::Errno::PERM),
        )
    }
}
