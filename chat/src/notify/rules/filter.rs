//! Does this channel want this?

use jiff::Timestamp;

use super::Rules;
use super::state::Told;
use crate::notify::{Class, Notice, ProcessWish, Severity};

impl Rules {
    /// The channels that want it, in the order of the settings.
    pub(super) fn takers(&self, notice: &Notice, class: Class, wish: &ProcessWish) -> Vec<String> {
        let process = notice.process.as_str();
        let muted = wish.mute || self.state.mutes.contains_key(process);
        let wants = |index: &usize| {
            let (channel, globs) = &self.channels[*index];
            if !channel.enabled {
                return false;
            }
            let told = self.told(&channel.name, &notice.matter(), class);
            let resolves = notice.event.resolves();
            // An alert that was opened has to be closed, whatever is said to people.
            if resolves && channel.target.keeps_alerts() {
                return told != Told::Nothing;
            }
            let here = process.is_empty() || globs.is_match(process);
            let chosen = wish.channels.is_empty() || wish.channels.contains(&channel.name);
            let named = channel.events.takes(notice) || wish.adds.takes(notice);
            let follows = resolves && told != Told::Nothing;
            let bad_enough = notice.severity >= channel.min_severity || follows;
            // What nobody will resolve would stay open there for ever.
            let alert = !channel.target.keeps_alerts() || notice.severity > Severity::Info;
            !muted && here && chosen && named && bad_enough && alert
        };
        let takers = (0..self.channels.len()).filter(wants);
        takers
            .map(|index| self.channels[index].0.name.clone())
            .collect()
    }

    pub(super) fn told(&self, channel: &str, matter: &str, class: Class) -> Told {
        let keys = self.state.channels.get(channel).map(|one| &one.keys);
        let key = keys.and_then(|keys| keys.get(matter)?.get(&class));
        key.map(|key| key.told).unwrap_or_default()
    }

    /// When quiet hours of a channel end that hold this back.
    pub(super) fn quiet(
        &self,
        channel: &str,
        severity: Severity,
        now: Timestamp,
    ) -> Option<Timestamp> {
        if severity == Severity::Critical {
            return None;
        }
        self.settings(channel)?.quiet_hours.as_ref()?.ends(now)
    }
}
