//! Discord's markdown: what stands in a text from outside is never markup.
//!
//! Discord makes links, mentions, emoji, lists and headings out of plain text. A backslash
//! before a sign makes it an ordinary one, and the text looks the same. Output of programs
//! stands in a block of code, where Discord looks for nothing but its end.

use crate::text::is_shown;

/// Put between backticks in a block of code, so that they do not end it. Nobody sees it.
pub(super) const JOINER: char = '\u{2060}';

/// Where a letter stands, as far as markup depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    /// Only blanks are before it in its line.
    Begin,
    /// Only a number is.
    Number,
    Middle,
}

/// Makes letters harmless, one after the other.
#[derive(Debug)]
pub(super) struct Escaper {
    stand: Stand,
    last: Option<char>,
    is_code: bool,
}

impl Escaper {
    /// For text, which begins in the middle of a line or at its beginning.
    pub(super) fn text(begins: bool) -> Self {
        Self {
            stand: if begins { Stand::Begin } else { Stand::Middle },
            last: None,
            is_code: false,
        }
    }

    /// For what stands in a block of code.
    pub(super) fn code() -> Self {
        Self {
            stand: Stand::Middle,
            last: None,
            is_code: true,
        }
    }

    /// What has to be put before the next letter.
    pub(super) fn before(&mut self, letter: char, after: Option<char>) -> Option<char> {
        let (stand, last) = (self.stand, self.last.replace(letter));
        self.stand = match letter {
            '\n' => Stand::Begin,
            ' ' | '\t' if stand == Stand::Begin => Stand::Begin,
            '0'..='9' if stand != Stand::Middle => Stand::Number,
            _ => Stand::Middle,
        };
        if self.is_code {
            return (letter == '`' && last == Some('`')).then_some(JOINER);
        }
        let is_markup = match letter {
            '\\' | '*' | '_' | '~' | '`' | '|' | '<' | '>' | '#' | '@' | '[' | ']' => true,
            // Emoji and addresses; a colon before a blank begins none.
            ':' => after.is_some_and(|after| !after.is_whitespace()),
            // Lists, and small print as `-#`.
            '-' | '+' => stand == Stand::Begin,
            '.' | ')' => stand == Stand::Number,
            _ => false,
        };
        is_markup.then_some('\\')
    }
}

/// Does it show nothing?
pub(super) fn is_blank(text: &str) -> bool {
    !text.chars().any(|c| is_shown(c) && !c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(mut escaper: Escaper, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text.chars().peekable();
        while let Some(letter) = rest.next() {
            out.extend(escaper.before(letter, rest.peek().copied()));
            out.push(letter);
        }
        out
    }

    #[test]
    fn markup_of_others_becomes_text() {
        for (text, expected) in [
            ("plain: 3.5 GB - ok", "plain: 3.5 GB - ok"),
            ("**b** _i_", r"\*\*b\*\* \_i\_"),
            ("http://x.y", r"http\://x.y"),
            ("@everyone <@7>", r"\@everyone \<\@7\>"),
            (":smile:", r"\:smile:"),
            ("- a\n  + b\n1. c\n12) d", "\\- a\n  \\+ b\n1\\. c\n12\\) d"),
            ("-# small\n# big", "\\-\\# small\n\\# big"),
            ("a - b 1. c", "a - b 1. c"),
            (r"\*", r"\\\*"),
        ] {
            assert_eq!(escaped(Escaper::text(true), text), expected);
        }
        assert_eq!(escaped(Escaper::text(false), "- 1. x"), "- 1. x");
    }

    #[test]
    fn nothing_ends_a_block_of_code() {
        let code = escaped(Escaper::code(), "a ``` b `c` @x");
        assert_eq!(code, "a `\u{2060}`\u{2060}` b `c` @x");
    }
}
