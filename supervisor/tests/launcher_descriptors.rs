//! A launcher without a descriptor left. It is a test program of its own, since the limit is
//! that of the whole process.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use supervisor::launch::{Found, Launcher, Scope, SpawnOrder};
use supervisor::spec::{Argv, Limits, Sandbox, Signal};
use supervisor::sys::OsLauncher;
use supervisor::{InstanceId, Paths, Stream};

/// What runs and cannot be watched is not taken for dead: it would be started a second time.
#[tokio::test]
async fn what_cannot_be_watched_is_not_called_dead() {
    let folder = tempfile::tempdir().expect("temp folder");
    let paths = Paths::new(folder.path()).expect("short enough");
    paths.create().expect("creates");
    let instance = InstanceId::new("app".parse().expect("valid"), 0);
    let first = OsLauncher::without_cgroups(paths.clone());
    let order = SpawnOrder {
        instance: instance.clone(),
        generation: 1,
        argv: Argv {
            program: "/bin/sleep".to_owned(),
            args: vec!["600".to_owned()],
            interpreter: None,
        },
        cwd: paths.home().to_owned(),
        env: Default::default(),
        limits: Limits::default(),
        sandbox: Sandbox::default(),
        user: None,
        group: None,
        stdout: paths.fifo(&instance, 1, Stream::Out),
        stderr: paths.fifo(&instance, 1, Stream::Err),
        listen: Vec::new(),
        voice: None,
    };
    let process = first.spawn(order).await.expect("starts");

    let usual = getrlimit(Resource::Nofile);
    let few = Rlimit {
        current: Some(64),
        maximum: usual.maximum,
    };
    setrlimit(Resource::Nofile, few).expect("lowers");
    let open = || std::fs::File::open("/dev/null").ok();
    let held: Vec<_> = std::iter::from_fn(open).collect();
    assert!(!held.is_empty());
    let next = || OsLauncher::without_cgroups(paths.clone());
    let (launcher, wanted) = (next(), process.clone());
    let mut adopting = tokio::spawn(async move { launcher.adopt(&wanted).await });
    let (launcher, whose) = (next(), instance.clone());
    let mut unrecorded = tokio::spawn(async move { launcher.find_unrecorded(&whose, 1).await });
    let (launcher, whose) = (next(), instance.clone());
    let mut strays = tokio::spawn(async move { launcher.strays(&whose, None).await });
    // None may answer: several of their tries pass.
    let little = Duration::from_millis(300);
    let early = tokio::time::timeout(little, &mut adopting).await;
    let early_unrecorded = tokio::time::timeout(little, &mut unrecorded).await;
    let early_strays = tokio::time::timeout(little, &mut strays).await;
    let left = first.remaining(&instance, &process, 1).await;
    drop(held);
    setrlimit(Resource::Nofile, usual).expect("raises");
    assert!(early.is_err(), "{early:?}");
    assert!(early_unrecorded.is_err(), "{early_unrecorded:?}");
    assert!(early_strays.is_err(), "{early_strays:?}");
    assert_eq!(left, None, "who cannot be seen may be there");
    let found = adopting.await.expect("no panic");
    assert_eq!(found, Found::Alive(process.clone()));
    assert_eq!(unrecorded.await.expect("no panic"), Some(process.clone()));
    let strays = strays.await.expect("no panic");
    assert_eq!(strays, [(1, process.clone())]);
    assert_eq!(first.remaining(&instance, &process, 1).await, Some(0));

    first
        .signal(&instance, &process, Signal::KILL, Scope::Group)
        .await;
    first.exited(&process).await;
    first.forget(&process);
}
