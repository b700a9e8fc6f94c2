//! What is taken away while somebody else does something to it, or while the daemon dies.

use std::sync::Arc;
use std::time::Duration;

use supervisor::command::{Command, Reply, ScaleChange, Target};
use supervisor::spec::ProcessSpec;
use supervisor::{ControlError, Status};

use super::rig::{PATIENCE, Rig, marked, pid, probe, reload, spec, wait_until};

/// Takes its whole grace period to stop.
fn stubborn(name: &str, grace: &str, extra: &str) -> ProcessSpec {
    let script = "trap '' TERM; while :; do sleep 0.05; done";
    spec(
        name,
        script,
        &format!("grace_period = \"{grace}\"\n{extra}"),
    )
}

fn delete(name: &str) -> Command {
    Command::Delete {
        target: Target(name.into()),
        force: false,
        keep_logs: false,
    }
}

/// A stop returns although somebody starts the process again before it was seen to be down.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_in_the_middle_of_a_stop_hangs_nobody() {
    let rig = Arc::new(Rig::new().await);
    rig.apply(vec![stubborn("web", "1s", "")])
        .await
        .expect("starts");
    let stopper = Arc::clone(&rig);
    let stop = tokio::spawn(async move {
        let target = Target("web".into());
        let stop = Command::Stop {
            target,
            force: false,
            signal: None,
        };
        stopper.call(stop).await
    });
    rig.until("web", "stopping", |view| view.state == Status::Stopping)
        .await;
    let start = Command::Start {
        target: Target("web".into()),
        wait: Some(PATIENCE),
    };
    rig.call(start).await.expect("starts");
    let stopped = tokio::time::timeout(PATIENCE, stop).await.expect("returns");
    let Ok(Reply::Done(done)) = stopped.expect("no panic") else {
        panic!("no answer")
    };
    let note = done[0].note.clone().unwrap_or_default();
    assert!(note.contains("started again"), "{done:?}");
    assert_eq!(rig.view("web").await.state, Status::Online);
    Arc::into_inner(rig).expect("alone").finish().await;
}

/// A reload that has proven its new set while the old one is deleted leaves nothing behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_in_the_middle_of_a_reload_leaves_nothing() {
    let rig = Arc::new(Rig::new().await);
    rig.apply(vec![stubborn("web", "3s", &probe("true"))])
        .await
        .expect("starts");
    let reloader = Arc::clone(&rig);
    let reloading = tokio::spawn(async move { reloader.call(reload("web", PATIENCE)).await });
    let two = || marked(rig.home.path()).len() >= 2;
    wait_until("a new set", two).await;
    let Ok(Reply::Done(done)) = rig.call(delete("web")).await else {
        panic!("no answer")
    };
    assert_eq!(done[0].error, None);
    // What is said to be deleted is gone, the new set as well.
    rig.until_nothing_runs().await;
    assert!(rig.names().await.is_empty());
    let reloaded = reloading.await.expect("no panic");
    assert!(
        matches!(reloaded, Err(ControlError::ReloadFailed { .. })),
        "{reloaded:?}"
    );
    Arc::into_inner(rig).expect("alone").finish().await;
}

/// Who starts what is being deleted is refused; who registers it anew gets a new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_being_deleted_is_not_started() {
    let rig = Arc::new(Rig::new().await);
    rig.apply(vec![stubborn("web", "1s", "")])
        .await
        .expect("starts");
    let deleter = Arc::clone(&rig);
    let deletion = tokio::spawn(async move { deleter.call(delete("web")).await });
    rig.until("web", "stopping", |view| view.state == Status::Stopping)
        .await;
    let start = Command::Start {
        target: Target("web".into()),
        wait: Some(PATIENCE),
    };
    let Ok(Reply::Started(outcome)) = rig.call(start).await else {
        panic!("no answer")
    };
    let error = outcome.processes[0].error.clone().unwrap_or_default();
    assert!(error.contains("being deleted"), "{outcome:?}");
    let scale = Command::Scale {
        target: Target("web".into()),
        change: ScaleChange::To(3),
    };
    assert!(rig.call(scale).await.is_err());
    rig.apply(vec![stubborn("web", "100ms", "")])
        .await
        .expect("starts anew");
    deletion.await.expect("no panic").expect("deleted");
    let view = rig.view("web").await;
    assert_eq!(
        (view.state, view.instances[0].generation),
        (Status::Online, 1)
    );
    assert_eq!(marked(rig.home.path()), [pid(&view)]);
    let home = Arc::into_inner(rig).expect("alone").crash().await;
    let rig = Rig::at(home).await;
    assert_eq!(pid(&rig.view("web").await), pid(&view));
    rig.finish().await;
}

/// A daemon that dies in the middle of a deletion leaves an intention; the next one finishes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_is_finished_by_the_next_daemon() {
    let rig = Arc::new(Rig::new().await);
    let web = stubborn("web", "2s", "");
    rig.apply(vec![web, spec("other", "exec sleep 600", "")])
        .await
        .expect("starts");
    let deleter = Arc::clone(&rig);
    let deletion = tokio::spawn(async move { deleter.call(delete("web")).await });
    rig.until("web", "stopping", |view| view.state == Status::Stopping)
        .await;
    let home = {
        rig.tasks.shutdown(PATIENCE).await;
        rig.ingest.stop();
        let Ok(Reply::Done(done)) = deletion.await.expect("no panic") else {
            panic!("no answer")
        };
        assert!(done[0].error.is_some(), "{done:?}");
        Arc::clone(&rig.home)
    };
    let other = pid(&rig.view("other").await);
    let rig = Rig::at(home).await;
    let end = tokio::time::Instant::now() + PATIENCE;
    while rig.names().await != ["other"] {
        assert!(tokio::time::Instant::now() < end, "it was not deleted");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(marked(rig.home.path()), [other]);
    assert!(!rig.home.path().join("logs/web-0.out.log").exists());
    rig.finish().await;
}

/// A daemon that dies while it scales down leaves no copy too many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scaling_down_is_finished_by_the_next_daemon() {
    let rig = Arc::new(Rig::new().await);
    let mut web = stubborn("web", "1s", "");
    web.instances = 3;
    rig.apply(vec![web]).await.expect("starts");
    let scaler = Arc::clone(&rig);
    let scaling = tokio::spawn(async move {
        let change = ScaleChange::To(1);
        let target = Target("web".into());
        scaler.call(Command::Scale { target, change }).await
    });
    rig.until("web", "stopping", |view| view.state == Status::Stopping)
        .await;
    rig.tasks.shutdown(PATIENCE).await;
    rig.ingest.stop();
    assert!(scaling.await.expect("no panic").is_err());
    let rig = Rig::at(Arc::clone(&rig.home)).await;
    let left = rig
        .until("web", "one", |view| view.instances.len() == 1)
        .await;
    assert_eq!(marked(rig.home.path()), [pid(&left)]);
    rig.finish().await;
}
