//! What a script may know: the object `c`.
//!
//!   script ──query──► Context ──► Recording: asked before? ──► the kept answer
//!                                     └── no ──► Facts (live) · "diverged" (replay)
//!
//! One [`Situation`] serves all playbooks that are asked about one incident at one moment, so
//! a question costs its price once, however many scripts ask it. Nothing here can act.

mod actions;
pub(crate) mod deaths;
pub(crate) mod errors;
mod queries;
mod recording;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rhai::{Dynamic, EvalAltResult, Map, Position};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use supervisor::{HealthStatus, ProcessName, Status, until};

pub use actions::plan_of;
pub(crate) use actions::to_plan;
pub use errors::is_well;
pub use recording::Recording;

use crate::facts::{Facts, ProcessFacts};
use crate::incident::{Evidence, Fingerprint, Symptom, SymptomKind};
use crate::replay::SeenThen;
use crate::sandbox;

/// Where the newest event is looked for: something has just happened, or nothing matters.
const NEWS: Duration = Duration::from_secs(600);

/// Evidence that one proposal carries at most.
const EVIDENCE: usize = 12;

pub(crate) type Answer<T> = Result<T, Box<EvalAltResult>>;

/// Puts the object `c` and the action constructors into an engine.
pub(crate) fn register(engine: &mut rhai::Engine) {
    engine.register_type_with_name::<Context>("Context");
    queries::register(engine);
    actions::register(engine);
}

/// Where answers come from.
enum World {
    /// The world as it is.
    Live(Arc<dyn Facts>),
    /// What was answered then; what was not asked is read from what was seen then.
    Recorded(Option<Box<SeenThen>>),
}

/// One incident at one moment.
pub(crate) struct Situation {
    world: World,
    process: ProcessName,
    symptoms: Vec<Symptom>,
    autonomous: bool,
    acted_at: Option<Timestamp>,
    recording: Mutex<Recording>,
    diverged: Mutex<Option<String>>,
    plain: OnceLock<Map>,
    /// The newest event when one was first asked for.
    newest: OnceLock<i64>,
}

impl Situation {
    pub(crate) fn live(
        facts: Arc<dyn Facts>,
        process: ProcessName,
        symptoms: Vec<Symptom>,
        autonomous: bool,
        acted_at: Option<Timestamp>,
    ) -> Arc<Self> {
        let recording = Recording::new(facts.now());
        Self::new(
            World::Live(facts),
            recording,
            process,
            symptoms,
            autonomous,
            acted_at,
        )
    }

    /// The same questions again, without the world.
    pub(crate) fn replay(
        recording: Recording,
        process: ProcessName,
        symptoms: Vec<Symptom>,
        autonomous: bool,
    ) -> Arc<Self> {
        let seen = recording
            .seen
            .clone()
            .map(|seen| Box::new(SeenThen::new(seen)));
        Self::new(
            World::Recorded(seen),
            recording,
            process,
            symptoms,
            autonomous,
            None,
        )
    }

    fn new(
        world: World,
        recording: Recording,
        process: ProcessName,
        symptoms: Vec<Symptom>,
        autonomous: bool,
        acted_at: Option<Timestamp>,
    ) -> Arc<Self> {
        Arc::new(Self {
            world,
            process,
            symptoms,
            autonomous,
            acted_at,
            recording: Mutex::new(recording),
            diverged: Mutex::new(None),
            plain: OnceLock::new(),
            newest: OnceLock::new(),
        })
    }

    /// All that was asked so far.
    pub(crate) fn recording(&self) -> Recording {
        self.recording
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The first question of a replay that had no answer.
    pub(crate) fn diverged(&self) -> Option<String> {
        self.diverged
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The newest event that this look knows. What happens while it goes on is of the next:
    /// else a playbook that is asked later would see a crash that those before it did not.
    fn newest(&self, facts: &dyn Facts) -> i64 {
        let all = || facts.events(&self.process, None, NEWS);
        *self
            .newest
            .get_or_init(|| all().iter().map(|event| event.id).max().unwrap_or(i64::MAX))
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.recording
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .now
    }

    /// The kept answer, or a fresh one.
    fn ask<T: Serialize + DeserializeOwned>(
        &self,
        question: impl Into<String>,
        answer: impl FnOnce(&dyn Facts) -> T,
    ) -> Answer<T> {
        let question = question.into();
        let kept = self
            .recording
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .answer(&question)
            .cloned();
        if let Some(kept) = kept {
            return serde_json::from_value(kept)
                .map_err(|error| failure(format!("the answer to {question} is damaged: {error}")));
        }
        match &self.world {
            World::Live(facts) => {
                let fresh = sandbox::untimed(|| answer(facts.as_ref()));
                let value = serde_json::to_value(&fresh).unwrap_or(Value::Null);
                self.recording
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .keep(question, value);
                Ok(fresh)
            }
            World::Recorded(seen) => {
                if let Some(seen) = seen
                    && let Some(found) = seen.ask(answer)
                {
                    let value = serde_json::to_value(&found).unwrap_or(Value::Null);
                    self.recording
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .keep(question, value);
                    return Ok(found);
                }
                let text = format!("diverged: {question} was not asked then");
                self.diverged
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .get_or_insert(question);
                Err(failure(text))
            }
        }
    }

    /// Which illness it is, told narrowly enough to try the same cure again.
    pub(crate) fn illness(&self) -> Answer<Option<Fingerprint>> {
        self.ask("illness", |facts| {
            crate::memory::illness(facts, &self.process, &self.symptoms)
        })
    }

    /// What newest symptom is looked at; none on a slow look.
    fn event(&self) -> Option<&Symptom> {
        self.symptoms
            .last()
            .filter(|symptom| !matches!(symptom.kind, SymptomKind::Tick | SymptomKind::Score))
    }

    fn plain(&self) -> Answer<&Map> {
        if let Some(plain) = self.plain.get() {
            return Ok(plain);
        }
        let value = self.ask("process", |facts| plain(facts, &self.process))?;
        let mut map: Map = rhai::serde::to_dynamic(&value)?
            .try_cast()
            .ok_or_else(|| failure(format!("there is no process `{}`", self.process)))?;
        let event = self.event().map_or(Value::Null, |symptom| {
            json!({
                "name": symptom.kind.as_str(),
                "data": symptom.data,
                "instance": symptom.instance,
                "ts": symptom.at.as_second(),
            })
        });
        let now = self.now();
        let age = self.acted_at.map(|acted| until(acted, now).as_secs_f64());
        for (key, value) in [
            ("event", event),
            ("now", json!(now.as_second())),
            ("is_autonomous", json!(self.autonomous)),
            ("age_s", json!(age.unwrap_or(0.0))),
        ] {
            map.insert(key.into(), rhai::serde::to_dynamic(&value)?);
        }
        Ok(self.plain.get_or_init(|| map))
    }
}

/// The object `c` for one playbook.
#[derive(Clone)]
pub(crate) struct Context {
    situation: Arc<Situation>,
    params: Arc<Map>,
    evidence: Arc<Mutex<Vec<Evidence>>>,
}

impl Context {
    pub(crate) fn new(situation: &Arc<Situation>, params: Arc<Map>) -> Self {
        Self {
            situation: Arc::clone(situation),
            params,
            evidence: Arc::default(),
        }
    }

    /// What the playbook's reads rest on, in the order they were seen.
    pub(crate) fn evidence(&self) -> Vec<Evidence> {
        self.evidence
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn note(&self, id: impl Into<String>, text: impl Into<String>) {
        let id = id.into();
        let mut all = self.evidence.lock().unwrap_or_else(PoisonError::into_inner);
        let text = text.into();
        let known = all.iter().any(|old| old.id == id && old.text == text);
        if !id.is_empty() && !known && all.len() < EVIDENCE {
            all.push(Evidence { id, text });
        }
    }

    fn property(&self, key: &str) -> Answer<Dynamic> {
        if key == "p" {
            return Ok(Dynamic::from_map(self.params.as_ref().clone()));
        }
        if key == "score" {
            let score = self.situation.ask("score", |facts| {
                crate::score::score(facts, &self.situation.process)
            })?;
            return match score {
                Some(score) => rhai::serde::to_dynamic(score),
                None => Ok(Dynamic::UNIT),
            };
        }
        self.situation
            .plain()?
            .get(key)
            .cloned()
            .ok_or_else(|| failure(format!("`c` has no field `{key}`")))
    }
}

/// The plain fields of `c`, as far as they come from the world.
fn plain(facts: &dyn Facts, name: &ProcessName) -> Value {
    let Some(process) = facts.process(name) else {
        return Value::Null;
    };
    let now = facts.now();
    let shortest = |only: fn(&ProcessFacts) -> Option<u64>| only(&process);
    let uptime_ms = shortest(|process| {
        process
            .instances
            .iter()
            .filter(|instance| instance.alive)
            .filter_map(|instance| instance.uptime_ms)
            .min()
    });
    let probed = process
        .instances
        .iter()
        .any(|instance| instance.health != HealthStatus::Off);
    let all: Vec<Value> = process
        .instances
        .iter()
        .map(|instance| {
            json!({
                "index": instance.index,
                "pid": instance.pid,
                "alive": instance.alive,
                "state": instance.state.as_str(),
                "rss": instance.rss_bytes,
                "cpu": instance.cpu_percent,
                "uptime_s": instance.uptime_ms.map_or(0.0, |ms| ms as f64 / 1000.0),
                "probe": instance.health.as_str(),
                "probe_failures": instance.probe_failures,
                "probe_error": instance.probe_error,
            })
        })
        .collect();
    let count = |keep: fn(&crate::facts::InstanceFacts) -> bool| {
        process.instances.iter().filter(|one| keep(one)).count()
    };
    let max_memory = process.max_memory;
    json!({
        "name": process.name.as_str(),
        "state": process.state.as_str(),
        "detail": process.detail,
        "held": process.held,
        "retries": process.retries,
        "wanted": process.wanted,
        "instances": process.instances.len(),
        "online": count(|instance| instance.state == Status::Online),
        "alive": count(|instance| instance.alive),
        "desired": process.desired,
        "configured": process.configured_instances,
        "uptime_s": uptime_ms.map_or(0.0, |ms| ms as f64 / 1000.0),
        "restarts": process.restarts,
        "tags": process.tags,
        "config": process.config,
        "env_file": process.config.get("env_file").and_then(Value::as_str),
        "all": all,
        "host": facts.machine(),
        "deploy": null,
        "bound": {
            "max_instances": facts.max_instances(name),
            "max_memory": max_memory.map(|bytes| bytes.saturating_mul(2)),
        },
        "max_memory": max_memory,
        "max_restarts": process.max_restarts,
        "depends_on": process.depends_on.iter().map(ProcessName::as_str).collect::<Vec<_>>(),
        "changed_s": process.changed_at.map(|at| until(at, now).as_secs_f64()),
        "has_previous": process.has_previous,
        "has_probe": probed,
        "healthy": errors::is_well(&process),
    })
}

pub(crate) fn failure(text: impl Into<String>) -> Box<EvalAltResult> {
    let text: String = text.into();
    EvalAltResult::ErrorRuntime(text.into(), Position::NONE).into()
}
