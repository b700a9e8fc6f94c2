//! The end of what was told and lasts: a question is answered, an incident that a person has is
//! over, a score is back, the disk has room, a sink answers.
//!
//! ```text
//!   rules ──open alerts──► look: is it still so? ──no──► Input::Over ──► rules
//! ```
//!
//! It is looked at, and not waited for: so an end that came while nobody listened, as over a
//! restart of the daemon, is told, too, and no alert stays open at a pager for want of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agent::Explanation;
use brain::IncidentState;
use chat::notify::{Class, Input, OpenAlert, Over};
use jiff::Timestamp;
use serde_json::{Value, json};
use supervisor::sinks::{SinkState, Sinks};
use supervisor::units::ByteSize;
use supervisor::{Clock, ControlError, Paths, until};

use super::Voice;
use super::reader::Reader;
use super::watch::{self, Room, Seen};
use crate::daemon::proof;

/// How often is looked. Where nothing is open it is one question to the rules.
const EVERY: Duration = Duration::from_secs(10);
/// A score has to be so many points above the threshold, for so long, to be back.
const BACK: f64 = 10.0;
const STEADY: Duration = Duration::from_secs(60);

/// Looks. Clones are the same.
#[derive(Clone)]
pub(super) struct Ends {
    pub(super) voice: Voice,
    pub(super) reader: Reader,
    pub(super) sinks: Sinks,
    pub(super) paths: Paths,
    pub(super) clock: Clock,
    /// What is watched is told again once its end was.
    pub(super) seen: Seen,
    /// Since when a score has been back.
    pub(super) back: Arc<Mutex<BTreeMap<String, Timestamp>>>,
}

impl Ends {
    /// Looks for ever.
    pub(super) async fn run(&self) {
        loop {
            self.look().await;
            tokio::time::sleep_until(self.clock.beat(EVERY)).await;
        }
    }

    /// Tells what is over.
    pub(super) async fn look(&self) {
        let notifier = &self.voice.notifier;
        let open = notifier.overview().await.map(|one| one.alerts);
        for alert in open.unwrap_or_default() {
            if let Some(message) = self.end_of(&alert).await {
                match alert.class {
                    Class::Disk => self.seen.disk_is_over(),
                    Class::Sink => self.seen.sink_is_over(alert.topic.as_deref()),
                    _ => {}
                }
                let over = Over { alert, message };
                // It is looked at again.
                let _ = notifier.put(Input::Over(Box::new(over))).await;
            }
        }
    }

    /// How it ended; none while it lasts, or while that cannot be known.
    async fn end_of(&self, alert: &OpenAlert) -> Option<String> {
        let topic = alert.topic.as_deref().unwrap_or_default();
        match alert.class {
            Class::Approval => self.answered(topic).await,
            Class::Escalation | Class::Agent => self.incident_over(topic, &alert.process).await,
            Class::Score => self.score_back(&alert.process).await,
            Class::Disk => self.has_room().await,
            Class::Sink => self.sink_up(topic),
            Class::Crash
            | Class::Health
            | Class::Memory
            | Class::Restart
            | Class::Deploy
            | Class::Certificate
            | Class::Daemon
            | Class::Flapping
            | Class::Digest
            | Class::Test => None,
        }
    }

    async fn answered(&self, id: &str) -> Option<String> {
        let params = json!({ "id": id });
        let known: Result<Value, _> = self.reader.ask("agent.actions", params).await;
        let known = match known {
            Ok(known) => known,
            Err(ControlError::NotFound { .. }) => Value::Null,
            Err(_) => return None,
        };
        match known["actions"][0]["state"].as_str() {
            Some("pending") => None,
            Some(state) => Some(format!("the question {id} is {state}")),
            None => Some(format!("the question {id} is no more")),
        }
    }

    async fn incident_over(&self, id: &str, process: &str) -> Option<String> {
        let params = json!({ "what": id });
        let told: Result<Explanation, _> = self.reader.ask("brain.explain", params).await;
        match told {
            // Numbers begin anew with a new history.
            Ok(told) if !process.is_empty() && told.process.as_str() != process => {
                Some(format!("{id} is no more"))
            }
            Ok(told) => match told.state {
                IncidentState::Resolved | IncidentState::Closed => Some(format!("{id} is over")),
                IncidentState::Merged => Some(format!("{id} is part of another incident")),
                IncidentState::Suspected
                | IncidentState::Open
                | IncidentState::Diagnosing
                | IncidentState::Planned
                | IncidentState::AwaitingApproval
                | IncidentState::Acting
                | IncidentState::Verifying
                | IncidentState::Escalated => None,
            },
            Err(ControlError::NotFound { .. }) => Some(format!("{id} is no more")),
            Err(_) => None,
        }
    }

    async fn score_back(&self, process: &str) -> Option<String> {
        let params = json!({ "name": process });
        let status: Result<Value, _> = self.reader.ask("brain.status", params).await;
        let status = match status {
            Ok(status) => status,
            Err(ControlError::NotFound { .. }) => Value::Null,
            Err(_) => return None,
        };
        let score = status["scores"][0]["score"].as_f64();
        let low = |score| score < f64::from(brain::LOW) + BACK;
        // One that comes up looks well, whatever ails it.
        let unproved = process
            .parse()
            .is_ok_and(|name| proof::is_wanting(&self.voice.registry, &name));
        let now = self.clock.now();
        let steady = {
            let mut back = self.back.lock().unwrap_or_else(PoisonError::into_inner);
            if score.is_none_or(low) || unproved {
                back.remove(process);
                false
            } else {
                let since = *back.entry(process.to_owned()).or_insert(now);
                until(since, now) >= STEADY
            }
        };
        match score {
            Some(_) if !steady => None,
            Some(score) => {
                let mut back = self.back.lock().unwrap_or_else(PoisonError::into_inner);
                back.remove(process);
                Some(format!("its health score is {} again", score.round()))
            }
            // It is stopped on purpose, or deleted.
            None => Some("it has no health score any more".to_owned()),
        }
    }

    async fn has_room(&self) -> Option<String> {
        let (free, size) = watch::free(&self.paths).await?;
        (watch::room(free, size) == Room::Enough).then(|| {
            let (free, home) = (ByteSize(free), self.paths.home().display());
            format!("{free} are free again on the disk of {home}")
        })
    }

    fn sink_up(&self, name: &str) -> Option<String> {
        let all = self.sinks.status();
        match all.iter().find(|one| one.name == name).map(|one| one.state) {
            // Nothing was sent yet by this daemon.
            Some(SinkState::Down | SinkState::Idle) => None,
            Some(SinkState::Up) => Some(format!("the sink {name} answers again")),
            Some(SinkState::Off) => Some(format!("the sink {name} is switched off")),
            None => Some(format!("the sink {name} is no more")),
        }
    }
}
