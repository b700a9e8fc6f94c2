//! Signals and trees: whom they reach, and that nothing is left.

use std::path::Path;
use std::time::Duration;

use supervisor::launch::{Found, Launcher, Scope};
use supervisor::state::ExitStatus;
use supervisor::sys::OsLauncher;
use tokio::time::Instant;

use super::bench::{Bench, KILL, TERM, new_launcher, own_cgroup, stat_field, wait_until};

/// Ignores SIGTERM, and leaves a grandchild in a session of its own that does so too.
const HYDRA: &str = "trap '' TERM; \
    (setsid sh -c 'trap \"\" TERM; echo $$ > deep; while :; do sleep 100; done' &) ; \
    sleep 100 & sleep 100 & echo $$ > ready; while :; do sleep 100; done";

#[tokio::test]
async fn group_signals_reach_the_group() {
    let bench = Bench::new();
    let process = bench
        .start(1, "sleep 100 & sleep 100 & echo $$ > ready; wait")
        .await;
    bench.wait_for_file("ready").await;
    wait_until(|| bench.marked().len() == 3).await;
    let left = bench.remaining(&process, 1).await;
    assert_eq!(left, Some(2));
    assert!(
        bench
            .launcher
            .signal(&bench.instance, &process, TERM, Scope::Group)
            .await
    );
    assert_eq!(
        bench.launcher.exited(&process).await,
        ExitStatus::Signal(15)
    );
    wait_until(|| bench.marked().is_empty()).await;
    assert!(
        !bench
            .launcher
            .signal(&bench.instance, &process, TERM, Scope::Group)
            .await
    );
    bench.launcher.forget(&process);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_tree_survives() {
    let bench = Bench::new();
    for generation in 1..=100 {
        let process = bench.start(generation, HYDRA).await;
        if generation <= 10 {
            bench.wait_for_file("ready").await;
            bench.wait_for_file("deep").await;
            assert!(
                bench
                    .launcher
                    .signal(&bench.instance, &process, TERM, Scope::Tree(generation))
                    .await
            );
            let left = bench.remaining(&process, generation);
            assert!(left.await >= Some(3));
            std::fs::remove_file(bench.file("ready")).expect("removes");
            std::fs::remove_file(bench.file("deep")).expect("removes");
        }
        // From the eleventh round on it is killed somewhere in the middle of its forks.
        assert!(
            bench
                .launcher
                .signal(&bench.instance, &process, KILL, Scope::Tree(generation))
                .await
        );
        assert_eq!(bench.launcher.exited(&process).await, ExitStatus::Signal(9));
        let deadline = Instant::now() + Duration::from_secs(60);
        while bench.remaining(&process, generation).await != Some(0) {
            assert!(
                Instant::now() < deadline,
                "round {generation}: {:?}",
                bench.marked()
            );
        }
        assert_eq!(bench.marked(), [0; 0], "round {generation}");
        bench.launcher.forget(&process);
    }
}

/// Doubles itself seven times, each copy deaf to SIGTERM and one of two in a session of its own:
/// 255 processes, if nobody ends it before.
const BOMB: &str = "trap '' TERM; \
    if [ ${LEVEL:-0} -ge 7 ]; then exec sleep 100; fi; \
    export LEVEL=$((${LEVEL:-0} + 1)); \
    sh bomb & setsid sh bomb & sleep 100";

/// It is ended in the middle of its forks, and what it forks meanwhile is ended, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_forks_faster_than_it_is_looked_at_is_ended() {
    let bench = Bench::new();
    std::fs::write(bench.file("bomb"), BOMB).expect("writes");
    for (generation, grown) in [(1, 2), (2, 30), (3, 120)] {
        let process = bench.start(generation, "exec sh bomb").await;
        wait_until(|| bench.marked().len() >= grown).await;
        let killed = bench
            .launcher
            .signal(&bench.instance, &process, KILL, Scope::Tree(generation))
            .await;
        assert!(killed);
        assert_eq!(bench.launcher.exited(&process).await, ExitStatus::Signal(9));
        wait_until(|| bench.marked().is_empty()).await;
        let left = bench.remaining(&process, generation).await;
        assert_eq!(left, Some(0), "round {generation}");
        bench.launcher.forget(&process);
    }
}

#[tokio::test]
async fn what_a_crash_leaves_is_found_after_the_leader() {
    let bench = Bench::new();
    let process = bench
        .start(1, "(setsid sh -c 'echo $$ > deep; sleep 100' &); sleep 100 & while [ ! -s deep ]; do sleep 0.01; done; exit 3")
        .await;
    assert_eq!(bench.launcher.exited(&process).await, ExitStatus::Code(3));
    wait_until(|| bench.marked().len() == 3).await;
    let left = bench.remaining(&process, 1).await;
    assert_eq!(left, Some(3));
    // Another generation of the same instance is nobody's business here.
    let newer = bench.start(2, "exec sleep 100").await;
    let older = bench.remaining(&process, 1).await;
    assert_eq!(older, Some(3));
    assert!(
        bench
            .launcher
            .signal(&bench.instance, &process, KILL, Scope::Tree(1))
            .await
    );
    wait_until(|| bench.marked() == [newer.pid]).await;
    bench.launcher.forget(&process);
    bench.end(&newer).await;
}

/// Forks twice, makes a session of its own, clears its environment and ignores SIGTERM, while
/// its leader ends: nothing but a control group ties it to the run.
fn fugitive(file: &str) -> String {
    format!(
        "(setsid env -i /bin/sh -c 'trap \"\" TERM; echo $$ > {file}; \\
         while :; do sleep 100; done' &); while [ ! -s {file} ]; do sleep 0.01; done; exit 3"
    )
}

/// What cuts all ties is ended with its run, also by a later daemon, and the run that takes
/// over keeps what is its own.
#[tokio::test]
async fn nobody_escapes_a_control_group() {
    let bench = Bench::new();
    let alive = |pid: i32| stat_field(pid, 3).is_some_and(|state| state != "Z" && state != "X");
    let pid_in = async |file| {
        bench
            .wait_for_file(file)
            .await
            .parse::<i32>()
            .expect("a pid")
    };
    let old = bench.start(1, &fugitive("old")).await;
    let first = pid_in("old").await;
    let cgroup = own_cgroup(&old);
    assert_eq!(bench.launcher.exited(&old).await, ExitStatus::Code(3));
    let Some(cgroup) = cgroup else {
        // What cannot be shown to be ours is left alone.
        let left = bench.remaining(&old, 1).await;
        assert_eq!(left, Some(0));
        assert!(alive(first));
        let pid = rustix::process::Pid::from_raw(first).expect("positive");
        rustix::process::kill_process_group(pid, rustix::process::Signal::KILL).expect("is there");
        bench.launcher.forget(&old);
        return;
    };
    assert!(cgroup.ends_with("/app-0.1"), "{cgroup}");
    let new = bench.start(2, &fugitive("new")).await;
    let second = pid_in("new").await;
    bench.launcher.exited(&new).await;

    let tree = async |launcher: &OsLauncher, (process, generation), signal| {
        launcher
            .signal(&bench.instance, process, signal, Scope::Tree(generation))
            .await
    };
    let left = async |process, generation| bench.remaining(process, generation).await;
    assert_eq!(
        (left(&old, 1).await, left(&new, 2).await),
        (Some(2), Some(2))
    );
    assert!(tree(&bench.launcher, (&old, 1), TERM).await);
    assert!(alive(first));
    assert!(tree(&bench.launcher, (&old, 1), KILL).await);
    wait_until(|| !alive(first)).await;
    while left(&old, 1).await != Some(0) {}
    assert!(alive(second));
    assert_eq!(left(&new, 2).await, Some(2));

    // The next daemon finds the group by its leader, here before that one is collected.
    let next = new_launcher(&bench.paths);
    assert_eq!(next.adopt(&new).await, Found::Ended(ExitStatus::Code(3)));
    assert!(tree(&next, (&new, 2), KILL).await);
    wait_until(|| !alive(second)).await;
    while left(&new, 2).await != Some(0) {}
    bench.launcher.forget(&old);
    bench.launcher.forget(&new);
    // The next run makes its group anew; with the last one the home's folder goes.
    let third = bench.start(3, "exec sleep 100").await;
    let cgroup = own_cgroup(&third).expect("has one");
    bench.end(&third).await;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("reads");
    let (home, _) = cgroup[1..].rsplit_once('/').expect("has a parent");
    let line = mounts.lines().find(|line| line.contains(" - cgroup2 "));
    let point = line.and_then(|line| line.split(' ').nth(4));
    let folder = Path::new(point.expect("is mounted")).join(home);
    // Who has just ended is in there for a moment; each call looks again.
    wait_until(|| {
        bench.launcher.forget(&third);
        !folder.exists()
    })
    .await;
}

#[tokio::test]
async fn a_failed_new_generation_leaves_the_old_one_alone() {
    let bench = Bench::new();
    let old = bench.start(1, "sleep 100 & wait").await;
    let new = bench.start(2, "sleep 100 & wait").await;
    wait_until(|| bench.marked().len() == 4).await;
    assert!(
        bench
            .launcher
            .signal(&bench.instance, &new, KILL, Scope::Tree(2))
            .await
    );
    wait_until(|| bench.marked().len() == 2).await;
    assert!(bench.marked().contains(&old.pid));
    bench.launcher.exited(&new).await;
    bench.launcher.forget(&new);
    bench.end(&old).await;
}
