//! One incident at one moment, as those who run scripts see it: who answers their questions.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use supervisor::ProcessName;

use super::question::{About, Question};
use super::{Oracle, Recording, Scene};
use crate::facts::Facts;
use crate::incident::{Fingerprint, Symptom, SymptomKind};
use crate::replay::SeenThen;
use crate::sandbox;

/// Where the newest event is looked for: something has just happened, or nothing matters.
const NEWS: Duration = Duration::from_secs(600);

/// Where answers come from.
enum World {
    /// The world as it is.
    Live(Arc<dyn Facts>),
    /// What was answered then; what was not asked is read from what was seen then.
    Recorded(Option<Box<SeenThen>>),
}

/// One incident at one moment. It serves all playbooks that are asked about it, so a question
/// costs its price once, however many scripts ask it.
pub(crate) struct Situation {
    world: World,
    process: ProcessName,
    symptoms: Vec<Symptom>,
    autonomous: bool,
    acted_at: Option<Timestamp>,
    recording: Mutex<Recording>,
    diverged: Mutex<Option<String>>,
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
        Arc::new(Self {
            acted_at,
            ..Self::new(World::Live(facts), recording, process, symptoms, autonomous)
        })
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
        let world = World::Recorded(seen);
        Arc::new(Self::new(world, recording, process, symptoms, autonomous))
    }

    fn new(
        world: World,
        recording: Recording,
        process: ProcessName,
        symptoms: Vec<Symptom>,
        autonomous: bool,
    ) -> Self {
        Self {
            world,
            process,
            symptoms,
            autonomous,
            acted_at: None,
            recording: Mutex::new(recording),
            diverged: Mutex::new(None),
            newest: OnceLock::new(),
        }
    }

    /// What every script knows of it without asking.
    pub(crate) fn scene(&self) -> Scene {
        let slow =
            |symptom: &&Symptom| matches!(symptom.kind, SymptomKind::Tick | SymptomKind::Score);
        Scene {
            process: self.process.clone(),
            event: self.symptoms.last().filter(|one| !slow(one)).cloned(),
            now: self.now(),
            autonomous: self.autonomous,
            acted_at: self.acted_at,
        }
    }

    /// All that was asked so far.
    pub(crate) fn recording(&self) -> Recording {
        self.recorded().clone()
    }

    fn recorded(&self) -> MutexGuard<'_, Recording> {
        self.recording
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The first question of a replay that had no answer.
    pub(crate) fn diverged(&self) -> Option<String> {
        self.diverged
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.recorded().now
    }

    /// Which illness it is, told narrowly enough to try the same cure again.
    pub(crate) fn illness(&self) -> Option<Fingerprint> {
        let told = self.answer(&Question::Illness).ok()?;
        serde_json::from_value(told).ok().flatten()
    }

    fn look(&self, facts: &dyn Facts, question: &Question) -> Value {
        // What happens while a look goes on is of the next: else a playbook that is asked later
        // would see a crash that those before it did not.
        let newest = |facts: &dyn Facts| {
            let all = || facts.events(&self.process, None, NEWS);
            *self
                .newest
                .get_or_init(|| all().iter().map(|event| event.id).max().unwrap_or(i64::MAX))
        };
        let about = About {
            process: &self.process,
            symptoms: &self.symptoms,
            newest: &newest,
        };
        question.answer(facts, &about)
    }
}

impl Oracle for Situation {
    /// The kept answer, or a fresh one.
    fn answer(&self, question: &Question) -> Result<Value, String> {
        question.check()?;
        let words = question.words();
        if let Some(kept) = self.recorded().answer(&words) {
            return Ok(kept.clone());
        }
        let found = match &self.world {
            World::Live(facts) => Some(sandbox::untimed(|| self.look(facts.as_ref(), question))),
            World::Recorded(seen) => seen
                .as_ref()
                .and_then(|seen| seen.ask(|facts| self.look(facts, question))),
        };
        match found {
            Some(found) => {
                self.recorded().keep(words, found.clone());
                Ok(found)
            }
            None => {
                let text = format!("diverged: {words} was not asked then");
                self.diverged
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .get_or_insert(words);
                Err(text)
            }
        }
    }
}
