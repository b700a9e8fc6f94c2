//! How fast and how well log templates are found: `cargo bench -p supervisor --bench templates`.
//!
//! Lines in the styles of 14 systems, each with its true template, go through one miner per
//! system; all miners have the same settings. Printed are lines a second on one core and the
//! grouping accuracy of the parsing benchmarks (Zhu et al., 2019): the part of the lines whose
//! group holds exactly the lines of their true template. It is asked twice: for the message
//! alone, as in those benchmarks, and for whole lines with time, level and thread in front.
//!
//! Arguments: lines of a system for the accuracy (2,000), lines for the pace (1,000,000).

#![expect(clippy::print_stdout, reason = "it prints figures")]
#![expect(clippy::disallowed_macros, reason = "it prints figures")]
#![expect(clippy::disallowed_methods, reason = "it measures real time")]

use std::collections::HashMap;
use std::time::Instant;

use supervisor::templates::{Miner, TemplateId};

#[path = "templates/systems.rs"]
mod systems;

use systems::{Dice, SYSTEMS, System};

fn lines(system: &System, count: usize, header: bool, seed: u64) -> Vec<(usize, String)> {
    let mut dice = Dice::new(seed);
    let line = |_| {
        let sentence = systems::sentence(system, &mut dice);
        let mut line = String::new();
        if header {
            systems::head(system, sentence, &mut dice, &mut line);
        }
        systems::fill(system.sentences[sentence], &mut dice, &mut line);
        (sentence, line)
    };
    (0..count).map(line).collect()
}

/// The part of the lines that are in a group of exactly their kind, and the templates found.
fn accuracy(lines: &[(usize, String)], wrong: &mut Vec<String>) -> (f64, usize) {
    let mut miner = Miner::default();
    let mut found: Vec<TemplateId> = lines.iter().map(|(_, line)| miner.add(line).0).collect();
    let merged: HashMap<TemplateId, TemplateId> = miner
        .take_merges()
        .into_iter()
        .map(|merge| (merge.from, merge.into))
        .collect();
    for id in &mut found {
        while let Some(into) = merged.get(id) {
            *id = *into;
        }
    }
    let (mut of_sentence, mut of_template) = (HashMap::new(), HashMap::new());
    for ((sentence, _), id) in lines.iter().zip(&found) {
        *of_sentence.entry(*sentence).or_insert(0) += 1;
        of_template
            .entry(*id)
            .or_insert_with(HashMap::new)
            .entry(*sentence)
            .and_modify(|count| *count += 1)
            .or_insert(1);
    }
    let mut right = 0;
    for (id, sentences) in &of_template {
        let exact = sentences
            .iter()
            .filter(|(sentence, count)| sentences.len() == 1 && of_sentence[*sentence] == **count);
        let before = right;
        right += exact.map(|(_, count)| count).sum::<usize>();
        if before == right {
            let pattern = miner.template(*id).map(|template| template.pattern);
            wrong.push(pattern.unwrap_or_default());
        }
    }
    (right as f64 / lines.len() as f64, of_template.len())
}

fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<usize>().ok());
    let count = numbers.next().unwrap_or(2_000);
    let pace = numbers.next().unwrap_or(1_000_000);
    let show_wrong = std::env::args().any(|argument| argument == "--wrong");

    println!("grouping accuracy, {count} lines of each system, one setting for all");
    println!(
        "  {:<12} {:>9} {:>9} {:>11} {:>11}",
        "", "sentences", "found", "message", "whole line"
    );
    let mut sums = [0.0, 0.0];
    for (seed, system) in (1..).zip(&SYSTEMS) {
        let mut wrong = Vec::new();
        let (message, found) = accuracy(&lines(system, count, false, seed), &mut wrong);
        let (whole, _) = accuracy(&lines(system, count, true, seed), &mut wrong);
        sums[0] += message;
        sums[1] += whole;
        println!(
            "  {:<12} {:>9} {found:>9} {message:>11.3} {whole:>11.3}",
            system.name,
            system.sentences.len(),
        );
        if show_wrong {
            wrong.sort();
            for pattern in wrong {
                println!("      {pattern}");
            }
        }
    }
    let systems = SYSTEMS.len() as f64;
    let [message, whole] = sums.map(|sum| sum / systems);
    println!(
        "  {:<12} {:>9} {:>9} {message:>11.3} {whole:>11.3}",
        "average", "", ""
    );

    for (header, kind) in [(false, "messages"), (true, "whole lines")] {
        let all: Vec<Vec<String>> = (1..)
            .zip(&SYSTEMS)
            .map(|(seed, system)| {
                let share = pace / SYSTEMS.len();
                let lines = lines(system, share, header, seed + 100);
                lines.into_iter().map(|(_, line)| line).collect()
            })
            .collect();
        let mut miners: Vec<Miner> = SYSTEMS.iter().map(|_| Miner::default()).collect();
        let (mut total, mut bytes) = (0usize, 0usize);
        let began = Instant::now();
        for (miner, lines) in miners.iter_mut().zip(&all) {
            for line in lines {
                miner.add(line);
            }
            total += lines.len();
            bytes += lines.iter().map(String::len).sum::<usize>();
        }
        let took = began.elapsed();
        println!(
            "{total} {kind} of {} bytes: {took:.2?}, {:.0} lines/s, {:.0} MB/s",
            bytes / total.max(1),
            total as f64 / took.as_secs_f64(),
            bytes as f64 / took.as_secs_f64() / 1e6,
        );
    }
}
