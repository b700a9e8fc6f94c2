//! All processes, worst first, twenty on a page.

use supervisor::Status;
use supervisor::command::view::ProcessView;
use supervisor::units::short::{cpu, memory};

use super::table::Table;
use super::{NONE, short, sign};
use crate::{Block, Button, Card, Press, Tone};

/// Processes on a page.
pub const PAGE: usize = 20;
/// Longest name in the list.
const NAME: usize = 18;

/// The list from a page on; a page behind the last one shows the last.
pub fn fleet(processes: &[ProcessView], page: usize) -> Card {
    if processes.is_empty() {
        return Card::titled(Tone::Plain, "No processes")
            .text("Start one on the server: mhost start <program>");
    }
    let mut sorted: Vec<&ProcessView> = processes.iter().collect();
    sorted.sort_by_key(|one| (rank(one.state), one.index));
    let online = sorted
        .iter()
        .filter(|one| one.state == Status::Online)
        .count();
    let bad = sorted
        .iter()
        .filter(|one| one.state == Status::Errored)
        .count();
    let tone = if bad > 0 { Tone::Critical } else { Tone::Good };
    let pages = sorted.len().div_ceil(PAGE);
    let page = page.min(pages - 1);

    let mut table = Table::new(&["", "NAME", ">×", ">CPU", ">MEM", ">↺"]);
    for one in sorted.iter().skip(page * PAGE).take(PAGE) {
        let copies = &one.instances;
        let used: Option<f64> = copies.iter().map(|copy| copy.cpu_percent).sum();
        let bytes: Option<u64> = copies.iter().map(|copy| copy.memory_bytes).sum();
        table.row([
            sign(one.state).to_owned(),
            short(one.name.as_str(), NAME),
            copies.len().to_string(),
            used.map_or_else(|| NONE.into(), cpu),
            bytes.map_or_else(|| NONE.into(), memory),
            one.restarts.to_string(),
        ]);
    }
    let title = format!("{online} of {} online", sorted.len());
    let mut card = Card::titled(tone, title).block(Block::Code(table.render()));
    for one in sorted
        .iter()
        .filter(|one| one.state == Status::Errored)
        .take(5)
    {
        card = card.text(format!("{}: {}", one.name, one.detail));
    }
    if pages > 1 {
        let to = |label: &str, page: usize| {
            Button::new(label, Press::Order(format!("status page {page}")))
        };
        let mut row = Vec::new();
        if page > 0 {
            row.push(to("◀", page - 1));
        }
        if page + 1 < pages {
            row.push(to("▶", page + 1));
        }
        card = card
            .row(row)
            .footer(format!("page {} of {pages}", page + 1));
    }
    card
}

/// Worst first.
fn rank(state: Status) -> u8 {
    match state {
        Status::Errored => 0,
        Status::Starting | Status::Stopping => 1,
        Status::Stopped => 2,
        Status::Online => 3,
    }
}
