//! The real launcher with real processes.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use supervisor::launch::{Found, Launcher, Scope, SpawnError, SpawnOrder};
use supervisor::spec::{Argv, Limits, Signal};
use supervisor::state::{ExitStatus, ProcessRef};
use supervisor::sys::OsLauncher;
use supervisor::{Generation, InstanceId, OsText, Paths, Stream};
use tempfile::TempDir;
use tokio::time::Instant;

const TERM: Signal = Signal(15);
const KILL: Signal = Signal(9);

struct Bench {
    _folder: TempDir,
    paths: Paths,
    launcher: OsLauncher,
    instance: InstanceId,
}

impl Bench {
    fn new() -> Self {
        if env!("CARGO_CRATE_NAME") != "launcher" {
            supervisor::sys::set_subreaper().expect("is allowed");
        }
        let folder = tempfile::tempdir().expect("temp folder");
        let paths = Paths::new(folder.path()).expect("short enough");
        paths.create().expect("creates");
        Self {
            launcher: new_launcher(&paths),
            paths,
            _folder: folder,
            instance: InstanceId::new("app".parse().expect("valid"), 0),
        }
    }

    fn order(&self, generation: Generation, program: &str, args: &[&str]) -> SpawnOrder {
        let fifo = |stream| self.paths.fifo(&self.instance, generation, stream);
        SpawnOrder {
            instance: self.instance.clone(),
            generation,
            argv: Argv {
                program: program.to_owned(),
                args: args.iter().map(|arg| (*arg).to_owned()).collect(),
                interpreter: None,
            },
            cwd: self.paths.home().to_owned(),
            env: BTreeMap::from([("PATH".to_owned(), OsText::from("/usr/bin:/bin"))]).into(),
            limits: Limits::default(),
            user: None,
            group: None,
            stdout: fifo(Stream::Out),
            stderr: fifo(Stream::Err),
        }
    }

    fn shell(&self, generation: Generation, script: &str) -> SpawnOrder {
        self.order(generation, "/bin/sh", &["-c", script])
    }

    async fn start(&self, generation: Generation, script: &str) -> ProcessRef {
        let order = self.shell(generation, script);
        self.launcher.spawn(order).await.expect("starts")
    }

    async fn failure(&self, order: SpawnOrder) -> (SpawnError, String) {
        let error = self.launcher.spawn(order).await.expect_err("fails");
        let text = error.to_string();
        (error, text)
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.paths.home().join(name)
    }

    fn write(&self, name: &str, text: &str, mode: u32) -> String {
        let file = self.file(name);
        std::fs::write(&file, text).expect("writes");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("sets");
        file.display().to_string()
    }

    async fn wait_for_file(&self, name: &str) -> String {
        let file = self.file(name);
        wait_until(|| std::fs::read_to_string(&file).is_ok_and(|text| text.ends_with('\n'))).await;
        std::fs::read_to_string(&file)
            .expect("reads")
            .trim()
            .to_owned()
    }

    /// Living processes that carry this bench's mark.
    fn marked(&self) -> Vec<i32> {
        let mark = format!("MHOST_HOME={}", self.paths.home().display());
        let of_entry = |entry: std::fs::DirEntry| -> Option<i32> {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let environ = std::fs::read(entry.path().join("environ")).ok()?;
            environ
                .split(|b| *b == 0)
                .any(|one| one == mark.as_bytes())
                .then_some(pid)
        };
        std::fs::read_dir("/proc")
            .expect("reads")
            .flatten()
            .filter_map(of_entry)
            .collect()
    }

    async fn end(&self, process: &ProcessRef) {
        let signal =
            self.launcher
                .signal(&self.instance, process, KILL, Scope::Tree(Generation::MAX));
        signal.await;
        self.launcher.exited(process).await;
        self.launcher.forget(process);
        wait_until(|| self.marked().is_empty()).await;
    }
}

/// As on a host without control groups, so that both ways are tried everywhere.
fn new_launcher(paths: &Paths) -> OsLauncher {
    if env!("CARGO_CRATE_NAME") == "launcher_cgroup" {
        OsLauncher::new(paths.clone())
    } else {
        OsLauncher::without_cgroups(paths.clone())
    }
}

/// The control group that a run was started into, if it has one of its own.
fn own_cgroup(process: &ProcessRef) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{}/cgroup", process.pid)).ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    let found = path.contains("/mhost-").then(|| path.to_owned());
    if found.is_none() && env!("CARGO_CRATE_NAME") == "launcher_cgroup" {
        skipped("this host gives us no control group of version 2");
    }
    found
}

/// Not by a macro: what these print is only shown for tests that fail.
fn skipped(why: &str) {
    let line = format!("skipped: {why}\n");
    std::io::stderr()
        .write_all(line.as_bytes())
        .expect("writes");
}

async fn wait_until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "it did not happen in 20 s");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn stat_field(pid: i32, field: usize) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = text.rsplit_once(") ")?.1;
    rest.split(' ').nth(field - 3).map(str::to_owned)
}

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
        let left = bench
            .launcher
            .remaining(&bench.instance, &process, generation);
        assert_eq!(left.await, 0);
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
    let fifo = std::fs::read_link(format!("/proc/{pid}/fd/1")).expect("reads");
    assert_eq!(fifo.display().to_string(), stdout);
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
async fn group_signals_reach_the_group() {
    let bench = Bench::new();
    let process = bench
        .start(1, "sleep 100 & sleep 100 & echo $$ > ready; wait")
        .await;
    bench.wait_for_file("ready").await;
    wait_until(|| bench.marked().len() == 3).await;
    let left = bench.launcher.remaining(&bench.instance, &process, 1).await;
    assert_eq!(left, 2);
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

/// Ignores SIGTERM, and leaves a grandchild in a session of its own that does so too.
const HYDRA: &str = "trap '' TERM; \
    (setsid sh -c 'trap \"\" TERM; echo $$ > deep; while :; do sleep 100; done' &) ; \
    sleep 100 & sleep 100 & echo $$ > ready; while :; do sleep 100; done";

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
            let left = bench
                .launcher
                .remaining(&bench.instance, &process, generation);
            assert!(left.await >= 3);
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
        let deadline = Instant::now() + Duration::from_secs(5);
        while bench
            .launcher
            .remaining(&bench.instance, &process, generation)
            .await
            > 0
        {
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

#[tokio::test]
async fn what_a_crash_leaves_is_found_after_the_leader() {
    let bench = Bench::new();
    let process = bench
        .start(1, "(setsid sh -c 'echo $$ > deep; sleep 100' &); sleep 100 & while [ ! -s deep ]; do sleep 0.01; done; exit 3")
        .await;
    assert_eq!(bench.launcher.exited(&process).await, ExitStatus::Code(3));
    wait_until(|| bench.marked().len() == 3).await;
    let left = bench.launcher.remaining(&bench.instance, &process, 1).await;
    assert_eq!(left, 3);
    // Another generation of the same instance is nobody's business here.
    let newer = bench.start(2, "exec sleep 100").await;
    let older = bench.launcher.remaining(&bench.instance, &process, 1).await;
    assert_eq!(older, 3);
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
        assert_eq!(bench.launcher.remaining(&bench.instance, &old, 1).await, 0);
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
    let left = async |process, generation| {
        let left = bench
            .launcher
            .remaining(&bench.instance, process, generation);
        left.await
    };
    assert_eq!((left(&old, 1).await, left(&new, 2).await), (2, 2));
    assert!(tree(&bench.launcher, (&old, 1), TERM).await);
    assert!(alive(first));
    assert!(tree(&bench.launcher, (&old, 1), KILL).await);
    wait_until(|| !alive(first)).await;
    while left(&old, 1).await > 0 {}
    assert!(alive(second));
    assert_eq!(left(&new, 2).await, 2);

    // The next daemon finds the group by its leader, here before that one is collected.
    let next = new_launcher(&bench.paths);
    assert_eq!(next.adopt(&new).await, Found::Ended(ExitStatus::Code(3)));
    assert!(tree(&next, (&new, 2), KILL).await);
    wait_until(|| !alive(second)).await;
    while left(&new, 2).await > 0 {}
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
    assert_eq!(next.remaining(&bench.instance, &leader, 3).await, 1);
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
