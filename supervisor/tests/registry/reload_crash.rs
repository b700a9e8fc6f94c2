//! A daemon that dies in the middle of a reload leaves each instance once, wherever it dies.

use std::path::Path;

use supervisor::{Caller, EventKind};

use super::rig::{Rig, marked, pids, probe, reload_as_said, spec, wait_until};

/// Passes for what stands alone, and beside another copy where this holds.
fn alone_or(condition: &str) -> String {
    probe(&format!("test x$MHOST_REUSEPORT = x || {condition}"))
}

/// Two copies of this script, which are reloaded.
async fn reloading(script: &str, extra: &str) -> (Rig, Vec<i32>) {
    let rig = Rig::new().await;
    rig.apply(vec![spec(
        "web",
        script,
        &format!("instances = 2\n{extra}"),
    )])
    .await
    .expect("starts");
    let old = pids(&rig.online("web").await);
    let registry = rig.registry.clone();
    // It ends with the daemon.
    tokio::spawn(async move {
        registry
            .call(&Caller::system(), reload_as_said("web"))
            .await
    });
    (rig, old)
}

/// Those that run beside the old ones.
fn new_ones(home: &Path, old: &[i32]) -> Vec<i32> {
    let mut alive = marked(home);
    alive.retain(|pid| !old.contains(pid));
    alive
}

/// The daemon dies, and the next one has these, and nothing else runs.
async fn crash_leaves(rig: Rig, wanted: &[i32]) {
    let rig = Rig::at(rig.crash().await).await;
    rig.until_only_these(wanted).await;
    assert_eq!(pids(&rig.online("web").await), wanted);
    rig.finish().await;
}

/// New copies that have not passed their probes go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_new_copies_come_up() {
    let (rig, old) = reloading("exec sleep 600", &alone_or("false")).await;
    let two = || new_ones(rig.home.path(), &old).len() >= 2;
    wait_until("the new ones", two).await;
    crash_leaves(rig, &old).await;
}

/// So do those that have passed them and have not proven themselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_new_copies_prove_themselves() {
    let (rig, old) = reloading("exec sleep 600", &alone_or("test $MHOST_INSTANCE = 0")).await;
    let online = async || {
        let events = rig.history("web").await;
        let begun = events
            .iter()
            .position(|event| event.kind == EventKind::ReloadStarted)?;
        let rest = &events[begun..];
        rest.iter().find(|event| event.kind == EventKind::Online)?;
        Some(())
    };
    while online().await.is_none() {
        tokio::time::sleep(super::rig::POLL).await;
    }
    crash_leaves(rig, &old).await;
}

/// What a batch has replaced stays new, and the batch that comes up goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn between_two_batches() {
    let extra = format!(
        "[reload]\nsurge = 1\n{}",
        alone_or("test $MHOST_INSTANCE = 0")
    );
    let (rig, old) = reloading("exec sleep 600", &extra).await;
    let second = || {
        let alive = marked(rig.home.path());
        !alive.contains(&old[0]) && alive.contains(&old[1]) && alive.len() >= 3
    };
    wait_until("the second batch", second).await;
    let first = pids(&rig.view("web").await)[0];
    assert_ne!(first, old[0]);
    crash_leaves(rig, &[first, old[1]]).await;
}

/// Old copies that take their time to stop have it, and the new ones stay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_old_copies_stop() {
    let extra = format!("grace_period = \"1s\"\n{}", alone_or("true"));
    let (rig, old) = reloading("trap '' TERM; while :; do sleep 0.2; done", &extra).await;
    // An old copy is told to stop when the new ones are recorded in the place of the old.
    while !rig
        .history("web")
        .await
        .iter()
        .any(|event| event.kind == EventKind::Stopping)
    {
        tokio::time::sleep(super::rig::POLL).await;
    }
    let now = pids(&rig.view("web").await);
    assert!(old.iter().all(|pid| marked(rig.home.path()).contains(pid)));
    crash_leaves(rig, &now).await;
}

/// A copy that has got its signal is the run that it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_copy_renews_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let got = folder.path().join("got");
    let script = format!(
        "trap 'touch {}' USR2; while :; do sleep 0.05; done",
        got.display()
    );
    let extra = format!("[reload]\nmode = \"signal\"\n{}", probe("true"));
    let (rig, old) = reloading(&script, &extra).await;
    wait_until("the signal", || got.exists()).await;
    crash_leaves(rig, &old).await;
}
