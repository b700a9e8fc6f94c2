//! `think_when`: whether a model is asked while nothing is wrong, and what comes of it.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test fail like the test"
)]

#[expect(dead_code, reason = "the rig serves other tests, too")]
mod rig;

use std::time::Duration;

use agent::policy::Autonomy;
use agent::{Diagnosis, Put, Settings, Watch};
use brain::{Action, ApprovalState};
use rig::{Rig, person, proposal, restart};
use serde_json::json;
use supervisor::Role;
use supervisor::config::ThinkWhen;

fn always(autonomy: Autonomy) -> Settings {
    Settings {
        enabled: true,
        autonomy,
        think_when: ThinkWhen::Always,
        ..Settings::default()
    }
}

fn wants(actions: Vec<Action>) -> Watch {
    let diagnosis = Diagnosis {
        proposal: Some(proposal("model:double/x", actions)),
        trail: json!([]),
        ..Diagnosis::default()
    };
    Watch {
        found: Some(("api".parse().unwrap(), diagnosis)),
        story: json!({"said": "x"}),
        failed: None,
    }
}

/// A model answers this after so many seconds.
async fn rig(settings: Settings, after: u64, watch: Watch) -> Rig {
    let rig = Rig::with(settings, vec![]).await;
    rig.change(|world| {
        world.thought = Box::new(|_| None);
        world.watch = Some(Box::new(move || {
            let watch = watch.clone();
            Box::pin(async move {
                tokio::time::sleep(Duration::from_secs(after)).await;
                watch
            })
        }));
    });
    rig
}

fn asked(rig: &Rig) -> u32 {
    rig.change(|world| world.watches)
}

/// Always: at each look, one question at a time. That nothing is wrong is only counted.
#[tokio::test(start_paused = true)]
async fn always_asks_at_each_look_and_counts_that_nothing_is_wrong() {
    let rig = rig(always(Autonomy::Autonomous), 45, Watch::default()).await;
    rig.pass(310).await;
    let often = asked(&rig);
    assert!((4..=6).contains(&often), "one at a time: {often}");
    let thinking = rig.agent.status().await.unwrap().thinking;
    assert_eq!(thinking.when, ThinkWhen::Always);
    assert!(thinking.answers >= 4, "{thinking:?}");
    assert_eq!((thinking.plans, thinking.why_not), (0, None));
    assert_eq!(rig.agent.history(Default::default()).await.unwrap(), []);
}

/// Signal, the default; an agent that is not enabled; one that is stopped; an open incident.
#[tokio::test(start_paused = true)]
async fn nobody_is_asked_about_all_processes_unless_it_is_wanted_and_nothing_is_open() {
    let signal = Settings {
        think_when: ThinkWhen::Signal,
        ..always(Autonomy::Autonomous)
    };
    let off = Settings {
        enabled: false,
        ..always(Autonomy::Autonomous)
    };
    for settings in [signal, off] {
        let rig = rig(settings, 1, wants(vec![restart()])).await;
        rig.pass(120).await;
        assert_eq!(asked(&rig), 0);
    }
    let stopped = rig(always(Autonomy::Autonomous), 1, Watch::default()).await;
    stopped.agent.stop().await.unwrap();
    stopped.pass(120).await;
    assert_eq!(asked(&stopped), 0);
    let ill = rig(always(Autonomy::Autonomous), 1, wants(vec![restart()])).await;
    ill.crash();
    ill.pass(120).await;
    assert_eq!(asked(&ill), 0, "incidents come first");
}

/// What it would do goes through the gate, once, and is measured as every other plan.
#[tokio::test(start_paused = true)]
async fn a_plan_of_a_look_is_put_to_the_gate_once() {
    let rig = rig(always(Autonomy::Autonomous), 1, wants(vec![restart()])).await;
    rig.outcome("verified", 180).await;
    rig.pass(900).await;
    assert_eq!(rig.calls(), ["process.restart api as Operator"]);
    assert!(asked(&rig) > 5);
    let rows = rig.agent.history(Default::default()).await.unwrap();
    assert_eq!(rows.len(), 1);
    let story = rig.agent.explain(&rows[0].id).await.unwrap().story;
    assert!(story.iter().any(|line| line.kind == "model"), "{story:?}");
}

/// Whatever a model would like: what the level does not allow is asked about or refused.
#[tokio::test(start_paused = true)]
async fn a_hostile_model_does_not_get_past_the_gate() {
    let harm = [Action::Stop, Action::ScaleUp { by: 100 }, restart()];
    for level in [Autonomy::Manual, Autonomy::Supervised, Autonomy::Semi] {
        for action in &harm {
            let rig = rig(always(level), 1, wants(vec![action.clone()])).await;
            rig.pass(120).await;
            let may = level == Autonomy::Semi && *action == restart();
            assert_eq!(rig.calls().is_empty(), !may, "{level:?} {action:?}");
        }
    }
    let rig = rig(
        always(Autonomy::Autonomous),
        1,
        wants(vec![harm[1].clone()]),
    )
    .await;
    rig.question().await;
    assert_eq!(rig.calls(), Vec::<String>::new(), "out of bounds");
}

/// Who stopped the process meanwhile knew better.
#[tokio::test(start_paused = true)]
async fn a_process_that_is_not_meant_to_run_is_left_alone() {
    let rig = rig(always(Autonomy::Autonomous), 40, wants(vec![restart()])).await;
    rig.until("it is asked", 60, async |rig: &Rig| asked(rig) == 1)
        .await;
    rig.change(|world| world.processes.get_mut("api").unwrap().wanted = false);
    rig.pass(120).await;
    assert_eq!(rig.calls(), Vec::<String>::new());
}

/// A cap, or whatever else is in the way, ends in a line of the status; asking goes on when
/// there is room again.
#[tokio::test(start_paused = true)]
async fn why_there_is_no_answer_is_told() {
    let failed = Watch {
        failed: Some("the budget is spent: half of `max_tokens_per_day` in [ai]".into()),
        ..Watch::default()
    };
    let rig = rig(always(Autonomy::Autonomous), 1, failed).await;
    rig.pass(100).await;
    let thinking = rig.agent.status().await.unwrap().thinking;
    assert_eq!(thinking.answers, 0);
    assert!(thinking.why_not.unwrap().contains("max_tokens_per_day"));
    rig.change(|world| world.watch = Some(Box::new(|| Box::pin(async { Watch::default() }))));
    rig.pass(60).await;
    let thinking = rig.agent.status().await.unwrap().thinking;
    assert!(
        thinking.answers > 0 && thinking.why_not.is_none(),
        "{thinking:?}"
    );
}

/// The question of this rig stays open for its ten minutes.
async fn waits_for_ten_minutes(rig: Rig) {
    rig.pass(400).await;
    let id = rig.question().await.id;
    rig.pass(300).await;
    let all = rig.agent.actions().await.unwrap();
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(all[0].id, id);
    assert_eq!(all[0].state, ApprovalState::Expired);
}

/// That a process does well ends no question about a plan which did not come of an illness:
/// neither one of a look nor one that a person asked for in words.
#[tokio::test(start_paused = true)]
async fn a_question_about_a_process_that_does_well_waits_its_whole_time() {
    let looked = rig(always(Autonomy::Supervised), 1, wants(vec![restart()])).await;
    looked.question().await;
    waits_for_ten_minutes(looked).await;
    let wished = Rig::with(Settings::default(), vec![]).await;
    let wish = proposal("model:double/x", vec![Action::Reload]);
    let (ana, api) = (person(Role::Operator), "api".parse().unwrap());
    let put = wished.agent.propose(&ana, &api, wish).await;
    assert!(matches!(put, Ok(Put::Asked(_))), "{put:?}");
    waits_for_ten_minutes(wished).await;
}
