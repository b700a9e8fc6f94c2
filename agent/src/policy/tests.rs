//! The whole matrix.

use std::time::Duration;

use brain::{Action, Plan, Severity};
use supervisor::{Role, Status};

use super::*;
use crate::budget::Standing;

const LEVELS: [Autonomy; 4] = [
    Autonomy::Manual,
    Autonomy::Supervised,
    Autonomy::Semi,
    Autonomy::Autonomous,
];

fn target() -> Target {
    Target {
        state: Status::Errored,
        probe_failing: false,
        recent_crashes: 1,
        instances: 1,
        configured_instances: 1,
        max_memory: Some(100 << 20),
        max_restarts: 5,
        grace_period: Duration::from_secs(10),
        has_previous: true,
        autonomy: None,
    }
}

const BOUNDS: Bounds = Bounds {
    max_instances: None,
    max_memory_factor: 2.0,
    cpus: 4,
};

fn restart() -> Action {
    Action::Restart { instance: None }
}

fn halt() -> Action {
    Action::Halt {
        reason: "loop".into(),
    }
}

fn limit(key: &str, value: &str) -> Action {
    Action::SetLimit {
        key: key.into(),
        value: value.into(),
    }
}

fn notify() -> Action {
    Action::Notify {
        severity: Severity::Info,
        text: "x".into(),
    }
}

fn plan(actions: Vec<Action>) -> Plan {
    Plan::from_iter(actions)
}

/// Every level × risk × budget × blocked × quiet hours × process bound × confidence has the
/// answer of the specification, written here a second time and in another shape.
#[test]
#[expect(clippy::disallowed_macros, reason = "a test tells what it found")]
fn the_whole_matrix() {
    let actions = [
        (notify(), Risk::None),
        (restart(), Risk::Low),
        (Action::Stop, Risk::High),
        (limit("command", "rm"), Risk::Forbidden),
    ];
    let spent = Standing {
        hour_used: 10,
        ..Standing::fresh()
    };
    let mut cases = 0;
    for level in LEVELS {
        for bound in [None].into_iter().chain(LEVELS.map(Some)) {
            for (action, expected_risk) in &actions {
                for over in [false, true] {
                    for blocked in [false, true] {
                        for quiet in [false, true] {
                            for sure in [true, false] {
                                let target = Target {
                                    autonomy: bound,
                                    ..target()
                                };
                                let names = [action.name().to_owned()];
                                let fresh = Standing::fresh();
                                let case = Case {
                                    level,
                                    target: &target,
                                    bounds: &BOUNDS,
                                    standing: if over { &spent } else { &fresh },
                                    quiet,
                                    blocked: if blocked { &names } else { &[] },
                                    role: Role::Operator,
                                    confidence: if sure { 0.9 } else { 0.4 },
                                    leave: None,
                                };
                                assert_eq!(risk(action, &target), *expected_risk);
                                let level = bound.map_or(level, |b| b.min(level));
                                let expected = if blocked {
                                    "refuse"
                                } else {
                                    match (expected_risk, level) {
                                        (Risk::None, _) => "run",
                                        (Risk::Forbidden, _) | (_, Autonomy::Manual) => "refuse",
                                        _ if over || !sure => "ask",
                                        (_, Autonomy::Supervised)
                                        | (Risk::High, Autonomy::Semi) => "ask",
                                        (Risk::High, Autonomy::Autonomous) if quiet => "ask",
                                        _ => "run",
                                    }
                                };
                                assert_eq!(
                                    decide(&case, action).as_str(),
                                    expected,
                                    "{level:?} {bound:?} {action:?} over={over} blocked={blocked} quiet={quiet} sure={sure}"
                                );
                                cases += 1;
                                // Leave in advance answers the level's question and no other one.
                                for granted in [Risk::Low, Risk::High] {
                                    let case = Case {
                                        leave: Some(Leave {
                                            risk: granted,
                                            role: Role::Admin,
                                        }),
                                        ..case
                                    };
                                    let asks =
                                        over || !sure || *expected_risk == Risk::High && quiet;
                                    let expected = match expected {
                                        "ask" if *expected_risk <= granted && !asks => "run",
                                        other => other,
                                    };
                                    assert_eq!(
                                        decide(&case, action).as_str(),
                                        expected,
                                        "{level:?} {bound:?} {action:?} granted={granted:?} over={over} blocked={blocked} quiet={quiet} sure={sure}"
                                    );
                                    cases += 1;
                                }
                            }
                        }
                    }
                }
            }
        }
    }
    assert_eq!(cases, 4 * 5 * 4 * 16 * 3);
    eprintln!(
        "the policy matrix has {cases} cases: 4 levels, 5 bounds, 4 risks, 16 circumstances, 3 kinds of leave"
    );
}

/// Raising any of the limiting inputs never makes an answer more permissive.
#[test]
fn a_process_only_lowers() {
    for level in LEVELS {
        for bound in LEVELS {
            assert!(capped(level, Some(bound)) <= level);
            assert_eq!(capped(level, None), level);
        }
    }
}

#[test]
fn the_playbook_wins_over_agent_and_brain() {
    let brain = Autonomy::Semi;
    let of = |playbook, agent| {
        effective(Source {
            playbook,
            agent,
            brain,
        })
    };
    assert_eq!(of(None, None), Autonomy::Semi);
    assert_eq!(of(None, Some(Autonomy::Supervised)), Autonomy::Supervised);
    assert_eq!(
        of(Some(Autonomy::Autonomous), Some(Autonomy::Supervised)),
        Autonomy::Autonomous
    );
}

/// Risk depends on the target where the specification says so.
#[test]
fn risk_is_in_context() {
    let online = Target {
        state: Status::Online,
        recent_crashes: 0,
        ..target()
    };
    let looping = Target {
        recent_crashes: 3,
        ..online.clone()
    };
    let sick = Target {
        probe_failing: true,
        ..online.clone()
    };
    let kill = Action::KillRestart { instance: None };
    assert_eq!(risk(&halt(), &target()), Risk::Low);
    assert_eq!(risk(&halt(), &looping), Risk::Low);
    assert_eq!(risk(&halt(), &online), Risk::Forbidden);
    assert_eq!(risk(&kill, &online), Risk::High);
    assert_eq!(risk(&kill, &sick), Risk::Low);
    assert_eq!(risk(&Action::Rollback, &online), Risk::High);
    let new = Target {
        has_previous: false,
        ..online
    };
    assert_eq!(risk(&Action::Rollback, &new), Risk::Forbidden);
}

/// A plan has the highest risk of its parts, and what only talks stays free.
#[test]
fn a_plan_is_as_risky_as_its_worst_part() {
    let target = target();
    let standing = Standing::fresh();
    let case = Case {
        level: Autonomy::Semi,
        target: &target,
        bounds: &BOUNDS,
        standing: &standing,
        quiet: false,
        blocked: &[],
        role: Role::Operator,
        confidence: 1.0,
        leave: None,
    };
    let answer = |actions| {
        let (risk, decision) = decide_plan(&case, &plan(actions));
        (risk, decision.as_str())
    };
    assert_eq!(answer(vec![]), (Risk::None, "run"));
    assert_eq!(answer(vec![notify()]), (Risk::None, "run"));
    assert_eq!(answer(vec![halt(), notify()]), (Risk::Low, "run"));
    assert_eq!(answer(vec![restart(), Action::Stop]), (Risk::High, "ask"));
    assert_eq!(
        answer(vec![restart(), limit("x", "1")]),
        (Risk::Forbidden, "refuse")
    );
    let mut asks = plan(vec![restart()]);
    asks.ask = Some("unsure".into());
    assert_eq!(
        decide_plan(&case, &asks),
        (Risk::Low, Decision::Ask("unsure".into()))
    );
}

/// Leave in advance also answers what the playbook itself asks, up to its risk; bounds hold, and
/// it runs with the role of who gave it.
#[test]
fn leave_in_advance_is_held_to_every_limit() {
    let target = target();
    let standing = Standing::fresh();
    let of = |level, leave: Option<(Risk, Role)>, ask: Option<&str>, action: Action| {
        let case = Case {
            level,
            target: &target,
            bounds: &BOUNDS,
            standing: &standing,
            quiet: false,
            blocked: &[],
            role: Role::Operator,
            confidence: 1.0,
            leave: leave.map(|(risk, role)| Leave { risk, role }),
        };
        let plan = Plan {
            ask: ask.map(str::to_owned),
            ..plan(vec![notify(), action])
        };
        decide_plan(&case, &plan).1.as_str()
    };
    let low = Some((Risk::Low, Role::Admin));
    let high = Some((Risk::High, Role::Admin));
    let semi = Autonomy::Semi;
    assert_eq!(of(semi, None, Some("sure?"), restart()), "ask");
    assert_eq!(of(semi, low, Some("sure?"), restart()), "run");
    assert_eq!(of(semi, low, None, Action::Stop), "ask");
    assert_eq!(of(semi, high, Some("sure?"), Action::Stop), "run");
    assert_eq!(of(semi, high, None, Action::ScaleUp { by: 3 }), "run");
    assert_eq!(of(semi, high, None, Action::ScaleUp { by: 4 }), "ask");
    assert_eq!(of(Autonomy::Manual, high, None, restart()), "refuse");
    let limit = || limit("max_memory", "150MB");
    for level in [Autonomy::Supervised, semi, Autonomy::Autonomous] {
        assert_eq!(of(level, None, None, limit()), "ask");
        assert_eq!(of(level, high, None, limit()), "run", "an admin's leave");
        let operator = Some((Risk::High, Role::Operator));
        assert_eq!(of(level, operator, None, limit()), "ask");
    }
}

/// An autonomous agent stays within its bounds and its role, and asks beyond them.
#[test]
fn bounds_turn_into_questions() {
    let target = target();
    let standing = Standing::fresh();
    let decide_as = |role, action: Action| {
        let case = Case {
            level: Autonomy::Autonomous,
            target: &target,
            bounds: &BOUNDS,
            standing: &standing,
            quiet: false,
            blocked: &[],
            role,
            confidence: 1.0,
            leave: None,
        };
        decide(&case, &action).as_str()
    };
    for (role, action, expected) in [
        (Role::Operator, Action::ScaleUp { by: 3 }, "run"),
        (Role::Operator, Action::ScaleUp { by: 4 }, "ask"),
        (Role::Operator, Action::ScaleDown { by: 1 }, "ask"),
        (Role::Operator, limit("max_memory", "150MB"), "ask"),
        (Role::Admin, limit("max_memory", "150MB"), "run"),
        (Role::Admin, limit("max_memory", "201MB"), "ask"),
        (Role::Admin, limit("max_memory", "49MB"), "ask"),
        (Role::Admin, limit("grace_period", "20s"), "run"),
        (Role::Admin, limit("max_restarts", "11"), "ask"),
        (Role::Admin, limit("max_restarts", "many"), "refuse"),
        (Role::Operator, Action::Rollback, "run"),
        (Role::Viewer, restart(), "ask"),
    ] {
        assert_eq!(decide_as(role, action.clone()), expected, "{action:?}");
    }
}

#[test]
fn copies_are_bounded_by_file_and_machine() {
    let bounds = |cpus, max_instances| Bounds {
        max_instances,
        max_memory_factor: 2.0,
        cpus,
    };
    assert_eq!(bounds(8, None).instances(1), 4);
    assert_eq!(bounds(8, None).instances(6), 12);
    assert_eq!(bounds(2, None).instances(6), 4);
    assert_eq!(bounds(8, Some(5)).instances(6), 5);
    assert_eq!(bounds(1, None).instances(1), 2);
}
