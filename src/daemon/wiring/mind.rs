//! The brain behind the agent's questions: the playbooks.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use agent::policy::Autonomy;
use agent::{Asking, Check, Diagnosis, Inquiring, Mind, Watching};
use brain::incident::fingerprint::{error_line, fingerprint};
use brain::memory::Cure;
use brain::prompts::Purpose;
use brain::{
    Asked, DiagnoseContext, Facts, Fingerprint, Incident, Plan, PlaybookId, PlaybookSource,
    Playbooks, SymptomKind, TrailEntry, Verdict,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use supervisor::ProcessName;
use supervisor::config::BrainConfig;

use super::asker::{Asker, Matter};
use super::external::External;
use super::learning::Learning;

/// The name of the model in the chain.
const MODEL: &str = "model";
/// How often a slow look asks for the cause of a process's complaints.
const EVERY: Duration = Duration::from_secs(5);

/// Answers from the brains of the chain.
pub(super) struct PlaybookMind {
    playbooks: Playbooks,
    learning: Arc<Learning>,
    folder: PathBuf,
    asker: Asker,
    chain: RwLock<Arc<Chain>>,
    /// When a slow look last asked for the cause, by process.
    looked: Mutex<BTreeMap<ProcessName, Timestamp>>,
}

/// Who is asked, in order.
#[derive(Debug, Default)]
struct Chain {
    order: Vec<String>,
    learn: bool,
    external: BTreeMap<String, External>,
}

impl Chain {
    fn has(&self, name: &str) -> bool {
        self.order.iter().any(|one| one == name)
    }
}

impl PlaybookMind {
    pub(super) fn new(
        playbooks: Playbooks,
        learning: Arc<Learning>,
        folder: PathBuf,
        asker: Asker,
    ) -> Self {
        Self {
            playbooks,
            learning,
            folder,
            asker,
            chain: RwLock::default(),
            looked: Mutex::default(),
        }
    }

    /// Uses another chain from now on. Statistics of external brains begin anew.
    pub(super) fn reconfigure(&self, config: &BrainConfig) {
        let external = config.external.iter();
        let chain = Chain {
            order: config.chain.clone(),
            learn: config.learn,
            external: external
                .map(|(name, one)| {
                    let brain = External::new(name, one.clone(), self.folder.clone());
                    (name.clone(), brain)
                })
                .collect(),
        };
        *self.chain.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(chain);
    }

    /// May a slow look ask for the cause again?
    fn is_due(&self, process: &ProcessName, now: Timestamp) -> bool {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let due = looked
            .get(process)
            .is_none_or(|last| supervisor::until(*last, now) >= EVERY);
        if due {
            looked.retain(|_, last| supervisor::until(*last, now) < EVERY);
            looked.insert(process.clone(), now);
        }
        due
    }

    /// Asks the knowledge base of causes, unless what was learned knows better and faster.
    fn ask_causes(
        &self,
        found: brain::Diagnosis,
        process: &ProcessName,
        facts: &Arc<dyn Facts>,
        ctx: &DiagnoseContext,
    ) -> brain::Diagnosis {
        let beside = found.beside.is_some();
        let mut found = brain::settle_sure(found);
        let learned = found
            .trail
            .iter()
            .any(|entry| entry.source == PlaybookSource::Learned && entry.asked == Asked::Won);
        if learned || !self.chain().has("causes") {
            return brain::settle(found);
        }
        found = brain::with_causes(found, process, facts, ctx);
        if beside { brain::settle(found) } else { found }
    }

    fn chain(&self) -> Arc<Chain> {
        let chain = self.chain.read().unwrap_or_else(PoisonError::into_inner);
        chain.clone()
    }

    /// The chain with how each of its brains did.
    pub(super) fn told(&self) -> Value {
        let chain = self.chain();
        let rows = chain
            .order
            .iter()
            .map(|name| match chain.external.get(name) {
                Some(one) => json!({
                    "name": name,
                    "kind": one.kind(),
                    "autonomy": one.ceiling(),
                    "statistics": one.statistics(),
                }),
                None if name == MODEL => match self.asker.models.current() {
                    Ok(model) => json!({ "name": name, "kind": "model", "model": model.id() }),
                    Err(error) => json!({
                        "name": name, "kind": "model", "unavailable": error.to_string(),
                    }),
                },
                None => json!({ "name": name, "kind": "builtin" }),
            });
        json!({ "chain": rows.collect::<Vec<_>>(), "learn": chain.learn })
    }

    fn context(&self, asking: &Asking) -> DiagnoseContext {
        let chain = self.chain();
        let mut without = Vec::new();
        if !chain.has("playbooks") {
            without.extend([PlaybookSource::Custom, PlaybookSource::Builtin]);
        }
        if !chain.has("memory") {
            without.push(PlaybookSource::Learned);
        }
        DiagnoseContext {
            autonomous: asking.autonomous,
            runs: asking.runs.clone(),
            without,
        }
    }

    /// Asks the brains of other people that stand before whoever has a plan already.
    fn ask_others(
        &self,
        found: &mut brain::Diagnosis,
        incident: &Incident,
        facts: &Arc<dyn Facts>,
    ) -> Option<Autonomy> {
        let chain = self.chain();
        for name in &chain.order {
            if name == MODEL {
                // Asked last of all, and beside the loop.
                continue;
            }
            let Some(external) = chain.external.get(name) else {
                // The built-in ones have been asked; what they want done stands.
                let acts = found.proposal.as_ref().is_some_and(|proposal| {
                    let mut steps = proposal.plan.steps.iter();
                    steps.any(|step| step.action.changes_state())
                });
                if acts {
                    return None;
                }
                continue;
            };
            let seen = found.recording.seen.as_ref();
            let proposal = external.propose(incident, seen, facts.as_ref());
            let asked = match &proposal {
                Some(_) => Asked::Won,
                None => Asked::Silent,
            };
            found.trail.push(TrailEntry {
                playbook: PlaybookId(external.playbook()),
                source: PlaybookSource::External,
                asked,
            });
            if proposal.is_some() {
                found.proposal = proposal;
                return Some(external.ceiling());
            }
        }
        None
    }

    fn answer(
        &self,
        found: brain::Diagnosis,
        fingerprint: Option<Fingerprint>,
        begun: Timestamp,
        facts: &Arc<dyn Facts>,
    ) -> Diagnosis {
        let caution = found
            .proposal
            .as_ref()
            .filter(|_| !found.confirmed)
            .and_then(|proposal| self.learning.caution(&proposal.playbook.0));
        Diagnosis {
            fingerprint,
            proposal: found.proposal,
            trail: json!(found.trail),
            recording: Some(found.recording),
            case: found.case,
            caution,
            ceiling: None,
            took: supervisor::until(begun, facts.now()),
        }
    }
}

impl Mind for PlaybookMind {
    fn diagnose(&self, incident: &Incident, facts: &Arc<dyn Facts>, asking: &Asking) -> Diagnosis {
        let begun = facts.now();
        let ctx = self.context(asking);
        let found = brain::diagnose(incident, facts, &self.playbooks, &ctx);
        let mut found = self.ask_causes(found, &incident.process, facts, &ctx);
        let ceiling = self.ask_others(&mut found, incident, facts);
        Diagnosis {
            ceiling,
            ..self.answer(found, illness(incident), begun, facts)
        }
    }

    fn inquire(
        &self,
        incident: &Incident,
        found: &Diagnosis,
        tried: &[String],
        _facts: &Arc<dyn Facts>,
    ) -> Option<Inquiring> {
        if !self.chain().has(MODEL) || self.asker.models.current().is_err() {
            return None;
        }
        let mut trail: Vec<TrailEntry> =
            serde_json::from_value(found.trail.clone()).unwrap_or_default();
        let asked = trail.clone();
        trail.push(TrailEntry {
            playbook: PlaybookId(MODEL.into()),
            source: PlaybookSource::External,
            asked: Asked::Won,
        });
        let matter = Matter {
            purpose: Purpose::Agent,
            process: incident.process.clone(),
            incident: Some(incident.clone()),
            case: found.case.clone(),
            tried: tried.to_vec(),
            asked,
        };
        let asker = self.asker.clone();
        Some(Box::pin(asker.inquire(matter, trail)))
    }

    fn watch(&self) -> Option<Watching> {
        if !self.chain().has(MODEL) || self.asker.models.current().is_err() {
            return None;
        }
        Some(Box::pin(self.asker.clone().watch()))
    }

    fn suspect(&self, process: &ProcessName, facts: &Arc<dyn Facts>) -> Option<String> {
        brain::suspect(facts.as_ref(), process)
    }

    fn worth_a_look(
        &self,
        processes: Vec<ProcessName>,
        facts: &Arc<dyn Facts>,
    ) -> Vec<ProcessName> {
        brain::worth_a_look(processes, facts, &self.playbooks)
    }

    fn look(&self, process: &ProcessName, facts: &Arc<dyn Facts>, asking: &Asking) -> Diagnosis {
        let begun = facts.now();
        let ctx = self.context(asking);
        let mut found = brain::look(process, facts, &self.playbooks, &ctx);
        // What a playbook found wants an explanation, and what none found one from time to time.
        let planned = found.proposal.is_some() || found.beside.is_some();
        let ill = planned || complains(&found.recording);
        if ill && (planned || self.is_due(process, begun)) {
            found = self.ask_causes(found, process, facts, &ctx);
        }
        self.answer(found, None, begun, facts)
    }

    fn verify(
        &self,
        playbook: &PlaybookId,
        incident: &Incident,
        acted: Timestamp,
        facts: &Arc<dyn Facts>,
    ) -> Check {
        match brain::verify(playbook, incident, acted, facts, &self.playbooks) {
            Ok(Verdict::Helped) => Check::Passed,
            Ok(Verdict::NotHelped) => Check::Failed,
            Ok(Verdict::NotYet) => Check::Wait,
            // A broken check is none; its error has been told and counts against the playbook.
            Ok(Verdict::NoCheck) | Err(_) => Check::None,
        }
    }

    fn on_failure(
        &self,
        playbook: &PlaybookId,
        incident: &Incident,
        acted: Timestamp,
        facts: &Arc<dyn Facts>,
    ) -> Option<Plan> {
        brain::on_failure(playbook, incident, acted, facts, &self.playbooks)
            .ok()
            .flatten()
    }

    fn cured(&self, cure: Cure) {
        if self.chain().learn {
            self.learning.learn(cure);
        }
    }

    fn outcome(&self, playbook: &PlaybookId, helped: bool) {
        self.learning.outcome(&playbook.0, helped);
    }

    fn version(&self, playbook: &str) -> Option<String> {
        self.playbooks.version(playbook)
    }

    fn cooldown(&self, playbook: &str) -> Option<Duration> {
        if brain::is_cause(playbook) {
            return Some(brain::CAUSE_COOLDOWN);
        }
        let all = self.playbooks.list();
        let one = all.iter().find(|one| one.name == playbook)?;
        Some(Duration::from_secs(one.cooldown_s))
    }
}

/// Did the questions of a slow look show complaints, or a probe that fails?
fn complains(recording: &brain::Recording) -> bool {
    recording.answers.iter().any(|(question, answer)| {
        question.starts_with("errors(") && answer.as_array().is_some_and(|all| !all.is_empty())
            || question == "probe" && answer[0].as_i64().unwrap_or(0) > 0
    })
}

/// Which illness it is, by the newest death; by the newest sign where nobody died.
fn illness(incident: &Incident) -> Option<Fingerprint> {
    let deadly = |kind| matches!(kind, SymptomKind::Crash | SymptomKind::SpawnFailed);
    let mut newest = incident.symptoms.iter().rev();
    let sign = newest
        .clone()
        .find(|symptom| deadly(symptom.kind))
        .or_else(|| newest.next())?;
    let number = |key: &str| sign.data[key].as_i64();
    let exit = match (number("signal"), number("code")) {
        (Some(signal), _) => format!("signal {signal}"),
        (None, Some(code)) => format!("exit {code}"),
        (None, None) => String::new(),
    };
    let lines: Vec<&str> = sign.data["last_lines"]
        .as_array()
        .map(|lines| lines.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    let line = error_line(lines.iter().copied()).and_then(|index| lines.get(index).copied());
    Some(fingerprint(sign.kind, &exit, line))
}
