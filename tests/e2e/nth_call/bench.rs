//! A home with one process of each kind, and what must be true of it after any fault.
//!
//! | process | what it is there for |
//! |---|---|
//! | `num` | numbered lines through a pipe: each once, in order; killed while calls fail |
//! | `file` | the same through a file, restarted while calls fail |
//! | `web` | an HTTP probe; scaled up and down |
//! | `tree` | a grandchild in a session of its own, which must not be doubled |
//! | `crash` | ends each second, so that something is always spawned |
//! | `job` | stopped while calls fail |
//! | `flood` | fills and seals segments |
//! | `other` | another user, where the test may become one |

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::strace::Strace;
use super::{Pair, Whom};
use crate::rig::{PATIENCE, Rig, Running, kill, lives, pause, text, until, wait_until};

/// Between two commands of the scenario.
const STEP: Duration = Duration::from_millis(120);
/// How long calls fail after the last command was begun.
const AFTER: Duration = Duration::from_millis(600);
/// The same where an attempt of the probe is to fall into it.
const PROBED: Duration = Duration::from_secs(3);
/// How long the guard is kept from starting a daemon: longer than ten quick tries take.
const LONG: Duration = Duration::from_secs(8);
/// Where a pair of call and error is tried.
pub(super) struct Bench {
    rig: Rig,
    /// How much of the daemon's log was looked at.
    read: usize,
}

impl Bench {
    /// Everything up and well.
    pub(super) fn new() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let mut config = format!(
            r#"
            [process.num]
            command = "puppet numbers 20"
            restart_delay = "10ms"
            max_restart_delay = "100ms"
            [process.file]
            command = "puppet numbers 20"
            output = "file"
            restart_delay = "10ms"
            max_restart_delay = "100ms"
            [process.web]
            command = "puppet serve {port}"
            restart_delay = "10ms"
            max_restart_delay = "100ms"
            [process.web.health.http]
            url = "http://127.0.0.1:{port}/"
            interval = "2s"
            timeout = "2s"
            retries = 1
            [process.tree]
            command = "puppet fork"
            grace_period = "200ms"
            restart_delay = "10ms"
            max_restart_delay = "100ms"
            [process.crash]
            command = "puppet exit-after 700 5"
            restart_delay = "10ms"
            max_restart_delay = "50ms"
            [process.crash.health.script]
            command = "true"
            interval = "300ms"
            timeout = "300ms"
            on_fail = "notify"
            [process.job]
            command = "puppet sleep"
            [process.flood]
            command = "puppet spew 4000 --bytes 100"
            autorestart = "always"
            restart_delay = "1500ms"
            max_restart_delay = "1500ms"
            "#
        );
        if rustix::process::geteuid().is_root() {
            config += "[process.other]\ncommand = \"/bin/sleep 100000\"\ncwd = \"/\"\n\
                       user = \"nobody\"\nrestart_delay = \"10ms\"\nmax_restart_delay = \"100ms\"\n";
        }
        let rig = Rig::new()
            .settings("[brain]\nenabled = false\n[logs]\nraw_max_size = \"1MB\"\n")
            .config(&config);
        rig.ok(&["start", "--no-wait"]);
        let bench = Self { rig, read: 0 };
        for name in bench.lasting() {
            bench.rig.until(name, "online");
        }
        bench
    }

    /// The processes that are to run whatever happens.
    fn lasting(&self) -> Vec<&'static str> {
        let mut names = vec!["num", "file", "web", "tree", "job"];
        if rustix::process::geteuid().is_root() {
            names.push("other");
        }
        names
    }

    /// Lets calls fail while the daemon works; then all must be as it should. Returns how many
    /// calls failed.
    pub(super) fn try_out(&mut self, pair: &Pair) -> usize {
        let (former, num) = (self.rig.daemon(), self.rig.pid("num"));
        let untouched = self.rig.pid("web");
        let path = pair.path.map(|path| match path.strip_prefix('~') {
            Some(below) => self.rig.home().path().join(below),
            None => path.into(),
        });
        let output = self.rig.path("strace.out");
        let whom = match pair.whom {
            Whom::Daemon => former,
            Whom::Guard | Whom::Next => self.rig.home().guard().expect("it has a guard"),
        };
        let Some(strace) = Strace::attach(pair, path.as_deref(), whom, &output) else {
            return 0;
        };
        let commands = match pair.whom {
            Whom::Daemon => {
                kill(num, Signal::KILL);
                let commands = self.work();
                // What the runtime uses for signals cannot fail, and it relies on that.
                if !pair.calls.contains("recv") {
                    kill(former, Signal::HUP);
                }
                pause(if pair.probes() { PROBED } else { AFTER });
                commands
            }
            Whom::Guard => {
                kill(former, Signal::KILL);
                pause(if pair.lasts { LONG } else { AFTER });
                Vec::new()
            }
            Whom::Next => {
                kill(former, Signal::KILL);
                kill(num, Signal::KILL);
                pause(3 * AFTER);
                Vec::new()
            }
        };
        let failed = strace.detach();
        let done = self.ended(commands);
        until("a daemon answers", || self.answers());
        self.is_sound(pair, &done);
        if matches!(pair.whom, Whom::Daemon) && !pair.may_end {
            assert_eq!(self.rig.daemon(), former, "the daemon goes on");
            // Elsewhere a busy machine may have made an attempt too slow.
            let left = !pair.probes() || lives(untouched);
            assert!(left, "a process that is well is left alone");
        }
        self.takes_commands();
        failed
    }

    /// Begins one command after the other, and waits for none.
    fn work(&self) -> Vec<(&'static [&'static str], Running)> {
        let commands: [&[&str]; 9] = [
            &["scale", "web", "2"],
            &["start", "puppet sleep", "--name", "extra", "--no-wait"],
            &["stop", "job"],
            &["list", "--json"],
            &["restart", "tree"],
            &["restart", "file"],
            &["logs", "num", "-n", "5"],
            &["scale", "web", "1"],
            &["restart", "other"],
        ];
        let begin = |args: &'static [&'static str]| {
            let mut command = self.rig.home().mhost(args);
            command.env("MHOST_NO_AUTOSTART", "1");
            command.stdout(Stdio::null()).stderr(Stdio::null());
            pause(STEP);
            (args, Running(command.spawn().expect("mhost runs")))
        };
        let [a, b, c, d, e, f, g, h, i] = commands;
        [a, b, c, d, e, f, g, h, i].map(begin).into()
    }

    /// Each command ends now that calls work again. Says which of them succeeded.
    fn ended(&self, commands: Vec<(&'static [&'static str], Running)>) -> Vec<&'static str> {
        let mut done = Vec::new();
        for (args, mut command) in commands {
            let mut code = None;
            let ended = wait_until(PATIENCE, || {
                code = command.0.try_wait().expect("it can be asked");
                code.is_some()
            });
            assert!(ended, "{args:?} hangs");
            if code.is_some_and(|code| code.success()) {
                done.push(args[0]);
            }
        }
        done
    }

    /// Asked past the command line, which would start a daemon.
    fn answers(&self) -> bool {
        self.rig
            .rpc("daemon.ping", json!({}))
            .is_some_and(|answer| answer["result"].is_object())
    }

    /// What is listed runs, once, and nothing else does; no line is lost; nobody panicked.
    fn is_sound(&mut self, pair: &Pair, done: &[&str]) {
        for name in self.lasting() {
            if name != "job" {
                self.rig.until(name, "online");
            }
        }
        let mut last = (Vec::new(), BTreeMap::new());
        let agree = wait_until(PATIENCE, || {
            let listed = self.rig.list();
            last = (listed, self.found());
            agrees(&last.0, &last.1)
        });
        assert!(agree, "listed: {:#?}\nfound: {:?}", last.0, last.1);
        if done.contains(&"stop") {
            assert_eq!(self.rig.pids("job"), [0; 0], "it was stopped");
        }
        if done.contains(&"start") {
            self.rig.until("extra", "online");
        }
        for name in ["num", "file", "flood"] {
            assert_numbers(&self.rig.lines(name), name);
        }
        let mut trouble = Value::Null;
        let well = wait_until(PATIENCE, || {
            trouble = self.rig.json(&["daemon", "status"])["degraded"].clone();
            trouble.as_array().is_some_and(Vec::is_empty)
        });
        assert!(well, "it is still degraded: {trouble}");
        let log = std::fs::read_to_string(self.rig.home().file("logs/daemon.log")).unwrap();
        let new = log.get(self.read..).unwrap_or(&log);
        assert!(pair.may_end || !new.contains("panicked at"), "{new}");
        self.read = log.len();
    }

    /// New commands work, and bring back what the next pair expects.
    fn takes_commands(&self) {
        self.rig.ok(&["start", "job"]);
        self.rig.ok(&["scale", "web", "2"]);
        self.rig.ok(&["scale", "web", "1"]);
        if self.rig.list().iter().any(|one| one["name"] == "extra") {
            self.rig.ok(&["delete", "extra"]);
        }
        self.rig.ok(&["audit", "--verify"]);
        for name in self.lasting() {
            self.rig.until(name, "online");
        }
    }

    /// The programs that run, by the mark in their environment.
    fn found(&self) -> BTreeMap<(String, u64), Vec<i32>> {
        let mut found: BTreeMap<_, Vec<i32>> = BTreeMap::new();
        for program in ["puppet", "sleep"] {
            for pid in self.rig.home().strays_named(program) {
                let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                let value = |key: &str| {
                    let mut entries = environ.split(|byte| *byte == 0);
                    entries.find_map(|entry| {
                        let entry = std::str::from_utf8(entry).ok()?;
                        Some(entry.strip_prefix(key)?.to_owned())
                    })
                };
                let name = value("MHOST_NAME=");
                let index = value("MHOST_INSTANCE=").and_then(|text| text.parse().ok());
                if let (Some(name), Some(index)) = (name, index) {
                    found.entry((name, index)).or_default().push(pid);
                }
            }
        }
        found
    }
}

/// Each instance that is listed with a pid runs once, and no other does.
fn agrees(listed: &[Value], found: &BTreeMap<(String, u64), Vec<i32>>) -> bool {
    let mut known = 0;
    let right = listed.iter().all(|process| {
        let name = text(&process["name"]);
        let instances = process["instances"].as_array().expect("a list");
        instances.iter().all(|instance| {
            let index = instance["index"].as_u64().expect("a number");
            let pids = found.get(&(name.clone(), index));
            known += usize::from(pids.is_some());
            let pids = pids.cloned().unwrap_or_default();
            match instance["pid"].as_i64() {
                // It may end, or come up, in this moment.
                _ if name == "crash" || name == "flood" => pids.len() <= 1,
                Some(pid) => {
                    let copies = if name == "tree" { 2 } else { 1 };
                    pids.len() == copies && pids.iter().any(|one| i64::from(*one) == pid)
                }
                None => pids.is_empty(),
            }
        })
    });
    right && known == found.len()
}

/// Runs of numbers without a gap. A run ends anywhere when its program is killed, and what is
/// older than the first line of `flood` may be gone.
fn assert_numbers(lines: &[String], name: &str) {
    // From where to where it counts without a gap.
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for line in lines {
        let number = line.trim().parse();
        let number = number.unwrap_or_else(|_| panic!("{name}: {line:?} is no number: {runs:?}"));
        match runs.last_mut() {
            Some((_, last)) if number == *last + 1 => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let known = usize::from(name == "flood");
    let begins = |(first, _): &(u64, u64)| *first == 1;
    let whole = runs.iter().skip(known).all(begins);
    assert!(whole && !runs.is_empty(), "{name}: {runs:?}");
}
