//! Moving a stale lock file aside, and putting it back.
//!
//! The proof is made here, at the moment of the deed, and not taken from whoever asks: the
//! file lies below the process's own folder, is a regular file and no link, nobody has it
//! locked, its pid is dead or another program's, and no copy of the process runs. It is
//! renamed, never deleted, so that it can be put back.

use std::fs;
use std::path::{Path, PathBuf};

use brain::Facts;
use serde_json::{Value, json};
use supervisor::{ControlError, ProcessName};

use super::facts::LiveFacts;
use super::looks;

/// What a name gets when its file is moved aside.
const ASIDE: &str = ".stale";

fn refused(message: impl Into<String>) -> ControlError {
    ControlError::Invalid {
        message: message.into(),
        details: Vec::new(),
    }
}

/// Moves a stale lock aside. Blocking.
pub(super) fn clear(
    facts: &LiveFacts,
    name: &ProcessName,
    path: &str,
) -> Result<Value, ControlError> {
    let process = facts
        .process(name)
        .ok_or_else(|| refused(format!("there is no process `{name}`")))?;
    if process.instances.iter().any(|one| one.alive) {
        return Err(refused(format!(
            "`{path}` stays: a copy of `{name}` is running and may hold it"
        )));
    }
    let glance = facts
        .registry
        .glance(name)
        .ok_or_else(|| refused(format!("there is no process `{name}`")))?;
    let cwd = glance
        .spec
        .cwd
        .canonicalize()
        .map_err(|error| refused(format!("the folder of `{name}` cannot be read: {error}")))?;
    let home = facts.paths.home();
    let lock = looks::look_at_lock(&cwd, path, home, |_| 0.0)
        .ok_or_else(|| refused(format!("there is no file `{path}`")))?;
    let why = match () {
        () if !lock.inside => Some("it does not lie in the folder of the process"),
        () if !lock.regular => Some("it is a link or no regular file"),
        () if lock.pid.is_none() => Some("no pid stands in it"),
        () if lock.open_by.is_some() => Some("somebody holds a lock on it"),
        () if lock.holder_ours.is_some() => Some("its holder is one of ours, and lives"),
        () if lock
            .holder
            .as_deref()
            .is_some_and(|holder| same_program(holder, &glance.spec.argv.program)) =>
        {
            Some("a program of this name lives under its pid")
        }
        () => None,
    };
    if let Some(why) = why {
        return Err(refused(format!("`{path}` stays: {why}")));
    }
    let from = PathBuf::from(&lock.path);
    let to = aside(&from).ok_or_else(|| refused(format!("`{path}` cannot be moved aside")))?;
    fs::rename(&from, &to).map_err(|error| ControlError::Internal {
        message: format!("`{}` could not be moved aside: {error}", lock.path),
    })?;
    Ok(json!({ "moved": lock.path, "to": to, "pid": lock.pid }))
}

/// Puts a lock back that was moved aside, unless there is a new one. Blocking.
pub(super) fn restore(
    facts: &LiveFacts,
    name: &ProcessName,
    path: &str,
) -> Result<Value, ControlError> {
    let cwd = facts
        .registry
        .glance(name)
        .and_then(|glance| glance.spec.cwd.canonicalize().ok())
        .ok_or_else(|| refused(format!("there is no process `{name}`")))?;
    let to = cwd.join(path);
    if !to.starts_with(&cwd) || path.contains("..") {
        return Err(refused(format!(
            "`{path}` does not lie in the folder of `{name}`"
        )));
    }
    let from =
        newest_aside(&to).ok_or_else(|| refused(format!("nothing of `{path}` was moved aside")))?;
    // `link` fails where there is a file, which `rename` would replace.
    fs::hard_link(&from, &to)
        .and_then(|()| fs::remove_file(&from))
        .map_err(|error| ControlError::Internal {
            message: format!("`{path}` could not be put back: {error}"),
        })?;
    Ok(json!({ "restored": to, "from": from }))
}

/// Is the program that runs under the pid the process's own?
fn same_program(holder: &str, program: &str) -> bool {
    let name = |word: &str| word.rsplit('/').next().unwrap_or(word).to_owned();
    holder
        .split_whitespace()
        .next()
        .is_some_and(|first| name(first) == name(program))
}

/// A free name beside a file.
fn aside(file: &Path) -> Option<PathBuf> {
    (0..100).map(|n| numbered(file, n)).find(|to| !to.exists())
}

fn newest_aside(file: &Path) -> Option<PathBuf> {
    (0..100)
        .map(|n| numbered(file, n))
        .take_while(|to| to.exists())
        .last()
}

fn numbered(file: &Path, n: u32) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ASIDE);
    if n > 0 {
        name.push(format!(".{n}"));
    }
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_aside_are_free() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.pid");
        let first = aside(&file).unwrap();
        assert!(first.ends_with("a.pid.stale"));
        assert_eq!(newest_aside(&file), None);
        fs::write(&first, "").unwrap();
        assert!(aside(&file).unwrap().ends_with("a.pid.stale.1"));
        assert_eq!(newest_aside(&file), Some(first));
    }

    #[test]
    fn programs_are_compared_by_name() {
        assert!(same_program("/usr/bin/python3 api.py", "python3"));
        assert!(!same_program("nginx: master", "python3"));
        assert!(!same_program("", "python3"));
    }
}
