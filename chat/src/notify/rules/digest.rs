//! Many things in one message.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use supervisor::after;

use super::Rules;
use super::channel::Offer;
use super::state::{ChannelState, Collected, Storm, Told};
use crate::notify::notice::process_of;
use crate::notify::outgoing::MOST_LINES;
use crate::notify::{Class, DigestLine, EventName, Notice, Outgoing, Severity};

/// The first digest of a storm comes when it has been calm for so long, or raged for so long.
const FIRST_CALM: Duration = Duration::from_secs(10);
const FIRST_MOST: Duration = Duration::from_secs(120);
/// Those after it, and what is only good to know. A storm ends after so long a calm.
pub(super) const CALM: Duration = Duration::from_secs(60);
const MOST: Duration = Duration::from_secs(15 * 60);
/// Incidents that one digest announces.
const INCIDENTS: usize = 200;

impl Rules {
    /// Keeps it for one message. `due` says when, where it is not because of a storm.
    pub(super) fn collect(
        &mut self,
        channel: &str,
        offer: Offer,
        due: Option<Timestamp>,
        now: Timestamp,
    ) {
        let Offer { notice, class, .. } = offer;
        let key = self.key(channel, &notice.matter(), class);
        key.pending = None;
        if notice.lasts() && key.told == Told::Nothing {
            key.told = Told::Digest;
        }
        let state = self.state.channels.entry(channel.to_owned()).or_default();
        let (severity, event) = (notice.severity, notice.event);
        let collected = state.collected.get_or_insert_with(|| Collected {
            since: now,
            set: None,
            moving: None,
            severity,
            critical_since: None,
            lines: BTreeMap::new(),
            incidents: Default::default(),
            last: Box::new(notice.clone()),
            last_class: class,
        });
        collected.severity = collected.severity.max(severity);
        if severity == Severity::Critical {
            collected.critical_since.get_or_insert(now);
        }
        let line = collected.lines.entry(notice.process.clone()).or_default();
        *line.entry(event).or_default() += 1;
        if let Some(incident) = notice.incident.clone().filter(|_| !offer.resolves)
            && collected.incidents.len() < INCIDENTS
        {
            collected.incidents.insert(incident);
        }
        *collected.last = notice;
        collected.last_class = class;
        match due {
            Some(due) => collected.set = Some(collected.set.map_or(due, |set| set.min(due))),
            None => {
                collected.moving = Some(now);
                if severity > Severity::Info && state.storm.is_none() {
                    state.storm = Some(Storm {
                        last: now,
                        digests: 0,
                    });
                }
                state.postpone(now);
            }
        }
    }

    /// Tells what was collected, and what was counted meanwhile.
    pub(super) fn flush(&mut self, channel: &str, now: Timestamp, out: &mut Vec<Outgoing>) {
        let state = self.state.channels.entry(channel.to_owned()).or_default();
        let Some(mut collected) = state.collected.take() else {
            return;
        };
        state.count_in(&mut collected.lines);
        if let Some(storm) = &mut state.storm {
            storm.digests += 1;
        }
        let total: u32 = collected.lines.values().flat_map(|one| one.values()).sum();
        if let [(process, _)] = &collected.lines.iter().collect::<Vec<_>>()[..]
            && total == 1
            && collected.last.process == **process
        {
            // One thing is told as itself.
            let offer = Offer {
                class: collected.last_class,
                ..Offer::of(*collected.last)
            };
            let message = self.single(channel, offer, now);
            out.push(message);
            return;
        }
        for incident in &collected.incidents {
            self.announced(channel, incident, now);
        }
        let alerts = self.keeps_alerts(channel);
        let processes = collected.lines.len();
        let id = self.number("digest");
        let noun = if processes == 1 {
            "process"
        } else {
            "processes"
        };
        let text = format!("{total} events of {processes} {noun}");
        let mut notice = Notice::new(id, EventName::Digest, "", text, now);
        notice.severity = collected.severity;
        notice.host.clone_from(&collected.last.host);
        let mut lines: Vec<DigestLine> = collected
            .lines
            .into_iter()
            .map(|(process, events)| DigestLine { process, events })
            .collect();
        // The worst first: a cut must not hide it.
        lines.sort_by_key(|line| std::cmp::Reverse(worst(line)));
        let unnamed = lines.len().saturating_sub(MOST_LINES);
        lines.truncate(MOST_LINES);
        if alerts && let Some(state) = self.state.channels.get_mut(channel) {
            state.digest_alert = true;
        }
        out.push(Outgoing {
            lines,
            unnamed: u32::try_from(unnamed).unwrap_or(u32::MAX),
            ..self.message(channel, notice, Class::Digest, false)
        });
        // All that it told of may be over already.
        self.end_digest_alert(channel, now, out);
    }

    /// A digest that is open as an alert ends with the last trouble it told of.
    pub(super) fn end_digest_alert(
        &mut self,
        channel: &str,
        now: Timestamp,
        out: &mut Vec<Outgoing>,
    ) {
        let Some(state) = self.state.channels.get_mut(channel) else {
            return;
        };
        let mut keys = state.keys.values().flat_map(|classes| classes.values());
        if !state.digest_alert || keys.any(|key| key.told == Told::Digest) {
            return;
        }
        state.digest_alert = false;
        let id = self.number("digest");
        let text = "all that the digest told of has recovered";
        let mut notice = Notice::new(id, EventName::HealthRecover, "", text, now);
        notice.host = self.host.clone();
        out.push(self.message(channel, notice, Class::Digest, true));
    }
}

fn worst(line: &DigestLine) -> (Severity, u32) {
    let severity = line.events.keys().map(|event| event.severity()).max();
    let bad = line.events.iter().filter(|(event, _)| event.opens());
    (
        severity.unwrap_or_default(),
        bad.map(|(_, count)| count).sum(),
    )
}

impl ChannelState {
    /// Something happened: what a storm has collected waits for a calm, but not for ever.
    pub(super) fn postpone(&mut self, now: Timestamp) {
        let first = self.storm.as_ref().is_some_and(|storm| storm.digests == 0);
        let Some(collected) = self.collected.as_mut().filter(|one| one.moving.is_some()) else {
            return;
        };
        let first = first && collected.severity > Severity::Info;
        collected.moving = Some(match (first, collected.critical_since) {
            (true, _) => after(now, FIRST_CALM).min(after(collected.since, FIRST_MOST)),
            (false, Some(since)) => after(since, CALM),
            (false, None) => after(now, CALM).min(after(collected.since, MOST)),
        });
    }

    /// What was counted and not told belongs into a digest.
    fn count_in(&mut self, lines: &mut BTreeMap<String, BTreeMap<EventName, u32>>) {
        for (matter, classes) in &mut self.keys {
            let process = process_of(matter);
            for key in classes.values_mut() {
                for (event, count) in std::mem::take(&mut key.suppressed) {
                    let line = lines.entry(process.to_owned()).or_default();
                    *line.entry(event).or_default() += count;
                }
            }
        }
    }
}

impl Collected {
    pub(super) fn due(&self) -> Option<Timestamp> {
        [self.set, self.moving].into_iter().flatten().min()
    }
}
