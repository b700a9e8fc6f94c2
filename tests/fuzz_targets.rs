//! The targets of `fuzz/` build, and hold for the inputs that are kept in `fuzz/kept/`.
//!
//! Fuzzing itself needs a tool of its own (see CONTRIBUTING.md). What it runs is compiled here
//! as part of the ordinary tests, with a macro of the same name in the place of libFuzzer's.
//! To keep an input that was found, put its file beside the others.

// The targets say `use libfuzzer_sys::fuzz_target`.
extern crate self as libfuzzer_sys;

use std::path::{Path, PathBuf};

macro_rules! fuzz_target {
    (|$name:ident: &[u8]| $body:block) => {
        pub(crate) fn run($name: &[u8]) $body
    };
    (|$name:ident: &str| $body:block) => {
        pub(crate) fn run(bytes: &[u8]) {
            if let Ok($name) = std::str::from_utf8(bytes) $body
        }
    };
}
pub(crate) use fuzz_target;

#[path = "../fuzz/fuzz_targets/cron.rs"]
#[expect(
    unused_attributes,
    unused_imports,
    reason = "`no_main` and libFuzzer's macro are for the program that it is else"
)]
mod cron;
#[path = "../fuzz/fuzz_targets/env_file.rs"]
#[expect(
    unused_attributes,
    unused_imports,
    reason = "`no_main` and libFuzzer's macro are for the program that it is else"
)]
mod env_file;
#[path = "../fuzz/fuzz_targets/line_decoder.rs"]
#[expect(
    unused_attributes,
    unused_imports,
    reason = "`no_main` and libFuzzer's macro are for the program that it is else"
)]
mod line_decoder;
#[path = "../fuzz/fuzz_targets/notice.rs"]
#[expect(
    unused_attributes,
    unused_imports,
    reason = "`no_main` and libFuzzer's macro are for the program that it is else"
)]
mod notice;
#[path = "../fuzz/fuzz_targets/playbook.rs"]
#[expect(
    unused_attributes,
    unused_imports,
    reason = "`no_main` and libFuzzer's macro are for the program that it is else"
)]
mod playbook;
#[path = "../fuzz/fuzz_targets/project_file.rs"]
#[expect(
    unused_attributes,
    unused_imports,
    reason = "`no_main` and libFuzzer's macro are for the program that it is else"
)]
mod project_file;
#[path = "../fuzz/fuzz_targets/rpc_frame.rs"]
#[expect(
    unused_attributes,
    unused_imports,
    reason = "`no_main` and libFuzzer's macro are for the program that it is else"
)]
mod rpc_frame;
#[path = "../fuzz/fuzz_targets/search_words.rs"]
#[expect(
    unused_attributes,
    unused_imports,
    reason = "`no_main` and libFuzzer's macro are for the program that it is else"
)]
mod search_words;
#[path = "../fuzz/fuzz_targets/segment.rs"]
#[expect(
    unused_attributes,
    unused_imports,
    reason = "`no_main` and libFuzzer's macro are for the program that it is else"
)]
mod segment;
#[path = "../fuzz/fuzz_targets/state_snapshot.rs"]
#[expect(
    unused_attributes,
    unused_imports,
    reason = "`no_main` and libFuzzer's macro are for the program that it is else"
)]
mod state_snapshot;
#[path = "../fuzz/fuzz_targets/where_condition.rs"]
#[expect(
    unused_attributes,
    unused_imports,
    reason = "`no_main` and libFuzzer's macro are for the program that it is else"
)]
mod where_condition;

type Run = fn(&[u8]);

/// Name, what it runs, and how many inputs an ordinary run of the tests makes up.
const TARGETS: [(&str, Run, u64); 11] = [
    ("cron", cron::run, 2000),
    ("env_file", env_file::run, 1000),
    ("line_decoder", line_decoder::run, 4000),
    ("notice", notice::run, 4000),
    ("playbook", playbook::run, 300),
    ("project_file", project_file::run, 1000),
    ("rpc_frame", rpc_frame::run, 4000),
    ("search_words", search_words::run, 4000),
    ("segment", segment::run, 500),
    ("state_snapshot", state_snapshot::run, 50),
    ("where_condition", where_condition::run, 4000),
];

fn kept(target: &str) -> Vec<Vec<u8>> {
    let folder = fuzz().join("kept").join(target);
    let files = std::fs::read_dir(folder).expect("a folder");
    let mut files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{target}");
    let bytes = files.iter().map(|file| std::fs::read(file).expect("bytes"));
    bytes.collect()
}

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

#[test]
fn kept_inputs_are_taken() {
    for (name, run, _) in TARGETS {
        for bytes in kept(name) {
            run(&bytes);
        }
    }
    let sources = std::fs::read_dir(fuzz().join("fuzz_targets")).expect("a folder");
    assert_eq!(sources.count(), TARGETS.len(), "a target is missing here");
}

/// One change of the kind that a fuzzer makes.
fn change(random: &mut fastrand::Rng, bytes: &mut Vec<u8>, all: &[Vec<u8>]) {
    let at = random.usize(..=bytes.len());
    let end = (at + random.usize(..=8)).min(bytes.len());
    match random.u8(..6) {
        0 => bytes.insert(at, random.u8(..)),
        1 => drop(bytes.drain(at..end)),
        2 => bytes.truncate(at),
        3 => {
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << random.u8(..8);
            }
        }
        4 => {
            let twice = bytes[at..end].to_vec();
            bytes.splice(at..at, twice);
        }
        _ => {
            let other = &all[random.usize(..all.len())];
            let from = random.usize(..=other.len());
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
    }
}

/// Without a fuzzer's feedback, but in every run of the tests. `MHOST_FUZZ=100` makes a hundred
/// times as many; `MHOST_SEED` chooses others.
#[test]
fn inputs_like_the_kept_ones_are_taken() {
    let number = |key: &str| std::env::var(key).ok().and_then(|text| text.parse().ok());
    let times = number("MHOST_FUZZ").unwrap_or(1);
    let seed = number("MHOST_SEED").unwrap_or(7);
    for (name, run, count) in TARGETS {
        let all = kept(name);
        for n in 0..count * times {
            let mut random = fastrand::Rng::with_seed(seed ^ n << 8);
            let mut bytes = all[random.usize(..all.len())].clone();
            for _ in 0..=random.u8(..6) {
                change(&mut random, &mut bytes, &all);
            }
            let shown = String::from_utf8_lossy(&bytes).into_owned();
            let taken = std::panic::catch_unwind(|| run(&bytes));
            assert!(taken.is_ok(), "{name}, number {n}: {shown:?}");
        }
    }
}
