//! The methods about single playbooks: show, dry run, switch, backtest.
//!
//! Nothing here acts: a dry run asks one script about facts, and the policy what it would say.

use std::sync::Arc;

use agent::describe;
use agent::policy::{Decision, Risk, worst_risk};
use brain::{
    DiagnoseContext, Diagnosis, Facts, Format, IncidentId, PlaybookInfo, PlaybookSource,
    PlaybookState, Playbooks, Switch, SymptomKind, Trust, backtest, diagnose, look, replay,
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use supervisor::{Caller, ControlError, ProcessName};

use super::port::BrainPort;
use crate::daemon::port::invalid;

/// Processes that one dry run asks about.
const PROCESSES: usize = 200;
/// Recorded moments that one backtest asks about.
const MOMENTS: u32 = 2_000;
/// Longest text of a playbook that is taken.
const TEXT: usize = 1 << 20;

/// The highest risk that a playbook's text can lead to.
pub(super) fn risk(row: &Value) -> Risk {
    let actions = row["actions"].as_array().into_iter().flatten();
    actions
        .filter_map(Value::as_str)
        .map(worst_risk)
        .max()
        .unwrap_or(Risk::None)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShowParams {
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DraftParams {
    incident: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestParams {
    name: String,
    process: Option<String>,
    incident: Option<String>,
    format: Option<Format>,
    text: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SetParams {
    name: String,
    enabled: Option<bool>,
    trust: Option<Trust>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BacktestParams {
    name: String,
    format: Option<Format>,
    text: Option<String>,
    since: Timestamp,
}

type Result<T> = std::result::Result<T, ControlError>;

fn broken(error: impl std::fmt::Display) -> ControlError {
    ControlError::Internal {
        message: error.to_string(),
    }
}

fn unread(error: brain::BrainStoreError) -> ControlError {
    ControlError::Store {
        message: error.to_string(),
    }
}

fn unknown(name: &str, all: &[PlaybookInfo]) -> ControlError {
    let mut near: Vec<String> = all.iter().map(|one| one.name.clone()).collect();
    near.retain(|one| strsim::osa_distance(one, name) <= 1 + one.len() / 4);
    ControlError::NotFound {
        target: name.to_owned(),
        near,
    }
}

/// Asks one playbook about a live process.
fn ask(process: &ProcessName, facts: &Arc<dyn Facts>, one: &Playbooks) -> Diagnosis {
    let ctx = DiagnoseContext::default();
    let mut found = look(process, facts, one, &ctx);
    if !found.trail.is_empty() {
        return found;
    }
    // It is asked about events: the newest one of the last hour will do.
    let hour = std::time::Duration::from_secs(3600);
    let newest = facts
        .events(process, None, hour)
        .iter()
        .rev()
        .find_map(|event| match brain::incident::observe(None, event) {
            brain::Seen::Opens(new) => Some(new),
            _ => None,
        });
    if let Some(new) = newest {
        let incident = brain::Incident {
            id: IncidentId(0),
            process: new.process,
            opened: new.opened,
            closed: None,
            state: brain::IncidentState::Open,
            symptoms: new.symptoms,
            fingerprint: None,
            title: new.title,
            cause: None,
        };
        found = diagnose(&incident, facts, one, &ctx);
    }
    found
}

/// Why it said nothing.
fn why(found: &Diagnosis) -> String {
    if let Some(question) = &found.diverged {
        return format!("diverged: {question} was not recorded");
    }
    match found.trail.last().map(|entry| &entry.asked) {
        None => "not asked: there is no such sign".into(),
        Some(brain::Asked::Failed { error }) => format!("it failed: {error}"),
        Some(brain::Asked::NoPlan) => "it matches and has no plan".into(),
        Some(_) => "it does not match".into(),
    }
}

impl BrainPort {
    async fn infos(&self) -> Result<Vec<PlaybookInfo>> {
        let playbooks = self.playbooks.clone();
        tokio::task::spawn_blocking(move || playbooks.list())
            .await
            .map_err(broken)
    }

    /// The one playbook that is meant: a text that is sent, or one that is loaded.
    async fn one(&self, name: &str, sent: Option<(Format, String)>) -> Result<Playbooks> {
        let (all, own) = (self.playbooks.clone(), name.to_owned());
        let found = tokio::task::spawn_blocking(move || match sent {
            Some((format, text)) => Some(all.beside(&own, format, &text)),
            None => all.alone(&own),
        });
        let Some(one) = found.await.map_err(broken)? else {
            return Err(unknown(name, &self.infos().await?));
        };
        if let Some(PlaybookState::Broken {
            error,
            line,
            column,
        }) = one.list().pop().map(|info| info.state)
        {
            return Err(invalid(format!(
                "`{name}` is broken: {line}:{column}: {error}"
            )));
        }
        Ok(one)
    }

    pub(super) async fn show(&self, params: ShowParams) -> Result<Value> {
        let infos = self.infos().await?;
        let info = infos.iter().find(|info| info.name == params.name);
        let Some(info) = info else {
            return Err(unknown(&params.name, &infos));
        };
        let (playbooks, name) = (self.playbooks.clone(), params.name.clone());
        let text = tokio::task::spawn_blocking(move || playbooks.text(&name))
            .await
            .map_err(broken)?;
        let (text, script) = text.unwrap_or_default();
        let mut row = json!(info);
        row["risk"] = json!(risk(&row));
        row["text"] = json!(text);
        row["script"] = json!(script);
        Ok(row)
    }

    /// The playbook that the cure of an incident makes.
    pub(super) async fn draft(&self, params: DraftParams) -> Result<Value> {
        let what = params.incident;
        let digits = what.strip_prefix("inc-").unwrap_or(&what);
        let missing = |remedy: String| ControlError::Unavailable {
            what: format!("a draft from incident `{what}`"),
            remedy,
        };
        let id = digits
            .parse()
            .map_err(|_| missing("see `mhost brain history` for what there is".into()))?;
        let learning = self.learning.clone();
        let drafted = tokio::task::spawn_blocking(move || learning.drafted(IncidentId(id)));
        drafted
            .await
            .map_err(|error| ControlError::Internal {
                message: error.to_string(),
            })?
            .map_err(missing)
    }

    pub(super) async fn test(&self, params: TestParams) -> Result<Value> {
        let sent = sent(params.format, params.text)?;
        let one = self.one(&params.name, sent).await?;
        if let Some(incident) = &params.incident {
            return self.test_recorded(&one, incident).await;
        }
        let only = params.process.map(|name| self.known(&name)).transpose()?;
        let facts: Arc<dyn Facts> = self.facts.clone();
        let names = match only {
            Some(name) => vec![name],
            None => self.facts.registry.names(),
        };
        let found = tokio::task::spawn_blocking(move || {
            let names = names.into_iter().take(PROCESSES);
            names
                .map(|name| {
                    let found = ask(&name, &facts, &one);
                    (name, found)
                })
                .collect::<Vec<_>>()
        });
        let mut tried = Vec::new();
        for (process, found) in found.await.map_err(broken)? {
            tried.push(self.tried(&process, &found, None).await?);
        }
        Ok(json!({ "tried": tried }))
    }

    async fn test_recorded(&self, one: &Playbooks, incident: &str) -> Result<Value> {
        let digits = incident.strip_prefix("inc-").unwrap_or(incident);
        let missing = || ControlError::Unavailable {
            what: format!("a recording of incident `{incident}`"),
            remedy: "see `mhost brain history` for what there is".into(),
        };
        let id = IncidentId(digits.parse().map_err(|_| missing())?);
        let stored = self.memory.incident(id).await.map_err(unread)?;
        let stored = stored.ok_or_else(missing)?;
        let recordings = self.memory.recordings(id).await.map_err(unread)?;
        let recording = recordings.into_iter().next_back().ok_or_else(missing)?;
        let process = stored.incident.process.clone();
        let symptoms = if recording.symptoms.is_empty() {
            stored.incident.symptoms
        } else {
            recording.symptoms.clone()
        };
        let (name, one) = (process.clone(), one.clone());
        let found = tokio::task::spawn_blocking(move || {
            let ctx = DiagnoseContext::default();
            let mut found = replay(&name, &symptoms, recording.clone(), &one, &ctx);
            if found.trail.is_empty() {
                let mut slow = symptoms;
                slow.truncate(1);
                if let Some(sign) = slow.first_mut() {
                    sign.kind = SymptomKind::Tick;
                    sign.event = None;
                }
                found = replay(&name, &slow, recording, &one, &ctx);
            }
            found
        });
        let found = found.await.map_err(broken)?;
        let row = self.tried(&process, &found, Some(id)).await?;
        Ok(json!({ "tried": [row] }))
    }

    /// A row of a dry run, with what the gate would say now.
    async fn tried(
        &self,
        process: &ProcessName,
        found: &Diagnosis,
        incident: Option<IncidentId>,
    ) -> Result<Value> {
        let incident = incident.map(|id| id.to_string());
        let Some(proposal) = &found.proposal else {
            return Ok(json!({
                "process": process, "incident": incident, "matched": false, "why": why(found),
            }));
        };
        let weighed = self.agent.weigh(process, proposal).await?;
        let gate = weighed.as_ref().map(|(_, decision)| match decision {
            Decision::Run => "run".to_owned(),
            Decision::RunAndReport => "run and report".to_owned(),
            Decision::Ask(why) => format!("ask: {why}"),
            Decision::Refuse(why) => format!("refuse: {why}"),
        });
        let steps = proposal.plan.steps.iter();
        Ok(json!({
            "process": process,
            "incident": incident,
            "matched": true,
            "cause": proposal.cause,
            "confidence": proposal.confidence,
            "evidence": proposal.evidence,
            "plan": steps.map(|step| describe(&step.action)).collect::<Vec<_>>(),
            "risk": weighed.map(|(risk, _)| risk),
            "gate": gate,
        }))
    }

    pub(super) async fn set(&self, caller: &Caller, params: SetParams) -> Result<Value> {
        let infos = self.infos().await?;
        let Some(info) = infos.iter().find(|info| info.name == params.name) else {
            return Err(unknown(&params.name, &infos));
        };
        if params.trust.is_some() && info.source != PlaybookSource::Learned {
            return Err(invalid(format!(
                "`{}` is {}: only learned playbooks climb a ladder of trust; use enable or disable",
                info.name, info.source
            )));
        }
        let switches = self.memory.switches().await.map_err(unread)?;
        let former = switches.into_iter().find(|one| one.name == params.name);
        let switch = Switch {
            name: params.name.clone(),
            enabled: params
                .enabled
                .or(former.as_ref().and_then(|one| one.enabled)),
            trust: params.trust.unwrap_or(info.trust),
            hash: info.hash,
            helped: 0,
            failed_in_a_row: 0,
            fingerprint: former.and_then(|one| one.fingerprint),
            by: caller.to_string(),
            at: self.facts.clock.now(),
        };
        let saved = self.memory.set_switch(switch.clone()).await;
        saved.map_err(unread)?;
        let playbooks = self.playbooks.clone();
        let after = tokio::task::spawn_blocking(move || {
            playbooks.switch([switch]);
            playbooks.list()
        });
        let after = after.await.map_err(broken)?;
        let now = after.into_iter().find(|info| info.name == params.name);
        let state = now.as_ref().map(|info| &info.state);
        // What was asked for may be overruled.
        let note = match (params.enabled, state) {
            (Some(true), Some(PlaybookState::Disabled)) => Some(
                "config.toml or its trust keeps it off: see [brain.playbooks] and `brain playbook trust`",
            ),
            (Some(true), Some(PlaybookState::Broken { .. })) => {
                Some("it is broken: see `mhost brain playbook lint`")
            }
            _ => None,
        };
        Ok(json!({ "playbook": now, "note": note }))
    }

    pub(super) async fn backtest(&self, params: BacktestParams) -> Result<Value> {
        let sent = sent(params.format, params.text)?;
        let one = self.one(&params.name, sent).await?;
        let moments = self.memory.moments(params.since, MOMENTS).await;
        let moments = moments.map_err(unread)?;
        let tried = tokio::task::spawn_blocking(move || backtest(&one, moments))
            .await
            .map_err(broken)?;
        Ok(json!({ "name": params.name, "since": params.since, "tried": tried }))
    }
}

fn sent(format: Option<Format>, text: Option<String>) -> Result<Option<(Format, String)>> {
    match (format, text) {
        (_, Some(text)) if text.len() > TEXT => Err(invalid(
            "the text of the playbook is larger than 1 MiB".into(),
        )),
        (Some(format), Some(text)) => Ok(Some((format, text))),
        (None, None) => Ok(None),
        _ => Err(invalid("`format` and `text` belong together".into())),
    }
}
