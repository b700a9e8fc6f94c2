//! What a test of the whole says: given a config, when this is typed, then that is seen.
//!
//! [`Rig`] runs the real binary with real processes in a home of its own. It is the one place
//! that knows commands and the shape of their JSON, so that a change of either changes this
//! file and not a hundred tests. When a test fails it shows the processes, their events and
//! the log of the daemon.

pub(crate) mod counterparts;
pub(crate) mod home;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Output};

use rustix::process::Signal;
use serde_json::{Value, json};

pub(crate) use home::{Home, PATIENCE, free_port, kill, lives, parent, pause, until, wait_until};

/// A home, a folder with configs beside it, and the real binary.
pub(crate) struct Rig {
    home: Home,
}

impl Rig {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self { home: Home::new() }
    }

    /// With this `mhost.toml` in the folder.
    pub(crate) fn config(self, toml: &str) -> Self {
        self.write("mhost.toml", toml);
        self
    }

    /// With this `config.toml`, the settings of the daemon, in the home.
    pub(crate) fn settings(self, toml: &str) -> Self {
        std::fs::create_dir_all(self.home.path()).expect("the home is made");
        std::fs::write(self.home.file("config.toml"), toml).expect("the settings are written");
        self
    }

    /// Writes another `config.toml`, and has the daemon read it.
    pub(crate) fn settings_now(&self, toml: &str) {
        std::fs::write(self.home.file("config.toml"), toml).expect("the settings are written");
        let answer = self.rpc("daemon.reload_config", json!({}));
        let good = answer
            .as_ref()
            .is_some_and(|one| one.get("error").is_none());
        assert!(good, "{answer:?}");
    }

    /// `mhost start` of the config: all comes up.
    pub(crate) fn start(self) -> Self {
        self.ok(&["start"]);
        self
    }

    /// A process of this command line, online.
    pub(crate) fn running(self, name: &str, command: &str) -> Self {
        self.ok(&["start", command, "--name", name, "--grace-period", "1s"]);
        self
    }

    /// The home with its processes.
    pub(crate) fn home(&self) -> &Home {
        &self.home
    }

    /// A file in the folder of the configs.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.folder().join(name)
    }

    /// Writes a file in the folder of the configs.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("the file is written");
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.home.run(args)
    }

    /// Runs a command that succeeds, and gives what it printed.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", shown(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs a command that fails with this exit code, and gives what it said about it.
    pub(crate) fn fails(&self, code: i32, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{args:?}: {}",
            shown(&output)
        );
        home::stderr(&output)
    }

    /// Runs a command with `--json` that succeeds.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let text = self.ok(&[args, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{args:?}: {error}: {text}"))
    }

    /// All processes.
    pub(crate) fn list(&self) -> Vec<Value> {
        let listed = self.json(&["list"]);
        listed["processes"].as_array().expect("a list").clone()
    }

    /// One process.
    pub(crate) fn process(&self, name: &str) -> Value {
        let listed = self.list();
        let found = listed.iter().find(|process| process["name"] == name);
        found
            .unwrap_or_else(|| panic!("no {name} in {listed:?}"))
            .clone()
    }

    /// Its status, such as `online` or `errored (breaker)`.
    pub(crate) fn status(&self, name: &str) -> String {
        text(&self.process(name)["status"])
    }

    /// The pids of its instances that run.
    pub(crate) fn pids(&self, name: &str) -> Vec<i32> {
        let process = self.process(name);
        let instances = process["instances"].as_array().expect("a list").clone();
        instances
            .iter()
            .filter_map(|instance| i32::try_from(instance["pid"].as_i64()?).ok())
            .collect()
    }

    /// The pid of its first instance.
    pub(crate) fn pid(&self, name: &str) -> i32 {
        *self.pids(name).first().expect("it runs")
    }

    /// Waits until its status begins so.
    pub(crate) fn until(&self, name: &str, status: &str) {
        let mut last = String::new();
        let came = wait_until(PATIENCE, || {
            last = self.status(name);
            last.starts_with(status)
        });
        assert!(came, "{name} did not become {status}; it is {last}");
    }

    /// Waits until it runs with another pid.
    pub(crate) fn until_other_pid(&self, name: &str, former: i32) -> i32 {
        let mut now = former;
        until(&format!("another pid of {name}"), || {
            let pids = self.pids(name);
            now = pids.first().copied().unwrap_or(former);
            now != former
        });
        now
    }

    /// Its events, oldest first.
    pub(crate) fn events(&self, name: &str) -> Vec<Value> {
        let reply = self.json(&["history", name, "-n", "1000"]);
        let mut events = reply["events"].as_array().expect("a list").clone();
        events.reverse();
        events
    }

    /// What happened to it, oldest first. Not what it printed for the first time: that is told
    /// when it is indexed, at any time after it was printed.
    pub(crate) fn kinds(&self, name: &str) -> Vec<String> {
        self.events(name)
            .iter()
            .map(|event| text(&event["kind"]))
            .filter(|kind| kind != "new_pattern")
            .collect()
    }

    /// Exactly this happened to it.
    pub(crate) fn assert_events(&self, name: &str, expected: &[&str]) {
        assert_eq!(
            self.kinds(name),
            expected,
            "{name}: {:#?}",
            self.events(name)
        );
    }

    /// The data of the first event of a kind, once there is one.
    pub(crate) fn event(&self, name: &str, kind: &str) -> Value {
        let mut found = None;
        until(&format!("{kind} of {name}"), || {
            found = self
                .events(name)
                .into_iter()
                .find(|one| one["kind"] == kind);
            found.is_some()
        });
        found.expect("it was found")["data"].clone()
    }

    /// All lines it printed, as they are.
    pub(crate) fn lines(&self, name: &str) -> Vec<String> {
        let printed = self.ok(&["logs", name, "-n", "1000000", "--raw"]);
        printed.lines().map(str::to_owned).collect()
    }

    /// Waits until it has printed a line with this text.
    pub(crate) fn until_printed(&self, name: &str, text: &str) {
        until(&format!("{name} prints {text}"), || {
            self.lines(name).iter().any(|line| line.contains(text))
        });
    }

    /// Starts `mhost args…` with its output in a file of the folder, and does not wait.
    pub(crate) fn spawn_into(&self, file: &str, args: &[&str]) -> Running {
        let out = std::fs::File::create(self.path(file)).expect("a file for the output");
        let child = self
            .home
            .mhost(args)
            .stdout(out)
            .spawn()
            .expect("mhost runs");
        Running(child)
    }

    /// The pid of the daemon that answers, once one does.
    pub(crate) fn daemon(&self) -> i32 {
        let mut pid = None;
        until("a daemon answers", || {
            pid = self.home.daemon();
            pid.is_some()
        });
        pid.expect("it was found")
    }

    /// Kills the daemon, and waits until another one answers without help.
    pub(crate) fn kill_daemon(&self) -> i32 {
        let former = self.daemon();
        kill(former, Signal::KILL);
        let mut now = former;
        until("another daemon answers", || {
            now = self.home.daemon().unwrap_or(former);
            now != former
        });
        now
    }

    /// Sends one request to the daemon, past the command line.
    pub(crate) fn rpc(&self, method: &str, params: Value) -> Option<Value> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut stream = self.connect()?;
        writeln!(stream, "{request}").ok()?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).ok()?;
        serde_json::from_str(&line).ok()
    }

    /// A connection to the socket, if somebody listens.
    pub(crate) fn connect(&self) -> Option<UnixStream> {
        let stream = UnixStream::connect(self.home.file("mhost.sock")).ok()?;
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a limit above zero");
        Some(stream)
    }

    /// Nothing of this home runs but the daemon, its guard, and these.
    pub(crate) fn assert_only(&self, pids: &[i32]) {
        let daemon = self.daemon();
        let mut expected = pids.to_vec();
        expected.push(daemon);
        expected.extend(parent(daemon));
        expected.sort_unstable();
        let mut found = Vec::new();
        let came = wait_until(PATIENCE, || {
            found = self.home.strays();
            found.sort_unstable();
            found == expected
        });
        let commands: Vec<String> = found.iter().map(|pid| command_line(*pid)).collect();
        assert!(
            came,
            "expected {expected:?}, found {found:?}: {commands:#?}"
        );
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut told = String::new();
            let asks: [&[&str]; 2] = [&["list", "--json"], &["history", "-n", "40"]];
            for args in asks {
                let output = self
                    .home
                    .mhost(args)
                    .env("MHOST_NO_AUTOSTART", "1")
                    .output();
                told += &format!("\n--- mhost {args:?}\n");
                told += &output.map_or_else(|error| error.to_string(), |output| shown(&output));
            }
            let log = std::fs::read_to_string(self.home.file("logs/daemon.log"));
            let log = log.unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines.len().saturating_sub(60);
            told += &format!("\n--- daemon.log\n{}\n", lines[tail..].join("\n"));
            let _ = std::io::stderr().write_all(told.as_bytes());
        }
    }
}

/// A command that is still running. Dropping it ends it.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The text of a JSON value that is one.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn shown(output: &Output) -> String {
    format!(
        "{}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        home::stderr(output)
    )
}

fn command_line(pid: i32) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    format!(
        "{pid}: {}",
        String::from_utf8_lossy(&line).replace('\0', " ")
    )
}

/// Numbers that rise by one, and begin at one in each of so many runs.
pub(crate) fn assert_runs_without_gaps(lines: &[String], runs: usize) {
    let numbers: Vec<u64> = lines
        .iter()
        .map(|line| {
            line.parse()
                .unwrap_or_else(|_| panic!("{line:?} is no number"))
        })
        .collect();
    let mut begun = 0;
    let mut former = 0;
    for (place, number) in numbers.iter().enumerate() {
        if *number == 1 && begun < runs {
            begun += 1;
        } else {
            let around = &numbers[place.saturating_sub(3)..numbers.len().min(place + 4)];
            assert_eq!(*number, former + 1, "at line {place}: {around:?}");
        }
        former = *number;
    }
    assert_eq!(begun, runs);
}
