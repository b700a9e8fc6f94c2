//! One process in full.

use jiff::Timestamp;
use supervisor::command::view::{HealthStatus, InstanceView, ProcessView};
use supervisor::state::ExitStatus;
use supervisor::units::short::{cpu, memory, span};
use supervisor::{Event, Status, until};

use super::lines::event_line;
use super::table::Table;
use super::{NONE, sign};
use crate::{Block, Button, Card, Press, Tone};

/// Copies that are listed; more are counted.
const COPIES: usize = 12;

/// State, figures and the last events, with what can be done about it.
pub fn process(one: &ProcessView, events: &[Event], now: Timestamp) -> Card {
    let tone = match one.state {
        Status::Online if one.health == HealthStatus::Fail => Tone::Warning,
        Status::Online => Tone::Good,
        Status::Errored => Tone::Critical,
        Status::Starting | Status::Stopping => Tone::Info,
        Status::Stopped => Tone::Plain,
    };
    let limit = one
        .config
        .max_memory
        .map_or_else(String::new, |most| format!(" of {}", memory(most.0)));
    let mut table = Table::new(&["", ">#", ">PID", "UP", ">CPU", ">MEM"]);
    for copy in one.instances.iter().take(COPIES) {
        table.row([
            sign(copy.state).to_owned(),
            copy.index.to_string(),
            copy.pid.map_or_else(|| NONE.into(), |pid| pid.to_string()),
            up(copy, now),
            copy.cpu_percent.map_or_else(|| NONE.into(), cpu),
            copy.memory_bytes
                .map_or_else(|| NONE.into(), |bytes| format!("{}{limit}", memory(bytes))),
        ]);
    }
    let mut fields = vec![
        ("state".to_owned(), one.detail.clone()),
        ("restarts".to_owned(), one.restarts.to_string()),
    ];
    let exit = one.instances.iter().find_map(|copy| copy.last_exit);
    if let Some(exit) = exit {
        fields.push(("last exit".to_owned(), exit_text(exit)));
    }
    if one.health != HealthStatus::Off {
        fields.push(("probe".to_owned(), health_text(one.health).to_owned()));
    }
    let mut card = Card::titled(tone, one.name.as_str())
        .block(Block::Fields(fields))
        .block(Block::Code(table.render()));
    if one.instances.len() > COPIES {
        card = card.text(format!("and {} more copies", one.instances.len() - COPIES));
    }
    if !events.is_empty() {
        let lines: Vec<String> = events.iter().map(|event| event_line(event, now)).collect();
        card = card.block(Block::Code(lines.join("\n")));
    }
    let order = |word: &str| Press::Order(format!("{word} {}", one.name));
    card.row(vec![
        Button::new("Restart", order("restart")),
        Button::new("Logs", order("logs")),
        Button::new("+1 copy", Press::Order(format!("scale {} +1", one.name))),
    ])
}

fn up(copy: &InstanceView, now: Timestamp) -> String {
    copy.started_at
        .filter(|_| copy.pid.is_some())
        .map_or_else(|| NONE.into(), |at| span(until(at, now)))
}

/// How a run ended, in words.
fn exit_text(exit: ExitStatus) -> String {
    match exit {
        ExitStatus::Code(code) => format!("code {code}"),
        ExitStatus::Signal(signal) => format!("signal {signal}"),
        ExitStatus::Unknown => "unknown: nobody was there to look".into(),
    }
}

/// A probe's state in a word.
pub(super) fn health_text(health: HealthStatus) -> &'static str {
    match health {
        HealthStatus::Pass => "passes",
        HealthStatus::Fail => "fails",
        HealthStatus::Pending => "not tried yet",
        HealthStatus::Off => "none",
    }
}
