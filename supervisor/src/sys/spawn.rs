//! One fork and one exec, with the exact reason when it fails: the parent's side.
//!
//! Everything that allocates, locks or looks things up happens here, before the fork; what
//! the child does is in `child`, and how it comes to be in `fork`.

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use rustix::fs::{Mode, OFlags};

use super::child::{Setup, Stage};
use super::confine::Confinement;
use super::fork::{Failed, fork};
use super::image::Image;
use super::limits;
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
    pub(super) confinement: Confinement,
    /// Takes the child into its control group.
    pub(super) cgroup: Option<OwnedFd>,
    /// What becomes descriptors 3, 4, ….
    pub(super) sockets: Vec<Arc<OwnedFd>>,
}

/// Forks and executes. Blocks until exec has succeeded or failed.
pub(super) fn start(plan: Plan) -> Result<OwnedChild, SpawnError> {
    let system = |stage: &str, error: &io::Error| SpawnError::System {
        stage: stage.to_owned(),
        error: plain(error),
    };
    let folder = CString::new(plan.cwd.as_os_str().as_bytes()).map_err(|_| SpawnError::Folder {
        path: plan.cwd.clone(),
        error: "its name contains a NUL byte".to_owned(),
    })?;
    let setup = Setup {
        image: &plan.image,
        folder: &folder,
        stdin: nothing_to_read().map_err(|error| system("open of /dev/null", &error))?,
        stdout: &plan.stdout,
        stderr: &plan.stderr,
        limits: plan.limits,
        nofile: limits::original_nofile(),
        identity: plan.identity.as_ref(),
        confinement: &plan.confinement,
        cgroup: plan.cgroup.as_ref(),
        sockets: &plan.sockets,
    };
    let _in_progress = reap::forking();
    match fork(plan.identity.is_some(), &|note| setup.become_program(note)) {
        Ok(forked) => Ok(OwnedChild::new(forked.pid, forked.pidfd)),
        Err(failed) => Err(explain(&failed, plan)),
    }
}

/// `/dev/null`, kept open.
fn nothing_to_read() -> io::Result<&'static OwnedFd> {
    static NULL: OnceLock<OwnedFd> = OnceLock::new();
    if let Some(null) = NULL.get() {
        return Ok(null);
    }
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let null = rustix::fs::open("/dev/null", flags, Mode::empty())?;
    Ok(NULL.get_or_init(|| null))
}

fn explain(failed: &Failed, plan: Plan) -> SpawnError {
    let Failed { stage, error } = failed;
    let text = plain(error);
    let system = |stage: &str| SpawnError::System {
        stage: stage.to_owned(),
        error: text.clone(),
    };
    match Stage::of(*stage) {
        Some(Stage::Exec) => plan.image.explain(&plan.program, error),
        Some(Stage::Folder) => SpawnError::Folder {
            path: plan.cwd,
            error: text,
        },
        Some(Stage::Identity) => SpawnError::Identity {
            who: plan
                .identity
                .map(|identity| identity.who)
                .unwrap_or_default(),
            error: text,
        },
        Some(Stage::Output | Stage::Sockets) => system("dup2"),
        Some(stage) => match (stage.limit(), stage.taken()) {
            (Some(limit), _) => SpawnError::Limit {
                limit: limit.to_owned(),
                error: text,
            },
            (None, Some(key)) => SpawnError::Sandbox {
                key: key.to_owned(),
                error: text,
            },
            (None, None) => system("setsid"),
        },
        None => system("fork"),
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
