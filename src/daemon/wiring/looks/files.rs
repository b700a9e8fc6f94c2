//! Files of a process: one that it names, those of a format that do not parse, locks.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use brain::{BrokenFile, FileLook, LockLook};
use serde_json::Value;
use supervisor::ProcessName;
use supervisor::sys::inspect;

use super::age_s;
use crate::daemon::wiring::facts::LiveFacts;

/// Files that are checked for their format, how large, and how deep below the folder.
const CHECKED: usize = 200;
const CHECKED_BYTES: u64 = 1 << 20;
const CHECKED_DEPTH: usize = 3;
/// Folders that hold what was installed.
const INSTALLED: [&str; 8] = [
    "node_modules",
    "vendor",
    "venv",
    "__pycache__",
    "target",
    "dist",
    "build",
    "site-packages",
];
pub(in crate::daemon::wiring) fn file(
    facts: &LiveFacts,
    name: &ProcessName,
    path: &str,
) -> Option<FileLook> {
    use std::os::unix::fs::MetadataExt;
    let cwd = facts.registry.glance(name)?.spec.cwd;
    let full = cwd.join(path);
    let mut look = FileLook {
        path: path.to_owned(),
        ..FileLook::default()
    };
    match fs::symlink_metadata(&full) {
        Ok(first) => {
            let is_link = first.file_type().is_symlink();
            let meta = fs::metadata(&full).unwrap_or(first);
            look.exists = true;
            look.kind = match () {
                () if is_link => "link",
                () if meta.is_dir() => "folder",
                () if meta.is_file() => "file",
                () => "other",
            }
            .to_owned();
            look.mode = meta.mode() & 0o7777;
            look.owner = meta.uid();
            look.bytes = meta.len();
            look.written_s = meta.modified().ok().map(|at| age_s(facts, at));
            look.inside = full
                .canonicalize()
                .ok()
                .zip(cwd.canonicalize().ok())
                .is_some_and(|(full, cwd)| full.starts_with(cwd));
        }
        Err(_) => {
            look.nearest = full
                .ancestors()
                .skip(1)
                .find(|folder| folder.is_dir())
                .map(|folder| folder.display().to_string())
                .unwrap_or_default();
        }
    }
    Some(look)
}

pub(in crate::daemon::wiring) fn broken_files(
    facts: &LiveFacts,
    name: &ProcessName,
) -> Vec<BrokenFile> {
    let Some(cwd) = facts.registry.glance(name).map(|glance| glance.spec.cwd) else {
        return Vec::new();
    };
    let mut broken = Vec::new();
    let mut folders = vec![(cwd.clone(), 0)];
    let mut left = CHECKED;
    let mut entries_left = CHECKED * 10;
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            entries_left = entries_left.saturating_sub(1);
            if left == 0 || entries_left == 0 {
                return broken;
            }
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() {
                let hidden = name.starts_with('.') || INSTALLED.contains(&name);
                if !hidden && depth + 1 < CHECKED_DEPTH {
                    folders.push((entry.path(), depth + 1));
                }
                continue;
            }
            let format = match name.rsplit_once('.').map(|(_, ending)| ending) {
                Some("json") => "JSON",
                Some("toml") => "TOML",
                _ => continue,
            };
            if kind.is_file() {
                left -= 1;
                broken.extend(check(facts, &cwd, &entry.path(), format));
            }
        }
    }
    broken
}

fn check(facts: &LiveFacts, cwd: &Path, path: &Path, format: &str) -> Option<BrokenFile> {
    let meta = fs::metadata(path).ok()?;
    if meta.len() > CHECKED_BYTES {
        return None;
    }
    let text = fs::read_to_string(path).ok()?;
    let (error, cut_off) = match format {
        "JSON" => match serde_json::from_str::<Value>(&text) {
            Ok(_) => return None,
            Err(error) => (error.to_string(), error.is_eof()),
        },
        _ => match toml::from_str::<toml::Table>(&text) {
            Ok(_) => return None,
            Err(error) => {
                let line = error
                    .span()
                    .map_or(1, |span| text[..span.start].lines().count().max(1));
                (format!("{} at line {line}", error.message()), false)
            }
        },
    };
    Some(BrokenFile {
        path: path.strip_prefix(cwd).unwrap_or(path).display().to_string(),
        format: format.to_owned(),
        error,
        cut_off,
        written_s: meta.modified().map_or(0.0, |at| age_s(facts, at)),
    })
}

pub(in crate::daemon::wiring) fn lock_file(
    facts: &LiveFacts,
    name: &ProcessName,
    path: &str,
) -> Option<LockLook> {
    let cwd = facts.registry.glance(name)?.spec.cwd.canonicalize().ok()?;
    look_at_lock(&cwd, path, facts.paths.home(), |written| {
        age_s(facts, written)
    })
}

/// A lock file as it is now. Its folder is followed through links, itself is not.
pub(in crate::daemon::wiring) fn look_at_lock(
    cwd: &Path,
    path: &str,
    home: &Path,
    age: impl Fn(SystemTime) -> f64,
) -> Option<LockLook> {
    use std::os::unix::fs::MetadataExt;
    let named = cwd.join(path);
    let full = named
        .parent()?
        .canonicalize()
        .ok()?
        .join(named.file_name()?);
    let meta = fs::symlink_metadata(&full).ok()?;
    let regular = meta.file_type().is_file() && meta.nlink() == 1;
    let held = if regular && meta.len() <= 4096 {
        fs::read_to_string(&full).unwrap_or_default()
    } else {
        String::new()
    };
    let pid = held
        .split(|c: char| !c.is_ascii_digit())
        .find(|digits| !digits.is_empty())
        .and_then(|digits| digits.parse().ok())
        .filter(|pid| *pid > 1);
    Some(LockLook {
        inside: full.starts_with(cwd),
        path: full.to_str()?.to_owned(),
        regular,
        pid,
        holder: pid.and_then(inspect::command_of),
        holder_ours: pid
            .filter(|pid| inspect::command_of(*pid).is_some())
            .and_then(|pid| inspect::run_of(pid, home)),
        open_by: locked_by(meta.ino()),
        written_s: meta.modified().map_or(0.0, age),
    })
}

/// Who holds a lock of the kernel on the file with this inode.
fn locked_by(inode: u64) -> Option<i32> {
    let table = fs::read_to_string("/proc/locks").ok()?;
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [.., pid, place, _, _] = fields[..] else {
            return None;
        };
        let (_, found) = place.rsplit_once(':')?;
        (found.parse() == Ok(inode)).then(|| pid.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_looked_at_without_following_it() {
        let folder = tempfile::tempdir().unwrap();
        let cwd = folder.path().canonicalize().unwrap();
        fs::create_dir(cwd.join("run")).unwrap();
        fs::write(cwd.join("run/a.pid"), format!("{}\n", i32::MAX)).unwrap();
        std::os::unix::fs::symlink(cwd.join("run/a.pid"), cwd.join("run/link.pid")).unwrap();
        let look = |path: &str| look_at_lock(&cwd, path, Path::new("/nowhere"), |_| 0.0);
        let dead = look("run/a.pid").unwrap();
        assert!(
            dead.regular && dead.inside && dead.holder.is_none(),
            "{dead:?}"
        );
        assert_eq!(dead.pid, Some(i32::MAX));
        assert!(!look("run/link.pid").unwrap().regular);
        assert!(look("run/none.pid").is_none());
        fs::write(cwd.join("run/own.pid"), std::process::id().to_string()).unwrap();
        assert!(look("run/own.pid").unwrap().holder.is_some());
    }
}
