//! Who is told what, and when. Pure: the caller brings the time and takes what is to be sent.
//!
//! ```text
//!   notice ─► incident ─► flapping? ─► for each channel: filter ─► throttle ─► crowded?
//!                                                                     │           │
//!                            (+7 suppressed) ◄── counted ◄── too soon ┘    yes ───┴── no
//!                                                                       one digest   a message
//! ```
//!
//! However much happens, a channel gets two messages of its own a minute and then one digest
//! that accounts for all the rest. What ends trouble is told when the trouble was.

mod channel;
mod close;
mod digest;
mod filter;
mod flap;
mod incident;
mod mute;
mod over;
mod state;

use std::time::Duration;

use globset::GlobSet;
use jiff::Timestamp;

pub use mute::NoMute;
pub use over::Over;
pub use state::State;

use super::{
    ChannelSettings, Class, EventName, Notice, OpenIncident, Outgoing, Overview, ProcessWish,
};
use state::ProcessState;

/// Processes that are remembered at once.
const MOST_PROCESSES: usize = 1_000;
/// Without news for so long a process without trouble is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(24 * 3_600);

/// The rules with what they remember.
#[derive(Debug, Clone)]
pub struct Rules {
    channels: Vec<(ChannelSettings, GlobSet)>,
    host: String,
    state: State,
}

/// What the rules are told.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Something happened.
    Notice(Box<Notice>, ProcessWish),
    /// The process is up with passing probes. A minute of it ends its trouble.
    Online(String),
    /// It was stopped or deleted on purpose: nobody needs to do anything about it.
    Gone(String),
    /// A question, a sink, a disk, a score, an incident that a person has: it is over.
    Over(Box<Over>),
    /// Somebody looks after an incident: it is passed on to nobody else.
    Acknowledge {
        /// Its id.
        incident: String,
        /// Who.
        by: String,
    },
    /// Somebody says that an incident is over.
    Close {
        /// Its id.
        incident: String,
    },
    /// Nothing of this process until then; none means until it has recovered. What
    /// [`Rules::may_mute`] refuses is not done.
    Mute {
        /// The process.
        process: String,
        /// The end.
        until: Option<Timestamp>,
    },
    /// Its messages are sent again.
    Unmute(String),
    /// All that happened up to this event has been told to the rules.
    Heard(i64),
    /// Only time has passed.
    Tick,
}

impl Rules {
    /// With what was remembered. Channels that are no more are forgotten.
    pub fn new(channels: Vec<ChannelSettings>, host: &str, mut state: State) -> Self {
        let known = |name: &String| channels.iter().any(|one| one.name == *name);
        state.channels.retain(|name, _| known(name));
        let channels = channels.into_iter().map(|one| {
            let globs = one.globs();
            (one, globs)
        });
        Self {
            channels: channels.collect(),
            host: host.to_owned(),
            state,
        }
    }

    /// What has to be kept over a restart.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Takes one thing in. First comes what was due before it.
    pub fn step(&mut self, input: Input, now: Timestamp) -> Vec<Outgoing> {
        let mut out = Vec::new();
        self.tick(now, &mut out);
        match input {
            Input::Notice(notice, wish) => self.notice(*notice, &wish, now, &mut out),
            Input::Online(process) => self.online(&process, now),
            Input::Over(over) => self.over(*over, now, &mut out),
            Input::Gone(process) => self.close(&process, now, close::Why::Gone, &mut out),
            Input::Acknowledge { incident, by } => {
                if let Some(incident) = self.incident_mut(&incident) {
                    incident.acknowledged.get_or_insert(by);
                }
            }
            Input::Close { incident } => {
                if let Some(process) = self.process_of(&incident) {
                    self.close(&process, now, close::Why::ByHand, &mut out);
                }
            }
            Input::Mute { process, until } => {
                self.mute(process, until);
            }
            Input::Unmute(process) => self.unmute(&process, now, &mut out),
            Input::Heard(event) => self.state.heard = self.state.heard.max(Some(event)),
            Input::Tick => {}
        }
        out
    }

    /// Goes on with other channels. What is remembered of those that stay, stays.
    pub fn reconfigure(&mut self, channels: Vec<ChannelSettings>) {
        let (host, state) = (self.host.clone(), std::mem::take(&mut self.state));
        *self = Self::new(channels, &host, state);
    }

    /// What is open and what is muted.
    pub fn overview(&self) -> Overview {
        let incidents = self.state.processes.iter().filter_map(|(process, one)| {
            let incident = one.incident.as_ref()?;
            Some(OpenIncident {
                id: incident.id.clone(),
                process: process.clone(),
                event: incident.notice.event,
                message: incident.notice.message.clone(),
                opened: incident.opened,
                acknowledged: incident.acknowledged.clone(),
                told: incident.announced.keys().cloned().collect(),
                escalates: incident.announced.values().copied().flatten().min(),
            })
        });
        Overview {
            incidents: incidents.collect(),
            alerts: self.open_alerts(),
            mutes: self.state.mutes.clone(),
            heard: self.state.heard,
        }
    }

    /// When something is due by itself, at the latest.
    pub fn due(&self) -> Option<Timestamp> {
        let state = &self.state;
        let mutes = state.mutes.values().copied().flatten();
        let channels = state.channels.iter().flat_map(|(name, one)| {
            let throttle = self.throttle(name);
            one.dues(throttle, |process| self.is_muted(process))
        });
        let processes = state.processes.values().flat_map(ProcessState::dues);
        mutes.chain(channels).chain(processes).min()
    }

    /// A message that shows whether a channel works. Nothing holds it back.
    pub fn test(&mut self, channel: &str, now: Timestamp) -> Option<Outgoing> {
        self.settings(channel).filter(|one| one.enabled)?;
        let id = self.number("test");
        let text = format!("This is a test of the channel `{channel}`. It works.");
        let mut notice = Notice::new(&id, EventName::Test, "", text, now);
        notice.host.clone_from(&self.host);
        Some(self.message(channel, notice, Class::Test, false))
    }

    /// The same message for the channel that takes over when its own does not work. None when
    /// there is none that it has not been through.
    pub fn fallback(&self, failed: &Outgoing) -> Option<Outgoing> {
        let mut via = failed.via.clone();
        via.push(failed.channel.clone());
        let mut at = self.settings(&failed.channel)?;
        loop {
            let target = at.escalation_target.as_deref()?;
            if via.iter().any(|one| one == target) {
                return None;
            }
            at = self.settings(target)?;
            if at.enabled && (failed.only.is_empty() || failed.only.contains(&at.name)) {
                break;
            }
            via.push(at.name.clone());
        }
        (failed.notice.event != EventName::Test).then(|| Outgoing {
            id: format!("{}.{}", failed.id, via.len()),
            channel: at.name.clone(),
            via,
            ..failed.clone()
        })
    }

    fn tick(&mut self, now: Timestamp, out: &mut Vec<Outgoing>) {
        self.tick_mutes(now, out);
        self.tick_processes(now, out);
        self.tick_channels(now, out);
        self.forget(now);
    }

    fn forget(&mut self, now: Timestamp) {
        let old = |seen: Timestamp| supervisor::after(seen, FORGOTTEN) <= now;
        let crowded = self.state.processes.len() > MOST_PROCESSES;
        let quiet = |one: &ProcessState| {
            one.incident.is_none() && one.flapping.is_none() && one.unheard.is_empty()
        };
        self.state
            .processes
            .retain(|_, one| !(quiet(one) && (crowded || old(one.seen))));
        while self.state.processes.len() > MOST_PROCESSES {
            let all = self.state.processes.iter();
            let oldest = all
                .min_by_key(|(_, one)| one.seen)
                .map(|(name, _)| name.clone());
            let Some(oldest) = oldest else { break };
            self.state.processes.remove(&oldest);
            for channel in self.state.channels.values_mut() {
                channel.keys.remove(&oldest);
            }
        }
        for channel in self.state.channels.values_mut() {
            channel.forget(now);
        }
    }

    fn settings(&self, name: &str) -> Option<&ChannelSettings> {
        let found = self.channels.iter().find(|(one, _)| one.name == name);
        found.map(|(one, _)| one)
    }

    fn throttle(&self, name: &str) -> Duration {
        self.settings(name)
            .map(|one| one.throttle)
            .unwrap_or_default()
    }

    /// A name that is used once.
    fn number(&mut self, what: &str) -> String {
        self.state.next += 1;
        format!("{what}-{:x}", self.state.next)
    }

    fn message(&mut self, channel: &str, notice: Notice, class: Class, resolves: bool) -> Outgoing {
        self.state.next += 1;
        Outgoing {
            id: format!("{}.{:x}", notice.id, self.state.next),
            channel: channel.to_owned(),
            notice,
            class,
            resolves,
            suppressed: 0,
            lines: Vec::new(),
            unnamed: 0,
            escalated_after_s: None,
            opens_thread: false,
            via: Vec::new(),
            only: Vec::new(),
        }
    }
}

#[cfg(test)]
mod mute_tests;
#[cfg(test)]
mod over_tests;
#[cfg(test)]
mod storm_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod wish_tests;
