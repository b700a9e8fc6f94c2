//! The daemon and its guard are killed again and again.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use supervisor::Clock;

use crate::rig::{
    PATIENCE, Rig, assert_runs_without_gaps, kill, lives, parent, pause, until, wait_until,
};
use crate::{Dice, amount, answers, daemon_pid, millis_since, tell};

/// How many write for ever, and how many end on their way.
const WRITERS: usize = 14;
const ENDERS: usize = 6;

/// The daemon is killed again and again, also while it comes up, and twenty children do not
/// notice: same pids, each line once and in order, each exit code known.
/// `MHOST_SEED` says with which pauses.
#[test]
fn a_storm_of_kills_loses_nothing() {
    let kills = amount(10, 500);
    let clock = Clock::system();
    let mut dice = Dice::new();
    let seed = dice.seed;
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
    tell("storm", &note);

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

/// Now the daemon dies, now its guard, now both at once, and then a command brings them back.
/// Nobody notices, and there is one daemon with one guard in the end.
#[test]
fn daemon_and_guard_die_in_turns_and_together() {
    let kills = amount(12, 300);
    let mut dice = Dice::new();
    let seed = dice.seed;
    let mut config = String::new();
    for one in 0..WRITERS {
        config += &format!("[process.w{one}]\ncommand = \"puppet numbers 20\"\n");
    }
    let rig = Rig::new().config(&config).start();
    let names: Vec<String> = (0..WRITERS).map(|one| format!("w{one}")).collect();
    let pids: Vec<i32> = names.iter().map(|name| rig.pid(name)).collect();
    let mut counts = [0; 3];
    for _ in 0..kills {
        let daemon = daemon_pid(&rig);
        let guard = rig.home().guard();
        let whom = dice.below(3);
        counts[whom as usize] += 1;
        if whom != 0
            && let Some(guard) = guard
        {
            kill(guard, Signal::KILL);
        }
        if whom != 1 {
            kill(daemon, Signal::KILL);
        }
        pause(Duration::from_millis(dice.below(200)));
        // Any command does.
        until("a command is answered", || {
            rig.run(&["list"]).status.success()
        });
    }
    let [daemons, guards, both] = counts;
    for (name, pid) in names.iter().zip(&pids) {
        assert_eq!(rig.pid(name), *pid, "seed {seed}: {name} was not restarted");
    }
    // One that was begun for a daemon that had lost its own is not its parent.
    until("a guard watches", || {
        let known = [&pids[..], &[daemon_pid(&rig)]].concat();
        rig.home().strays().iter().any(|pid| !known.contains(pid))
    });
    rig.kill_daemon();
    assert!(parent(rig.daemon()).is_some_and(|guard| rig.home().strays().contains(&guard)));
    rig.assert_only(&pids);
    rig.ok(&["stop", "all"]);
    let mut lines = 0;
    for name in &names {
        let printed = rig.lines(name);
        assert_runs_without_gaps(&printed, 1);
        lines += printed.len();
    }
    let note = json!({
        "seed": seed, "daemon": daemons, "guard": guards, "both": both, "lines": lines,
    });
    tell("guards", &note);
    rig.assert_only(&[]);
}
