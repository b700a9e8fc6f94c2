//! Stop and start again: all at once, or a group member by member.
//!
//! A restart that somebody asked for reads env files anew, as a person expects who has just
//! edited one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::future::join_all;
use serde_json::json;

use super::RegistryHandle;
use super::against::Against;
use super::orders::{DEPENDENCY_SLACK, no_copy};
use super::owed::names_and_notes;
use super::target::{Pick, Picked};
use super::waiting::DELETED;
use super::wanted::Whole;
use crate::command::{Done, Target};
use crate::control::ControlError;
use crate::event::EventKind;
use crate::ids::ProcessName;
use crate::instance::{InstanceHandle, OrderError, Unwanted};
use crate::machine::Input;
use crate::os_text::OsText;
use crate::secret::{EnvVars, MASK, is_secret_name};
use crate::spec::ProcessSpec;
use crate::state::{Reason, State};
use crate::store::Batch;

/// How a restart is to be done.
#[derive(Debug)]
pub(super) struct Restart {
    /// The caller's environment from now on.
    pub(super) update_env: Option<EnvVars<OsText>>,
    pub(super) reason: Reason,
    /// SIGKILL at once.
    pub(super) force: bool,
    /// The file whose change is the reason.
    pub(super) path: Option<Box<str>>,
}

impl Restart {
    /// A graceful one for this reason.
    pub(super) fn by(reason: Reason) -> Self {
        Self {
            update_env: None,
            reason,
            force: false,
            path: None,
        }
    }
}

impl RegistryHandle {
    /// Stops and starts again. A group rolls over its members, each online before the next.
    pub(super) async fn restart(
        &self,
        actor: &str,
        target: &Target,
        restart: Restart,
    ) -> Result<Vec<Done>, ControlError> {
        let Restart {
            update_env,
            reason,
            force,
            path,
        } = restart;
        if let Some(name) = update_env.as_ref().and_then(impossible) {
            return Err(ControlError::Invalid {
                message: format!("the variable `{name}` cannot stand in an environment"),
                details: Vec::new(),
            });
        }
        let input = Input::Restart {
            reason,
            force,
            path,
        };
        let Picked { items, rolling } = self.inner().pick(target)?;
        let against = self.ordered_against();
        let names: Vec<ProcessName> = items.iter().map(|pick| pick.name.clone()).collect();
        let whole = if reason == Reason::Manual {
            Whole::InFull
        } else {
            Whole::AsItIs
        };
        self.want_running(&items, whole, &against).await;
        if reason == Reason::Manual {
            for name in &names {
                self.read_env_files(name, actor).await?;
            }
        }
        if let Some(os) = update_env {
            for name in &names {
                self.redefine(name, |spec: &mut ProcessSpec| spec.env.os = os.clone())
                    .await?;
            }
        }
        if !rolling {
            let restarts = items
                .iter()
                .map(|pick| self.restart_pick(pick, &input, &against, actor));
            let mut done = join_all(restarts).await;
            self.note_owed(names_and_notes(&items, &mut done));
            return Ok(done);
        }
        let mut done = Vec::with_capacity(items.len());
        for pick in &items {
            let one = self.restart_pick(pick, &input, &against, actor).await;
            let failed = one.error.is_some();
            done.push(one);
            if failed {
                let rest = items.iter().skip(done.len()).map(|pick| Done {
                    target: pick.text(),
                    changed: false,
                    note: Some("left as it is, because a member before it did not come up".into()),
                    error: None,
                });
                done.extend(rest.collect::<Vec<_>>());
                break;
            }
        }
        self.note_owed(names_and_notes(&items, &mut done));
        Ok(done)
    }

    /// Env files are read anew by a restart or a reload that somebody asked for, as a person
    /// expects who has just edited one. A file that cannot be read leaves everything as it is.
    pub(super) async fn read_env_files(
        &self,
        name: &ProcessName,
        actor: &str,
    ) -> Result<(), ControlError> {
        let Some(spec) = self
            .inner()
            .entry(name)
            .map(|entry| Arc::clone(&entry.spec))
        else {
            return Ok(());
        };
        if spec.config.env_file.is_none() {
            return Ok(());
        }
        let read = tokio::task::spawn_blocking(move || crate::config::read_env_files(&spec)).await;
        let files = match read {
            Ok(Ok(files)) => files,
            Ok(Err(error)) => {
                let details = error
                    .problems()
                    .iter()
                    .map(|problem| problem.render())
                    .collect();
                let message = format!("`{name}` was left as it is: {error}");
                return Err(ControlError::Invalid { message, details });
            }
            Err(error) => {
                return Err(ControlError::Internal {
                    message: error.to_string(),
                });
            }
        };
        let known = |spec: &ProcessSpec| spec.env.files == files;
        if self
            .inner()
            .entry(name)
            .is_some_and(|entry| known(&entry.spec))
        {
            return Ok(());
        }
        let mut changed = Vec::new();
        self.redefine(name, |spec| {
            changed = changed_variables(&spec.env.files, &files);
            spec.env.files = files;
        })
        .await?;
        let event = self.new_event(
            name,
            EventKind::ConfigChanged,
            json!({ "keys": ["env_file"], "changed": changed }),
            actor,
        );
        self.journal(Batch {
            events: vec![event],
            ..Batch::default()
        })
        .await
    }

    /// The copies that a restart reaches, and the definition they begin by; else the answer.
    fn to_restart(
        &self,
        pick: &Pick,
        restart: &Input,
        against: &Against,
    ) -> Result<(Vec<InstanceHandle>, Arc<ProcessSpec>), Done> {
        let left = |note: Option<&str>, error: Option<&str>| Done {
            target: pick.text(),
            changed: false,
            note: note.map(str::to_owned),
            error: error.map(str::to_owned),
        };
        let inner = self.inner();
        let entry = inner.entry(&pick.name);
        let entry = entry.ok_or_else(|| left(None, Some(DELETED)))?;
        if pick.index.is_none() && entry.counted().is_empty() {
            return Err(left(Some(&no_copy(&pick.name)), None));
        }
        let is_asked_for = matches!(
            restart,
            Input::Restart {
                reason: Reason::Manual,
                ..
            }
        );
        if !is_asked_for && (entry.renews() || entry.waits_to_begin(0..entry.count())) {
            let note = "left as it is: it is about to start";
            return Err(left(Some(note), None));
        }
        if pick
            .index
            .is_some_and(|index| usize::from(index) >= entry.handles.len())
        {
            let error = OrderError::Unwanted(Unwanted::Surplus).to_string();
            return Err(left(None, Some(&error)));
        }
        let handles = entry.to_start(pick, against);
        if handles.is_empty() || against.is_stopped(entry) {
            let note = "left as it is: it was stopped or held meanwhile";
            return Err(left(Some(note), None));
        }
        Ok((handles, Arc::clone(&entry.spec)))
    }

    async fn restart_pick(
        &self,
        pick: &Pick,
        restart: &Input,
        against: &Against,
        actor: &str,
    ) -> Done {
        // A reload or a scaling that is under way ends first, and it is the new set's turn.
        let changing = self.settled(&pick.name).await;
        let found = self.to_restart(pick, restart, against);
        let (handles, spec) = match found {
            Ok(found) => found,
            Err(left_down) => return left_down,
        };
        let limit = spec.config.start_timeout + DEPENDENCY_SLACK;
        let was_down = handles.iter().all(|handle| handle.snapshot().is_down());
        let orders = handles.iter().map(|handle| async {
            let before = handle.snapshot().saved.counters.generation;
            handle.order(restart.clone(), actor).await.map(|()| before)
        });
        let ordered = join_all(orders).await;
        if ordered.iter().all(Result::is_ok) {
            self.renewed_by(&pick.name, &handles, &spec).await;
        }
        drop(changing);
        let restarts = handles.iter().zip(ordered).map(async |(handle, ordered)| {
            let before = ordered.map_err(|error| error.to_string())?;
            // The old run has its grace period; the limit begins with the new one.
            handle
                .until(None, |snapshot| {
                    snapshot.saved.counters.generation > before
                        || !matches!(snapshot.saved.state, State::Stopping { .. })
                })
                .await;
            self.wait_started(pick, handle, against, limit).await
        });
        let restarted: Result<Vec<()>, String> = join_all(restarts).await.into_iter().collect();
        let result = self.refuse_if_off(pick, against).and(restarted);
        Done {
            target: pick.text(),
            changed: true,
            note: was_down.then(|| "was not running and has been started".to_owned()),
            error: result.err().map(|error| self.reason(error)),
        }
    }
}

/// A variable that no program can be given: every start would fail because of it.
fn impossible(env: &EnvVars<OsText>) -> Option<&String> {
    let is_name = |name: &str| !name.is_empty() && !name.contains(['=', '\0']);
    let is_value = |value: &OsText| !value.0.as_encoded_bytes().contains(&0);
    let found = env
        .iter()
        .find(|(name, value)| !is_name(name) || !is_value(value));
    found.map(|(name, _)| name)
}

/// Variables that an edited env file changed: name, then, now. Secrets are masked.
fn changed_variables(
    old: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
) -> Vec<(String, String, String)> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    names
        .into_iter()
        .filter(|name| old.get(*name) != new.get(*name))
        .take(20)
        .map(|name| {
            let of = |map: &BTreeMap<String, String>| {
                let value = map.get(name).map(String::as_str).unwrap_or_default();
                let address = value.contains("://") && value.contains('@');
                if !value.is_empty() && (is_secret_name(name) || address) {
                    return MASK.to_owned();
                }
                value.chars().take(64).collect()
            };
            (name.clone(), of(old), of(new))
        })
        .collect()
}
