//! A wall clock that jumps a day, forth and back, under a running daemon.
//!
//! `faketime` tells the daemon another time than the kernel does. Its library is looked for
//! where Debian puts it; without it the test says that it was skipped.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::rig::counterparts::skipped;
use crate::rig::{Rig, assert_runs_without_gaps, kill, pause, until};
use crate::{amount, tell};

/// Nothing waits for a time that is a day away, nothing runs for a time that has passed, and
/// the log is in the order in which it was printed.
#[test]
fn a_clock_that_jumps_a_day_delays_nothing() {
    let Some(library) = library() else {
        return skipped("there is no libfaketime; apt-get install faketime");
    };
    let rounds = amount(2, 10);
    let rig = Rig::new().settings("[brain]\nenabled = false\n");
    let clock = rig.path("clock");
    set(&clock, "+0");
    rig.write("mhost.toml", CONFIG);
    let started = rig
        .home()
        .mhost(&["start"])
        .env("LD_PRELOAD", &library)
        .env("FAKETIME_TIMESTAMP_FILE", &clock)
        .env("FAKETIME_NO_CACHE", "1")
        .env("DONT_FAKE_MONOTONIC", "1")
        .output()
        .unwrap();
    assert!(
        started.status.success(),
        "{}",
        crate::rig::home::stderr(&started)
    );
    let writer = rig.pid("writer");
    let mut jumps = 0;
    for _ in 0..rounds {
        for offset in ["+1d", "-1d", "+0"] {
            set(&clock, offset);
            jumps += 1;
            let former = rig.pid("mortal");
            kill(former, Signal::KILL);
            rig.until_other_pid("mortal", former);
            let looks = probes(&rig);
            until("the probe goes on", || probes(&rig) > looks);
            rig.until("probed", "online");
            assert_eq!(rig.pid("writer"), writer);
            pause(Duration::from_millis(300));
        }
    }
    rig.ok(&["stop", "all"]);
    let printed = rig.lines("writer");
    assert_runs_without_gaps(&printed, 1);
    tell("clock", &json!({ "jumps": jumps, "lines": printed.len() }));
    rig.assert_only(&[]);
}

const CONFIG: &str = r#"
[process.writer]
command = "puppet numbers 10"

[process.mortal]
command = "puppet sleep"
restart_delay = "100ms"
max_restart_delay = "500ms"
max_restarts = 1000

[process.probed]
command = "puppet sleep"
[process.probed.health.script]
command = "echo look >> looks"
interval = "300ms"
timeout = "300ms"
"#;

/// How often the probe has run.
fn probes(rig: &Rig) -> usize {
    let looks = std::fs::read_to_string(rig.path("looks"));
    looks.unwrap_or_default().lines().count()
}

/// Sets the clock of the daemon, by the difference to the true one.
fn set(clock: &Path, offset: &str) {
    let next = clock.with_extension("next");
    std::fs::write(&next, format!("{offset}\n")).unwrap();
    std::fs::rename(&next, clock).unwrap();
}

fn library() -> Option<PathBuf> {
    let all = std::fs::read_dir("/usr/lib").ok()?.flatten();
    let mut found = all.map(|entry| entry.path().join("faketime/libfaketime.so.1"));
    found.find(|path| path.exists())
}
