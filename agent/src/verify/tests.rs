//! What counts as cured.

use brain::InstanceFacts;
use jiff::Timestamp;
use serde_json::json;

use super::*;

const WINDOW: Duration = Duration::from_secs(60);

fn plan(action: Action) -> Plan {
    Plan::from_iter([action])
}

fn process(copies: &[(Status, HealthStatus)]) -> ProcessFacts {
    let worst = copies.iter().map(|one| one.0).max_by_key(|s| s.severity());
    let instances = copies
        .iter()
        .zip(0..)
        .map(|((state, health), index)| InstanceFacts {
            index,
            pid: None,
            alive: matches!(state, Status::Online | Status::Starting),
            state: *state,
            rss_bytes: None,
            cpu_percent: None,
            uptime_ms: None,
            health: *health,
            probe_failures: 0,
            probe_down_ms: None,
            probe_error: None,
            generation: 1,
        });
    ProcessFacts {
        name: "api".parse().unwrap(),
        state: worst.unwrap_or(Status::Stopped),
        detail: String::new(),
        held: false,
        retries: false,
        wanted: true,
        desired: u16::try_from(copies.len()).unwrap(),
        instances: instances.collect(),
        restarts: 0,
        tags: vec![],
        autonomy: None,
        max_memory: None,
        max_restarts: 0,
        configured_instances: 1,
        depends_on: vec![],
        changed_at: None,
        has_previous: false,
        config: json!({}),
    }
}

fn event(kind: EventKind) -> Event {
    Event {
        id: 1,
        at: Timestamp::UNIX_EPOCH,
        process: "api".parse().unwrap(),
        instance: Some(0),
        kind,
        data: json!({}),
        actor: "system".into(),
    }
}

fn verdict(
    action: Action,
    own: Check,
    copies: &[(Status, HealthStatus)],
    events: &[EventKind],
    age: u64,
) -> &'static str {
    let process = process(copies);
    let events: Vec<_> = events.iter().map(|kind| event(*kind)).collect();
    let seen = Seen {
        process: Some(&process),
        events: &events,
        age: Duration::from_secs(age),
        window: WINDOW,
    };
    check(&plan(action), own, seen).map_or("not yet", |outcome| outcome.as_str())
}

const UP: (Status, HealthStatus) = (Status::Online, HealthStatus::Pass);
const SICK: (Status, HealthStatus) = (Status::Online, HealthStatus::Fail);
const COMING: (Status, HealthStatus) = (Status::Starting, HealthStatus::Pending);
const DOWN: (Status, HealthStatus) = (Status::Errored, HealthStatus::Off);

#[test]
fn up_means_up_for_the_whole_window() {
    let restart = || Action::Restart { instance: None };
    for (copies, events, age, expected) in [
        (&[UP][..], &[][..], 59, "not yet"),
        (&[UP], &[], 60, "success"),
        (&[UP], &[EventKind::Crash], 3, "failed"),
        (&[UP], &[EventKind::Online], 60, "success"),
        (&[SICK], &[EventKind::HealthFail], 30, "not yet"),
        (&[SICK], &[], 60, "failed"),
        (&[COMING], &[], 61, "not yet"),
        (&[COMING], &[], 121, "failed"),
        (&[UP, DOWN], &[], 60, "partial"),
        (&[DOWN], &[], 60, "failed"),
    ] {
        let found = verdict(restart(), Check::None, copies, events, age);
        assert_eq!(found, expected, "{copies:?} {events:?} {age}");
    }
}

#[test]
fn halted_means_down() {
    let halt = || Action::Halt {
        reason: String::new(),
    };
    for (copies, age, expected) in [
        (&[DOWN][..], 4, "not yet"),
        (&[DOWN], 5, "success"),
        (&[UP], 30, "not yet"),
        (&[UP], 60, "failed"),
    ] {
        // The end of the crash loop itself comes after the halt was ordered.
        let found = verdict(halt(), Check::None, copies, &[EventKind::Errored], age);
        assert_eq!(found, expected, "{copies:?} {age}");
    }
}

#[test]
fn the_playbooks_own_check_decides() {
    let restart = || Action::Restart { instance: None };
    for (own, events, age, expected) in [
        (Check::Passed, &[][..], 1, "success"),
        (Check::Failed, &[], 1, "failed"),
        (Check::Wait, &[], 300, "not yet"),
        (Check::Wait, &[], 600, "unknown"),
        (Check::Wait, &[EventKind::Crash], 10, "failed"),
    ] {
        let found = verdict(restart(), own, &[DOWN], events, age);
        assert_eq!(found, expected, "{own:?} {age}");
    }
    let gone = Seen {
        process: None,
        events: &[],
        age: WINDOW,
        window: WINDOW,
    };
    let outcome = check(&plan(restart()), Check::None, gone).unwrap();
    assert_eq!(outcome.as_str(), "unknown");
}
