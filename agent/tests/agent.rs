//! The agent in a world without processes, in paused time.
//! It is one piece although it is long: a test for each promise, all in the same rig.

mod rig;

use std::time::Duration;

use agent::budget::Limits;
use agent::policy::Autonomy;
use agent::{Approvals, Settings};
use brain::{Action, ApprovalState, BrainStore, Decision, IncidentState, Severity};
use rig::{Rig, person, proposal, restart};
use supervisor::{Caller, ControlError, EventKind, HealthStatus, Role, Status, Via};

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

fn two_for_low() -> Settings {
    Settings {
        approvals: Approvals { low: 2, high: 1 },
        ..level(Autonomy::Supervised)
    }
}

fn somebody(principal: &str, via: Via) -> Caller {
    Caller {
        principal: principal.into(),
        role: Role::Operator,
        via,
    }
}

/// Two people, not one person twice, whichever way they come; and a kill in between.
#[tokio::test(start_paused = true)]
async fn a_second_person_has_to_say_yes() {
    let rig = Rig::with(two_for_low(), vec![restart()]).await;
    rig.crash();
    let asked = rig.question().await;
    assert_eq!((asked.wanted, asked.votes.len()), (2, 0));
    let ana = somebody("ana", Via::Cli);
    let first = rig.agent.approve(&ana, &asked.id).await.unwrap();
    assert_eq!(first.state, ApprovalState::Pending);
    let shown = agent::question(first).so_far().unwrap();
    assert!(shown.starts_with("1 of 2: cli:ana, "), "{shown}");
    assert!(shown.ends_with("; one more needed"), "{shown}");
    for again in [Via::Cli, Via::Rpc, Via::Mcp] {
        let refused = rig.agent.approve(&somebody("ana", again), &asked.id).await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("2 different people"), "{refused}");
    }
    rig.pass(30).await;
    assert_eq!(rig.calls(), Vec::<String>::new());

    let rig = rig.reborn().await;
    let open = rig.question().await;
    assert_eq!((open.id.as_str(), open.votes.len()), (asked.id.as_str(), 1));
    let refused = rig.agent.approve(&ana, &asked.id).await;
    assert!(refused.is_err(), "also after a restart");
    let ben = somebody("telegram:7", Via::Chat);
    let second = rig.agent.approve(&ben, &asked.id).await.unwrap();
    assert_eq!(second.state, ApprovalState::Approved);
    let row = rig.outcome("verified", 90).await;
    assert_eq!(rig.calls(), ["process.restart api as Operator"]);
    assert_eq!(row.actions[0].by, "cli:ana and chat:telegram:7");
    let all = rig.agent.actions().await.unwrap();
    let done = agent::question(all[0].clone());
    assert_eq!(done.state, "done");
    assert_eq!(
        done.decided_by.as_deref(),
        Some("cli:ana and chat:telegram:7")
    );
}

/// One no ends it, also of somebody who said yes; so does time.
#[tokio::test(start_paused = true)]
async fn a_no_or_silence_ends_a_half_approved_plan() {
    let rig = Rig::with(two_for_low(), vec![restart()]).await;
    rig.crash();
    let asked = rig.question().await;
    let ana = somebody("ana", Via::Cli);
    rig.agent.approve(&ana, &asked.id).await.unwrap();
    let no = rig.agent.deny(&somebody("ben", Via::Cli), &asked.id).await;
    assert_eq!(no.unwrap().decided_by.as_deref(), Some("cli:ben"));
    let row = rig.outcome("denied", 10).await;
    assert!(row.escalated && rig.calls().is_empty());

    let rig = Rig::with(two_for_low(), vec![restart()]).await;
    rig.crash();
    let asked = rig.question().await;
    rig.agent.approve(&ana, &asked.id).await.unwrap();
    rig.pass(604).await;
    let row = rig.outcome("denied", 5).await;
    assert!(row.actions[0].result.contains("too few"), "{row:?}");
    let ben = somebody("ben", Via::Cli);
    let late = rig.agent.approve(&ben, &asked.id).await;
    assert!(matches!(late, Err(ControlError::Conflict { .. })));
    assert!(rig.calls().is_empty());
}

/// A yes counts for one plan: another plan begins at none.
#[tokio::test(start_paused = true)]
async fn a_yes_does_not_carry_over_to_another_plan() {
    let rig = Rig::with(two_for_low(), vec![restart()]).await;
    rig.crash();
    let asked = rig.question().await;
    let ana = somebody("ana", Via::Cli);
    rig.agent.approve(&ana, &asked.id).await.unwrap();
    rig.change(|world| {
        world.thought = Box::new(|_| Some(proposal("other", vec![Action::Reload])));
        world.event("api", EventKind::HealthFail);
    });
    rig.until("another question", 60, async |rig: &Rig| {
        let pending = rig.agent.status().await.unwrap().pending;
        pending.iter().any(|one| one.id != asked.id)
    })
    .await;
    let other = rig.question().await;
    assert_eq!(
        (other.plan.as_slice(), other.votes.len()),
        (&["reload".to_owned()][..], 0)
    );
}

/// Who may decide is narrowed in the one place where it is decided.
#[tokio::test(start_paused = true)]
async fn only_approvers_decide() {
    let settings = Settings {
        approvers: vec!["telegram:7".into()],
        ..level(Autonomy::Supervised)
    };
    let rig = Rig::with(settings, vec![restart()]).await;
    rig.crash();
    let asked = rig.question().await;
    let root = Caller::local("root", Via::Cli);
    let minute = Duration::from_secs(60);
    for refused in [
        rig.agent.approve(&root, &asked.id).await,
        rig.agent.deny(&root, &asked.id).await,
        rig.agent.snooze(&root, &asked.id, minute).await,
    ] {
        let refused = refused.unwrap_err();
        assert!(matches!(refused, ControlError::NotListed { .. }));
        assert!(refused.to_string().contains("telegram:7"), "{refused}");
    }
    let listed = somebody("telegram:7", Via::Chat);
    rig.agent.approve(&listed, &asked.id).await.unwrap();
    rig.outcome("verified", 90).await;
}

/// Sixty newer ones do not hide a question that waits.
#[tokio::test(start_paused = true)]
async fn an_open_question_is_never_hidden() {
    let rig = Rig::with(level(Autonomy::Supervised), vec![restart()]).await;
    rig.crash();
    let asked = rig.question().await;
    let path = rig.folder.path().join("history.db");
    let old = rig.agent.question(&asked.id).await.unwrap().unwrap();
    let more = tokio::task::spawn_blocking(move || {
        let (store, _thread) = BrainStore::open(&path).expect("a history");
        for number in 0..60_u32 {
            let newer = brain::Approval {
                id: format!("old{number}"),
                state: ApprovalState::Denied,
                created: old.created + Duration::from_secs(1),
                ..old.clone()
            };
            store.add_approval(newer).wait().expect("a row");
        }
    });
    more.await.unwrap();
    let all = rig.agent.actions().await.unwrap();
    assert_eq!(all[0].id, asked.id);
    assert_eq!(rig.agent.open_questions().await.unwrap().len(), 1);
    let of = rig.agent.questions_of(all[0].incident).await.unwrap();
    assert_eq!(of.len(), 61);
}

/// The daemon dies right after it has written down an answer, and comes back.
async fn reborn_after(rig: Rig, id: &str, answer: ApprovalState, by: &str) -> Rig {
    let path = rig.folder.path().join("history.db");
    let (id, by, at) = (id.to_owned(), by.to_owned(), rig.clock.now());
    assert!(rig.tasks.shutdown(Duration::from_secs(5)).await.is_empty());
    let written = tokio::task::spawn_blocking(move || {
        let (store, _thread) = BrainStore::open(&path).expect("a history");
        let pending = ApprovalState::Pending;
        store
            .decide(id, pending, answer, by, at)
            .wait()
            .expect("an answer")
    });
    assert!(matches!(written.await.expect("no panic"), Decision::Won(_)));
    rig.reborn().await
}

/// A kill between the answer and what follows from it: a yes is carried out once, a no hands
/// the incident over.
#[tokio::test(start_paused = true)]
async fn an_answer_outlives_the_daemon_that_took_it() {
    let rig = Rig::with(level(Autonomy::Supervised), vec![restart()]).await;
    rig.crash();
    let question = rig.question().await;
    let yes = ApprovalState::Approved;
    let rig = reborn_after(rig, &question.id, yes, "chat:telegram:42").await;
    rig.outcome("verified", 120).await;
    assert_eq!(rig.calls(), ["process.restart api as Operator"]);
    let rig = rig.reborn().await;
    rig.pass(60).await;
    assert_eq!(rig.calls().len(), 1);

    let rig = Rig::with(level(Autonomy::Supervised), vec![restart()]).await;
    rig.crash();
    let question = rig.question().await;
    let no = ApprovalState::Denied;
    let rig = reborn_after(rig, &question.id, no, "cli:ana").await;
    let row = rig.outcome("denied", 10).await;
    assert_eq!(row.state, IncidentState::Escalated);
    assert!(rig.calls().is_empty());
}

/// A pause that ends some day after everybody has forgotten it is a stop that nobody sees.
#[tokio::test(start_paused = true)]
async fn a_pause_has_an_end() {
    let rig = Rig::new(vec![restart()]).await;
    let ana = person(Role::Admin);
    let day = Duration::from_secs(86_400);
    for time in [Duration::ZERO, agent::LONGEST_PAUSE + day, Duration::MAX] {
        let refused = rig.agent.pause(&ana, time).await.unwrap_err();
        assert!(refused.to_string().contains("at most 90d"), "{refused}");
        assert_eq!(rig.agent.status().await.unwrap().paused_until, None);
    }
    let status = rig.agent.pause(&ana, agent::LONGEST_PAUSE).await.unwrap();
    assert!(status.paused_until.is_some());
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

/// A daemon that ended has stopped what it held: nobody holds it once more.
#[tokio::test(start_paused = true)]
async fn what_is_not_meant_to_run_is_not_held() {
    let rig = Rig::new(vec![halt()]).await;
    rig.crash();
    rig.outcome("contained", 90).await;
    let rig = rig
        .reborn_while(|world| {
            world.set("api", Status::Stopped, HealthStatus::Off);
            let api = world.processes.get_mut("api").unwrap();
            (api.wanted, api.held) = (false, false);
            world.event("api", EventKind::Crash);
        })
        .await;
    rig.pass(60).await;
    assert_eq!(rig.calls(), ["process.hold api as Operator"]);
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
            [
                "opened",
                "diagnosed",
                "gate",
                "began",
                "before",
                "acted",
                "verified"
            ]
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
