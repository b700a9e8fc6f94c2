//! The agent in a world without processes, in paused time.
//! It is one piece although it is long: a test for each promise, all in the same rig.

mod rig;

use std::time::Duration;

use agent::Settings;
use agent::budget::Limits;
use agent::policy::Autonomy;
use brain::{Action, IncidentState, Severity};
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

/// A question about a world that is gone is withdrawn when that world goes, and not when somebody
/// answers or the next slow look comes.
#[tokio::test(start_paused = true)]
async fn a_restart_by_the_supervisor_withdraws_the_question_at_once() {
    let kill = Action::KillRestart { instance: None };
    let rig = Rig::with(level(Autonomy::Supervised), vec![kill]).await;
    rig.change(|world| {
        world.set("api", Status::Online, HealthStatus::Fail);
        world.event("api", EventKind::HealthFail);
    });
    let question = rig.question().await;
    rig.change(|world| {
        world.set("api", Status::Online, HealthStatus::Fail);
        world.event("api", EventKind::Online);
    });
    let gone = async |rig: &Rig| rig.agent.status().await.unwrap().pending.is_empty();
    rig.until("no open question", 2, gone).await;
    let old = rig.agent.actions().await.unwrap();
    let old = old.iter().find(|one| one.id == question.id).unwrap();
    assert_eq!(old.state.as_str(), "superseded");
    assert!(rig.calls().is_empty());
}

/// The same for a probe that passes again in the same run.
#[tokio::test(start_paused = true)]
async fn a_probe_that_passes_again_withdraws_the_question_at_once() {
    let kill = Action::KillRestart { instance: None };
    let rig = Rig::with(level(Autonomy::Supervised), vec![kill]).await;
    rig.change(|world| {
        world.set("api", Status::Online, HealthStatus::Fail);
        world.event("api", EventKind::HealthFail);
    });
    let question = rig.question().await;
    rig.change(|world| {
        let one = &mut world.processes.get_mut("api").unwrap().instances[0];
        one.health = HealthStatus::Pass;
        world.event("api", EventKind::HealthRecover);
    });
    // The scripted brain wants the same again at each sign; that is another question.
    let gone = async |rig: &Rig| {
        let all = rig.agent.actions().await.unwrap();
        let old = all.iter().find(|one| one.id == question.id).unwrap();
        old.state.as_str() == "superseded"
    };
    rig.until("the question is withdrawn", 2, gone).await;
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
