//! Lives of instances and of a whole project that nobody can wait for: a virtual machine of time,
//! processes and disk, in which everything goes wrong that may.
//!
//! ```text
//!   story (seed) ──orders, deaths, faults, clock jumps──► instance task or registry, the real one
//!                                                          │           │
//!                                          os (processes) ◄┘           └► disk (journal)
//!                     promises ◄── every spawn, every commit, every answer
//! ```
//!
//! There are three kinds of stories. Those of an instance (`17`) have one task and its machine, and
//! go through every fault that a run can meet. Those of a registry (`r17`) have a project of some
//! processes, several clients who order at once, and all that the registry does. Those of copies
//! (`c17`) are the same with processes of several copies, which are stopped and started one by one.
//!
//! Registry, task and machine are those of the daemon; only the launcher, the journal, the capture
//! and the clock are ours. A daemon dies in the middle of any call to one of them, before or
//! after the call has had its effect, and the next one takes over what is on the disk. One seed is
//! one story, the same each time: all that is random comes from it, and the runtime has one
//! thread.
//!
//! `cargo test --workspace --lib simulation` tells [`INSTANCES`] of the first kind,
//! [`REGISTRIES`] of the second and [`COPIES`] of the third, and says how often the daemon died in
//! them. With something before that:
//!
//! | | |
//! |---|---|
//! | `MHOST_SEEDS=1000000` | so many of an instance, and of the others in proportion |
//! | `MHOST_SEEDS=r20000` or `c20000` | so many of that kind, and none else |
//! | `MHOST_SEED=4711`, `r17` or `c17` | this one, with `-- --nocapture` to read it |
//!
//! A seed that fails prints its story and is written down in `simulation/kept.txt`, whose seeds
//! are told first by every run from then on.

mod coverage;
mod disk;
mod ear;
mod fleet;
mod ground;
mod kept;
mod life;
mod os;
mod process;
mod promises;
mod seed;
mod story;

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) use coverage::note;

use coverage::Coverage;
use seed::{Kind, Seed, Told};

/// So many stories of an instance are told by a plain `cargo test`.
const INSTANCES: u64 = 10_000;

/// So many of a registry, each of which takes as long as ten of an instance.
const REGISTRIES: u64 = 1_000;

/// So many of a registry and its copies.
const COPIES: u64 = 500;

/// What came of some stories.
#[derive(Default)]
struct Tally {
    coverage: Coverage,
    deaths: u64,
    failed: Vec<(Seed, Told)>,
}

impl Tally {
    fn tell(&mut self, seed: Seed) {
        let told = seed.tell();
        self.coverage.add(&told.coverage);
        self.deaths += told.deaths;
        if !told.broken.is_empty() {
            kept::keep(seed, &told.broken);
            self.failed.push((seed, told));
        }
    }

    fn add(&mut self, other: Tally) {
        self.coverage.add(&other.coverage);
        self.deaths += other.deaths;
        self.failed.extend(other.failed);
    }
}

/// The seeds of this kind that are to be told, those that failed once first.
fn seeds(kind: Kind) -> Vec<Seed> {
    if let Ok(one) = std::env::var("MHOST_SEED") {
        let one: Seed = one.parse().expect("MHOST_SEED is such as 17, r17 or c17");
        return [one].into_iter().filter(|one| one.kind == kind).collect();
    }
    let wanted = std::env::var("MHOST_SEEDS").ok();
    let wanted: Option<Seed> = wanted.map(|text| {
        text.parse()
            .expect("MHOST_SEEDS is such as 9000, r9000 or c9000")
    });
    let plain = match kind {
        Kind::Instance => INSTANCES,
        Kind::Registry => REGISTRIES,
        Kind::Copies => COPIES,
    };
    let count = match wanted {
        None => plain,
        Some(wanted) if wanted.kind == kind => wanted.number,
        Some(wanted) if wanted.kind == Kind::Instance => wanted.number * plain / INSTANCES,
        Some(_) => 0,
    };
    let kept = kept::seeds().into_iter().filter(|one| one.kind == kind);
    kept.chain((0..count).map(|number| Seed { kind, number }))
        .collect()
}

/// Tells stories, on so many threads, until all are told or one has failed.
fn tell_all(seeds: &[Seed], threads: usize) -> Tally {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut tally = Tally::default();
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
            tally.tell(*seed);
            if !tally.failed.is_empty() {
                // The others need not go on either.
                next.store(seeds.len(), Ordering::Relaxed);
            }
        }
        tally
    };
    let mut all = Tally::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            all.add(worker.join().expect("no panic"));
        }
    });
    all
}

/// Tells the stories of a kind. In a plain run so much has to happen in them.
#[expect(
    clippy::disallowed_macros,
    reason = "what is printed is the product of this test"
)]
fn tell(kind: Kind, least_pairs: usize, least_deaths: u64) {
    let seeds = seeds(kind);
    let is_plain = ["MHOST_SEED", "MHOST_SEEDS"]
        .map(std::env::var)
        .iter()
        .all(Result::is_err);
    // The plain run leaves the other processors to the other tests.
    let threads = match is_plain {
        true => 1,
        false => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
    };
    let tally = match (seeds.as_slice(), std::env::var("MHOST_SEED")) {
        ([seed], Ok(_)) => {
            println!("{}", seed.tell().lines.join("\n"));
            tell_all(&seeds, 1)
        }
        _ => tell_all(&seeds, threads),
    };
    if let Some((seed, told)) = tally.failed.first() {
        let story = told.lines.join("\n");
        panic!("seed {seed} broke a promise: {:#?}\n{story}", told.broken);
    }
    let (stories, deaths, pairs) = (seeds.len(), tally.deaths, tally.coverage.pairs());
    if stories > 0 {
        let summary = format!(
            "{stories} stories of {kind}: the daemon died {deaths} times, 0 lost, 0 doubled; \
             {pairs} pairs of state and input\n"
        );
        // Not by a macro: what those print is not shown of a test that passes.
        let _ = std::io::stderr().write_all(summary.as_bytes());
        println!("{}", tally.coverage);
    }
    if is_plain {
        assert!(
            pairs >= least_pairs && deaths >= least_deaths,
            "too little happens in these stories: {deaths} deaths, {}",
            tally.coverage
        );
    }
}

#[test]
fn nothing_is_lost_doubled_or_forgotten() {
    tell(Kind::Instance, coverage::LEAST, 10_000);
}

#[test]
fn no_process_is_lost_doubled_or_forgotten_by_those_who_order() {
    tell(Kind::Registry, coverage::LEAST_OF_REGISTRY, 3_000);
}

#[test]
fn no_copy_is_lost_doubled_or_forgotten_by_those_who_order_single_ones() {
    tell(Kind::Copies, coverage::LEAST_OF_REGISTRY, 1_500);
}

/// A failing seed is worth nothing if its story is another one the next time.
#[test]
fn a_seed_is_one_story() {
    for number in 0..10 {
        for kind in Kind::ALL {
            let seed = Seed { kind, number };
            let (once, again) = (seed.tell().lines, seed.tell().lines);
            let mut lines = once.iter().zip(&again);
            assert_eq!(lines.find(|(one, other)| one != other), None, "{seed}");
            assert_eq!(once.len(), again.len(), "{seed}");
        }
    }
}
