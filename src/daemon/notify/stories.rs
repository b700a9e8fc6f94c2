//! From what the agent does to notices: what it asks, what it could not do, and once for each
//! incident what was done about it and whether that helped.

use std::collections::BTreeMap;
use std::time::Duration;

use agent::{Explanation, Notice as Said};
use brain::{Approval, IncidentId, IncidentState};
use chat::notify::{EventName, Notice, Severity};
use chat::store::Store;
use serde_json::{Value, json};
use supervisor::Clock;

use super::Voice;
use super::ends::Ends;
use super::news::{News, Reporter};
use super::reader::Reader;

/// Changes within this time are looked at once.
const GATHER: Duration = Duration::from_millis(700);
/// Incidents that are remembered.
const MOST: usize = 1_000;

/// Tells of the agent.
pub(super) struct Stories {
    voice: Voice,
    reader: Reader,
    ends: Ends,
    store: Store,
    clock: Clock,
    /// How well its process did when an incident was first heard of; none once it was told.
    known: BTreeMap<IncidentId, Option<Before>>,
}

#[derive(Clone, Copy)]
struct Before {
    score: Option<u64>,
}

impl Stories {
    pub(super) fn new(
        voice: Voice,
        reader: Reader,
        ends: Ends,
        store: Store,
        clock: Clock,
    ) -> Self {
        Self {
            voice,
            reader,
            ends,
            store,
            clock,
            known: BTreeMap::new(),
        }
    }

    /// Tells until the agent is gone.
    pub(super) async fn run(mut self, reporter: &mut Reporter) {
        while let Some(first) = reporter.news.recv().await {
            let mut changed = Vec::new();
            let mut news = Some(first);
            while let Some(one) = news {
                match one {
                    News::Asked(approval) => self.voice.tell(asked(&approval)).await,
                    News::Said(said) => self.said(&said).await,
                    News::Changed(id) if !changed.contains(&id) => changed.push(id),
                    News::Changed(_) => {}
                }
                news = reporter.news.try_recv().ok();
            }
            if !changed.is_empty() {
                tokio::time::sleep(GATHER).await;
            }
            for id in &changed {
                self.changed(*id).await;
            }
            if !changed.is_empty() {
                self.ends.look().await;
            }
        }
    }

    async fn said(&self, said: &Said) {
        let now = self.clock.now();
        let name = match said.escalation {
            true => EventName::Escalated,
            false => EventName::AgentAction,
        };
        let process = said.process.as_ref().map_or("", |one| one.as_str());
        let id = format!("a{}", now.as_millisecond());
        let mut notice = Notice::new(id, name, process, said.text.clone(), now);
        if !said.escalation {
            notice.severity = match said.severity {
                brain::Severity::Info => Severity::Info,
                brain::Severity::Warning => Severity::Warning,
                brain::Severity::Critical => Severity::Critical,
            };
        }
        if let Some(incident) = said.incident {
            let id = incident.to_string();
            notice = notice.topic(&id).detail("brain_incident", id);
        }
        self.voice.tell(notice).await;
    }

    /// More is known of an incident: its end is told.
    async fn changed(&mut self, id: IncidentId) {
        if matches!(self.known.get(&id), Some(None)) {
            return;
        }
        let params = json!({ "what": id.to_string() });
        let Ok(told) = self
            .reader
            .ask::<Explanation>("brain.explain", params)
            .await
        else {
            return;
        };
        let process = told.process.as_str().to_owned();
        let before = match self.known.get(&id) {
            Some(known) => *known,
            None => {
                let score = self.score(&process).await;
                if self.known.len() >= MOST {
                    self.known.pop_first();
                }
                self.known.insert(id, Some(Before { score }));
                Some(Before { score })
            }
        };
        let over = matches!(
            told.state,
            IncidentState::Resolved | IncidentState::Closed | IncidentState::Escalated
        );
        let acts: Vec<(String, bool)> = (told.actions.iter())
            .filter(|act| !matches!(act.action.as_str(), "wait" | "notify" | "log_incident"))
            .filter(|act| act.action != "escalate" && act.result != "pending")
            .map(|act| {
                let result = act.outcome.as_deref().unwrap_or(&act.result);
                let bad = act.result.starts_with("failed") || result == "failed";
                (format!("{} {}: {result}", act.action, act.target), bad)
            })
            .collect();
        let tried = acts.iter().any(|(words, _)| !words.contains(": denied"));
        if !over || acts.is_empty() || !tried {
            return;
        }
        self.known.insert(id, None);
        // One that a person has is heard of again at each start.
        let (incident, opened) = (told.incident.as_str(), told.opened);
        if self.store.is_told(incident, opened).await.unwrap_or(false) {
            return;
        }
        let after = self.score(&process).await;
        let score = (before.and_then(|one| one.score), after);
        self.voice
            .tell(healed(&told, &acts, score, &self.clock))
            .await;
        if let Err(error) = self.store.told(incident, opened).await {
            tracing::warn!(%error, incident, "It may be told again.");
        }
    }

    async fn score(&self, process: &str) -> Option<u64> {
        let params = json!({ "name": process });
        let status: Value = self.reader.ask("brain.status", params).await.ok()?;
        status["scores"][0]["score"].as_u64()
    }
}

/// A question to people.
fn asked(approval: &Approval) -> Notice {
    let steps = agent::question(approval.clone()).plan;
    let text = format!(
        "{} wants to {}: {}. mhost agent approve {}",
        approval.playbook,
        steps.join(", then "),
        approval.reason,
        approval.id
    );
    let id = format!("q{}", approval.id);
    let (process, at) = (approval.process.as_str(), approval.created);
    Notice::new(id, EventName::AgentApproval, process, text, at)
        .topic(approval.id.as_str())
        .detail("risk", approval.risk.as_str())
        .detail("expires", approval.expires.to_string())
        .detail("approval", approval.id.as_str())
        .detail("brain_incident", approval.incident.to_string())
}

/// What was done about an incident, and whether it helped.
fn healed(
    told: &Explanation,
    acts: &[(String, bool)],
    score: (Option<u64>, Option<u64>),
    clock: &Clock,
) -> Notice {
    let playbook = told.playbook.as_ref().map(ToString::to_string);
    let by_model = playbook
        .as_deref()
        .is_some_and(brain::investigate::is_model);
    let failed = told.escalated
        || told.state == IncidentState::Escalated
        || matches!(told.outcome.as_deref(), Some("failed" | "worse"))
        || acts.iter().any(|(_, bad)| *bad);
    let done: Vec<&str> = acts.iter().map(|(words, _)| words.as_str()).collect();
    let verdict = match failed {
        true => "it did not help",
        false => "it is well again",
    };
    let cause = told.root_cause.as_deref().unwrap_or(&told.title);
    let text = format!("{cause}. Done: {}; {verdict}", done.join(", "));
    let name = match by_model {
        true => EventName::AgentAction,
        false => EventName::BrainHeal,
    };
    let id = format!("h{}", told.incident);
    let mut notice = Notice::new(id, name, told.process.as_str(), text, clock.now())
        .detail("diagnosis", cause)
        .detail("action", done.join(", "))
        .detail(
            "outcome",
            told.outcome.clone().unwrap_or_else(|| verdict.to_owned()),
        )
        .detail("brain_incident", told.incident.as_str());
    if let Some(playbook) = playbook {
        notice = notice.detail("playbook", playbook);
    }
    if let (Some(before), Some(after)) = score {
        notice = notice.detail("score", format!("{before} → {after}"));
    }
    if failed {
        notice.severity = Severity::Warning;
    }
    // One that a person has goes on; the others are at their end.
    match told.state {
        IncidentState::Escalated => notice.topic(told.incident.as_str()),
        _ => notice,
    }
}
