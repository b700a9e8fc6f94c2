//! What nobody plans for, with the real binary and real processes: one file per torment. Each
//! ends with everything as it should be, and prints what it did.
//!
//! An ordinary run is short. All of it, on the build that is shipped, in a quarter of an hour:
//!
//! ```text
//! cargo build --workspace --release --locked --example puppet
//! MHOST_TORTURE=full cargo test --workspace --release --locked --test torture -- --nocapture --test-threads 1
//! ```

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../rig/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "each group of tests uses its part"
)]
mod rig;

mod bomb;
mod chaos;
mod clock;
mod crowd;
mod cycles;
mod disk;
mod frozen;
mod storm;

use std::io::Write;

use jiff::Timestamp;
use serde_json::{Value, json};
use supervisor::Clock;

use rig::{Rig, lives, until};

/// How much of something: the first number in an ordinary run, the second in a full one.
fn amount(usual: usize, full: usize) -> usize {
    let is_full = std::env::var_os("MHOST_TORTURE").is_some_and(|text| text == "full");
    if is_full { full } else { usual }
}

/// Prints what a torment did.
fn tell(torment: &str, counters: &Value) {
    let line = format!("torture: {torment} {counters}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// Numbers that look random and are the same again for the same seed (an LCG of Knuth).
struct Dice {
    seed: u64,
    state: u64,
}

impl Dice {
    /// With the seed of `MHOST_SEED`, or of this moment.
    fn new() -> Self {
        let given = std::env::var("MHOST_SEED").ok();
        let moment = Clock::system().now().as_millisecond().unsigned_abs();
        let seed = given.and_then(|text| text.parse().ok()).unwrap_or(moment);
        Self { seed, state: seed }
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) % limit
    }
}

fn millis_since(clock: &Clock, then: Timestamp) -> i128 {
    clock.now().duration_since(then).as_millis()
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
