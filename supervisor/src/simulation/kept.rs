//! The seeds whose stories went wrong once, in `kept.txt` beside this file: a seed a line, and
//! what was broken in it.
//!
//! A run that fails adds its seed by itself, so that nobody has to copy it, and the next run
//! tells it first. What is there stays there after it was mended.

use std::io::Write;

use super::seed::Seed;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/simulation/kept.txt");

/// All that are kept.
pub(super) fn seeds() -> Vec<Seed> {
    read(&std::fs::read_to_string(FILE).unwrap_or_default())
}

fn read(text: &str) -> Vec<Seed> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let firsts = lines.filter_map(|line| line.split_whitespace().next());
    firsts
        .map(|seed| seed.parse().unwrap_or_else(|_| panic!("{seed} in {FILE}")))
        .collect()
}

/// Keeps one more.
pub(super) fn keep(seed: Seed, broken: &[String]) {
    if seeds().contains(&seed) {
        return;
    }
    let what = broken.first().map_or("", String::as_str).replace('\n', " ");
    let kept = std::fs::OpenOptions::new().append(true).open(FILE);
    // Where the sources cannot be written, what the run prints has to do.
    let _ = kept.and_then(|mut file| writeln!(file, "{seed} {what}"));
}

#[test]
fn what_is_kept_can_be_told() {
    let told = |seeds: Vec<Seed>| seeds.iter().map(Seed::to_string).collect::<Vec<_>>();
    let text = "# seeds\n21 a run was doubled\n\nr7\n";
    assert_eq!(told(read(text)), ["21", "r7"]);
    assert!(told(seeds()).contains(&"21".to_owned()));
}
