//! The end of trouble.

use jiff::Timestamp;

use super::Rules;
use super::channel::Offer;
use super::state::{Incident, Told};
use crate::notify::{Class, EventName, Notice, Outgoing, outgoing::short};

/// Why trouble is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It has been up for a minute.
    Settled,
    /// It was stopped or deleted.
    Gone,
    /// Somebody said so.
    ByHand,
}

impl Rules {
    /// Ends the incident of a process. Whoever was told of it is told; by hand, only where an
    /// alert would stay open.
    pub(super) fn close(&mut self, name: &str, now: Timestamp, why: Why, out: &mut Vec<Outgoing>) {
        let Some(process) = self.state.processes.get_mut(name) else {
            return;
        };
        process.bad &= why != Why::Gone;
        process.settles = None;
        process.failing_since = None;
        process.crashes.clear();
        if why == Why::Gone {
            process.flapping = None;
            process.changes.clear();
        }
        let incident = process.incident.take();
        let until_recovered = self.state.mutes.get(name) == Some(&None);
        self.never_mind(name, |one| one.event.class().is_of_incidents());
        if let Some(incident) = incident {
            self.tell_end(name, incident, now, why, out);
        }
        if until_recovered {
            self.unmute(name, now, out);
        }
    }

    fn tell_end(
        &mut self,
        name: &str,
        incident: Incident,
        now: Timestamp,
        why: Why,
        out: &mut Vec<Outgoing>,
    ) {
        let muted = self.is_muted(name);
        let seconds = supervisor::until(incident.opened, now).as_secs();
        let message = match why {
            Why::Settled => format!("up for a minute; it took {} in all", short(seconds)),
            Why::Gone => "stopped on purpose".to_owned(),
            Why::ByHand => "closed by hand".to_owned(),
        };
        let names: Vec<String> = self
            .channels
            .iter()
            .map(|(one, _)| one.name.clone())
            .collect();
        for channel in names {
            let alerts = self.keeps_alerts(&channel);
            let classes = self.known_trouble(&channel, name);
            let enabled = self.settings(&channel).is_some_and(|one| one.enabled);
            let quiet = muted || why != Why::Settled || !self.hears_of_recoveries(&channel);
            let told = match (alerts, quiet) {
                (true, _) => classes.len(),
                // People need one message, not one per class.
                (false, false) => 1,
                (false, true) => 0,
            };
            for (index, class) in classes.into_iter().enumerate() {
                if index >= told || !enabled {
                    self.key(&channel, name, class).told = Told::Nothing;
                    continue;
                }
                let notice = Notice {
                    id: format!("{}-over", incident.notice.id),
                    event: EventName::HealthRecover,
                    severity: EventName::HealthRecover.severity(),
                    message: message.clone(),
                    incident: Some(incident.id.clone()),
                    details: Default::default(),
                    ts: now,
                    ..(*incident.notice).clone()
                };
                let offer = Offer {
                    class,
                    ..Offer::of(notice)
                };
                self.offer(&channel, offer, now, out);
            }
        }
    }

    /// Classes of trouble of a process that a channel was told of.
    fn known_trouble(&mut self, channel: &str, process: &str) -> Vec<Class> {
        let Some(state) = self.state.channels.get_mut(channel) else {
            return Vec::new();
        };
        let classes = state.keys.get_mut(process);
        let mut known = Vec::new();
        let classes = classes.into_iter().flatten();
        for (class, key) in classes.filter(|(class, _)| class.is_of_incidents()) {
            key.pending = None;
            if key.told != Told::Nothing {
                known.push(*class);
            }
        }
        // A message of its own is answered by one of its own.
        known.sort_by_key(|class| self.told(channel, process, *class) != Told::Single);
        known
    }

    pub(super) fn hears_of_recoveries(&self, channel: &str) -> bool {
        let settings = self.settings(channel);
        settings.is_some_and(|one| one.events.names(EventName::HealthRecover))
    }

    /// One class of an incident is over; with the last one the incident is.
    pub(super) fn end_class(&mut self, process: &str, class: Class) {
        if let Some(state) = self.state.processes.get_mut(process)
            && let Some(incident) = &mut state.incident
        {
            incident.classes.remove(&class);
            if incident.classes.is_empty() {
                state.incident = None;
            }
        }
    }
}
