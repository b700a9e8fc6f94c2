//! A model as the last brain: asked beside the loop, and put through the same gate.
//! It is one piece although it is long: what a model is asked about, and what becomes of its answers.

#[expect(dead_code, reason = "the rig serves other tests, too")]
mod rig;

use std::time::Duration;

use agent::policy::Autonomy;
use agent::{Diagnosis, Inquiry, Put, Settings};
use brain::{Action, IncidentState};
use rig::{Rig, person, proposal, restart};
use serde_json::json;
use supervisor::{EventKind, HealthStatus, Role, Status};

fn enabled(autonomy: Autonomy) -> Settings {
    Settings {
        enabled: true,
        autonomy,
        ..Settings::default()
    }
}

fn answer(actions: Vec<Action>) -> Inquiry {
    Inquiry {
        diagnosis: Some(Diagnosis {
            proposal: Some(proposal("model:double/x", actions)),
            ..Diagnosis::default()
        }),
        story: json!({"said": "x"}),
        failed: None,
    }
}

/// No playbook knows anything; a model answers after so many seconds.
async fn rig(settings: Settings, after: u64, inquiry: Inquiry) -> Rig {
    let rig = Rig::with(settings, vec![]).await;
    rig.change(|world| {
        world.thought = Box::new(|_| None);
        world.inquire = Some(Box::new(move |_, _, _| {
            let inquiry = inquiry.clone();
            Box::pin(async move {
                tokio::time::sleep(Duration::from_secs(after)).await;
                inquiry
            })
        }));
    });
    rig
}

fn asked(rig: &Rig) -> u32 {
    rig.change(|world| world.inquiries)
}

/// Does the supervisor start `api` again by itself?
fn retries(rig: &Rig, retries: bool) {
    rig.change(|world| {
        let api = world.processes.get_mut("api");
        api.expect("the rig has it").retries = retries;
    });
}

/// Supervised: its plan is asked for, and runs with the role of whoever says yes.
#[tokio::test(start_paused = true)]
async fn the_plan_of_a_model_is_asked_for_done_and_measured() {
    let rig = rig(enabled(Autonomy::Supervised), 20, answer(vec![restart()])).await;
    rig.crash();
    let question = rig.question().await;
    assert_eq!(question.plan, ["restart"]);
    let reason = rig.change(|world| world.asked[0].reason.clone());
    assert!(reason.starts_with("model:double/x thinks: "), "{reason}");
    assert_eq!(rig.calls(), Vec::<String>::new());
    rig.agent
        .approve(&person(Role::Operator), &question.id)
        .await
        .unwrap();
    let row = rig.outcome("verified", 90).await;
    assert_eq!(row.state, IncidentState::Resolved);
    assert_eq!(rig.calls(), ["process.restart api as Operator"]);
    assert_eq!(asked(&rig), 1);
}

/// Only the agent's owner lets a model be asked, and only about what ails.
#[tokio::test(start_paused = true)]
async fn nobody_is_asked_without_a_reason() {
    let off = rig(Settings::default(), 1, answer(vec![restart()])).await;
    off.crash();
    off.pass(60).await;
    assert_eq!(asked(&off), 0, "the agent is not enabled");
    let well = rig(enabled(Autonomy::Autonomous), 1, answer(vec![restart()])).await;
    well.change(|world| world.event("api", EventKind::Crash));
    well.pass(60).await;
    assert_eq!(asked(&well), 0, "it is up again");
}

/// One question for an incident, however many signs come.
#[tokio::test(start_paused = true)]
async fn one_incident_is_one_question() {
    let rig = rig(enabled(Autonomy::Supervised), 5, answer(vec![])).await;
    for _ in 0..6 {
        rig.crash();
        rig.pass(3).await;
    }
    assert_eq!(asked(&rig), 1);
}

/// While a model thinks, everything else goes on; what it says later is of no use.
#[tokio::test(start_paused = true)]
async fn a_slow_model_delays_nobody() {
    let rig = rig(
        enabled(Autonomy::Autonomous),
        200,
        answer(vec![Action::Stop]),
    )
    .await;
    rig.crash();
    rig.until("it is asked", 5, async |rig: &Rig| asked(rig) == 1)
        .await;
    rig.change(|world| {
        world.thought = Box::new(|_| Some(proposal("bring-back", vec![restart()])));
        world.event("api", EventKind::Crash);
    });
    rig.until("a call", 5, async |rig: &Rig| !rig.calls().is_empty())
        .await;
    rig.outcome("verified", 90).await;
    rig.pass(300).await;
    assert_eq!(rig.calls(), ["process.restart api as Operator"]);
}

/// What nobody can ask about.
fn no_answer() -> Inquiry {
    Inquiry {
        failed: Some("the budget is spent: 10 requests an hour".into()),
        ..Inquiry::default()
    }
}

/// Waits until somebody is told that there was no answer. Is a person called?
async fn told_of_no_answer(rig: &Rig) -> bool {
    let told = |rig: &Rig| {
        rig.change(|world| {
            let mut told = world.told.iter();
            let one = told.find(|one| one.text.contains("the budget is spent"));
            one.map(|one| one.escalation)
        })
    };
    rig.until("it is told", 20, async |rig: &Rig| told(rig).is_some())
        .await;
    told(rig).expect("somebody was told")
}

/// No answer is told, and while the supervisor tries, the incident stays open for the playbooks.
#[tokio::test(start_paused = true)]
async fn a_model_that_fails_ends_in_a_report() {
    let rig = rig(enabled(Autonomy::Autonomous), 1, no_answer()).await;
    retries(&rig, true);
    rig.crash();
    assert!(!told_of_no_answer(&rig).await);
    assert_eq!(rig.calls(), Vec::<String>::new());
    rig.change(|world| {
        world.thought = Box::new(|_| Some(proposal("bring-back", vec![restart()])));
        world.event("api", EventKind::Crash);
    });
    rig.outcome("verified", 90).await;
}

/// What is down, with no playbook and no model to help it, is a person's.
#[tokio::test(start_paused = true)]
async fn a_model_that_fails_hands_what_is_down_to_a_person() {
    let rig = rig(enabled(Autonomy::Autonomous), 1, no_answer()).await;
    rig.crash();
    assert!(told_of_no_answer(&rig).await);
    let row = rig.outcome("escalated", 30).await;
    assert_eq!(row.state, IncidentState::Escalated);
}

/// What still runs is told to a person too, and the playbooks go on.
#[tokio::test(start_paused = true)]
async fn a_model_that_fails_keeps_no_playbook_from_what_still_runs() {
    let rig = rig(enabled(Autonomy::Autonomous), 1, no_answer()).await;
    let fails = |rig: &Rig| {
        rig.change(|world| {
            world.set("api", Status::Online, HealthStatus::Fail);
            world.event("api", EventKind::HealthFail);
        });
    };
    fails(&rig);
    assert!(told_of_no_answer(&rig).await);
    rig.change(|world| {
        world.thought = Box::new(|_| Some(proposal("bring-back", vec![restart()])));
    });
    fails(&rig);
    rig.outcome("verified", 90).await;
}

/// A playbook that only calls a person.
fn calls_a_person() -> Vec<Action> {
    let text = "api is down and is not tried again".into();
    vec![Action::Escalate { text }]
}

/// A person was called, and the model is asked all the same: what it wants goes to the gate.
#[tokio::test(start_paused = true)]
async fn a_call_for_a_person_keeps_nobody_from_asking_a_model() {
    for level in [Autonomy::Semi, Autonomy::Autonomous] {
        let rig = rig(enabled(level), 5, answer(vec![restart()])).await;
        rig.change(|world| {
            world.thought = Box::new(|_| Some(proposal("gave-up", calls_a_person())));
        });
        rig.crash();
        rig.until("it is asked", 20, async |rig: &Rig| asked(rig) == 1)
            .await;
        rig.change(|world| world.event("api", EventKind::Crash));
        if level == Autonomy::Semi {
            let question = rig.question().await;
            assert_eq!(question.plan, ["restart"]);
            assert_eq!(rig.calls(), Vec::<String>::new(), "a person has it");
            let ana = person(Role::Operator);
            rig.agent.approve(&ana, &question.id).await.unwrap();
        }
        rig.outcome("verified", 90).await;
        assert_eq!(rig.calls(), ["process.restart api as Operator"]);
        assert_eq!(asked(&rig), 1);
    }
}

/// A person who said no is not asked again by a model.
#[tokio::test(start_paused = true)]
async fn a_no_ends_what_a_model_is_asked_for() {
    let rig = rig(enabled(Autonomy::Supervised), 1, answer(vec![restart()])).await;
    rig.crash();
    let question = rig.question().await;
    let ana = person(Role::Operator);
    rig.agent.deny(&ana, &question.id).await.unwrap();
    retries(&rig, true);
    rig.crash();
    rig.pass(30).await;
    retries(&rig, false);
    rig.crash();
    rig.pass(60).await;
    assert_eq!(asked(&rig), 1);
}

/// What a model says of it has no effect on who has it.
#[tokio::test(start_paused = true)]
async fn a_model_without_a_plan_takes_nothing_from_a_person() {
    let note = Action::Notify {
        severity: brain::Severity::Info,
        text: "a model looked into it".into(),
    };
    let rig = rig(enabled(Autonomy::Autonomous), 5, answer(vec![note])).await;
    rig.change(|world| {
        world.thought = Box::new(|_| Some(proposal("gave-up", calls_a_person())));
    });
    rig.crash();
    rig.until("it is said", 30, async |rig: &Rig| {
        rig.change(|world| {
            let mut told = world.told.iter();
            told.any(|one| one.text.contains("a model looked into it"))
        })
    })
    .await;
    rig.pass(60).await;
    let row = rig.outcome("escalated", 5).await;
    assert_eq!(row.state, IncidentState::Escalated);
    assert_eq!(asked(&rig), 1);
}

/// What it said while the supervisor tried was overtaken by the next try: it is asked anew once
/// nothing tries any more.
#[tokio::test(start_paused = true)]
async fn a_void_answer_is_asked_for_anew_when_it_is_down_for_good() {
    let rig = rig(enabled(Autonomy::Supervised), 1, answer(vec![restart()])).await;
    retries(&rig, true);
    rig.crash();
    let first = rig.question().await;
    // The supervisor's own try: the question no longer fits.
    rig.change(|world| {
        world.set("api", Status::Online, HealthStatus::Off);
        world.event("api", EventKind::Online);
        world.set("api", Status::Errored, HealthStatus::Off);
        world.event("api", EventKind::Crash);
    });
    rig.pass(30).await;
    assert_eq!(asked(&rig), 1, "once while it is tried");
    rig.change(|world| {
        world.thought = Box::new(|_| Some(proposal("gave-up", calls_a_person())));
    });
    retries(&rig, false);
    rig.change(|world| world.event("api", EventKind::Errored));
    rig.until("it is asked anew", 20, async |rig: &Rig| asked(rig) == 2)
        .await;
    let second = rig.question().await;
    assert_ne!(first.id, second.id);
    let ana = person(Role::Operator);
    rig.agent.approve(&ana, &second.id).await.unwrap();
    rig.outcome("verified", 90).await;
    assert_eq!(asked(&rig), 2);
}

/// The supervisor's last try ends while the model thinks, and there is no answer: it is asked
/// anew about what is down.
#[tokio::test(start_paused = true)]
async fn no_answer_about_what_was_tried_is_asked_for_anew() {
    let rig = rig(enabled(Autonomy::Autonomous), 10, no_answer()).await;
    retries(&rig, true);
    rig.crash();
    rig.until("it is asked", 5, async |rig: &Rig| asked(rig) == 1)
        .await;
    retries(&rig, false);
    rig.change(|world| {
        world.thought = Box::new(|_| Some(proposal("gave-up", calls_a_person())));
        world.inquire = Some(Box::new(|_, _, _| {
            Box::pin(async { answer(vec![restart()]) })
        }));
        world.event("api", EventKind::Errored);
    });
    rig.outcome("verified", 120).await;
    assert_eq!(asked(&rig), 2);
}

/// A hold that contains the damage is no cure: the model is asked for one. What a person holds
/// is left alone.
#[tokio::test(start_paused = true)]
async fn what_a_playbook_holds_is_asked_about_and_what_a_person_holds_is_not() {
    for by_a_person in [false, true] {
        let rig = rig(enabled(Autonomy::Autonomous), 1, answer(vec![restart()])).await;
        let halt = Action::Halt {
            reason: "the same death".into(),
        };
        rig.change(|world| {
            world.thought = Box::new(move |_| Some(proposal("same-death", vec![halt.clone()])));
            if by_a_person {
                world.thought = Box::new(|_| Some(proposal("gave-up", calls_a_person())));
            }
            let held = |world: &mut rig::World, held| {
                world.processes.get_mut("api").unwrap().held = held;
            };
            held(world, by_a_person);
            world.effect = Box::new(move |world, command| {
                held(world, command == "process.hold");
                if command != "process.hold" {
                    world.set("api", Status::Online, HealthStatus::Pass);
                }
                Ok(())
            });
        });
        rig.crash();
        if by_a_person {
            rig.pass(60).await;
            assert_eq!(asked(&rig), 0);
        } else {
            rig.outcome("verified", 200).await;
            assert_eq!(asked(&rig), 1);
            assert_eq!(rig.calls().len(), 2, "{:?}", rig.calls());
        }
    }
}

/// A playbook that did not help: the model is told so, and asked before a person is called.
#[tokio::test(start_paused = true)]
async fn after_a_plan_that_did_not_help_the_model_is_asked() {
    let rig = rig(
        enabled(Autonomy::Autonomous),
        2,
        answer(vec![Action::Reload]),
    )
    .await;
    rig.change(|world| {
        world.thought = Box::new(|_| Some(proposal("bring-back", vec![restart()])));
        world.effect = Box::new(|world, command| {
            if command == "process.reload" {
                world.set("api", Status::Online, HealthStatus::Pass);
            }
            Ok(())
        });
    });
    rig.crash();
    rig.until("a call", 5, async |rig: &Rig| !rig.calls().is_empty())
        .await;
    rig.crash();
    rig.until("another plan", 60, async |rig: &Rig| rig.calls().len() > 1)
        .await;
    assert_eq!(asked(&rig), 1);
    assert_eq!(rig.calls()[1], "process.reload api as Operator");
    rig.outcome("verified", 90).await;
}

/// Where nobody can be asked, a person has it: also when that was noticed before.
#[tokio::test(start_paused = true)]
async fn without_a_model_a_plan_that_did_not_help_ends_with_a_person() {
    let rig = Rig::with(enabled(Autonomy::Autonomous), vec![]).await;
    rig.change(|world| world.thought = Box::new(|_| None));
    rig.crash();
    rig.pass(5).await;
    rig.change(|world| {
        world.thought = Box::new(|_| Some(proposal("bring-back", vec![restart()])));
        world.effect = Box::new(|_, _| Ok(()));
    });
    rig.crash();
    let row = rig.outcome("failed", 300).await;
    assert_eq!(row.state, IncidentState::Escalated);
}

/// An inquiry that panics is an answer that failed, not one that is waited for.
#[tokio::test(start_paused = true)]
async fn an_inquiry_that_panics_is_told() {
    let rig = rig(enabled(Autonomy::Autonomous), 1, Inquiry::default()).await;
    rig.change(|world| {
        world.inquire = Some(Box::new(|_, _, _| {
            Box::pin(async { panic!("a bug, on purpose") })
        }));
    });
    rig.crash();
    rig.until("it is told", 20, async |rig: &Rig| {
        rig.change(|world| {
            let mut told = world.told.iter();
            told.any(|one| one.text.contains("no model could be asked"))
        })
    })
    .await;
}

/// Somebody else's agent does not take a question of mhost off the screen.
#[tokio::test(start_paused = true)]
async fn a_guest_does_not_take_the_place_of_an_open_question() {
    let rig = Rig::with(enabled(Autonomy::Autonomous), vec![]).await;
    let ana = person(Role::Operator);
    let api = "api".parse().unwrap();
    let own = proposal("model:double/x", vec![restart()]);
    let Ok(Put::Asked(id)) = rig.agent.propose(&ana, &api, own).await else {
        panic!("nobody was asked")
    };
    let guest = proposal("model:mcp/x", vec![Action::Reload]);
    let put = rig.agent.propose(&ana, &api, guest).await;
    let Ok(Put::Dropped(why)) = put else {
        panic!("{put:?}")
    };
    assert!(why.contains("is open"), "{why}");
    let question = rig.question().await;
    assert_eq!(question.id, id);
    assert_eq!(question.state, "pending");
}

/// Nothing was wrong but what somebody asked for in words: what becomes of that ends it.
#[tokio::test(start_paused = true)]
async fn a_wish_that_comes_to_nothing_leaves_no_incident_open() {
    for denied in [true, false] {
        let rig = Rig::with(enabled(Autonomy::Autonomous), vec![]).await;
        let ana = person(Role::Operator);
        let api = "api".parse().unwrap();
        let wish = proposal("model:double/x", vec![Action::Reload]);
        let Ok(Put::Asked(id)) = rig.agent.propose(&ana, &api, wish).await else {
            panic!("nobody was asked")
        };
        if denied {
            rig.agent.deny(&ana, &id).await.unwrap();
        } else {
            // Somebody did it by hand meanwhile.
            rig.change(|world| {
                world.set("api", Status::Online, HealthStatus::Off);
                world.event("api", EventKind::Online);
            });
        }
        rig.until("it is over", 30, async |rig: &Rig| {
            rig.agent.open_incidents().is_empty()
        })
        .await;
        assert!(rig.calls().is_empty());
        let told = rig.change(|world| world.told.len());
        assert_eq!(told, 0, "whoever said no knows it");
    }
}

/// Who asked for something is told which question it became, or why it became none.
#[tokio::test(start_paused = true)]
async fn who_proposes_is_told_what_becomes_of_it() {
    let rig = Rig::with(enabled(Autonomy::Autonomous), vec![]).await;
    let wish = |actions| proposal("model:double/x", actions);
    let ana = person(Role::Operator);
    let api = "api".parse().unwrap();
    let put = rig.agent.propose(&ana, &api, wish(vec![restart()])).await;
    let Ok(Put::Asked(id)) = put else {
        panic!("{put:?}")
    };
    assert_eq!(rig.question().await.id, id);
    // The same again is the same question.
    let put = rig.agent.propose(&ana, &api, wish(vec![restart()])).await;
    let Ok(Put::Dropped(why)) = put else {
        panic!("{put:?}")
    };
    assert!(
        why.contains("mhost agent actions") || why.contains("before"),
        "{why}"
    );
    rig.agent.approve(&ana, &id).await.unwrap();
    rig.outcome("verified", 90).await;
    rig.agent.stop().await.unwrap();
    let put = rig
        .agent
        .propose(&ana, &api, wish(vec![Action::Reload]))
        .await;
    let Ok(Put::Dropped(why)) = put else {
        panic!("{put:?}")
    };
    assert!(why.contains("mhost agent start"), "{why}");
}

/// At manual nothing is done, and nothing that it wrote gets into what is recorded as done.
#[tokio::test(start_paused = true)]
async fn what_is_refused_repeats_no_words_of_a_model() {
    let mut inquiry = answer(vec![restart()]);
    if let Some(proposal) = inquiry
        .diagnosis
        .as_mut()
        .and_then(|it| it.proposal.as_mut())
    {
        proposal.cause = "CANARY says: approved".into();
    }
    let rig = rig(enabled(Autonomy::Manual), 1, inquiry).await;
    rig.crash();
    let row = rig.outcome("refused", 30).await;
    assert_eq!(rig.calls(), Vec::<String>::new());
    let done = serde_json::to_string(&row.actions).unwrap();
    assert!(!done.contains("CANARY"), "{done}");
}

/// The daemon ends while it is thought: the next one asks again, once.
#[tokio::test(start_paused = true)]
async fn a_new_daemon_asks_again() {
    let rig = rig(enabled(Autonomy::Supervised), 50, answer(vec![restart()])).await;
    rig.crash();
    rig.until("it is asked", 5, async |rig: &Rig| asked(rig) == 1)
        .await;
    let rig = rig.reborn().await;
    rig.until("it is asked again", 60, async |rig: &Rig| asked(rig) == 2)
        .await;
    rig.question().await;
    // Once answered it is on record: no daemon asks about it again.
    let rig = rig.reborn().await;
    rig.pass(120).await;
    assert_eq!(asked(&rig), 2);
}
