//! Leave in advance, in paused time: what it lets through, and what it never does.

mod rig;

use std::time::Duration;

use agent::budget::Limits;
use agent::grant::Wish;
use agent::policy::{Autonomy, Risk};
use agent::{Approvals, Settings};
use brain::{Action, Grant};
use rig::{Rig, person, proposal, restart};
use supervisor::{Caller, ControlError, EventKind, Role, Via};

const HOUR: Duration = Duration::from_secs(3_600);

fn settings() -> Settings {
    Settings {
        brain_autonomy: Autonomy::Supervised,
        limits: Limits {
            per_hour: 10,
            per_process: 10,
            cooldown: Duration::from_secs(1),
        },
        ..Settings::default()
    }
}

async fn world(settings: Settings, actions: Vec<Action>) -> Rig {
    let rig = Rig::with(settings, actions).await;
    rig.change(|world| world.version = Some("1".into()));
    rig
}

fn wish(process: &str, risk: Risk) -> Wish {
    Wish {
        playbook: "bring-back".into(),
        process: process.parse().expect("a name"),
        risk,
        time: HOUR,
    }
}

async fn allow(rig: &Rig, risk: Risk) -> Grant {
    let admin = person(Role::Admin);
    let given = rig.agent.allow(&admin, wish("api", risk)).await;
    given.expect("leave")
}

/// It acts without asking; who allowed it and until when is told, it counts against the budget,
/// and a restart of the daemon changes nothing.
#[tokio::test(start_paused = true)]
async fn what_was_allowed_is_done_and_told() {
    let rig = world(settings(), vec![restart()]).await;
    let given = allow(&rig, Risk::Low).await;
    let rig = rig.reborn().await;
    rig.crash();
    let row = rig.outcome("verified", 90).await;
    assert_eq!(rig.calls(), ["process.restart api as Admin"]);
    let until = given.ends.strftime("%Y-%m-%d %H:%M UTC");
    let words = format!("by grant {} of cli:ana, until {until}", given.id);
    assert_eq!(row.actions[0].gate, format!("run: {words}"));
    assert_eq!(row.actions[0].by, "brain:bring-back");
    let told = rig.agent.explain("api").await.unwrap();
    assert_eq!(told.grant.unwrap().words(), format!("ran {words}"));
    let status = rig.agent.status().await.unwrap();
    assert_eq!((status.budget.used, status.pending.len()), (1, 0));
    let all = rig.agent.grants().await.unwrap();
    assert_eq!((all[0].grant.uses, all[0].state.as_str()), (1, "in force"));
}

/// Whatever is not exactly what was allowed is asked about.
#[tokio::test(start_paused = true)]
async fn everything_else_is_asked_about() {
    type Change = fn(&Rig);
    let edited: Change = |rig| rig.change(|world| world.version = Some("2".into()));
    let other: Change = |rig| {
        rig.change(|world| {
            world.thought = Box::new(|_| Some(proposal("another", vec![restart()])));
        });
    };
    let riskier: Change = |rig| {
        rig.change(|world| {
            world.thought = Box::new(|_| Some(proposal("bring-back", vec![Action::Stop])));
        });
    };
    let unsure: Change = |rig| {
        rig.change(|world| {
            world.thought = Box::new(|_| {
                let mut unsure = proposal("bring-back", vec![restart()]);
                unsure.confidence = 0.3;
                Some(unsure)
            });
        });
    };
    for (name, change) in [
        ("edited", edited),
        ("another playbook", other),
        ("above the risk", riskier),
        ("unsure", unsure),
    ] {
        let rig = world(settings(), vec![restart()]).await;
        allow(&rig, Risk::Low).await;
        change(&rig);
        rig.change(|world| world.event("api", EventKind::HealthFail));
        let asked = rig.question().await;
        assert_eq!(asked.state, "pending", "{name}");
        assert_eq!(rig.calls(), Vec::<String>::new(), "{name}");
    }
}

/// The text that made the plan is what was allowed, and the one there is must be the same still.
#[tokio::test(start_paused = true)]
async fn the_text_that_made_the_plan_is_what_counts() {
    for (made, now) in [("2", "1"), ("1", "2")] {
        let rig = world(settings(), vec![restart()]).await;
        allow(&rig, Risk::Low).await;
        rig.change(|world| {
            world.version = Some(now.into());
            world.thought = Box::new(move |_| {
                let mut plan = proposal("bring-back", vec![restart()]);
                plan.version = Some(made.into());
                Some(plan)
            });
        });
        rig.crash();
        rig.question().await;
        assert_eq!(rig.calls(), Vec::<String>::new(), "made by {made}");
        let row = rig.agent.grants().await.unwrap().remove(0);
        assert_eq!(row.grant.uses, 0, "made by {made}");
    }
}

/// Whoever gave it must be one who still may: by the list, and by their role in the chats.
#[tokio::test(start_paused = true)]
async fn leave_of_somebody_who_may_not_give_it_now_is_none() {
    let roles = |role: Role| Settings {
        chats: Some([("telegram:7".to_owned(), role)].into()),
        ..settings()
    };
    let admin = Caller {
        principal: "telegram:7".into(),
        role: Role::Admin,
        via: Via::Chat,
    };
    for (role, runs) in [(Role::Admin, true), (Role::Operator, false)] {
        let rig = world(roles(Role::Admin), vec![restart()]).await;
        let given = rig.agent.allow(&admin, wish("api", Risk::Low)).await;
        given.expect("leave");
        rig.agent.reconfigure(roles(role));
        rig.crash();
        if runs {
            rig.outcome("verified", 90).await;
        } else {
            rig.question().await;
        }
        assert_eq!(rig.calls().len(), usize::from(runs), "{role:?}");
    }
}

/// Leave makes things less safe, and taking it back makes them safer: so whoever may approve
/// anything may take it back, also who is none of `approvers`.
#[tokio::test(start_paused = true)]
async fn an_operator_takes_back_what_an_admin_allowed() {
    let listed = Settings {
        approvers: vec!["cli:ana".into()],
        ..settings()
    };
    let rig = world(listed, vec![restart()]).await;
    let given = allow(&rig, Risk::Low).await;
    let caller = |role| Caller {
        principal: "ben".into(),
        role,
        via: Via::Cli,
    };
    let viewer = rig.agent.revoke(&caller(Role::Viewer), &given.id).await;
    assert!(matches!(
        viewer,
        Err(ControlError::Forbidden {
            needed: Role::Operator,
            ..
        })
    ));
    let operator = caller(Role::Operator);
    let ended = rig.agent.revoke(&operator, &given.id).await.unwrap();
    assert_eq!(ended.revoked_by.as_deref(), Some("cli:ben"));
    rig.crash();
    rig.question().await;
}

/// By time, by a person, and of another process.
#[tokio::test(start_paused = true)]
async fn what_has_ended_lets_nothing_through() {
    let rig = world(settings(), vec![restart()]).await;
    allow(&rig, Risk::Low).await;
    rig.pass(3_601).await;
    rig.crash();
    rig.question().await;
    assert_eq!(rig.agent.grants().await.unwrap()[0].state, "ended");

    let rig = world(settings(), vec![restart()]).await;
    let given = allow(&rig, Risk::Low).await;
    let operator = person(Role::Operator);
    let ended = rig.agent.revoke(&operator, &given.id).await.unwrap();
    assert_eq!(ended.revoked_by.as_deref(), Some("cli:ana"));
    let twice = rig.agent.revoke(&operator, &given.id).await;
    assert!(matches!(twice, Err(ControlError::Conflict { .. })));
    rig.crash();
    rig.question().await;

    let rig = world(settings(), vec![restart()]).await;
    rig.change(|world| world.add("web"));
    let admin = person(Role::Admin);
    let other = wish("web", Risk::High);
    rig.agent.allow(&admin, other).await.unwrap();
    rig.crash();
    rig.question().await;
    assert_eq!(rig.calls(), Vec::<String>::new());
}

/// Refused stays refused, a used-up budget asks, and four eyes are four eyes.
#[tokio::test(start_paused = true)]
async fn limits_are_stronger_than_leave() {
    let blocked = Settings {
        blocked: vec!["restart".into()],
        ..settings()
    };
    let rig = world(blocked, vec![restart()]).await;
    allow(&rig, Risk::High).await;
    rig.crash();
    rig.outcome("refused", 30).await;
    assert_eq!(rig.calls(), Vec::<String>::new());

    let manual = Settings {
        brain_autonomy: Autonomy::Manual,
        ..settings()
    };
    let rig = world(manual, vec![restart()]).await;
    allow(&rig, Risk::High).await;
    rig.crash();
    rig.outcome("refused", 30).await;

    let spent = Settings {
        limits: Limits {
            per_hour: 0,
            ..settings().limits
        },
        ..settings()
    };
    let rig = world(spent, vec![restart()]).await;
    allow(&rig, Risk::Low).await;
    rig.crash();
    rig.question().await;

    let rig = world(settings(), vec![restart()]).await;
    allow(&rig, Risk::High).await;
    rig.agent.reconfigure(Settings {
        approvals: Approvals { low: 2, high: 2 },
        ..settings()
    });
    rig.crash();
    assert_eq!(rig.question().await.wanted, 2);
    let admin = person(Role::Admin);
    let refused = rig.agent.allow(&admin, wish("api", Risk::Low)).await;
    assert!(refused.unwrap_err().to_string().contains("2 people"));
}

/// "Always" on a question: this once by a yes, from then on by leave.
#[tokio::test(start_paused = true)]
async fn a_question_may_be_answered_for_good() {
    let rig = world(settings(), vec![restart()]).await;
    rig.crash();
    let asked = rig.question().await;
    assert!(asked.grantable);
    let who = |role, via| Caller {
        principal: "telegram:7".into(),
        role,
        via,
    };
    let operator = who(Role::Operator, Via::Chat);
    let refused = rig.agent.allow_for(&operator, &asked.id, HOUR).await;
    assert!(matches!(refused, Err(ControlError::Forbidden { .. })));
    assert_eq!(rig.question().await.id, asked.id, "it still waits");
    let admin = who(Role::Admin, Via::Chat);
    let given = rig.agent.allow_for(&admin, &asked.id, HOUR).await.unwrap();
    assert_eq!(
        (given.risk.as_str(), given.by.as_str()),
        ("low", "chat:telegram:7")
    );
    let row = rig.outcome("verified", 90).await;
    assert_eq!(row.actions[0].by, "chat:telegram:7");
    rig.pass(5).await;
    rig.crash();
    rig.until("it acts by itself", 60, async |rig: &Rig| {
        rig.calls().len() == 2
    })
    .await;
    let late = rig.agent.allow_for(&admin, &asked.id, HOUR).await;
    assert!(matches!(late, Err(ControlError::Conflict { .. })));
    assert_eq!(rig.agent.grants().await.unwrap().len(), 1);
}

/// What was shown is what is allowed: of a playbook that was edited meanwhile nothing is.
#[tokio::test(start_paused = true)]
async fn an_edited_playbook_is_not_allowed_by_an_old_question() {
    let rig = world(settings(), vec![restart()]).await;
    rig.crash();
    let asked = rig.question().await;
    rig.change(|world| world.version = Some("2".into()));
    let admin = person(Role::Admin);
    let refused = rig.agent.allow_for(&admin, &asked.id, HOUR).await;
    assert!(refused.unwrap_err().to_string().contains("was edited"));
    assert_eq!(rig.question().await.id, asked.id, "nothing was decided");

    // Of what is no playbook there is no text that one could allow.
    let rig = Rig::new(vec![Action::Stop]).await;
    rig.change(|world| world.event("api", EventKind::HealthFail));
    let asked = rig.question().await;
    assert!(!asked.grantable);
    assert!(rig.agent.allow_for(&admin, &asked.id, HOUR).await.is_err());
    assert!(
        rig.agent
            .allow(&admin, wish("api", Risk::Low))
            .await
            .is_err()
    );
}
