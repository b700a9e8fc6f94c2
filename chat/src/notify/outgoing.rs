//! A message to one channel: decided, not yet laid out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Class, EventName, Notice, Severity};

/// Most processes that a digest names.
pub(crate) const MOST_LINES: usize = 50;

/// A message to one channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outgoing {
    /// The same in every try: a platform that has keys shows it once.
    pub id: String,
    /// The channel.
    pub channel: String,
    /// What happened; of a digest, what stands above its lines.
    pub notice: Notice,
    /// What it is about. A recovery has the class of what it ends.
    pub class: Class,
    /// Does it end what was told before?
    pub resolves: bool,
    /// How many of the same were not told since the last one.
    pub suppressed: u32,
    /// What a digest holds.
    #[serde(default)]
    pub lines: Vec<DigestLine>,
    /// Processes of a digest that are counted but not named.
    #[serde(default)]
    pub unnamed: u32,
    /// Nobody reacted for so many seconds.
    #[serde(default)]
    pub escalated_after_s: Option<u64>,
    /// Is it the first of its incident on this channel?
    #[serde(default)]
    pub opens_thread: bool,
    /// Channels that it was meant for and that did not work.
    #[serde(default)]
    pub via: Vec<String>,
    /// The only channels that its process wants to be told on; empty means all.
    #[serde(default)]
    pub only: Vec<String>,
}

/// What happened to one process, in a digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestLine {
    /// The process.
    pub process: String,
    /// How often each event happened.
    pub events: BTreeMap<EventName, u32>,
}

impl DigestLine {
    /// `3 × crash, errored`.
    pub fn words(&self) -> String {
        let word = |(event, count): (&EventName, &u32)| match count {
            1 => event.to_string(),
            count => format!("{count} × {event}"),
        };
        let words: Vec<String> = self.events.iter().map(word).collect();
        words.join(", ")
    }
}

impl Outgoing {
    /// The name of the alert that it opens or ends, at a platform that keeps alerts. What has no
    /// end of its own has a name of its own, so that it does not swallow the next one.
    pub fn alert_key(&self) -> String {
        let notice = &self.notice;
        let ends = self.resolves || notice.lasts() || self.class.ends_by_itself();
        let more = match &notice.topic {
            Some(topic) if ends => format!("-{topic}"),
            None if ends => String::new(),
            _ => format!("-{}", notice.id),
        };
        let (host, process, class) = (&notice.host, &notice.process, self.class);
        format!("mhost-{host}-{process}-{class}{more}")
    }

    /// How much it counts where not all can be kept: more is more.
    pub(crate) fn weight(&self) -> i64 {
        match self.notice.severity {
            // What ends an alert is as important as what begins it.
            _ if self.resolves => 1,
            Severity::Info => 0,
            Severity::Warning => 1,
            Severity::Critical => 2,
        }
    }

    /// What happened, in a line: `api crash`, `3 processes`.
    pub fn title(&self) -> String {
        let notice = &self.notice;
        let what = match notice.event {
            EventName::HealthRecover => "recovered".to_owned(),
            EventName::Digest => return notice.message.clone(),
            event => event.to_string().replace('_', " "),
        };
        match notice.process.is_empty() {
            true => format!("{what} on {}", notice.host),
            false => format!("{} {what}", notice.subject()),
        }
    }

    /// What can be done about it: a word for a button, and the order that it stands for, as
    /// `restart api`. Only under what needs somebody.
    pub(crate) fn actions(&self) -> Vec<(&'static str, String)> {
        let notice = &self.notice;
        let needs_somebody = matches!(
            notice.event,
            EventName::Crash | EventName::Errored | EventName::HealthFail | EventName::Flapping
        );
        if !needs_somebody || self.resolves || notice.process.is_empty() {
            return Vec::new();
        }
        let process = &notice.process;
        let mut actions = vec![
            ("Restart", format!("restart {process}")),
            ("Logs", format!("logs {process}")),
        ];
        let incident = notice.incident.as_ref();
        actions.extend(incident.map(|id| ("Ack", format!("ack {id}"))));
        actions.push(("Mute 1h", format!("mute {process} 1h")));
        actions
    }

    /// The sentence, with what has to be known before it.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if let Some(seconds) = self.escalated_after_s {
            text.push_str(&format!("ESCALATED after {}: ", short(seconds)));
        }
        if !self.via.is_empty() {
            text.push_str(&format!("({} does not work) ", self.via.join(", ")));
        }
        text.push_str(&self.notice.message);
        if self.suppressed > 0 {
            text.push_str(&format!(" (+{} suppressed)", self.suppressed));
        }
        text
    }
}

/// `15m`, `1h`, `90s`.
pub(crate) fn short(seconds: u64) -> String {
    match seconds {
        0 => "0s".to_owned(),
        s if s % 3_600 == 0 => format!("{}h", s / 3_600),
        s if s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}
