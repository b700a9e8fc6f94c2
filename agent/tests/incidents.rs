//! One incident per cause, from the first sign to a person, in paused time.

mod rig;

use std::time::Duration;

use agent::Settings;
use agent::policy::Autonomy;
use brain::{Action, IncidentState, SymptomKind};
use rig::{Rig, person, proposal, restart};
use supervisor::{ControlError, EventKind, HealthStatus, Role, Status};

fn level(brain_autonomy: Autonomy) -> Settings {
    Settings {
        brain_autonomy,
        ..Settings::default()
    }
}

fn halt() -> Action {
    Action::Halt {
        reason: "it crash-loops".into(),
    }
}

/// An illness that comes back within ten minutes was not cured: the same incident goes on.
#[tokio::test(start_paused = true)]
async fn a_cure_that_does_not_last_is_none() {
    let rig = Rig::new(vec![restart()]).await;
    rig.change(|world| world.fingerprint = true);
    rig.crash();
    rig.outcome("verified", 90).await;
    rig.pass(60).await;
    rig.crash();
    // What cured it rests, so a person is asked.
    let question = rig.question().await;
    let history = rig.agent.history(Default::default()).await.unwrap();
    assert_eq!(history.len(), 1, "{history:#?}");
    assert_eq!(history[0].state, IncidentState::AwaitingApproval);
    assert_eq!(
        (history[0].outcome.as_deref(), history[0].closed),
        (None, None)
    );
    assert_eq!(question.incident, history[0].id);
    let told = rig.agent.explain("inc-1").await.unwrap();
    let kinds: Vec<_> = told.story.iter().map(|one| one.kind.as_str()).collect();
    assert!(kinds.contains(&"reopened"), "{kinds:?}");
    // The one that became part of it is no more, and who was told of it hears that.
    let gone = rig.agent.explain("inc-2").await.unwrap_err();
    assert!(matches!(gone, ControlError::NotFound { .. }), "{gone}");
    let last = rig.change(|world| world.changed.iter().rposition(|one| one.0 == 2));
    let reopened = rig.change(|world| world.changed.iter().rposition(|one| one.0 == 1));
    assert!(last.is_some() && reopened > last, "{last:?} {reopened:?}");
    let before = rig.change(|world| world.changed[..last.unwrap()].to_vec());
    assert!(before.iter().filter(|one| one.0 == 2).count() >= 1);
    // Another illness is another incident, also within the window.
    rig.change(|world| world.set("api", Status::Online, HealthStatus::Pass));
    rig.outcome("recovered", 120).await;
    rig.change(|world| world.fingerprint = false);
    rig.crash();
    rig.until("a second incident", 10, async |rig: &Rig| {
        rig.agent.history(Default::default()).await.unwrap().len() == 2
    })
    .await;
}

/// A first sign is told at once; nothing is done about it, and it goes when nothing follows.
#[tokio::test(start_paused = true)]
async fn a_sign_is_told_and_not_acted_on() {
    let settings = Settings {
        poll_interval: Duration::from_secs(1),
        ..level(Autonomy::Autonomous)
    };
    let rig = Rig::with(settings, vec![restart()]).await;
    rig.change(|world| world.event("api", EventKind::HealthMiss));
    rig.until("an incident", 2, async |rig: &Rig| {
        let history = rig.agent.history(Default::default()).await.unwrap();
        history.first().is_some_and(|row| {
            row.state == IncidentState::Suspected && row.actions[0].action == "observe"
        })
    })
    .await;
    let row = rig.outcome("passing", 30).await;
    assert_eq!(row.state, IncidentState::Resolved);
    assert!(rig.calls().is_empty() && !row.escalated);
    // It comes back: it is the same one, and this time it is proved.
    rig.change(|world| world.event("api", EventKind::HealthMiss));
    rig.pass(1).await;
    rig.change(|world| world.event("api", EventKind::HealthFail));
    rig.until("a call", 5, async |rig: &Rig| !rig.calls().is_empty())
        .await;
    let history = rig.agent.history(Default::default()).await.unwrap();
    assert_eq!(history.len(), 1, "{history:#?}");
}

/// What failed first and what it took with it are one incident, whoever showed it first; the
/// cause is restarted, its victims are not.
#[tokio::test(start_paused = true)]
async fn a_cause_and_its_victims_are_one_incident() {
    let settings = Settings {
        poll_interval: Duration::from_secs(1),
        ..level(Autonomy::Autonomous)
    };
    for order in [
        ["web", "api", "db"],
        ["db", "web", "api"],
        ["api", "db", "web"],
    ] {
        let rig = Rig::with(settings.clone(), vec![]).await;
        rig.change(|world| {
            world.add("web");
            world.add("db");
            let on = |world: &mut rig::World, name: &str, on: &str| {
                let process = world.processes.get_mut(name).unwrap();
                process.depends_on = vec![on.parse().unwrap()];
            };
            on(world, "web", "api");
            on(world, "api", "db");
            // Only the cause has a plan, and only once it is proved.
            world.thought = Box::new(|incident| {
                let proved = incident
                    .symptoms
                    .iter()
                    .any(|one| one.kind == SymptomKind::HealthFail);
                (incident.process.as_str() == "db" && proved)
                    .then(|| proposal("bring-back", vec![restart()]))
            });
            world.effect = Box::new(|world, _| {
                for name in ["web", "api", "db"] {
                    world.set(name, Status::Online, HealthStatus::Pass);
                }
                Ok(())
            });
        });
        // Whoever showed the first sign; the proof of the cause ends it.
        let signs = order.map(|name| (name, EventKind::HealthMiss));
        let proofs = ["web", "api", "db"].map(|name| (name, EventKind::HealthFail));
        for (name, kind) in signs.into_iter().chain(proofs) {
            rig.change(|world| {
                world.set(name, Status::Online, HealthStatus::Fail);
                world.event(name, kind);
            });
            rig.pass(1).await;
        }
        let row = rig.outcome("verified", 90).await;
        assert_eq!(rig.calls(), ["process.restart db as Operator"], "{order:?}");
        let history = rig.agent.history(Default::default()).await.unwrap();
        assert_eq!(history.len(), 1, "{order:?} {history:#?}");
        assert_eq!(row.process.as_str(), "db");
        let mut victims: Vec<_> = row.victims.iter().map(|one| one.process.as_str()).collect();
        victims.sort_unstable();
        assert_eq!(victims, ["api", "web"], "{order:?}");
        // A victim tells the story of its cause, and is over with it.
        assert_eq!(
            rig.agent.explain("web").await.unwrap().incident,
            row.incident
        );
        rig.until("an end for all", 90, async |rig: &Rig| {
            rig.agent.status().await.unwrap().open_incidents == 0
        })
        .await;
    }
}

/// Who is still ill when its cause is over has an incident of its own again.
#[tokio::test(start_paused = true)]
async fn a_victim_is_released_when_it_stays_ill() {
    let settings = Settings {
        poll_interval: Duration::from_secs(1),
        ..level(Autonomy::Autonomous)
    };
    let rig = Rig::with(settings, vec![]).await;
    rig.change(|world| {
        world.add("db");
        world.processes.get_mut("api").unwrap().depends_on = vec!["db".parse().unwrap()];
        world.thought = Box::new(|incident| {
            (incident.process.as_str() == "db").then(|| proposal("bring-back", vec![restart()]))
        });
        world.effect = Box::new(|world, _| {
            world.set("db", Status::Online, HealthStatus::Pass);
            Ok(())
        });
        for name in ["db", "api"] {
            world.set(name, Status::Online, HealthStatus::Fail);
            world.event(name, EventKind::HealthFail);
        }
    });
    rig.until("the victim is released", 120, async |rig: &Rig| {
        let history = rig.agent.history(Default::default()).await.unwrap();
        history.len() == 2 && history[0].state == IncidentState::Open
    })
    .await;
    let told = rig.agent.explain("api").await.unwrap();
    assert!(told.merged_into.is_none() && told.process.as_str() == "api");
}

/// After a plan that did not help the next one is tried in the same incident; a person is called
/// when there is none left, and not before.
#[tokio::test(start_paused = true)]
async fn another_plan_is_tried_before_a_person_is_called() {
    let rig = Rig::with(level(Autonomy::Autonomous), vec![]).await;
    let reload = || Action::Reload;
    rig.change(|world| {
        world.check = agent::Check::Failed;
        let asked = std::sync::atomic::AtomicUsize::new(0);
        world.thought = Box::new(move |_| {
            match asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                0 => Some(proposal("first", vec![restart()])),
                // The same deed under another name is no other plan.
                1 => Some(proposal("second", vec![reload()])),
                _ => Some(proposal("third", vec![restart()])),
            }
        });
    });
    rig.crash();
    let row = rig.outcome("failed", 60).await;
    assert_eq!(
        rig.calls(),
        [
            "process.restart api as Operator",
            "process.reload api as Operator"
        ]
    );
    assert!(row.escalated);
    assert_eq!(row.state, IncidentState::Escalated);
    let names: Vec<_> = row.actions.iter().map(|one| one.action.as_str()).collect();
    assert_eq!(names, ["restart", "reload", "escalate"]);
    let told = rig.change(|world| world.told.iter().filter(|one| one.escalation).count());
    assert_eq!(told, 1, "a person is called once");
}

/// What made things worse is put back, nothing more is tried, and a person is called.
#[tokio::test(start_paused = true)]
async fn what_made_it_worse_is_undone() {
    let limit = Action::SetLimit {
        key: "max_memory".into(),
        value: "150MB".into(),
    };
    let settings = Settings {
        // To set a limit is an administrator's.
        role: Role::Admin,
        ..level(Autonomy::Autonomous)
    };
    let rig = Rig::with(settings, vec![limit, Action::ScaleUp { by: 1 }]).await;
    rig.change(|world| {
        let api = world.processes.get_mut("api").unwrap();
        api.max_memory = Some(100 << 20);
        world.effect = Box::new(|world, command| {
            let api = world.processes.get_mut("api").unwrap();
            match (command, api.desired) {
                ("process.scale", 1) => {
                    api.desired = 2;
                    // The new copy took the only one's place in the world.
                    world.set("api", Status::Errored, HealthStatus::Off);
                    world.event("api", EventKind::Crash);
                }
                ("process.scale", _) => api.desired = 1,
                _ => {}
            }
            Ok(())
        });
        world.event("api", EventKind::HealthFail);
    });
    let row = rig.outcome("failed", 120).await;
    let done: Vec<String> = row
        .actions
        .iter()
        .map(|one| format!("{} {} {}", one.action, one.args["value"], one.gate))
        .collect();
    assert_eq!(
        done,
        [
            "set_limit \"150MB\" run",
            "scale_up null run",
            "scale_down null undo",
            "set_limit \"100MB\" undo",
            "escalate null run",
        ]
    );
    assert!(row.escalated);
    assert_eq!(rig.change(|world| world.processes["api"].desired), 1);
    let told = rig.agent.explain("inc-1").await.unwrap();
    let kinds: Vec<_> = told.story.iter().map(|one| one.kind.as_str()).collect();
    let place = |kind| kinds.iter().position(|one| *one == kind);
    assert!(
        place("before") < place("acted") && place("acted") < place("undone"),
        "{kinds:?}"
    );
}

/// What was before a plan survives the daemon, and so does the duty to put it back.
#[tokio::test(start_paused = true)]
async fn a_new_daemon_puts_back_what_made_it_worse() {
    let settings = level(Autonomy::Autonomous);
    let rig = Rig::with(settings, vec![Action::ScaleUp { by: 1 }]).await;
    rig.change(|world| {
        world.effect = Box::new(|world, _| {
            let api = world.processes.get_mut("api").unwrap();
            api.desired = if api.desired == 1 { 2 } else { 1 };
            Ok(())
        });
        world.event("api", EventKind::HealthFail);
    });
    rig.until("a call", 5, async |rig: &Rig| !rig.calls().is_empty())
        .await;
    let rig = rig.reborn().await;
    rig.crash();
    rig.outcome("failed", 120).await;
    assert_eq!(rig.calls().len(), 2, "{:?}", rig.calls());
    assert_eq!(rig.change(|world| world.processes["api"].desired), 1);
}

/// What got well while one thought is left alone.
#[tokio::test(start_paused = true)]
async fn a_plan_that_was_overtaken_does_not_run() {
    let rig = Rig::with(level(Autonomy::Autonomous), vec![]).await;
    let world = rig.world.clone();
    rig.change(|it| {
        it.slow_thought = Some(Box::new(move |_| {
            world
                .0
                .lock()
                .unwrap()
                .set("api", Status::Online, HealthStatus::Pass);
        }));
        it.thought = Box::new(|_| Some(proposal("bring-back", vec![restart()])));
    });
    rig.crash();
    rig.outcome("recovered", 200).await;
    assert!(rig.calls().is_empty(), "{:?}", rig.calls());
}

/// The next plan helps: nobody is called.
#[tokio::test(start_paused = true)]
async fn a_second_plan_may_help() {
    let rig = Rig::with(level(Autonomy::Autonomous), vec![]).await;
    rig.change(|world| {
        let asked = std::sync::atomic::AtomicUsize::new(0);
        world.thought =
            Box::new(
                move |_| match asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                    0 => Some(proposal("first", vec![Action::Reload])),
                    _ => Some(proposal("second", vec![restart()])),
                },
            );
        world.effect = Box::new(|world, command| {
            if command == "process.restart" {
                world.set("api", Status::Online, HealthStatus::Pass);
                return Ok(());
            }
            Err(ControlError::Busy { what: "it".into() })
        });
    });
    rig.crash();
    let row = rig.outcome("verified", 200).await;
    assert_eq!(rig.calls().len(), 2);
    assert!(!row.escalated, "{row:#?}");
}

/// With `supervised` nothing but what changes nothing runs unasked: whatever the sign, whatever
/// the plan, whether the first one helps or not.
#[tokio::test(start_paused = true)]
async fn supervised_does_nothing_unasked() {
    let limit = |key: &str, value: &str| Action::SetLimit {
        key: key.into(),
        value: value.into(),
    };
    let actions = [
        restart(),
        Action::KillRestart { instance: None },
        Action::Reload,
        Action::Start,
        halt(),
        Action::Stop,
        Action::ScaleUp { by: 1 },
        Action::ScaleDown { by: 1 },
        limit("max_memory", "150MB"),
        limit("max_restarts", "3"),
        Action::ClearError,
        Action::Rollback,
        Action::ClearLock { path: "/x".into() },
    ];
    let signs = [
        Some(EventKind::Crash),
        Some(EventKind::SpawnFailed),
        Some(EventKind::Errored),
        Some(EventKind::HealthFail),
        Some(EventKind::MemoryExceeded),
        // The slow look finds it.
        None,
    ];
    let mut tried = 0;
    for action in &actions {
        for sign in signs {
            let settings = Settings {
                role: Role::Admin,
                poll_interval: Duration::from_secs(1),
                ..level(Autonomy::Supervised)
            };
            let note = Action::LogIncident { text: "x".into() };
            let plan = vec![note, action.clone()];
            let rig = Rig::with(settings, plan.clone()).await;
            rig.change(|world| {
                world.check = agent::Check::Failed;
                world.otherwise = vec![halt()];
                world.set("api", Status::Errored, HealthStatus::Fail);
                match sign {
                    Some(kind) => world.event("api", kind),
                    None => {
                        world.silent = Box::new(move |_| Some(proposal("silent", plan.clone())));
                    }
                }
            });
            rig.until("an answer of the gate", 10, async |rig: &Rig| {
                let history = rig.agent.history(Default::default()).await.unwrap();
                history.first().is_some_and(|row| {
                    matches!(
                        row.state,
                        IncidentState::AwaitingApproval | IncidentState::Escalated
                    )
                })
            })
            .await;
            rig.pass(30).await;
            assert_eq!(rig.calls(), Vec::<String>::new(), "{action:?} {sign:?}");
            let history = rig.agent.history(Default::default()).await.unwrap();
            for act in history.iter().flat_map(|row| &row.actions) {
                assert!(act.result != "done" || act.risk == "none", "{act:?}");
            }
            tried += 1;
        }
    }
    assert_eq!(tried, actions.len() * signs.len());
    // A person's yes is all it takes.
    let rig = Rig::with(level(Autonomy::Supervised), vec![restart()]).await;
    rig.crash();
    let question = rig.question().await;
    let yes = rig
        .agent
        .approve(&person(Role::Operator), &question.id)
        .await;
    assert!(yes.is_ok(), "{yes:?}");
    rig.until("a call", 5, async |rig: &Rig| rig.calls().len() == 1)
        .await;
}
