//! After a stop nothing is left, however a program has hidden.

use crate::rig::Rig;

/// What a program leaves when it ends by itself is ended before its next run.
#[test]
fn what_a_crash_leaves_is_ended() {
    let rig = Rig::new();
    let command = "puppet fork-exit 3";
    rig.run(&[
        "start",
        command,
        "--name",
        "api",
        "--max-restarts",
        "3",
        "--grace-period",
        "100ms",
        "--no-wait",
    ]);
    rig.until("api", "errored (breaker)");
    rig.assert_only(&[]);
}

/// A program that ignores SIGTERM is killed when its grace period is over.
#[test]
fn what_ignores_the_signal_is_killed() {
    let rig = Rig::new().running("api", "puppet ignore-term");
    rig.until_printed("api", "SIGTERM is ignored");
    rig.ok(&["stop", "api"]);
    assert_eq!(rig.status("api"), "stopped");
    assert_eq!(rig.process("api")["instances"][0]["exit_signal"], 9);
    rig.assert_only(&[]);
}

/// `--force` does not wait for the grace period.
#[test]
fn force_does_not_ask() {
    let rig = Rig::new();
    rig.ok(&[
        "start",
        "puppet ignore-term",
        "--name",
        "api",
        "--grace-period",
        "10m",
    ]);
    rig.until_printed("api", "SIGTERM is ignored");
    rig.ok(&["stop", "api", "--force"]);
    rig.assert_only(&[]);
}

/// A stop that meets a program on its way up, or between two tries, ends it for good.
#[test]
fn a_stop_between_two_tries_is_final() {
    let rig = Rig::new();
    rig.run(&["start", "puppet exit 1", "--name", "api", "--no-wait"]);
    rig.until("api", "errored (retry");
    rig.ok(&["stop", "api"]);
    assert_eq!(rig.status("api"), "stopped");
    let before = rig.kinds("api");
    rig.run(&["start", "puppet sleep", "--name", "other"]);
    assert_eq!(
        rig.kinds("api"),
        before,
        "a second later nothing has happened"
    );
}
