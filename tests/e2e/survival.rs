//! The daemon may die at any moment: no process, line or exit code is lost.

use std::time::Duration;

use jiff::Timestamp;
use rustix::process::Signal;
use serde_json::json;
use supervisor::Clock;

use super::logs::assert_runs_without_gaps;
use crate::rig::{PATIENCE, Rig, kill, lives, parent, pause, rounds, until, wait_until};

/// How many write for ever, and how many end on their way.
const WRITERS: usize = 14;
const ENDERS: usize = 6;

/// Numbers that look random and are the same again for the same seed (an LCG of Knuth).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

fn millis_since(clock: &Clock, then: Timestamp) -> i128 {
    clock.now().duration_since(then).as_millis()
}

/// The daemon is killed again and again, also while it comes up, and twenty children do not
/// notice: same pids, each line once and in order, each exit code known.
/// `MHOST_STORM` says how often, `MHOST_SEED` with which pauses.
#[test]
fn a_storm_of_kills_loses_nothing() {
    let kills = rounds("MHOST_STORM", 10);
    let clock = Clock::system();
    let usual = usize::try_from(clock.now().as_millisecond()).unwrap();
    let seed = rounds("MHOST_SEED", usual);
    let mut dice = Dice(seed as u64);
    let mut config = String::new();
    for one in 0..WRITERS {
        config += &format!("[process.w{one}]\ncommand = \"puppet numbers 20\"\n");
    }
    let lines = |one: usize| 150 + kills * one * 8;
    for one in 0..ENDERS {
        config += &format!(
            "[process.e{one}]\ncommand = \"puppet numbers 10 --lines {} --code {}\"\nautorestart = false\n",
            lines(one),
            10 + one
        );
    }
    let rig = Rig::new().config(&config).start();
    let writers: Vec<String> = (0..WRITERS).map(|one| format!("w{one}")).collect();
    let pids: Vec<Vec<i32>> = writers.iter().map(|name| rig.pids(name)).collect();

    let mut recovered = Vec::new();
    for _ in 0..kills {
        let former = daemon_pid(&rig);
        kill(former, Signal::KILL);
        let killed = clock.now();
        if dice.below(4) == 0 {
            // The next kill meets a daemon on its way up.
            until("another daemon has begun", || daemon_pid(&rig) != former);
            pause(Duration::from_millis(dice.below(60)));
            continue;
        }
        until("the daemon is back", || answers(&rig));
        recovered.push(millis_since(&clock, killed));
        pause(Duration::from_millis(dice.below(500)));
    }
    until("the daemon is back", || answers(&rig));
    recovered.sort_unstable();
    let median = recovered.get(recovered.len() / 2);
    let note = json!({
        "kills": kills, "seed": seed, "median_ms": median, "worst_ms": recovered.last(),
    });
    std::io::Write::write_all(
        &mut std::io::stderr(),
        format!("storm: {note}\n").as_bytes(),
    )
    .unwrap();

    for (name, pids) in writers.iter().zip(&pids) {
        assert_eq!(
            rig.pids(name),
            *pids,
            "seed {seed}: {name} was not restarted"
        );
        assert!(pids.iter().all(|pid| lives(*pid)));
    }
    for one in 0..ENDERS {
        let name = format!("e{one}");
        let ended = wait_until(PATIENCE * 4, || rig.pids(&name).is_empty());
        assert!(ended, "{name} ends");
        until("its end is known", || {
            !rig.status(&name).starts_with("online")
        });
        let code = rig.process(&name)["instances"][0]["exit_code"].clone();
        assert_eq!(code, 10 + one, "seed {seed}: the exit code of {name}");
        let printed = rig.lines(&name);
        assert_runs_without_gaps(&printed, 1);
        assert_eq!(
            printed.len(),
            lines(one),
            "seed {seed}: the lines of {name}"
        );
    }
    rig.ok(&["stop", "all"]);
    for name in &writers {
        let printed = rig.lines(name);
        assert_runs_without_gaps(&printed, 1);
        assert!(
            printed.len() > 20 * kills,
            "{name} printed {} lines",
            printed.len()
        );
    }
    rig.assert_only(&[]);
}

/// The daemon's pid without asking it: the file it holds.
fn daemon_pid(rig: &Rig) -> i32 {
    let mut pid = None;
    until("the daemon writes its pid", || {
        let text = std::fs::read_to_string(rig.home().file("mhost.pid"));
        pid = text
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .filter(|pid| lives(*pid));
        pid.is_some()
    });
    pid.unwrap()
}

fn answers(rig: &Rig) -> bool {
    rig.rpc("daemon.ping", json!({}))
        .is_some_and(|answer| answer["result"].is_object())
}

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

/// The daemon is killed in the middle of starts, stops, restarts, reloads and scalings: in the
/// end each instance runs once, and nothing else does. `MHOST_CHAOS` says how often.
#[test]
fn a_kill_in_the_middle_of_a_command_doubles_nothing() {
    let times = rounds("MHOST_CHAOS", 12);
    let usual = usize::try_from(Clock::system().now().as_millisecond()).unwrap();
    let seed = rounds("MHOST_SEED", usual);
    let mut dice = Dice(seed as u64);
    let rig = Rig::new().config(
        r#"
        [process.a]
        command = "puppet numbers 50"
        instances = 3
        grace_period = "500ms"
        [process.b]
        command = "puppet fork"
        grace_period = "200ms"
        [process.c]
        command = "puppet exit-after 300 5"
        restart_delay = "10ms"
        max_restart_delay = "50ms"
        "#,
    );
    let rig = rig.settings("[brain]\nenabled = false\n");
    rig.run(&["start", "--no-wait"]);
    let commands: [&[&str]; 8] = [
        &["restart", "all"],
        &["scale", "a", "1"],
        &["scale", "a", "4"],
        &["stop", "b"],
        &["start", "b"],
        &["reload", "a"],
        &["stop", "all"],
        &["start"],
    ];
    let mut done = Vec::new();
    for round in 0..times {
        let args = commands[dice.below(commands.len() as u64) as usize];
        let mut command = rig.spawn_into("command", args);
        let moment = dice.below(300);
        pause(Duration::from_millis(moment));
        kill(daemon_pid(&rig), Signal::KILL);
        done.push(format!("{args:?} killed after {moment} ms"));
        let ended = wait_until(PATIENCE, || !matches!(command.0.try_wait(), Ok(None)));
        assert!(
            ended,
            "seed {seed}, round {round}: the command ends: {done:#?}"
        );
        until("the daemon is back", || answers(&rig));
    }
    rig.ok(&["delete", "c"]);
    rig.ok(&["start", "a", "b"]);
    rig.ok(&["scale", "a", "3"]);
    rig.until("a", "online");
    rig.until("b", "online");
    let mut expected = [rig.pids("a"), rig.pids("b")].concat();
    assert_eq!(expected.len(), 4, "seed {seed}: {done:#?}");
    expected.sort_unstable();
    let mut found = Vec::new();
    // The grandchild of b is there, too, and is nobody's leader.
    let came = wait_until(PATIENCE, || {
        found = rig.home().strays_named("puppet");
        found.retain(|pid| parent(*pid).is_some_and(|above| !expected.contains(&above)));
        found.sort_unstable();
        found.len() == 5 && expected.iter().all(|pid| found.contains(pid))
    });
    assert!(
        came,
        "seed {seed}: {expected:?} should run, and {found:?} do: {done:#?}"
    );
    rig.ok(&["stop", "all"]);
    rig.assert_only(&[]);
}
