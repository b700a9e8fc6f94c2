//! Processes that nothing is told of for a time, and what has to be told when that time ends.
//!
//! ```text
//!   trouble of a muted process ─► unheard ─┬─ it is over first ─► forgotten
//!                                          └─ the mute ends ────► told, to whom does not know it
//! ```
//!
//! A mute has an end, or lasts until its process is well again. One that would never end is
//! refused, and ends by itself where it was taken.

use jiff::Timestamp;

use super::channel::Offer;
use super::state::Told;
use super::{MOST_PROCESSES, Rules};
use crate::notify::{Class, Notice, Outgoing};

/// Troubles of a muted process that are kept to be told; one more takes the oldest one's place.
const MOST_UNHEARD: usize = 20;

/// Why a process is not muted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoMute {
    /// It would be muted until it is well, and it is.
    #[error(
        "nothing is known to be wrong with `{0}`, so a mute without a time would have no end; \
         say for how long: mhost notify mute {0} 1h"
    )]
    IsWell(String),
    /// There are too many.
    #[error(
        "{MOST_PROCESSES} processes are muted, and these are the most; end one first: \
         mhost notify mute <process> off (mhost notify list shows them)"
    )]
    TooMany,
}

impl Rules {
    /// Can this be muted so?
    ///
    /// # Errors
    /// Why not, and what to type.
    pub fn may_mute(&self, process: &str, until: Option<Timestamp>) -> Result<(), NoMute> {
        let mutes = &self.state.mutes;
        if mutes.len() >= MOST_PROCESSES && !mutes.contains_key(process) {
            return Err(NoMute::TooMany);
        }
        match until {
            None if !self.ails(process) => Err(NoMute::IsWell(process.to_owned())),
            _ => Ok(()),
        }
    }

    pub(super) fn mute(&mut self, process: String, until: Option<Timestamp>) {
        if self.may_mute(&process, until).is_ok() {
            self.state.mutes.insert(process, until);
        }
    }

    pub(super) fn unmute(&mut self, process: &str, now: Timestamp, out: &mut Vec<Outgoing>) {
        if self.state.mutes.remove(process).is_some() {
            self.hear(process, now, out);
        }
    }

    pub(super) fn is_muted(&self, process: &str) -> bool {
        self.state.mutes.contains_key(process)
    }

    pub(super) fn tick_mutes(&mut self, now: Timestamp, out: &mut Vec<Outgoing>) {
        let over = |(process, until): &(&String, &Option<Timestamp>)| match until {
            Some(until) => *until <= now,
            // Its trouble ended in a way that nobody saw.
            None => !self.ails(process),
        };
        let over = self.state.mutes.iter().filter(over);
        let over: Vec<String> = over.map(|(process, _)| process.clone()).collect();
        for process in over {
            self.unmute(&process, now, out);
        }
    }

    /// Is anything wrong with it, as far as is known here?
    fn ails(&self, process: &str) -> bool {
        let state = self.state.processes.get(process);
        state.is_some_and(|one| {
            one.bad || one.incident.is_some() || one.flapping.is_some() || !one.unheard.is_empty()
        })
    }

    /// It is muted now; when that ends, this is told.
    pub(super) fn unheard(&mut self, notice: &Notice, now: Timestamp) {
        let process = self.process(&notice.process, now);
        let unheard = &mut process.unheard;
        let about = |one: &Notice| (one.event, one.matter());
        unheard.retain(|one| about(one) != about(notice));
        if unheard.len() >= MOST_UNHEARD {
            unheard.remove(0);
        }
        unheard.push(notice.slim());
    }

    /// It is over before anybody was told.
    pub(super) fn never_mind(&mut self, process: &str, over: impl Fn(&Notice) -> bool) {
        if let Some(state) = self.state.processes.get_mut(process) {
            state.unheard.retain(|one| !over(one));
        }
    }

    /// What came while it was muted and still lasts is told to whom does not know it.
    pub(super) fn hear(&mut self, name: &str, now: Timestamp, out: &mut Vec<Outgoing>) {
        let Some(process) = self.state.processes.get_mut(name) else {
            return;
        };
        let mut unheard = std::mem::take(&mut process.unheard);
        // Whoever hears of the worst need not hear of the rest.
        unheard.sort_by_key(|one| std::cmp::Reverse((one.severity, one.ts)));
        let (wish, flaps) = (process.wish.clone(), process.flapping.is_some());
        // It is up again, and only the minute that proves it is not over.
        let heals = process.settles.is_some() && !process.bad;
        for mut notice in unheard {
            let class = notice.event.class();
            let told_as_flapping = flaps && notice.event.changes_state();
            if told_as_flapping || heals && class.is_of_incidents() {
                continue;
            }
            notice.message = format!("while it was muted: {}", notice.message);
            for channel in self.takers(&notice, class, &wish) {
                let key = self.key(&channel, &notice.matter(), class);
                if key.told != Told::Nothing && notice.severity <= key.severity {
                    continue;
                }
                let offer = Offer {
                    unthrottled: true,
                    ..Offer::of(notice.clone())
                };
                self.offer(&channel, offer, now, out);
                if class == Class::Flapping
                    && let Some(flapping) = &mut self.process(name, now).flapping
                {
                    flapping.told_to.insert(channel);
                }
            }
        }
    }
}
