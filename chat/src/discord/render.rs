//! How a card looks on Discord: an embed with a colour, and rows of buttons.
//!
//! All parts stand in the embed's description, in their order: its own fields would be moved
//! behind everything else. Nothing stands in the message itself, so that Discord makes no
//! previews of what is in it.

use serde::Serialize;
use twilight_model::channel::message::component::{ActionRow, Button as Pressed, ButtonStyle};
use twilight_model::channel::message::embed::EmbedFooter;
use twilight_model::channel::message::{AllowedMentions, Component, Embed, MessageFlags};

use super::escape::{Escaper, is_blank};
use super::read::AGAIN;
use crate::text::{CUT, in_a_line, is_shown, short, units};
use crate::{Block, Button, Card, Document, Note, Platform, Style, Tone};

/// Most characters of a description, a title and a footer, by Discord's documentation; a
/// footer may have 2,048, and all together 6,000.
const DESCRIPTION: usize = 4_096;
const TITLE: usize = 256;
const FOOTER: usize = 1_024;
/// Most characters of a label, most rows, and most buttons of one.
const LABEL: usize = 80;
const ROWS: usize = 5;
const ROW: usize = 5;
/// Most bytes of a file; the platform takes 10 MiB with all around it.
pub(super) const FILE: usize = 9 << 20;

/// A message as it is sent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Body {
    embeds: Vec<Embed>,
    components: Vec<Component>,
    /// Nobody is mentioned, whatever it says.
    allowed_mentions: AllowedMentions,
    #[serde(skip_serializing_if = "Option::is_none")]
    flags: Option<MessageFlags>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attachments: Option<[Attachment; 1]>,
}

/// The file that comes with a message, as `files[0]`.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Attachment {
    /// The number of its part in the form; as all ids, a text.
    id: &'static str,
    filename: String,
}

impl Body {
    /// A card. Its file is named here and sent beside it.
    pub(super) fn card(card: &Card, file: Option<&Document>) -> Self {
        Self {
            embeds: vec![embed(card)],
            components: components(card),
            allowed_mentions: AllowedMentions::default(),
            flags: None,
            attachments: file.map(|file| {
                let filename = file.name.clone();
                [Attachment { id: "0", filename }]
            }),
        }
    }

    /// A short answer.
    pub(super) fn note(note: &Note) -> Self {
        let tone = if note.alert {
            Tone::Warning
        } else {
            Tone::Plain
        };
        let card = Card {
            tone,
            ..Card::default()
        };
        let mut embed = embed(&card.text(&note.text));
        embed.title = None;
        let body = Self::card(&Card::default(), None);
        let embeds = vec![embed];
        Self { embeds, ..body }
    }

    /// The same for the one who asked only.
    pub(super) fn private(mut self) -> Self {
        self.flags = Some(MessageFlags::EPHEMERAL);
        self
    }
}

/// The embed of a card. It is never empty, which Discord would refuse.
fn embed(card: &Card) -> Embed {
    let mut sheet = Sheet::new(DESCRIPTION);
    for block in &card.blocks {
        if !sheet.block(block) {
            break;
        }
    }
    let title = [card.tone.sign(), card.title.trim()].join(" ");
    let title = (!is_blank(&title)).then(|| {
        let mut line = Sheet::new(TITLE);
        line.piece("", in_a_line(&title).trim(), "", false);
        line.text
    });
    if title.is_none() && is_blank(&sheet.text) {
        sheet = Sheet::new(DESCRIPTION);
        sheet.markup(CUT);
    }
    let footer = card.footer.as_deref().filter(|text| !is_blank(text));
    Embed {
        author: None,
        color: Some(card.tone.colour()),
        description: (!is_blank(&sheet.text)).then_some(sheet.text),
        fields: Vec::new(),
        flags: None,
        footer: footer.map(|text| EmbedFooter {
            icon_url: None,
            proxy_icon_url: None,
            // A footer has no markup, so there is nothing to escape.
            text: short(&shown(&in_a_line(text)), FOOTER),
        }),
        image: None,
        kind: "rich".to_owned(),
        provider: None,
        thumbnail: None,
        timestamp: None,
        title,
        url: None,
        video: None,
    }
}

/// The buttons. What does not fit into one of Discord's is left out.
fn components(card: &Card) -> Vec<Component> {
    let mut seen: Vec<String> = Vec::new();
    let mut rows = Vec::new();
    for row in &card.buttons {
        let row: Vec<Component> = row
            .iter()
            .filter_map(|one| button(one, &mut seen))
            .map(Component::Button)
            .collect();
        rows.extend(row.chunks(ROW).map(|part| {
            let (id, components) = (None, part.to_vec());
            Component::ActionRow(ActionRow { id, components })
        }));
    }
    rows.truncate(ROWS);
    rows
}

fn button(button: &Button, seen: &mut Vec<String>) -> Option<Pressed> {
    let press = button.press.to_string();
    let before = seen.iter().filter(|one| **one == press).count();
    seen.push(press.clone());
    // Discord takes none twice in a message; what reads it takes the number off again.
    let custom_id = match before {
        0 => press,
        _ => format!("{press}{AGAIN}{before}"),
    };
    if custom_id.len() > Platform::Discord.press_limit() {
        return None;
    }
    let label = shown(&in_a_line(&button.label));
    let label = match label.trim() {
        "" => CUT.to_owned(),
        label => short(label, LABEL),
    };
    Some(Pressed {
        custom_id: Some(custom_id),
        disabled: false,
        emoji: None,
        id: None,
        label: Some(label),
        sku_id: None,
        style: match button.style {
            Style::Plain => ButtonStyle::Secondary,
            Style::Primary => ButtonStyle::Primary,
            Style::Danger => ButtonStyle::Danger,
        },
        url: None,
    })
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| is_shown(*c)).collect()
}

/// Markdown that never grows beyond its room and has nothing open. Discord counts characters,
/// other servers UTF-16 units; these are never fewer.
struct Sheet {
    text: String,
    used: usize,
    room: usize,
}

impl Sheet {
    fn new(room: usize) -> Self {
        let (text, used) = (String::new(), 0);
        Self { text, used, room }
    }

    /// Adds a part. `false` when there was no room for all of it.
    fn block(&mut self, block: &Block) -> bool {
        let gap = if self.used == 0 { "" } else { "\n" };
        let line = |number: usize| if number == 0 { gap } else { "\n" };
        match block {
            Block::Text(text) => self.piece(gap, text.trim_end(), "", false),
            Block::Code(text) if is_blank(text) => true,
            Block::Code(text) => self.piece(&format!("{gap}```\n"), text.trim_end(), "\n```", true),
            Block::Fields(fields) => fields.iter().enumerate().all(|(number, (name, value))| {
                let name = in_a_line(name);
                let name = match name.trim() {
                    // Nothing between the stars would show the stars.
                    "" => CUT,
                    name => name,
                };
                self.piece(&format!("{}**", line(number)), name, "**", false)
                    && self.piece(": ", &in_a_line(value), "", false)
            }),
            Block::Steps(steps) => steps.iter().enumerate().all(|(number, step)| {
                let begin = format!("{}{}. ", line(number), number + 1);
                self.piece(&begin, &in_a_line(step), "", false)
            }),
        }
    }

    /// A text between markup of ours. `false` when it was cut.
    fn piece(&mut self, before: &str, text: &str, after: &str, is_code: bool) -> bool {
        let markup = units(before) + units(after);
        // Room for the sign is kept by every piece, so that there is always some.
        if self.used + markup + 2 * units(CUT) > self.room {
            if !self.text.ends_with(CUT) {
                self.markup(CUT);
            }
            return false;
        }
        self.markup(before);
        let mut escaper = match is_code {
            true => Escaper::code(),
            // What follows a number of ours may begin a list in the list.
            false => Escaper::text(
                self.text.is_empty() || self.text.ends_with('\n') || before.ends_with(". "),
            ),
        };
        let end = self.room - units(after) - 2 * units(CUT);
        let mut rest = text.chars().filter(|c| is_shown(*c)).peekable();
        let mut is_whole = true;
        while let Some(letter) = rest.next() {
            let sign = escaper.before(letter, rest.peek().copied());
            let size = letter.len_utf16() + sign.map_or(0, char::len_utf16);
            if self.used + size > end {
                is_whole = false;
                self.markup(CUT);
                break;
            }
            self.used += size;
            self.text.extend(sign);
            self.text.push(letter);
        }
        self.markup(after);
        is_whole
    }

    fn markup(&mut self, markup: &str) {
        self.used += units(markup);
        self.text.push_str(markup);
    }
}

#[cfg(test)]
mod tests;
