//! What programs print is kept as it is, and can be followed through everything.

use rustix::process::Signal;

use crate::rig::{Rig, assert_runs_without_gaps, kill, until};

/// Bytes that are no text are shown as well as they can be, and lose no line.
#[test]
fn bytes_that_are_no_text_are_shown() {
    let rig = Rig::new().running("api", "puppet bytes");
    rig.until_printed("api", "after");
    let lines = rig.lines("api");
    assert_eq!(lines.len(), 5, "{lines:?}");
    assert_eq!((lines[0].as_str(), lines[4].as_str()), ("before", "after"));
    assert!(lines[1].contains("not UTF-8"), "{lines:?}");
    assert!(lines[2].contains("control"), "{lines:?}");
    assert_eq!(rig.status("api"), "online");
    rig.json(&["logs", "api"]);
}

/// A line of 10 MB is cut, what follows is whole, and nobody's memory is filled.
#[test]
fn a_long_line_does_no_harm() {
    let rig = Rig::new().running("api", "puppet long-line 10485760");
    rig.until_printed("api", "after the long line");
    let lines = rig.lines("api");
    assert!(lines[0].starts_with("xxxx"), "it begins with the long line");
    assert_eq!(lines.last().unwrap(), "after the long line");
    assert_eq!(rig.status("api"), "online");
}

/// A program that closes its streams runs on.
#[test]
fn closed_streams_do_no_harm() {
    let rig = Rig::new().running("api", "puppet close-stdout");
    let pid = rig.pid("api");
    assert_eq!(rig.status("api"), "online");
    rig.kill_daemon();
    rig.until("api", "online");
    assert_eq!(rig.pid("api"), pid);
    rig.ok(&["stop", "api"]);
    rig.assert_only(&[]);
}

/// A program that prints and ends at once loses no line, and both runs are there.
#[test]
fn a_program_that_ends_in_a_hurry_loses_no_line() {
    let rig = Rig::new();
    let start = [
        "start",
        "puppet spew 50000",
        "--name",
        "job",
        "--no-autorestart",
        "--no-wait",
    ];
    rig.ok(&start);
    // Before its start has begun it is stopped, too.
    rig.event("job", "exited");
    let expected: Vec<String> = (1..=50_000).map(|number| number.to_string()).collect();
    until("all is in the log", || rig.lines("job").len() >= 50_000);
    assert_eq!(rig.lines("job"), expected);
    rig.ok(&["start", "job", "--no-wait"]);
    until("the second run is there, too", || {
        rig.lines("job").len() == 100_000
    });
}

/// A follower sees each line once, through a restart of the process and of the daemon.
#[test]
fn a_follower_sees_each_line_once_through_everything() {
    let rig = Rig::new().running("api", "puppet numbers 5");
    let follow = ["logs", "api", "-f", "-n", "1000000", "--raw"];
    let follower = rig.spawn_into("followed", &follow);
    let followed = || -> Vec<String> {
        let text = std::fs::read_to_string(rig.path("followed")).unwrap();
        text.lines().map(str::to_owned).collect()
    };
    let grows = |what: &str| {
        let before = followed().len();
        until(what, || followed().len() > before + 50);
    };
    grows("it follows");
    rig.ok(&["restart", "api"]);
    grows("it follows through a restart");
    for _ in 0..3 {
        rig.kill_daemon();
        grows("it follows through the death of the daemon");
    }
    let pid = rig.pid("api");
    kill(pid, Signal::KILL);
    rig.until_other_pid("api", pid);
    grows("it follows through a crash");
    rig.ok(&["stop", "api"]);
    let printed = rig.lines("api");
    until("it has seen all", || followed().len() >= printed.len());
    assert_eq!(followed(), printed);
    drop(follower);
    assert_runs_without_gaps(&printed, 3);
}

/// Filters combine, and none of them shows a line of somebody else.
#[test]
fn filters_pick_lines() {
    let rig = Rig::new();
    rig.ok(&[
        "start",
        "sh -c 'echo one; echo two >&2; exec sleep 1000'",
        "--name",
        "a",
    ]);
    rig.ok(&[
        "start",
        "sh -c 'echo three; exec sleep 1000'",
        "--name",
        "b",
    ]);
    rig.until_printed("a", "two");
    rig.until_printed("b", "three");
    assert_eq!(rig.ok(&["logs", "a", "--out", "--raw"]), "one\n");
    assert_eq!(rig.ok(&["logs", "a", "--err", "--raw"]), "two\n");
    assert_eq!(
        rig.ok(&["logs", "--grep", "^t", "--raw"]).lines().count(),
        2
    );
    assert_eq!(rig.ok(&["logs", "-n", "1", "b", "--raw"]), "three\n");
    for flag in ["--raw", "--local"] {
        let said = rig.fails(2, &["logs", "a", flag, "--json"]);
        assert!(said.contains(flag), "{said}");
    }
    rig.ok(&["flush", "a", "--yes"]);
    assert_eq!(rig.ok(&["logs", "a", "--raw"]), "");
    assert_eq!(rig.ok(&["logs", "b", "--raw"]), "three\n");
}
