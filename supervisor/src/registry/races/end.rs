//! Orders that the end of the daemon overtakes.

use super::sets::scale;
use super::*;

/// A change of a definition that has stopped the former run does not start the next one when
/// the daemon began to end meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_about_to_start_stays_down_when_the_daemon_ends() {
    let rig = Rig::new().await;
    rig.launcher.next_for(&web(), FakeRun::stubborn());
    let other = InstanceId::new("other".parse().expect("a name"), 0);
    let both = |argument: &str| {
        let web = rig.spec("web", argument, "grace_period = \"1h\"");
        vec![web, rig.spec("other", "x", "")]
    };
    answer(rig.apply(both("former"))).await.expect("starts");
    let applying = rig.apply(both("newer"));
    until("the stop", || rig.was_sent(&web(), TERM)).await;
    let registry = rig.registry.clone();
    let closing = tokio::spawn(async move { registry.close(true, PATIENCE).await });
    // By then all have been told that they are not started again.
    until("the end", || rig.was_sent(&other, TERM)).await;
    assert!(rig.launcher.exit(&web(), ExitStatus::Signal(TERM.0)));
    let applied = answer(applying).await;
    assert_eq!(closing.await.expect("no panic"), []);
    assert_eq!(rig.launcher.spawns(&web()), 1, "{applied:?}");
    assert!(rig.alive(&web()).is_empty());
    rig.finish().await;
}

/// A stop whose process is still there when the daemon ends does not say that it is down.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_that_the_end_of_the_daemon_cuts_short_says_so() {
    let rig = Rig::new().await;
    rig.launcher.always(FakeRun::stubborn());
    let patient = rig.spec("web", "x", "grace_period = \"1h\"");
    answer(rig.apply(vec![patient])).await.expect("starts");
    let stopping = rig.begin(stop());
    until("the stop", || rig.was_sent(&web(), TERM)).await;
    assert!(rig.foundation.tasks.shutdown(PATIENCE).await.is_empty());
    let error = done(stopping).await.error.unwrap_or_default();
    assert!(error.contains("the daemon ended"), "{error:?}");
    assert_eq!(rig.alive(&web()).len(), 1);
    rig.finish().await;
}

/// The end of the daemon ends a reload that proves its new set, and both sets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_the_daemon_ends_both_sets_of_a_reload() {
    let (rig, reloading) = Rig::in_a_reload().await;
    assert_eq!(rig.registry.close(true, PATIENCE).await, []);
    assert!(rig.alive(&web()).is_empty());
    let reloaded = answer(reloading).await;
    assert!(
        matches!(reloaded, Err(ControlError::ReloadFailed { .. })),
        "{reloaded:?}"
    );
    rig.finish().await;
}

/// A reload that waits for another one is told that the daemon ends, and not something else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_that_waits_is_told_of_the_end_of_the_daemon() {
    let (rig, reloading) = Rig::in_a_reload().await;
    let waiting = rig.begin(reload());
    a_while(&rig).await;
    assert_eq!(rig.registry.close(true, PATIENCE).await, []);
    answer(reloading).await.expect_err("it was given up");
    let waiting = answer(waiting).await;
    assert!(
        matches!(waiting, Err(ControlError::ShuttingDown)),
        "{waiting:?}"
    );
    rig.finish().await;
}

/// What was stopped with the daemon is not brought up by the next one for a start that had not
/// begun.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_the_daemon_ends_the_starts_that_are_due() {
    let rig = Rig::new().await;
    let first = rig.probed("first", "x");
    let web_after = rig.spec("web", "x", "depends_on = [\"first\"]");
    let applying = rig.apply(vec![first, web_after]);
    let id = InstanceId::new("first".parse().expect("a name"), 0);
    until("the first", || rig.launcher.spawns(&id) == 1).await;
    assert_eq!(rig.registry.close(true, PATIENCE).await, []);
    let applied = answer(applying).await;
    let due = |name: &str| {
        let entries = rig.registry.entries().into_iter();
        let mut rows = entries.map(|(row, _)| row);
        rows.find(|row| row.spec.name.as_str() == name)
            .expect("registered")
            .due
    };
    assert_eq!([due("first"), due("web")], [None, None], "{applied:?}");
    rig.finish().await;
}

/// A number of copies that was refused since the daemon ends is not what the next one has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scaling_that_the_end_of_the_daemon_refuses_is_not_recorded() {
    let (rig, reloading) = Rig::in_a_reload().await;
    let scaling = rig.begin(scale(3));
    a_while(&rig).await;
    assert_eq!(rig.registry.close(true, PATIENCE).await, []);
    answer(reloading).await.expect_err("it was given up");
    let scaled = answer(scaling).await;
    let (row, _) = rig.registry.entries().remove(0);
    assert_eq!((row.scaled, scaled.is_err()), (None, true), "{scaled:?}");
    rig.finish().await;
}
