//! Programs that renew themselves on a signal, one after another.

use supervisor::{EventKind, Status};

use super::rig::{Rig, failure, pids, probe, reload_as_said, spec};

/// A program that writes its number down when it gets the signal.
fn renews(file: &std::path::Path) -> String {
    format!(
        "trap 'echo $MHOST_INSTANCE >> {}' USR2; while :; do sleep 0.05; done",
        file.display()
    )
}

const SIGNAL: &str = "instances = 3\n[reload]\nmode = \"signal\"\ntimeout = \"2s\"\n";

/// Each copy gets the signal, in order, and is the same run afterwards; its children get none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_copy_gets_the_signal_in_turn() {
    let rig = Rig::new().await;
    let (got, child) = (rig.home.path().join("got"), rig.home.path().join("child"));
    let script = format!("({}) & {}", renews(&child), renews(&got));
    let extra = format!("{SIGNAL}{}", probe("true"));
    rig.apply(vec![spec("web", &script, &extra)])
        .await
        .expect("starts");
    let before = rig.online("web").await;
    rig.call(reload_as_said("web")).await.expect("reloads");
    assert_eq!(std::fs::read_to_string(&got).expect("written"), "0\n1\n2\n");
    assert!(!child.exists());
    let after = rig.view("web").await;
    assert_eq!(pids(&after), pids(&before));
    assert_eq!(after.state, Status::Online);
    let events = rig.history("web").await;
    let of = |kind| events.iter().find(|event| event.kind == kind);
    let started = of(EventKind::ReloadStarted).expect("it is told");
    assert_eq!(started.data["mode"], "signal");
    assert_eq!(
        events.last().map(|one| one.kind),
        Some(EventKind::ReloadDone)
    );
    rig.finish().await;
}

/// A copy that is not well after the signal ends the reload, and those after it get none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_not_well_again_ends_it() {
    let rig = Rig::new().await;
    let got = rig.home.path().join("got");
    let well = format!("test ! -e {}", got.display());
    let extra = format!("{SIGNAL}{}retries = 1000\n", probe(&well));
    rig.apply(vec![spec("web", &renews(&got), &extra)])
        .await
        .expect("starts");
    let before = pids(&rig.online("web").await);
    let told = failure(rig.call(reload_as_said("web")).await);
    let wanted = "`web:0`: it did not pass its probes within 2s (script: exit 1); \
        the 2 after it were not touched";
    assert_eq!(told, wanted);
    assert_eq!(std::fs::read_to_string(&got).expect("written"), "0\n");
    assert_eq!(pids(&rig.view("web").await), before);
    rig.finish().await;
}

/// A program that does not know the signal dies of it: one does, and is started again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_does_not_know_the_signal_is_told() {
    let rig = Rig::new().await;
    rig.apply(vec![spec("web", "exec sleep 600", SIGNAL)])
        .await
        .expect("starts");
    let before = pids(&rig.online("web").await);
    let told = failure(rig.call(reload_as_said("web")).await);
    let wanted = "`web:0`: SIGUSR2 ended it; the 2 after it were not touched";
    assert_eq!(told, wanted);
    let after = pids(&rig.online("web").await);
    assert_ne!(after[0], before[0]);
    assert_eq!(after[1..], before[1..]);
    rig.finish().await;
}
