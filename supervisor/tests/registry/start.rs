//! Bringing definitions about: order, numbers, and what a second time changes.

use supervisor::command::view::{ProcessView, StartChange};
use supervisor::command::{Apply, Command, Reply, ScaleChange, Target};
use supervisor::{ControlError, Event, Status};

use super::rig::{PATIENCE, POLL, Rig, pid, probe, spec};

/// A dependency comes first; what depends on a failed one stays down and says why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_dependency_stops_its_dependents() {
    let rig = Rig::new().await;
    let mut missing = spec("db", "exit 0", "");
    missing.argv.program = "/no/such/program".into();
    let api = spec("api", "exec sleep 600", "depends_on = [\"db\"]");
    let Ok(Reply::Started(outcome)) = rig.apply(vec![api, missing]).await else {
        panic!("no outcome")
    };
    let error = |name: &str| {
        let started = outcome
            .processes
            .iter()
            .find(|one| one.name.as_str() == name)
            .expect("named");
        started.error.clone().unwrap_or_default()
    };
    assert!(error("db").contains("not found"), "{}", error("db"));
    assert!(error("api").contains("dependency `db`"), "{}", error("api"));
    assert_eq!(rig.view("api").await.state, Status::Stopped);
    rig.finish().await;
}

/// A start that is not waited for has begun when it is answered, and one of no copies says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_says_what_has_begun() {
    let rig = Rig::new().await;
    let mut none = spec("none", "exec sleep 600", "");
    none.instances = 0;
    let apply = Apply {
        processes: vec![spec("web", "exec sleep 600", ""), none],
        groups: Vec::new(),
        prune: false,
        force: false,
        reset_scale: false,
        others: Vec::new(),
        wait: None,
    };
    let Ok(Reply::Started(outcome)) = rig.call(Command::Apply(apply)).await else {
        panic!("no start")
    };
    assert_ne!(rig.view("web").await.state, Status::Stopped);
    let empty = &outcome.processes[1];
    assert_eq!(empty.change, StartChange::Registered);
    assert!(!empty.online);
    let note = empty.note.as_deref().expect("a note");
    assert!(note.contains("mhost scale none 1"), "{note}");
    rig.finish().await;
}

/// Who waits for a start need not wait until the time is over when a person is needed: not for
/// the process itself, and not for what depends on it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_is_not_waited_for_when_a_person_is_needed() {
    let rig = Rig::new().await;
    let db = spec("db", "exec sleep 600", &probe("false"));
    let api = spec("api", "exec sleep 600", "depends_on = [\"db\"]");
    let apply = Apply {
        processes: vec![db, api],
        groups: Vec::new(),
        prune: false,
        force: false,
        reset_scale: false,
        others: Vec::new(),
        wait: Some(PATIENCE * 100),
    };
    // Nobody listens before the start is waited for, and nothing is lost by saying it again.
    let tell = async {
        let name = "db".parse().expect("a name");
        loop {
            rig.registry.tell_waiting(&name, "its host has no address");
            tokio::time::sleep(POLL).await;
        }
    };
    let start = tokio::time::timeout(PATIENCE, rig.call(Command::Apply(apply)));
    let outcome = tokio::select! {
        outcome = start => outcome.expect("it is not waited for"),
        () = tell => unreachable!("it goes on for ever"),
    };
    let Ok(Reply::Started(outcome)) = outcome else {
        panic!("{outcome:?}")
    };
    let error = |name: &str| {
        let mut all = outcome.processes.iter();
        let one = all.find(|one| one.name.as_str() == name).expect("named");
        one.error.clone().unwrap_or_default()
    };
    assert_eq!(error("db"), "not online yet: its host has no address");
    assert_eq!(error("api"), "not online yet");
    assert_eq!(rig.view("db").await.state, Status::Starting);
    // Nor does the next one wait for what is known by now.
    let again = rig.call(Command::Start {
        target: Target("db".into()),
        wait: Some(PATIENCE * 100),
    });
    let again = tokio::time::timeout(PATIENCE, again).await;
    let Ok(Reply::Started(outcome)) = again.expect("it is not waited for") else {
        panic!("no outcome")
    };
    let error = outcome.processes[0].error.as_deref();
    assert_eq!(error, Some("not online yet: its host has no address"));
    rig.finish().await;
}

/// A probe that is tried once an hour is tried when somebody wants to know.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_runs_when_it_is_asked_for() {
    let rig = Rig::new().await;
    let tries = rig.home.path().join("tries");
    let script = format!(
        "echo once >> {}; test ! -e {}",
        tries.display(),
        rig.home.path().join("sick").display()
    );
    let extra = probe(&script).replace("\"1s\"", "\"1h\"");
    assert!(extra.contains("\"1h\""), "{extra}");
    let mute = spec("mute", "exec sleep 600", "");
    rig.apply(vec![spec("web", "exec sleep 600", &extra), mute])
        .await
        .expect("a start");
    let count = || std::fs::read_to_string(&tries).map_or(0, |text| text.lines().count());
    let before = count();
    let run = async |name: &str| {
        let target = Target(name.into());
        match rig.call(Command::RunProbe { target }).await {
            Ok(Reply::Done(mut done)) => done.remove(0),
            other => panic!("{other:?}"),
        }
    };
    let done = run("web").await;
    assert_eq!(done.note.as_deref(), Some("its probe passes"), "{done:?}");
    assert!(!done.changed && done.error.is_none(), "{done:?}");
    assert_eq!(count(), before + 1);
    let done = run("mute").await;
    assert!(done.error.is_some(), "{done:?}");
    // Who asks again and again of a probe that fails brings about no restart.
    let sick = rig.home.path().join("sick");
    std::fs::write(&sick, "").expect("a file");
    let former = pid(&rig.view("web").await);
    for _ in 0..6 {
        let done = run("web").await;
        let note = done.note.as_deref();
        assert_eq!(note, Some("its probe fails for 1 of 1 copies"), "{done:?}");
    }
    assert_eq!(count(), before + 7);
    let view = rig.view("web").await;
    assert_eq!((view.state, pid(&view)), (Status::Online, former));
    let history = rig.history("web").await;
    let is_health = |event: &Event| event.kind.to_string().starts_with("health");
    assert!(!history.iter().any(is_health), "{history:#?}");
    rig.finish().await;
}

/// A long chain of dependencies is no deeper for the stack than a short one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_of_thousands_is_started_and_stopped() {
    let rig = Rig::new().await;
    let link = |index: usize| {
        let on = match index {
            0 => String::new(),
            _ => format!("depends_on = [\"p{}\"]\n", index - 1),
        };
        let mut link = spec(&format!("p{index}"), "exit 0", &on);
        link.instances = 0;
        link
    };
    rig.apply((0..2000).map(link).collect())
        .await
        .expect("starts");
    let all = Command::Stop {
        target: Target("all".into()),
        force: false,
        signal: None,
    };
    rig.call(all).await.expect("stops");
    rig.finish().await;
}

/// Scaling touches only what is added or taken away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scaling_leaves_the_others_alone() {
    let rig = Rig::new().await;
    rig.apply(vec![spec("web", "exec sleep 600", "instances = 2")])
        .await
        .expect("starts");
    let before = rig.online("web").await;
    let up = Command::Scale {
        target: Target("web".into()),
        change: ScaleChange::By(2),
    };
    rig.call(up).await.expect("scales up");
    rig.until("web", "four online", |view| {
        view.instances.len() == 4 && view.instances.iter().all(|one| one.state == Status::Online)
    })
    .await;
    let down = Command::Scale {
        target: Target("web".into()),
        change: ScaleChange::To(2),
    };
    rig.call(down).await.expect("scales down");
    let after = rig.view("web").await;
    let pids = |view: &ProcessView| view.instances.iter().map(|one| one.pid).collect::<Vec<_>>();
    assert_eq!(pids(&before), pids(&after));
    rig.finish().await;
}

/// A change that was refused has not been made: no copy is left that nobody starts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scaling_that_cannot_be_recorded_changes_nothing() {
    let rig = Rig::new().await;
    rig.apply(vec![spec("web", "exec sleep 600", "")])
        .await
        .expect("starts");
    let before = rig.online("web").await;
    let paths = supervisor::Paths::new(rig.home.path()).expect("paths");
    let other = rusqlite::Connection::open(paths.database()).expect("opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("locks");
    let to = |count| Command::Scale {
        target: Target("web".into()),
        change: ScaleChange::To(count),
    };
    rig.call(to(3)).await.expect_err("it cannot be recorded");
    assert_eq!(rig.view("web").await.instances.len(), 1);
    other.execute_batch("ROLLBACK").expect("unlocks");
    rig.call(to(2)).await.expect("scales up");
    let after = rig
        .until("web", "two online", |view| {
            let mut all = view.instances.iter();
            view.instances.len() == 2 && all.all(|one| one.state == Status::Online)
        })
        .await;
    assert_eq!(after.instances[0].pid, before.instances[0].pid);
    rig.finish().await;
}

/// What a file says twice is done once; what changed is restarted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn applying_twice_changes_nothing() {
    let rig = Rig::new().await;
    rig.apply(vec![spec("web", "exec sleep 600", "")])
        .await
        .expect("starts");
    let before = rig.online("web").await;
    let change = |reply: Result<Reply, ControlError>| match reply {
        Ok(Reply::Started(outcome)) => outcome.processes[0].change,
        other => panic!("{other:?}"),
    };
    let again = rig.apply(vec![spec("web", "exec sleep 600", "")]).await;
    assert_eq!(change(again), StartChange::Unchanged);
    assert_eq!(pid(&rig.view("web").await), pid(&before));
    let changed = rig.apply(vec![spec("web", "exec sleep 601", "")]).await;
    assert_eq!(change(changed), StartChange::Updated);
    assert_ne!(pid(&rig.view("web").await), pid(&before));
    rig.finish().await;
}

/// A file that is applied again does not call a crash loop online.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn applying_again_tells_a_crash_loop() {
    let rig = Rig::new().await;
    let bad = || spec("bad", "exit 3", "max_restart_delay = \"50ms\"");
    for _ in 0..2 {
        let Ok(Reply::Started(outcome)) = rig.apply(vec![bad()]).await else {
            panic!("no outcome");
        };
        assert!(!outcome.processes[0].online, "{outcome:?}");
        let error = outcome.processes[0].error.clone().unwrap_or_default();
        assert!(error.contains("code 3"), "{error}");
    }
    rig.finish().await;
}
