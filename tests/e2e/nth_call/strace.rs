//! `strace` on a process that runs: it lets calls fail as if the kernel had said so.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;

use super::{Pair, Whom};
use crate::rig::home::command;
use crate::rig::{Running, kill, lives, until, wait_until};

/// How long it may take to let go by itself.
const GRACE: Duration = Duration::from_secs(2);

/// Can calls be made to fail here?
pub(super) fn works() -> bool {
    let mut strace = command("strace");
    strace.args(["-qq", "-o", "/dev/null", "-e", "inject=chdir:error=EIO"]);
    strace.args(["-e", "trace=chdir", "env", "-C", "/", "true"]);
    strace.stdin(Stdio::null()).stderr(Stdio::null());
    // `env` cannot change the folder, if it is here and may trace.
    let ended = strace.status();
    let there = command("strace")
        .args(["-qq", "-o", "/dev/null", "true"])
        .stderr(Stdio::null())
        .status();
    there.is_ok_and(|status| status.success()) && ended.is_ok_and(|status| !status.success())
}

/// One that is attached.
pub(super) struct Strace {
    running: Running,
    output: PathBuf,
}

impl Strace {
    /// Attaches to all threads of `pid` and to what they start. `None` when it has ended.
    pub(super) fn attach(
        pair: &Pair,
        path: Option<&Path>,
        pid: i32,
        output: &Path,
    ) -> Option<Self> {
        let mut strace = command("strace");
        strace.args(["-qq", "-e", "signal=none", "-o"]).arg(output);
        match pair.whom {
            // Its programs are let go of when they begin: they are not what is tried.
            Whom::Daemon => strace.args(["-f", "-b", "execve"]),
            Whom::Guard => &mut strace,
            Whom::Next => strace.arg("-f"),
        };
        if let Some(path) = path {
            strace.arg("-P").arg(path);
        }
        strace
            .arg("-e")
            .arg(format!("trace={}", pair.calls))
            .arg("-e")
            .arg(format!(
                "inject={}:error={}:when={}",
                pair.calls, pair.error, pair.when
            ))
            .args(["-p", &pid.to_string()])
            .stdin(Stdio::null());
        let mut running = Running(strace.spawn().expect("strace runs"));
        until("strace is attached", || {
            traced(pid) || !lives(pid) || !matches!(running.0.try_wait(), Ok(None))
        });
        let attached = matches!(running.0.try_wait(), Ok(None));
        assert!(attached || !lives(pid), "strace ended: {}", pair.name());
        attached.then(|| Self {
            running,
            output: output.to_owned(),
        })
    }

    /// Lets go. Says how many calls failed.
    pub(super) fn detach(mut self) -> usize {
        let pid = i32::try_from(self.running.0.id()).expect("pids are small");
        kill(pid, Signal::INT);
        let mut ended = || !matches!(self.running.0.try_wait(), Ok(None));
        if !wait_until(GRACE, &mut ended) {
            // It waits for a thread that waits for its child, which waits for strace. When it is
            // killed the kernel lets all of them go.
            kill(pid, Signal::KILL);
            until("strace is gone", ended);
        }
        let told = std::fs::read(&self.output).unwrap_or_default();
        let told = String::from_utf8_lossy(&told).into_owned();
        told.lines()
            .filter(|line| line.contains("(INJECTED)"))
            .count()
    }
}

/// Is every thread traced?
fn traced(pid: i32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return false;
    };
    threads.flatten().all(|thread| {
        let status = std::fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        status.lines().any(|line| {
            line.strip_prefix("TracerPid:")
                .is_some_and(|pid| pid.trim() != "0")
        })
    })
}
