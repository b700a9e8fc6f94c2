//! What the loop and its workers hold together.
//!
//! It is one piece although it is long: the open incidents and what need not survive the daemon,
//! each behind a lock that only this file takes. Nothing here decides. Store answers are waited for on a blocking thread: a runtime with
//! paused time then knows that something is under way and does not jump ahead.
//! It is one piece although it is long: one value, and a short method for each question.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use brain::incident::observe;
use brain::{
    Answer, BrainStore, BrainStoreError, Case, Facts, Incident, IncidentId, IncidentInput,
    IncidentState, NewIncident, ProcessFacts, Seen, Severity,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use supervisor::{Clock, Control, Event, EventKind, ProcessName};
use tokio::sync::Semaphore;

use crate::always::Watched;
use crate::approver::{Approver, Notice};
use crate::budget::{Standing, WINDOW};
use crate::carry::{Authority, Errand};
use crate::mind::{Inquiring, Mind};
use crate::run::Revisions;
use crate::settings::Settings;
use crate::switch::Switch;
use crate::verify::RECURRENCE;

/// Crashes are counted over this time when the policy asks whether a process is looping.
const LOOP_WINDOW: Duration = Duration::from_secs(300);

/// Diagnoses that are made at the same time.
const THOUGHTS: usize = 4;

/// Questions to a model that are under way at the same time.
const INQUIRIES: usize = 2;

/// A sign that goes on is written down this often.
const SIGN_EVERY: Duration = Duration::from_secs(5);

pub(crate) struct Shared {
    pub(crate) control: Arc<dyn Control>,
    pub(crate) revisions: Arc<dyn Revisions>,
    pub(crate) store: BrainStore,
    pub(crate) mind: Arc<dyn Mind>,
    pub(crate) facts: Arc<dyn Facts>,
    pub(crate) approver: Arc<dyn Approver>,
    pub(crate) clock: Clock,
    settings: Mutex<Arc<Settings>>,
    switch: Mutex<Switch>,
    open: Mutex<BTreeMap<ProcessName, Incident>>,
    /// Held while an incident is opened, so that there is one for a process.
    opening: tokio::sync::Mutex<()>,
    /// Leaves to think: a fleet that falls ill at once must not take all threads.
    pub(crate) thoughts: Semaphore,
    /// Leaves to ask a model.
    pub(crate) asking: Arc<Semaphore>,
    inquiries: Mutex<Vec<Pending>>,
    pub(crate) watched: Watched,
    memory: Mutex<Memory>,
}

/// A question to a model that waits for the loop to send it.
pub(crate) struct Pending {
    pub(crate) process: ProcessName,
    pub(crate) incident: IncidentId,
    /// The process as it was when the question was asked.
    pub(crate) before: ProcessFacts,
    pub(crate) answer: Inquiring,
}

/// A plan that did not help, and what is to be told if no other one does.
#[derive(Debug, Clone)]
pub(crate) struct Unhelped {
    pub(crate) errand: Errand,
    pub(crate) authority: Authority,
    pub(crate) text: String,
}

/// What need not survive the daemon.
#[derive(Debug, Default)]
struct Memory {
    /// Plans that were decided on, per incident: nothing is decided twice.
    tried: BTreeMap<IncidentId, BTreeSet<String>>,
    /// How sure the best diagnosis of an incident is, and of what.
    known: BTreeMap<IncidentId, (String, f64)>,
    /// Processes whose incident waits to be thought about although nothing new happened.
    postponed: BTreeSet<ProcessName>,
    /// The same, as soon as their worker is free.
    again: BTreeSet<ProcessName>,
    /// Plans that ran, per incident.
    plans: BTreeMap<IncidentId, u32>,
    /// What did not help, per incident, while another plan is looked for.
    unhelped: BTreeMap<IncidentId, Unhelped>,
    /// Suspicions of which nothing came, by process: one that comes back is the same.
    passed: BTreeMap<ProcessName, Incident>,
    /// When people were last told that the budget is used up.
    budget_told: Option<Timestamp>,
    /// When the last slow look ended.
    last_round: Option<Timestamp>,
}

/// Everything the agent is joined to.
pub struct Parts {
    /// The only way to a process.
    pub control: Arc<dyn Control>,
    /// Definitions that were in force before.
    pub revisions: Arc<dyn Revisions>,
    /// The brain's history.
    pub store: BrainStore,
    /// The brain.
    pub mind: Arc<dyn Mind>,
    /// What is known.
    pub facts: Arc<dyn Facts>,
    /// The way to people.
    pub approver: Arc<dyn Approver>,
    /// The time.
    pub clock: Clock,
    /// What it is told.
    pub settings: Settings,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `now` minus a duration.
pub(crate) fn before(now: Timestamp, time: Duration) -> Timestamp {
    let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
    now.checked_sub(time).unwrap_or(Timestamp::MIN)
}

/// Waits for the store.
pub(crate) async fn stored<T: Send + 'static>(answer: Answer<T>) -> Result<T, BrainStoreError> {
    tokio::task::spawn_blocking(move || answer.wait())
        .await
        .unwrap_or(Err(BrainStoreError::Closed))
}

impl Shared {
    /// Reads the switch; blocking, once.
    pub(crate) fn new(parts: Parts) -> Self {
        let switch = Switch::load(parts.settings.switch.as_deref());
        Self {
            control: parts.control,
            revisions: parts.revisions,
            store: parts.store,
            mind: parts.mind,
            facts: parts.facts,
            approver: parts.approver,
            clock: parts.clock,
            settings: Mutex::new(Arc::new(parts.settings)),
            switch: Mutex::new(switch),
            open: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            thoughts: Semaphore::new(THOUGHTS),
            asking: Arc::new(Semaphore::new(INQUIRIES)),
            inquiries: Mutex::default(),
            watched: Watched::default(),
            memory: Mutex::default(),
        }
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        lock(&self.settings).clone()
    }

    pub(crate) fn set_settings(&self, settings: Settings) {
        *lock(&self.settings) = Arc::new(settings);
    }

    pub(crate) fn switch(&self) -> Switch {
        lock(&self.switch).clone()
    }

    /// Changes the switch and writes it down. It holds even if it cannot be written.
    pub(crate) async fn turn(
        &self,
        change: impl FnOnce(&mut Switch),
    ) -> Result<Switch, std::io::Error> {
        let now = {
            let mut switch = lock(&self.switch);
            change(&mut switch);
            switch.clone()
        };
        let path = self.settings().switch.clone();
        let copy = now.clone();
        tokio::task::spawn_blocking(move || copy.save(path.as_deref()))
            .await
            .unwrap_or_else(|error| Err(std::io::Error::other(error)))?;
        Ok(now)
    }

    /// Asks facts or brain from a blocking thread.
    pub(crate) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        what: impl FnOnce(&Shared) -> T + Send + 'static,
    ) -> Option<T> {
        let shared = self.clone();
        match tokio::task::spawn_blocking(move || what(&shared)).await {
            Ok(value) => Some(value),
            Err(error) => {
                tracing::error!(%error, "The brain failed by a panic.");
                None
            }
        }
    }

    /// The process now, and its crashes of the last five minutes.
    pub(crate) async fn look(
        self: &Arc<Self>,
        process: &ProcessName,
    ) -> Option<(ProcessFacts, u32)> {
        let process = process.clone();
        self.blocking(move |shared| {
            let facts = shared.facts.process(&process)?;
            let crashes = shared
                .facts
                .events(&process, Some(EventKind::Crash), LOOP_WINDOW);
            Some((facts, u32::try_from(crashes.len()).unwrap_or(u32::MAX)))
        })
        .await
        .flatten()
    }

    /// The process now, and its events from a time on.
    pub(crate) async fn look_since(
        self: &Arc<Self>,
        process: &ProcessName,
        since: Timestamp,
    ) -> (Option<ProcessFacts>, Vec<Event>) {
        let process = process.clone();
        self.blocking(move |shared| {
            let window = supervisor::until(since, shared.facts.now()) + Duration::from_secs(1);
            let mut events = shared.facts.events(&process, None, window);
            events.retain(|event| event.at > since);
            (shared.facts.process(&process), events)
        })
        .await
        .unwrap_or_default()
    }

    /// Where the budget stands.
    pub(crate) async fn standing(
        self: &Arc<Self>,
        process: &ProcessName,
        playbook: &str,
    ) -> Result<Standing, BrainStoreError> {
        let now = self.clock.now();
        let used = stored(self.store.budget(process.clone(), before(now, WINDOW))).await?;
        let runs = stored(self.store.runs(process.clone(), now)).await?;
        let last = runs
            .iter()
            .find(|run| run.playbook.0 == playbook)
            .map(|run| run.last);
        let name = playbook.to_owned();
        let own = self
            .blocking(move |shared| shared.mind.cooldown(&name))
            .await
            .flatten();
        Ok(Standing::of(
            &self.settings().limits(playbook, own),
            used,
            last,
            self.switch().pause(now),
            now,
        ))
    }

    /// Records a line of an incident's story.
    pub(crate) async fn tell(
        &self,
        incident: IncidentId,
        kind: &str,
        data: Value,
    ) -> Result<(), BrainStoreError> {
        stored(self.store.add_step(incident, self.clock.now(), kind, data)).await?;
        self.approver.changed(incident);
        Ok(())
    }

    /// Takes over what a former daemon left open.
    pub(crate) fn adopt(&self, incidents: impl IntoIterator<Item = Incident>) {
        let mut open = lock(&self.open);
        for incident in incidents {
            self.postpone(&incident.process);
            open.insert(incident.process.clone(), incident);
        }
    }

    /// The open incident of a process.
    pub(crate) fn open_of(&self, process: &ProcessName) -> Option<Incident> {
        lock(&self.open).get(process).cloned()
    }

    /// Every open incident.
    pub(crate) fn all_open(&self) -> Vec<Incident> {
        lock(&self.open).values().cloned().collect()
    }

    /// Takes a sign that no event tells of. True when it is new. One that goes on keeps the
    /// suspicion alive and says nothing new.
    pub(crate) async fn suspicion(
        &self,
        process: &ProcessName,
        sign: &str,
    ) -> Result<bool, BrainStoreError> {
        let now = self.clock.now();
        let new = Incident::suspicion(process.clone(), now, sign);
        let Some(open) = self.open_of(process) else {
            self.open_new(new).await?;
            return Ok(true);
        };
        let last = open.symptoms.last().map_or(open.opened, |sign| sign.at);
        if open.state == IncidentState::Suspected && supervisor::until(last, now) >= SIGN_EVERY {
            self.change(process, |incident| {
                for sign in new.symptoms {
                    incident.extend(sign);
                }
            })
            .await?;
        }
        Ok(false)
    }

    /// Takes an event: opens an incident, extends the open one, or nothing. Answers with the
    /// process when there is something new to think about. Only the loop calls this, so no
    /// second incident can open beside the first.
    pub(crate) async fn sign(&self, event: &Event) -> Result<bool, BrainStoreError> {
        let extended = {
            let mut open = lock(&self.open);
            match observe(open.get(&event.process), event) {
                Seen::Nothing => return Ok(false),
                Seen::Extends(incident) => {
                    open.insert(incident.process.clone(), incident.clone());
                    // Queued under the lock, so that rows are written in the order of moves.
                    Ok(self.store.save_incident(incident))
                }
                Seen::Opens(new) => Err(new),
            }
        };
        match extended {
            Ok(saved) => stored(saved).await?,
            Err(new) => {
                self.open_new(new).await?;
            }
        }
        Ok(true)
    }

    /// Opens an incident, or takes the signs into the one that is open by now.
    pub(crate) async fn open_new(&self, new: NewIncident) -> Result<Incident, BrainStoreError> {
        let _one_at_a_time = self.opening.lock().await;
        if self.open_of(&new.process).is_some() {
            self.change(&new.process, |incident| {
                for symptom in new.symptoms {
                    incident.take(symptom);
                }
            })
            .await?;
            if let Some(incident) = self.open_of(&new.process) {
                return Ok(incident);
            }
            return Err(BrainStoreError::Closed);
        }
        if let Some(incident) = self.come_back(&new) {
            lock(&self.open).insert(incident.process.clone(), incident.clone());
            stored(self.store.reopen(incident.clone(), None)).await?;
            let story = json!({"trigger": new.symptoms});
            self.tell(incident.id, "returned", story).await?;
            return Ok(incident);
        }
        let incident = stored(self.store.open_incident(new)).await?;
        lock(&self.open).insert(incident.process.clone(), incident.clone());
        let story = json!({"title": incident.title, "trigger": incident.symptoms});
        self.tell(incident.id, "opened", story).await?;
        Ok(incident)
    }

    /// A suspicion of which nothing came, a moment ago, is the same one when it comes back.
    fn come_back(&self, new: &NewIncident) -> Option<Incident> {
        if new.state != IncidentState::Suspected {
            return None;
        }
        let passed = lock(&self.memory).passed.remove(&new.process)?;
        let closed = passed.closed?;
        let state = brain::incident::step(passed.state, IncidentInput::Returned).ok()?;
        (supervisor::until(closed, self.clock.now()) < RECURRENCE).then(|| {
            let mut incident = Incident {
                state,
                closed: None,
                ..passed
            };
            for symptom in new.symptoms.iter().cloned() {
                incident.take(symptom);
            }
            incident
        })
    }

    /// Takes up an incident again that was thought to be over: the open one of its process is
    /// the same illness, and becomes part of it.
    pub(crate) async fn reopen(&self, old: Incident) -> Result<Incident, BrainStoreError> {
        let saved = {
            let mut open = lock(&self.open);
            let Some(new) = open.get(&old.process).cloned() else {
                return Ok(old);
            };
            let Ok(state) = brain::incident::step(old.state, IncidentInput::Returned) else {
                return Ok(new);
            };
            let mut incident = Incident {
                state,
                closed: None,
                cause: None,
                title: new.title.clone(),
                fingerprint: new.fingerprint.clone(),
                ..old
            };
            for symptom in new.symptoms {
                incident.take(symptom);
            }
            open.insert(incident.process.clone(), incident.clone());
            let answer = self.store.reopen(incident.clone(), Some(new.id));
            (answer, incident, new.id)
        };
        let (saved, incident, absorbed) = saved;
        stored(saved).await?;
        // Whoever was told of it has to hear that it is no more.
        self.approver.changed(absorbed);
        Ok(incident)
    }

    /// Moves the open incident of a process by its machine and records it. An input its
    /// state has no use for is a bug: it is reported and changes nothing.
    pub(crate) async fn advance(
        &self,
        process: &ProcessName,
        input: IncidentInput,
    ) -> Result<(), BrainStoreError> {
        self.change(process, |incident| {
            match brain::incident::step(incident.state, input) {
                Ok(state) => incident.state = state,
                Err(error) => tracing::error!(
                    process = %incident.process,
                    incident = %incident.id,
                    %error,
                    "An incident was asked for an impossible move.",
                ),
            }
        })
        .await
    }

    /// Changes the open incident of a process and records it.
    pub(crate) async fn change(
        &self,
        process: &ProcessName,
        change: impl FnOnce(&mut Incident),
    ) -> Result<(), BrainStoreError> {
        let saved = {
            let mut open = lock(&self.open);
            let Some(incident) = open.get_mut(process) else {
                return Ok(());
            };
            let before = incident.state;
            change(incident);
            let mut now = incident.clone();
            if now.state.is_over() {
                now.closed.get_or_insert(self.clock.now());
                open.remove(process);
                let mut memory = lock(&self.memory);
                if before == IncidentState::Suspected {
                    memory.passed.insert(process.clone(), now.clone());
                }
                memory.tried.remove(&now.id);
                memory.known.remove(&now.id);
                memory.plans.remove(&now.id);
                memory.unhelped.remove(&now.id);
            }
            (now.id, self.store.save_incident(now))
        };
        let (id, saved) = saved;
        stored(saved).await?;
        self.approver.changed(id);
        Ok(())
    }

    /// Is this diagnosis surer than the best one of the incident? It then is the best one.
    pub(crate) fn knows_better(&self, incident: IncidentId, case: &Case) -> bool {
        let mut memory = lock(&self.memory);
        let name = case.cause.clone().unwrap_or_default();
        let better = memory.known.get(&incident).is_none_or(|(known, sure)| {
            case.confidence > sure + if *known == name { 0.04 } else { 0.0 }
        });
        if better {
            memory.known.insert(incident, (name, case.confidence));
        }
        better
    }

    /// Was this plan decided on already?
    pub(crate) fn was_tried(&self, incident: IncidentId, digest: &str) -> bool {
        lock(&self.memory)
            .tried
            .get(&incident)
            .is_some_and(|tried| tried.contains(digest))
    }

    /// Counts the plans of an incident, this one included.
    pub(crate) fn count_plan(&self, incident: IncidentId) -> u32 {
        let mut memory = lock(&self.memory);
        let plans = memory.plans.entry(incident).or_default();
        *plans += 1;
        *plans
    }

    /// How many plans of an incident ran.
    pub(crate) fn plans(&self, incident: IncidentId) -> u32 {
        let memory = lock(&self.memory);
        memory.plans.get(&incident).copied().unwrap_or(0)
    }

    /// Keeps what did not help until another plan is found, or none.
    pub(crate) fn did_not_help(&self, unhelped: Unhelped) {
        let id = unhelped.errand.incident;
        lock(&self.memory).unhelped.insert(id, unhelped);
    }

    /// Did a plan fail, and is another one looked for?
    pub(crate) fn seeks_another(&self, incident: IncidentId) -> bool {
        lock(&self.memory).unhelped.contains_key(&incident)
    }

    /// What did not help; given out once.
    pub(crate) fn take_unhelped(&self, incident: IncidentId) -> Option<Unhelped> {
        lock(&self.memory).unhelped.remove(&incident)
    }

    /// Has an incident thought about at the next look.
    pub(crate) fn postpone(&self, process: &ProcessName) {
        lock(&self.memory).postponed.insert(process.clone());
    }

    /// Has an incident thought about as soon as nobody works on its process.
    pub(crate) fn again(&self, process: &ProcessName) {
        lock(&self.memory).again.insert(process.clone());
    }

    /// Has a model asked as soon as the loop gets to it.
    pub(crate) fn inquire(&self, pending: Pending) {
        lock(&self.inquiries).push(pending);
    }

    /// Questions that wait to be sent. Each is given out once.
    pub(crate) fn take_inquiries(&self) -> Vec<Pending> {
        std::mem::take(&mut lock(&self.inquiries))
    }

    /// Processes to think about again. Each is given out once.
    pub(crate) fn take_again(&self) -> BTreeSet<ProcessName> {
        std::mem::take(&mut lock(&self.memory).again)
    }

    /// Processes that were postponed. Each is given out once.
    pub(crate) fn postponed(&self) -> BTreeSet<ProcessName> {
        std::mem::take(&mut lock(&self.memory).postponed)
    }

    /// Was this plan decided on already? Remembers it if not.
    pub(crate) fn try_once(&self, incident: IncidentId, digest: &str) -> bool {
        lock(&self.memory)
            .tried
            .entry(incident)
            .or_default()
            .insert(digest.to_owned())
    }

    /// Lets a plan be decided on again.
    pub(crate) fn try_again(&self, incident: IncidentId) {
        lock(&self.memory).tried.remove(&incident);
    }

    pub(crate) fn round_ended(&self) {
        lock(&self.memory).last_round = Some(self.clock.now());
    }

    pub(crate) fn last_round(&self) -> Option<Timestamp> {
        lock(&self.memory).last_round
    }

    /// True once an hour.
    pub(crate) fn may_tell_budget(&self) -> bool {
        let now = self.clock.now();
        let mut memory = lock(&self.memory);
        let due = memory
            .budget_told
            .is_none_or(|last| supervisor::until(last, now) >= WINDOW);
        if due {
            memory.budget_told = Some(now);
        }
        due
    }

    /// Tells people something about an incident.
    pub(crate) async fn announce(
        &self,
        incident: &Incident,
        severity: Severity,
        escalation: bool,
        text: String,
    ) {
        let notice = Notice {
            severity,
            process: Some(incident.process.clone()),
            incident: Some(incident.id),
            escalation,
            text,
        };
        self.approver.announce(&notice).await;
    }
}
