//! The daemon may die at any moment: no process, line or exit code is lost. `tests/torture/`
//! lets it die more often.

use rustix::process::Signal;

use crate::rig::{Rig, assert_runs_without_gaps, kill, lives, parent, until};

/// Without its guard the daemon goes on, gets a new one, and comes back when it is killed.
#[test]
fn a_dead_guard_is_replaced_and_does_its_work() {
    let rig = Rig::new().running("api", "puppet numbers 20");
    let pid = rig.pid("api");
    for _ in 0..2 {
        let daemon = rig.daemon();
        let guard = guard(&rig, daemon).unwrap();
        kill(guard, Signal::KILL);
        until("a new guard watches", || {
            guard_beside(&rig, daemon, pid, guard)
        });
        assert_eq!(rig.daemon(), daemon, "the daemon goes on");
        rig.kill_daemon();
        rig.until("api", "online");
        assert_eq!(rig.pid("api"), pid);
    }
    rig.ok(&["stop", "api"]);
    assert_runs_without_gaps(&rig.lines("api"), 1);
}

fn guard(rig: &Rig, daemon: i32) -> Option<i32> {
    parent(daemon).filter(|pid| rig.home().strays().contains(pid))
}

/// Is there another process of this home than the daemon and the child?
fn guard_beside(rig: &Rig, daemon: i32, child: i32, former: i32) -> bool {
    let known = [daemon, child, former];
    rig.home().strays().iter().any(|pid| !known.contains(pid))
}

/// Daemon and guard die together: the next command brings them back, and nothing was stopped.
#[test]
fn the_next_command_brings_back_a_daemon_without_guard() {
    let rig = Rig::new().running("api", "puppet numbers 20");
    let (pid, daemon) = (rig.pid("api"), rig.daemon());
    kill(guard(&rig, daemon).unwrap(), Signal::KILL);
    kill(daemon, Signal::KILL);
    until("both are gone", || !lives(daemon));
    rig.until("api", "online");
    assert_eq!(rig.pid("api"), pid);
    assert_eq!(rig.event("api", "adopted")["pid"], pid);
    rig.ok(&["stop", "api"]);
    assert_runs_without_gaps(&rig.lines("api"), 1);
}

/// An upgrade in place keeps pids and lines.
#[test]
fn an_upgrade_keeps_pids_and_lines() {
    let rig = Rig::new().running("api", "puppet numbers 5");
    let (pid, daemon) = (rig.pid("api"), rig.daemon());
    rig.ok(&["daemon", "upgrade"]);
    until("a new daemon answers", || {
        rig.home().daemon().is_some_and(|now| now != daemon)
    });
    rig.until("api", "online");
    assert_eq!(rig.pid("api"), pid);
    rig.ok(&["stop", "api"]);
    assert_runs_without_gaps(&rig.lines("api"), 1);
}

/// A process that was asked to stop while the daemon died is not started again.
#[test]
fn a_stopped_process_stays_stopped_through_the_death_of_the_daemon() {
    let rig = Rig::new()
        .running("api", "puppet sleep")
        .running("job", "puppet sleep");
    rig.ok(&["stop", "job"]);
    rig.kill_daemon();
    rig.until("api", "online");
    assert_eq!(rig.status("job"), "stopped");
    assert_eq!(rig.pids("job"), [0; 0]);
}

/// What dies while no daemon lives is a crash with its code, and is restarted.
#[test]
fn a_death_while_nobody_watches_is_known_with_its_code() {
    let rig = Rig::new().running("api", "puppet exit-after 3000 42");
    let (daemon, pid) = (rig.daemon(), rig.pid("api"));
    // A stopped guard starts no daemon, so the child dies while there is none.
    let guard = guard(&rig, daemon).unwrap();
    kill(guard, Signal::STOP);
    kill(daemon, Signal::KILL);
    until("the child has ended", || !lives(pid));
    kill(guard, Signal::CONT);
    rig.until_other_pid("api", pid);
    assert_eq!(rig.event("api", "crash")["code"], 42);
}
