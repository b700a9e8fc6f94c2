//! What runs say of themselves, and who else may try to.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use supervisor::launch::{Ear, Found, Launcher, Voice};
use supervisor::notice::Notice;
use supervisor::state::ProcessRef;

use super::bench::{Bench, new_launcher, skipped, wait_until};

/// Says each of its arguments, or waits at a number of seconds, and lives on.
const PROGRAM: &str = r#"
import os, socket, sys, time
place = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
for word in sys.argv[1:]:
    if word == "apart":
        if os.fork():
            time.sleep(600)
        os.setsid()
    elif word.isdigit():
        time.sleep(int(word))
    else:
        place.sendto(word.encode(), os.environ["NOTIFY_SOCKET"])
time.sleep(600)
"#;

fn has_python() -> bool {
    let found = std::path::Path::new("/usr/bin/python3").exists();
    if !found {
        skipped("there is no python3");
    }
    found
}

async fn speaking(bench: &Bench, generation: u64, words: &[&str]) -> ProcessRef {
    let args = [&["-c", PROGRAM], words].concat();
    let mut order = bench.order(generation, "python3", &args);
    order.voice = Some(Voice::default());
    bench.launcher.spawn(order).await.expect("starts")
}

fn ear(bench: &Bench, process: &ProcessRef, generation: u64) -> Box<dyn Ear> {
    let launcher = &bench.launcher;
    let ear = launcher.ear(&bench.instance, process, generation, None);
    ear.expect("has an ear")
}

/// What is said until this holds.
async fn until(ear: &mut Box<dyn Ear>, holds: impl Fn(&Notice) -> bool) -> Notice {
    let listening = async {
        loop {
            ear.heard().await;
            let (notice, _) = ear.take(Notice::default(), 256).await;
            if holds(&notice) {
                return notice;
            }
        }
    };
    let heard = tokio::time::timeout(Duration::from_secs(60), listening).await;
    heard.expect("it is said within a minute")
}

fn says(notice: &Notice, text: &str) -> bool {
    notice.status.as_deref() == Some(text)
}

fn place(bench: &Bench, generation: u64) -> PathBuf {
    bench.paths.notify(&bench.instance, generation)
}

/// The leader and a process below it that has left its session.
#[tokio::test]
async fn the_whole_tree_is_heard() {
    if !has_python() {
        return;
    }
    let bench = Bench::new();
    let process = speaking(&bench, 1, &["READY=1", "apart", "STATUS=apart"]).await;
    let mut ear = ear(&bench, &process, 1);
    let mut ready = false;
    let mut apart = false;
    while !ready || !apart {
        let notice = until(&mut ear, Notice::says_something).await;
        ready |= notice.ready;
        apart |= says(&notice, "apart");
    }
    bench.end(&process).await;
    assert!(!place(&bench, 1).exists(), "the socket goes with its run");
}

/// Ten thousand datagrams, some of them too long, of somebody who may write to the socket.
#[tokio::test]
async fn others_are_not_heard() {
    if !has_python() {
        return;
    }
    let bench = Bench::new();
    let process = speaking(&bench, 1, &["2", "STATUS=mine"]).await;
    let mut ear = ear(&bench, &process, 1);
    let path = place(&bench, 1);
    let flood = tokio::task::spawn_blocking(move || {
        let stranger = UnixDatagram::unbound().expect("a socket");
        stranger
            .send_to(&vec![b'x'; 100 << 10], &path)
            .expect("is sent");
        for _ in 0..10_000 {
            stranger
                .send_to(b"READY=1\nSTATUS=theirs\nWATCHDOG=trigger", &path)
                .expect("is sent");
        }
    });
    let heard = until(&mut ear, |notice| {
        assert!(!notice.ready && !notice.broken && !says(notice, "theirs"));
        says(notice, "mine")
    });
    heard.await;
    flood.await.expect("all is sent");
    // What is left of the flood.
    while tokio::time::timeout(Duration::from_millis(100), ear.heard())
        .await
        .is_ok()
    {
        let (notice, count) = ear.take(Notice::default(), 256).await;
        assert_eq!(notice, Notice::default());
        assert!((1..=256).contains(&count), "{count}");
    }
    bench.end(&process).await;
}

/// Without a guard the socket of the former daemon is gone with it, and its place is not.
#[tokio::test]
async fn another_launcher_hears_an_adopted_run() {
    if !has_python() {
        return;
    }
    let mut bench = Bench::new();
    let words = ["READY=1", "1", "STATUS=later", "1", "STATUS=latest"];
    let process = speaking(&bench, 3, &words).await;
    until(&mut ear(&bench, &process, 3), |notice| notice.ready).await;
    let former = std::mem::replace(&mut bench.launcher, new_launcher(&bench.paths));
    let found = bench.launcher.adopt(&process).await;
    assert_eq!(found, Found::Alive(process.clone()));
    let mut ear = ear(&bench, &process, 3);
    until(&mut ear, |notice| {
        says(notice, "later") || says(notice, "latest")
    })
    .await;
    bench.end(&process).await;
    former.forget(&process);
}

/// The home is closed to other users, so theirs lies elsewhere, and is theirs.
#[tokio::test]
async fn a_run_of_another_user_is_heard() {
    use std::os::unix::fs::MetadataExt;
    if !has_python() {
        return;
    }
    if !rustix::process::geteuid().is_root() {
        return skipped("only root runs programs of others");
    }
    let bench = Bench::new();
    let mut order = bench.order(1, "/usr/bin/python3", &["-c", PROGRAM, "READY=1"]);
    order.voice = Some(Voice::default());
    order.user = Some("nobody".to_owned());
    order.cwd = "/".into();
    let process = bench.launcher.spawn(order).await.expect("starts");
    let ear = bench
        .launcher
        .ear(&bench.instance, &process, 1, Some("nobody"));
    let mut ear = ear.expect("has an ear");
    until(&mut ear, |notice| notice.ready).await;
    let environ = std::fs::read(format!("/proc/{}/environ", process.pid)).expect("reads");
    let place = environ
        .split(|byte| *byte == 0)
        .find_map(|entry| entry.strip_prefix(b"NOTIFY_SOCKET="))
        .map(|path| PathBuf::from(String::from_utf8_lossy(path).into_owned()))
        .expect("it is told");
    let file = place.symlink_metadata().expect("is there");
    assert_eq!(file.mode() & 0o777, 0o600);
    assert_ne!(file.uid(), 0);
    bench.end(&process).await;
    wait_until(|| !place.exists()).await;
    std::fs::remove_dir(place.parent().expect("a folder")).expect("is empty");
}

/// Whoever is not asked to speak has no socket, whatever the caller's environment says.
#[tokio::test]
async fn nobody_is_told_of_somebody_elses_socket() {
    let bench = Bench::new();
    let mut order = bench.shell(
        1,
        "env | grep -c '^NOTIFY_SOCKET\\|^WATCHDOG' > found; exec sleep 600",
    );
    let mut env: std::collections::BTreeMap<_, _> = order.env.into_iter().collect();
    for key in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
        env.insert(key.to_owned(), supervisor::OsText::from("/run/systemd"));
    }
    order.env = env.into();
    let process = bench.launcher.spawn(order).await.expect("starts");
    assert_eq!(bench.wait_for_file("found").await, "0");
    assert!(!place(&bench, 1).exists());
    bench.end(&process).await;
}
