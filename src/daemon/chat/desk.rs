//! What the chats ask, put to the gate: everything under the sender's own role, and nothing
//! past it.

use std::sync::Arc;
use std::time::Duration;

use agent::{Explanation, Question as Asked};
use async_trait::async_trait;
use chat::Ticket;
use chat::desk::{Answered, Attempt, Cure, Desk, Grant, Question, Score, Trouble, Verdict};
use chat::order::Silence;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use supervisor::audit::{self, Audit, Circumstances};
use supervisor::command::PortCommand;
use supervisor::units::format_duration;
use supervisor::{
    Caller, Clock, Command, Control, ControlError, RegistryHandle, Reply, Request, Role, Via, until,
};
use tracing::warn;

use crate::daemon::gate::Gate;

/// The desk of the daemon.
pub(super) struct GateDesk {
    pub(super) gate: Arc<Gate>,
    pub(super) registry: RegistryHandle,
    pub(super) audit: Audit,
    pub(super) clock: Clock,
}

impl GateDesk {
    /// A method of a port, with its answer in a type.
    async fn ask<T: DeserializeOwned>(
        &self,
        caller: &Caller,
        method: &str,
        params: Value,
    ) -> Result<T, ControlError> {
        // The gate takes the role and the rest from the port's own declaration.
        let command = Command::Port(PortCommand {
            method: method.to_owned(),
            params,
            role: Role::SuperAdmin,
            changes: true,
        });
        let answer = match self.gate.call(caller, command.into()).await? {
            Reply::Port(answer) => answer,
            _ => Value::Null,
        };
        serde_json::from_value(answer).map_err(|error| ControlError::Internal {
            message: format!("the answer of `{method}` is not understood: {error}"),
        })
    }

    /// All that is known of an incident. Read by the daemon itself, to tell of it.
    pub(super) async fn explain(&self, incident: &str) -> Result<Explanation, ControlError> {
        let params = json!({ "what": incident });
        self.ask(&reader(), "brain.explain", params).await
    }

    /// Incidents that are open, or ended so long ago or less. None when they cannot be read:
    /// they are told with their next change.
    pub(super) async fn open_incidents(&self, ended: Duration) -> Vec<String> {
        #[derive(Deserialize)]
        struct History {
            history: Vec<agent::Entry>,
        }
        let params = json!({ "limit": 200 });
        let found: Result<History, _> = self.ask(&reader(), "brain.history", params).await;
        let Ok(found) = found else {
            return Vec::new();
        };
        let now = self.clock.now();
        let recent = |one: &agent::Entry| one.closed.is_none_or(|at| until(at, now) <= ended);
        let found = found.history.into_iter().filter(recent);
        found.map(|one| one.incident).collect()
    }

    /// Questions of an incident, newest first, whatever became of them.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(super) async fn asked(&self, incident: &str) -> Result<Vec<Asked>, ControlError> {
        let params = json!({ "incident": incident });
        self.actions(&reader(), params).await
    }

    async fn actions(&self, caller: &Caller, params: Value) -> Result<Vec<Asked>, ControlError> {
        #[derive(Deserialize)]
        struct Actions {
            actions: Vec<Asked>,
        }
        let found: Actions = self.ask(caller, "agent.actions", params).await?;
        Ok(found.actions)
    }

    async fn one(&self, caller: &Caller, id: &str) -> Result<Option<Asked>, ControlError> {
        let found = self.actions(caller, json!({ "id": id })).await?;
        Ok(found.into_iter().next())
    }

    /// The question of a ticket, if its plan is still the one that was shown.
    async fn shown(&self, caller: &Caller, ticket: &Ticket) -> Result<(), ControlError> {
        match self.one(caller, &ticket.id).await? {
            Some(one) if one.digest == ticket.nonce => Ok(()),
            Some(_) => Err(ControlError::Conflict {
                message: "the plan is another one now".into(),
            }),
            None => Err(ControlError::NotFound {
                target: ticket.id.clone(),
                near: Vec::new(),
            }),
        }
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A grant as the chats show it.
fn grant(one: brain::Grant, state: &str) -> Grant {
    Grant {
        id: one.id,
        playbook: one.playbook.0,
        process: one.process.to_string(),
        risk: one.risk,
        by: one.by,
        ends: one.ends,
        state: state.to_owned(),
        uses: one.uses,
    }
}

/// The daemon, where it only reads.
fn reader() -> Caller {
    Caller {
        principal: "daemon".into(),
        role: Role::Viewer,
        via: Via::System,
    }
}

/// A question as the chats show it.
pub(super) fn question(one: Asked) -> Question {
    let state = match one.state.as_str() {
        "pending" => Answered::Open,
        "approved" => Answered::Yes,
        "denied" => Answered::No,
        "expired" => Answered::Expired,
        "done" => Answered::Helped,
        "failed" => Answered::Failed,
        _ => Answered::Superseded,
    };
    let votes = one.so_far();
    Question {
        votes,
        grantable: one.grantable,
        ticket: Ticket {
            id: one.id,
            nonce: one.digest,
        },
        steps: one
            .plan
            .iter()
            .map(|step| format!("{step} {}", one.process))
            .collect(),
        process: one.process.to_string(),
        incident: one.incident,
        cause: one.reason,
        risk: one.risk,
        by: one.playbook.to_string(),
        needed: one.needed,
        asked: one.created,
        expires: one.expires,
        state,
        decided_by: one.decided_by,
        decided_at: one.decided_at,
        outcome: None,
    }
}

#[async_trait]
impl Desk for GateDesk {
    async fn call(&self, caller: &Caller, request: Request) -> Result<Reply, ControlError> {
        self.gate.call(caller, request).await
    }

    fn names(&self) -> Vec<String> {
        let names = self.registry.names();
        names.iter().map(ToString::to_string).collect()
    }

    async fn questions(&self, caller: &Caller) -> Result<Vec<Question>, ControlError> {
        let open = self.actions(caller, json!({ "open": true })).await?;
        Ok(open.into_iter().rev().map(question).collect())
    }

    async fn question(&self, caller: &Caller, id: &str) -> Result<Option<Question>, ControlError> {
        Ok(self.one(caller, id).await?.map(question))
    }

    async fn decide(
        &self,
        caller: &Caller,
        ticket: &Ticket,
        yes: bool,
    ) -> Result<Question, ControlError> {
        self.shown(caller, ticket).await?;
        let method = if yes { "agent.approve" } else { "agent.deny" };
        let decided: Asked = self.ask(caller, method, json!({ "id": ticket.id })).await?;
        Ok(question(decided))
    }

    async fn snooze(
        &self,
        caller: &Caller,
        ticket: &Ticket,
        time: Duration,
    ) -> Result<Question, ControlError> {
        self.shown(caller, ticket).await?;
        let params = json!({ "id": ticket.id, "duration_ms": ms(time) });
        let put_off: Asked = self.ask(caller, "agent.snooze", params).await?;
        Ok(question(put_off))
    }

    async fn evidence(&self, caller: &Caller, id: &str) -> Result<Vec<String>, ControlError> {
        let Some(one) = self.one(caller, id).await? else {
            return Ok(Vec::new());
        };
        let params = json!({ "what": one.incident });
        let told: Explanation = self.ask(caller, "brain.explain", params).await?;
        Ok(told.evidence.into_iter().map(|one| one.text).collect())
    }

    async fn incidents(&self, caller: &Caller) -> Result<Vec<Trouble>, ControlError> {
        #[derive(Deserialize)]
        struct History {
            history: Vec<agent::Entry>,
        }
        let params = json!({ "limit": 50 });
        let found: History = self.ask(caller, "brain.history", params).await?;
        let open = found.history.into_iter().filter(|one| one.closed.is_none());
        Ok(open
            .filter(|one| one.merged_into.is_none())
            .map(|one| Trouble {
                state: json!(one.state)
                    .as_str()
                    .unwrap_or_default()
                    .replace('_', " "),
                title: one.cause.unwrap_or(one.trigger),
                id: one.incident,
                process: one.process.to_string(),
                opened: one.ts,
            })
            .collect())
    }

    async fn scores(&self, caller: &Caller, app: Option<&str>) -> Result<Vec<Score>, ControlError> {
        #[derive(Deserialize)]
        struct Scores {
            scores: Vec<Row>,
        }
        #[derive(Deserialize)]
        struct Row {
            name: String,
            score: Option<u8>,
            trend: Option<String>,
        }
        let params = app.map_or_else(|| json!({}), |app| json!({ "name": app }));
        let found: Scores = self.ask(caller, "brain.status", params).await?;
        let mut scores: Vec<Score> = found
            .scores
            .into_iter()
            .map(|row| Score {
                process: row.name,
                value: row.score,
                trend: row.trend,
            })
            .collect();
        scores.sort_by_key(|one| one.value.unwrap_or(u8::MAX));
        Ok(scores)
    }

    async fn playbooks(&self, caller: &Caller) -> Result<Vec<Cure>, ControlError> {
        #[derive(Deserialize)]
        struct Playbooks {
            playbooks: Vec<Row>,
        }
        #[derive(Deserialize)]
        struct Row {
            name: String,
            #[serde(default)]
            trust: Value,
            #[serde(default)]
            enabled: bool,
            #[serde(default)]
            runs: u64,
            #[serde(default)]
            ok: u64,
        }
        let found: Playbooks = self.ask(caller, "brain.playbooks", json!({})).await?;
        Ok(found
            .playbooks
            .into_iter()
            .map(|row| Cure {
                name: row.name,
                trust: row.trust.as_str().unwrap_or_default().to_owned(),
                enabled: row.enabled,
                runs: (row.runs, row.ok),
            })
            .collect())
    }

    async fn ask(&self, caller: &Caller, words: &str) -> Result<String, ControlError> {
        let params = json!({ "question": words });
        let said: Value = GateDesk::ask(self, caller, "agent.ask", params).await?;
        let mut text = said["answer"].as_str().unwrap_or_default().to_owned();
        if let Some(refused) = said["proposal"]["refused"].as_str() {
            text.push_str(&format!("\n\nA plan was not put: {refused}."));
        } else if let Some(id) = said["proposal"]["approval"].as_str() {
            text.push_str(&format!("\n\nThe plan waits for a yes: /approve {id}"));
        }
        Ok(text)
    }

    async fn brake(&self, caller: &Caller, stop: bool) -> Result<(), ControlError> {
        let method = if stop { "agent.stop" } else { "agent.start" };
        let _: Value = GateDesk::ask(self, caller, method, json!({})).await?;
        Ok(())
    }

    async fn allow(
        &self,
        caller: &Caller,
        playbook: &str,
        app: &str,
        time: Duration,
    ) -> Result<Grant, ControlError> {
        let params = json!({ "playbook": playbook, "process": app, "duration_ms": ms(time) });
        let given = GateDesk::ask(self, caller, "agent.allow", params).await?;
        Ok(grant(given, "in force"))
    }

    async fn allow_for(
        &self,
        caller: &Caller,
        ticket: &Ticket,
        time: Duration,
    ) -> Result<Grant, ControlError> {
        self.shown(caller, ticket).await?;
        let params = json!({ "id": ticket.id, "duration_ms": ms(time) });
        let given = GateDesk::ask(self, caller, "agent.allow", params).await?;
        Ok(grant(given, "in force"))
    }

    async fn grants(&self, caller: &Caller) -> Result<Vec<Grant>, ControlError> {
        #[derive(Deserialize)]
        struct Grants {
            grants: Vec<agent::grant::Granted>,
        }
        let found: Grants = GateDesk::ask(self, caller, "agent.grants", json!({})).await?;
        let all = found.grants.into_iter();
        Ok(all.map(|one| grant(one.grant, &one.state)).collect())
    }

    async fn revoke(&self, caller: &Caller, id: &str) -> Result<Grant, ControlError> {
        let ended = GateDesk::ask(self, caller, "agent.revoke", json!({ "id": id })).await?;
        Ok(grant(ended, "revoked"))
    }

    async fn acknowledge(&self, caller: &Caller, what: &str) -> Result<String, ControlError> {
        let params = json!({ "id": what });
        let told: Value = GateDesk::ask(self, caller, "notify.ack", params).await?;
        let text = |key: &str| told[key].as_str().unwrap_or_default();
        let (id, process, by) = (text("id"), text("process"), text("acknowledged"));
        Ok(format!("{id} of {process} is looked after by {by}"))
    }

    async fn mute(
        &self,
        caller: &Caller,
        app: &str,
        time: Silence,
    ) -> Result<String, ControlError> {
        let mut params = json!({ "process": app });
        let (method, said) = match time {
            Silence::Off => ("notify.unmute", format!("{app} is told of again")),
            Silence::UntilWell => (
                "notify.mute",
                format!("{app} is muted until it has recovered"),
            ),
            Silence::For(time) => {
                let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
                params["duration_ms"] = json!(ms);
                let said = format!("{app} is muted for {}", format_duration(time));
                ("notify.mute", said)
            }
        };
        let _: Value = GateDesk::ask(self, caller, method, params).await?;
        Ok(said)
    }

    async fn record(&self, attempt: Attempt) {
        let audit = self.audit.clone();
        let denied = matches!(
            attempt.verdict,
            Verdict::Denied | Verdict::TooFast | Verdict::Stale
        );
        let circumstances = Circumstances {
            place: attempt.place.to_string(),
            name: attempt.name,
            verdict: attempt.verdict.as_str().to_owned(),
            took_ms: u64::try_from(attempt.took.as_millis()).unwrap_or(u64::MAX),
        };
        let row = audit::Attempt {
            command: attempt.command,
            subject: attempt.arguments,
            dry_run: false,
            incident: None,
        };
        let written = tokio::task::spawn_blocking(move || {
            audit.message(&attempt.caller, row, circumstances, attempt.error, denied)
        });
        if let Ok(Err(error)) = written.await {
            warn!(%error, "An attempt in a chat could not be written to the audit log.");
        }
    }
}
