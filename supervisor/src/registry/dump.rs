//! `dump.toml`: the process list as a file a person can read and a new machine can start.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::RegistryHandle;
use crate::command::view::{StartChange, StartOutcome};
use crate::command::{Apply, Reply};
use crate::control::ControlError;
use crate::ids::ProcessName;
use crate::secret::exposed;
use crate::spec::{GroupSpec, ProcessSpec};
use crate::store::Desired;

/// The version of the format this release writes.
const VERSION: u32 = 1;

/// The file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Dump {
    version: u32,
    saved_at: Timestamp,
    #[serde(default)]
    process: Vec<DumpedProcess>,
    #[serde(default)]
    group: Vec<GroupSpec>,
}

/// One process, not one instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct DumpedProcess {
    name: String,
    state: Desired,
    instances: u16,
    spec: ProcessSpec,
}

impl RegistryHandle {
    /// Writes the process list.
    pub(super) async fn save(&self) -> Result<Reply, ControlError> {
        let dump = {
            let inner = self.inner();
            let stays = |entry: &&super::Entry| entry.row.removal.is_none();
            let process = inner
                .processes
                .iter()
                .filter(stays)
                .map(|entry| DumpedProcess {
                    name: entry.name().to_string(),
                    state: entry.row.desired,
                    instances: entry.count(),
                    spec: ProcessSpec::clone(&entry.row.spec),
                });
            Dump {
                version: VERSION,
                saved_at: self.context().clock.now(),
                process: process.collect(),
                group: inner.groups.values().cloned().collect(),
            }
        };
        let path = self.context().paths.dump();
        let text =
            exposed(|| toml::to_string_pretty(&dump)).map_err(|error| ControlError::Internal {
                message: error.to_string(),
            })?;
        let (target, count) = (path.clone(), dump.process.len());
        let written = tokio::task::spawn_blocking(move || replace(&target, text.as_bytes())).await;
        match written {
            Ok(Ok(())) => Ok(Reply::Saved { count, path }),
            Ok(Err(error)) => Err(ControlError::Store {
                message: format!("cannot write {}: {error}", path.display()),
            }),
            Err(error) => Err(ControlError::Internal {
                message: error.to_string(),
            }),
        }
    }

    /// Starts what was saved as online and registers the rest. What runs is left alone.
    pub(super) async fn resurrect(&self, actor: &str) -> Result<StartOutcome, ControlError> {
        let path = self.context().paths.dump();
        let shown = path.display().to_string();
        let text =
            tokio::fs::read_to_string(&path)
                .await
                .map_err(|error| ControlError::Unavailable {
                    what: format!("{shown} ({error})"),
                    remedy: "write it first with `mhost save`".into(),
                })?;
        let dump: Dump = toml::from_str(&text).map_err(|error| ControlError::Invalid {
            message: format!("{shown} cannot be read: {}", error.message()),
            details: vec![error.to_string()],
        })?;
        if dump.version > VERSION {
            let message = format!(
                "{shown} was written by a newer mhost (format {})",
                dump.version
            );
            return Err(ControlError::Invalid {
                message,
                details: Vec::new(),
            });
        }
        let mut apply = Apply {
            processes: Vec::new(),
            groups: dump.group,
            prune: false,
            force: false,
            reset_scale: false,
            others: Vec::new(),
            wait: Some(std::time::Duration::from_secs(30)),
        };
        let known = self.names();
        let mut outcome = StartOutcome {
            processes: Vec::new(),
            left_over: Vec::new(),
            pruned: Vec::new(),
        };
        let (mut counts, mut stopped) = (Vec::new(), Vec::new());
        for saved in dump.process {
            let mut spec = saved.spec;
            if known.contains(&spec.name) && self.is_up(&spec.name) {
                outcome.processes.push(super::orders::started(
                    spec.name,
                    StartChange::Unchanged,
                    Ok(()),
                ));
                continue;
            }
            if saved.state == Desired::Stopped && spec.config.enabled {
                // Registered without a start; the key is put back below.
                spec.config.enabled = false;
                stopped.push(spec.name.clone());
            }
            counts.push((spec.name.clone(), spec.instances, saved.instances));
            apply.processes.push(spec);
        }
        let mut applied = self.apply(actor, apply).await?;
        // What fails of one is told of that one, and the others go on.
        let mut tell = |name: &ProcessName, result: Result<(), ControlError>| {
            let mut all = applied.processes.iter_mut();
            if let (Err(error), Some(one)) = (result, all.find(|one| one.name == *name)) {
                one.error.get_or_insert(error.to_string());
            }
        };
        for name in stopped {
            let enabled = self.redefine(&name, |spec| spec.config.enabled = true);
            tell(&name, enabled.await);
        }
        for (name, configured, saved) in counts {
            if configured != saved {
                tell(&name, self.set_count(&name, saved, actor).await);
            }
        }
        outcome.processes.extend(applied.processes);
        Ok(outcome)
    }

    async fn set_count(
        &self,
        name: &ProcessName,
        count: u16,
        actor: &str,
    ) -> Result<(), ControlError> {
        let changing = self.settled(name).await;
        let _changing = changing.ok_or_else(|| super::change::gone(name))?;
        self.resize(name, count, actor, true).await
    }
}

/// Writes a file so that there is always a whole one: temporary file, sync, keep the former
/// as `.1`, rename.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = path.with_extension("toml.tmp");
    let write = || {
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        if path.exists() {
            std::fs::rename(path, path.with_extension("toml.1"))?;
        }
        std::fs::rename(&temporary, path)
    };
    write().inspect_err(|_| {
        // Half a file helps nobody, least of all on a full disk.
        let _ = std::fs::remove_file(&temporary);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_former_file_and_nothing_else() {
        let folder = tempfile::tempdir().expect("temp folder");
        let path = folder.path().join("dump.toml");
        replace(&path, b"first").expect("writes");
        // What is to be kept as `.1` cannot be: a folder is in its place.
        std::fs::create_dir_all(folder.path().join("dump.toml.1/x")).expect("makes");
        assert!(replace(&path, b"second").is_err());
        assert_eq!(std::fs::read(&path).expect("reads"), b"first");
        assert!(!folder.path().join("dump.toml.tmp").exists());
    }
}
