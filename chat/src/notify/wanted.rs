//! Which events somebody wants to hear of, with the words of older settings.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{EventName, Notice, Severity, UnknownEvent};

/// A choice of events.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Wanted {
    /// None means all.
    some: Option<Vec<Pick>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Pick {
    Event(EventName),
    /// A probe that was answered with a status of 500 or more.
    ServerError,
    /// A crash that is critical: the third in a short time.
    CrashLoop,
}

impl Wanted {
    /// All of them.
    pub fn all() -> Self {
        Self::default()
    }

    /// None of them.
    pub fn none() -> Self {
        Self {
            some: Some(Vec::new()),
        }
    }

    /// Those of a list of words. An empty list is all.
    ///
    /// # Errors
    /// The first word that names no event.
    pub fn of<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownEvent> {
        let mut picks = Vec::new();
        let mut any = false;
        for word in words {
            any = true;
            match word {
                "*" => return Ok(Self::all()),
                "recovered" => picks.push(Pick::Event(EventName::HealthRecover)),
                "oom_kill" => picks.push(Pick::Event(EventName::MemoryExceeded)),
                "deploy_success" => picks.push(Pick::Event(EventName::DeployDone)),
                "deploy_fail" => picks.push(Pick::Event(EventName::DeployFailed)),
                "high_restarts" => {
                    picks.extend([Pick::Event(EventName::Errored), Pick::CrashLoop]);
                }
                "stopped" => picks.push(Pick::Event(EventName::Stop)),
                "5xx_error" => picks.push(Pick::ServerError),
                name => picks.push(Pick::Event(EventName::from_str(name)?)),
            }
        }
        Ok(match any {
            true => Self { some: Some(picks) },
            false => Self::all(),
        })
    }

    /// Is this one of them?
    pub fn takes(&self, notice: &Notice) -> bool {
        let Some(picks) = &self.some else {
            return true;
        };
        // Nobody names these: they stand for the others.
        if matches!(
            notice.event,
            EventName::Test | EventName::Digest | EventName::Flapping
        ) {
            return true;
        }
        picks.iter().any(|pick| match pick {
            Pick::Event(event) => *event == notice.event,
            Pick::CrashLoop => {
                notice.event == EventName::Crash && notice.severity == Severity::Critical
            }
            Pick::ServerError => {
                let status = notice.details.get("status").and_then(|one| one.as_u64());
                notice.event == EventName::HealthFail && status.is_some_and(|code| code >= 500)
            }
        })
    }

    /// Is this event named, or are all wanted?
    pub fn names(&self, event: EventName) -> bool {
        let all = |picks: &Vec<Pick>| picks.contains(&Pick::Event(event));
        self.some.as_ref().is_none_or(all)
    }
}

/// What a process says about messages of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessWish {
    /// The only channels; empty means all that want it.
    pub channels: Vec<String>,
    /// Events that go out although the channel does not name them.
    pub adds: Wanted,
    /// Nothing at all.
    pub mute: bool,
}

impl ProcessWish {
    /// May it be told there?
    pub(super) fn allows(&self, channel: &str) -> bool {
        !self.mute && (self.channels.is_empty() || self.channels.iter().any(|one| one == channel))
    }
}

impl Default for ProcessWish {
    fn default() -> Self {
        Self {
            channels: Vec::new(),
            adds: Wanted::none(),
            mute: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn notice(event: EventName) -> Notice {
        Notice::new("n", event, "api", "x", Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn old_words_mean_the_new_ones() {
        let wanted = Wanted::of(["recovered", "high_restarts", "5xx_error"]).unwrap();
        for event in [EventName::HealthRecover, EventName::Errored] {
            assert!(wanted.takes(&notice(event)), "{event}");
        }
        let mut crash = notice(EventName::Crash);
        assert!(!wanted.takes(&crash), "the first of them");
        crash.severity = Severity::Critical;
        assert!(wanted.takes(&crash), "the third");
        assert!(!wanted.takes(&notice(EventName::HealthFail)));
        assert!(wanted.takes(&notice(EventName::HealthFail).detail("status", 503)));
        assert!(!wanted.takes(&notice(EventName::HealthFail).detail("status", 404)));
        assert!(!wanted.takes(&notice(EventName::Restart)));
        assert!(
            Wanted::of(["crash", "*"])
                .unwrap()
                .takes(&notice(EventName::Stop))
        );
        assert!(Wanted::of([]).unwrap().takes(&notice(EventName::Stop)));
        assert!(
            Wanted::of(["crsh"])
                .unwrap_err()
                .to_string()
                .contains("`crash`")
        );
    }
}
