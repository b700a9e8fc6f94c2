//! A playbook from anywhere: any text is one, or is refused with its place. The first letter
//! says which kind of text the rest is.
#![no_main]

use brain::texts::imported;
use brain::{Format, Playbooks, lint};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let format = match text.chars().next() {
        Some('r') => Format::Rhai,
        Some('t') => Format::Toml,
        Some('j') => {
            let _ = imported(&text[1..]);
            return;
        }
        _ => return,
    };
    let text = &text[1..];
    let lines = text.lines().count();
    for finding in lint("fuzzed", format, text) {
        assert!(finding.line <= lines + 1, "{finding:?} of {lines} lines");
    }
    assert_eq!(Playbooks::only("fuzzed", format, text).list().len(), 1);
});
