//! Colour, which is only ever an extra: whatever it says is also said in words.

use anstyle::{AnsiColor, Effects, Style};

/// What a piece of text means; the colour follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// All is well.
    Good,
    /// Something is under way, or wants attention.
    Busy,
    /// It failed.
    Bad,
    /// Not interesting.
    Quiet,
    /// A heading or a name.
    Strong,
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Tone::Good => AnsiColor::Green.on_default(),
            Tone::Busy => AnsiColor::Yellow.on_default(),
            Tone::Bad => AnsiColor::Red.on_default(),
            Tone::Quiet => AnsiColor::BrightBlack.on_default(),
            Tone::Strong => Style::new().effects(Effects::BOLD),
        }
    }
}

/// Puts colour on text, or leaves it alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Painter {
    /// Is there colour at all?
    pub(crate) on: bool,
}

impl Painter {
    /// Never any colour.
    #[cfg(test)]
    pub(crate) const PLAIN: Painter = Painter { on: false };

    /// The text in the colour of its meaning.
    pub(crate) fn paint(self, text: &str, tone: Tone) -> String {
        if !self.on || text.is_empty() {
            return text.to_owned();
        }
        let style = tone.style();
        format!("{style}{text}{style:#}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn off_means_not_one_escape() {
        assert_eq!(Painter::PLAIN.paint("x", Tone::Bad), "x");
        assert_eq!(
            Painter { on: true }.paint("x", Tone::Bad),
            "\u{1b}[31mx\u{1b}[0m"
        );
    }
}
