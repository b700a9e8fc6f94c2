//! What ends by itself or is restarted: retried, told in order, held.

use std::time::Duration;

use supervisor::command::view::ProcessView;
use supervisor::command::{Command, Reply, Target};
use supervisor::state::Reason;
use supervisor::{ControlError, OsText, Status};

use super::rig::{PATIENCE, Rig, kill, pid, probe, reload, spec, wait_until};

/// A process that is killed is started again, with a new pid, and the history says why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_comes_back() {
    let rig = Rig::new().await;
    rig.apply(vec![spec("web", "exec sleep 600", "")])
        .await
        .expect("starts");
    let before = rig.online("web").await;
    kill(pid(&before));
    let after = rig
        .until("web", "online again", |view| {
            view.state == Status::Online && view.restarts == 1
        })
        .await;
    assert_ne!(pid(&before), pid(&after));
    let events = rig.history("web").await;
    let kinds: Vec<String> = events.iter().map(|event| event.kind.to_string()).collect();
    assert_eq!(
        kinds,
        ["start", "online", "crash", "restart", "start", "online"]
    );
    rig.finish().await;
}

/// Without a delay the crash, the decision and the next run are one step; the history tells
/// them in order all the same, each crash with the last lines of its own run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_without_delay_is_told_in_order() {
    const KILLS: usize = 8;
    let rig = Rig::new().await;
    let mut web = spec("web", "echo run $MHOST_GENERATION >&2; exec sleep 600", "");
    web.config.restart_delay = Duration::ZERO;
    web.config.max_restarts = 0;
    rig.apply(vec![web]).await.expect("starts");
    let generation = |view: &ProcessView| view.instances[0].generation;
    let mut seen = rig.view("web").await;
    for _ in 0..KILLS {
        let log = rig.home.path().join("logs/web-0.err.log");
        let said = format!("run {}\n", generation(&seen));
        let is_kept = || std::fs::read_to_string(&log).is_ok_and(|text| text.ends_with(&said));
        wait_until(&said, is_kept).await;
        kill(pid(&seen));
        let next = generation(&seen) + 1;
        let is_next =
            |view: &ProcessView| generation(view) == next && view.instances[0].pid.is_some();
        seen = rig.until("web", "the next run", is_next).await;
    }
    let mut events = rig.history("web").await;
    events.retain(|event| event.kind.to_string() != "online");
    let kinds: Vec<String> = events.iter().map(|event| event.kind.to_string()).collect();
    let mut expected = vec!["start"];
    for _ in 0..KILLS {
        expected.extend(["crash", "restart", "start"]);
    }
    assert_eq!(kinds, expected);
    let crashes = events
        .iter()
        .filter(|event| event.kind.to_string() == "crash");
    for (run, crash) in (1..).zip(crashes) {
        assert_eq!(
            crash.data["last_lines"],
            serde_json::json!([format!("run {run}")])
        );
        assert_eq!(crash.data["signal"], 9);
    }
    rig.finish().await;
}

/// A held process is not restarted before somebody asks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_held_process_stays_down() {
    let rig = Rig::new().await;
    let failing = |name| spec(name, "exit 3", "max_restart_delay = \"50ms\"");
    rig.apply(vec![failing("bad"), failing("other")])
        .await
        .expect("registers");
    rig.until("bad", "crashing", |view| view.restarts >= 2)
        .await;
    let hold = Command::Hold {
        target: Target("bad".into()),
        reason: "for the test".into(),
    };
    rig.call(hold).await.expect("holds");
    let held = rig
        .until("bad", "held", |view| view.detail.contains("held"))
        .await;
    // When another of its kind has been tried three times more, so would it have been.
    let before = rig.view("other").await.restarts;
    rig.until("other", "tried more often", |view| {
        view.restarts >= before + 3
    })
    .await;
    assert_eq!(rig.view("bad").await.restarts, held.restarts);
    let restart = Command::Restart {
        target: Target("bad".into()),
        update_env: None,
        reason: Reason::Manual,
        force: false,
    };
    rig.call(restart).await.expect("restarts");
    rig.until("bad", "tried again", |view| view.restarts > held.restarts)
        .await;
    rig.finish().await;
}

/// Neither a restart nor a reload claims to have started a process of no copies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_copy_is_restarted_by_nobody() {
    let rig = Rig::new().await;
    let mut none = spec("none", "exec sleep 600", "");
    none.instances = 0;
    rig.apply(vec![none]).await.expect("registers");
    let restart = Command::Restart {
        target: Target("none".into()),
        update_env: None,
        reason: Reason::Manual,
        force: false,
    };
    for command in [restart, reload("none", PATIENCE)] {
        let Ok(Reply::Done(done)) = rig.call(command).await else {
            panic!("no answer")
        };
        assert!(!done[0].changed, "{done:?}");
        let note = done[0].note.as_deref().expect("a note");
        assert_eq!(note, "has 0 instances; mhost scale none 1 starts one");
    }
    rig.finish().await;
}

/// What would keep a process from ever running again is refused, and it runs on as it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_program_could_bear_is_refused() {
    let rig = Rig::new().await;
    rig.apply(vec![spec("web", "exec sleep 600", "")])
        .await
        .expect("starts");
    let before = pid(&rig.view("web").await);
    let target = || Target("web".into());
    for (name, value) in [("A\0B", "x"), ("", "x"), ("A=B", "x"), ("A", "x\0")] {
        let env = [(name.to_owned(), OsText::from(value))];
        let restart = Command::Restart {
            target: target(),
            update_env: Some(env.into_iter().collect()),
            reason: Reason::Manual,
            force: false,
        };
        let refused = rig.call(restart).await;
        assert!(
            matches!(refused, Err(ControlError::Invalid { .. })),
            "{name:?}: {refused:?}"
        );
    }
    let limit = Command::SetLimit {
        target: target(),
        limit: supervisor::command::Limit::MaxMemory(0),
    };
    assert!(rig.call(limit).await.is_err());
    // A limit is of the definition, which all copies share.
    let of_one = Command::SetLimit {
        target: Target("web:0".to_owned()),
        limit: supervisor::command::Limit::MaxRestarts(3),
    };
    let refused = rig.call(of_one).await;
    let Err(ControlError::Invalid { message, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert!(message.contains("name `web`"), "{message}");
    assert_eq!(pid(&rig.view("web").await), before);
    rig.finish().await;
}

/// What is cheap to know of a process says the same as all that is known of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vitals_tell_how_a_process_does() {
    let rig = Rig::new().await;
    let table = format!("max_memory = \"1GB\"\n{}", probe("true"));
    rig.apply(vec![spec("web", "exec sleep 600", &table)])
        .await
        .expect("starts");
    let first = rig.online("web").await;
    let vitals = || rig.registry.vitals(&first.name).expect("is there");
    assert_eq!((vitals().state, vitals().wanted), (Status::Online, true));
    assert_eq!(vitals().max_memory, Some(1 << 30));
    assert!(vitals().probed && !vitals().failing && !vitals().held);
    assert_eq!(vitals().unbroken, Duration::MAX);
    kill(pid(&first));
    rig.until("web", "a second run", |view| {
        view.state == Status::Online && view.instances[0].generation == 2
    })
    .await;
    assert_ne!(vitals().unbroken, Duration::MAX);
    let stop = Command::Stop {
        target: Target("web".into()),
        force: false,
        signal: None,
    };
    rig.call(stop).await.expect("stops");
    assert_eq!((vitals().state, vitals().wanted), (Status::Stopped, false));
    assert_eq!(vitals().unbroken, Duration::ZERO);
    rig.finish().await;
}
