//! A channel as `[notifications.<name>]` describes it, once it is read.
//!
//! Plain values: the binary fills them from the configuration, and [`check`] says what does
//! not fit together before any of them is used.

mod target;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use globset::{Glob, GlobSet, GlobSetBuilder};

pub use target::{
    Discord, Email, MailTls, Ntfy, Opsgenie, PagerDuty, Region, Slack, Sms, Target, Teams,
    Telegram, Webhook,
};

use super::{EventName, QuietHours, Severity, Wanted};
use crate::Place;

/// One message a minute about the same thing.
pub const THROTTLE: Duration = Duration::from_secs(60);

/// A channel.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelSettings {
    /// Its name: the one of its table.
    pub name: String,
    /// Off: it is sent nothing, and what waits for it stays.
    pub enabled: bool,
    /// Events that it is sent.
    pub events: Wanted,
    /// Processes that it hears of, as globs; empty means all.
    pub processes: Vec<String>,
    /// The least that it is sent.
    pub min_severity: Severity,
    /// One message about the same class of events of a process in this time.
    pub throttle: Duration,
    /// After this an open incident goes to `escalation_target`.
    pub escalation_after: Option<Duration>,
    /// The channel that is told when nobody reacts, or when this one does not work.
    pub escalation_target: Option<String>,
    /// Only what is critical goes out then; the rest is told in one message afterwards.
    pub quiet_hours: Option<QuietHours>,
    /// What is not critical is collected for so long and told in one message.
    pub digest: Option<Duration>,
    /// Where it leads.
    pub target: Target,
    /// The same chat, where that has the cards of incidents: what one of them tells is left out
    /// here.
    pub cards: Option<Place>,
}

impl ChannelSettings {
    /// With the defaults.
    pub fn new(name: impl Into<String>, target: Target) -> Self {
        Self {
            name: name.into(),
            enabled: true,
            events: Wanted::all(),
            processes: Vec::new(),
            min_severity: Severity::Info,
            throttle: THROTTLE,
            escalation_after: None,
            escalation_target: None,
            quiet_hours: None,
            digest: None,
            target,
            cards: None,
        }
    }

    /// The globs, ready for use. One that is wrong matches nothing: [`check`] has told.
    pub(crate) fn globs(&self) -> GlobSet {
        let mut set = GlobSetBuilder::new();
        if self.processes.is_empty() {
            set.add(Glob::new("*").expect("a star is a glob"));
        }
        for glob in self.processes.iter().filter_map(|one| Glob::new(one).ok()) {
            set.add(glob);
        }
        set.build().unwrap_or_default()
    }
}

/// What does not fit together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsProblem {
    /// The channel to escalate to is not there.
    #[error("`{channel}` escalates to `{target}`, which is no channel{}", likely(.near))]
    UnknownTarget {
        /// The channel.
        channel: String,
        /// What it names.
        target: String,
        /// A name that is like it.
        near: Option<String>,
    },
    /// Escalation would go round in a circle.
    #[error("escalation goes round in a circle: {}", .0.join(" → "))]
    Circle(Vec<String>),
    /// A time without a target, or a target that is never reached.
    #[error("`{0}` has `escalation_after` but no `escalation_target`")]
    NoTarget(String),
    /// Two channels of one name.
    #[error("there are two channels with the name `{0}`")]
    Twice(String),
    /// Not a glob.
    #[error("`{glob}` in `processes` of `{channel}` is no glob")]
    Glob {
        /// The channel.
        channel: String,
        /// What is wrong.
        glob: String,
    },
    /// Something that its type needs.
    #[error("`{channel}` needs {what}")]
    Missing {
        /// The channel.
        channel: String,
        /// What: `` `url` ``.
        what: &'static str,
    },
}

fn likely(near: &Option<String>) -> String {
    let near = near.as_ref();
    near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"))
}

/// Everything that is wrong with these channels.
pub fn check(channels: &[ChannelSettings]) -> Vec<SettingsProblem> {
    let mut problems = Vec::new();
    let mut targets = BTreeMap::new();
    for channel in channels {
        let name = channel.name.clone();
        let target = channel.escalation_target.as_deref();
        if targets.insert(channel.name.as_str(), target).is_some() {
            problems.push(SettingsProblem::Twice(name.clone()));
        }
        if channel.escalation_after.is_some() && target.is_none() {
            problems.push(SettingsProblem::NoTarget(name.clone()));
        }
        if let Some(what) = channel.target.missing() {
            let channel = name.clone();
            problems.push(SettingsProblem::Missing { channel, what });
        }
        for glob in channel
            .processes
            .iter()
            .filter(|one| Glob::new(one).is_err())
        {
            problems.push(SettingsProblem::Glob {
                channel: name.clone(),
                glob: glob.clone(),
            });
        }
    }
    let mut seen = BTreeSet::new();
    for start in channels {
        let mut way = vec![start.name.clone()];
        let mut at = start.escalation_target.as_deref();
        while let Some(next) = at {
            let Some(further) = targets.get(next) else {
                if way.len() == 1 {
                    let known = targets.keys();
                    problems.push(SettingsProblem::UnknownTarget {
                        channel: start.name.clone(),
                        target: next.to_owned(),
                        near: known
                            .map(|name| (strsim::damerau_levenshtein(name, next), *name))
                            .min()
                            .filter(|(far, _)| *far <= 3)
                            .map(|(_, name)| name.to_owned()),
                    });
                }
                break;
            };
            way.push(next.to_owned());
            if next == start.name {
                let mut circle = way.clone();
                circle.sort();
                circle.dedup();
                if seen.insert(circle) {
                    problems.push(SettingsProblem::Circle(way));
                }
                break;
            }
            if way.len() > channels.len() {
                break;
            }
            at = *further;
        }
    }
    problems
}

/// The short form of escalation: one channel after another. Keys that a channel has of its own
/// are kept.
pub fn link_chain(channels: &mut [ChannelSettings], chain: &[String], after: Duration) {
    for pair in chain.windows(2) {
        let found = channels.iter_mut().find(|one| one.name == pair[0]);
        if let Some(channel) = found {
            channel.escalation_target.get_or_insert(pair[1].clone());
            channel.escalation_after.get_or_insert(after);
        }
    }
}

impl EventName {
    /// Which of these channels are told of it, by their `events` alone.
    pub fn told_to(self, channels: &[ChannelSettings]) -> impl Iterator<Item = &str> {
        let wants = move |one: &&ChannelSettings| one.events.names(self);
        channels.iter().filter(wants).map(|one| one.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(name: &str, target: Option<&str>) -> ChannelSettings {
        ChannelSettings {
            escalation_target: target.map(str::to_owned),
            ..ChannelSettings::new(name, Target::example())
        }
    }

    fn told(channels: &[ChannelSettings]) -> Vec<String> {
        check(channels).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn circles_and_unknown_targets_are_refused() {
        let good = [
            channel("slack", Some("sms")),
            channel("sms", Some("pagerduty")),
            channel("pagerduty", None),
        ];
        assert!(told(&good).is_empty());
        let circle = [
            channel("in", Some("a")),
            channel("a", Some("b")),
            channel("b", Some("a")),
        ];
        assert_eq!(
            told(&circle),
            ["escalation goes round in a circle: a → b → a"]
        );
        assert_eq!(
            told(&[channel("a", Some("a"))]),
            ["escalation goes round in a circle: a → a"]
        );
        assert_eq!(
            told(&[channel("slack", Some("smss")), channel("sms", None)]),
            ["`slack` escalates to `smss`, which is no channel; did you mean `sms`?"]
        );
        let mut alone = channel("slack", None);
        alone.escalation_after = Some(THROTTLE);
        alone.processes = vec!["[".into()];
        assert_eq!(told(&[alone]).len(), 2);
    }

    #[test]
    fn a_chain_is_the_keys_of_each_channel() {
        let mut channels = ["a", "b", "c"].map(|name| channel(name, None));
        let chain = ["a", "b", "c"].map(str::to_owned);
        link_chain(&mut channels, &chain, Duration::from_secs(300));
        assert_eq!(channels[0].escalation_target.as_deref(), Some("b"));
        assert_eq!(channels[1].escalation_target.as_deref(), Some("c"));
        assert_eq!(channels[2].escalation_after, None);
        assert!(told(&channels).is_empty());
    }
}
