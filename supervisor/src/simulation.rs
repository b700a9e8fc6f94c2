//! Lives of an instance that nobody can wait for: a virtual machine of time, processes and disk,
//! in which everything goes wrong that may.
//!
//! ```text
//!   story (seed) ──orders, deaths, faults, clock jumps──► instance task, the real one
//!                                                          │           │
//!                                          os (processes) ◄┘           └► disk (journal)
//!                     promises ◄── every spawn, every commit, every answer
//! ```
//!
//! The task and the machine are those of the daemon; only the launcher, the journal, the capture
//! and the clock are ours. A daemon dies in the middle of any call to one of them, before or
//! after the call has had its effect, and the next one takes over. One seed is one story, the
//! same each time: all that is random comes from it, and the runtime has one thread.
//!
//! `cargo test --workspace --lib simulation` runs [`SEEDS`] of them. More, or one that failed:
//! `MHOST_SEEDS=1000000` or `MHOST_SEED=4711` before the same command, with `-- --nocapture`
//! for the figures. A seed that fails prints its story; those that ever failed are in [`KEPT`].

mod coverage;
mod disk;
mod ear;
mod life;
mod os;
mod promises;
mod story;

use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) use coverage::note;

/// So many stories are told by a plain `cargo test`.
const SEEDS: u64 = 10_000;

/// Seeds whose stories went wrong once, and how.
const KEPT: &[(u64, &str)] = &[
    (
        21,
        "a first run that a full disk could not record was doubled",
    ),
    (72, "a run that was found by its mark was watched by nobody"),
    (
        1577,
        "what was to be killed, and was not, was called unkillable",
    ),
];

fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
#[expect(
    clippy::disallowed_macros,
    reason = "what is printed is the product of this test"
)]
fn nothing_is_lost_doubled_or_forgotten() {
    if let Some(seed) = from_env("MHOST_SEED") {
        let told = story::tell(seed);
        println!("{}", told.lines.join("\n"));
        assert_eq!(told.broken, Vec::<String>::new());
        return;
    }
    let seeds = from_env("MHOST_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    // The plain run leaves the other processors to the other tests.
    let threads = match seeds {
        SEEDS => 1,
        _ => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
    };
    let work = || {
        let mut coverage = coverage::Coverage::default();
        let mut failed = None;
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let kept = usize::try_from(at).ok().and_then(|at| KEPT.get(at));
            let seed = match kept {
                Some((seed, _)) => *seed,
                None => at - KEPT.len() as u64,
            };
            if seed >= seeds && kept.is_none() {
                break;
            }
            let told = story::tell(seed);
            coverage.add(&told.coverage);
            if !told.broken.is_empty() {
                next.store(u64::MAX / 2, Ordering::Relaxed);
                failed = Some((seed, told));
                break;
            }
        }
        (coverage, failed)
    };
    let ended: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let join = |worker: std::thread::ScopedJoinHandle<'_, _>| worker.join().expect("no panic");
        workers.into_iter().map(join).collect()
    });
    let mut coverage = coverage::Coverage::default();
    for (seen, failed) in ended {
        coverage.add(&seen);
        if let Some((seed, told)) = failed {
            let story = told.lines.join("\n");
            panic!("seed {seed} broke a promise: {:#?}\n{story}", told.broken);
        }
    }
    println!("{seeds} seeds\n{coverage}");
    assert!(
        seeds < SEEDS || coverage.pairs() >= coverage::LEAST,
        "too little happens in these stories: {coverage}"
    );
}
