//! What a script may know: the object `c`.
//!
//!   script ──query──► Context ──Question──► Oracle ─┐ where scripts run
//!   ────────────────────────────────────────────────┼───────────────────
//!                     Recording: asked before? ◄────┘ Situation
//!                       ├── yes ──► the kept answer
//!                       └── no ──► Facts (live) · "diverged" (replay)
//!
//! One [`View`] and one [`Situation`] serve all playbooks that are asked about one incident at
//! one moment. The line between them is that between two processes in the daemon, and only a
//! call elsewhere. Nothing here can act.

mod actions;
pub(crate) mod deaths;
pub(crate) mod errors;
mod queries;
mod question;
mod recording;
mod situation;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use jiff::Timestamp;
use rhai::{Dynamic, EvalAltResult, Map, Position};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use supervisor::{HealthStatus, ProcessName, Status, until};

pub use actions::plan_of;
pub(crate) use actions::{checked, steps_of};
pub use errors::is_well;
pub(crate) use question::Question;
pub use recording::Recording;
pub(crate) use situation::Situation;

use crate::facts::{Facts, ProcessFacts};
use crate::incident::{Evidence, Symptom};

/// Evidence that one proposal carries at most.
const EVIDENCE: usize = 12;

pub(crate) type Answer<T> = Result<T, Box<EvalAltResult>>;

/// Puts the object `c` and the action constructors into an engine.
pub(crate) fn register(engine: &mut rhai::Engine) {
    engine.register_type_with_name::<Context>("Context");
    queries::register(engine);
    actions::register(engine);
}

/// Who answers questions about an incident.
pub(crate) trait Oracle: Send + Sync {
    /// The answer to a question.
    ///
    /// # Errors
    /// Why there is none, in words for whoever wrote the script.
    fn answer(&self, question: &Question) -> Result<Value, String>;
}

/// What every script knows of an incident without asking.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scene {
    pub(crate) process: ProcessName,
    /// The newest sign; none on a slow look.
    pub(crate) event: Option<Symptom>,
    pub(crate) now: Timestamp,
    pub(crate) autonomous: bool,
    pub(crate) acted_at: Option<Timestamp>,
}

/// One incident at one moment, as the scripts that are asked about it see it.
pub(crate) struct View {
    scene: Scene,
    oracle: Arc<dyn Oracle>,
    plain: OnceLock<Map>,
}

impl View {
    pub(crate) fn new(scene: Scene, oracle: Arc<dyn Oracle>) -> Arc<Self> {
        Arc::new(Self {
            scene,
            oracle,
            plain: OnceLock::new(),
        })
    }

    fn ask<T: DeserializeOwned>(&self, question: Question) -> Answer<T> {
        let found = self.oracle.answer(&question).map_err(failure)?;
        serde_json::from_value(found).map_err(|error| {
            let words = question.words();
            failure(format!("the answer to {words} is damaged: {error}"))
        })
    }

    fn plain(&self) -> Answer<&Map> {
        if let Some(plain) = self.plain.get() {
            return Ok(plain);
        }
        let scene = &self.scene;
        let value: Value = self.ask(Question::Process)?;
        let mut map: Map = rhai::serde::to_dynamic(&value)?
            .try_cast()
            .ok_or_else(|| failure(format!("there is no process `{}`", scene.process)))?;
        let event = scene.event.as_ref().map_or(Value::Null, |symptom| {
            json!({
                "name": symptom.kind.as_str(),
                "data": symptom.data,
                "instance": symptom.instance,
                "ts": symptom.at.as_second(),
            })
        });
        let age = scene
            .acted_at
            .map(|acted| until(acted, scene.now).as_secs_f64());
        for (key, value) in [
            ("event", event),
            ("now", json!(scene.now.as_second())),
            ("is_autonomous", json!(scene.autonomous)),
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
    view: Arc<View>,
    params: Arc<Map>,
    evidence: Arc<Mutex<Vec<Evidence>>>,
}

impl Context {
    pub(crate) fn new(view: &Arc<View>, params: Arc<Map>) -> Self {
        Self {
            view: Arc::clone(view),
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
            let score: Value = self.view.ask(Question::Score)?;
            return rhai::serde::to_dynamic(&score);
        }
        self.view
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
