//! Very many processes at once.

use rustix::process::Signal;
use serde_json::json;
use supervisor::Clock;

use crate::rig::{PATIENCE, Rig, kill, wait_until};
use crate::{amount, answers, daemon_pid, millis_since, tell};

/// Instances of one process: fewer than it may have.
const EACH: usize = 250;

/// They come up, outlive their daemon with the same pids, and are stopped.
#[test]
fn a_crowd_comes_up_outlives_its_daemon_and_goes() {
    let count = amount(150, 1_000);
    let clock = Clock::system();
    let names: Vec<String> = (0..count.div_ceil(EACH))
        .map(|n| format!("crowd{n}"))
        .collect();
    let each = count / names.len();
    let table =
        |name| format!("[process.{name}]\ncommand = \"sleep 1000000\"\ninstances = {each}\n");
    let config: String = names.iter().map(table).collect();
    let rig = Rig::new().config(&config);
    let begun = clock.now();
    rig.ok(&["start", "--no-wait"]);
    let all_online = || {
        let listed = rig.list();
        let instances = listed
            .iter()
            .flat_map(|process| process["instances"].as_array().unwrap());
        let online = instances.filter(|one| one["state"] == "online");
        online.count() == count
    };
    let all_pids = || -> Vec<i32> { names.iter().flat_map(|name| rig.pids(name)).collect() };
    assert!(wait_until(PATIENCE * 4, all_online), "all come up");
    let up_ms = millis_since(&clock, begun);
    let mut pids = all_pids();

    let former = daemon_pid(&rig);
    let killed = clock.now();
    kill(former, Signal::KILL);
    assert!(wait_until(PATIENCE, || answers(&rig)), "it is back");
    let back_ms = millis_since(&clock, killed);
    assert!(wait_until(PATIENCE, all_online), "all are adopted");
    let adopted_ms = millis_since(&clock, killed);
    assert_eq!(all_pids(), pids);
    rig.assert_only(&pids);

    let begun = clock.now();
    rig.ok(&["stop", "all", "--timeout", "120s"]);
    let stopped_ms = millis_since(&clock, begun);
    rig.assert_only(&[]);
    pids.sort_unstable();
    pids.dedup();
    assert_eq!(pids.len(), count);
    let note = json!({
        "processes": count, "up_ms": up_ms, "daemon_back_ms": back_ms, "adopted_ms": adopted_ms,
        "stopped_ms": stopped_ms,
    });
    tell("crowd", &note);
}
