//! One channel: is it too soon to tell this, too much, or just right?

use std::time::Duration;

use jiff::Timestamp;
use supervisor::after;

use super::Rules;
use super::state::{ChannelState, Key, Told};
use crate::notify::{Class, EventName, Notice, Outgoing, Severity};

/// Messages of their own in [`MINUTE`]; one more would be read by nobody.
pub(super) const SINGLES: usize = 2;
const MINUTE: Duration = Duration::from_secs(60);

/// Something that a channel wants.
#[derive(Debug, Clone)]
pub(super) struct Offer {
    pub notice: Notice,
    pub class: Class,
    pub resolves: bool,
    /// It goes out although the last one was just now.
    pub unthrottled: bool,
    pub escalated_after: Option<Duration>,
}

impl Offer {
    pub(super) fn of(notice: Notice) -> Self {
        Self {
            class: notice.event.class(),
            resolves: notice.event.resolves(),
            notice,
            unthrottled: false,
            escalated_after: None,
        }
    }
}

impl Rules {
    pub(super) fn key(&mut self, channel: &str, matter: &str, class: Class) -> &mut Key {
        let channel = self.state.channels.entry(channel.to_owned()).or_default();
        let classes = channel.keys.entry(matter.to_owned()).or_default();
        classes.entry(class).or_default()
    }

    /// Tells it, collects it or counts it.
    pub(super) fn offer(
        &mut self,
        channel: &str,
        offer: Offer,
        now: Timestamp,
        out: &mut Vec<Outgoing>,
    ) {
        self.felt(channel, now);
        if offer.resolves {
            self.offer_end(channel, offer, now, out);
            return;
        }
        let throttle = self.throttle(channel);
        let Offer { notice, class, .. } = &offer;
        let key = self.key(channel, &notice.matter(), *class);
        let soon = key.sent.is_some_and(|sent| now < after(sent, throttle));
        if soon && !offer.unthrottled && notice.severity <= key.severity {
            *key.suppressed.entry(notice.event).or_default() += 1;
            if notice.lasts() && key.told == Told::Nothing {
                key.pending = Some(Box::new(offer.notice.slim()));
            }
            return;
        }
        self.out_or_collected(channel, offer, now, out);
    }

    /// The end of trouble is told where the trouble was told.
    fn offer_end(&mut self, channel: &str, offer: Offer, now: Timestamp, out: &mut Vec<Outgoing>) {
        let alerts = self.keeps_alerts(channel);
        let class = offer.class;
        // Trouble of it that waits for the digest would be told after its end.
        let later = !alerts && self.collects(channel, &offer.notice.process);
        let key = self.key(channel, &offer.notice.matter(), class);
        let told = std::mem::take(&mut key.told);
        // Both the trouble and its end came within the window: nothing has changed for anybody.
        let unheard = told == Told::Nothing && key.pending.take().is_some();
        match told {
            _ if unheard => *key.suppressed.entry(offer.notice.event).or_default() += 1,
            Told::Single if later => self.collect(channel, offer, None, now),
            Told::Single if alerts || self.quiet(channel, offer.notice.severity, now).is_none() => {
                let message = self.single(channel, offer, now);
                out.push(message);
            }
            Told::Digest if alerts => self.end_digest_alert(channel, now, out),
            _ => self.out_or_collected(channel, offer, now, out),
        }
    }

    /// Does the next digest tell of this process?
    fn collects(&self, channel: &str, process: &str) -> bool {
        let collected = self
            .state
            .channels
            .get(channel)
            .and_then(|one| one.collected.as_ref());
        collected.is_some_and(|one| one.lines.contains_key(process))
    }

    fn out_or_collected(
        &mut self,
        channel: &str,
        offer: Offer,
        now: Timestamp,
        out: &mut Vec<Outgoing>,
    ) {
        let severity = offer.notice.severity;
        let settings = self.settings(channel);
        let digest = settings
            .and_then(|one| one.digest)
            .filter(|_| severity < Severity::Critical);
        if let Some(end) = self.quiet(channel, severity, now) {
            self.collect(channel, offer, Some(end), now);
        } else if let Some(wait) = digest {
            self.collect(channel, offer, Some(after(now, wait)), now);
        } else if self.has_room(channel, severity, now) {
            let state = self.state.channels.entry(channel.to_owned()).or_default();
            state.singles.push_back(now);
            let message = self.single(channel, offer, now);
            out.push(message);
        } else {
            self.collect(channel, offer, None, now);
        }
    }

    /// May it be a message of its own? What is only good to know leaves room for the rest.
    fn has_room(&mut self, channel: &str, severity: Severity, now: Timestamp) -> bool {
        let state = self.state.channels.entry(channel.to_owned()).or_default();
        state.singles.retain(|sent| after(*sent, MINUTE) > now);
        let room = match severity {
            Severity::Info => 1,
            Severity::Warning | Severity::Critical => SINGLES,
        };
        state.storm.is_none() && state.singles.len() < room
    }

    pub(super) fn single(&mut self, channel: &str, offer: Offer, now: Timestamp) -> Outgoing {
        let Offer { notice, class, .. } = offer;
        let key = self.key(channel, &notice.matter(), class);
        let suppressed = std::mem::take(&mut key.suppressed);
        key.pending = None;
        if !offer.resolves {
            key.sent = Some(now);
            key.severity = notice.severity;
            if notice.lasts() || notice.event == EventName::Flapping {
                key.told = Told::Single;
            }
        }
        let first = match &notice.incident {
            Some(incident) if !offer.resolves => self.announced(channel, &incident.clone(), now),
            _ => false,
        };
        let process = self.state.processes.get(&notice.process);
        let only = process.map(|one| one.wish.channels.clone());
        Outgoing {
            only: only.unwrap_or_default(),
            suppressed: suppressed.values().sum(),
            escalated_after_s: offer.escalated_after.map(|one| one.as_secs()),
            opens_thread: first,
            ..self.message(channel, notice, class, offer.resolves)
        }
    }

    pub(super) fn keeps_alerts(&self, channel: &str) -> bool {
        self.settings(channel)
            .is_some_and(|one| one.target.keeps_alerts())
    }

    /// Something of this channel happened, whether it is told or not.
    pub(super) fn felt(&mut self, channel: &str, now: Timestamp) {
        let state = self.state.channels.entry(channel.to_owned()).or_default();
        if let Some(storm) = &mut state.storm {
            storm.last = now;
        }
        state.postpone(now);
    }

    pub(super) fn tick_channels(&mut self, now: Timestamp, out: &mut Vec<Outgoing>) {
        let names: Vec<String> = self.state.channels.keys().cloned().collect();
        for name in names {
            let throttle = self.throttle(&name);
            let state = &self.state.channels[&name];
            let due = state.collected.as_ref().and_then(|one| one.due());
            if due.is_some_and(|due| due <= now) {
                self.flush(&name, now, out);
            }
            // While its process is muted it goes on waiting.
            let muted = |process: &str| self.is_muted(process);
            let pending = self.state.channels[&name].pending(throttle, now, muted);
            for (matter, class) in pending {
                let key = self.key(&name, &matter, class);
                // It was counted when it came; it is told itself now.
                let Some(notice) = key.pending.take() else {
                    continue;
                };
                if let Some(count) = key.suppressed.get_mut(&notice.event) {
                    *count = count.saturating_sub(1);
                }
                key.suppressed.retain(|_, count| *count > 0);
                self.out_or_collected(&name, Offer::of(*notice), now, out);
            }
            let state = self.state.channels.entry(name).or_default();
            let calm = |last: Timestamp| after(last, super::digest::CALM) <= now;
            if state.collected.is_none() && state.storm.as_ref().is_some_and(|one| calm(one.last)) {
                state.storm = None;
            }
        }
    }
}

impl ChannelState {
    pub(super) fn dues(&self, throttle: Duration, muted: impl Fn(&str) -> bool) -> Vec<Timestamp> {
        let mut dues: Vec<Timestamp> = self.collected.iter().filter_map(|one| one.due()).collect();
        if let (Some(storm), None) = (&self.storm, &self.collected) {
            dues.push(after(storm.last, super::digest::CALM));
        }
        let keys = self.keys.values().flat_map(|classes| classes.values());
        let waiting = keys.filter(|key| key.waits(&muted));
        dues.extend(waiting.filter_map(|key| Some(after(key.sent?, throttle))));
        dues
    }

    fn pending(
        &self,
        throttle: Duration,
        now: Timestamp,
        muted: impl Fn(&str) -> bool,
    ) -> Vec<(String, Class)> {
        let mut due = Vec::new();
        for (matter, classes) in &self.keys {
            for (class, key) in classes {
                let over = key.sent.is_none_or(|sent| after(sent, throttle) <= now);
                if over && key.waits(&muted) {
                    due.push((matter.clone(), *class));
                }
            }
        }
        due
    }

    pub(super) fn forget(&mut self, now: Timestamp) {
        let crowded = self.keys.len() > super::MOST_PROCESSES;
        for classes in self.keys.values_mut() {
            classes.retain(|_, key| {
                let old = |sent: Timestamp| after(sent, super::FORGOTTEN) <= now;
                let idle = key.told == Told::Nothing && key.pending.is_none();
                !(idle && (crowded || key.sent.is_none_or(old) && key.suppressed.is_empty()))
            });
        }
        self.keys.retain(|_, classes| !classes.is_empty());
    }
}

impl Key {
    /// Is there trouble that waits for the end of the window?
    fn waits(&self, muted: impl Fn(&str) -> bool) -> bool {
        let pending = self.pending.as_ref();
        pending.is_some_and(|notice| !muted(&notice.process))
    }
}
