//! SIGSTOP: who is stopped does not answer, and is not dead.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::rig::{PATIENCE, Rig, assert_runs_without_gaps, kill, pause, until, wait_until};
use crate::{amount, tell};

/// The daemon stands still while programs print more than all pipes hold. They wait, and no
/// line is lost.
#[test]
fn a_daemon_that_stands_still_loses_no_line_of_a_flood() {
    let lines = amount(200_000, 2_000_000);
    let rig = Rig::new().running("quiet", "puppet numbers 20");
    let daemon = rig.daemon();
    let command = format!("puppet spew {lines}");
    rig.ok(&["start", &command, "--name", "flood", "--no-wait"]);
    let mut stops = 0;
    let ended = wait_until(PATIENCE * 4, || {
        kill(daemon, Signal::STOP);
        pause(Duration::from_millis(150));
        kill(daemon, Signal::CONT);
        stops += 1;
        pause(Duration::from_millis(50));
        rig.status("flood") == "stopped"
    });
    assert!(ended, "the flood ends");
    assert_eq!(rig.daemon(), daemon, "it is the same daemon");
    let printed = rig.ok(&["logs", "flood", "-n", &(lines + 1).to_string(), "--raw"]);
    let printed: Vec<String> = printed.lines().map(str::to_owned).collect();
    assert_eq!(printed.len(), lines);
    assert_runs_without_gaps(&printed, 1);
    rig.ok(&["stop", "quiet"]);
    assert_runs_without_gaps(&rig.lines("quiet"), 1);
    tell("still daemon", &json!({ "lines": lines, "stops": stops }));
}

/// A program that stands still is stopped all the same.
#[test]
fn a_program_that_stands_still_is_stopped() {
    let rounds = amount(3, 50);
    let rig = Rig::new();
    let args = [
        "start",
        "puppet fork",
        "--name",
        "api",
        "--grace-period",
        "200ms",
    ];
    rig.ok(&args);
    for round in 0..rounds {
        until("the grandchild is there", || {
            rig.home().strays_named("puppet").len() == 2
        });
        for pid in rig.home().strays_named("puppet") {
            kill(pid, Signal::STOP);
        }
        rig.ok(&["stop", "api"]);
        let left = rig.home().strays_named("puppet");
        assert!(left.is_empty(), "round {round}: {left:?}");
        rig.ok(&["start", "api"]);
    }
    rig.ok(&["delete", "api"]);
    rig.assert_only(&[]);
    tell("still programs", &json!({ "stops": rounds }));
}
