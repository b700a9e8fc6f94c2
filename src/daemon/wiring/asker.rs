//! The model as the last brain of the chain.
//!
//! ```text
//!   incident without a plan ──► observation, finding ──► model ⇄ look-ups ──► checked Proposal
//!                                                                               │
//!                                      the same gate as for everybody ◄─────────┘
//! ```
//!
//! What comes back is untrusted; `brain::investigate` makes a typed proposal of it or nothing.
//! Whatever happens to the model ends here, in a line of the incident's story.

use std::sync::Arc;

use agent::{Diagnosis, Inquiry, Watch};
use async_trait::async_trait;
use brain::guard::{Guarded, Unguarded};
use brain::investigate::{
    Bounds, Checked, Desk, Ended, Shown, Stop, TOOLS_FROM, Talk, ask_about_all, ask_for_a_plan,
    first_request, fleet_opening, opening,
};
use brain::llm::{
    Abilities, Message, Model, ModelError, ModelId, Models, Reply, Request, Silent, Sink,
};
use brain::observation::{Known, Observation, together};
use brain::prompts::{Input, Prompts, Purpose};
use brain::redact::Marks;
use brain::{
    Action, BrainStore, Case, Facts, HistoryFilter, Incident, Playbooks, Severity, Step, TrailEntry,
};
use serde_json::{Value, json};
use supervisor::{ProcessName, until};
use tracing::warn;

use super::model::Redactors;

/// What is told of a process before anything is looked up, in tokens.
const OBSERVED: u32 = 6_000;
/// Earlier incidents that are told.
const PAST: u32 = 5;
/// Incidents of all processes among which alike ones are looked for.
const ALIKE: u32 = 100;
/// Processes that are told in full where all are asked about.
const IN_FULL: usize = 3;

/// What a question to a model needs of the daemon.
#[derive(Clone)]
pub(super) struct Asker {
    pub(super) models: Models,
    pub(super) playbooks: Playbooks,
    pub(super) memory: BrainStore,
    pub(super) facts: Arc<dyn Facts>,
    pub(super) redactors: Redactors,
    pub(super) prompts: Prompts,
}

/// What a model is asked about.
pub(super) struct Matter {
    /// Who wants to know: the agent, or a person who asks for a diagnosis.
    pub(super) purpose: Purpose,
    pub(super) process: ProcessName,
    pub(super) incident: Option<Incident>,
    pub(super) case: Option<Case>,
    pub(super) tried: Vec<String>,
    /// What playbooks said about it.
    pub(super) asked: Vec<TrailEntry>,
}

impl Asker {
    /// Asks about an incident, and makes a proposal of the answer.
    pub(super) async fn inquire(self, matter: Matter, trail: Vec<TrailEntry>) -> Inquiry {
        let begun = self.facts.now();
        let model = match &matter.incident {
            Some(incident) => self.models.for_incident(incident.id),
            None => self.models.current(),
        };
        let model = match model {
            Ok(model) => self.guard(model, Marks::default()).await,
            Err(error) => return failed(&error.to_string(), json!({ "error": error.code() })),
        };
        let (result, ended) = self.plan(&model, &matter, &Silent, &|_| ()).await;
        let took = until(begun, self.facts.now());
        let mut story = told(&ended);
        story["took_ms"] = json!(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        let checked = match result {
            Ok(checked) => checked,
            Err(error) => {
                story["error"] = json!(code(&error));
                return failed(&error.to_string(), story);
            }
        };
        story["said"] = said(&checked);
        let mut proposal = checked.proposal;
        if proposal.plan.steps.is_empty() {
            proposal.plan.steps.push(report(&matter, checked.severity));
        }
        Inquiry {
            diagnosis: Some(Diagnosis {
                proposal: Some(proposal),
                trail: json!(trail),
                took,
                ..Diagnosis::default()
            }),
            story,
            failed: None,
        }
    }

    /// Asks about all processes, and makes a proposal of the answer if it wants something done.
    pub(super) async fn watch(self) -> Watch {
        let model = match self.models.spare() {
            Ok(model) => self.guard(model, Marks::default()).await,
            Err(error) => return unwatched(&error.to_string()),
        };
        let abilities = model.abilities();
        let budget = OBSERVED.min(abilities.context_tokens.saturating_sub(1_000).max(300));
        let (facts, prompts) = (self.facts.clone(), self.prompts.clone());
        let purpose = match abilities.context_tokens >= TOOLS_FROM {
            true => Purpose::Agent,
            false => Purpose::Small,
        };
        let read = tokio::task::spawn_blocking(move || {
            let system = prompts.render(purpose, &Input::default()).system;
            let all = Observation::fleet_and_worst(facts.as_ref(), IN_FULL);
            let mut shown = Shown::default();
            let text = fleet_opening(&together(&all, budget as usize), &mut shown);
            (system, text, shown)
        });
        let Ok((system, text, shown)) = read.await else {
            return unwatched("the processes could not be read");
        };
        let talk = Talk {
            model: &model,
            desk: None,
            system,
            messages: vec![Message::User { text }],
            shown,
            sink: &Silent,
            looked: &|_| (),
            bounds: Bounds {
                rounds: 2,
                context_tokens: abilities.context_tokens,
                max_tokens: 512,
                ..Bounds::default()
            }
            .patient(self.models.timeout()),
        };
        let (result, ended) = ask_about_all(talk, self.facts.clone()).await;
        let mut story = told(&ended);
        match result {
            Ok(None) => Watch::default(),
            Ok(Some((process, checked))) => {
                story["said"] = said(&checked);
                let diagnosis = Diagnosis {
                    proposal: Some(checked.proposal),
                    trail: json!([]),
                    ..Diagnosis::default()
                };
                Watch {
                    found: Some((process, diagnosis)),
                    story,
                    failed: None,
                }
            }
            Err(error) => unwatched(&error.to_string()),
        }
    }

    /// A model that is told no secret, for one conversation.
    pub(super) async fn guard(&self, model: Unguarded, marks: Marks) -> Guarded {
        model.guarded(self.redactors.next(marks).await)
    }

    /// Asks for a diagnosis and a plan, with look-ups where the model can do them.
    pub(super) async fn plan(
        &self,
        model: &dyn Model,
        matter: &Matter,
        sink: &dyn Sink,
        looked: &(dyn Fn(&str) + Send + Sync),
    ) -> (Result<Checked, Stop>, Ended) {
        match self.talk(model, matter, sink, looked).await {
            Some(talk) => ask_for_a_plan(talk, &matter.process, self.facts.clone()).await,
            None => (Err(Stop::Gone(matter.process.clone())), Ended::default()),
        }
    }

    /// What it would begin with. None when the process is gone.
    pub(super) async fn first(&self, model: &dyn Model, matter: &Matter) -> Option<Request> {
        let talk = self.talk(model, matter, &Silent, &|_| ()).await?;
        Some(first_request(&talk, true))
    }

    async fn talk<'a>(
        &self,
        model: &'a dyn Model,
        matter: &Matter,
        sink: &'a dyn Sink,
        looked: &'a (dyn Fn(&str) + Send + Sync),
    ) -> Option<Talk<'a>> {
        let abilities = model.abilities();
        let with_tools = abilities.tools && abilities.context_tokens >= TOOLS_FROM;
        let bounds = Bounds {
            context_tokens: abilities.context_tokens,
            max_tokens: if with_tools { 2048 } else { 512 },
            ..Bounds::default()
        }
        .patient(self.models.timeout());
        let budget = match with_tools {
            true => OBSERVED.min(abilities.context_tokens / 3),
            // The answer and the rules take the rest.
            false => abilities.context_tokens.saturating_sub(1_000).max(300),
        };
        let (system, text, shown) = self.open(matter, with_tools, budget as usize).await?;
        Some(Talk {
            model,
            desk: with_tools.then(|| self.desk(Some(matter.process.clone()))),
            system,
            messages: vec![Message::User { text }],
            shown,
            sink,
            looked,
            bounds,
        })
    }

    /// What a model may read.
    pub(super) fn desk(&self, process: Option<ProcessName>) -> Desk {
        Desk {
            facts: self.facts.clone(),
            memory: Some(self.memory.clone()),
            playbooks: Some(self.playbooks.clone()),
            process,
        }
    }

    /// The rules, and the first message. None when the process is gone.
    async fn open(
        &self,
        matter: &Matter,
        with_tools: bool,
        budget: usize,
    ) -> Option<(String, String, Shown)> {
        let (facts, name) = (self.facts.clone(), matter.process.clone());
        let (incident, case) = (matter.incident.clone(), matter.case.clone());
        let (tried, memory, prompts) = (
            matter.tried.clone(),
            self.memory.clone(),
            self.prompts.clone(),
        );
        let (asked, playbooks) = (matter.asked.clone(), self.playbooks.clone());
        let purpose = matter.purpose;
        let read = tokio::task::spawn_blocking(move || {
            let input = Input::about(name.as_str());
            let mut prompt = prompts.render(purpose, &input);
            // Who wrote words for a diagnosis wrote them for the model that there is. The agent
            // finds what is wrong with a small one in words for a small one.
            let own = purpose == Purpose::Diagnose && prompt.has_own(purpose);
            if !with_tools && !own {
                let warnings = std::mem::take(&mut prompt.warnings);
                prompt = prompts.render(Purpose::Small, &input);
                prompt.warnings.extend(warnings);
            }
            for warning in &prompt.warnings {
                warn!(warning, "A prompt of yours cannot be used.");
            }
            let history = |process, limit| {
                let filter = HistoryFilter {
                    process,
                    since: None,
                    limit,
                };
                memory.history(filter).wait().unwrap_or_default()
            };
            let past = history(Some(name.clone()), PAST);
            let illness = incident.as_ref().and_then(|one| one.fingerprint.as_ref());
            let mut others = match illness {
                Some(_) => history(None, ALIKE),
                None => Vec::new(),
            };
            let own = incident.as_ref().map(|one| one.id.to_string());
            others.retain(|row| Some(&row.id) != own.as_ref());
            let infos = match asked.is_empty() {
                true => Vec::new(),
                false => playbooks.list(),
            };
            let known = Known {
                finding: case.as_ref(),
                past: &past,
                illness: illness.map(|illness| (illness.readable.as_str(), others.as_slice())),
                asked: &asked,
                playbooks: &infos,
            };
            let view = Observation::of(facts.as_ref(), &name, known)?.render(budget);
            let mut shown = Shown::default();
            // Signs are short beside what was observed, also for a model that reads little.
            let room = (budget * 3 / 4).clamp(300, 3_000);
            let wish = &prompt.user;
            let text = opening(wish, incident.as_ref(), &view, &tried, &mut shown, room);
            Some((prompt.system, text, shown))
        });
        read.await.ok().flatten()
    }
}

/// What a report without a plan does: people are told where to read it.
fn report(matter: &Matter, severity: Severity) -> Step {
    let name = &matter.process;
    let place = matter
        .incident
        .as_ref()
        .map_or_else(|| name.to_string(), |incident| incident.id.to_string());
    Step {
        action: Action::Notify {
            severity,
            text: format!(
                "A model looked into {name} and has nothing to do about it; see `mhost brain explain {place}`"
            ),
        },
        why: "the model has no plan".into(),
    }
}

/// How a talk went, for the story of an incident.
pub(super) fn told(ended: &Ended) -> Value {
    json!({
        "by": ended.by,
        "rounds": ended.rounds,
        "lookups": ended.lookups,
        "usage": ended.usage,
    })
}

/// What was said and what of it counts.
pub(super) fn said(checked: &Checked) -> Value {
    let steps = checked.proposal.plan.steps.iter().zip(&checked.reasons);
    json!({
        "diagnosis": checked.proposal.cause,
        "confidence": checked.proposal.confidence,
        "severity": checked.severity,
        "healthy": checked.healthy,
        "verdict": checked.verdict,
        "evidence": checked.proposal.evidence,
        "actions": steps
            .map(|(step, reason)| json!({ "action": step.action, "reason": reason }))
            .collect::<Vec<_>>(),
        "question": checked.question,
        "dropped": checked.dropped,
    })
}

/// A stable word for why there is no answer.
pub(super) fn code(error: &Stop) -> &'static str {
    match error {
        Stop::Model(error) => error.code(),
        Stop::Late(_) => "late",
        Stop::Useless { .. } => "useless",
        Stop::Gone(_) => "gone",
    }
}

fn failed(why: &str, story: Value) -> Inquiry {
    Inquiry {
        diagnosis: None,
        story,
        failed: Some(brain::investigate::clean(why, 200)),
    }
}

fn unwatched(why: &str) -> Watch {
    Watch {
        failed: Some(brain::investigate::clean(why, 200)),
        ..Watch::default()
    }
}

/// Nobody: what would be asked is only looked at.
pub(super) struct Nobody(ModelId, Abilities);

impl Nobody {
    pub(super) fn new(abilities: Abilities) -> Self {
        let nobody = || "nobody".to_owned();
        let id = ModelId {
            provider: nobody(),
            model: nobody(),
        };
        Self(id, abilities)
    }
}

#[async_trait]
impl Model for Nobody {
    fn id(&self) -> &ModelId {
        &self.0
    }

    fn abilities(&self) -> Abilities {
        self.1
    }

    async fn ask(&self, _: &Request, _: &dyn Sink) -> Result<Reply, ModelError> {
        Err(ModelError::NotSetUp("nobody is asked".into()))
    }
}
