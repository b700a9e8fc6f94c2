//! How a card looks on Slack: blocks of Block Kit.
//!
//! Texts are `plain_text` and `rich_text`, in which Slack reads no markup, so nothing has to be
//! escaped there; only the line of notifications is `mrkdwn` by nature. Whether some client
//! makes links and mentions of plain text by itself is nobody's promise: an invisible word
//! joiner is put where one would begin. Output of programs is left as it is.

use serde_json::{Value, json};

use crate::text::{CUT, begins_something, in_a_line, is_shown, short, units};
use crate::{Block, Button, Card, Platform, Style};

/// Most UTF-16 units of a text in a block.
const TEXT: usize = 3_000;
/// Most of them in all blocks: Slack refuses a message somewhere above 13,000.
const MOST: usize = 12_000;
/// Most of them in a header, a footer, a label and the line of a notification.
const HEADER: usize = 150;
const LINE: usize = 256;
const LABEL: usize = 75;
const NOTICE: usize = 300;
/// Most blocks of a message, buttons of a block, and blocks of buttons.
const BLOCKS: usize = 50;
const ROW: usize = 25;
const ROWS: usize = 10;
/// Most bytes of a file.
pub(super) const FILE: usize = 45 << 20;
/// Nothing is seen of it, and neither links nor mentions go across it.
const JOINER: char = '\u{2060}';

/// The blocks of a message: at least one.
pub(super) fn blocks(card: &Card) -> Vec<Value> {
    let mut blocks = Vec::new();
    let title = title(card);
    if !title.is_empty() {
        blocks.push(json!({ "type": "header", "text": plain(&title, HEADER) }));
    }
    let rows = rows(card);
    let footer = card.footer.as_deref().map(in_a_line).unwrap_or_default();
    // The footer, and the sign that something was left out, are blocks as well.
    let room = BLOCKS - blocks.len() - rows.len() - 2;
    let mut left = MOST;
    for (number, block) in card.blocks.iter().enumerate() {
        if number == room || left == 0 {
            blocks.push(rich(&[section(&[text(CUT)])]));
            break;
        }
        let mut sheet = Sheet::new(TEXT.min(left));
        let part = sheet.block(block);
        left -= sheet.used.min(left);
        blocks.extend(part.map(|part| rich(&part)));
    }
    if !is_blank(&footer) {
        let line = plain(&footer, LINE);
        blocks.push(json!({ "type": "context", "elements": [line] }));
    }
    if blocks.is_empty() {
        blocks.push(json!({ "type": "section", "text": plain(CUT, TEXT) }));
    }
    blocks.extend(rows);
    blocks
}

/// The line of a notification, in which Slack reads markup.
pub(super) fn notice(card: &Card) -> String {
    let title = title(card);
    escaped(&short(
        if title.is_empty() { "mhost" } else { &title },
        NOTICE,
    ))
}

/// A text with the letters escaped that begin something in Slack's markup.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in harmless(text).chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            other => escaped.push(other),
        }
    }
    escaped
}

fn title(card: &Card) -> String {
    let title = [card.tone.sign(), card.title.trim()].join(" ");
    match is_blank(&title) {
        true => String::new(),
        false => in_a_line(&title).trim().to_owned(),
    }
}

/// Rows of buttons. What does not fit into a button of Slack is left out.
fn rows(card: &Card) -> Vec<Value> {
    let mut rows = Vec::new();
    for row in &card.buttons {
        let fitting = |button: &&Button| button.press.fits(Platform::Slack.press_limit());
        let row: Vec<&Button> = row.iter().filter(fitting).collect();
        for part in row.chunks(ROW) {
            let number = rows.len();
            let button = |(at, one): (usize, &&Button)| button(one, &format!("{number}.{at}"));
            let elements: Vec<Value> = part.iter().enumerate().map(button).collect();
            rows.push(json!({ "type": "actions", "elements": elements }));
        }
    }
    rows.truncate(ROWS);
    rows
}

/// Each has an id of its own in its message: Slack refuses two of the same.
fn button(button: &Button, id: &str) -> Value {
    let label = in_a_line(&button.label);
    let label = match is_blank(&label) {
        true => CUT,
        false => label.trim(),
    };
    let mut made = json!({
        "type": "button",
        "action_id": id,
        "text": plain(label, LABEL),
        "value": button.press.to_string(),
    });
    let style = match button.style {
        Style::Plain => return made,
        Style::Primary => "primary",
        Style::Danger => "danger",
    };
    made["style"] = style.into();
    made
}

/// A text without markup. Slack counts the joiners, too.
fn plain(text: &str, most: usize) -> Value {
    let text = short(&harmless(text), most);
    json!({ "type": "plain_text", "text": text, "emoji": false })
}

fn rich(elements: &[Value]) -> Value {
    json!({ "type": "rich_text", "elements": elements })
}

fn section(elements: &[Value]) -> Value {
    json!({ "type": "rich_text_section", "elements": elements })
}

fn text(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

fn bold(text: &str) -> Value {
    json!({ "type": "text", "text": text, "style": { "bold": true } })
}

/// The room of one block, and how much of it is used.
struct Sheet {
    used: usize,
    room: usize,
}

impl Sheet {
    fn new(room: usize) -> Self {
        Self { used: 0, room }
    }

    /// What stands in a block; `None` for a part without anything to see.
    fn block(&mut self, block: &Block) -> Option<Vec<Value>> {
        match block {
            Block::Text(lines) => {
                let lines = self.piece(&harmless(lines.trim_end()))?;
                Some(vec![section(&[text(&lines)])])
            }
            Block::Code(lines) => {
                let lines: String = lines.trim_end().chars().filter(|c| is_shown(*c)).collect();
                let lines = self.piece(&lines)?;
                Some(vec![json!({
                    "type": "rich_text_preformatted",
                    "elements": [text(&lines)],
                })])
            }
            Block::Fields(fields) => {
                let mut parts = Vec::new();
                for (name, value) in fields {
                    let gap = if parts.is_empty() { "" } else { "\n" };
                    let name = format!("{gap}{}", harmless(&in_a_line(name)));
                    let Some(name) = self.piece(&name) else {
                        break;
                    };
                    parts.push(bold(&name));
                    let value = format!(": {}", harmless(&in_a_line(value)));
                    let Some(value) = self.piece(&value) else {
                        break;
                    };
                    parts.push(text(&value));
                }
                (!parts.is_empty()).then(|| vec![section(&parts)])
            }
            Block::Steps(steps) => {
                let mut items = Vec::new();
                for step in steps {
                    // A blank step still has its number.
                    let step = match is_blank(step) {
                        true => CUT.to_owned(),
                        false => harmless(&in_a_line(step)),
                    };
                    let Some(step) = self.piece(&step) else {
                        break;
                    };
                    items.push(section(&[text(&step)]));
                }
                (!items.is_empty()).then(|| {
                    vec![json!({
                        "type": "rich_text_list",
                        "style": "ordered",
                        "elements": items,
                    })]
                })
            }
        }
    }

    /// As much of a text as there is room for, with a sign if that is not all of it.
    fn piece(&mut self, text: &str) -> Option<String> {
        if is_blank(text) || self.used == self.room {
            return None;
        }
        let text = short(text, self.room - self.used);
        self.used += units(&text);
        Some(text)
    }
}

/// A text of which no client makes a mention, an address or a host name, and without letters
/// that show nothing.
fn harmless(text: &str) -> String {
    let mut made = String::with_capacity(text.len());
    let mut last = None;
    let mut rest = text.chars().filter(|c| is_shown(*c)).peekable();
    while let Some(letter) = rest.next() {
        made.push(letter);
        if begins_something(last, letter, rest.peek().copied()) {
            made.push(JOINER);
        }
        last = Some(letter);
    }
    made
}

fn is_blank(text: &str) -> bool {
    !text
        .chars()
        .any(|c| is_shown(c) && !c.is_whitespace() && c != JOINER)
}

#[cfg(test)]
mod tests;
