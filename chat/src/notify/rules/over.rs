//! The end of what is no incident of a process: a question is answered, a sink answers again.
//!
//! Somebody else knows these ends. Where an alert was opened it is resolved, and people who
//! were told of the beginning are told of the end, where that is news.

use jiff::Timestamp;

use super::Rules;
use super::channel::Offer;
use super::state::Told;
use crate::notify::notice::{matter, process_of};
use crate::notify::{Class, EventName, Notice, OpenAlert, Outgoing};

/// Something is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Over {
    /// What, as [`super::Rules::overview`] names it.
    pub alert: OpenAlert,
    /// How, in a sentence.
    pub message: String,
}

impl Rules {
    pub(super) fn over(&mut self, over: Over, now: Timestamp, out: &mut Vec<Outgoing>) {
        let Over { alert, message } = over;
        let OpenAlert {
            process,
            class,
            topic,
        } = alert;
        let matter = matter(&process, topic.as_deref());
        self.never_mind(&process, |one| {
            one.event.class() == class && one.topic == topic
        });
        let id = self.number("over");
        let mut notice = Notice::new(id, EventName::HealthRecover, &process, message, now);
        notice.topic = topic;
        notice.host.clone_from(&self.host);
        let quiet = !class.end_is_news() || self.is_muted(&process);
        let channels = self.channels.iter().map(|(one, _)| one);
        let channels: Vec<(String, bool)> = channels
            .map(|one| (one.name.clone(), one.enabled))
            .collect();
        for (channel, enabled) in channels {
            let told = self.told(&channel, &matter, class);
            if told == Told::Nothing {
                self.drop_pending(&channel, &matter, class);
                continue;
            }
            let silent = quiet || !self.hears_of_recoveries(&channel);
            if !enabled || silent && !self.keeps_alerts(&channel) {
                self.key(&channel, &matter, class).told = Told::Nothing;
                continue;
            }
            let offer = Offer {
                class,
                ..Offer::of(notice.clone())
            };
            self.offer(&channel, offer, now, out);
        }
    }

    /// It was not told yet, and need not be any more.
    fn drop_pending(&mut self, channel: &str, matter: &str, class: Class) {
        let channel = self.state.channels.get_mut(channel);
        let classes = channel.and_then(|channel| channel.keys.get_mut(matter));
        if let Some(key) = classes.and_then(|classes| classes.get_mut(&class)) {
            key.pending = None;
        }
    }

    /// What was told, or will be, and is ended by [`Rules::over`] only.
    pub(super) fn open_alerts(&self) -> Vec<OpenAlert> {
        let mut open = Vec::new();
        for channel in self.state.channels.values() {
            for (matter, classes) in &channel.keys {
                let own = classes.iter().filter(|(class, key)| {
                    !class.is_of_incidents() && (key.told != Told::Nothing || key.pending.is_some())
                });
                open.extend(own.map(|(class, _)| alert(matter, *class)));
            }
        }
        let unheard = self.state.processes.values().flat_map(|one| &one.unheard);
        let unheard = unheard.filter(|one| !one.event.class().is_of_incidents());
        open.extend(unheard.map(|one| alert(&one.matter(), one.event.class())));
        open.sort();
        open.dedup();
        open
    }
}

fn alert(matter: &str, class: Class) -> OpenAlert {
    OpenAlert {
        process: process_of(matter).to_owned(),
        class,
        topic: matter.split_once('/').map(|(_, topic)| topic.to_owned()),
    }
}
