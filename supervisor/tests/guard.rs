//! The guard with a real daemon above real processes.
//!
//! This binary has no test harness: started with a role it is the guard, or a small daemon
//! that does what a file tells it; without one it runs the tests.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal as Sig, WaitOptions, kill_process, waitpid};
use supervisor::launch::{Found, Launcher, SpawnOrder};
use supervisor::spec::{Argv, Limits};
use supervisor::state::{ExitStatus, ProcessRef};
use supervisor::sys::{self, EXIT_FOR_UPGRADE, GuardLink, OsLauncher, guard};
use supervisor::{InstanceId, OsText, Paths, Stream};

fn main() {
    let args: Vec<OsString> = std::env::args_os().collect();
    let exe = std::env::current_exe().expect("is known");
    let word = |at: usize| args.get(at).and_then(|word| word.to_str());
    let daemon_args = |folder: &str| [OsString::from("role-daemon"), OsString::from(folder)];
    let code = match (word(1), word(2)) {
        (Some("role-guard"), Some(folder)) => guard::run(&exe, &daemon_args(folder)),
        (Some("role-watch"), Some(folder)) => {
            let daemon = word(3).and_then(|pid| pid.parse().ok()).expect("a pid");
            guard::watch(&exe, &daemon_args(folder), daemon)
        }
        (Some("role-daemon"), Some(folder)) => daemon(Path::new(folder)),
        // `cargo test -- --list` and the like.
        (Some(option), _) if option.starts_with("--") => 0,
        _ => {
            std::thread::scope(|scope| {
                for test in [
                    a_killed_daemon_comes_back_and_adopts,
                    an_orderly_exit_ends_the_guard,
                    a_daemon_that_dies_at_its_start_is_given_up,
                    a_daemon_is_not_given_up_once_one_was_up,
                    a_first_daemon_that_cannot_start_ends_the_guard,
                    an_upgrade_starts_the_new_binary_or_goes_back,
                    a_new_guard_takes_over,
                ] {
                    scope.spawn(test);
                }
            });
            0
        }
    };
    std::process::exit(code.into());
}

// --- the daemon -----------------------------------------------------------------------

/// Notes its start, then does what `command` says, once.
fn daemon(folder: &Path) -> u8 {
    let link = GuardLink::from_env().expect("a guard has started this");
    sys::set_subreaper().expect("is allowed");
    let exe = std::env::current_exe().expect("is known");
    let name = exe
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or("?");
    let own = std::process::id();
    note(folder, "started", &format!("{own} {name}\n"));
    if folder.join("die-at-start").exists() {
        return 3;
    }
    if folder.join("disk-is-full").exists() {
        link.later(5);
        return 5;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("starts");
    runtime.block_on(async {
        let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
            .expect("is allowed");
        link.up();
        let paths = Paths::new(folder).expect("short enough");
        let launcher = OsLauncher::new(paths.clone());
        let mut guards = Vec::new();
        loop {
            tokio::select! {
                _ = term.recv() => return 0,
                () = tokio::time::sleep(Duration::from_millis(2)) => {}
            }
            let file = folder.join("command");
            let Ok(command) = std::fs::read_to_string(&file) else {
                continue;
            };
            std::fs::remove_file(&file).expect("removes");
            let (verb, rest) = command.split_once(' ').unwrap_or((&command, ""));
            match verb {
                "exit" => return rest.parse().expect("a code"),
                "bye" => {
                    let code: u8 = rest.parse().expect("a code");
                    link.bye(code.into());
                    return code;
                }
                "exec" => {
                    link.exec_next(Path::new(rest)).expect("tells");
                    return u8::try_from(EXIT_FOR_UPGRADE).expect("fits");
                }
                "spawn" => {
                    let process = launcher.spawn(order(&paths, rest)).await.expect("starts");
                    let json = serde_json::to_string(&process).expect("serializes");
                    note(folder, "child", &format!("{json}\n"));
                }
                "adopt" => {
                    let process: ProcessRef = serde_json::from_str(rest).expect("reads");
                    let exit = match launcher.adopt(&process).await {
                        Found::Alive(process) => launcher.exited(&process).await,
                        Found::Ended(exit) => exit,
                    };
                    launcher.forget(&process);
                    note(folder, "exit", &format!("{exit:?}\n"));
                }
                "another" => {
                    let args = ["role-watch".into(), folder.into(), own.to_string().into()];
                    link.gone().await.expect("can be watched");
                    guards.push(GuardLink::start_another(&exe, &args).expect("starts"));
                    note(folder, "another", "done\n");
                }
                other => panic!("unknown command {other}"),
            }
        }
    })
}

fn order(paths: &Paths, script: &str) -> SpawnOrder {
    let instance = InstanceId::new("app".parse().expect("valid"), 0);
    std::fs::create_dir_all(paths.run()).expect("makes");
    SpawnOrder {
        generation: 1,
        argv: Argv {
            program: "/bin/sh".to_owned(),
            args: vec!["-c".to_owned(), script.to_owned()],
            interpreter: None,
        },
        cwd: paths.home().to_owned(),
        env: BTreeMap::from([("PATH".to_owned(), OsText::from("/usr/bin:/bin"))]).into(),
        limits: Limits::default(),
        sandbox: Default::default(),
        user: None,
        group: None,
        stdout: paths.fifo(&instance, 1, Stream::Out),
        stderr: paths.fifo(&instance, 1, Stream::Err),
        listen: Vec::new(),
        voice: None,
        instance,
    }
}

fn note(folder: &Path, name: &str, line: &str) {
    use std::io::Write;
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(folder.join(name))
        .expect("opens");
    file.write_all(line.as_bytes()).expect("writes");
}

// --- the bench ------------------------------------------------------------------------

struct Bench {
    folder: tempfile::TempDir,
    guard: i32,
}

impl Bench {
    fn start(prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().expect("temp folder");
        prepare(folder.path());
        let exe = std::env::current_exe().expect("is known");
        let args = ["role-guard".into(), folder.path().into()];
        let log = folder.path().join("log");
        let guard = sys::daemonize_spawn(&exe, &args, &log, &[]).expect("starts");
        Self { folder, guard }
    }

    /// The whole lines of a file, as soon as there are `count` of them.
    fn lines(&self, name: &str, count: usize) -> Vec<String> {
        let mut lines = Vec::new();
        let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        wait_until(
            || {
                let text = std::fs::read_to_string(self.folder.path().join(name));
                let text = text.unwrap_or_default();
                lines = text.lines().map(str::to_owned).collect();
                lines.len() >= count && text.ends_with('\n')
            },
            || format!("{name} has not {count} lines; log:\n{}", log()),
        );
        lines
    }

    /// Pid and binary of the `count`th daemon.
    fn daemon(&self, count: usize) -> (i32, String) {
        let lines = self.lines("started", count);
        let (pid, name) = lines[count - 1].split_once(' ').expect("two words");
        (pid.parse().expect("a pid"), name.to_owned())
    }

    fn tell(&self, command: &str) {
        let file = self.folder.path().join("command");
        let new = self.folder.path().join("command.new");
        std::fs::write(&new, command).expect("writes");
        std::fs::rename(new, &file).expect("renames");
        wait_until(|| !file.exists(), || format!("`{command}` is not taken"));
    }

    fn guard_code(&self) -> i32 {
        let mut code = None;
        wait_until(
            || {
                let status = waitpid(Pid::from_raw(self.guard), WaitOptions::NOHANG).expect("ours");
                code = status.map(|(_, status)| status.exit_status());
                code.is_some()
            },
            || "the guard does not end".to_owned(),
        );
        code.flatten().expect("exits by itself")
    }
}

fn kill(pid: i32, signal: Sig) {
    kill_process(Pid::from_raw(pid).expect("a pid"), signal).expect("is there");
}

fn wait_until(mut condition: impl FnMut() -> bool, problem: impl FnOnce() -> String) {
    // A minute in steps of 2 ms.
    for _ in 0..30_000 {
        if condition() {
            return;
        }
        let step = rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: 2_000_000,
        };
        let _ = rustix::event::poll(&mut [], Some(&step));
    }
    panic!("{}", problem());
}

fn exists(pid: i32) -> bool {
    PathBuf::from(format!("/proc/{pid}")).exists()
}

// --- the tests ------------------------------------------------------------------------

fn a_killed_daemon_comes_back_and_adopts() {
    let bench = Bench::start(|_| {});
    let (first, _) = bench.daemon(1);
    bench.tell("spawn while [ ! -e go ]; do sleep 0.01; done; exit 37");
    let child = bench.lines("child", 1).remove(0);
    let process: ProcessRef = serde_json::from_str(&child).expect("reads");
    kill(first, Sig::KILL);
    // It ends while it has no daemon that knows it, and waits for one as a zombie.
    std::fs::write(bench.folder.path().join("go"), "").expect("writes");
    let (second, _) = bench.daemon(2);
    assert_ne!(first, second);
    let stat = format!("/proc/{}/stat", process.pid);
    wait_until(
        || std::fs::read_to_string(&stat).is_ok_and(|text| text.contains(") Z ")),
        || "the child does not end".to_owned(),
    );
    bench.tell(&format!("adopt {child}"));
    let exit = bench.lines("exit", 1).remove(0);
    assert_eq!(exit, format!("{:?}", ExitStatus::Code(37)));
    wait_until(|| !exists(process.pid), || "it is not collected".to_owned());
    kill(bench.guard, Sig::TERM);
    assert_eq!(bench.guard_code(), 0);
    assert!(!exists(second));
}

fn an_orderly_exit_ends_the_guard() {
    let bench = Bench::start(|_| {});
    bench.daemon(1);
    bench.tell("exit 0");
    assert_eq!(bench.guard_code(), 0);
    let bench = Bench::start(|_| {});
    bench.daemon(1);
    bench.tell("bye 4");
    assert_eq!(bench.guard_code(), 4);
    // Without a word it is a failure.
    let bench = Bench::start(|_| {});
    bench.daemon(1);
    bench.tell("exit 4");
    bench.daemon(2);
    bench.tell("exit 0");
    assert_eq!(bench.guard_code(), 0);
}

fn a_daemon_that_dies_at_its_start_is_given_up() {
    let bench = Bench::start(|folder| {
        std::fs::write(folder.join("die-at-start"), "").expect("writes");
    });
    assert_eq!(bench.guard_code(), 3);
    assert_eq!(bench.lines("started", 10).len(), 10);
    let log = bench.lines("log", 1).join("\n");
    assert!(
        log.ends_with("ten times in a row; the guard gives up."),
        "{log}"
    );
}

/// Programs run that nobody else would come for.
fn a_daemon_is_not_given_up_once_one_was_up() {
    for trouble in ["die-at-start", "disk-is-full"] {
        let bench = Bench::start(|_| {});
        bench.tell("spawn exec sleep 600");
        let child = bench.lines("child", 1).remove(0);
        let file = bench.folder.path().join(trouble);
        std::fs::write(&file, "").expect("writes");
        kill(bench.daemon(1).0, Sig::KILL);
        // The one that was killed, ten that died at their start, and the next.
        let (last, _) = bench.daemon(12);
        std::fs::remove_file(&file).expect("removes");
        wait_until(|| !exists(last), || "it does not die".to_owned());
        bench.daemon(13);
        bench.tell(&format!("adopt {child}"));
        let process: ProcessRef = serde_json::from_str(&child).expect("reads");
        kill(process.pid, Sig::KILL);
        bench.lines("exit", 1);
        kill(bench.guard, Sig::TERM);
        assert_eq!(bench.guard_code(), 0);
    }
}

/// Whoever starts the first one waits for it, and is told at once.
fn a_first_daemon_that_cannot_start_ends_the_guard() {
    let bench = Bench::start(|folder| {
        std::fs::write(folder.join("disk-is-full"), "").expect("writes");
    });
    assert_eq!(bench.guard_code(), 5);
    assert_eq!(bench.lines("started", 1).len(), 1);
}

fn an_upgrade_starts_the_new_binary_or_goes_back() {
    let bench = Bench::start(|folder| {
        let exe = std::env::current_exe().expect("is known");
        std::fs::copy(exe, folder.join("newer")).expect("copies");
    });
    let (_, old) = bench.daemon(1);
    let newer = bench.folder.path().join("newer");
    bench.tell(&format!("exec {}", newer.display()));
    assert_eq!(bench.daemon(2).1, "newer");
    bench.tell("exec /bin/false");
    assert_eq!(bench.daemon(3).1, "newer");
    assert_ne!(old, "newer");
    kill(bench.guard, Sig::TERM);
    assert_eq!(bench.guard_code(), 0);
}

fn a_new_guard_takes_over() {
    let bench = Bench::start(|_| {});
    let (first, _) = bench.daemon(1);
    kill(bench.guard, Sig::KILL);
    waitpid(Pid::from_raw(bench.guard), WaitOptions::empty()).expect("ours");
    bench.tell("another");
    bench.lines("another", 1);
    assert!(exists(first));
    kill(first, Sig::KILL);
    let (second, _) = bench.daemon(2);
    let stat = std::fs::read_to_string(format!("/proc/{second}/stat")).expect("lives");
    let parent = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.split(' ').nth(1));
    let guard: i32 = parent.and_then(|pid| pid.parse().ok()).expect("a pid");
    assert_ne!(guard, bench.guard);
    bench.tell("exit 0");
    wait_until(|| !exists(second), || "the daemon does not end".to_owned());
}
