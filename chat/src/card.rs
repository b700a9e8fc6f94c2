//! What is shown, before any platform lays it out.
//!
//! All texts are raw: whatever a process or a person wrote may stand in them. Only the
//! renderer of a platform knows what has to be escaped there, and it escapes all of it.

use crate::Press;

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Card {
    /// How it should feel.
    pub tone: Tone,
    /// The first line.
    pub title: String,
    /// What follows, top down.
    pub blocks: Vec<Block>,
    /// Rows of buttons under it.
    pub buttons: Vec<Vec<Button>>,
    /// A last line in small print.
    pub footer: Option<String>,
    /// What is too long for a message, as a file.
    pub file: Option<Document>,
}

/// How a card should feel: its colour where there are colours, else the sign before its title.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Tone {
    /// An answer.
    #[default]
    Plain,
    /// All is well, or is so again.
    Good,
    /// Something is going on.
    Info,
    /// Somebody should look.
    Warning,
    /// Somebody must act.
    Critical,
}

impl Tone {
    /// The sign before a title; empty for an answer.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "🟢",
            Self::Info => "🔵",
            Self::Warning => "🟡",
            Self::Critical => "🔴",
        }
    }

    /// Its colour as 0xRRGGBB, where the platform has colours.
    pub fn colour(self) -> u32 {
        match self {
            Self::Plain => 0x8d_96_a0,
            Self::Good => 0x2e_b6_7d,
            Self::Info => 0x36_c5_f0,
            Self::Warning => 0xec_b2_2e,
            Self::Critical => 0xe0_1e_5a,
        }
    }
}

/// A part of a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// Lines of text.
    Text(String),
    /// Names and values, a pair a line.
    Fields(Vec<(String, String)>),
    /// Numbered lines.
    Steps(Vec<String>),
    /// Output of a program, or a table: every letter as wide as the next, and nothing in it is
    /// markup.
    Code(String),
}

/// A button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Button {
    /// What stands on it.
    pub label: String,
    /// What a press of it means.
    pub press: Press,
    /// How it looks.
    pub style: Style,
}

impl Button {
    /// An ordinary one.
    pub fn new(label: impl Into<String>, press: Press) -> Self {
        Self {
            label: label.into(),
            press,
            style: Style::Plain,
        }
    }

    /// The same in another style.
    #[must_use]
    pub fn styled(mut self, style: Style) -> Self {
        self.style = style;
        self
    }
}

/// How a button looks, where the platform has styles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Style {
    /// As all.
    #[default]
    Plain,
    /// What is suggested.
    Primary,
    /// What ends or removes something.
    Danger,
}

/// A text file beside a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its name: letters, digits, `-`, `_` and `.` only.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// Longest name of a file.
const NAME: usize = 60;

impl Document {
    /// The same as a platform takes it: with a name that is one, and no more bytes than these.
    /// The last lines say most; and nobody takes a file of nothing.
    pub(crate) fn at_most(&self, most: usize) -> Self {
        let fits = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let name: String = self.name.chars().filter(fits).take(NAME).collect();
        let name = match name.trim_start_matches('.') {
            "" => "mhost.txt",
            name => name,
        };
        let skipped = self.text.len().saturating_sub(most);
        let text = &self.text[self.text.ceil_char_boundary(skipped)..];
        let text = if text.is_empty() { "\n" } else { text };
        Self {
            name: name.to_owned(),
            text: text.to_owned(),
        }
    }
}

impl Card {
    /// A card with a title only.
    pub fn titled(tone: Tone, title: impl Into<String>) -> Self {
        Self {
            tone,
            title: title.into(),
            ..Self::default()
        }
    }

    /// With one more part.
    #[must_use]
    pub fn block(mut self, block: Block) -> Self {
        self.blocks.push(block);
        self
    }

    /// With lines of text.
    #[must_use]
    pub fn text(self, text: impl Into<String>) -> Self {
        self.block(Block::Text(text.into()))
    }

    /// With one more row of buttons.
    #[must_use]
    pub fn row(mut self, buttons: Vec<Button>) -> Self {
        if !buttons.is_empty() {
            self.buttons.push(buttons);
        }
        self
    }

    /// With a last line.
    #[must_use]
    pub fn footer(mut self, footer: impl Into<String>) -> Self {
        self.footer = Some(footer.into());
        self
    }

    /// The same without buttons: it has been decided.
    #[must_use]
    pub fn settled(mut self) -> Self {
        self.buttons.clear();
        self
    }
}
