//! Orders about one copy of several, and about a set of copies that another order is changing.

use super::*;
use crate::command::ScaleChange;
use crate::command::view::StartChange;
use crate::state::Reason;

pub(super) fn scale(count: u16) -> Command {
    Command::Scale {
        target: Target("web".into()),
        change: ScaleChange::To(count),
    }
}

fn restart(target: &str) -> Command {
    Command::Restart {
        target: Target(target.into()),
        update_env: None,
        reason: Reason::Manual,
        force: false,
    }
}

/// One copy that is held, or stopped, while the start of all waits stays down.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_copy_that_is_called_off_while_its_start_waits_stays_down() {
    for order in [hold("web:1"), stop_second()] {
        let rig = Rig::new().await;
        let first = rig.probed("first", "x");
        let web_after = with_copies(2, rig.spec("web", "x", "depends_on = [\"first\"]"));
        let applying = rig.apply(vec![first, web_after]);
        let id = InstanceId::new("first".parse().expect("a name"), 0);
        until("the first", || rig.launcher.spawns(&id) == 1).await;
        assert_eq!(done(rig.begin(order)).await.error, None);
        std::fs::write(rig.well(), "").expect("writes");
        answer(applying).await.expect("answers");
        let spawns = [0, 1].map(|index| rig.launcher.spawns(&copy(index)));
        assert_eq!(spawns, [1, 0]);
        rig.finish().await;
    }
}

/// A stop of one copy while a reload is stopping the old ones is answered when both are gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_of_one_copy_waits_for_the_old_one_too() {
    let rig = Rig::new().await;
    std::fs::write(rig.well(), "").expect("writes");
    for index in [0, 1] {
        rig.launcher.next_for(&copy(index), FakeRun::stubborn());
    }
    let mut web = with_copies(2, rig.probed("web", "x"));
    web.config.grace_period = Duration::from_millis(500);
    answer(rig.apply(vec![web])).await.expect("starts");
    let reloading = rig.begin(reload());
    until("the end of the old set", || rig.was_sent(&copy(0), TERM)).await;
    let stopping = rig.begin(stop_second());
    assert_eq!(done(stopping).await.error, None);
    assert!(rig.alive(&copy(1)).is_empty());
    answer(reloading).await.expect("reloads");
    rig.finish().await;
}

/// A reload of what serves already waits for the copies that were just added.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_after_a_scaling_waits_for_the_new_copies() {
    let rig = Rig::new().await;
    std::fs::write(rig.well(), "").expect("writes");
    let first = rig.apply(vec![rig.probed("web", "x")]);
    answer(first).await.expect("starts");
    std::fs::remove_file(rig.well()).expect("removes");
    answer(rig.begin(scale(2))).await.expect("scales");
    until("the new copy", || rig.launcher.spawns(&copy(1)) == 1).await;
    let reloading = rig.begin(reload());
    a_while(&rig).await;
    assert_eq!(rig.launcher.spawns(&copy(0)), 1, "not reloaded yet");
    std::fs::write(rig.well(), "").expect("writes");
    assert_eq!(done(reloading).await.note, None);
    let spawns = [0, 1].map(|index| rig.launcher.spawns(&copy(index)));
    assert_eq!(spawns, [2, 2]);
    rig.finish().await;
}

/// A restart that comes in the middle of a reload restarts the new set.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_in_the_middle_of_a_reload_comes_after_it() {
    let (rig, reloading) = Rig::in_a_reload().await;
    let restarting = rig.begin(restart("web"));
    a_while(&rig).await;
    std::fs::write(rig.well(), "").expect("writes");
    answer(reloading).await.expect("reloads");
    assert_eq!(done(restarting).await.error, None);
    assert_eq!(rig.launcher.alive(&web()), [3]);
    rig.finish().await;
}

/// What is brought up again as it is defined gets the copies back that were stopped one by one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_apply_starts_the_copy_that_was_stopped() {
    let rig = Rig::new().await;
    let specs = || vec![with_copies(2, rig.spec("web", "x", ""))];
    answer(rig.apply(specs())).await.expect("starts");
    assert_eq!(done(rig.begin(stop_second())).await.error, None);
    let Reply::Started(outcome) = answer(rig.apply(specs())).await.expect("starts") else {
        panic!("another answer");
    };
    let web = &outcome.processes[0];
    assert_eq!((web.change, &web.error), (StartChange::Started, &None));
    let spawns = [0, 1].map(|index| rig.launcher.spawns(&copy(index)));
    assert_eq!(spawns, [1, 2]);
    rig.finish().await;
}

/// The same for a copy that is new of its number: it was scaled away, and is there again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_copy_that_is_called_off_while_its_start_waits_stays_down() {
    let rig = Rig::new().await;
    let first = rig.probed("first", "x");
    let web_after = with_copies(2, rig.spec("web", "x", "depends_on = [\"first\"]"));
    let specs = || vec![first.clone(), web_after.clone()];
    let id = InstanceId::new("first".parse().expect("a name"), 0);
    let applying = rig.apply(specs());
    until("the first", || rig.launcher.spawns(&id) == 1).await;
    assert_eq!(done(rig.begin(stop_second())).await.error, None);
    assert_eq!(done(rig.begin(stop())).await.error, None);
    applying.abort();
    let applying = rig.apply(specs());
    a_while(&rig).await;
    for count in [1, 2] {
        answer(rig.begin(scale(count))).await.expect("scales");
    }
    assert_eq!(done(rig.begin(stop_second())).await.error, None);
    std::fs::write(rig.well(), "").expect("writes");
    answer(applying).await.expect("answers");
    let spawns = [0, 1].map(|index| rig.launcher.spawns(&copy(index)));
    assert_eq!(spawns, [1, 0]);
    rig.finish().await;
}

/// A copy that is stopped while a restart of all waits is the only one that is left out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_that_waits_leaves_out_the_copy_that_was_stopped() {
    let rig = Rig::new().await;
    std::fs::write(rig.well(), "").expect("writes");
    for index in [0, 1] {
        rig.launcher.next_for(&copy(index), FakeRun::stubborn());
    }
    let mut web = with_copies(2, rig.probed("web", "x"));
    web.config.grace_period = Duration::from_millis(500);
    answer(rig.apply(vec![web])).await.expect("starts");
    let reloading = rig.begin(reload());
    until("the end of the old set", || rig.was_sent(&copy(0), TERM)).await;
    let restarting = rig.begin(restart("web"));
    a_while(&rig).await;
    assert_eq!(done(rig.begin(stop_second())).await.error, None);
    assert_eq!(done(restarting).await.error, None);
    answer(reloading).await.expect("reloads");
    let alive = [0, 1].map(|index| rig.launcher.alive(&copy(index)));
    assert_eq!(alive, [vec![3], vec![]]);
    rig.finish().await;
}

/// Who restarts what somebody else stops meanwhile is not told that it was restarted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_that_a_stop_ends_says_so() {
    let rig = Rig::new().await;
    let slow = FakeRun {
        term_takes: Duration::from_millis(500),
        term_exit: Some(ExitStatus::Code(0)),
        ..FakeRun::default()
    };
    rig.launcher.next_for(&web(), slow);
    let first = rig.apply(vec![rig.spec("web", "x", "")]);
    answer(first).await.expect("starts");
    let restarting = rig.begin(restart("web"));
    until("the stop", || rig.was_sent(&web(), TERM)).await;
    assert_eq!(done(rig.begin(stop())).await.error, None);
    let error = done(restarting).await.error.unwrap_or_default();
    assert!(error.contains("stopped"), "{error:?}");
    rig.finish().await;
}

/// A reload of what serves waits for the copy that somebody restarts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_waits_for_a_copy_that_is_restarted() {
    let rig = Rig::new().await;
    std::fs::write(rig.well(), "").expect("writes");
    let slow = FakeRun {
        term_takes: Duration::from_millis(500),
        ..FakeRun::default()
    };
    rig.launcher.next_for(&copy(1), slow);
    let web = with_copies(2, rig.probed("web", "x"));
    answer(rig.apply(vec![web])).await.expect("starts");
    let restarting = rig.begin(restart("web:1"));
    until("the stop", || rig.was_sent(&copy(1), TERM)).await;
    assert_eq!(done(rig.begin(reload())).await.note, None);
    assert_eq!(done(restarting).await.error, None);
    rig.finish().await;
}

/// A schedule restarts the copies that nobody has stopped.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_leaves_out_the_copy_that_was_stopped() {
    let rig = Rig::new().await;
    let table = "cron_restart = \"* * * * * *\"";
    let web = with_copies(2, rig.spec("web", "x", table));
    answer(rig.apply(vec![web])).await.expect("starts");
    assert_eq!(done(rig.begin(stop_second())).await.error, None);
    let before = rig.launcher.spawns(&copy(0));
    let stopped = rig.launcher.spawns(&copy(1));
    until("the schedule", || {
        rig.launcher.spawns(&copy(0)) > before + 1
    })
    .await;
    assert_eq!(rig.launcher.spawns(&copy(1)), stopped);
    rig.finish().await;
}

/// Nobody is told that a set was kept which was held.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_that_was_given_up_does_not_say_what_runs() {
    let (rig, reloading) = Rig::in_a_reload().await;
    assert_eq!(done(rig.begin(stop())).await.error, None);
    let Err(ControlError::ReloadFailed { error, .. }) = answer(reloading).await else {
        panic!("it has reloaded");
    };
    assert_eq!(error, "it was stopped, held or deleted meanwhile");
    rig.finish().await;
}

/// One copy of a dependency that is stopped by itself does not hold up what waits for the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_waits_for_the_copies_that_are_to_run() {
    let rig = Rig::new().await;
    let first = with_copies(2, rig.probed("first", "x"));
    let web_after = rig.spec("web", "x", "depends_on = [\"first\"]");
    let applying = rig.apply(vec![first, web_after]);
    let id = InstanceId::new("first".parse().expect("a name"), 1);
    until("the first", || rig.launcher.spawns(&id) == 1).await;
    let stop_one = Command::Stop {
        target: Target("first:1".into()),
        force: false,
        signal: None,
    };
    assert_eq!(done(rig.begin(stop_one)).await.error, None);
    std::fs::write(rig.well(), "").expect("writes");
    let Reply::Started(outcome) = answer(applying).await.expect("starts") else {
        panic!("another answer");
    };
    let errors = outcome.processes.iter().map(|one| one.error.clone());
    assert_eq!(errors.collect::<Vec<_>>(), [None, None]);
    assert_eq!(rig.launcher.spawns(&web()), 1);
    rig.finish().await;
}

/// A schedule leaves the copies alone that nobody has started.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_starts_nothing_that_nobody_has_started() {
    let rig = Rig::new().await;
    let web = with_copies(2, rig.spec("web", "x", "cron_restart = \"* * * * * *\""));
    answer(rig.apply(vec![web])).await.expect("starts");
    assert_eq!(done(rig.begin(stop())).await.error, None);
    let stopped = rig.launcher.spawns(&copy(1));
    let start = Command::Start {
        target: Target("web:0".into()),
        wait: Some(PATIENCE),
    };
    answer(rig.begin(start)).await.expect("starts");
    let before = rig.launcher.spawns(&copy(0));
    until("the schedule", || {
        rig.launcher.spawns(&copy(0)) > before + 1
    })
    .await;
    assert_eq!(rig.launcher.spawns(&copy(1)), stopped);
    rig.finish().await;
}

/// A start or a restart that a deletion or a stop overtakes is not answered as done, however
/// the run ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_overtaken_is_not_answered_as_done() {
    let delete = Command::Delete {
        target: Target("web".into()),
        force: false,
        keep_logs: false,
    };
    let start = |target: &str| Command::Start {
        target: Target(target.into()),
        wait: Some(PATIENCE),
    };
    let cases = [
        (restart("web"), delete.clone(), "deleted"),
        (start("web"), delete, "deleted"),
        (start("web:0"), stop(), "stopped"),
        (restart("web:0"), stop(), "stopped"),
    ];
    for (order, other, word) in cases {
        let rig = Rig::new().await;
        rig.launcher.always(FakeRun {
            term_exit: Some(ExitStatus::Code(0)),
            ..FakeRun::default()
        });
        let mut web = rig.probed("web", "x");
        web.config.enabled = false;
        answer(rig.apply(vec![web])).await.expect("is registered");
        let ordered = rig.begin(order.clone());
        until("the run", || !rig.alive(&copy(0)).is_empty()).await;
        assert_eq!(done(rig.begin(other)).await.error, None);
        let error = match answer(ordered).await.expect("answers") {
            Reply::Done(mut done) => done.remove(0).error,
            Reply::Started(mut outcome) => outcome.processes.remove(0).error,
            other => panic!("{other:?}"),
        };
        let error = error.unwrap_or_default();
        assert!(error.contains(word), "{order:?}: {error:?}");
        rig.finish().await;
    }
}

/// A stop of one copy that comes while an apply waits for its turn is not forgotten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_apply_that_waits_leaves_out_the_copy_that_was_stopped() {
    let rig = Rig::new().await;
    let specs = || vec![with_copies(2, rig.spec("web", "x", ""))];
    answer(rig.apply(specs())).await.expect("starts");
    assert_eq!(done(rig.begin(stop())).await.error, None);
    let other = rig.registry.shared.registering.lock().await;
    let applying = rig.apply(specs());
    a_while(&rig).await;
    assert_eq!(done(rig.begin(stop_second())).await.error, None);
    drop(other);
    answer(applying).await.expect("starts");
    let (row, handles) = rig.registry.entries().remove(0);
    let saved = handles
        .iter()
        .map(|one| (one.id().clone(), one.snapshot().saved.clone()));
    assert!(!row.is_due(&saved.collect()), "{:?}", row.due);
    let spawns = [0, 1].map(|index| rig.launcher.spawns(&copy(index)));
    assert_eq!(spawns, [2, 1]);
    rig.finish().await;
}

/// The same where it is the only copy: nothing of it is started, now or by the next daemon.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_apply_that_waits_leaves_out_the_only_copy() {
    let rig = Rig::new().await;
    let specs = || vec![rig.spec("web", "x", "")];
    answer(rig.apply(specs())).await.expect("starts");
    assert_eq!(done(rig.begin(stop())).await.error, None);
    let other = rig.registry.shared.registering.lock().await;
    let applying = rig.apply(specs());
    a_while(&rig).await;
    let stop_only = Command::Stop {
        target: Target("web:0".into()),
        force: false,
        signal: None,
    };
    assert_eq!(done(rig.begin(stop_only)).await.error, None);
    drop(other);
    answer(applying).await.expect("answers");
    let (row, _) = rig.registry.entries().remove(0);
    assert_eq!((row.due, rig.launcher.spawns(&web())), (None, 1));
    rig.finish().await;
}

/// Who starts one copy while an apply is at something else sets no other copy aside.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_apply_starts_all_also_where_somebody_starts_one() {
    let rig = Rig::new().await;
    let slow = InstanceId::new("slow".parse().expect("a name"), 0);
    rig.launcher.next_for(&slow, FakeRun::stubborn());
    let with = |argument: &str| {
        let slow = rig.spec("slow", argument, "grace_period = \"1h\"");
        vec![with_copies(2, rig.spec("web", "x", "")), slow]
    };
    answer(rig.apply(with("former"))).await.expect("starts");
    assert_eq!(done(rig.begin(stop())).await.error, None);
    let applying = rig.apply(with("newer"));
    until("the stop", || rig.was_sent(&slow, TERM)).await;
    let start = Command::Start {
        target: Target("web:0".into()),
        wait: Some(PATIENCE),
    };
    answer(rig.begin(start)).await.expect("starts");
    assert!(rig.launcher.exit(&slow, ExitStatus::Signal(TERM.0)));
    answer(applying).await.expect("answers");
    assert_eq!(rig.launcher.alive(&copy(1)).len(), 1);
    rig.finish().await;
}
