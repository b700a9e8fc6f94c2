//! For how long a process was up, from what was recorded of it.
//!
//! Each copy is followed through its events. It is up from `online` on until it ends or its
//! probe fails, and it is wanted unless somebody stopped it. What was before the first event
//! is told by that event: what crashes was up.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use supervisor::{Event, EventKind, until};

/// Seconds up and down, of all copies.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Availability {
    /// Seconds in which it was up.
    pub up_s: f64,
    /// Seconds in which it was wanted and not up.
    pub down_s: f64,
}

impl Availability {
    /// The share of the wanted time in which it was up; none if it was never wanted.
    pub fn share(self) -> Option<f64> {
        let wanted = self.up_s + self.down_s;
        (wanted > 0.0).then(|| self.up_s / wanted)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Up,
    Down,
    Away,
}

/// What a copy is after an event; none if the event does not say.
fn after(kind: EventKind) -> Option<Mode> {
    Some(match kind {
        EventKind::Online | EventKind::Adopted | EventKind::HealthRecover => Mode::Up,
        EventKind::Start
        | EventKind::Crash
        | EventKind::Errored
        | EventKind::SpawnFailed
        | EventKind::DependencyFailed
        | EventKind::HealthFail
        | EventKind::Restart => Mode::Down,
        EventKind::Exited | EventKind::Stop | EventKind::Deleted => Mode::Away,
        EventKind::Stopping
        | EventKind::HealthMiss
        | EventKind::MemoryExceeded
        | EventKind::ReloadStarted
        | EventKind::ReloadDone
        | EventKind::ReloadFailed
        | EventKind::Scaled
        | EventKind::ConfigChanged
        | EventKind::Cleared
        | EventKind::HealthScoreLow
        | EventKind::NewPattern => return None,
    })
}

/// What a copy was before its first event.
fn before(kind: EventKind) -> Mode {
    match kind {
        EventKind::Crash
        | EventKind::Exited
        | EventKind::Stop
        | EventKind::Adopted
        | EventKind::HealthFail
        | EventKind::Restart => Mode::Up,
        EventKind::Online | EventKind::HealthRecover | EventKind::Errored => Mode::Down,
        _ => Mode::Away,
    }
}

/// Follows the copies of a process from `from` to `to` through its events, oldest first. A
/// process without events has been all the time what it is now: `up` of its copies are up and
/// `down` are wanted and not.
pub fn availability(
    events: &[Event],
    (from, to): (Timestamp, Timestamp),
    (up, down): (usize, usize),
) -> Availability {
    let mut copies: BTreeMap<u16, Vec<&Event>> = BTreeMap::new();
    for event in events {
        if let Some(copy) = event.instance
            && event.at <= to
            && after(event.kind).is_some()
        {
            copies.entry(copy).or_default().push(event);
        }
    }
    let mut sum = Availability::default();
    if copies.is_empty() {
        let whole = until(from, to).as_secs_f64();
        return Availability {
            up_s: whole * up as f64,
            down_s: whole * down as f64,
        };
    }
    for events in copies.values() {
        let mut at = from;
        let mut mode = events
            .first()
            .map_or(Mode::Away, |event| before(event.kind));
        for event in events {
            let next = event.at.max(from);
            sum.add(mode, at, next);
            at = next;
            if let Some(next) = after(event.kind) {
                mode = next;
            }
        }
        sum.add(mode, at, to);
    }
    sum
}

impl Availability {
    fn add(&mut self, mode: Mode, from: Timestamp, to: Timestamp) {
        let seconds = until(from, to).as_secs_f64();
        match mode {
            Mode::Up => self.up_s += seconds,
            Mode::Down => self.down_s += seconds,
            Mode::Away => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn events(list: &[(i64, EventKind)]) -> Vec<Event> {
        list.iter()
            .map(|(second, kind)| Event {
                id: *second,
                at: at(*second),
                process: "api".parse().unwrap(),
                instance: Some(0),
                kind: *kind,
                data: serde_json::Value::Null,
                actor: "system".into(),
            })
            .collect()
    }

    #[test]
    fn a_crash_costs_until_it_is_online_again() {
        use EventKind as K;
        let list = events(&[
            (100, K::Crash),
            (101, K::Restart),
            (102, K::Start),
            (110, K::Online),
        ]);
        let found = availability(&list, (at(0), at(200)), (1, 0));
        assert_eq!((found.up_s, found.down_s), (190.0, 10.0));
        assert_eq!(found.share(), Some(0.95));
    }

    #[test]
    fn a_stop_is_not_down_and_a_start_begins_the_time() {
        use EventKind as K;
        let list = events(&[
            (50, K::Start),
            (60, K::Online),
            (100, K::Stopping),
            (101, K::Stop),
        ]);
        let found = availability(&list, (at(0), at(200)), (0, 0));
        assert_eq!((found.up_s, found.down_s), (41.0, 10.0));
    }

    #[test]
    fn a_failing_probe_is_down_and_silence_is_as_now() {
        use EventKind as K;
        let list = events(&[(20, K::HealthFail), (50, K::HealthRecover)]);
        let found = availability(&list, (at(0), at(100)), (1, 0));
        assert_eq!((found.up_s, found.down_s), (70.0, 30.0));
        let quiet = availability(&[], (at(0), at(100)), (2, 1));
        assert_eq!((quiet.up_s, quiet.down_s), (200.0, 100.0));
        assert_eq!(availability(&[], (at(0), at(100)), (0, 0)).share(), None);
        // What was before the time counts for where it stands, and not for how long.
        let early = events(&[(-50, K::Start), (-40, K::Online), (90, K::Crash)]);
        let found = availability(&early, (at(0), at(100)), (0, 1));
        assert_eq!((found.up_s, found.down_s), (90.0, 10.0));
    }
}
