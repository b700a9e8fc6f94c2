//! One fork and one exec, with the exact reason when it fails.
//!
//! Everything that allocates, locks or looks things up happens before the fork. Between fork
//! and exec the child makes plain system calls only; before each it notes the stage in a
//! pipe, so that the parent can say which one failed.

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Stdio;

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit};

use super::image::Image;
use super::limits;
use super::process;
use super::reap::{self, OwnedChild};
use super::users::Identity;
use crate::launch::SpawnError;
use crate::spec::Limits;

/// All a child needs, made before the fork.
#[derive(Debug)]
pub(super) struct Plan {
    /// As the user wrote it, for errors.
    pub(super) program: String,
    pub(super) image: Image,
    pub(super) cwd: PathBuf,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
    pub(super) limits: Limits,
    pub(super) identity: Option<Identity>,
    /// Takes the child into its control group.
    pub(super) cgroup: Option<OwnedFd>,
}

/// How far the child got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Stage {
    Session = 1,
    NoFile,
    NoProc,
    Core,
    Cpu,
    Nice,
    Identity,
    Folder,
    Exec,
}

impl Stage {
    const ALL: [Stage; 9] = [
        Stage::Session,
        Stage::NoFile,
        Stage::NoProc,
        Stage::Core,
        Stage::Cpu,
        Stage::Nice,
        Stage::Identity,
        Stage::Folder,
        Stage::Exec,
    ];

    fn limit(self) -> Option<&'static str> {
        match self {
            Stage::NoFile => Some("nofile"),
            Stage::NoProc => Some("nproc"),
            Stage::Core => Some("core"),
            Stage::Cpu => Some("cpu"),
            Stage::Nice => Some("nice"),
            Stage::Session | Stage::Identity | Stage::Folder | Stage::Exec => None,
        }
    }
}

/// Forks and executes. Blocks until exec has succeeded or failed.
pub(super) fn start(plan: Plan) -> Result<OwnedChild, SpawnError> {
    let system = |stage: &str, error: io::Error| SpawnError::System {
        stage: stage.to_owned(),
        error: plain(&error),
    };
    let Plan {
        program,
        image,
        cwd,
        stdout,
        stderr,
        limits,
        identity,
        cgroup,
    } = plan;
    let folder = CString::new(cwd.as_os_str().as_bytes()).map_err(|_| SpawnError::Folder {
        path: cwd.clone(),
        error: "its name contains a NUL byte".to_owned(),
    })?;
    let flags = rustix::pipe::PipeFlags::CLOEXEC | rustix::pipe::PipeFlags::NONBLOCK;
    let (stages, stage_writer) =
        rustix::pipe::pipe_with(flags).map_err(|error| system("pipe", error.into()))?;
    let original_nofile = limits::original_nofile();
    let image = std::sync::Arc::new(image);
    let child_image = image.clone();
    let child_identity = identity.clone();

    let child_side = move || -> io::Result<()> {
        let at = |stage: Stage| {
            let _ = rustix::io::write(&stage_writer, &[stage as u8]);
        };
        at(Stage::Session);
        if let Some(cgroup) = &cgroup {
            // First, as whoever we are. Whether it worked is seen afterwards.
            let _ = rustix::io::write(cgroup, b"0");
        }
        rustix::process::setsid()?;
        rustix::process::umask(Mode::WGRP | Mode::WOTH);
        super::kernel::reset_signals();
        super::kernel::close_rest_on_exec();
        at(Stage::NoFile);
        match limits.nofile {
            Some(value) => limit(Resource::Nofile, value)?,
            None => original_nofile.map_or(Ok(()), |value| {
                rustix::process::setrlimit(Resource::Nofile, value)
            })?,
        }
        for (stage, resource, value) in [
            (Stage::NoProc, Resource::Nproc, limits.nproc),
            (Stage::Core, Resource::Core, limits.core),
            (Stage::Cpu, Resource::Cpu, limits.cpu),
        ] {
            if let Some(value) = value {
                at(stage);
                limit(resource, value)?;
            }
        }
        if let Some(nice) = limits.nice {
            at(Stage::Nice);
            rustix::process::setpriority_process(None, i32::from(nice))?;
        }
        if let Some(identity) = &child_identity {
            at(Stage::Identity);
            become_user(identity)?;
        }
        at(Stage::Folder);
        rustix::process::chdir(folder.as_c_str())?;
        at(Stage::Exec);
        Err(child_image.execute())
    };

    #[expect(clippy::disallowed_methods, reason = "this is the place that forks")]
    let mut command = std::process::Command::new("/");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::from(stdout))
        .stderr(Stdio::from(stderr));
    // SAFETY: the closure makes system calls only, through wrappers that neither allocate
    // nor lock: all strings and tables were laid out above.
    unsafe { command.pre_exec(child_side) };

    let _in_progress = reap::forking();
    match command.spawn() {
        Ok(mut child) => {
            let pid = i32::try_from(child.id()).unwrap_or(0);
            match process::open(pid) {
                Ok(pidfd) => Ok(OwnedChild::new(pid, pidfd)),
                Err(error) => {
                    // No descriptor is left: without one it could not be supervised.
                    let _ = child.kill();
                    let _ = child.wait();
                    Err(system("pidfd_open", error))
                }
            }
        }
        Err(error) => Err(explain(
            last_stage(&stages),
            &error,
            &program,
            &image,
            cwd,
            identity,
        )),
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

fn last_stage(stages: &OwnedFd) -> Option<Stage> {
    let mut noted = [0; 32];
    let count = rustix::io::read(stages, &mut noted).ok()?;
    let last = noted.get(count.checked_sub(1)?).copied()?;
    Stage::ALL.into_iter().find(|stage| *stage as u8 == last)
}

fn explain(
    stage: Option<Stage>,
    error: &io::Error,
    program: &str,
    image: &Image,
    cwd: PathBuf,
    identity: Option<Identity>,
) -> SpawnError {
    let text = plain(error);
    match stage {
        Some(Stage::Exec) => image.explain(program, error),
        Some(Stage::Folder) => SpawnError::Folder {
            path: cwd,
            error: text,
        },
        Some(Stage::Identity) => SpawnError::Identity {
            who: identity.map(|identity| identity.who).unwrap_or_default(),
            error: text,
        },
        Some(stage) => match stage.limit() {
            Some(limit) => SpawnError::Limit {
                limit: limit.to_owned(),
                error: text,
            },
            None => SpawnError::System {
                stage: "setsid".to_owned(),
                error: text,
            },
        },
        None => SpawnError::System {
            stage: "fork".to_owned(),
            error: text,
        },
    }
}

/// The system's words without Rust's `(os error 2)`, in lower case.
pub(super) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(letters).collect()
    })
}
