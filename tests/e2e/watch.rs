//! `--watch` on a terminal: one picture in the place of the other.

use serde_json::Value;

use crate::rig::{Rig, until};
use crate::terminal::Terminal;

/// It shows what changes, fits every size, and waits for a daemon without starting one.
#[test]
fn status_is_watched() {
    let rig = Rig::new()
        .running("alpha", "puppet sleep")
        .running("beta", "puppet sleep");
    let Some(terminal) = Terminal::open(&rig, 80, 24) else {
        return;
    };
    terminal.mhost("", "status --watch 200ms");
    let screen = terminal.shows("● online");
    assert!(screen.starts_with("NAME"), "{screen}");
    rig.ok(&["stop", "beta"]);
    let screen = terminal.shows("○ stopped");
    assert_eq!(screen.matches("NAME").count(), 1, "{screen}");

    rig.ok(&["scale", "alpha", "30"]);
    terminal.shows("more lines");
    terminal.resize(40, 50);
    terminal.until("all of it, and narrow", |screen| {
        screen.contains("alpha:29") && screen.lines().all(|line| line.chars().count() <= 40)
    });
    terminal.resize(20, 5);
    terminal.shows("more lines");
    terminal.resize(100, 50);
    terminal.shows("RESTARTS");

    // Somebody ends the daemon: it stays ended, and the last picture stays.
    rig.ok(&["daemon", "stop"]);
    let screen = terminal.shows("the daemon is away");
    assert!(screen.contains("alpha:29"), "{screen}");
    crate::rig::pause(std::time::Duration::from_millis(700));
    rig.fails(4, &["ping"]);
    rig.ok(&["daemon", "start"]);
    terminal.until("it goes on", |screen| !screen.contains("is away"));

    terminal.keys(&["C-c"]);
    // The shell forgets the rest of its line then.
    terminal.line("echo ended-$?; stty -g > after");
    terminal.assert_given_back(&rig, "130");
}

/// A pipe gets a value after the other, and no control characters.
#[test]
fn what_is_watched_may_be_piped() {
    let rig = Rig::new().running("alpha", "puppet sleep");
    for (file, args) in [
        ("table", &["health", "--watch", "200ms"] as &[&str]),
        ("json", &["status", "--watch", "200ms", "--json"]),
    ] {
        let running = rig.spawn_into(file, args);
        let written = || std::fs::read_to_string(rig.path(file)).unwrap_or_default();
        until("three of them", || written().matches("alpha").count() >= 3);
        drop(running);
        let written = written();
        assert!(!written.contains('\u{1b}'), "{written}");
        if file == "json" {
            let first = written.lines().next().unwrap();
            let value: Value = serde_json::from_str(first).unwrap();
            assert_eq!(value["processes"][0]["name"], "alpha");
        }
    }
}
