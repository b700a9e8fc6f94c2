//! The sampler with real processes.

use std::collections::BTreeMap;
use std::time::Duration;

use supervisor::launch::{Launcher, Scope, SpawnOrder};
use supervisor::spec::{Argv, Limits, Sandbox, Signal};
use supervisor::state::ProcessRef;
use supervisor::sys::OsLauncher;
use supervisor::units::ByteSize;
use supervisor::{Clock, InstanceId, OsText, Paths, Sampler, Stream, Tasks, TreeSample, sys};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

async fn start(
    launcher: &OsLauncher,
    paths: &Paths,
    instance: &InstanceId,
    script: &str,
) -> ProcessRef {
    let order = SpawnOrder {
        instance: instance.clone(),
        generation: 1,
        argv: Argv {
            program: "/bin/sh".to_owned(),
            args: vec!["-c".to_owned(), script.to_owned()],
            interpreter: None,
        },
        cwd: paths.home().to_owned(),
        env: BTreeMap::from([("PATH".to_owned(), OsText::from("/usr/bin:/bin"))]).into(),
        limits: Limits::default(),
        sandbox: Sandbox::default(),
        user: None,
        group: None,
        stdout: paths.fifo(instance, 1, Stream::Out),
        stderr: paths.fifo(instance, 1, Stream::Err),
        listen: Vec::new(),
        voice: None,
    };
    launcher.spawn(order).await.expect("starts")
}

#[tokio::test]
async fn trees_are_measured_and_breaches_told() {
    let folder = tempfile::tempdir().expect("temp folder");
    let paths = Paths::new(folder.path()).expect("short enough");
    paths.create().expect("creates");
    let clock = Clock::system();
    let tasks = Tasks::new();
    let launcher = OsLauncher::new(paths.clone());
    let sampler = Sampler::start(&tasks, &clock);
    let big = InstanceId::new("big".parse().expect("valid"), 0);
    let small = InstanceId::new("small".parse().expect("valid"), 0);

    // `tail` keeps 40 MB while it waits for the end.
    let hungry = "(head -c 40000000 /dev/zero; sleep 100) | tail -c 40000000 >/dev/null";
    let hungry = start(&launcher, &paths, &big, hungry).await;
    // Leaves a process that cuts all ties when it may, and was seen below the leader before.
    let gate = folder.path().join("gate");
    rustix::fs::mkfifoat(rustix::fs::CWD, &gate, 0o600.into()).expect("makes a pipe");
    let untied = "sh -c 'read line < gate; exec env -i setsid sleep 100' & sleep 100 & \
                  exec 7</dev/null 8</dev/null; wait";
    let untied = start(&launcher, &paths, &small, untied).await;

    let (breach, mut breaches) = mpsc::channel(1);
    sampler.watch(&big, &hungry, Some(ByteSize::mib(10)), Some(breach));
    sampler.watch(&small, &untied, None, None);
    assert_eq!(sampler.latest(&big), None);
    let told = timeout(Duration::from_secs(60), breaches.recv()).await;
    let told = told.expect("in time").expect("a breach");
    assert_eq!(told.limit_bytes, 10 << 20);
    assert!(told.rss_bytes > 10 << 20, "{told:?}");

    let deadline = Instant::now() + Duration::from_secs(60);
    let enough = || {
        let samples = sampler.window(&big, Duration::from_secs(60));
        // It takes a moment until all of it has begun.
        let whole = |sample: TreeSample| sample.processes == 3 && sample.fds >= 5;
        samples.len() >= 3 && sampler.latest(&small).is_some_and(whole)
    };
    while !enough() {
        assert!(Instant::now() < deadline, "no samples");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let sample = sampler.latest(&big).expect("sampled");
    // The shell, the shell of the pipe's first half with its `sleep`, and `tail`.
    assert!((3..=4).contains(&sample.processes), "{sample:?}");
    assert!(sample.rss_bytes > 35_000_000, "{sample:?}");
    assert!(sample.threads >= u64::from(sample.processes), "{sample:?}");
    let sample = sampler.latest(&small).expect("sampled");
    assert_eq!((sample.processes, sample.zombies), (3, 0), "{sample:?}");
    std::fs::write(&gate, "go\n").expect("opens it");

    // It ends the shell and its group, but the one that cut its ties is known.
    let group = |scope, signal| launcher.signal(&small, &untied, signal, scope);
    let gone = |pid: i32| !std::path::Path::new(&format!("/proc/{pid}")).exists();
    let free = wait_for_untied(folder.path().to_str().unwrap_or_default()).await;
    assert!(group(Scope::Tree(1), Signal(9)).await);
    while !gone(free) {
        assert!(
            Instant::now() < deadline + Duration::from_secs(60),
            "{free} lives"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for (instance, process) in [(&big, &hungry), (&small, &untied)] {
        launcher
            .signal(instance, process, Signal(9), Scope::Tree(1))
            .await;
        launcher.exited(process).await;
        sampler.unwatch(instance);
        launcher.forget(process);
    }
    assert_eq!(sampler.latest(&big), None);
    assert!(!sampler.window(&big, Duration::from_secs(60)).is_empty());
    assert!(tasks.shutdown(Duration::from_secs(5)).await.is_empty());
}

/// A `sleep 100` without any environment whose folder is ours.
async fn wait_for_untied(home: &str) -> i32 {
    let is_it = |pid: &i32| {
        let at = |name: &str| format!("/proc/{pid}/{name}");
        std::fs::read_link(at("cwd")).is_ok_and(|cwd| cwd.to_str() == Some(home))
            && std::fs::read(at("environ")).is_ok_and(|environ| environ.is_empty())
            && std::fs::read(at("cmdline")).is_ok_and(|line| line == b"sleep\x00100\x00")
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let entries = std::fs::read_dir("/proc").expect("reads").flatten();
        let mut pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        if let Some(pid) = pids.find(is_it) {
            return pid;
        }
        assert!(Instant::now() < deadline, "it did not cut its ties");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn zombies_that_nobody_waits_for_are_collected() {
    sys::set_subreaper().expect("is allowed");
    let folder = tempfile::tempdir().expect("temp folder");
    let paths = Paths::new(folder.path()).expect("short enough");
    paths.create().expect("creates");
    let clock = Clock::system();
    let tasks = Tasks::new();
    let launcher = OsLauncher::new(paths.clone());
    let _sampler = Sampler::start(&tasks, &clock);
    let instance = InstanceId::new("app".parse().expect("valid"), 0);
    let script = "(setsid sh -c 'echo $$ > orphan; exit 0' &); exit 5";
    let process = start(&launcher, &paths, &instance, script).await;
    let file = folder.path().join("orphan");
    let deadline = Instant::now() + Duration::from_secs(60);
    let pid = loop {
        if let Ok(text) = std::fs::read_to_string(&file)
            && let Ok(pid) = text.trim().parse::<i32>()
        {
            break pid;
        }
        assert!(Instant::now() < deadline, "it did not start");
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    while std::path::Path::new(&format!("/proc/{pid}")).exists() {
        assert!(Instant::now() < deadline, "the zombie is still there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The leader is no stray: its exit can still be read.
    assert_eq!(
        launcher.exited(&process).await,
        supervisor::state::ExitStatus::Code(5)
    );
    launcher.forget(&process);
    tasks.shutdown(Duration::from_secs(5)).await;
}

/// Where all are at rest nobody else is read, and still nobody is missed who is started then.
#[tokio::test]
async fn a_tree_that_wakes_up_is_seen_with_what_it_starts() {
    let folder = tempfile::tempdir().expect("temp folder");
    let paths = Paths::new(folder.path()).expect("short enough");
    paths.create().expect("creates");
    let tasks = Tasks::new();
    let launcher = OsLauncher::new(paths.clone());
    let sampler = Sampler::start(&tasks, &Clock::system());
    sampler.set_interval(Duration::from_millis(50));
    let id = InstanceId::new("sleepy".parse().expect("valid"), 0);
    let gate = folder.path().join("gate");
    rustix::fs::mkfifoat(rustix::fs::CWD, &gate, 0o600.into()).expect("makes a pipe");
    let script = format!("read line < {}; sleep 100 & wait", gate.display());
    let process = start(&launcher, &paths, &id, &script).await;
    sampler.watch(&id, &process, None, None);
    let until = async |what: &str, condition: &dyn Fn() -> bool| {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !condition() {
            assert!(
                Instant::now() < deadline,
                "never {what}: {:?}",
                sampler.latest(&id)
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let minute = Duration::from_secs(60);
    until("rests", &|| sampler.window(&id, minute).len() > 10).await;
    assert_eq!(sampler.latest(&id).map(|one| one.processes), Some(1));
    std::fs::write(&gate, "go\n").expect("wakes it");
    until("two", &|| {
        sampler.latest(&id).is_some_and(|one| one.processes == 2)
    })
    .await;
    launcher
        .signal(&id, &process, Signal(9), Scope::Tree(1))
        .await;
    launcher.exited(&process).await;
    launcher.forget(&process);
    assert!(tasks.shutdown(Duration::from_secs(5)).await.is_empty());
}
