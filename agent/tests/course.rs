//! A plan that takes its time, and what happens meanwhile: what is refused by then is not done.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test fail like the test"
)]

#[expect(dead_code, reason = "the rig serves other tests, too")]
mod rig;

use std::time::Duration;

use agent::Settings;
use agent::policy::Autonomy;
use brain::{Action, IncidentState};
use rig::{Rig, restart};

/// It waits a minute, then restarts. Nobody is asked.
async fn waiting() -> Rig {
    let rig = Rig::new(vec![Action::Wait(Duration::from_secs(60)), restart()]).await;
    rig.crash();
    rig.until("it acts", 10, async |rig: &Rig| {
        let history = rig.agent.history(Default::default()).await.unwrap();
        history.first().map(|row| row.state) == Some(IncidentState::Acting)
    })
    .await;
    rig.pass(5).await;
    rig
}

/// It is with a person, who is told why, and nothing was called.
async fn broken_off(rig: &Rig, why: &str) {
    let row = rig.outcome("failed", 90).await;
    assert!(row.escalated && rig.calls().is_empty(), "{why}: {row:?}");
    let told = rig.change(|world| world.told.clone());
    assert!(told.iter().any(|one| one.text.contains(why)), "{told:?}");
    // Nobody knows whether it would have helped.
    let outcome = row.actions[0].outcome.as_deref();
    assert_eq!(outcome, Some("unknown"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn the_brake_holds_between_two_steps() {
    let rig = waiting().await;
    rig.agent.stop().await.unwrap();
    broken_off(&rig, "somebody stopped the agent").await;
}

#[tokio::test(start_paused = true)]
async fn what_is_blocked_meanwhile_is_not_done() {
    let rig = waiting().await;
    rig.agent.reconfigure(Settings {
        blocked: vec!["restart".into()],
        ..Settings::default()
    });
    broken_off(&rig, "blocked_actions").await;

    let rig = waiting().await;
    rig.change(|world| {
        let api = world.processes.get_mut("api").unwrap();
        api.autonomy = Some(Autonomy::Manual);
    });
    broken_off(&rig, "only a person acts").await;
}

#[tokio::test(start_paused = true)]
async fn what_a_person_took_in_hand_is_left_alone() {
    let rig = waiting().await;
    rig.change(|world| world.processes.get_mut("api").unwrap().held = true);
    broken_off(&rig, "somebody holds it").await;

    let rig = waiting().await;
    rig.change(|world| world.processes.get_mut("api").unwrap().wanted = false);
    broken_off(&rig, "not meant to run").await;
}

/// A plan that takes a process down itself is not broken off by what it did.
#[tokio::test(start_paused = true)]
async fn its_own_steps_are_nobodys_word() {
    let halt = Action::Halt {
        reason: "it loops".into(),
    };
    let rig = Rig::new(vec![halt, Action::ClearError]).await;
    rig.change(|world| {
        let effect = std::mem::replace(&mut world.effect, Box::new(|_, _| Ok(())));
        world.effect = Box::new(move |world, command| {
            effect(world, command)?;
            world.processes.get_mut("api").unwrap().held = command == "process.hold";
            Ok(())
        });
    });
    rig.crash();
    rig.until("both steps", 30, async |rig: &Rig| rig.calls().len() == 2)
        .await;
}

/// The brake also holds what a playbook wants when its plan did not help.
#[tokio::test(start_paused = true)]
async fn a_stopped_agent_contains_nothing() {
    let halt = Action::Halt {
        reason: "it loops".into(),
    };
    let rig = Rig::new(vec![restart()]).await;
    rig.change(|world| {
        world.effect = Box::new(|_, _| Ok(()));
        world.check = agent::Check::Wait;
        world.otherwise = vec![halt];
    });
    rig.crash();
    rig.until("a call", 10, async |rig: &Rig| !rig.calls().is_empty())
        .await;
    rig.agent.stop().await.unwrap();
    rig.change(|world| world.check = agent::Check::Failed);
    rig.outcome("failed", 90).await;
    rig.pass(10).await;
    assert_eq!(rig.calls(), ["process.restart api as Operator"]);
}
