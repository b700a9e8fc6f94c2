//! Starts and stops without end leave nothing behind in the daemon.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::rig::{PATIENCE, Rig, wait_until};
use crate::{amount, tell};

/// So much may the daemon grow over all cycles: what it keeps of events, and what an allocator
/// does not give back.
const GROWTH_KIB: u64 = 16 << 10;

/// Up as soon as it lives.
const CONFIG: &str = "[process.api]\ncommand = \"puppet sleep\"\nmin_uptime = \"10ms\"\n";

/// The daemon has as many descriptors and threads as before, and hardly more memory.
#[test]
fn start_and_stop_cycles_leave_nothing_behind() {
    let cycles = amount(150, 10_000);
    let rig = Rig::new().config(CONFIG).start();
    // What is made once has been made.
    (0..30).for_each(|_| cycle(&rig));
    let daemon = rig.daemon();
    let before = Footprint::of(daemon);
    (0..cycles).for_each(|_| cycle(&rig));
    assert_eq!(rig.daemon(), daemon, "it lives");
    // Threads that are idle end after a while.
    let mut after = Footprint::of(daemon);
    let settled = wait_until(PATIENCE, || {
        after = Footprint::of(daemon);
        after.threads <= before.threads && after.descriptors <= before.descriptors
    });
    let note = json!({
        "cycles": cycles,
        "descriptors": [before.descriptors, after.descriptors],
        "threads": [before.threads, after.threads],
        "anonymous_kib": [before.kib, after.kib],
    });
    assert!(settled, "{note}");
    assert!(after.kib < before.kib + GROWTH_KIB, "{note}");
    tell("cycles", &note);
    rig.ok(&["stop", "api"]);
    rig.assert_only(&[]);
}

fn cycle(rig: &Rig) {
    let calls = [
        ("process.stop", json!({ "name": "api" })),
        ("process.start", json!({ "name": "api", "wait": true })),
    ];
    for (method, params) in calls {
        let answer = rig.rpc(method, params).unwrap_or_default();
        assert_ne!(answer["result"], Value::Null, "{method}: {answer}");
    }
}

/// What a process holds.
struct Footprint {
    /// But those of the metrics, which are opened when the first minute is over.
    descriptors: usize,
    threads: usize,
    /// Memory of its own.
    kib: u64,
}

impl Footprint {
    fn of(pid: i32) -> Self {
        let list = |what: &str| std::fs::read_dir(format!("/proc/{pid}/{what}")).unwrap();
        let is_counted = |path: PathBuf| match std::fs::read_link(path) {
            Ok(link) => !link.to_string_lossy().contains("/metrics.sqlite"),
            // Closed since.
            Err(_) => false,
        };
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("RssAnon:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
        Self {
            descriptors: list("fd")
                .filter(|one| is_counted(one.as_ref().unwrap().path()))
                .count(),
            threads: list("task").count(),
            kib: kib.unwrap(),
        }
    }
}
