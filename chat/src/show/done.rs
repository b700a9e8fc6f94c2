//! What became of an order.

use supervisor::command::Done;
use supervisor::command::view::StartOutcome;
use supervisor::{ControlError, Reply};

use crate::{Button, Card, Press, Tone};

/// What a change came to.
pub fn outcome(word: &str, reply: &Reply) -> Card {
    match reply {
        Reply::Done(done) => changes(word, done),
        Reply::Started(outcome) => starts(word, outcome),
        Reply::Scaled { process, from, to } => {
            let title = format!("{process} has {to} copies (was {from})");
            Card::titled(Tone::Good, title)
        }
        Reply::Saved { count, .. } => Card::titled(
            Tone::Good,
            format!("the list of {count} processes is saved"),
        ),
        _ => Card::titled(Tone::Good, format!("{word}: done")),
    }
}

fn changes(word: &str, done: &[Done]) -> Card {
    let bad = done.iter().filter(|one| one.error.is_some()).count();
    let lines: Vec<String> = done
        .iter()
        .map(|one| match (&one.error, &one.note) {
            (Some(error), _) => format!("✗ {}: {error}", one.target),
            (None, Some(note)) => format!("✓ {}: {note}", one.target),
            (None, None) if one.changed => format!("✓ {}", one.target),
            (None, None) => format!("· {}: nothing to do", one.target),
        })
        .collect();
    card(word, done.len(), bad, &lines)
}

fn starts(word: &str, outcome: &StartOutcome) -> Card {
    let bad = outcome.processes.iter().filter(|one| one.error.is_some());
    let lines: Vec<String> = outcome
        .processes
        .iter()
        .map(|one| match (&one.error, &one.note) {
            (Some(error), _) => format!("✗ {}: {error}", one.name),
            (None, Some(note)) => format!("✓ {}: {note}", one.name),
            (None, None) => format!("✓ {}", one.name),
        })
        .collect();
    card(word, outcome.processes.len(), bad.count(), &lines)
}

/// Lines that are shown of a long list.
const LINES: usize = 30;

fn card(word: &str, all: usize, bad: usize, lines: &[String]) -> Card {
    let (tone, title) = match bad {
        0 => (Tone::Good, format!("{word}: done")),
        bad if bad == all => (Tone::Critical, format!("{word}: failed")),
        bad => (Tone::Warning, format!("{word}: {bad} of {all} failed")),
    };
    let mut text = lines
        .iter()
        .take(LINES)
        .cloned()
        .collect::<Vec<_>>()
        .join("\n");
    if lines.len() > LINES {
        text.push_str(&format!("\nand {} more", lines.len() - LINES));
    }
    Card::titled(tone, title).text(text)
}

/// Why an order was not followed, with what was probably meant.
pub fn failed(written: &str, error: &ControlError) -> Card {
    let card = Card::titled(Tone::Warning, super::short(written, 80)).text(error.to_string());
    let ControlError::NotFound { near, target } = error else {
        return card;
    };
    // The same command with the name that was meant.
    let button = |name: &String| {
        let order = written
            .trim_start_matches('/')
            .replacen(target.as_str(), name, 1);
        Button::new(name.clone(), Press::Order(order))
    };
    card.row(near.iter().take(3).map(button).collect())
}
