//! From events to incidents. Pure.
//!
//! An event that is a sign of trouble opens an incident, or extends the one that is open:
//! a process has at most one. A process that is well again and quiet resolves it.

use std::time::Duration;

use jiff::Timestamp;
use supervisor::{Event, EventKind, HealthStatus, Status, until};

use super::{Incident, IncidentState, Symptom, SymptomKind};
use crate::facts::ProcessFacts;
use crate::store::NewIncident;

/// Symptoms that are kept; the first and the newest count.
const KEPT: usize = 50;

/// What an event means for the incidents of its process.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// Nothing.
    Nothing,
    /// A new incident begins.
    Opens(NewIncident),
    /// The open incident goes on; here it is with the new symptom.
    Extends(Incident),
}

/// The sign in an event, if it is one.
pub fn symptom(event: &Event) -> Option<Symptom> {
    let kind = match event.kind {
        EventKind::Crash => SymptomKind::Crash,
        EventKind::SpawnFailed => SymptomKind::SpawnFailed,
        // Held means that somebody, perhaps the agent, did it on purpose.
        EventKind::Errored if event.data["reason"] == "held" => return None,
        EventKind::Errored | EventKind::DependencyFailed => SymptomKind::Errored,
        EventKind::HealthMiss => SymptomKind::Sign,
        EventKind::HealthFail => SymptomKind::HealthFail,
        EventKind::HealthRecover => SymptomKind::HealthRecover,
        EventKind::MemoryExceeded => SymptomKind::MemoryExceeded,
        EventKind::Start
        | EventKind::Online
        | EventKind::Stopping
        | EventKind::Stop
        | EventKind::Exited
        | EventKind::Restart
        | EventKind::ReloadStarted
        | EventKind::ReloadDone
        | EventKind::ReloadFailed
        | EventKind::Scaled
        | EventKind::Adopted
        | EventKind::ConfigChanged
        | EventKind::Deleted
        | EventKind::Cleared
        // Evidence for whoever asks, not a symptom.
        | EventKind::NewPattern
        // The slow look asks about a low score.
        | EventKind::HealthScoreLow => return None,
    };
    Some(Symptom {
        kind,
        at: event.at,
        instance: event.instance,
        event: Some(event.id),
        data: event.data.clone(),
    })
}

/// What an event means, given the process's open incident.
pub fn observe(open: Option<&Incident>, event: &Event) -> Seen {
    let Some(symptom) = symptom(event) else {
        return Seen::Nothing;
    };
    match open {
        Some(incident) if !incident.state.is_over() => {
            let mut incident = incident.clone();
            incident.take(symptom);
            Seen::Extends(incident)
        }
        // To be well again is no trouble.
        Some(_) | None if symptom.kind == SymptomKind::HealthRecover => Seen::Nothing,
        Some(_) | None => Seen::Opens(NewIncident {
            process: event.process.clone(),
            opened: event.at,
            title: title(symptom.kind, &event.process.to_string()),
            state: first_state(symptom.kind),
            symptoms: vec![symptom],
            fingerprint: None,
        }),
    }
}

/// Where an incident stands that begins with this.
fn first_state(kind: SymptomKind) -> IncidentState {
    if proves(kind) {
        IncidentState::Open
    } else {
        IncidentState::Suspected
    }
}

/// Is it more than a sign?
fn proves(kind: SymptomKind) -> bool {
    !matches!(kind, SymptomKind::Sign | SymptomKind::HealthRecover)
}

/// A line for people, before anything is known.
fn title(kind: SymptomKind, process: &str) -> String {
    match kind {
        SymptomKind::Crash => format!("{process} died"),
        SymptomKind::SpawnFailed => format!("{process} could not be started"),
        SymptomKind::Errored => format!("{process} is down and is not being retried"),
        SymptomKind::HealthFail => format!("{process} fails its probe"),
        SymptomKind::HealthRecover => format!("{process} passes its probe again"),
        SymptomKind::MemoryExceeded => format!("{process} is over its memory limit"),
        SymptomKind::Tick | SymptomKind::Score => format!("{process} does not do well"),
        SymptomKind::Sign => format!("{process} may not do well"),
    }
}

impl Incident {
    /// An incident that exists only while a slow look is taken: it has no id and is recorded
    /// only if a playbook has a plan for it.
    pub fn look(process: supervisor::ProcessName, now: Timestamp) -> NewIncident {
        NewIncident {
            title: title(SymptomKind::Tick, process.as_str()),
            process,
            state: IncidentState::Open,
            opened: now,
            symptoms: vec![Symptom {
                kind: SymptomKind::Tick,
                at: now,
                instance: None,
                event: None,
                data: serde_json::Value::Null,
            }],
            fingerprint: None,
        }
    }

    /// An incident that begins with a sign that no event tells of.
    pub fn suspicion(process: supervisor::ProcessName, now: Timestamp, sign: &str) -> NewIncident {
        NewIncident {
            title: title(SymptomKind::Sign, process.as_str()),
            process,
            state: IncidentState::Suspected,
            opened: now,
            symptoms: vec![Symptom {
                kind: SymptomKind::Sign,
                at: now,
                instance: None,
                event: None,
                data: serde_json::json!({ "error": sign }),
            }],
            fingerprint: None,
        }
    }

    /// Adds a symptom, and moves by what it proves.
    pub fn take(&mut self, symptom: Symptom) {
        if proves(symptom.kind) && self.state == IncidentState::Suspected {
            self.prove(symptom.kind);
        }
        self.extend(symptom);
    }

    /// What was suspected is true.
    pub fn prove(&mut self, kind: SymptomKind) {
        if let Ok(state) = super::step(self.state, super::IncidentInput::Proved) {
            // What was found out meanwhile says more.
            let untold = self.title == title(SymptomKind::Sign, self.process.as_str());
            if untold {
                self.title = title(kind, self.process.as_str());
            }
            self.state = state;
        }
    }

    /// What has no event of its own, and was found by looking, is found again: it lasts.
    pub fn lasts(&mut self, now: Timestamp) {
        let found = self.symptoms.last_mut().filter(|last| last.event.is_none());
        if let Some(found) = found {
            found.at = found.at.max(now);
        }
    }

    /// Adds a symptom. An event that is already in is not added twice.
    pub fn extend(&mut self, symptom: Symptom) {
        let known =
            symptom.event.is_some() && self.symptoms.iter().any(|old| old.event == symptom.event);
        if known {
            return;
        }
        if self.symptoms.len() >= KEPT {
            self.symptoms.remove(1);
        }
        self.symptoms.push(symptom);
    }

    /// Is the process well again by itself: every copy it should have is online, all probes
    /// pass, and there was no sign for `quiet`?
    pub fn has_recovered(&self, process: &ProcessFacts, now: Timestamp, quiet: Duration) -> bool {
        let newest = self.symptoms.last().map_or(self.opened, |last| last.at);
        until(newest, now) >= quiet
            && process.state == Status::Online
            && !process.instances.is_empty()
            && process.instances.iter().all(|instance| {
                instance.state == Status::Online
                    && instance.probe_failures == 0
                    && matches!(instance.health, HealthStatus::Pass | HealthStatus::Off)
                    && instance
                        .uptime_ms
                        .is_none_or(|uptime| u128::from(uptime) >= quiet.as_millis())
            })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::incident::IncidentId;

    fn event(id: i64, kind: EventKind, data: serde_json::Value) -> Event {
        Event {
            id,
            at: Timestamp::from_second(1_000 + id).unwrap(),
            process: "api".parse().unwrap(),
            instance: Some(0),
            kind,
            data,
            actor: "system".into(),
        }
    }

    fn opened(event: &Event) -> Incident {
        match observe(None, event) {
            Seen::Opens(new) => Incident {
                id: IncidentId(1),
                process: new.process,
                opened: new.opened,
                closed: None,
                state: new.state,
                symptoms: new.symptoms,
                fingerprint: None,
                title: new.title,
                cause: None,
            },
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_open_incident_for_a_process() {
        let crash = event(1, EventKind::Crash, json!({"code": 1}));
        let incident = opened(&crash);
        assert_eq!(incident.symptoms.len(), 1);
        let again = event(2, EventKind::Crash, json!({"code": 1}));
        let Seen::Extends(incident) = observe(Some(&incident), &again) else {
            panic!("an open incident is extended");
        };
        assert_eq!(incident.symptoms.len(), 2);
        let Seen::Extends(incident) = observe(Some(&incident), &again) else {
            panic!("an open incident is extended");
        };
        assert_eq!(incident.symptoms.len(), 2, "the same event counts once");
        let mut over = incident;
        over.state = IncidentState::Resolved;
        assert!(matches!(observe(Some(&over), &again), Seen::Opens(_)));
    }

    /// A first sign is told, and only a proof opens it for whoever acts.
    #[test]
    fn a_sign_is_a_suspicion_until_it_is_proved() {
        let miss = |id| event(id, EventKind::HealthMiss, json!({"error": "timeout"}));
        let incident = opened(&miss(1));
        assert_eq!(incident.state, IncidentState::Suspected);
        let next = |incident: &Incident, event: &Event| match observe(Some(incident), event) {
            Seen::Extends(incident) => incident,
            other => panic!("{other:?}"),
        };
        let incident = next(&incident, &miss(2));
        assert_eq!(incident.state, IncidentState::Suspected, "no proof yet");
        let incident = next(&incident, &event(3, EventKind::HealthFail, json!({})));
        assert_eq!(incident.state, IncidentState::Open);
        assert_eq!(incident.title, "api fails its probe");
        let incident = next(&incident, &miss(4));
        assert_eq!(incident.state, IncidentState::Open);
    }

    #[test]
    fn what_is_no_trouble_opens_nothing() {
        for quiet in [
            event(1, EventKind::Online, json!({})),
            event(2, EventKind::HealthRecover, json!({"failures": 3})),
            event(3, EventKind::Errored, json!({"reason": "held"})),
            event(4, EventKind::Stop, json!({})),
        ] {
            assert_eq!(observe(None, &quiet), Seen::Nothing, "{:?}", quiet.kind);
        }
    }
}
