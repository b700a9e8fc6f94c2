//! A daemon that is killed while a plan is carried out: what was approved is done once, and
//! nothing is taken as done that was not.

#![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

mod rig;

use std::time::Duration;

use agent::Settings;
use agent::policy::Autonomy;
use brain::{Action, ApprovalState, BrainStore, Decision, IncidentInput, IncidentState};
use supervisor::Role;

use rig::{Rig, person, restart};

fn level(brain_autonomy: Autonomy) -> Settings {
    Settings {
        brain_autonomy,
        ..Settings::default()
    }
}

/// A question that was answered with yes, of a daemon that died in the command after
/// so many, before or after that was `done`.
async fn killed(plan: Vec<Action>, done: bool, after: usize) -> Rig {
    let rig = Rig::with(level(Autonomy::Supervised), plan).await;
    rig.crash();
    let question = rig.question().await;
    rig.change(|world| {
        let effect = std::mem::replace(&mut world.effect, Box::new(|_, _| Ok(())));
        world.effect = Box::new(move |world, command| {
            if world.calls.len() == after {
                world.hang = Some(done);
            }
            effect(world, command)
        });
        if after == 0 {
            world.hang = Some(done);
        }
    });
    let ana = person(Role::Operator);
    rig.agent.approve(&ana, &question.id).await.unwrap();
    rig.until("the last call", 10, async |rig: &Rig| {
        rig.calls().len() > after
    })
    .await;
    rig.reborn_while(|world| world.hang = None).await
}

#[tokio::test(start_paused = true)]
async fn a_step_that_was_not_done_is_done() {
    let rig = killed(vec![restart()], false, 0).await;
    rig.outcome("verified", 120).await;
    assert_eq!(rig.calls(), ["process.restart api as Operator"; 2]);
    let rig = rig.reborn().await;
    rig.pass(60).await;
    assert_eq!(rig.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_was_done_is_not_done_again() {
    let rig = killed(vec![restart()], true, 0).await;
    rig.outcome("verified", 120).await;
    assert_eq!(rig.calls(), ["process.restart api as Operator"]);
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_plan_is_done() {
    let plan = vec![Action::ClearError, restart()];
    let rig = killed(plan.clone(), false, 1).await;
    rig.outcome("verified", 120).await;
    let (clear, start) = (
        "process.clear_error api as Operator",
        "process.restart api as Operator",
    );
    assert_eq!(rig.calls(), [clear, start, start]);

    let rig = killed(plan, true, 1).await;
    rig.outcome("verified", 120).await;
    assert_eq!(rig.calls(), [clear, start]);
}

/// A daemon that ends before all is written down leaves an incident that is taken up again.
#[tokio::test(start_paused = true)]
async fn an_incident_is_over_when_all_is_written_down() {
    let rig = Rig::new(vec![restart()]).await;
    let (open, counted) = std::sync::mpsc::channel();
    let agent = rig.agent.clone();
    rig.change(|world| {
        world.measured = Some(Box::new(move || {
            open.send(agent.open_incidents().len()).unwrap();
        }));
    });
    rig.crash();
    rig.outcome("verified", 120).await;
    assert_eq!(counted.try_recv(), Ok(1));
    rig.until("it is over", 10, async |rig: &Rig| {
        rig.agent.open_incidents().is_empty()
    })
    .await;
}

/// The moment in which the incident says that it is acted on, and nothing is.
#[tokio::test(start_paused = true)]
async fn a_plan_that_was_not_begun_is_carried_out() {
    let rig = Rig::with(level(Autonomy::Supervised), vec![restart()]).await;
    rig.crash();
    let question = rig.question().await;
    let path = rig.folder.path().join("history.db");
    let at = rig.clock.now();
    assert!(rig.tasks.shutdown(Duration::from_secs(5)).await.is_empty());
    let written = tokio::task::spawn_blocking(move || {
        let (store, _thread) = BrainStore::open(&path).unwrap();
        let (from, to) = (ApprovalState::Pending, ApprovalState::Approved);
        let yes = store.decide(question.id, from, to, "cli:ana".into(), at);
        let won = matches!(yes.wait().unwrap(), Decision::Won(_));
        let mut incident = store.open_incidents().wait().unwrap().remove(0).incident;
        incident.state = brain::incident::step(incident.state, IncidentInput::Allowed).unwrap();
        store.save_incident(incident).wait().unwrap();
        won
    });
    assert!(written.await.unwrap());
    let rig = rig.reborn().await;
    rig.outcome("verified", 120).await;
    assert_eq!(rig.calls(), ["process.restart api as Operator"]);
    let rig = rig.reborn().await;
    rig.pass(60).await;
    assert_eq!(rig.calls().len(), 1);
}

/// What ran without a question is thought about anew, and does not count as a run.
#[tokio::test(start_paused = true)]
async fn an_unasked_plan_is_thought_about_again() {
    for (done, calls) in [(false, 2), (true, 1)] {
        let rig = Rig::new(vec![restart()]).await;
        rig.change(|world| world.hang = Some(done));
        rig.crash();
        rig.until("a call", 10, async |rig: &Rig| rig.calls().len() == 1)
            .await;
        let rig = rig.reborn_while(|world| world.hang = None).await;
        let row = rig.outcome("verified", 120).await;
        assert_eq!(row.state, IncidentState::Resolved);
        assert_eq!(rig.calls().len(), calls);
    }
}

/// A note of before is no step of the plan, and a second kill forgets nothing.
#[tokio::test(start_paused = true)]
async fn what_was_noted_before_is_no_step() {
    let note = Action::LogIncident {
        text: "its probe failed".into(),
    };
    let rig = Rig::with(level(Autonomy::Supervised), vec![note]).await;
    rig.change(|world| world.event("api", supervisor::EventKind::HealthFail));
    rig.until("a note", 10, async |rig: &Rig| {
        let history = rig.agent.history(Default::default()).await.unwrap();
        history.first().is_some_and(|row| row.actions.len() == 1)
    })
    .await;
    rig.change(|world| {
        let plan = vec![Action::ClearError, restart()];
        world.thought = Box::new(move |_| Some(rig::proposal("bring-back", plan.clone())));
    });
    rig.crash();
    let question = rig.question().await;
    rig.change(|world| world.hang = Some(false));
    let ana = person(Role::Operator);
    rig.agent.approve(&ana, &question.id).await.unwrap();
    let calls = async |rig: &Rig, many: usize| {
        rig.until("calls", 20, async |rig: &Rig| rig.calls().len() == many)
            .await;
    };
    calls(&rig, 1).await;
    // Killed in the first step, and then in it once more.
    let rig = rig.reborn().await;
    calls(&rig, 2).await;
    let rig = rig.reborn_while(|world| world.hang = None).await;
    rig.outcome("verified", 120).await;
    let (clear, start) = (
        "process.clear_error api as Operator",
        "process.restart api as Operator",
    );
    assert_eq!(rig.calls(), [clear, clear, clear, start]);
}

/// Who took the process in hand before the kill is heard after it.
#[tokio::test(start_paused = true)]
async fn a_hold_of_before_the_kill_counts() {
    let wait = Action::Wait(Duration::from_secs(300));
    let plan = vec![Action::ClearError, wait, restart()];
    let rig = Rig::with(level(Autonomy::Supervised), plan).await;
    rig.crash();
    let question = rig.question().await;
    let ana = person(Role::Operator);
    rig.agent.approve(&ana, &question.id).await.unwrap();
    rig.until("a call", 10, async |rig: &Rig| rig.calls().len() == 1)
        .await;
    let rig = rig
        .reborn_while(|world| {
            let api = world.processes.get_mut("api").unwrap();
            api.held = true;
        })
        .await;
    rig.outcome("failed", 400).await;
    assert_eq!(rig.calls(), ["process.clear_error api as Operator"]);
}

/// What could not be recorded is not the end of it.
#[tokio::test(start_paused = true)]
async fn a_worker_that_ended_early_is_followed_by_another() {
    let rig = Rig::new(vec![restart()]).await;
    rig.change(|world| {
        world.panics = true;
        world.hang = Some(false);
    });
    rig.crash();
    rig.until("a call", 10, async |rig: &Rig| rig.calls().len() == 1)
        .await;
    rig.change(|world| world.hang = None);
    let row = rig.outcome("verified", 300).await;
    assert_eq!(row.state, IncidentState::Resolved);
    assert_eq!(rig.calls().len(), 2);
}
