//! However much happens: few messages, and each event is in one of them.

use proptest::prelude::*;

use super::tests::{Desk, channel};
use super::*;
use crate::notify::Severity;

use EventName::{Crash, Errored, HealthFail, HealthRecover};

/// Events that were told, one way or another.
fn accounted(desk: &Desk) -> u32 {
    let sent = desk.sent.iter().map(|(_, one)| {
        let own = one.notice.event != EventName::Digest && !one.notice.id.contains("-stable");
        let lines = one.lines.iter().flat_map(|line| line.events.values());
        u32::from(own) + one.suppressed + lines.sum::<u32>()
    });
    sent.sum()
}

/// Events that are counted and wait for a next message.
fn waiting(desk: &Desk) -> u32 {
    let channels = desk.rules.state().channels.values();
    let keys = channels.flat_map(|one| one.keys.values().flat_map(|all| all.values()));
    let waiting = keys.flat_map(|key| key.suppressed.values());
    waiting.sum()
}

#[test]
fn a_thousand_crashes_of_one_process_are_three_messages() {
    let mut desk = Desk::with([channel("a"), channel("b")]);
    for _ in 0..1_000 {
        desk.tell(Crash, "api").wait(0.1);
    }
    desk.wait(7_200.0);
    for name in ["a", "b"] {
        let sent: Vec<_> = desk
            .sent
            .iter()
            .filter(|(_, one)| one.channel == name)
            .collect();
        assert_eq!(sent.len(), 3, "{sent:#?}");
        let digest = &sent[2].1;
        assert_eq!(digest.notice.event, EventName::Digest);
        assert_eq!(digest.lines.len(), 1);
        assert_eq!(digest.lines[0].process, "api");
        // The second was counted, the third was critical and told so; the seventh says that it
        // flaps and stands for itself.
        assert_eq!(sent[1].1.suppressed, 1);
        assert_eq!(digest.lines[0].events[&EventName::Flapping], 1);
        assert_eq!(digest.lines[0].events[&Crash], 996);
    }
    assert_eq!(accounted(&desk), 2_000);
}

#[test]
fn a_thousand_crashes_of_many_processes_are_three_messages() {
    let mut desk = Desk::with([channel("a")]);
    for n in 0..1_000 {
        desk.tell(Crash, &format!("app-{}", n % 250)).wait(0.05);
    }
    desk.wait(7_200.0);
    assert_eq!(desk.sent.len(), 3, "{:#?}", desk.sent);
    let digest = &desk.sent[2].1;
    assert_eq!(digest.notice.severity, Severity::Critical);
    assert_eq!(digest.lines.len(), 50);
    assert_eq!(digest.unnamed, 200);
    assert!(
        digest
            .notice
            .message
            .starts_with("998 events of 250 processes")
    );
}

#[test]
fn a_thousand_ups_and_downs_are_three_messages_and_an_end() {
    let mut desk = Desk::with([channel("a")]);
    for _ in 0..500 {
        desk.tell(HealthFail, "api")
            .wait(0.1)
            .tell(HealthRecover, "api")
            .wait(0.1);
    }
    let during = desk.sent.len();
    assert!(during <= 3, "{:#?}", desk.sent);
    desk.wait(7_200.0);
    assert!(desk.sent.len() <= 4, "{:#?}", desk.sent);
    assert!(desk.sent.last().unwrap().1.resolves, "{:#?}", desk.sent);
    assert_eq!(accounted(&desk), 1_000);
}

#[test]
fn what_is_critical_in_a_storm_is_told_within_two_minutes() {
    let mut desk = Desk::with([channel("a")]);
    for n in 0..600 {
        desk.tell(Crash, &format!("app-{n}")).wait(1.0);
        if n == 300 {
            desk.tell(Errored, "db");
        }
    }
    let began = desk.sent[0].0;
    let told = |one: &Outgoing| one.lines.iter().any(|line| line.process == "db");
    let (at, _) = desk.sent.iter().find(|(_, one)| told(one)).unwrap();
    let waited = supervisor::until(after(began, 301), *at);
    assert!(waited <= Duration::from_secs(120), "{waited:?}");
    assert!(desk.sent.len() <= 12, "{}", desk.sent.len());
}

fn after(then: Timestamp, seconds: u64) -> Timestamp {
    supervisor::after(then, Duration::from_secs(seconds))
}

#[test]
fn names_without_end_take_no_memory_without_end() {
    let mut desk = Desk::with([channel("a")]);
    for n in 0..3_000 {
        desk.tell(HealthFail, &format!("app-{n}"));
    }
    let state = desk.rules.state();
    assert!(
        state.processes.len() <= MOST_PROCESSES + 1,
        "{}",
        state.processes.len()
    );
    let keys = state.channels["a"].keys.len();
    assert!(keys <= MOST_PROCESSES + 1, "{keys}");
    assert!(desk.sent.len() <= 3);
}

/// A channel that is a process of mhost itself and dies of each message must not be fed.
#[test]
fn alerts_that_cause_events_do_not_feed_themselves() {
    let mut desk = Desk::with([channel("a")]);
    desk.tell(Crash, "receiver");
    let mut answered = 0;
    for _ in 0..3_600 {
        while answered < desk.sent.len() {
            answered += 1;
            desk.tell(Crash, "receiver");
        }
        desk.wait(1.0);
    }
    assert!(desk.sent.len() <= 8, "{:#?}", desk.sent);
    // What alerting says of itself is no event.
    let before = desk.sent.len();
    for event in [EventName::Digest, EventName::Flapping, EventName::Test] {
        desk.tell(event, "api");
    }
    desk.wait(10_000.0);
    assert_eq!(desk.sent.len(), before);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Crashes at any times: each is told, counted or waits for the next message.
    #[test]
    fn nothing_is_lost_and_no_minute_is_crowded(
        events in prop::collection::vec((0usize..6, 0.0f64..90.0), 1..150),
    ) {
        let mut desk = Desk::with([channel("a")]);
        for (process, gap) in &events {
            desk.tell(Crash, &format!("app-{process}")).wait(*gap);
        }
        desk.wait(7_200.0);
        let all = accounted(&desk) + waiting(&desk);
        let count = u32::try_from(events.len()).unwrap();
        let flaps = u32::try_from(events.len() / 7).unwrap();
        prop_assert!((count..=count + flaps).contains(&all), "{all} of {count}");
        let times: Vec<Timestamp> = desk.sent.iter().map(|(at, _)| *at).collect();
        for (index, at) in times.iter().enumerate() {
            let minute = times[index..].iter().take_while(|one| **one < after(*at, 60));
            prop_assert!(minute.count() <= 4, "{times:?}");
        }
    }

    /// Whatever happens, a channel that was told of trouble is told of its end, once.
    #[test]
    fn told_trouble_has_a_told_end(
        events in prop::collection::vec((0usize..4, 0usize..3, 0.0f64..90.0), 1..80),
    ) {
        let mut desk = Desk::with([channel("a")]);
        for (kind, process, gap) in &events {
            let process = format!("app-{process}");
            match kind {
                0 => desk.tell(Crash, &process),
                1 => desk.tell(HealthFail, &process),
                2 => desk.tell(HealthRecover, &process),
                _ => desk.put(Input::Online(process)),
            };
            desk.wait(*gap);
        }
        for process in 0..3 {
            let process = format!("app-{process}");
            desk.tell(HealthRecover, &process).put(Input::Online(process));
        }
        desk.wait(7_200.0);
        for process in 0..3 {
            let name = format!("app-{process}");
            let mut about = desk.sent.iter().map(|(_, one)| one).filter(|one| {
                one.notice.process == name || one.lines.iter().any(|line| line.process == name)
            });
            if let Some(last) = about.next_back() {
                let good = last.notice.event == HealthRecover
                    || last.lines.iter().any(|line| {
                        line.process == name && line.events.contains_key(&HealthRecover)
                    });
                prop_assert!(good, "{name}: {last:?}");
            }
        }
        prop_assert!(desk.rules.state().processes.values().all(|one| one.incident.is_none()));
    }
}
