//! The launcher of the next daemon finds what the former one started.

use supervisor::launch::{Found, Launcher, Scope};
use supervisor::state::{ExitStatus, ProcessRef};

use super::bench::{Bench, KILL, TERM, new_launcher, wait_until};

#[tokio::test]
async fn another_launcher_adopts() {
    let bench = Bench::new();
    let process = bench
        .start(
            4,
            "trap 'exit 21' TERM; echo $$ > ready; while :; do sleep 0.01; done",
        )
        .await;
    bench.wait_for_file("ready").await;
    let next = new_launcher(&bench.paths);
    let found = next.find_unrecorded(&bench.instance, 4).await;
    assert_eq!(found.as_ref(), Some(&process));
    assert_eq!(next.find_unrecorded(&bench.instance, 5).await, None);
    assert_eq!(next.adopt(&process).await, Found::Alive(process.clone()));
    let reused = ProcessRef {
        start_time: process.start_time + 1,
        ..process.clone()
    };
    assert_eq!(next.adopt(&reused).await, Found::Ended(ExitStatus::Unknown));
    assert!(
        !next
            .signal(&bench.instance, &reused, KILL, Scope::Leader)
            .await
    );
    assert!(
        !next
            .signal(&bench.instance, &reused, KILL, Scope::Group)
            .await
    );
    let rebooted = ProcessRef {
        boot_id: "another".to_owned(),
        ..process.clone()
    };
    assert!(
        !next
            .signal(&bench.instance, &rebooted, KILL, Scope::Leader)
            .await
    );
    assert!(
        next.signal(&bench.instance, &process, TERM, Scope::Leader)
            .await
    );
    assert_eq!(next.exited(&process).await, ExitStatus::Code(21));
    assert_eq!(
        next.adopt(&process).await,
        Found::Ended(ExitStatus::Code(21))
    );
    next.forget(&process);
    bench.launcher.forget(&process);
}

/// By the mark alone: its leader is collected, its group is its own and it has no parent left.
#[tokio::test]
async fn the_next_launcher_ends_what_a_collected_leader_left() {
    let bench = Bench::new();
    let leader = bench.start(3, "setsid sleep 100 & exit 0").await;
    bench.launcher.exited(&leader).await;
    bench.launcher.forget(&leader);
    wait_until(|| bench.marked().len() == 1).await;
    let next = new_launcher(&bench.paths);
    assert_eq!(next.adopt(&leader).await, Found::Ended(ExitStatus::Unknown));
    assert_eq!(bench.remaining_by(&next, &leader, 3).await, Some(1));
    let by = async |generation| {
        next.signal(&bench.instance, &leader, KILL, Scope::Tree(generation))
            .await
    };
    assert!(!by(2).await, "one of a later run");
    assert!(by(3).await);
    wait_until(|| bench.marked().is_empty()).await;
}

#[tokio::test]
async fn a_process_whose_parent_died_is_adopted() {
    let bench = Bench::new();
    // The daemon of old: a shell that starts the run and is gone.
    let parent = bench
        .start(
            9,
            "setsid sh -c 'echo $$ > pid; while [ ! -e go ]; do sleep 0.01; done; exit 37' & \
                   while [ ! -s pid ]; do sleep 0.01; done; exit 0",
        )
        .await;
    bench.launcher.exited(&parent).await;
    bench.launcher.forget(&parent);
    let pid: i32 = bench.wait_for_file("pid").await.parse().expect("a pid");
    let next = new_launcher(&bench.paths);
    let process = next
        .find_unrecorded(&bench.instance, 9)
        .await
        .expect("is there");
    assert_eq!(process.pid, pid);
    assert_eq!(next.adopt(&process).await, Found::Alive(process.clone()));
    std::fs::write(bench.file("go"), "").expect("writes");
    // Whoever is the parent now may collect it before we can look: then the kernel is asked,
    // and an old kernel does not know.
    let exit = next.exited(&process).await;
    assert!(
        matches!(exit, ExitStatus::Code(37) | ExitStatus::Unknown),
        "{exit:?}"
    );
    next.forget(&process);
}
