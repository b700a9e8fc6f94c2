//! A launcher in a home of its own, and what tests ask about its processes.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use supervisor::launch::{Launcher, Scope, SpawnError, SpawnOrder};
use supervisor::spec::{Argv, Limits, Sandbox, Signal};
use supervisor::state::ProcessRef;
use supervisor::sys::OsLauncher;
use supervisor::{Generation, InstanceId, OsText, Paths, Stream};
use tempfile::TempDir;
use tokio::time::Instant;

pub(crate) const TERM: Signal = Signal(15);
pub(crate) const KILL: Signal = Signal(9);

pub(crate) struct Bench {
    _folder: TempDir,
    pub(crate) paths: Paths,
    pub(crate) launcher: OsLauncher,
    pub(crate) instance: InstanceId,
}

impl Bench {
    /// How many are left of a tree, as soon as that can be known: while others end, it cannot.
    pub(crate) async fn remaining(&self, process: &ProcessRef, generation: u64) -> Option<usize> {
        self.remaining_by(&self.launcher, process, generation).await
    }

    /// The same as another launcher sees it.
    pub(crate) async fn remaining_by(
        &self,
        launcher: &OsLauncher,
        process: &ProcessRef,
        generation: u64,
    ) -> Option<usize> {
        loop {
            let remaining = launcher.remaining(&self.instance, process, generation);
            match remaining.await {
                None => tokio::time::sleep(Duration::from_millis(5)).await,
                known => return known,
            }
        }
    }

    pub(crate) fn new() -> Self {
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

    pub(crate) fn order(&self, generation: Generation, program: &str, args: &[&str]) -> SpawnOrder {
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
            sandbox: Sandbox::default(),
            user: None,
            group: None,
            stdout: fifo(Stream::Out),
            stderr: fifo(Stream::Err),
            listen: Vec::new(),
            voice: None,
        }
    }

    pub(crate) fn shell(&self, generation: Generation, script: &str) -> SpawnOrder {
        self.order(generation, "/bin/sh", &["-c", script])
    }

    pub(crate) async fn start(&self, generation: Generation, script: &str) -> ProcessRef {
        let order = self.shell(generation, script);
        self.launcher.spawn(order).await.expect("starts")
    }

    pub(crate) async fn failure(&self, order: SpawnOrder) -> (SpawnError, String) {
        let error = self.launcher.spawn(order).await.expect_err("fails");
        let text = error.to_string();
        (error, text)
    }

    pub(crate) fn file(&self, name: &str) -> std::path::PathBuf {
        self.paths.home().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str, mode: u32) -> String {
        let file = self.file(name);
        std::fs::write(&file, text).expect("writes");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).expect("sets");
        file.display().to_string()
    }

    pub(crate) async fn wait_for_file(&self, name: &str) -> String {
        let file = self.file(name);
        wait_until(|| std::fs::read_to_string(&file).is_ok_and(|text| text.ends_with('\n'))).await;
        std::fs::read_to_string(&file)
            .expect("reads")
            .trim()
            .to_owned()
    }

    /// Living processes that carry this bench's mark.
    pub(crate) fn marked(&self) -> Vec<i32> {
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

    pub(crate) async fn end(&self, process: &ProcessRef) {
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
pub(crate) fn new_launcher(paths: &Paths) -> OsLauncher {
    if env!("CARGO_CRATE_NAME") == "launcher_cgroup" {
        OsLauncher::new(paths.clone())
    } else {
        OsLauncher::without_cgroups(paths.clone())
    }
}

/// The control group that a run was started into, if it has one of its own.
pub(crate) fn own_cgroup(process: &ProcessRef) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{}/cgroup", process.pid)).ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    let found = path.contains("/mhost-").then(|| path.to_owned());
    if found.is_none() && env!("CARGO_CRATE_NAME") == "launcher_cgroup" {
        skipped("this host gives us no control group of version 2");
    }
    found
}

/// Not by a macro: what these print is only shown for tests that fail.
pub(crate) fn skipped(why: &str) {
    let line = format!("skipped: {why}\n");
    std::io::stderr()
        .write_all(line.as_bytes())
        .expect("writes");
}

pub(crate) async fn wait_until(mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "it did not happen in a minute");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub(crate) fn stat_field(pid: i32, field: usize) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = text.rsplit_once(") ")?.1;
    rest.split(' ').nth(field - 3).map(str::to_owned)
}
