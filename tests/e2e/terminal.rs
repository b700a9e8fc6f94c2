//! A real terminal for what is shown on one: tmux shows what a person would see, and types.

use std::io::Write;
use std::process::Output;

use crate::rig::home::command;
use crate::rig::{PATIENCE, Rig, until, wait_until};

/// A terminal of its own server, so that no other tmux is touched. Dropping it ends it.
pub(crate) struct Terminal {
    socket: String,
}

impl Terminal {
    /// A shell in the folder of the rig, of this size. None where there is no tmux.
    pub(crate) fn open(rig: &Rig, columns: u16, rows: u16) -> Option<Self> {
        if command("tmux").arg("-V").output().is_err() {
            let _ = writeln!(
                std::io::stderr(),
                "skipped: there is no tmux (apt-get install tmux)"
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

    pub(crate) fn tmux(&self, args: &[&str]) -> Output {
        command("tmux")
            .args(["-S", &self.socket])
            .args(args)
            .env_remove("TMUX")
            .output()
            .unwrap()
    }

    /// Types keys by their names in tmux.
    pub(crate) fn keys(&self, keys: &[&str]) {
        let args = [&["send-keys", "-t", "m"], keys].concat();
        assert!(self.tmux(&args).status.success());
    }

    /// Types a line for the shell.
    pub(crate) fn line(&self, line: &str) {
        assert!(
            self.tmux(&["send-keys", "-t", "m", "-l", line])
                .status
                .success()
        );
        self.keys(&["Enter"]);
    }

    /// What is on the screen.
    pub(crate) fn screen(&self) -> String {
        let output = self.tmux(&["capture-pane", "-p", "-t", "m"]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Waits until the screen is so.
    pub(crate) fn until(&self, what: &str, so: impl Fn(&str) -> bool) -> String {
        let mut screen = String::new();
        let came = wait_until(PATIENCE, || {
            screen = self.screen();
            so(&screen)
        });
        assert!(came, "{what}:\n{screen}");
        screen
    }

    /// Waits until this is on the screen.
    pub(crate) fn shows(&self, text: &str) -> String {
        self.until(&format!("no `{text}`"), |screen| screen.contains(text))
    }

    /// Is the alternate screen in use?
    pub(crate) fn is_alternate(&self) -> bool {
        let output = self.tmux(&["display-message", "-p", "-t", "m", "#{alternate_on}"]);
        output.stdout.starts_with(b"1")
    }

    /// Is there a cursor?
    fn shows_its_cursor(&self) -> bool {
        let output = self.tmux(&["display-message", "-p", "-t", "m", "#{cursor_flag}"]);
        output.stdout.starts_with(b"1")
    }

    /// Runs `mhost` with these arguments between two notes of the terminal's settings. `before`
    /// stands before it: variables, or a program that runs it.
    pub(crate) fn mhost(&self, before: &str, args: &str) {
        let mhost = env!("CARGO_BIN_EXE_mhost");
        self.line("clear; stty -g > before");
        self.until("what was before is gone", |screen| {
            !screen.contains("ended-")
        });
        self.line(&format!(
            "{before} '{mhost}' {args}; echo ended-$?; stty -g > after"
        ));
    }

    /// The shell is back, with the terminal as it was.
    pub(crate) fn assert_given_back(&self, rig: &Rig, code: &str) -> String {
        let screen = self.shows(&format!("ended-{code}"));
        until("the settings are noted", || {
            std::fs::read_to_string(rig.path("after")).is_ok_and(|text| text.ends_with('\n'))
        });
        let read = |name: &str| std::fs::read_to_string(rig.path(name)).unwrap();
        assert_eq!(read("before"), read("after"), "stty before and after");
        assert!(!self.is_alternate(), "the alternate screen was not left");
        assert!(self.shows_its_cursor(), "the cursor is gone:\n{screen}");
        std::fs::remove_file(rig.path("after")).unwrap();
        screen
    }

    /// Gives the window another size.
    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        let args = ["resize-window", "-t", "m", "-x", &columns, "-y", &rows];
        assert!(self.tmux(&args).status.success());
    }

    /// The pid of what runs in the shell.
    pub(crate) fn pid(&self) -> i32 {
        let shell = self.tmux(&["display-message", "-p", "-t", "m", "#{pane_pid}"]);
        let shell = String::from_utf8_lossy(&shell.stdout).trim().to_owned();
        let children = format!("/proc/{shell}/task/{shell}/children");
        let mut pid = None;
        until("a child of the shell", || {
            let listed = std::fs::read_to_string(&children).unwrap_or_default();
            pid = listed
                .split_whitespace()
                .next()
                .and_then(|pid| pid.parse().ok());
            pid.is_some()
        });
        pid.unwrap()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}
