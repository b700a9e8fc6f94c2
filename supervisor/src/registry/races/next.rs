//! What the next daemon makes of an order that the one before had not finished.

use super::*;

/// `web` waits for `first`, which has begun.
async fn waiting(rig: &Rig, copies: u16) -> JoinHandle<Result<Reply, ControlError>> {
    let first = rig.probed("first", "x");
    let web_after = with_copies(copies, rig.spec("web", "x", "depends_on = [\"first\"]"));
    let applying = rig.apply(vec![first, web_after]);
    until("the first", || rig.launcher.spawns(&before()) == 1).await;
    applying
}

fn before() -> InstanceId {
    InstanceId::new("first".parse().expect("a name"), 0)
}

fn spawns(rig: &Rig) -> [usize; 2] {
    [0, 1].map(|index| rig.launcher.spawns(&copy(index)))
}

/// A start that waits for what has begun waits for it in the next daemon, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_waits_goes_on_waiting() {
    let mut rig = Rig::new().await;
    let applying = waiting(&rig, 2).await;
    rig.next_daemon().await;
    applying.abort();
    a_while(&rig).await;
    assert_eq!(spawns(&rig), [0, 0], "the first is not up");
    std::fs::write(rig.well(), "").expect("writes");
    until("the start", || spawns(&rig) == [1, 1]).await;
    assert_eq!(rig.launcher.spawns(&before()), 1);
    rig.finish().await;
}

/// A copy that was stopped while the start of all waited is left out by the next daemon.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_goes_on_leaves_out_what_was_stopped() {
    let mut rig = Rig::new().await;
    let applying = waiting(&rig, 2).await;
    assert_eq!(done(rig.begin(stop_second())).await.error, None);
    rig.next_daemon().await;
    applying.abort();
    std::fs::write(rig.well(), "").expect("writes");
    until("the start", || spawns(&rig)[0] == 1).await;
    a_while(&rig).await;
    assert_eq!(spawns(&rig), [1, 0]);
    rig.finish().await;
}

/// The same where it was stopped while a new definition stopped the former run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_was_made_leaves_out_what_was_stopped() {
    let mut rig = Rig::new().await;
    let with = |argument: &str| {
        let web = rig.spec("web", argument, "grace_period = \"500ms\"");
        vec![with_copies(2, web)]
    };
    for index in [0, 1] {
        rig.launcher.next_for(&copy(index), FakeRun::stubborn());
    }
    answer(rig.apply(with("former"))).await.expect("starts");
    let applying = rig.apply(with("newer"));
    until("the stop", || rig.was_sent(&copy(1), TERM)).await;
    assert_eq!(done(rig.begin(stop_second())).await.error, None);
    answer(applying).await.expect("answers");
    assert_eq!(spawns(&rig), [2, 1]);
    rig.next_daemon().await;
    a_while(&rig).await;
    until("a look", || !rig.alive(&copy(0)).is_empty()).await;
    assert_eq!(spawns(&rig), [2, 1]);
    rig.finish().await;
}

/// A stop of one copy makes no start of another one due.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_of_one_copy_starts_no_other() {
    let mut rig = Rig::new().await;
    let applying = waiting(&rig, 2).await;
    let stop_first = Command::Stop {
        target: Target("first".into()),
        force: false,
        signal: None,
    };
    assert_eq!(done(rig.begin(stop_first)).await.error, None);
    answer(applying).await.expect("answers");
    assert_eq!(done(rig.begin(stop_second())).await.error, None);
    rig.next_daemon().await;
    a_while(&rig).await;
    assert_eq!(spawns(&rig), [0, 0]);
    rig.finish().await;
}

/// One copy was started of what is not enabled: the others never were, and are not to be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_has_started_stays_down() {
    let mut rig = Rig::new().await;
    let web = with_copies(2, rig.spec("web", "x", "enabled = false"));
    answer(rig.apply(vec![web])).await.expect("is registered");
    let start = Command::Start {
        target: Target("web:0".into()),
        wait: Some(PATIENCE),
    };
    answer(rig.begin(start)).await.expect("starts");
    rig.next_daemon().await;
    a_while(&rig).await;
    assert_eq!(spawns(&rig), [1, 0]);
    rig.finish().await;
}

/// What was stopped while the next daemon waited for it is not up, however it ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_goes_on_notices_that_what_it_waits_for_was_stopped() {
    let mut rig = Rig::new().await;
    let obedient = FakeRun {
        term_exit: Some(ExitStatus::Code(0)),
        ..FakeRun::default()
    };
    rig.launcher.next_for(&before(), obedient);
    let applying = waiting(&rig, 2).await;
    rig.next_daemon().await;
    applying.abort();
    let stop_first = Command::Stop {
        target: Target("first".into()),
        force: false,
        signal: None,
    };
    assert_eq!(done(rig.begin(stop_first)).await.error, None);
    a_while(&rig).await;
    assert_eq!(spawns(&rig), [0, 0]);
    rig.finish().await;
}

/// A stop while a new definition stopped the former run is not undone by the start of one copy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_of_one_copy_brings_back_no_other() {
    let mut rig = Rig::new().await;
    let with = |argument: &str| {
        let web = rig.spec("web", argument, "grace_period = \"1s\"");
        vec![with_copies(2, web)]
    };
    for index in [0, 1] {
        rig.launcher.next_for(&copy(index), FakeRun::stubborn());
    }
    answer(rig.apply(with("former"))).await.expect("starts");
    let applying = rig.apply(with("newer"));
    until("the stop", || rig.was_sent(&copy(1), TERM)).await;
    let stopping = rig.begin(stop());
    a_while(&rig).await;
    let start = Command::Start {
        target: Target("web:0".into()),
        wait: None,
    };
    answer(rig.begin(start)).await.expect("starts");
    drop(answer(stopping).await);
    drop(answer(applying).await);
    rig.next_daemon().await;
    until("the start", || !rig.alive(&copy(0)).is_empty()).await;
    a_while(&rig).await;
    assert_eq!(rig.launcher.spawns(&copy(1)), 1);
    rig.finish().await;
}
