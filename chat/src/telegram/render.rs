//! How a card looks on Telegram: HTML of a few tags, and rows of buttons.
//!
//! Telegram makes links, mentions and commands out of plain text by itself. So that a log line
//! cannot call somebody or lead somewhere, an invisible word joiner is put where such a thing
//! would begin; the text looks the same. Output of programs stands in `<pre>`, where Telegram
//! looks for nothing, and is left as it is.

use teloxide_core::types::{InlineKeyboardButton, InlineKeyboardMarkup};

use crate::text::{CUT, begins_something, in_a_line, is_shown, short, units};
use crate::{Block, Button, Card, Platform};

/// Most UTF-16 units of a message. Telegram counts them without tags and entities, other
/// servers with them; this counts all, so that both agree.
const MOST: usize = 4_096;
/// Most of them in a title, a footer and a label.
const LINE: usize = 256;
const LABEL: usize = 64;
/// Most buttons of a row and of a message.
const ROW: usize = 8;
const BUTTONS: usize = 100;
/// Most bytes of a file.
pub(super) const FILE: usize = 45 << 20;
/// Nothing is seen of it, and neither links nor mentions go across it.
const JOINER: char = '\u{2060}';

/// The text of a message, at most 4,096 units and never empty.
pub(super) fn html(card: &Card) -> String {
    let mut footer = Sheet::new(LINE);
    if let Some(text) = card.footer.as_deref().filter(|text| !is_blank(text)) {
        footer.piece("\n\n<i>", &in_a_line(text), "</i>", Kind::Text);
    }
    let mut sheet = Sheet::new(MOST - footer.used);
    let title = [card.tone.sign(), card.title.trim()].join(" ");
    if !is_blank(&title) {
        let mut line = Sheet::new(LINE);
        line.piece("<b>", in_a_line(&title).trim(), "</b>", Kind::Text);
        sheet.tags(&line.html);
    }
    for block in &card.blocks {
        if !sheet.block(block) {
            break;
        }
    }
    if sheet.used == 0 {
        sheet.tags(CUT);
    }
    sheet.html + &footer.html
}

/// A plain text of one's own, as a message.
pub(super) fn plain(text: &str) -> String {
    html(&Card::default().text(text))
}

/// The buttons. What does not fit into a button of Telegram is left out.
pub(super) fn keyboard(card: &Card) -> InlineKeyboardMarkup {
    let mut left = BUTTONS;
    let mut rows = Vec::new();
    for row in &card.buttons {
        let row: Vec<InlineKeyboardButton> = row.iter().filter_map(button).collect();
        for part in row.chunks(ROW) {
            let part: Vec<_> = part.iter().take(left).cloned().collect();
            left -= part.len();
            if !part.is_empty() {
                rows.push(part);
            }
        }
    }
    InlineKeyboardMarkup::new(rows)
}

fn button(button: &Button) -> Option<InlineKeyboardButton> {
    if !button.press.fits(Platform::Telegram.press_limit()) {
        return None;
    }
    let label = in_a_line(&button.label);
    let label = match label.trim() {
        "" => CUT.to_owned(),
        label => short(label, LABEL),
    };
    Some(InlineKeyboardButton::callback(
        label,
        button.press.to_string(),
    ))
}

/// What surrounds a text decides what Telegram looks for in it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Code,
}

/// HTML that never grows beyond its room and has no tag open.
struct Sheet {
    html: String,
    used: usize,
    room: usize,
}

impl Sheet {
    fn new(room: usize) -> Self {
        let html = String::new();
        let used = 0;
        Self { html, used, room }
    }

    /// Adds a part. `false` when there was no room for all of it.
    fn block(&mut self, block: &Block) -> bool {
        let gap = if self.used == 0 { "" } else { "\n" };
        match block {
            Block::Text(text) => self.piece(gap, text.trim_end(), "", Kind::Text),
            Block::Code(text) if is_blank(text) => true,
            Block::Code(text) => self.piece(
                &format!("{gap}<pre>"),
                text.trim_end(),
                "</pre>",
                Kind::Code,
            ),
            Block::Fields(fields) => fields.iter().enumerate().all(|(number, (name, value))| {
                let gap = if number == 0 { gap } else { "\n" };
                self.piece(&format!("{gap}<b>"), &in_a_line(name), "</b>", Kind::Text)
                    && self.piece(": ", &in_a_line(value), "", Kind::Text)
            }),
            Block::Steps(steps) => steps.iter().enumerate().all(|(number, step)| {
                let gap = if number == 0 { gap } else { "\n" };
                let begin = format!("{gap}{}. ", number + 1);
                self.piece(&begin, &in_a_line(step), "", Kind::Text)
            }),
        }
    }

    /// A text between markup of ours. `false` when it was cut.
    fn piece(&mut self, before: &str, text: &str, after: &str, kind: Kind) -> bool {
        let markup = units(before) + units(after);
        // Room for the sign is kept by every piece, so that there is always some.
        if self.used + markup + 2 * units(CUT) > self.room {
            if !self.html.ends_with(CUT) {
                self.tags(CUT);
            }
            return false;
        }
        self.tags(before);
        let end = self.room - units(after) - 2 * units(CUT);
        let mut last = None;
        let mut rest = text.chars().filter(|c| is_shown(*c)).peekable();
        let mut is_whole = true;
        while let Some(c) = rest.next() {
            let begins = kind == Kind::Text && begins_something(last, c, rest.peek().copied());
            let mut letter = match c {
                '&' => "&amp;".to_owned(),
                '<' => "&lt;".to_owned(),
                '>' => "&gt;".to_owned(),
                other => other.to_string(),
            };
            if begins {
                letter.push(JOINER);
            }
            if self.used + units(&letter) > end {
                is_whole = false;
                self.tags(CUT);
                break;
            }
            self.tags(&letter);
            last = Some(c);
        }
        self.tags(after);
        is_whole
    }

    fn tags(&mut self, markup: &str) {
        self.used += units(markup);
        self.html.push_str(markup);
    }
}

fn is_blank(text: &str) -> bool {
    !text.chars().any(|c| is_shown(c) && !c.is_whitespace())
}

#[cfg(test)]
mod tests;
