//! A process that goes up and down: one message, then silence until it is stable.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use supervisor::after;

use super::Rules;
use super::channel::Offer;
use super::state::{Flapping, Told};
use crate::notify::{Class, EventName, Notice, Outgoing, Severity};

/// More changes than this in [`WINDOW`] are flapping.
const CHANGES: usize = 6;
/// Also how long it has to be stable.
pub(super) const WINDOW: Duration = Duration::from_secs(600);

/// What becomes of a change.
pub(super) enum Verdict {
    /// It is told like everything else.
    Tell,
    /// It is the one too many.
    Begins(Box<Notice>),
    /// It is counted.
    Silence,
}

/// Remembers a time and says how many there were in the time before it.
pub(super) fn recent(
    times: &mut VecDeque<Timestamp>,
    now: Timestamp,
    window: Duration,
    most: usize,
) -> usize {
    times.retain(|one| after(*one, window) > now);
    times.push_back(now);
    while times.len() > most {
        times.pop_front();
    }
    times.len()
}

impl Rules {
    pub(super) fn flaps(&mut self, notice: &Notice, now: Timestamp) -> Verdict {
        let process = self.process(&notice.process, now);
        let count = recent(&mut process.changes, now, WINDOW, CHANGES + 1);
        if let Some(flapping) = &mut process.flapping {
            flapping.last = now;
            // Somebody has to act: it will not come back by itself.
            if notice.event == EventName::Errored && !flapping.end_told {
                flapping.end_told = true;
                return Verdict::Tell;
            }
            return Verdict::Silence;
        }
        if count <= CHANGES {
            return Verdict::Tell;
        }
        let text = format!(
            "{count} changes in 10 min, the last: {}. Nothing more is told until it has been \
             stable for 10 min.",
            notice.message
        );
        let told = Notice {
            id: format!("{}-flapping", notice.id),
            event: EventName::Flapping,
            severity: notice.severity.max(Severity::Warning),
            message: text,
            ..notice.clone()
        };
        process.flapping = Some(Flapping {
            last: now,
            end_told: notice.event == EventName::Errored,
            told_to: Default::default(),
            notice: Box::new(notice.slim()),
        });
        Verdict::Begins(Box::new(told))
    }

    /// It has been stable: what was counted is told, and how it stands.
    pub(super) fn stable(&mut self, name: &str, now: Timestamp, out: &mut Vec<Outgoing>) {
        let process = self.process(name, now);
        let Some(flapping) = process.flapping.take() else {
            return;
        };
        process.changes.clear();
        let (bad, text) = match process.bad {
            true => (true, "no change for 10 min, and it is still down"),
            false => (false, "stable for 10 min"),
        };
        let incident = process.incident.as_ref().map(|one| one.id.clone());
        self.never_mind(name, |one| one.event == EventName::Flapping);
        for channel in flapping.told_to {
            let key = self.key(&channel, name, Class::Flapping);
            key.told = Told::Nothing;
            let counted: u32 = self.counted(&channel, name);
            let alerts = self.keeps_alerts(&channel);
            if !bad && !alerts {
                // That it is stable says that its trouble is over, too.
                self.forget_trouble(&channel, name);
            }
            if self.is_muted(name) && !alerts || bad && counted == 0 && !alerts {
                continue;
            }
            let notice = Notice {
                id: format!("{}-stable", flapping.notice.id),
                event: match bad {
                    true => EventName::Flapping,
                    false => EventName::HealthRecover,
                },
                severity: match bad {
                    true => Severity::Warning,
                    false => Severity::Info,
                },
                message: text.to_owned(),
                incident: incident.clone(),
                ts: now,
                details: Default::default(),
                ..(*flapping.notice).clone()
            };
            let offer = Offer {
                notice,
                class: Class::Flapping,
                // The alert "it flaps" is over either way.
                resolves: alerts || !bad,
                unthrottled: true,
                escalated_after: None,
            };
            // Counted under the classes that were silent; told under this one.
            self.move_counts(&channel, name, Class::Flapping);
            self.key(&channel, name, Class::Flapping).told = match offer.resolves {
                true => Told::Single,
                false => Told::Nothing,
            };
            self.offer(&channel, offer, now, out);
            self.key(&channel, name, Class::Flapping).told = Told::Nothing;
        }
    }

    fn counted(&self, channel: &str, process: &str) -> u32 {
        let keys = self.state.channels.get(channel).map(|one| &one.keys);
        let classes = keys.and_then(|keys| keys.get(process));
        let keys = classes.into_iter().flatten();
        let keys = keys.filter(|(class, _)| class.is_of_incidents());
        keys.flat_map(|(_, key)| key.suppressed.values()).sum()
    }

    fn forget_trouble(&mut self, channel: &str, process: &str) {
        let state = self.state.channels.get_mut(channel);
        let classes = state.and_then(|state| state.keys.get_mut(process));
        for (class, key) in classes.into_iter().flatten() {
            if class.is_of_incidents() {
                key.told = Told::Nothing;
            }
        }
    }

    pub(super) fn move_counts(&mut self, channel: &str, process: &str, to: Class) {
        let Some(state) = self.state.channels.get_mut(channel) else {
            return;
        };
        let classes = state.keys.entry(process.to_owned()).or_default();
        let mut all = std::collections::BTreeMap::new();
        // A score or a question goes on by itself.
        let trouble = classes
            .iter_mut()
            .filter(|(class, _)| class.is_of_incidents());
        for (_, key) in trouble {
            key.pending = None;
            for (event, count) in std::mem::take(&mut key.suppressed) {
                *all.entry(event).or_default() += count;
            }
        }
        classes.entry(to).or_default().suppressed = all;
    }
}
