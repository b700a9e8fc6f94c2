//! Other people's agents: they may look up what a model may, and propose typed plans.
//!
//! ```text
//!   agent.tools ──► what their role lets them use
//!   agent.look ───► a look-up, fenced, without secrets; its facts are remembered
//!   agent.propose ► typed steps, evidence from those facts ──► the gate, which asks a person
//! ```
//!
//! A guest is trusted as little as a model: unknown actions, other targets and evidence that it
//! was never shown are dropped, and nothing is done before a person says yes. It cannot say yes
//! itself: approvals are not among its tools. What mhost does without asking, such as to tell
//! people something, is not for guests, and they ask nothing in the place of an open question.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use brain::investigate::{GUEST, LookUp, Shown, clean, fence, is_guest, look_up, look_ups};
use brain::llm::{ModelId, ToolCall, ToolSpec};
use brain::redact::{Marks, Redactor};
use brain::{Action, Plan};
use serde::Deserialize;
use serde_json::{Value, json};
use supervisor::{Caller, ControlError, Role};
use tokio::sync::Semaphore;

use super::port::BrainPort;
use crate::daemon::port::invalid;

/// Guests whose facts are remembered, and facts of each.
const SESSIONS: usize = 32;
const FACTS: usize = 2_000;
/// Look-ups of all guests at the same time: each may read logs.
const AT_ONCE: usize = 4;
/// How long one of them waits for its turn.
const WAITING: Duration = Duration::from_secs(10);
/// Longest answer of a diagnosis or of the list of questions, in bytes.
const ANSWER: usize = 16 * 1024;
/// Look-ups that reach out or read files of a project: for who may operate.
const REACHING: [&str; 4] = ["check_port", "check_dns", "check_http", "file_head"];
/// Questions of all guests that may be open at the same time.
const OPEN: usize = 3;
/// Longest text of a fact, in characters.
const FACT: usize = 2_000;
/// Longest names of a session, a program and a process, longest diagnosis, in characters.
const SESSION: usize = 64;
const CLIENT: usize = 80;
const PROCESS: usize = 200;
const DIAGNOSIS: usize = 2_000;
/// Pieces of evidence, the longest id of one in characters, and actions.
const EVIDENCE: usize = 50;
const ID: usize = 200;
const ACTIONS: usize = 10;
/// Actions that are done at once, since they only tell people something.
const WORDS: [&str; 3] = ["notify", "log_incident", "escalate"];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LookParams {
    /// Whatever tells this guest from others.
    session: String,
    tool: String,
    #[serde(default)]
    arguments: Value,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProposeParams {
    session: String,
    /// The name of the program that proposes.
    client: String,
    /// The process that it is about.
    process: String,
    diagnosis: String,
    confidence: f64,
    #[serde(default)]
    evidence: Vec<String>,
    actions: Vec<Value>,
}

/// What guests were shown.
#[derive(Debug)]
pub(super) struct Guests {
    sessions: Mutex<VecDeque<(String, Guest)>>,
    busy: Semaphore,
    /// One plan after the other: each counts the questions of those before it.
    turn: Semaphore,
}

/// What is remembered of one.
#[derive(Debug, Default)]
struct Guest {
    shown: Shown,
    /// What its secrets are called, in every answer alike.
    marks: Marks,
}

impl Default for Guests {
    fn default() -> Self {
        Self {
            sessions: Mutex::default(),
            busy: Semaphore::new(AT_ONCE),
            turn: Semaphore::new(1),
        }
    }
}

impl Guests {
    fn show(&self, session: &str, facts: impl IntoIterator<Item = (String, String)>) {
        self.last(session, |guest| {
            guest.shown.extend(facts);
            guest.shown.keep_newest(FACTS);
        });
    }

    fn shown(&self, session: &str) -> Shown {
        let all = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let one = all.iter().find(|(name, _)| name == session);
        one.map_or_else(Shown::default, |(_, guest)| guest.shown.clone())
    }

    fn marks(&self, session: &str) -> Marks {
        self.last(session, |guest| guest.marks.clone())
    }

    /// Does something with the guest that asked last.
    fn last<T>(&self, session: &str, with: impl FnOnce(&mut Guest) -> T) -> T {
        let mut all = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let at = all.iter().position(|(name, _)| name == session);
        let found = at.and_then(|at| all.remove(at));
        let mut one = found.unwrap_or_else(|| (session.to_owned(), Guest::default()));
        let done = with(&mut one.1);
        all.push_back(one);
        while all.len() > SESSIONS {
            all.pop_front();
        }
        done
    }
}

impl BrainPort {
    /// What a guest of this role may use.
    pub(super) fn tools(&self, caller: &Caller) -> Value {
        let rows = usable(caller.role).map(|tool| {
            json!({
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.parameters,
                "changes": tool.name == "propose",
            })
        });
        json!({ "tools": rows.collect::<Vec<_>>() })
    }

    /// One look-up.
    pub(super) async fn look(
        &self,
        caller: &Caller,
        params: LookParams,
    ) -> Result<Value, ControlError> {
        let LookParams {
            session,
            tool,
            arguments,
        } = params;
        within("session", session.chars().count(), SESSION)?;
        let needed = role_of(&tool);
        if caller.role < needed {
            return Err(ControlError::Forbidden {
                what: tool,
                who: caller.to_string(),
                needed,
                has: caller.role,
            });
        }
        if !is_look_up(&tool) {
            let names: Vec<_> = usable(caller.role).map(|tool| tool.name).collect();
            return Err(invalid(format!(
                "there is no such tool to look with; yours are {}",
                names.join(", ")
            )));
        }
        let Ok(turn) = tokio::time::timeout(WAITING, self.guests.busy.acquire()).await else {
            return Err(ControlError::Busy {
                what: "look-ups of agents; try again later".to_owned(),
            });
        };
        let Ok(_turn) = turn else {
            return Err(ControlError::ShuttingDown);
        };
        let found = match tool.as_str() {
            "diagnose" => self.finding(&arguments).await?,
            "approvals" => self.questions(&arguments).await?,
            _ => self.looked_up(tool, &arguments).await?,
        };
        let redactor = self
            .asker
            .redactors
            .for_guest(self.guests.marks(&session))
            .await;
        let plain = tokio::task::spawn_blocking(move || LookUp {
            text: redactor.redact(&found.text),
            note: bare(&redactor, &found.note),
            failed: found.failed,
            facts: found
                .facts
                .into_iter()
                .map(|(id, text)| (id, bare(&redactor, &text)))
                .collect(),
        });
        let plain = plain.await.map_err(broken)?;
        let facts = plain
            .facts
            .iter()
            .map(|(id, text)| json!({ "id": id, "text": text }));
        let answer = json!({
            "text": plain.text,
            "query": plain.note,
            "failed": plain.failed,
            "facts": facts.collect::<Vec<_>>(),
        });
        self.guests.show(&session, plain.facts);
        Ok(answer)
    }

    async fn looked_up(&self, tool: String, arguments: &Value) -> Result<LookUp, ControlError> {
        let desk = self.asker.desk(None);
        let call = ToolCall {
            id: String::new(),
            name: tool,
            arguments: match arguments {
                Value::Null => String::new(),
                arguments => arguments.to_string(),
            },
        };
        let read = tokio::task::spawn_blocking(move || look_up(&desk, &call));
        read.await.map_err(broken)
    }

    /// What mhost finds by itself.
    async fn finding(&self, arguments: &Value) -> Result<LookUp, ControlError> {
        let process = arguments["process"].as_str().unwrap_or_default();
        let name = self.known(process)?;
        let case = super::ask::diagnose(&self.agent, &self.facts, &name).await?;
        let evidence = case["evidence"].as_array().into_iter().flatten();
        let facts = evidence
            .filter_map(|one| {
                Some((
                    one["id"].as_str()?.to_owned(),
                    one["text"].as_str()?.to_owned(),
                ))
            })
            .collect();
        Ok(LookUp {
            text: fence("diagnosis", &case.to_string(), ANSWER),
            facts,
            note: format!("diagnosis of {name}"),
            failed: false,
        })
    }

    /// What people were asked, and what became of it.
    async fn questions(&self, arguments: &Value) -> Result<LookUp, ControlError> {
        let wanted = arguments["id"].as_str();
        let all = match wanted {
            Some(id) => self.agent.question(id).await?.into_iter().collect(),
            None => self.agent.actions().await?,
        };
        let rows: Vec<_> = all.into_iter().map(agent::question).take(20).collect();
        Ok(LookUp {
            text: fence("approvals", &json!(rows).to_string(), ANSWER),
            facts: Vec::new(),
            note: "approvals".into(),
            failed: false,
        })
    }

    /// Puts a guest's plan to the gate.
    pub(super) async fn propose_for_guest(
        &self,
        caller: &Caller,
        params: ProposeParams,
    ) -> Result<Value, ControlError> {
        let ProposeParams {
            session,
            client,
            process,
            diagnosis,
            confidence,
            evidence,
            mut actions,
        } = params;
        within("session", session.chars().count(), SESSION)?;
        within("client", client.chars().count(), CLIENT)?;
        within("process", process.chars().count(), PROCESS)?;
        within("diagnosis", diagnosis.chars().count(), DIAGNOSIS)?;
        within("evidence", evidence.len(), EVIDENCE)?;
        for id in &evidence {
            within("an id in evidence", id.chars().count(), ID)?;
        }
        within("actions", actions.len(), ACTIONS)?;
        let name = self.known(&process)?;
        if actions.is_empty() {
            return Err(invalid(
                "`actions` is empty: there is nothing to decide".into(),
            ));
        }
        for action in &mut actions {
            if action.is_object() && action["target"].is_null() {
                action["target"] = json!(name);
            }
        }
        let wish = json!({
            "diagnosis": diagnosis,
            "confidence": confidence,
            "evidence": evidence,
            "actions": actions,
        });
        let by = ModelId {
            provider: GUEST.into(),
            model: client,
        };
        let Ok(_turn) = self.guests.turn.acquire().await else {
            return Err(ControlError::ShuttingDown);
        };
        let open = self.agent.open_questions().await?;
        let open = open
            .iter()
            .map(|one| (&*one.id, one.process.as_str(), &*one.playbook.0));
        if let Some(why) = in_the_way(open, name.as_str()) {
            return Err(invalid(why));
        }
        let shown = self.guests.shown(&session);
        let answer = self.propose(caller, &name, &wish, &shown, &by).await;
        match answer["refused"].as_str() {
            Some(why) => Err(invalid(why.to_owned())),
            None => Ok(answer),
        }
    }
}

/// Why a plan of a guest is not for the gate, which would do it or a part of it without asking.
pub(super) fn unasked(plan: &Plan) -> Option<&'static str> {
    let tells = |action: &Action| {
        matches!(
            action,
            Action::Notify { .. } | Action::LogIncident { .. } | Action::Escalate { .. }
        )
    };
    let mut steps = plan.steps.iter().map(|step| &step.action);
    if steps.clone().any(tells) {
        return Some(
            "notify, log_incident and escalate are mhost's own: say it to your person; \
             propose is for actions",
        );
    }
    steps
        .all(|action| matches!(action, Action::Wait(_) | Action::RunProbe))
        .then_some(
            "the plan changes nothing: propose is for actions that a person decides on, \
             such as restart",
        )
}

/// Why no further question is asked about a process, with those that are open: id, process and
/// who proposes.
fn in_the_way<'a>(
    open: impl Iterator<Item = (&'a str, &'a str, &'a str)>,
    process: &str,
) -> Option<String> {
    let mut guests = 0;
    for (id, about, by) in open {
        if about == process {
            return Some(format!(
                "question {id} about this process is open: wait until a person has decided"
            ));
        }
        guests += usize::from(is_guest(by));
    }
    (guests >= OPEN).then(|| {
        format!("{guests} questions of agents are open already: wait until a person has decided")
    })
}

fn within(what: &str, length: usize, most: usize) -> Result<(), ControlError> {
    if length > most {
        return Err(invalid(format!("{what}: {length} is more than {most}")));
    }
    Ok(())
}

/// A text outside of a fence: one line without marks, controls and secrets, those too that were
/// none before letters that nobody sees were gone.
fn bare(redactor: &Redactor, text: &str) -> String {
    redactor.redact(&clean(&redactor.redact(text), FACT))
}

/// The least role for a tool.
fn role_of(tool: &str) -> Role {
    if tool == "propose" || REACHING.contains(&tool) {
        Role::Operator
    } else {
        Role::Viewer
    }
}

/// What a guest of this role may use, and no name of anything else.
fn usable(role: Role) -> impl Iterator<Item = ToolSpec> {
    let all = look_ups().into_iter().chain(own_tools());
    all.filter(move |tool| role >= role_of(&tool.name))
}

/// Does this tool only look?
fn is_look_up(tool: &str) -> bool {
    tool != "propose" && usable(Role::SuperAdmin).any(|one| one.name == tool)
}

/// The tools beside the look-ups of a model.
fn own_tools() -> [ToolSpec; 3] {
    let process = json!({"type": "string", "description": "name of a process"});
    let mut actions = brain::investigate::actions_schema();
    if let Value::Array(names) = &mut actions["items"]["properties"]["action"]["enum"] {
        names.retain(|name| !WORDS.iter().any(|word| name == word));
    }
    [
        ToolSpec {
            name: "diagnose".into(),
            description: "What mhost itself finds wrong with a process: root cause, confidence, \
                evidence with ids, ranked actions, what was ruled out. Begin here."
                .into(),
            parameters: json!({
                "type": "object",
                "properties": {"process": process},
                "required": ["process"],
                "additionalProperties": false,
            }),
        },
        ToolSpec {
            name: "approvals".into(),
            description: "Questions to people about proposed plans, and what became of them. \
                With an id only that one."
                .into(),
            parameters: json!({
                "type": "object",
                "properties": {"id": {"type": "string"}},
                "additionalProperties": false,
            }),
        },
        ToolSpec {
            name: "propose".into(),
            description: "Propose a plan of typed actions for one process. A person is asked; \
                nothing is done before they say yes. Evidence names ids of facts that your \
                look-ups showed."
                .into(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "process": process,
                    "diagnosis": {"type": "string", "description": "what is wrong, in one or two sentences"},
                    "confidence": {"type": "number", "minimum": 0, "maximum": 1},
                    "evidence": {"type": "array", "items": {"type": "string"}},
                    "actions": actions,
                },
                "required": ["process", "diagnosis", "confidence", "actions"],
                "additionalProperties": false,
            }),
        },
    ]
}

fn broken(error: tokio::task::JoinError) -> ControlError {
    ControlError::Internal {
        message: error.to_string(),
    }
}

#[cfg(test)]
mod tests;
