//! `mhost monit` in a real terminal: tmux shows what a person would see, and types.

use std::io::Write;
use std::process::Output;
use std::time::Duration;

use rustix::process::Signal;

use crate::rig::home::command;
use crate::rig::{Rig, kill, until, wait_until};

/// A terminal of its own server, so that no other tmux is touched. Dropping it ends it.
struct Terminal {
    socket: String,
}

impl Terminal {
    /// A shell in the folder of the rig, of this size. None where there is no tmux.
    fn open(rig: &Rig, columns: u16, rows: u16) -> Option<Self> {
        if command("tmux").arg("-V").output().is_err() {
            let _ = writeln!(
                std::io::stderr(),
                "skipped: there is no tmux to show monit in"
            );
            return None;
        }
        let terminal = Self {
            socket: rig.path("tmux.sock").display().to_string(),
        };
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let mut server = command("tmux");
        server
            .args([
                "-S",
                &terminal.socket,
                "-f",
                "/dev/null",
                "new-session",
                "-d",
            ])
            .args(["-x", &columns, "-y", &rows, "-s", "m", "sh"])
            .env("MHOST_HOME", rig.home().path())
            .env("PS1", "$ ")
            .env("LC_ALL", "C.UTF-8")
            .env_remove("TMUX")
            .env("RUST_BACKTRACE", "0")
            .env_remove("NO_COLOR")
            .current_dir(rig.home().folder());
        let output = server.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        Some(terminal)
    }

    fn tmux(&self, args: &[&str]) -> Output {
        command("tmux")
            .args(["-S", &self.socket])
            .args(args)
            .env_remove("TMUX")
            .output()
            .unwrap()
    }

    /// Types keys by their names in tmux.
    fn keys(&self, keys: &[&str]) {
        let args = [&["send-keys", "-t", "m"], keys].concat();
        assert!(self.tmux(&args).status.success());
    }

    /// Types a line for the shell.
    fn line(&self, line: &str) {
        assert!(
            self.tmux(&["send-keys", "-t", "m", "-l", line])
                .status
                .success()
        );
        self.keys(&["Enter"]);
    }

    /// What is on the screen.
    fn screen(&self) -> String {
        let output = self.tmux(&["capture-pane", "-p", "-t", "m"]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Waits until the screen is so.
    fn until(&self, what: &str, so: impl Fn(&str) -> bool) -> String {
        let mut screen = String::new();
        let came = wait_until(Duration::from_secs(30), || {
            screen = self.screen();
            so(&screen)
        });
        assert!(came, "{what}:\n{screen}");
        screen
    }

    /// Waits until this is on the screen.
    fn shows(&self, text: &str) -> String {
        self.until(&format!("no `{text}`"), |screen| screen.contains(text))
    }

    /// Is the alternate screen in use?
    fn is_alternate(&self) -> bool {
        let output = self.tmux(&["display-message", "-p", "-t", "m", "#{alternate_on}"]);
        output.stdout.starts_with(b"1")
    }

    /// Starts monit between two notes of the terminal's settings.
    fn monit(&self, flags: &str) {
        let mhost = env!("CARGO_BIN_EXE_mhost");
        self.line("clear; stty -g > before");
        self.line(&format!(
            "{flags} '{mhost}' monit; echo ended-$?; stty -g > after"
        ));
        self.shows("Processes");
        assert!(self.is_alternate());
    }

    /// The shell is back, with the terminal as it was.
    fn assert_given_back(&self, rig: &Rig, code: &str) -> String {
        let screen = self.shows(&format!("ended-{code}"));
        until("the settings are noted", || {
            std::fs::read_to_string(rig.path("after")).is_ok_and(|text| text.ends_with('\n'))
        });
        let read = |name: &str| std::fs::read_to_string(rig.path(name)).unwrap();
        assert_eq!(read("before"), read("after"), "stty before and after");
        assert!(!self.is_alternate(), "the alternate screen was not left");
        std::fs::remove_file(rig.path("after")).unwrap();
        screen
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

/// The pid of monit, from the terminal it runs in.
fn monit_pid(terminal: &Terminal) -> i32 {
    let shell = terminal.tmux(&["display-message", "-p", "-t", "m", "#{pane_pid}"]);
    let shell = String::from_utf8_lossy(&shell.stdout).trim().to_owned();
    let children = format!("/proc/{shell}/task/{shell}/children");
    let mut pid = None;
    until("monit is a child of the shell", || {
        let listed = std::fs::read_to_string(&children).unwrap_or_default();
        pid = listed
            .split_whitespace()
            .next()
            .and_then(|pid| pid.parse().ok());
        pid.is_some()
    });
    pid.unwrap()
}

/// A whole session: see, move, read a log, restart, resize, leave.
#[test]
fn monit_is_used_from_start_to_end() {
    let rig = Rig::new()
        .running("alpha", "puppet numbers 200")
        .running("beta", "puppet sleep");
    let Some(terminal) = Terminal::open(&rig, 80, 24) else {
        return;
    };
    terminal.monit("");
    let screen = terminal.shows("● 2 online");
    assert!(screen.contains("▸ alpha"), "{screen}");

    terminal.keys(&["j"]);
    terminal.shows("▸ beta");
    terminal.keys(&["k", "2"]);
    terminal.shows("following");
    terminal.keys(&["f"]);
    terminal.shows("holding still");
    terminal.keys(&["/"]);
    terminal.keys(&["1", "2", "Enter"]);
    terminal.until("only lines with 12", |screen| {
        let mut lines = screen
            .lines()
            .filter(|line| line.starts_with(" ") && line.contains(':'));
        screen.contains("search 12") && lines.any(|line| line.trim_end().ends_with("12"))
    });
    terminal.keys(&["Escape"]);
    terminal.until("no search", |screen| !screen.contains("search 12"));
    terminal.keys(&["3"]);
    terminal.shows("probes of alpha");
    terminal.keys(&["4"]);
    terminal.shows("generation=1");

    // Restart with a key: the daemon counts it, and the screen shows it.
    let before = rig.pid("alpha");
    terminal.keys(&["1", "g", "r"]);
    terminal.shows("Restart alpha?");
    assert_eq!(rig.pid("alpha"), before, "a question does nothing");
    terminal.keys(&["y"]);
    rig.until_other_pid("alpha", before);
    assert_eq!(rig.process("alpha")["restarts"], 1);
    terminal.shows("✓ alpha restarted");
    terminal.until("one restart", |screen| {
        let row = screen.lines().find(|line| line.starts_with("▸ alpha"));
        row.is_some_and(|row| row.split_whitespace().nth(6) == Some("1"))
    });

    terminal.tmux(&["resize-window", "-t", "m", "-x", "30", "-y", "8"]);
    terminal.shows("monit needs");
    terminal.tmux(&["resize-window", "-t", "m", "-x", "140", "-y", "40"]);
    terminal.shows("log of alpha");
    terminal.keys(&["?"]);
    terminal.shows("Everywhere");
    terminal.keys(&["q", "q"]);
    terminal.assert_given_back(&rig, "0");
}

/// What the agent may not do by itself, it asks here, and a yes lets it.
#[test]
fn monit_answers_the_agent() {
    let rig = Rig::new().settings("[brain]\nautonomy = \"supervised\"\n");
    rig.run(&["start", "puppet exit 7", "--name", "dying", "--no-wait"]);
    let Some(terminal) = Terminal::open(&rig, 80, 24) else {
        return;
    };
    let pending = || {
        let asked = rig.json(&["agent", "actions"]);
        let asked = asked["actions"].as_array().unwrap().clone();
        asked.into_iter().find(|one| one["state"] == "pending")
    };
    until("the agent asks", || pending().is_some());
    terminal.monit("");
    terminal.shows("to approve: a");
    terminal.keys(&["a"]);
    let screen = terminal.shows("Approvals");
    assert!(screen.contains("dying"), "{screen}");
    terminal.keys(&["y"]);
    terminal.shows("approved:");
    until("a person's yes is recorded", || {
        let asked = rig.json(&["agent", "actions"]);
        let asked = asked["actions"].as_array().unwrap().clone();
        asked.iter().any(|one| one["state"] == "approved")
    });
    // Alone: with a key right behind it, Escape would be Alt.
    terminal.keys(&["Escape"]);
    terminal.until("no overlay", |screen| !screen.contains("Approvals"));
    terminal.keys(&["q"]);
    terminal.assert_given_back(&rig, "0");
}

/// A daemon that dies is waited for, and the screen goes on.
#[test]
fn monit_outlives_the_daemon() {
    let rig = Rig::new().running("alpha", "puppet numbers 200");
    let Some(terminal) = Terminal::open(&rig, 100, 30) else {
        return;
    };
    terminal.monit("");
    terminal.shows("▸ alpha");
    rig.kill_daemon();
    terminal.shows("the daemon is back");
    terminal.shows("● 1 online");
    terminal.keys(&["q"]);
    terminal.assert_given_back(&rig, "0");
}

/// However it ends, the terminal is as it was.
#[test]
fn monit_gives_the_terminal_back_also_when_it_is_killed() {
    let rig = Rig::new().running("alpha", "puppet sleep");
    let Some(terminal) = Terminal::open(&rig, 80, 24) else {
        return;
    };
    for (signal, name) in [(Signal::TERM, "SIGTERM"), (Signal::INT, "SIGINT")] {
        terminal.monit("");
        kill(monit_pid(&terminal), signal);
        let screen = terminal.assert_given_back(&rig, "1");
        assert!(screen.contains(name), "{screen}");
    }

    // Stopped and continued as by the shell.
    terminal.monit("");
    let monit = monit_pid(&terminal);
    kill(monit, Signal::TSTP);
    terminal.until("the shell's screen", |_| !terminal.is_alternate());
    terminal.line("fg");
    terminal.until("monit's screen", |screen| {
        terminal.is_alternate() && screen.contains("▸ alpha")
    });
    terminal.keys(&["q"]);
    terminal.until("the shell's screen", |_| !terminal.is_alternate());
}

/// A bug leaves a usable terminal and a readable message.
#[test]
fn monit_gives_the_terminal_back_when_it_panics() {
    if !cfg!(debug_assertions) {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: only a debug build panics on demand"
        );
        return;
    }
    let rig = Rig::new().running("alpha", "puppet sleep");
    let Some(terminal) = Terminal::open(&rig, 80, 24) else {
        return;
    };
    terminal.monit("MHOST_MONIT_PANIC=1");
    terminal.keys(&["C-l"]);
    let screen = terminal.assert_given_back(&rig, "101");
    assert!(screen.contains("as MHOST_MONIT_PANIC wished"), "{screen}");
}

/// Without a terminal it says so, and what to type instead.
#[test]
fn monit_needs_a_terminal() {
    let rig = Rig::new();
    let said = rig.fails(2, &["monit"]);
    assert!(
        said.contains("needs a terminal") && said.contains("mhost list --json"),
        "{said}"
    );
    let said = rig.fails(2, &["monit", "--json"]);
    assert!(said.contains("prints no JSON"), "{said}");
}
