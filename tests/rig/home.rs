//! A home folder with the real `mhost` in it. Dropping it leaves no process behind.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take before a test fails: far more than it takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Ports from 20000 on that are taken from: all are below 32768, where the kernel's own begin.
const PORTS: u32 = 12_000;
/// How long the daemon may take to stop when a test is over.
const FAREWELL: Duration = Duration::from_secs(5);

/// A home of its own for one test.
pub(crate) struct Home {
    folder: TempDir,
}

/// Starts building a command: the one place that does.
#[expect(clippy::disallowed_methods, reason = "tests drive the real binary")]
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    Command::new(program)
}

impl Home {
    /// A new, empty one with a short path.
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("mh")
            .tempdir_in("/tmp")
            .expect("a temp folder");
        Self { folder }
    }

    /// The folder around the home, in which commands are run.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The home folder: not made yet.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("h")
    }

    /// A file in the home.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// `mhost args…` in this home, not started yet. `puppet` is on its path.
    pub(crate) fn mhost(&self, args: &[&str]) -> Command {
        let mut mhost = command(env!("CARGO_BIN_EXE_mhost"));
        for (key, _) in std::env::vars_os() {
            if key.to_string_lossy().starts_with("MHOST_") {
                mhost.env_remove(key);
            }
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path =
            std::env::join_paths(std::iter::once(examples()).chain(std::env::split_paths(&path)));
        mhost
            .args(args)
            .env("MHOST_HOME", self.path())
            .env("PATH", path.expect("no colon in the path"))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        mhost
    }

    /// Runs `mhost args…` to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.mhost(args).output().expect("mhost runs")
    }

    /// The pid of the daemon that answers.
    pub(crate) fn daemon(&self) -> Option<i32> {
        let output = self.run(&["daemon", "status", "--json"]);
        let status: Value = serde_json::from_slice(&output.stdout).ok()?;
        i32::try_from(status["pid"].as_i64()?).ok()
    }

    /// The pid of the guard above the daemon.
    pub(crate) fn guard(&self) -> Option<i32> {
        parent(self.daemon()?)
    }

    /// The pid of an instance.
    pub(crate) fn pid(&self, name: &str) -> Option<i32> {
        let listed = self
            .mhost(&["list", "--json"])
            .env("MHOST_NO_AUTOSTART", "1")
            .output()
            .ok()?;
        let listed: Value = serde_json::from_slice(&listed.stdout).ok()?;
        let processes = listed["processes"].as_array()?;
        let process = processes.iter().find(|one| one["name"] == name)?;
        i32::try_from(process["instances"][0]["pid"].as_i64()?).ok()
    }

    /// All processes that carry this home in their environment.
    pub(crate) fn strays(&self) -> Vec<i32> {
        let mark = self.mark();
        std::fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid| carries(*pid, &mark))
            .collect()
    }

    /// The pids of strays that run a program of this name.
    pub(crate) fn strays_named(&self, name: &str) -> Vec<i32> {
        let named = |pid: &i32| {
            std::fs::read_to_string(format!("/proc/{pid}/comm"))
                .is_ok_and(|comm| comm.trim() == name)
        };
        self.strays().into_iter().filter(named).collect()
    }

    fn mark(&self) -> Vec<u8> {
        [b"MHOST_HOME=", self.path().as_os_str().as_encoded_bytes()].concat()
    }

    /// Ends what carries the mark, by pidfd: a number that means something else by now is
    /// left alone.
    fn end_strays(&self) {
        let mark = self.mark();
        for pid in self.strays() {
            let Some(pid) = Pid::from_raw(pid) else {
                continue;
            };
            if let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty())
                && carries(pid.as_raw_nonzero().get(), &mark)
            {
                let _ = pidfd_send_signal(&pidfd, Signal::KILL);
            }
        }
    }
}

fn carries(pid: i32, mark: &[u8]) -> bool {
    std::fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|one| one == mark))
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.file("mhost.sock").exists()
            && let Ok(mut stop) = self.mhost(&["daemon", "stop"]).spawn()
        {
            wait_until(FAREWELL, || !matches!(stop.try_wait(), Ok(None)));
            let _ = stop.kill();
            let _ = stop.wait();
        }
        wait_until(FAREWELL, || {
            self.end_strays();
            self.strays().is_empty()
        });
    }
}

/// The folder of the examples, beside the one of this test.
fn examples() -> PathBuf {
    let own = std::env::current_exe().expect("a test has a path");
    let folder = own.ancestors().nth(2).expect("target/<profile>");
    let folder = folder.join("examples");
    assert!(
        folder.join("puppet").exists(),
        "there is no {}/puppet; build it: cargo build --example puppet",
        folder.display()
    );
    folder
}

/// Sends a signal to one process.
pub(crate) fn kill(pid: i32, signal: Signal) {
    let pid = Pid::from_raw(pid).expect("a pid is not 0");
    if let Ok(pidfd) = pidfd_open(pid, PidfdFlags::empty()) {
        let _ = pidfd_send_signal(&pidfd, signal);
    }
}

/// Is there a process with this pid that is not a zombie?
pub(crate) fn lives(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')')
        .is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

/// The parent of a process.
pub(crate) fn parent(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

/// Waits until a condition holds.
pub(crate) fn until(what: &str, condition: impl FnMut() -> bool) {
    assert!(wait_until(PATIENCE, condition), "not in time: {what}");
}

/// Waits until a condition holds, or says that it did not within the limit.
pub(crate) fn wait_until(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let clock = supervisor::Clock::system();
    let limit = jiff::SignedDuration::try_from(limit).expect("fits");
    let deadline = clock.now().checked_add(limit).expect("fits");
    loop {
        if condition() {
            return true;
        }
        if clock.now() >= deadline {
            return false;
        }
        pause(Duration::from_millis(20));
    }
}

/// Nothing tells a test that a process has changed, so it looks again after a while.
pub(crate) fn pause(time: Duration) {
    let time = rustix::event::Timespec::try_from(time).expect("a short time fits");
    let _ = rustix::event::poll(&mut [], Some(&time));
}

/// A port of this machine for a program that takes no 0. It lies below those that the kernel
/// hands out: one of these may be the other end of somebody's connection a moment later.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test programs that run beside this one begin elsewhere.
    let begin = std::process::id() % PORTS;
    loop {
        let next = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(20_000 + (begin + next) % PORTS).expect("it fits");
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Waits for children that were started side by side.
pub(crate) fn outputs(children: Vec<Child>) -> Vec<Output> {
    children
        .into_iter()
        .map(|child| child.wait_with_output().expect("mhost runs"))
        .collect()
}

/// The text a command wrote to standard error.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Does a file exist, also when it leads nowhere?
pub(crate) fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
