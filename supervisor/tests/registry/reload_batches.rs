//! A new set that comes up in batches, and what is left when a part of it fails.

use std::time::Duration;

use supervisor::{EventKind, Status};

use super::rig::{
    PATIENCE, Rig, failure, kill, marked, pid, pids, probe, reload, reload_as_said, spec,
    wait_until,
};

/// A script that ends at once where this condition holds for a copy that is started beside
/// another one.
fn fails_if(condition: &str) -> String {
    format!("test x$MHOST_REUSEPORT = x1 && {condition} && exit 7; exec sleep 600")
}

/// Batches save memory: the old copies of one are gone before the next is started.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_replaced_before_the_next_one_starts() {
    let rig = Rig::new().await;
    let extra = format!("instances = 3\n[reload]\nsurge = 2\n{}", probe("true"));
    rig.apply(vec![spec("web", "exec sleep 600", &extra)])
        .await
        .expect("starts");
    let old = pids(&rig.online("web").await);
    rig.call(reload_as_said("web")).await.expect("reloads");
    let view = rig.view("web").await;
    assert_eq!(view.state, Status::Online);
    assert!(pids(&view).iter().all(|pid| !old.contains(pid)));
    rig.until_only_these(&pids(&view)).await;
    let events = rig.history("web").await;
    let begun = events
        .iter()
        .position(|event| event.kind == EventKind::ReloadStarted)
        .expect("it is told");
    let moves: Vec<_> = events[begun..]
        .iter()
        .filter(|event| matches!(event.kind, EventKind::Start | EventKind::Stop))
        .map(|event| (event.kind, event.instance.expect("of an instance")))
        .collect();
    let place = |kind, instance| {
        let is_it = |one: &(EventKind, u16)| *one == (kind, instance);
        moves.iter().position(is_it).expect("it happened")
    };
    for first in [0, 1] {
        assert!(
            place(EventKind::Stop, first) < place(EventKind::Start, 2),
            "{moves:?}"
        );
    }
    rig.finish().await;
}

/// A batch that fails ends the reload: what was replaced stays new, the rest stays old, and that
/// is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_fails_leaves_the_others_as_they_are() {
    let rig = Rig::new().await;
    let extra = format!("instances = 4\n[reload]\nsurge = 2\n{}", probe("true"));
    let script = fails_if("test $MHOST_INSTANCE -ge 2");
    rig.apply(vec![spec("web", &script, &extra)])
        .await
        .expect("starts");
    let old = pids(&rig.online("web").await);
    let told = failure(rig.call(reload_as_said("web")).await);
    assert!(told.starts_with("the new `web:"), "{told}");
    let rest =
        "failed: it exited with code 7; new: instances 0 to 1, kept as before: instances 2 to 3";
    assert!(told.ends_with(rest), "{told}");
    let view = rig.view("web").await;
    assert_eq!(view.state, Status::Online);
    let now = pids(&view);
    assert!(now[0] != old[0] && now[1] != old[1]);
    assert_eq!(now[2..], old[2..]);
    rig.until_only_these(&now).await;
    let failed = rig.history("web").await.pop().expect("events");
    assert_eq!(failed.kind, EventKind::ReloadFailed);
    assert_eq!(failed.data["error"], told);
    rig.finish().await;
}

/// The first copy that fails ends its batch at once, and takes the others of it along. One that
/// finds its port taken says what to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_that_fails_ends_its_batch() {
    let rig = Rig::new().await;
    // No other copy ever passes.
    let patient = probe("test x$MHOST_REUSEPORT = x");
    let script = "test x$MHOST_REUSEPORT = x1 && test $MHOST_INSTANCE = 1 && \
        { echo 'listen EADDRINUSE: address already in use' >&2; exit 1; }; exec sleep 600";
    rig.apply(vec![spec(
        "web",
        script,
        &format!("instances = 3\n{patient}"),
    )])
    .await
    .expect("starts");
    let old = pids(&rig.online("web").await);
    let reloaded = rig.call(reload("web", Duration::from_secs(3_600)));
    let told = failure(
        tokio::time::timeout(PATIENCE, reloaded)
            .await
            .expect("it does not wait for the others"),
    );
    assert!(told.contains("`web:1` failed: its port is taken"), "{told}");
    assert!(told.contains("`listen`"), "{told}");
    assert!(told.ends_with("; the old instances were kept"), "{told}");
    assert_eq!(pids(&rig.view("web").await), old);
    rig.until_only_these(&old).await;
    rig.finish().await;
}

/// How long new copies may take is said in the definition.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_timeout_of_the_definition_counts() {
    let rig = Rig::new().await;
    let extra = format!(
        "[reload]\ntimeout = \"700ms\"\n{}",
        probe("test x$MHOST_REUSEPORT = x")
    );
    rig.apply(vec![spec("web", "exec sleep 600", &extra)])
        .await
        .expect("starts");
    let old = pid(&rig.online("web").await);
    let told = failure(rig.call(reload_as_said("web")).await);
    let wanted = "the new `web:0` failed: it did not pass its probes within 700ms (script: exit 1); \
        the old instances were kept";
    assert_eq!(told, wanted);
    rig.until_only(old).await;
    rig.finish().await;
}

/// A program is told that another copy may hold its port only where that is so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_beside_another_one_is_told_so() {
    let rig = Rig::new().await;
    let runs = rig.home.path().join("runs");
    let script = format!(
        "echo $MHOST_GENERATION ${{MHOST_REUSEPORT:-alone}} >> {}; exec sleep 600",
        runs.display()
    );
    rig.apply(vec![spec("web", &script, &probe("true"))])
        .await
        .expect("starts");
    rig.call(reload_as_said("web")).await.expect("reloads");
    kill(pid(&rig.view("web").await));
    let lines = || std::fs::read_to_string(&runs).unwrap_or_default();
    wait_until("the next run", || lines().lines().count() == 3).await;
    assert_eq!(lines(), "1 alone\n2 1\n3 alone\n");
    rig.online("web").await;
    rig.finish().await;
}

/// A new set has the env files of now.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_set_has_the_env_files_of_now() {
    let rig = Rig::new().await;
    let (file, runs) = (rig.home.path().join("env"), rig.home.path().join("runs"));
    let script = format!("echo $COLOUR >> {}; exec sleep 600", runs.display());
    let extra = format!("env_file = \"{}\"\n{}", file.display(), probe("true"));
    std::fs::write(&file, "COLOUR=red\n").expect("writes");
    let mut web = spec("web", &script, &extra);
    web.env.files.insert("COLOUR".into(), "red".into());
    rig.apply(vec![web]).await.expect("starts");
    std::fs::write(&file, "COLOUR=blue\n").expect("writes");
    rig.call(reload_as_said("web")).await.expect("reloads");
    let lines = std::fs::read_to_string(&runs).expect("written");
    assert_eq!(lines, "red\nblue\n");
    rig.finish().await;
}

/// A stop between two batches ends the reload and leaves nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_between_batches_leaves_nothing() {
    let rig = Rig::new().await;
    let first = probe("test x$MHOST_REUSEPORT = x || test $MHOST_INSTANCE = 0");
    let extra = format!("instances = 2\n[reload]\nsurge = 1\n{first}");
    rig.apply(vec![spec("web", "exec sleep 600", &extra)])
        .await
        .expect("starts");
    let old = pids(&rig.online("web").await);
    let registry = rig.registry.clone();
    let reloading = tokio::spawn(async move {
        let caller = supervisor::Caller::system();
        registry.call(&caller, reload("web", PATIENCE)).await
    });
    let second = || {
        let alive = marked(rig.home.path());
        !alive.contains(&old[0]) && alive.contains(&old[1]) && alive.len() == 3
    };
    wait_until("the second batch", second).await;
    let stop = supervisor::command::Command::Stop {
        target: supervisor::command::Target("web".into()),
        force: false,
        signal: None,
    };
    rig.call(stop).await.expect("stops");
    rig.until_nothing_runs().await;
    let told = failure(reloading.await.expect("no panic"));
    assert!(
        told.starts_with("it was stopped, held or deleted"),
        "{told}"
    );
    rig.finish().await;
}
