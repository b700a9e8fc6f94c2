//! The methods `brain.*`, `agent.*` and `ai.*`.
//!
//! The role of each method is the least one; who decides on a plan needs, beyond that, the
//! role that could run it by hand, which the agent checks.

mod off;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use agent::{AgentHandle, CLEAR_LOCK, question};
use async_trait::async_trait;
use brain::{BrainStore, HistoryFilter, Playbooks};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use supervisor::{Caller, ControlError, ProcessName, Role};

use super::asker::Asker;
use super::facts::LiveFacts;
use super::guest::Guests;
use super::learning::Learning;
use super::lock;
use super::mind::PlaybookMind;
use super::talk::Turns;
use crate::daemon::port::{Nothing, Port, PortMethod, read};
pub(super) use off::Off;

const fn method(name: &'static str, role: Role, changes: bool) -> PortMethod {
    PortMethod {
        name,
        role,
        changes,
        streams: false,
    }
}

/// One whose answer a model writes bit by bit.
const fn heard(name: &'static str, role: Role, changes: bool) -> PortMethod {
    PortMethod {
        streams: true,
        ..method(name, role, changes)
    }
}

const METHODS: [PortMethod; 31] = [
    heard("ai.diagnose", Role::Viewer, false),
    heard("ai.ask", Role::Operator, false),
    heard("agent.ask", Role::Operator, true),
    method("agent.tools", Role::Viewer, false),
    method("agent.look", Role::Viewer, false),
    method("agent.propose", Role::Operator, true),
    method("brain.playbook_draft", Role::Viewer, false),
    method(CLEAR_LOCK, Role::Operator, true),
    method("brain.restore_lock", Role::Operator, true),
    method("brain.status", Role::Viewer, false),
    method("brain.history", Role::Viewer, false),
    method("brain.playbooks", Role::Viewer, false),
    method("brain.explain", Role::Viewer, false),
    method("brain.playbook_show", Role::Viewer, false),
    method("brain.playbook_test", Role::Operator, false),
    method("brain.playbook_set", Role::Admin, true),
    method("brain.timeline", Role::Viewer, false),
    method("brain.chain", Role::Viewer, false),
    method("brain.backtest", Role::Operator, false),
    method("agent.status", Role::Viewer, false),
    method("agent.actions", Role::Viewer, false),
    method("agent.start", Role::Admin, true),
    method("agent.stop", Role::Admin, true),
    method("agent.pause", Role::Admin, true),
    method("agent.resume", Role::Admin, true),
    method("agent.approve", Role::Operator, true),
    method("agent.deny", Role::Operator, true),
    method("agent.snooze", Role::Operator, true),
    method("agent.allow", Role::Admin, true),
    method("agent.grants", Role::Viewer, false),
    method("agent.revoke", Role::Operator, true),
];

/// Answers for a brain that runs.
pub(super) struct BrainPort {
    pub(super) agent: AgentHandle,
    pub(super) playbooks: Playbooks,
    pub(super) memory: BrainStore,
    pub(super) facts: Arc<LiveFacts>,
    pub(super) mind: Arc<PlaybookMind>,
    pub(super) learning: Arc<Learning>,
    pub(super) asker: Asker,
    pub(super) turns: Turns,
    pub(super) guests: Guests,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct StatusParams {
    name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct HistoryParams {
    name: Option<String>,
    since: Option<Timestamp>,
    limit: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExplainParams {
    what: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LockParams {
    name: String,
    path: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct IdParams {
    id: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SnoozeParams {
    id: String,
    duration_ms: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PauseParams {
    duration_ms: u64,
}

impl BrainPort {
    pub(super) fn new(
        agent: AgentHandle,
        playbooks: Playbooks,
        memory: BrainStore,
        facts: Arc<LiveFacts>,
        mind: Arc<PlaybookMind>,
        learning: Arc<Learning>,
        asker: Asker,
    ) -> Self {
        Self {
            agent,
            playbooks,
            memory,
            facts,
            mind,
            learning,
            asker,
            turns: Turns::default(),
            guests: Guests::default(),
        }
    }

    /// A process that exists.
    pub(super) fn known(&self, name: &str) -> Result<ProcessName, ControlError> {
        let not_found = || ControlError::NotFound {
            // Whatever was typed is told and recorded.
            target: brain::investigate::clean(name, 100),
            near: Vec::new(),
        };
        let name: ProcessName = name.parse().map_err(|_| not_found())?;
        if self.facts.registry.names().contains(&name) {
            Ok(name)
        } else {
            Err(not_found())
        }
    }

    async fn scores(&self, only: Option<ProcessName>) -> Result<Vec<Value>, ControlError> {
        let facts = self.facts.clone();
        let scored = tokio::task::spawn_blocking(move || {
            use brain::Facts;
            let names = match only {
                Some(name) => vec![name],
                None => facts.processes(),
            };
            names
                .into_iter()
                .filter_map(|name| {
                    let process = facts.process(&name)?;
                    let score = brain::score(facts.as_ref(), &name);
                    Some((process, score))
                })
                .collect::<Vec<_>>()
        });
        let scored = scored.await.map_err(|error| ControlError::Internal {
            message: error.to_string(),
        })?;
        let open = self.agent.open_incidents();
        // The last hour without its newest minutes: what the score is compared with.
        let now = self.facts.clock.now();
        let ago = |minutes| now.checked_sub(SignedDuration::from_mins(minutes));
        let before = match (ago(65), ago(5)) {
            (Ok(from), Ok(to)) => self.memory.average_scores(from, to).await,
            _ => Ok(BTreeMap::new()),
        };
        let before = before.map_err(|error| ControlError::Store {
            message: error.to_string(),
        })?;
        Ok(scored
            .into_iter()
            .map(|(process, score)| {
                let former = before.get(process.name.as_str());
                let trend = score
                    .zip(former)
                    .map(|(score, former)| match score.value - former {
                        rise if rise >= TREND => "up",
                        fall if fall <= -TREND => "down",
                        _ => "steady",
                    });
                let incident = open.iter().find(|one| one.process == process.name);
                // Of a victim the incident of its cause is shown.
                let incident = match incident.and_then(|one| one.cause) {
                    Some(cause) => open.iter().find(|one| one.id == cause).or(incident),
                    None => incident,
                };
                json!({
                    "name": process.name,
                    "state": process.state,
                    "score": score.map(|score| score.value.round().clamp(0.0, 100.0) as u8),
                    "parts": score.map(|score| json!({
                        "crash": round(score.crash),
                        "probe": round(score.probe),
                        "memory": round(score.memory),
                        "cpu": round(score.cpu),
                    })),
                    "trend": trend,
                    "held": process.held,
                    "incident": incident.map(|one| one.id.to_string()),
                    "incident_state": incident.map(|one| one.state),
                    "title": incident.map(|one| one.title.clone()),
                })
            })
            .collect())
    }

    /// A title tells the cause, which may be in words of the process. It is asked for every
    /// second by whoever watches: the rest holds nothing to look through.
    async fn hide_in_titles(&self, scores: &mut [Value]) -> Result<(), ControlError> {
        let titles: Vec<Value> = scores.iter_mut().map(|row| row["title"].take()).collect();
        if titles.iter().all(Value::is_null) {
            return Ok(());
        }
        let titles = self.asker.redactors.hidden(json!(titles)).await?;
        for (place, row) in scores.iter_mut().enumerate() {
            row["title"] = titles[place].clone();
        }
        Ok(())
    }

    async fn playbooks(&self) -> Result<Value, ControlError> {
        let playbooks = self.playbooks.clone();
        let list = tokio::task::spawn_blocking(move || playbooks.list())
            .await
            .map_err(|error| ControlError::Internal {
                message: error.to_string(),
            })?;
        let stats = self
            .memory
            .playbook_stats()
            .await
            .map_err(|error| ControlError::Store {
                message: error.to_string(),
            })?;
        let settings = self.agent.settings();
        let enabled = self.agent.status().await?.enabled;
        let rows: Vec<Value> = list
            .into_iter()
            .map(|info| {
                let own = stats.iter().find(|one| one.playbook.0 == info.name);
                let mut row = json!(info);
                row["risk"] = json!(super::playbooks::risk(&row));
                row["level"] = json!(settings.level(&info.name, enabled));
                row["runs"] = json!(own.map_or(0, |one| one.runs));
                row["ok"] = json!(own.map_or(0, |one| one.ok));
                row["failed"] = json!(own.map_or(0, |one| one.failed));
                row["last"] = json!(own.and_then(|one| one.last));
                row
            })
            .collect();
        Ok(json!({ "playbooks": rows }))
    }

    async fn explain(&self, what: &str) -> Result<Value, ControlError> {
        // A process without an incident still has a score to explain.
        let process = self.known(what).ok();
        let told = match self.agent.explain(what).await {
            Ok(told) => told,
            Err(error) => {
                let Some(name) = process else {
                    return Err(error);
                };
                let health = self.scores(Some(name.clone())).await?.pop();
                return Ok(json!({ "process": name, "health": health }));
            }
        };
        let health = self.scores(Some(told.process.clone())).await?.pop();
        let mut told = json!(told);
        told["health"] = json!(health);
        Ok(told)
    }

    /// What a method answers, as it was recorded.
    async fn answer(
        &self,
        caller: &Caller,
        method: &str,
        params: Value,
    ) -> Result<Value, ControlError> {
        let agent = &self.agent;
        match method {
            "brain.status" => {
                let StatusParams { name } = read(method, params)?;
                let only = name.map(|name| self.known(&name)).transpose()?;
                let mut scores = self.scores(only).await?;
                self.hide_in_titles(&mut scores).await?;
                Ok(json!({ "scores": scores, "agent": agent.status().await? }))
            }
            "brain.history" => {
                let query: HistoryParams = read(method, params)?;
                let filter = HistoryFilter {
                    // A process that was removed has a history too.
                    process: match query.name.as_deref().map(str::parse) {
                        Some(Ok(name)) => Some(name),
                        Some(Err(_)) => {
                            return Err(ControlError::NotFound {
                                target: query.name.unwrap_or_default(),
                                near: Vec::new(),
                            });
                        }
                        None => None,
                    },
                    since: query.since,
                    limit: query.limit,
                };
                Ok(json!({ "history": agent.history(filter).await? }))
            }
            "brain.playbooks" => {
                let Nothing {} = read(method, params)?;
                self.playbooks().await
            }
            "brain.explain" => {
                let ExplainParams { what } = read(method, params)?;
                self.explain(&what).await
            }
            "brain.playbook_show" => self.show(read(method, params)?).await,
            "brain.playbook_test" => self.test(read(method, params)?).await,
            "brain.playbook_set" => self.set(caller, read(method, params)?).await,
            "brain.timeline" => self.timeline(read(method, params)?).await,
            "brain.chain" => {
                let Nothing {} = read(method, params)?;
                Ok(self.mind.told())
            }
            "brain.backtest" => self.backtest(read(method, params)?).await,
            "ai.diagnose" => self.diagnose(caller, read(method, params)?).await,
            "ai.ask" => self.ask(caller, read(method, params)?).await,
            "agent.tools" => {
                let Nothing {} = read(method, params)?;
                Ok(self.tools(caller))
            }
            "agent.look" => self.look(caller, read(method, params)?).await,
            "agent.propose" => self.propose_for_guest(caller, read(method, params)?).await,
            "agent.ask" => self.ask_agent(caller, read(method, params)?).await,
            "brain.playbook_draft" => self.draft(read(method, params)?).await,
            CLEAR_LOCK | "brain.restore_lock" => {
                let LockParams { name, path } = read(method, params)?;
                let (name, facts) = (self.known(&name)?, self.facts.clone());
                let clear = method == CLEAR_LOCK;
                let done = tokio::task::spawn_blocking(move || {
                    if clear {
                        lock::clear(&facts, &name, &path)
                    } else {
                        lock::restore(&facts, &name, &path)
                    }
                });
                done.await.map_err(|error| ControlError::Internal {
                    message: error.to_string(),
                })?
            }
            "agent.actions" => self.actions(read(method, params)?).await,
            "agent.approve" => {
                let IdParams { id } = read(method, params)?;
                Ok(json!(question(agent.approve(caller, &id).await?)))
            }
            "agent.deny" => {
                let IdParams { id } = read(method, params)?;
                Ok(json!(question(agent.deny(caller, &id).await?)))
            }
            "agent.snooze" => {
                let SnoozeParams { id, duration_ms } = read(method, params)?;
                let time = Duration::from_millis(duration_ms);
                Ok(json!(question(agent.snooze(caller, &id, time).await?)))
            }
            "agent.allow" => self.allow(caller, read(method, params)?).await,
            "agent.grants" => {
                let Nothing {} = read(method, params)?;
                Ok(json!({ "grants": agent.grants().await? }))
            }
            "agent.revoke" => {
                let IdParams { id } = read(method, params)?;
                Ok(json!(agent.revoke(caller, &id).await?))
            }
            "agent.pause" => {
                let PauseParams { duration_ms } = read(method, params)?;
                let time = Duration::from_millis(duration_ms);
                Ok(json!(agent.pause(caller, time).await?))
            }
            other => {
                let Nothing {} = read(method, params)?;
                let status = match other {
                    "agent.status" => agent.status().await?,
                    "agent.start" => agent.start().await?,
                    "agent.stop" => agent.stop().await?,
                    "agent.resume" => agent.resume().await?,
                    _ => {
                        return Err(ControlError::Internal {
                            message: format!("`{other}` is not the brain's"),
                        });
                    }
                };
                Ok(json!(status))
            }
        }
    }
}

/// Methods whose answers hold what processes printed, or what was recorded of it.
const TELLING: [&str; 7] = [
    "ai.diagnose",
    "ai.ask",
    "agent.ask",
    "brain.history",
    "brain.explain",
    "brain.timeline",
    "brain.playbook_test",
];
/// Points that make a trend.
const TREND: f64 = 5.0;

/// One decimal.
fn round(part: f64) -> f64 {
    // Adding zero turns a negative zero into a plain one.
    (part * 10.0).round() / 10.0 + 0.0
}

#[async_trait]
impl Port for BrainPort {
    fn methods(&self) -> &[PortMethod] {
        &METHODS
    }

    async fn call(
        &self,
        caller: &Caller,
        method: &str,
        params: Value,
    ) -> Result<Value, ControlError> {
        let context = params["show_context"] == true;
        let answer = self.answer(caller, method, params).await?;
        // What would be sent is shown as it would be.
        if TELLING.contains(&method) && !context {
            return self.asker.redactors.hidden(answer).await;
        }
        Ok(answer)
    }
}
