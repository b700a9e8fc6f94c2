//! What the daemon says of itself, and of the environments it gives.

use std::time::Duration;

use supervisor::command::view::{EnvView, VersionView};
use supervisor::logs::IndexView;
use supervisor::units::short::{memory, span};

use super::short;
use crate::{Block, Card, Tone};

/// Variables that a message holds.
const ROWS: usize = 40;
/// Longest value in a line.
const VALUE: usize = 60;

/// Which mhost this is.
pub fn version(view: &VersionView) -> Card {
    let up = span(Duration::from_millis(view.uptime_ms));
    let fields = vec![
        ("up".to_owned(), up),
        ("pid".to_owned(), view.pid.to_string()),
        ("system".to_owned(), format!("{} on {}", view.os, view.arch)),
    ];
    let tone = match view.degraded.is_empty() {
        true => Tone::Good,
        false => Tone::Warning,
    };
    let card = Card::titled(tone, format!("mhost {}", view.version)).block(Block::Fields(fields));
    match view.degraded.is_empty() {
        true => card,
        false => card.text(view.degraded.join("\n")),
    }
}

/// How the index over kept lines is.
pub fn index(view: &IndexView) -> Card {
    let fields = vec![
        ("lines".to_owned(), view.lines.to_string()),
        ("on disk".to_owned(), memory(view.size_bytes)),
        ("behind".to_owned(), memory(view.behind_bytes)),
    ];
    let (tone, problem) = match view.degraded() {
        Some(problem) => (Tone::Warning, Some(problem)),
        None => (Tone::Good, None),
    };
    let card = Card::titled(tone, "The index over logs").block(Block::Fields(fields));
    match problem {
        Some(problem) => card.text(problem),
        None => card,
    }
}

/// Environments; secrets are masked by whoever gave them.
pub fn environment(all: &[EnvView]) -> Card {
    let Some(one) = all.first() else {
        return Card::titled(Tone::Plain, "It has no environment");
    };
    let lines: Vec<String> = one
        .env
        .iter()
        .take(ROWS)
        .map(|entry| format!("{}={}", entry.key, short(&entry.value, VALUE)))
        .collect();
    let card = Card::titled(Tone::Plain, format!("{}:{}", one.name, one.instance))
        .block(Block::Code(lines.join("\n")));
    match one.env.len().saturating_sub(ROWS) {
        0 => card,
        more => card.footer(format!("and {more} more")),
    }
}
