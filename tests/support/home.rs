//! A home folder with the real `mhost` in it. Dropping it leaves no process behind.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(30);

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

    /// The home folder: not made yet.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("h")
    }

    /// A file in the home.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// `mhost args…` in this home, not started yet.
    pub(crate) fn mhost(&self, args: &[&str]) -> Command {
        let mut mhost = command(env!("CARGO_BIN_EXE_mhost"));
        for (key, _) in std::env::vars_os() {
            if key.to_string_lossy().starts_with("MHOST_") {
                mhost.env_remove(key);
            }
        }
        mhost
            .args(args)
            .env("MHOST_HOME", self.path())
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

    /// Runs it, expects success, and reads its JSON.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let output = self.run(&[args, &["--json"]].concat());
        assert!(output.status.success(), "{args:?}: {output:?}");
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{args:?}: {error}: {output:?}"))
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
        let mark = [b"MHOST_HOME=", self.path().as_os_str().as_encoded_bytes()].concat();
        let carries = |pid: &i32| {
            std::fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|one| one == mark))
        };
        std::fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(carries)
            .collect()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.file("mhost.sock").exists() {
            let _ = self.mhost(&["daemon", "stop"]).output();
        }
        // The guard first, so that it does not start what is ended next.
        for _ in 0..3 {
            for pid in self.strays() {
                kill(pid, "KILL");
            }
        }
    }
}

/// Sends a signal to one process.
pub(crate) fn kill(pid: i32, signal: &str) {
    let sent = command("kill")
        .args([&format!("-{signal}"), &pid.to_string()])
        .stderr(Stdio::null())
        .status();
    assert!(sent.is_ok(), "kill runs");
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
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let clock = supervisor::Clock::system();
    let deadline = supervisor_after(&clock);
    while !condition() {
        assert!(clock.now() < deadline, "not in time: {what}");
        pause();
    }
}

fn supervisor_after(clock: &supervisor::Clock) -> jiff::Timestamp {
    clock
        .now()
        .checked_add(jiff::SignedDuration::try_from(PATIENCE).expect("fits"))
        .expect("fits")
}

/// Nothing tells a test that a process has changed, so it looks again after a while.
fn pause() {
    let time = rustix::event::Timespec {
        tv_sec: 0,
        tv_nsec: 20_000_000,
    };
    let _ = rustix::event::poll(&mut [], Some(&time));
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
