//! How fast one instance is moved from state to state: `cargo bench -p supervisor --bench machine`.
//!
//! A life of start, crash, retry and stop goes round and round; the clock is a number, and
//! nothing is started. Give another number of lives as the argument.

#![expect(clippy::print_stdout, reason = "it prints figures")]
#![expect(clippy::disallowed_macros, reason = "it prints figures")]
#![expect(clippy::disallowed_methods, reason = "it measures real time")]

use std::error::Error;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use supervisor::after;
use supervisor::machine::{Input, Rules, step};
use supervisor::spec::{Autorestart, Signal};
use supervisor::state::{ExitStatus, ProcessRef, Reason, Saved};

/// Lives told before the clock is read, so that caches are warm.
const WARM: u64 = 1_000;

fn rules() -> Rules {
    Rules {
        max_restarts: 0,
        min_uptime: Duration::from_secs(1),
        stable_after: Duration::from_secs(60),
        restart_delay: Duration::from_millis(100),
        max_restart_delay: Duration::from_secs(30),
        grace_period: Duration::from_secs(10),
        stop_signal: Signal::TERM,
        autorestart: Autorestart::Always,
        start_timeout: Duration::from_secs(30),
        probed: true,
        sign: None,
        kill_tree: true,
        newest: 0,
        jitter: None,
        unwanted: false,
    }
}

/// One life: eleven steps, each legal where it stands.
fn life(saved: &mut Saved, rules: &Rules, now: &mut Timestamp) -> Result<u64, Box<dyn Error>> {
    let process = ProcessRef {
        pid: 7,
        start_time: 1,
        boot_id: "b".into(),
    };
    let stop = Input::Stop {
        reason: Reason::Manual,
        force: false,
        signal: None,
    };
    let inputs = [
        Input::Start,
        Input::Spawned(process.clone()),
        Input::Ready,
        Input::Exited(ExitStatus::Code(1)),
        Input::TreeGone,
        Input::Woken,
        Input::Spawned(process),
        Input::Ready,
        stop,
        Input::Exited(ExitStatus::Code(0)),
        Input::TreeGone,
    ];
    let steps = inputs.len() as u64;
    for input in inputs {
        *now = after(*now, Duration::from_secs(31));
        *saved = step(saved, input, rules, *now)?.0;
    }
    Ok(steps)
}

fn main() -> Result<(), Box<dyn Error>> {
    let asked = std::env::args().nth(1).and_then(|count| count.parse().ok());
    let lives: u64 = asked.unwrap_or(100_000);
    let rules = rules();
    let mut saved = Saved::default();
    let mut now = Timestamp::UNIX_EPOCH;
    for _ in 0..WARM {
        life(&mut saved, &rules, &mut now)?;
    }
    let began = Instant::now();
    let mut steps = 0;
    for _ in 0..lives {
        steps += life(&mut saved, &rules, &mut now)?;
    }
    let took = began.elapsed();
    println!(
        "{steps} steps of {lives} lives: {:.0} ns a step, {:.0} steps a second",
        took.as_nanos() as f64 / steps as f64,
        steps as f64 / took.as_secs_f64(),
    );
    Ok(())
}
