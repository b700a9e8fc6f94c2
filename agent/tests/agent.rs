//! The agent in a world without processes, in paused time.
//! It is one piece although it is long: a test for each promise, all in the same rig.

mod rig;

use std::time::Duration;

use agent::Settings;
use agent::budget::Limits;
use agent::policy::Autonomy;
use brain::{Action, IncidentState, Severity, SymptomKind};
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

/// Without any configuration a low risk plan runs, is measured, and is told.
#[tokio::test(start_paused = true)]
async fn a_crash_is_healed_without_configuration() {
    let rig = Rig::new(vec![restart()]).await;
    rig.crash();
    rig.until("a call", 5, async |rig: &Rig| !rig.calls().is_empty())
        .await;
    // Returned is not healed: it has to stay well for the window.
    rig.pass(50).await;
    let history = rig.agent.history(Default::default()).await.unwrap();
    assert_eq!(history[0].state, IncidentState::Verifying);
    assert_eq!(history[0].outcome, None);
    let row = rig.outcome("verified", 20).await;
    assert_eq!(row.state, IncidentState::Resolved);
    assert_eq!(row.actions.len(), 1);
    assert_eq!(row.actions[0].action, "restart");
    assert_eq!(row.actions[0].result, "done");
    assert_eq!(row.actions[0].outcome.as_deref(), Some("success"));
    assert_eq!(row.by, "brain:bring-back");
    assert_eq!(rig.calls(), ["process.restart api as Operator"]);
}

/// No second action while the first is not measured, whatever happens meanwhile.
#[tokio::test(start_paused = true)]
async fn one_unverified_action_at_a_time() {
    let rig = Rig::new(vec![restart()]).await;
    rig.crash();
    rig.until("a call", 5, async |rig: &Rig| !rig.calls().is_empty())
        .await;
    for _ in 0..5 {
        rig.change(|world| world.event("api", EventKind::HealthFail));
        rig.pass(2).await;
    }
    assert_eq!(rig.calls().len(), 1);
}

/// A crash after the action is a failure at once, and a person is told; the same is not
/// tried again.
#[tokio::test(start_paused = true)]
async fn what_did_not_help_is_escalated() {
    let rig = Rig::new(vec![restart()]).await;
    rig.crash();
    rig.until("a call", 5, async |rig: &Rig| !rig.calls().is_empty())
        .await;
    rig.pass(3).await;
    rig.crash();
    let row = rig.outcome("failed", 5).await;
    assert!(row.escalated);
    assert_eq!(row.state, IncidentState::Escalated);
    assert_eq!(row.actions.last().unwrap().action, "escalate");
    rig.crash();
    rig.pass(30).await;
    assert_eq!(rig.calls().len(), 1);
    assert!(rig.change(|world| world.told.iter().any(|notice| notice.escalation)));
}

/// A command that fails ends the plan.
#[tokio::test(start_paused = true)]
async fn a_failing_step_ends_the_plan() {
    let rig = Rig::new(vec![restart(), Action::ClearError]).await;
    rig.change(|world| {
        world.effect = Box::new(|_, _| {
            Err(ControlError::Busy {
                what: "the registry".into(),
            })
        });
    });
    rig.crash();
    let row = rig.outcome("failed", 5).await;
    assert_eq!(rig.calls().len(), 1);
    assert!(row.actions[0].result.starts_with("failed: too busy"));
    assert!(row.escalated);
}

/// High risk is asked for in semi; a yes runs it with the role of the person.
#[tokio::test(start_paused = true)]
async fn an_approved_plan_runs_with_the_approvers_role() {
    let rig = Rig::new(vec![Action::Stop]).await;
    rig.change(|world| world.event("api", EventKind::HealthFail));
    let question = rig.question().await;
    assert_eq!(question.plan, ["stop"]);
    assert_eq!(rig.calls(), Vec::<String>::new());
    let history = rig.agent.history(Default::default()).await.unwrap();
    assert_eq!(history[0].actions[0].result, "pending");
    assert_eq!(history[0].state, IncidentState::AwaitingApproval);

    let person_of = person(Role::Operator);
    let operator = rig.agent.approve(&person_of, &question.id);
    assert!(matches!(
        operator.await,
        Err(ControlError::Forbidden {
            needed: Role::Admin,
            ..
        })
    ));
    rig.change(|world| {
        world.effect = Box::new(|world, _| {
            world.set("api", Status::Stopped, HealthStatus::Off);
            Ok(())
        });
    });
    rig.agent
        .approve(&person(Role::Admin), &question.id)
        .await
        .unwrap();
    let row = rig.outcome("contained", 90).await;
    assert_eq!(rig.calls(), ["process.stop api as Admin"]);
    assert_eq!(row.actions[0].by, "cli:ana");
    let all = rig.agent.actions().await.unwrap();
    assert_eq!(all[0].state.as_str(), "done");
    let again = rig.agent.approve(&person(Role::Admin), &question.id).await;
    assert!(matches!(again, Err(ControlError::Conflict { .. })));
}

/// Silence is a no.
#[tokio::test(start_paused = true)]
async fn an_expired_question_is_a_no() {
    let rig = Rig::with(level(Autonomy::Supervised), vec![restart()]).await;
    rig.crash();
    let question = rig.question().await;
    rig.pass(599).await;
    assert_eq!(rig.agent.status().await.unwrap().pending.len(), 1);
    rig.pass(5).await;
    let row = rig.outcome("denied", 5).await;
    assert!(row.escalated && rig.calls().is_empty());
    assert!(row.actions[0].result.starts_with("denied"));
    assert_eq!(
        rig.agent.actions().await.unwrap()[0].state.as_str(),
        "expired"
    );
    let late = rig.agent.approve(&person(Role::Admin), &question.id).await;
    assert!(matches!(late, Err(ControlError::Conflict { .. })));
}

/// A no is a no, and the incident is a person's.
#[tokio::test(start_paused = true)]
async fn a_denied_plan_does_not_run() {
    let rig = Rig::with(level(Autonomy::Supervised), vec![restart()]).await;
    rig.crash();
    let question = rig.question().await;
    rig.agent
        .deny(&person(Role::Operator), &question.id)
        .await
        .unwrap();
    rig.crash();
    rig.pass(60).await;
    let row = rig.outcome("denied", 5).await;
    assert_eq!(row.state, IncidentState::Escalated);
    assert!(rig.calls().is_empty());
}

/// Another plan needs another yes.
#[tokio::test(start_paused = true)]
async fn a_changed_plan_supersedes_the_question() {
    let rig = Rig::with(level(Autonomy::Supervised), vec![restart()]).await;
    rig.crash();
    let first = rig.question().await;
    rig.change(|world| {
        world.thought =
            Box::new(|incident| (incident.id.0 != 0).then(|| proposal("loop", vec![halt()])));
    });
    rig.crash();
    rig.until("a second question", 10, async |rig: &Rig| {
        let pending = rig.agent.status().await.unwrap().pending;
        pending.len() == 1 && pending[0].id != first.id
    })
    .await;
    let old = rig.agent.approve(&person(Role::Admin), &first.id).await;
    assert!(matches!(old, Err(ControlError::Conflict { .. })));
    assert!(rig.calls().is_empty());
    let second = rig.question().await;
    rig.agent
        .approve(&person(Role::Operator), &second.id)
        .await
        .unwrap();
    rig.outcome("contained", 90).await;
    assert_eq!(rig.calls(), ["process.hold api as Operator"]);
}

/// A yes to a world that is gone does nothing.
#[tokio::test(start_paused = true)]
async fn preconditions_are_checked_at_the_yes() {
    let rig = Rig::with(level(Autonomy::Supervised), vec![restart()]).await;
    rig.crash();
    let question = rig.question().await;
    rig.change(|world| world.set("api", Status::Online, HealthStatus::Pass));
    let answer = rig.agent.approve(&person(Role::Admin), &question.id).await;
    assert!(
        matches!(answer, Err(ControlError::Conflict { .. })),
        "{answer:?}"
    );
    assert!(rig.calls().is_empty());
    assert_eq!(
        rig.agent.actions().await.unwrap()[0].state.as_str(),
        "superseded"
    );
}

/// What is well again by itself needs nobody.
#[tokio::test(start_paused = true)]
async fn recovery_withdraws_the_question() {
    let rig = Rig::with(level(Autonomy::Supervised), vec![restart()]).await;
    rig.crash();
    rig.question().await;
    rig.change(|world| world.set("api", Status::Online, HealthStatus::Pass));
    let row = rig.outcome("recovered", 120).await;
    assert_eq!(row.state, IncidentState::Resolved);
    assert!(rig.agent.status().await.unwrap().pending.is_empty());
    assert_eq!(
        rig.agent.actions().await.unwrap()[0].state.as_str(),
        "superseded"
    );
}

/// The budget of a process is used up: from then on a person is asked.
#[tokio::test(start_paused = true)]
async fn over_budget_asks() {
    let settings = Settings {
        limits: Limits {
            per_hour: 10,
            per_process: 2,
            cooldown: Duration::ZERO,
        },
        ..Settings::default()
    };
    let rig = Rig::with(settings, vec![restart()]).await;
    for done in 1..=2 {
        rig.crash();
        rig.until("a call", 5, async |rig: &Rig| rig.calls().len() == done)
            .await;
        rig.outcome("verified", 90).await;
    }
    rig.crash();
    rig.question().await;
    assert_eq!(rig.calls().len(), 2);
    let status = rig.agent.status().await.unwrap();
    assert_eq!((status.budget.used, status.budget.max), (2, 10));
    // After an hour there is a new budget.
    rig.pass(4000).await;
    rig.change(|world| world.set("api", Status::Online, HealthStatus::Pass));
    rig.pass(200).await;
    rig.crash();
    rig.until("a third call", 30, async |rig: &Rig| rig.calls().len() == 3)
        .await;
}

/// The same playbook does not act twice on a process within its cooldown.
#[tokio::test(start_paused = true)]
async fn a_playbook_cools_down() {
    let rig = Rig::new(vec![restart()]).await;
    rig.crash();
    rig.outcome("verified", 90).await;
    rig.crash();
    rig.question().await;
    assert_eq!(rig.calls().len(), 1);
}

/// Three failures in a row, and it keeps its hands off for an hour.
#[tokio::test(start_paused = true)]
async fn failures_in_a_row_pause_the_agent() {
    let settings = Settings {
        limits: Limits {
            per_hour: 10,
            per_process: 10,
            cooldown: Duration::ZERO,
        },
        ..Settings::default()
    };
    let rig = Rig::with(settings, vec![restart()]).await;
    rig.change(|world| world.check = agent::Check::Failed);
    for failed in 1..=3 {
        rig.crash();
        rig.until("a call", 5, async |rig: &Rig| rig.calls().len() == failed)
            .await;
        rig.outcome("failed", 90).await;
        rig.change(|world| world.set("api", Status::Online, HealthStatus::Pass));
        rig.until("an end", 200, async |rig: &Rig| {
            rig.agent.status().await.unwrap().open_incidents == 0
        })
        .await;
    }
    let status = rig.agent.status().await.unwrap();
    assert!(status.paused_until.is_some(), "{status:?}");
    rig.crash();
    rig.question().await;
    assert_eq!(rig.calls().len(), 3);
    // The pause outlives the daemon, and a person ends it.
    let rig = rig.reborn().await;
    assert!(rig.agent.status().await.unwrap().paused_until.is_some());
    let status = rig.agent.resume().await.unwrap();
    assert_eq!(status.paused_until, None);
}

/// `agent stop` is the brake; `agent start` lets it act on what is still wrong.
#[tokio::test(start_paused = true)]
async fn stop_is_the_brake() {
    let settings = Settings {
        autonomy: Autonomy::Semi,
        ..Settings::default()
    };
    let rig = Rig::with(settings, vec![restart()]).await;
    rig.agent.stop().await.unwrap();
    rig.crash();
    rig.pass(60).await;
    assert!(rig.calls().is_empty());
    let history = rig.agent.history(Default::default()).await.unwrap();
    assert_eq!(history.len(), 1, "it is still seen");
    let rig = rig.reborn().await;
    assert!(rig.agent.status().await.unwrap().stopped);
    rig.agent.start().await.unwrap();
    rig.until("a call", 5, async |rig: &Rig| !rig.calls().is_empty())
        .await;
}

/// What was being done when the daemon died is measured, not repeated.
#[tokio::test(start_paused = true)]
async fn an_action_is_not_repeated_by_a_new_daemon() {
    let rig = Rig::new(vec![restart()]).await;
    rig.crash();
    rig.until("a call", 5, async |rig: &Rig| !rig.calls().is_empty())
        .await;
    rig.pass(5).await;
    let rig = rig.reborn().await;
    rig.outcome("verified", 90).await;
    assert_eq!(rig.calls().len(), 1);
}

/// A pending question survives the daemon, and so does its deadline.
#[tokio::test(start_paused = true)]
async fn questions_survive_the_daemon() {
    let rig = Rig::with(level(Autonomy::Supervised), vec![restart()]).await;
    rig.crash();
    let before = rig.question().await;
    let rig = rig.reborn().await;
    let after = rig.question().await;
    assert_eq!(before, after);
    rig.agent
        .approve(&person(Role::Operator), &after.id)
        .await
        .unwrap();
    rig.outcome("verified", 90).await;
    assert_eq!(rig.calls(), ["process.restart api as Operator"]);
}

/// A manual process is only looked at.
#[tokio::test(start_paused = true)]
async fn a_process_lowers_the_level() {
    let rig = Rig::with(level(Autonomy::Autonomous), vec![restart()]).await;
    rig.change(|world| {
        world.processes.get_mut("api").unwrap().autonomy = Some(Autonomy::Manual);
    });
    rig.crash();
    let row = rig.outcome("refused", 10).await;
    assert!(row.escalated && rig.calls().is_empty());
    assert!(row.actions[0].result.starts_with("refused"));
    assert!(rig.agent.status().await.unwrap().pending.is_empty());
}

/// What halts a process waits for a person afterwards.
#[tokio::test(start_paused = true)]
async fn a_halted_process_waits_for_a_person() {
    let notify = Action::Notify {
        severity: Severity::Critical,
        text: "it crash-loops and is held".into(),
    };
    let rig = Rig::new(vec![halt(), notify]).await;
    rig.crash();
    let row = rig.outcome("contained", 30).await;
    assert_eq!(row.state, IncidentState::Escalated);
    assert!(row.escalated);
    assert_eq!(rig.calls(), ["process.hold api as Operator"]);
    // A person brings it back, and the incident ends.
    rig.change(|world| world.set("api", Status::Online, HealthStatus::Pass));
    rig.until("an end", 120, async |rig: &Rig| {
        rig.agent.status().await.unwrap().open_incidents == 0
    })
    .await;
}

/// A person has it, but damage is still contained.
#[tokio::test(start_paused = true)]
async fn damage_is_contained_after_an_escalation() {
    let rig = Rig::new(vec![Action::Escalate {
        text: "the port is taken".into(),
    }])
    .await;
    rig.crash();
    rig.outcome("escalated", 10).await;
    rig.change(|world| {
        world.thought = Box::new(|_| Some(proposal("rapid-crash", vec![halt()])));
    });
    rig.crash();
    rig.outcome("contained", 30).await;
    assert_eq!(rig.calls(), ["process.hold api as Operator"]);
}

/// Trouble without an event is found by the slow look.
#[tokio::test(start_paused = true)]
async fn the_slow_look_finds_silent_trouble() {
    let rig = Rig::new(vec![]).await;
    rig.pass(40).await;
    assert!(
        rig.agent
            .history(Default::default())
            .await
            .unwrap()
            .is_empty()
    );
    rig.change(|world| {
        world.set("api", Status::Online, HealthStatus::Fail);
        world.silent = Box::new(|_| {
            Some(proposal(
                "zombie-process",
                vec![Action::KillRestart { instance: None }],
            ))
        });
    });
    let row = rig.outcome("verified", 200).await;
    assert_eq!(row.trigger, "tick");
    assert_eq!(rig.calls(), ["process.restart api as Operator"]);
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

/// What a playbook wants when its plan failed: told, and contained.
#[tokio::test(start_paused = true)]
async fn the_otherwise_step_contains_damage() {
    let rig = Rig::new(vec![restart()]).await;
    rig.change(|world| {
        world.check = agent::Check::Failed;
        world.otherwise = vec![Action::Stop];
    });
    rig.crash();
    rig.outcome("failed", 10).await;
    rig.pass(5).await;
    assert_eq!(rig.calls().len(), 1, "to stop needs a person");
    let rig = Rig::new(vec![restart()]).await;
    rig.change(|world| {
        world.effect = Box::new(|_, _| Ok(()));
        world.check = agent::Check::Failed;
        world.otherwise = vec![halt()];
    });
    rig.crash();
    rig.until("a hold", 10, async |rig: &Rig| rig.calls().len() == 2)
        .await;
    assert_eq!(rig.calls()[1], "process.hold api as Operator");
}

/// `brain explain` tells the whole story.
#[tokio::test(start_paused = true)]
async fn the_story_can_be_told() {
    let rig = Rig::new(vec![restart()]).await;
    rig.crash();
    rig.outcome("verified", 90).await;
    for what in ["crash", "api", "inc-1", "1"] {
        let told = rig.agent.explain(what).await.unwrap();
        assert_eq!(told.root_cause.as_deref(), Some("api lost its mind"));
        let kinds: Vec<_> = told.story.iter().map(|one| one.kind.as_str()).collect();
        assert_eq!(
            kinds,
            ["opened", "diagnosed", "gate", "before", "acted", "verified"]
        );
    }
    assert!(rig.agent.explain("nobody").await.is_err());
}

/// What died while there was no daemon is found dead when processes are adopted, before the
/// agent is there; it acts on that as on any other crash, and once.
#[tokio::test(start_paused = true)]
async fn what_is_found_dead_at_adoption_is_healed() {
    let rig = Rig::new(vec![restart()]).await;
    let rig = rig
        .reborn_while(|world| {
            world.set("api", Status::Errored, HealthStatus::Off);
            world.event("api", EventKind::Crash);
        })
        .await;
    rig.until("a call", 5, async |rig: &Rig| !rig.calls().is_empty())
        .await;
    rig.pass(5).await;
    assert_eq!(rig.calls().len(), 1);
}
