//! What processes printed, and what happened to them.

use jiff::Timestamp;
use serde_json::Value;
use supervisor::logs::{LogLine, LogPage};
use supervisor::units::short::span;
use supervisor::{Event, until};

use crate::{Block, Button, Card, Document, Press, Tone};

/// Letters of lines in a message; more go into a file. It leaves room for a title and markup
/// on the platform that takes least, Discord with 2,000.
const ROOM: usize = 1_500;
/// Letters of a line in a message.
const LINE: usize = 300;

/// Lines of a process, the newest last.
pub fn logs(app: &str, page: &LogPage, errors: bool) -> Card {
    let what = if errors { "errors of" } else { "" };
    let title = format!("{what} {app}").trim_start().to_owned();
    if page.lines.is_empty() {
        let none = if errors { "no error lines" } else { "no lines" };
        return Card::titled(Tone::Plain, format!("{app}: {none}"));
    }
    let mut card = Card::titled(Tone::Plain, title).block(Block::Code(newest(&page.lines)));
    let whole: String = page.lines.iter().map(full).collect();
    if whole.chars().count() > ROOM {
        card.file = Some(Document {
            name: format!("{}.log", file_name(app)),
            text: whole,
        });
    }
    let asked = page.lines.len();
    let order = |text: String| Press::Order(text);
    let mut row = Vec::new();
    if asked < 200 {
        let more = (asked * 2).clamp(20, 200);
        row.push(Button::new("More", order(format!("logs {app} {more}"))));
    }
    if !errors {
        row.push(Button::new(
            "Errors only",
            order(format!("logs {app} errors")),
        ));
    }
    row.push(Button::new("Follow 60 s", order(format!("follow {app}"))));
    card.row(row)
}

/// As many of the newest lines as fit, in their order.
fn newest(lines: &[LogLine]) -> String {
    let mut kept = Vec::new();
    let mut used = 0;
    for line in lines.iter().rev() {
        let text = super::short(&line.message, LINE);
        let text = format!("{} {text}", line.ts.strftime("%H:%M:%S"));
        used += text.chars().count() + 1;
        if used > ROOM && !kept.is_empty() {
            kept.push(format!("… {} more", lines.len() - kept.len()));
            break;
        }
        kept.push(text);
    }
    kept.reverse();
    kept.join("\n")
}

fn full(line: &LogLine) -> String {
    let LogLine {
        ts,
        process,
        instance,
        message,
        ..
    } = line;
    format!("{ts} {process}:{instance} {message}\n")
}

/// Letters, digits, `-`, `_` and `.` of a name.
fn file_name(app: &str) -> String {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    app.chars()
        .map(|letter| if fits(letter) { letter } else { '_' })
        .collect()
}

/// Events of a process, newest first.
pub fn history(app: &str, events: &[Event], now: Timestamp) -> Card {
    if events.is_empty() {
        return Card::titled(Tone::Plain, format!("{app}: nothing has happened yet"));
    }
    let lines: Vec<String> = events.iter().map(|event| event_line(event, now)).collect();
    Card::titled(Tone::Plain, format!("events of {app}")).block(Block::Code(lines.join("\n")))
}

/// `3m ago  crash #1 exit_code=1`.
pub(super) fn event_line(event: &Event, now: Timestamp) -> String {
    let ago = span(until(event.at, now));
    let copy = event
        .instance
        .map_or_else(String::new, |index| format!(" #{index}"));
    let mut line = format!("{ago:>7} ago  {}{copy}", event.kind);
    if let Value::Object(data) = &event.data {
        for (key, value) in data {
            let shown = match value {
                Value::String(text) => super::short(text, 60),
                Value::Number(_) | Value::Bool(_) => value.to_string(),
                Value::Null | Value::Array(_) | Value::Object(_) => continue,
            };
            line.push_str(&format!(" {key}={shown}"));
        }
    }
    super::short(&line, 160)
}
