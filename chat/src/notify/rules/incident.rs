//! What happened to a process: its incident, and to whom that is passed on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use supervisor::after;

use super::channel::Offer;
use super::flap::{Verdict, WINDOW, recent};
use super::state::{Incident, ProcessState};
use super::{Rules, close};
use crate::notify::{Class, EventName, Notice, Outgoing, ProcessWish, Severity};

/// The third crash in this time is critical.
const CRASHES: Duration = Duration::from_secs(300);
const THIRD: usize = 3;
/// A probe that has failed for so long is critical.
const FAILING: Duration = Duration::from_secs(300);
/// So long a process has to be up until its trouble is over.
const SETTLED: Duration = Duration::from_secs(60);

impl Rules {
    pub(super) fn notice(
        &mut self,
        mut notice: Notice,
        wish: &ProcessWish,
        now: Timestamp,
        out: &mut Vec<Outgoing>,
    ) {
        if notice.host.is_empty() {
            notice.host.clone_from(&self.host);
        }
        // Alerting has no place among what it alerts about.
        if matches!(
            notice.event,
            EventName::Digest | EventName::Flapping | EventName::Test
        ) {
            return;
        }
        if !notice.process.is_empty() {
            self.process(&notice.process, now).wish.clone_from(wish);
            self.note(&mut notice, now);
        }
        if notice.event.resolves() {
            let class = notice.event.class();
            self.never_mind(&notice.process, |one| one.event.class() == class);
        } else if self.is_muted(&notice.process) && notice.lasts() {
            self.unheard(&notice, now);
        }
        let verdict = match notice.event.changes_state() && !notice.process.is_empty() {
            true => self.flaps(&notice, now),
            false => Verdict::Tell,
        };
        match verdict {
            Verdict::Tell => {
                for channel in self.takers(&notice, notice.event.class(), wish) {
                    self.offer(&channel, Offer::of(notice.clone()), now, out);
                }
                // A deploy that ends well needs no minute to prove it.
                if notice.event == EventName::DeployDone {
                    self.end_class(&notice.process, Class::Deploy);
                }
            }
            Verdict::Silence => {
                for channel in self.takers(&notice, notice.event.class(), wish) {
                    self.felt(&channel, now);
                    let key = self.key(&channel, &notice.process, notice.event.class());
                    *key.suppressed.entry(notice.event).or_default() += 1;
                }
            }
            Verdict::Begins(told) => {
                if self.is_muted(&told.process) {
                    self.unheard(&told, now);
                }
                for channel in self.takers(&notice, notice.event.class(), wish) {
                    self.move_counts(&channel, &notice.process, Class::Flapping);
                    let offer = Offer {
                        unthrottled: true,
                        ..Offer::of((*told).clone())
                    };
                    self.offer(&channel, offer, now, out);
                    let process = self.process(&notice.process, now);
                    if let Some(flapping) = &mut process.flapping {
                        flapping.told_to.insert(channel);
                    }
                }
            }
        }
    }

    /// What it means for the process.
    fn note(&mut self, notice: &mut Notice, now: Timestamp) {
        let number = self.state.next + 1;
        let process = self.process(&notice.process, now);
        if notice.event == EventName::Crash
            && recent(&mut process.crashes, now, CRASHES, THIRD) == THIRD
        {
            notice.severity = Severity::Critical;
        }
        match notice.event {
            EventName::HealthFail => {
                process.failing_since.get_or_insert(now);
            }
            EventName::HealthRecover => {
                process.failing_since = None;
                process.settles = Some(after(now, SETTLED));
            }
            _ => {}
        }
        process.bad = match notice.event {
            EventName::Crash | EventName::Errored | EventName::HealthFail => true,
            EventName::HealthRecover => false,
            _ => process.bad,
        };
        if notice.event.opens() {
            process.settles = None;
            let mut opened = false;
            let incident = process.incident.get_or_insert_with(|| {
                opened = notice.incident.is_none();
                Incident {
                    id: notice
                        .incident
                        .clone()
                        .unwrap_or_else(|| format!("n{number:x}")),
                    opened: now,
                    notice: Box::new(notice.slim()),
                    classes: BTreeSet::new(),
                    announced: BTreeMap::new(),
                    acknowledged: None,
                }
            });
            incident.classes.insert(notice.event.class());
            *incident.notice = notice.slim();
            if opened {
                self.state.next = number;
            }
        }
        let process = self.process(&notice.process, now);
        let belongs = notice.event.opens() || notice.event.resolves();
        if let Some(incident) = process.incident.as_mut().filter(|_| belongs) {
            notice.incident.get_or_insert(incident.id.clone());
            if notice.event.opens() {
                incident.notice.incident.clone_from(&notice.incident);
            }
        }
    }

    pub(super) fn online(&mut self, process: &str, now: Timestamp) {
        if let Some(state) = self.state.processes.get_mut(process) {
            // A run comes up when its probes have passed; one that was restarted for a failed
            // probe never says that it has recovered.
            state.failing_since = None;
            state.bad = false;
            state.settles.get_or_insert(after(now, SETTLED));
        }
    }

    /// The channel knows of the incident. True when it did not before.
    pub(super) fn announced(&mut self, channel: &str, incident: &str, now: Timestamp) -> bool {
        let settings = self.settings(channel);
        let passes_on = settings.filter(|one| one.escalation_target.is_some());
        let wait = passes_on.and_then(|one| one.escalation_after);
        let Some(found) = self.incident_mut(incident) else {
            return false;
        };
        let due = wait.map(|wait| after(now, wait));
        let mut first = false;
        found
            .announced
            .entry(channel.to_owned())
            .or_insert_with(|| {
                first = true;
                due
            });
        first
    }

    pub(super) fn tick_processes(&mut self, now: Timestamp, out: &mut Vec<Outgoing>) {
        let due: Vec<String> = self
            .state
            .processes
            .iter()
            .filter(|(_, one)| one.dues().into_iter().any(|due| due <= now))
            .map(|(name, _)| name.clone())
            .collect();
        for name in due {
            let process = self.process(&name, now);
            let flapping = process.flapping.as_ref().map(|one| one.last);
            if flapping.is_some_and(|last| after(last, WINDOW) <= now) {
                self.stable(&name, now, out);
            }
            let process = self.process(&name, now);
            let still = process.flapping.is_some();
            if !still && process.settles.is_some_and(|due| due <= now) {
                self.close(&name, now, close::Why::Settled, out);
            }
            self.worse(&name, now, out);
            self.pass_on(&name, now, out);
        }
    }

    /// A probe that has failed for five minutes.
    fn worse(&mut self, name: &str, now: Timestamp, out: &mut Vec<Outgoing>) {
        let process = self.process(name, now);
        let late = process
            .failing_since
            .is_some_and(|since| after(since, FAILING) <= now);
        let silent = process.flapping.is_some();
        let wish = process.wish.clone();
        let Some(incident) = process.incident.as_ref().filter(|_| late) else {
            if late {
                process.failing_since = None;
            }
            return;
        };
        let notice = Notice {
            id: format!("{}-5m", incident.notice.id),
            event: EventName::HealthFail,
            severity: Severity::Critical,
            message: format!("still failing after 5m: {}", incident.notice.message),
            ts: now,
            ..(*incident.notice).clone()
        };
        process.failing_since = None;
        if silent {
            return;
        }
        if self.is_muted(name) {
            self.unheard(&notice, now);
        }
        for channel in self.takers(&notice, Class::Health, &wish) {
            self.offer(&channel, Offer::of(notice.clone()), now, out);
        }
    }

    /// Nobody has reacted: the next channel is told.
    fn pass_on(&mut self, name: &str, now: Timestamp, out: &mut Vec<Outgoing>) {
        let muted = self.is_muted(name);
        let process = self.process(name, now);
        let Some(incident) = process.incident.as_mut() else {
            return;
        };
        let open = incident.acknowledged.is_none();
        let mut late = Vec::new();
        for (channel, due) in &mut incident.announced {
            if due.is_some_and(|due| due <= now) {
                // While it is muted nobody is woken; it is looked at again later.
                *due = (muted && open).then(|| after(now, SETTLED));
                if open && !muted {
                    late.push(channel.clone());
                }
            }
        }
        let notice = (*incident.notice).clone();
        let wish = process.wish.clone();
        for channel in late {
            let after = self.settings(&channel).and_then(|one| one.escalation_after);
            let Some(target) = self.next_allowed(&channel, &wish) else {
                continue;
            };
            let mut notice = notice.clone();
            notice.severity = Severity::Critical;
            let offer = Offer {
                unthrottled: true,
                escalated_after: after,
                ..Offer::of(notice)
            };
            self.offer(&target, offer, now, out);
        }
    }

    /// The next of the chain that is on, and that the process lets hear of it.
    fn next_allowed(&self, channel: &str, wish: &ProcessWish) -> Option<String> {
        let mut at = self.settings(channel)?;
        for _ in 0..self.channels.len() {
            at = self.settings(at.escalation_target.as_deref()?)?;
            if at.enabled && wish.allows(&at.name) {
                return Some(at.name.clone());
            }
        }
        None
    }

    pub(super) fn process(&mut self, name: &str, now: Timestamp) -> &mut ProcessState {
        let process = self.state.processes.entry(name.to_owned()).or_default();
        process.seen = now;
        process
    }

    pub(super) fn incident_mut(&mut self, id: &str) -> Option<&mut Incident> {
        let incidents = self.state.processes.values_mut();
        let mut incidents = incidents.filter_map(|one| one.incident.as_mut());
        incidents.find(|one| one.id == id)
    }

    pub(super) fn process_of(&self, incident: &str) -> Option<String> {
        let has = |one: &ProcessState| one.incident.as_ref().is_some_and(|one| one.id == incident);
        let mut all = self.state.processes.iter();
        all.find(|(_, one)| has(one)).map(|(name, _)| name.clone())
    }
}

impl ProcessState {
    pub(super) fn dues(&self) -> Vec<Timestamp> {
        let mut dues = Vec::new();
        dues.extend(self.failing_since.map(|since| after(since, FAILING)));
        match &self.flapping {
            Some(flapping) => dues.push(after(flapping.last, WINDOW)),
            None => dues.extend(self.settles),
        }
        if let Some(incident) = &self.incident {
            dues.extend(incident.announced.values().copied().flatten());
        }
        dues
    }
}
