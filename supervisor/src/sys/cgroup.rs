//! A control group (v2) for each run, where the host lets us make one.
//!
//! ```text
//!   <our own cgroup>/mhost-<hash of the home>/<name>-<index>.<generation>
//! ```
//!
//! A process cannot leave its cgroup by forking twice, `setsid` or clearing its environment,
//! so this ties to a run what nothing else would. Only membership is used: no controller is
//! enabled, nothing is limited. Where cgroup2 is not mounted or our own cgroup is not ours to
//! divide, [`Cgroups::detect`] says `None` and `tree` works without. A program with the right
//! to move itself elsewhere can, so that what `tree` knows counts as well.

use std::fs;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::ids::{Generation, InstanceId};

/// Where the runs of one home have their cgroups.
#[derive(Debug)]
pub(super) struct Cgroups {
    /// Where the hierarchy is mounted, and which part of it that shows.
    mount: (PathBuf, PathBuf),
    /// `mhost-<hash>`.
    name: String,
    /// The folder of that name.
    folder: PathBuf,
    /// Still in use when their run was over: a process that has just ended stays for a
    /// moment, one that may outlive its run for longer.
    over: Mutex<Vec<Cgroup>>,
}

/// The cgroup of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cgroup {
    folder: PathBuf,
}

impl Cgroups {
    /// Looks whether we may divide our own cgroup; removes what ended runs left of it.
    pub(super) fn detect(home: &Path) -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let found = Self::locate(home, &mounts, &own)?;
        let parent = found.folder.parent()?.join("cgroup.procs");
        rustix::fs::access(parent, rustix::fs::Access::WRITE_OK).ok()?;
        fs::create_dir_all(&found.folder).ok()?;
        // Below a cgroup of threads it says `domain invalid`, and takes no process.
        let kind = fs::read_to_string(found.folder.join("cgroup.type"));
        below(&found.folder).for_each(|ended| remove(&ended));
        let _ = fs::remove_dir(&found.folder);
        (kind.ok()?.trim_end() == "domain").then_some(found)
    }

    fn locate(home: &Path, mounts: &str, own: &str) -> Option<Self> {
        let name = name_of(home);
        let own = own_path(own)?;
        // A daemon that was started from inside a run must not take itself for a part of it.
        if own.iter().any(|part| part == name.as_str()) {
            return None;
        }
        mounts.lines().find_map(|line| {
            let (place, kind) = line.split_once(" - ")?;
            let mut place = place.split(' ').skip(3).map(PathBuf::from);
            let (root, point) = (place.next()?, place.next()?);
            let below = own.strip_prefix(&root).ok()?;
            // Spaces and the like are written as `\040`: too rare to be read.
            let plain = !point.as_os_str().as_bytes().contains(&b'\\');
            (plain && kind.starts_with("cgroup2 ")).then(|| Self {
                folder: point.join(below).join(&name),
                mount: (point, root),
                name: name.clone(),
                over: Mutex::default(),
            })
        })
    }

    /// Makes the cgroup of a run and opens the file that takes its first process. `None`:
    /// the run does without.
    pub(super) fn make(
        &self,
        instance: &InstanceId,
        generation: Generation,
    ) -> Option<(Cgroup, OwnedFd)> {
        let leaf = format!("{}{generation}", leaf_of(instance));
        let folder = self.folder.join(leaf);
        // The folder above goes with the last run, which may be right now: hence again. One
        // that exists is a remainder of an older home; if it is in use it stays alone.
        let made = (0..3).any(|_| {
            remove(&folder);
            fs::create_dir_all(&self.folder).is_ok() && fs::create_dir(&folder).is_ok()
        });
        let open = |file| fs::OpenOptions::new().write(true).open(file).ok();
        let procs = made.then(|| open(folder.join("cgroup.procs")))??;
        Some((Cgroup { folder }, procs.into()))
    }

    /// The run's cgroup that a process is in, also as a zombie, also if a former daemon made
    /// it from another place.
    pub(super) fn of(&self, pid: i32) -> Option<Cgroup> {
        let own = own_path(&fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?)?;
        let mut parts = own.strip_prefix(&self.mount.1).ok()?.iter();
        let mut folder = self.mount.0.clone();
        let above = parts.find(|part| {
            folder.push(part);
            *part == self.name.as_str()
        });
        folder.push(above.and_then(|_| parts.next())?);
        folder.exists().then_some(Cgroup { folder })
    }

    /// Takes away the cgroup of a run that is over, and the folder above with the last one.
    pub(super) fn remove(&self, over: Option<Cgroup>) {
        let mut all = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(over);
        all.retain(|cgroup| {
            remove(&cgroup.folder);
            let _ = cgroup.folder.parent().map(fs::remove_dir);
            cgroup.folder.exists()
        });
    }
}

impl Cgroup {
    /// Which run of `instance` it was made for, if of that one at all.
    pub(super) fn generation(&self, instance: &InstanceId) -> Option<Generation> {
        let leaf = self.folder.file_name()?.to_str()?;
        leaf.strip_prefix(&leaf_of(instance))?.parse().ok()
    }

    /// Who is in it and below it now, without zombies.
    pub(super) fn pids(&self) -> Vec<i32> {
        let mut pids = Vec::new();
        let mut folders = vec![self.folder.clone()];
        while let Some(folder) = folders.pop() {
            let text = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
            // 0 is somebody outside our pid namespace.
            let there = text.lines().filter_map(|line| line.parse::<i32>().ok());
            pids.extend(there.filter(|pid| *pid > 0));
            folders.extend(below(&folder));
        }
        pids
    }

    /// Ends everybody in it at once, also who is just forking. Returns how many there were;
    /// before Linux 5.14 nobody is ended.
    pub(super) fn kill(&self) -> usize {
        let count = self.pids().len();
        let file = self.folder.join("cgroup.kill");
        let opened = fs::OpenOptions::new().write(true).open(file);
        opened.map_or(0, |mut file| file.write_all(b"1").map_or(0, |()| count))
    }
}

/// `mhost-<hash>`: names a home outside of it.
pub(super) fn name_of(home: &Path) -> String {
    // FNV-1a: the name must be the same for every build.
    let hash = home.as_os_str().as_bytes().iter();
    let hash = hash.fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    format!("mhost-{hash:08x}")
}

fn leaf_of(instance: &InstanceId) -> String {
    format!("{}-{}.", instance.process, instance.index)
}

/// The path in the v2 hierarchy, as `/proc/<pid>/cgroup` has it.
fn own_path(text: &str) -> Option<PathBuf> {
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    // `/..` leads out of our cgroup namespace, where we cannot see.
    (!path.starts_with("/..")).then(|| path.into())
}

fn below(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.map(|entry| entry.path())
}

/// Removes a folder and those in it, unless somebody is in there: a living program may have
/// made cgroups below its own, and keeps also the empty ones.
fn remove(folder: &Path) {
    let events = fs::read_to_string(folder.join("cgroup.events"));
    if events.is_ok_and(|events| events.contains("populated 1")) {
        return;
    }
    below(folder).for_each(|folder| remove(&folder));
    let _ = fs::remove_dir(folder);
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str = "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";

    #[test]
    fn the_place_is_read_from_proc() {
        let find = |mounts: &str, own: &str| {
            let found = Cgroups::locate(Path::new("/h"), mounts, own)?;
            Some(found.folder.to_str().expect("is plain").to_owned())
        };
        let v2 = format!("{V1}30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n");
        let service = "1:cpu:/x\n0::/user.slice/mhost.service\n";
        let below = "/sys/fs/cgroup/user.slice/mhost.service/mhost-";
        let found = find(&v2, service).expect("is there");
        assert_eq!(found.strip_prefix(below).map(str::len), Some(8), "{found}");
        let bind = "30 23 0:26 /user.slice /c rw - cgroup2 cgroup2 rw\n";
        assert!(find(bind, service).is_some_and(|f| f.starts_with("/c/mhost.service/mhost-")));
        assert_eq!(find(bind, "0::/other\n"), None);
        assert_eq!(find(V1, service), None);
        assert_eq!(find(&v2, "1:cpu:/x\n"), None);
        let inside = format!("0::/{}/api-0.1\n", found.rsplit('/').next().unwrap());
        assert_eq!(find(&v2, &inside), None);
    }
}
