//! Takes rights and the common `/tmp` from a child, between fork and exec.
//!
//! ```text
//!   as root:      own /tmp ─► bounding set ─► (becomes the user, keeping what it has)
//!   as the user:  permitted, effective, inheritable, ambient ─► no_new_privs ─► exec
//! ```
//!
//! A `/tmp` of its own is a `tmpfs` in a mount namespace of its own. Nothing of it has a name
//! anywhere else: it goes with the last process of the run, also when nobody is left to clean up,
//! and there is no folder in which somebody could have planted something before.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets, LinkNameSpaceType};

use super::{kernel, proc_scan};
use crate::launch::SpawnError;
use crate::spec::Sandbox;
use crate::state::ProcessRef;

/// What is hidden from a run with a `/tmp` of its own: what everybody may write to.
const COMMON: [(&std::ffi::CStr, &str); 2] = [(c"/tmp", "/tmp"), (c"/var/tmp", "/var/tmp")];

/// As systemd has it for a `/tmp` in memory: everybody's, and no more than a tenth of the memory.
const TMPFS: &std::ffi::CStr = c"mode=1777,size=10%";

/// What a child is started without; laid out by the parent.
#[derive(Debug, Default)]
pub(super) struct Confinement {
    no_new_privs: bool,
    capabilities: Option<u64>,
    tmp: Tmp,
}

/// Whose `/tmp` it sees.
#[derive(Debug, Default)]
enum Tmp {
    /// Everybody's.
    #[default]
    Common,
    /// A new one.
    Own,
    /// That of the run which has this mount namespace.
    Of(OwnedFd),
}

impl Confinement {
    /// Of a run.
    pub(super) fn of(sandbox: Sandbox) -> Result<Self, SpawnError> {
        if let Some(wanted) = sandbox.capabilities {
            let own = rustix::thread::capabilities(None)
                .map_err(|error| refused("capabilities", &error.into()))?;
            let missing = wanted.without(own.permitted.bits());
            if missing.bits() != 0 {
                return Err(SpawnError::Sandbox {
                    key: "capabilities".to_owned(),
                    error: format!("the daemon does not have {missing} itself"),
                });
            }
        }
        Ok(Self {
            no_new_privs: sandbox.no_new_privs,
            capabilities: sandbox.capabilities.map(|kept| kept.bits()),
            tmp: match sandbox.private_tmp {
                true => Tmp::Own,
                false => Tmp::Common,
            },
        })
    }

    /// Of a script that looks after a run: it sees the `/tmp` of that.
    pub(super) fn beside(sandbox: Sandbox, run: Option<&ProcessRef>) -> Result<Self, SpawnError> {
        let mut confinement = Self::of(sandbox)?;
        if let (Tmp::Own, Some(run)) = (&confinement.tmp, run) {
            confinement.tmp = Tmp::Of(namespace(run).map_err(|error| SpawnError::System {
                stage: "entering its /tmp".to_owned(),
                error: super::spawn::plain(&error),
            })?);
        }
        Ok(confinement)
    }

    /// Would it not find this any longer?
    pub(super) fn hides(&self, path: &Path) -> bool {
        if !matches!(self.tmp, Tmp::Own) {
            return false;
        }
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let path = real(path);
        COMMON.iter().any(|(_, common)| {
            let common = real(Path::new(common));
            path != common && path.starts_with(common)
        })
    }

    /// Puts it where its `/tmp` is. In the child, as root.
    pub(super) fn enter_tmp(&self) -> rustix::io::Result<()> {
        match &self.tmp {
            Tmp::Common => Ok(()),
            Tmp::Of(namespace) => {
                let mounts = Some(LinkNameSpaceType::Mount);
                rustix::thread::move_into_link_name_space(
                    std::os::fd::AsFd::as_fd(namespace),
                    mounts,
                )
            }
            Tmp::Own => {
                kernel::leave_common_mounts()?;
                for (place, _) in COMMON {
                    match kernel::mount_tmpfs(place, TMPFS) {
                        // Not every system has a /var/tmp.
                        Ok(()) | Err(Errno::NOENT) => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(())
            }
        }
    }

    /// Limits what it could ever have again, and lets what is kept survive the change of the
    /// user. In the child, as root.
    pub(super) fn bound(&self) -> rustix::io::Result<()> {
        let Some(kept) = self.capabilities else {
            return Ok(());
        };
        kernel::bound_capabilities(kept)?;
        rustix::thread::set_keep_capabilities(true)
    }

    /// Drops all rights but those that are kept, and keeps those over the exec. In the child, as
    /// whom it stays.
    pub(super) fn drop_capabilities(&self) -> rustix::io::Result<()> {
        let Some(kept) = self.capabilities else {
            return Ok(());
        };
        let set = CapabilitySet::from_bits_retain(kept);
        let all_three = CapabilitySets {
            effective: set,
            permitted: set,
            inheritable: set,
        };
        rustix::thread::set_capabilities(None, all_three)?;
        kernel::set_ambient_capabilities(kept)
    }

    /// The last of all: nothing that it executes from now on gives it rights.
    pub(super) fn give_up_new_privileges(&self) -> rustix::io::Result<()> {
        match self.no_new_privs {
            true => rustix::thread::set_no_new_privs(true),
            false => Ok(()),
        }
    }
}

fn refused(key: &str, error: &io::Error) -> SpawnError {
    SpawnError::Sandbox {
        key: key.to_owned(),
        error: super::spawn::plain(error),
    }
}

/// The mount namespace of a run, opened before it is proven that the pid still means the run.
fn namespace(run: &ProcessRef) -> io::Result<OwnedFd> {
    let path = format!("/proc/{}/ns/mnt", run.pid);
    let opened = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    match proc_scan::stat(run.pid) {
        Some(stat) if stat.start_time == run.start_time && !stat.is_zombie() => Ok(opened),
        _ => Err(Errno::SRCH.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_the_common_tmp_is_hidden_and_tmp_itself_is_not() {
        let own = Confinement {
            tmp: Tmp::Own,
            ..Confinement::default()
        };
        assert!(own.hides(Path::new("/tmp/x")) && own.hides(Path::new("/var/tmp/x/y")));
        assert!(!own.hides(Path::new("/tmp")) && !own.hides(Path::new("/tmpx")));
        assert!(!Confinement::default().hides(Path::new("/tmp/x")));
        let folder = tempfile::tempdir().expect("a folder");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/tmp/..", &link).expect("links");
        assert!(!own.hides(&link), "where it leads to counts");
    }
}
