//! Replacing without a gap, also when something dies in the middle of it.

use std::time::Duration;

use supervisor::{Caller, ControlError, Status};

use super::rig::{PATIENCE, Rig, kill, marked, pid, probe, reload, spec, wait_until};

/// A reload brings the new set up before the old one goes; one that fails leaves the old alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_never_leaves_a_gap() {
    let rig = Rig::new().await;
    let flag = rig.home.path().join("broken");
    let script = format!("test -e {} && exit 1; exec sleep 600", flag.display());
    rig.apply(vec![spec("web", &script, &probe("true"))])
        .await
        .expect("starts");
    let first = rig.online("web").await;
    rig.call(reload("web", PATIENCE)).await.expect("reloads");
    let second = rig.view("web").await;
    assert_ne!(pid(&first), pid(&second));
    assert_eq!(second.instances[0].generation, 2);
    std::fs::write(&flag, "").expect("a flag");
    let failed = rig.call(reload("web", Duration::from_secs(5))).await;
    assert!(
        matches!(failed, Err(ControlError::ReloadFailed { .. })),
        "{failed:?}"
    );
    let kept = rig.view("web").await;
    assert_eq!(pid(&second), pid(&kept));
    assert_eq!(kept.state, Status::Online);
    rig.finish().await;
}

/// Reloads that come at the same time follow each other, and leave one set.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_reloads_at_once_leave_one_set() {
    let rig = Rig::new().await;
    rig.apply(vec![spec("web", "exec sleep 600", &probe("true"))])
        .await
        .expect("starts");
    let reload = || reload("web", PATIENCE);
    let (first, second) = tokio::join!(rig.call(reload()), rig.call(reload()));
    first.expect("reloads");
    second.expect("reloads");
    let view = rig.view("web").await;
    assert_eq!(view.instances[0].generation, 3);
    rig.until_only(pid(&view)).await;
    rig.finish().await;
}

/// A daemon that dies in the middle of a reload leaves two runs; the next one ends the older.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_during_a_reload_doubles_nothing() {
    let rig = Rig::new().await;
    let extra = format!("grace_period = \"1s\"\n{}", probe("true"));
    let stubborn = "trap '' TERM; while :; do sleep 1; done";
    rig.apply(vec![spec("web", stubborn, &extra)])
        .await
        .expect("starts");
    let old = pid(&rig.view("web").await);
    let registry = rig.registry.clone();
    let reloading = tokio::spawn(async move {
        let reload = reload("web", PATIENCE);
        registry.call(&Caller::system(), reload).await
    });
    let new = rig
        .until("web", "replaced", |view| {
            view.instances[0].pid.is_some_and(|pid| pid != old) && view.state == Status::Online
        })
        .await;
    reloading.abort();
    let two = [old, pid(&new)];
    let rig = Rig::at(rig.crash().await).await;
    // Which of the two counts is the one that was recorded last.
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let alive = marked(rig.home.path());
        let view = rig.view("web").await;
        let left: Vec<i32> = two.into_iter().filter(|pid| alive.contains(pid)).collect();
        if left.len() == 1 && view.state == Status::Online {
            assert_eq!(left, [pid(&view)]);
            break;
        }
        assert!(tokio::time::Instant::now() < end, "two runs stay: {left:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    rig.finish().await;
}

/// An old instance that crashes while its successor proves itself is started again as a run of
/// its own: the two never share a number, and so neither a FIFO nor a mark.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_beside_an_unproven_set_is_a_run_of_its_own() {
    let rig = Rig::new().await;
    let file = |name: &str| rig.home.path().join(name);
    let script = format!(
        "echo $MHOST_GENERATION >> {}; exec sleep 600",
        file("runs").display()
    );
    let patient = format!(
        "{}retries = 1000",
        probe(&format!("test -e {}", file("well").display()))
    );
    std::fs::write(file("well"), "").expect("writes");
    rig.apply(vec![spec("web", &script, &patient)])
        .await
        .expect("starts");
    let old = pid(&rig.view("web").await);
    std::fs::remove_file(file("well")).expect("removes");
    let runs = || std::fs::read_to_string(file("runs")).unwrap_or_default();
    let registry = rig.registry.clone();
    let reloading = tokio::spawn(async move {
        registry
            .call(&Caller::system(), reload("web", PATIENCE))
            .await
    });
    let begun = |count: usize| move || runs().lines().count() >= count;
    wait_until("the new set", begun(2)).await;
    kill(old);
    wait_until("the old set again", begun(3)).await;
    assert_eq!(runs(), "1\n2\n3\n");
    std::fs::write(file("well"), "").expect("writes");
    reloading.await.expect("no panic").expect("reloads");
    let view = rig.view("web").await;
    assert_eq!(view.instances[0].generation, 2);
    rig.until_only(pid(&view)).await;
    rig.finish().await;
}
