//! What has been spent, and whether there is room for one more request.
//!
//! Pure: times come from outside. A request is let in while what is spent, with the most
//! that those under way may cost, lies below each cap. So one that is let in may pass a cap,
//! and no second one can, however many ask at once.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::incident::IncidentId;

/// How long the requests of an incident are remembered.
pub(super) const REMEMBERED: SignedDuration = SignedDuration::from_hours(25);
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// How much may be spent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Caps {
    pub(super) calls_per_incident: u32,
    pub(super) calls_per_hour: u32,
    pub(super) tokens_per_day: Option<u64>,
    pub(super) cost_per_day: Option<f64>,
}

/// Tokens and US dollars.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Spent {
    pub(super) tokens: u64,
    pub(super) cost_usd: f64,
}

impl Spent {
    fn add(&mut self, other: Spent) {
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.cost_usd += other.cost_usd;
    }

    fn take(&mut self, other: Spent) {
        self.tokens = self.tokens.saturating_sub(other.tokens);
        self.cost_usd = f64::max(self.cost_usd - other.cost_usd, 0.0);
    }
}

/// Which cap was reached.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum Full {
    #[error(
        "this incident has had its {0} requests; raise `max_calls_per_incident` in [ai] to allow more"
    )]
    Incident(u32),
    #[error("{0} requests in this hour, as many as `max_calls_per_hour` in [ai] allows")]
    Hour(u32),
    #[error("{spent} tokens today, and `max_tokens_per_day` in [ai] is {cap}")]
    Tokens { spent: u64, cap: u64 },
    #[error("{spent:.4} US dollars today, and `max_cost_per_day` in [ai] is {cap}")]
    Cost { spent: f64, cap: f64 },
}

/// Days that are remembered.
const DAYS: usize = 8;

/// What was spent on a day.
#[derive(Debug, Clone, Copy, Default)]
struct Day {
    calls: u64,
    spent: Spent,
}

/// What has been spent.
#[derive(Debug)]
pub(super) struct Ledger {
    zone: TimeZone,
    day: (Timestamp, Timestamp),
    /// What was spent on each day, by when it begins: a clock that is set forth and back finds
    /// its day again.
    days: BTreeMap<Timestamp, Day>,
    /// The most that requests under way may cost.
    held: Spent,
    hour: VecDeque<Timestamp>,
    incidents: BTreeMap<IncidentId, (u32, Timestamp)>,
}

impl Ledger {
    /// Nothing spent. A day begins at midnight in this zone.
    pub(super) fn new(zone: TimeZone, now: Timestamp) -> Self {
        Self {
            day: day_of(&zone, now),
            zone,
            days: BTreeMap::new(),
            held: Spent::default(),
            hour: VecDeque::new(),
            incidents: BTreeMap::new(),
        }
    }

    /// A request of the past, oldest first: what a former daemon spent.
    pub(super) fn recall(&mut self, at: Timestamp, incident: Option<IncidentId>, spent: Spent) {
        self.count(at, incident);
        if (self.day.0..self.day.1).contains(&at) {
            let day = self.day();
            day.spent.add(spent);
            day.calls += 1;
        }
    }

    /// A request that was made without asking here.
    pub(super) fn include(&mut self, now: Timestamp, spent: Spent) {
        self.turn(now);
        self.recall(now, None, spent);
    }

    fn day(&mut self) -> &mut Day {
        self.days.entry(self.day.0).or_default()
    }

    fn count(&mut self, at: Timestamp, incident: Option<IncidentId>) {
        self.hour.push_back(at);
        if let Some(incident) = incident {
            let counted = self.incidents.entry(incident).or_insert((0, at));
            *counted = (counted.0 + 1, at);
        }
    }

    /// May one more request go out, which costs `most` at most? Then it is held until it is
    /// settled.
    pub(super) fn admit(
        &mut self,
        now: Timestamp,
        caps: &Caps,
        incident: Option<IncidentId>,
        most: Spent,
    ) -> Result<(), Full> {
        self.turn(now);
        if let Some(incident) = incident
            && let Some((calls, _)) = self.incidents.get(&incident)
            && *calls >= caps.calls_per_incident
        {
            return Err(Full::Incident(*calls));
        }
        let calls = u32::try_from(self.hour.len()).unwrap_or(u32::MAX);
        if calls >= caps.calls_per_hour {
            return Err(Full::Hour(calls));
        }
        let today = self.day().spent;
        if let Some(cap) = caps.tokens_per_day
            && today.tokens.saturating_add(self.held.tokens) >= cap
        {
            let spent = today.tokens;
            return Err(Full::Tokens { spent, cap });
        }
        // A model that costs nothing may still answer.
        if let Some(cap) = caps.cost_per_day
            && most.cost_usd > 0.0
            && today.cost_usd + self.held.cost_usd >= cap
        {
            let spent = today.cost_usd;
            return Err(Full::Cost { spent, cap });
        }
        self.count(now, incident);
        self.day().calls += 1;
        self.held.add(most);
        Ok(())
    }

    /// A cap of which half is spent, by its key, if there is one: what may wait leaves the other
    /// half to what may not.
    pub(super) fn half_spent(&mut self, now: Timestamp, caps: &Caps) -> Option<&'static str> {
        self.turn(now);
        let calls = u32::try_from(self.hour.len()).unwrap_or(u32::MAX);
        if calls.saturating_mul(2) >= caps.calls_per_hour {
            return Some("max_calls_per_hour");
        }
        let mut today = self.day().spent;
        today.add(self.held);
        if let Some(cap) = caps.tokens_per_day
            && today.tokens.saturating_mul(2) >= cap
        {
            return Some("max_tokens_per_day");
        }
        let cap = caps.cost_per_day?;
        (today.cost_usd > 0.0 && today.cost_usd * 2.0 >= cap).then_some("max_cost_per_day")
    }

    /// The request that was let in with `most` has cost this.
    pub(super) fn settle(&mut self, now: Timestamp, most: Spent, spent: Spent) {
        self.turn(now);
        self.held.take(most);
        self.day().spent.add(spent);
    }

    /// The request that was let in with `most` never went out.
    pub(super) fn withdraw(&mut self, most: Spent) {
        self.held.take(most);
    }

    /// Requests and what they cost since midnight.
    pub(super) fn today(&mut self, now: Timestamp) -> (u64, Spent) {
        self.turn(now);
        let day = self.day();
        (day.calls, day.spent)
    }

    /// When the day ends.
    pub(super) fn midnight(&self) -> Timestamp {
        self.day.1
    }

    /// Forgets what is over.
    fn turn(&mut self, now: Timestamp) {
        if !(self.day.0..self.day.1).contains(&now) {
            self.day = day_of(&self.zone, now);
            while self.days.len() > DAYS {
                self.days.pop_first();
            }
        }
        let before = |age| now.checked_sub(age).unwrap_or(Timestamp::MIN);
        while self.hour.front().is_some_and(|at| *at <= before(HOUR)) {
            self.hour.pop_front();
        }
        self.incidents
            .retain(|_, (_, last)| *last > before(REMEMBERED));
    }
}

/// The day that holds this moment: from midnight to midnight, whatever the clocks do.
fn day_of(zone: &TimeZone, now: Timestamp) -> (Timestamp, Timestamp) {
    let local = now.to_zoned(zone.clone());
    let begin = local.start_of_day().map_or(now, |day| day.timestamp());
    let end = local.tomorrow().and_then(|day| day.start_of_day());
    let end = end.map_or_else(
        |_| supervisor::after(now, Duration::from_secs(24 * 3_600)),
        |day| day.timestamp(),
    );
    (begin, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPS: Caps = Caps {
        calls_per_incident: 3,
        calls_per_hour: 10,
        tokens_per_day: None,
        cost_per_day: Some(1.0),
    };

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn cost(cost_usd: f64) -> Spent {
        Spent {
            tokens: 100,
            cost_usd,
        }
    }

    fn ledger() -> (Ledger, Timestamp) {
        let now = at("2026-11-28T12:00:00Z");
        (Ledger::new(TimeZone::UTC, now), now)
    }

    #[test]
    fn the_cap_of_a_day_is_passed_by_one_request_at_most() {
        let (mut ledger, now) = ledger();
        // Many ask at once, each for at most 0.30; each ends up with exactly that.
        let mut under_way = 0;
        while ledger.admit(now, &CAPS, None, cost(0.3)).is_ok() {
            under_way += 1;
            assert!(under_way < 9, "somebody must be refused");
        }
        for _ in 0..under_way {
            ledger.settle(now, cost(0.3), cost(0.3));
        }
        let (_, spent) = ledger.today(now);
        assert!((1.0..=1.3).contains(&spent.cost_usd), "{spent:?}");
        let full = ledger.admit(now, &CAPS, None, cost(0.01)).unwrap_err();
        assert!(full.to_string().contains("max_cost_per_day"), "{full}");
        ledger.admit(now, &CAPS, None, cost(0.0)).expect("free");
        let tomorrow = at("2026-11-29T00:00:00Z");
        ledger
            .admit(tomorrow, &CAPS, None, cost(0.3))
            .expect("a new day");
    }

    #[test]
    fn what_is_cheaper_than_feared_makes_room() {
        let (mut ledger, now) = ledger();
        ledger.admit(now, &CAPS, None, cost(5.0)).unwrap();
        assert!(ledger.admit(now, &CAPS, None, cost(0.1)).is_err());
        ledger.settle(now, cost(5.0), cost(0.2));
        ledger.admit(now, &CAPS, None, cost(0.1)).unwrap();
        ledger.withdraw(cost(0.1));
        assert_eq!(ledger.today(now).1.cost_usd, 0.2);
    }

    #[test]
    fn an_incident_and_an_hour_have_caps_of_their_own() {
        let (mut ledger, now) = ledger();
        let (one, other) = (Some(IncidentId(1)), Some(IncidentId(2)));
        for _ in 0..3 {
            ledger.admit(now, &CAPS, one, cost(0.0)).unwrap();
        }
        assert_eq!(
            ledger.admit(now, &CAPS, one, cost(0.0)),
            Err(Full::Incident(3))
        );
        for _ in 0..3 {
            ledger.admit(now, &CAPS, other, cost(0.0)).unwrap();
        }
        for _ in 0..4 {
            ledger.admit(now, &CAPS, None, cost(0.0)).unwrap();
        }
        assert_eq!(
            ledger.admit(now, &CAPS, None, cost(0.0)),
            Err(Full::Hour(10))
        );
        let later = at("2026-11-28T13:00:00Z");
        assert_eq!(
            ledger.admit(later, &CAPS, one, cost(0.0)),
            Err(Full::Incident(3))
        );
        ledger.admit(later, &CAPS, None, cost(0.0)).unwrap();
    }

    #[test]
    fn what_may_wait_has_half_of_each_cap() {
        let (mut ledger, now) = ledger();
        let caps = Caps {
            tokens_per_day: Some(700),
            ..CAPS
        };
        assert_eq!(ledger.half_spent(now, &caps), None);
        ledger.admit(now, &caps, None, cost(0.5)).unwrap();
        assert_eq!(
            ledger.half_spent(now, &caps),
            Some("max_cost_per_day"),
            "what is under way counts"
        );
        ledger.settle(now, cost(0.5), cost(0.1));
        for _ in 0..3 {
            assert_eq!(ledger.half_spent(now, &caps), None);
            ledger.admit(now, &caps, None, cost(0.0)).unwrap();
        }
        assert_eq!(ledger.half_spent(now, &caps), Some("max_tokens_per_day"));
        ledger.admit(now, &CAPS, None, cost(0.0)).unwrap();
        assert_eq!(ledger.half_spent(now, &CAPS), Some("max_calls_per_hour"));
    }

    #[test]
    fn what_a_former_daemon_spent_today_counts() {
        let (mut ledger, now) = ledger();
        ledger.recall(at("2026-11-27T23:59:00Z"), None, cost(0.9));
        ledger.recall(at("2026-11-28T00:01:00Z"), Some(IncidentId(7)), cost(0.6));
        let (calls, spent) = ledger.today(now);
        assert_eq!((calls, spent.cost_usd), (1, 0.6));
        let caps = Caps {
            tokens_per_day: Some(100),
            ..CAPS
        };
        let full = ledger.admit(now, &caps, None, cost(0.0)).unwrap_err();
        assert_eq!(
            full,
            Full::Tokens {
                spent: 100,
                cap: 100
            }
        );
    }

    #[test]
    fn a_clock_that_is_set_forth_and_back_makes_nothing_cheaper() {
        let (mut ledger, now) = ledger();
        ledger.admit(now, &CAPS, None, cost(0.9)).unwrap();
        ledger.settle(now, cost(0.9), cost(0.9));
        for other in ["2026-11-27T12:00:00Z", "2031-01-01T12:00:00Z"] {
            assert_eq!(ledger.today(at(other)).1, Spent::default(), "{other}");
            let (calls, spent) = ledger.today(now);
            assert_eq!((calls, spent.cost_usd), (1, 0.9));
        }
    }

    #[test]
    fn a_day_of_25_hours_is_one_day() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let (begin, end) = day_of(&zone, at("2026-10-25T12:00:00Z"));
        assert_eq!(end.duration_since(begin), SignedDuration::from_hours(25));
    }
}
