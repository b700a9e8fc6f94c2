//! The targets of `fuzz/` build, and hold for the inputs that are kept in `fuzz/kept/`.
//!
//! Fuzzing itself needs a tool of its own (see CONTRIBUTING.md). What it runs is compiled here
//! as part of the ordinary tests, with a macro of the same name in the place of libFuzzer's.
//! To keep an input that was found, put its file beside the others.

// The targets say `use libfuzzer_sys::fuzz_target`.
extern crate self as libfuzzer_sys;

use std::path::Path;

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

#[path = "../../fuzz/fuzz_targets/line_decoder.rs"]
#[expect(
    unused_attributes,
    unused_imports,
    reason = "`no_main` and libFuzzer's macro are for the program that it is else"
)]
mod line_decoder;
#[path = "../../fuzz/fuzz_targets/search_words.rs"]
#[expect(
    unused_attributes,
    unused_imports,
    reason = "`no_main` and libFuzzer's macro are for the program that it is else"
)]
mod search_words;
#[path = "../../fuzz/fuzz_targets/where_condition.rs"]
#[expect(
    unused_attributes,
    unused_imports,
    reason = "`no_main` and libFuzzer's macro are for the program that it is else"
)]
mod where_condition;

type Run = fn(&[u8]);

const TARGETS: [(&str, Run); 3] = [
    ("line_decoder", line_decoder::run),
    ("search_words", search_words::run),
    ("where_condition", where_condition::run),
];

#[test]
fn kept_inputs_are_taken() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    for (name, run) in TARGETS {
        let mut count = 0;
        for kept in std::fs::read_dir(fuzz.join("kept").join(name)).expect("a folder") {
            run(&std::fs::read(kept.expect("a file").path()).expect("bytes"));
            count += 1;
        }
        assert!(count > 0, "{name}");
    }
    let sources = std::fs::read_dir(fuzz.join("fuzz_targets")).expect("a folder");
    assert_eq!(sources.count(), TARGETS.len(), "a target is missing here");
}
