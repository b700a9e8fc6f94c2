//! `agent.actions` and `agent.allow`: questions to people, and leave in advance for a playbook by
//! its name or for the one that asks.

use std::time::Duration;

use agent::grant::Wish;
use agent::policy::Risk;
use agent::question;
use brain::IncidentId;
use serde::Deserialize;
use serde_json::{Value, json};
use supervisor::{Caller, ControlError};

use super::playbooks;
use super::port::BrainPort;
use crate::daemon::port::invalid;

/// Which questions: one, those of an incident, or those that are open.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ActionsParams {
    id: Option<String>,
    incident: Option<String>,
    open: bool,
}

/// What may be allowed: a playbook on a process, or the one that asks the question `id`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AllowParams {
    playbook: Option<String>,
    process: Option<String>,
    risk: Option<Risk>,
    id: Option<String>,
    duration_ms: u64,
}

impl BrainPort {
    /// Questions to people: all that are open and the newest others, or only what is asked for.
    pub(super) async fn actions(&self, params: ActionsParams) -> Result<Value, ControlError> {
        let agent = &self.agent;
        let found = match params {
            ActionsParams { id: Some(id), .. } => agent.question(&id).await?.into_iter().collect(),
            ActionsParams {
                incident: Some(incident),
                ..
            } => {
                let digits = incident.strip_prefix("inc-").unwrap_or(&incident);
                let id = digits.parse().map_err(|_| ControlError::NotFound {
                    target: brain::investigate::clean(&incident, 100),
                    near: Vec::new(),
                })?;
                agent.questions_of(IncidentId(id)).await?
            }
            ActionsParams { open: true, .. } => agent.open_questions().await?,
            _ => agent.actions().await?,
        };
        let all: Vec<_> = found.into_iter().map(question).collect();
        Ok(json!({ "actions": all }))
    }

    /// Gives leave in advance.
    pub(super) async fn allow(
        &self,
        caller: &Caller,
        params: AllowParams,
    ) -> Result<Value, ControlError> {
        let time = Duration::from_millis(params.duration_ms);
        let given = match (params.id, params.playbook, params.process) {
            (Some(id), None, None) if params.risk.is_none() => {
                self.agent.allow_for(caller, &id, time).await?
            }
            (None, Some(playbook), Some(process)) => {
                let process = self.known(&process)?;
                let risk = match params.risk {
                    None => self.usual_risk(&playbook).await?,
                    Some(risk @ (Risk::Low | Risk::High)) => risk,
                    Some(_) => return Err(invalid("leave is for low or high risk".into())),
                };
                let wish = Wish {
                    playbook,
                    process,
                    risk,
                    time,
                };
                self.agent.allow(caller, wish).await?
            }
            _ => {
                return Err(invalid(
                    "name a playbook and a process, or a question by its id".into(),
                ));
            }
        };
        Ok(json!(given))
    }

    /// The highest risk that the text of a playbook can lead to.
    async fn usual_risk(&self, playbook: &str) -> Result<Risk, ControlError> {
        let (all, name) = (self.playbooks.clone(), playbook.to_owned());
        let found = tokio::task::spawn_blocking(move || {
            let mut all = all.list().into_iter();
            all.find(|info| info.name == name)
        });
        let found = found.await.map_err(|error| ControlError::Internal {
            message: error.to_string(),
        })?;
        let risk = found.map_or(Risk::None, |info| playbooks::risk(&json!(info)));
        Ok(risk.max(Risk::Low))
    }
}
