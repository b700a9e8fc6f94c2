//! The daemon is killed while it carries out commands.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::rig::{PATIENCE, Rig, kill, parent, pause, until, wait_until};
use crate::{Dice, amount, answers, daemon_pid, tell};

/// The daemon is killed in the middle of starts, stops, restarts, reloads and scalings: in the
/// end each instance runs once, and nothing else does.
#[test]
fn a_kill_in_the_middle_of_a_command_doubles_nothing() {
    let times = amount(12, 200);
    let mut dice = Dice::new();
    let seed = dice.seed;
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
    tell("chaos", &json!({ "seed": seed, "kills": times }));
}
