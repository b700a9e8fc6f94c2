//! A yes, and the moment at which its plan would begin: whatever is no longer allowed then does
//! not run.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test fail like the test"
)]

#[expect(dead_code, reason = "the rig serves other tests, too")]
mod rig;

use agent::policy::Autonomy;
use agent::{Approvals, Settings};
use brain::{Action, ApprovalState};
use rig::{Rig, proposal, restart};
use supervisor::{Caller, ControlError, EventKind, HealthStatus, Role, Status, Via};

fn asking() -> Settings {
    Settings {
        brain_autonomy: Autonomy::Supervised,
        autonomy: Autonomy::Supervised,
        ..Settings::default()
    }
}

fn somebody(principal: &str, via: Via) -> Caller {
    Caller {
        principal: principal.into(),
        role: Role::Operator,
        via,
    }
}

async fn state_of(rig: &Rig, id: &str) -> ApprovalState {
    rig.agent.question(id).await.unwrap().unwrap().state
}

/// Whoever is no approver any more said nothing: the second yes is the first then.
#[tokio::test(start_paused = true)]
async fn a_yes_of_somebody_who_left_does_not_count() {
    let four_eyes = |approvers: &[&str]| Settings {
        approvals: Approvals { low: 2, high: 2 },
        approvers: approvers.iter().map(|&one| one.to_owned()).collect(),
        ..asking()
    };
    let (ana, ben) = (somebody("ana", Via::Cli), somebody("ben", Via::Cli));
    let rig = Rig::with(four_eyes(&["cli:ana", "cli:ben"]), vec![restart()]).await;
    rig.crash();
    let asked = rig.question().await;
    rig.agent.approve(&ana, &asked.id).await.unwrap();
    rig.agent.reconfigure(four_eyes(&["cli:ben", "cli:eve"]));
    let second = rig.agent.approve(&ben, &asked.id).await.unwrap();
    assert_eq!(second.state, ApprovalState::Pending);
    let shown = agent::question(second).so_far().unwrap();
    assert!(shown.starts_with("1 of 2: cli:ben, "), "{shown}");
    assert!(shown.contains("one more needed"), "{shown}");
    assert!(
        shown.ends_with("the yes of cli:ana no longer counts"),
        "{shown}"
    );
    rig.pass(30).await;
    assert_eq!(rig.calls(), Vec::<String>::new());
    let eve = somebody("eve", Via::Cli);
    rig.agent.approve(&eve, &asked.id).await.unwrap();
    let row = rig.outcome("verified", 90).await;
    assert_eq!(row.actions[0].by, "cli:ben and cli:eve");
}

/// What the gate refuses at the moment of the yes does not run, and a person has it.
#[tokio::test(start_paused = true)]
async fn a_yes_to_what_is_refused_by_now_runs_nothing() {
    let blocked = Settings {
        blocked: vec!["restart".into()],
        ..asking()
    };
    let manual = Settings {
        brain_autonomy: Autonomy::Manual,
        autonomy: Autonomy::Manual,
        ..asking()
    };
    for (settings, why) in [(blocked, "blocked_actions"), (manual, "manual")] {
        let rig = Rig::with(asking(), vec![restart()]).await;
        rig.crash();
        let asked = rig.question().await;
        rig.agent.reconfigure(settings.clone());
        let ana = somebody("ana", Via::Cli);
        let said = rig.agent.approve(&ana, &asked.id).await.unwrap_err();
        assert!(matches!(said, ControlError::Conflict { .. }), "{said}");
        assert!(said.to_string().contains(why), "{said}");
        let row = rig.outcome("refused", 60).await;
        assert!(row.escalated);
        assert_eq!(state_of(&rig, &asked.id).await, ApprovalState::Superseded);
        assert_eq!(rig.calls(), Vec::<String>::new(), "{why}");

        // The same, where the settings change after the yes and before the plan begins.
        let rig = Rig::with(asking(), vec![restart()]).await;
        rig.crash();
        let asked = rig.question().await;
        rig.agent.approve(&ana, &asked.id).await.unwrap();
        rig.agent.reconfigure(settings);
        let row = rig.outcome("refused", 60).await;
        assert!(row.actions.iter().any(|one| one.result.contains(why)));
        assert_eq!(state_of(&rig, &asked.id).await, ApprovalState::Superseded);
        assert_eq!(rig.calls(), Vec::<String>::new(), "{why}");
        let told = rig.change(|world| world.told.clone());
        assert!(told.iter().any(|one| one.text.contains(why)), "{told:?}");
    }
}

/// A question waits while the agent is stopped: a yes is refused then, and counts afterwards.
#[tokio::test(start_paused = true)]
async fn a_yes_waits_while_the_agent_is_stopped() {
    let rig = Rig::with(asking(), vec![restart()]).await;
    rig.crash();
    let asked = rig.question().await;
    rig.agent.stop().await.unwrap();
    let ana = somebody("ana", Via::Cli);
    let said = rig.agent.approve(&ana, &asked.id).await.unwrap_err();
    assert!(said.to_string().contains("mhost agent start"), "{said}");
    rig.pass(30).await;
    assert_eq!(rig.calls(), Vec::<String>::new());
    assert_eq!(state_of(&rig, &asked.id).await, ApprovalState::Pending);
    rig.agent.start().await.unwrap();
    rig.agent.approve(&ana, &asked.id).await.unwrap();
    rig.outcome("verified", 90).await;
}

/// A yes to a low risk is none to a high one: people are asked anew, and told what it is.
#[tokio::test(start_paused = true)]
async fn a_plan_that_became_riskier_is_asked_about_anew() {
    let rig = Rig::with(asking(), vec![Action::KillRestart { instance: None }]).await;
    rig.change(|world| {
        world.set("api", Status::Online, HealthStatus::Fail);
        world.event("api", EventKind::HealthFail);
    });
    let asked = rig.question().await;
    assert_eq!(asked.risk, "low");
    rig.change(|world| {
        let api = world.processes.get_mut("api").unwrap();
        api.instances[0].health = HealthStatus::Off;
    });
    let ana = somebody("ana", Via::Cli);
    let said = rig.agent.approve(&ana, &asked.id).await.unwrap_err();
    assert!(said.to_string().contains("high risk now"), "{said}");
    rig.until("another question", 60, async |rig: &Rig| {
        let pending = rig.agent.status().await.unwrap().pending;
        pending.iter().any(|one| one.risk == "high")
    })
    .await;
    assert_eq!(rig.calls(), Vec::<String>::new());
}

/// What a model thought up nobody thinks up again: a person has it then.
#[tokio::test(start_paused = true)]
async fn what_nobody_would_plan_again_is_handed_over() {
    let rig = Rig::with(asking(), vec![]).await;
    rig.change(|world| {
        world.thought = Box::new(|_| Some(proposal("model:double/x", vec![restart()])));
    });
    rig.crash();
    let asked = rig.question().await;
    let ana = somebody("ana", Via::Cli);
    rig.agent.approve(&ana, &asked.id).await.unwrap();
    // The answer is on record, and the daemon dies before it does anything.
    std::fs::write(rig.folder.path().join("agent.json"), r#"{"started":false}"#).unwrap();
    let rig = rig.reborn().await;
    let row = rig.outcome("refused", 60).await;
    assert!(row.escalated && rig.calls().is_empty());
    let told = rig.change(|world| world.told.clone());
    let told = told.iter().find(|one| one.escalation).unwrap();
    assert!(told.text.contains("stopped the agent"), "{told:?}");
}

/// What only a look finds has no events: as long as looks find it the question stays open, and
/// once they do not it is over.
#[tokio::test(start_paused = true)]
async fn a_question_about_what_only_looks_find_waits_as_long_as_it_is_found() {
    let settings = Settings {
        approval_timeout: std::time::Duration::from_secs(3_600),
        ..asking()
    };
    let rig = Rig::with(settings, vec![]).await;
    rig.change(|world| world.silent = Box::new(|_| Some(proposal("silent", vec![restart()]))));
    let asked = rig.question().await;
    rig.pass(600).await;
    assert_eq!(state_of(&rig, &asked.id).await, ApprovalState::Pending);
    let history = rig.agent.history(Default::default()).await.unwrap();
    assert_eq!(history.len(), 1, "{history:?}");
    rig.change(|world| world.silent = Box::new(|_| None));
    rig.pass(200).await;
    assert_ne!(state_of(&rig, &asked.id).await, ApprovalState::Pending);
}
