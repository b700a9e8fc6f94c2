//! The real launcher with real processes: how they are started and how they end.
//!
//! This file is also a part of two more programs, which try the same in other surroundings.

#[path = "launcher/adoption.rs"]
mod adoption;
#[path = "launcher/bench.rs"]
mod bench;
#[path = "launcher/sandbox.rs"]
mod sandbox;
#[path = "launcher/trees.rs"]
mod trees;
#[path = "launcher/voice.rs"]
mod voice;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use supervisor::Stream;
use supervisor::launch::{Launcher, Scope, SpawnError};
use supervisor::state::ExitStatus;

use bench::{Bench, TERM, skipped, stat_field, wait_until};

#[tokio::test]
async fn spawn_errors_are_exact() {
    let bench = Bench::new();
    let (error, text) = bench.failure(bench.order(1, "no-such-tool", &[])).await;
    assert_eq!(text, "program `no-such-tool` not found on PATH");
    assert!(error.counts_for_breaker());

    let (_, text) = bench.failure(bench.order(1, "./gone", &[])).await;
    assert_eq!(text, "program `./gone` not found");

    let plain = bench.write("plain", "echo hello\n", 0o644);
    let (error, text) = bench.failure(bench.order(1, &plain, &[])).await;
    assert_eq!(text, format!("no permission to execute `{plain}`"));
    assert!(error.counts_for_breaker());

    let naked = bench.write("naked", "echo hello\n", 0o755);
    let (error, text) = bench.failure(bench.order(1, &naked, &[])).await;
    let expected = "is neither a program for this machine nor a script with a `#!` line";
    assert_eq!(text, format!("`{naked}` {expected}"));
    assert!(error.counts_for_breaker());

    let orphan = bench.write("orphan", "#!/no/such/interpreter -x\n", 0o755);
    let (_, text) = bench.failure(bench.order(1, &orphan, &[])).await;
    let first_line = format!("the interpreter in the first line of `{orphan}`");
    assert_eq!(
        text,
        format!("program `/no/such/interpreter` not found, {first_line}")
    );

    let mut order = bench.shell(1, "true");
    order.cwd = bench.file("nowhere");
    let (error, text) = bench.failure(order).await;
    let folder = bench.file("nowhere");
    let expected = format!("cannot enter the working folder {}", folder.display());
    assert_eq!(text, format!("{expected}: no such file or directory"));
    assert!(!error.counts_for_breaker());

    let mut order = bench.shell(1, "true");
    order.user = Some("no-such-user".to_owned());
    let (_, text) = bench.failure(order).await;
    assert_eq!(text, "cannot run as `no-such-user`: no such user");

    let mut order = bench.shell(1, "true");
    order.stdout = bench.file("plain");
    let (_, text) = bench.failure(order).await;
    assert_eq!(
        text,
        format!("cannot open {plain} for its output: it is not a FIFO")
    );

    let mut order = bench.shell(1, "true");
    order.limits.nofile = Some(u64::MAX - 1);
    let (_, text) = bench.failure(order).await;
    assert_eq!(text, "cannot set limit `nofile`: operation not permitted");

    // One word of more than 128 KiB; the system says it of a variable as well.
    let long = "x".repeat(256 << 10);
    let (error, text) = bench.failure(bench.shell(1, &long)).await;
    assert_eq!(text, "exec failed: argument list too long");
    assert!(!error.counts_for_breaker());
    let mut order = bench.shell(1, "true");
    let value = supervisor::OsText::from(long.as_str());
    order.env.insert("LONG".to_owned(), value);
    let (_, text) = bench.failure(order).await;
    assert_eq!(text, "exec failed: argument list too long");
}

#[tokio::test]
async fn exit_codes_and_signals_are_told() {
    let bench = Bench::new();
    for (generation, script, expected) in [
        (1, "exit 0", ExitStatus::Code(0)),
        (2, "exit 37", ExitStatus::Code(37)),
        (3, "kill -SEGV $$", ExitStatus::Signal(11)),
        (4, "exec sleep 0.05", ExitStatus::Code(0)),
    ] {
        let process = bench.start(generation, script).await;
        let both = (
            bench.launcher.exited(&process),
            bench.launcher.exited(&process),
        );
        let (first, second) = tokio::join!(both.0, both.1);
        assert_eq!((first, second), (expected, expected), "{script}");
        assert_eq!(bench.launcher.exited(&process).await, expected);
        // A zombie until it is forgotten, so that its number stays taken.
        assert_eq!(stat_field(process.pid, 3).as_deref(), Some("Z"));
        assert_eq!(bench.remaining(&process, generation).await, Some(0));
        assert!(
            !bench
                .launcher
                .signal(&bench.instance, &process, TERM, Scope::Tree(generation))
                .await
        );
        bench.launcher.forget(&process);
        assert_eq!(stat_field(process.pid, 3), None);
        assert_eq!(bench.launcher.exited(&process).await, ExitStatus::Unknown);
    }
}

#[tokio::test]
async fn a_child_gets_a_clean_start() {
    let bench = Bench::new();
    let script = "{ umask; ulimit -n; ulimit -c; nice; ls -l /proc/self/fd >fds; wc -l <fds; pwd; \
                  echo $MHOST_NAME/$MHOST_INSTANCE/$MHOST_GENERATION; \
                  grep -E '^Sig(Blk|Ign)' /proc/self/status; readlink /proc/self/fd/0 /proc/$$/fd/1; \
                  echo end; } > result; exec sleep 100";
    let mut order = bench.shell(7, script);
    order.limits.nofile = Some(123);
    order.limits.core = Some(0);
    order.limits.nice = Some(5);
    let stdout = order.stdout.display().to_string();
    let process = bench.launcher.spawn(order).await.expect("starts");
    wait_until(|| {
        std::fs::read_to_string(bench.file("result")).is_ok_and(|text| text.ends_with("end\n"))
    })
    .await;
    let result = std::fs::read_to_string(bench.file("result")).expect("reads");
    let lines: Vec<&str> = result.lines().collect();
    let home = bench.paths.home().display().to_string();
    // 0, 1, 2, the folder that `ls` reads, and its heading.
    assert_eq!(
        lines[..7],
        ["0022", "123", "0", "5", "5", home.as_str(), "app/0/7"]
    );
    assert_eq!(
        lines[7..9],
        ["SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000"]
    );
    assert_eq!(lines[9], "/dev/null");
    assert_ne!(stdout, "");
    let pid = process.pid.to_string();
    assert_eq!(stat_field(process.pid, 5).as_ref(), Some(&pid), "own group");
    assert_eq!(
        stat_field(process.pid, 6).as_ref(),
        Some(&pid),
        "own session"
    );
    // The shell takes its output back only after it has written the end.
    let fifo = || std::fs::read_link(format!("/proc/{pid}/fd/1"));
    wait_until(|| fifo().is_ok_and(|fifo| fifo.display().to_string() == stdout)).await;
    bench.end(&process).await;
}

#[tokio::test]
async fn another_user_is_another_user() {
    if !rustix::process::geteuid().is_root() {
        return skipped("only root can become somebody else");
    }
    let bench = Bench::new();
    let shared = bench.file("shared");
    std::fs::create_dir(&shared).expect("makes");
    for folder in [bench.paths.home(), shared.as_path()] {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o777)).expect("sets");
    }
    let mut order = bench.shell(1, "{ id -u; id -g; id -G; echo end; } > result");
    order.user = Some("65534".to_owned());
    order.group = Some("12345".to_owned());
    order.cwd = shared.clone();
    let process = bench.launcher.spawn(order).await.expect("starts");
    assert_eq!(bench.launcher.exited(&process).await, ExitStatus::Code(0));
    let result = std::fs::read_to_string(shared.join("result")).expect("reads");
    assert_eq!(result, "65534\n12345\n12345\nend\n");
    bench.launcher.forget(&process);

    std::fs::set_permissions(&shared, std::fs::Permissions::from_mode(0o700)).expect("sets");
    let mut order = bench.shell(2, "true");
    order.user = Some("65534".to_owned());
    order.cwd = shared;
    let (error, _) = bench.failure(order).await;
    assert!(matches!(error, SpawnError::Folder { .. }), "{error}");
}

#[tokio::test]
async fn spawning_many_leaves_no_descriptor() {
    let bench = Bench::new();
    let descriptors = || std::fs::read_dir("/proc/self/fd").expect("reads").count();
    let before = descriptors();
    for generation in 1..=50 {
        let process = bench.start(generation, "exit 0").await;
        bench.launcher.exited(&process).await;
        bench.launcher.forget(&process);
    }
    // Other tests of this binary open descriptors meanwhile.
    wait_until(|| descriptors() < before + 40).await;
    assert!(Path::new(&bench.paths.fifo(&bench.instance, 50, Stream::Out)).exists());
}
