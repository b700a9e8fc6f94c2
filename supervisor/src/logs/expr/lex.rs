//! The words of a condition.

use super::ExprError;

/// A reading position in the text.
#[derive(Debug, Clone)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

/// Characters that end a bare word.
fn ends_word(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '(' | ')' | ',' | '\'' | '"' | '=' | '!' | '<' | '>' | '~'
        )
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    /// Where the next word begins.
    pub(super) fn place(&mut self) -> usize {
        self.skip_space();
        self.at
    }

    pub(super) fn is_at_end(&mut self) -> bool {
        self.skip_space();
        self.rest().is_empty()
    }

    pub(super) fn error(&self, at: usize, message: impl Into<String>) -> ExprError {
        ExprError {
            message: message.into(),
            text: self.text.to_owned(),
            at,
        }
    }

    /// What stands here, for messages.
    pub(super) fn found(&mut self) -> String {
        self.skip_space();
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return "the end".to_owned();
        };
        let word: String = match ends_word(first) {
            true => first.to_string(),
            false => rest
                .chars()
                .take_while(|c| !ends_word(*c))
                .take(30)
                .collect(),
        };
        format!("`{}`", word.escape_debug())
    }

    /// Takes a sign such as `(` or `>=`.
    pub(super) fn take(&mut self, sign: &str) -> bool {
        self.skip_space();
        let there = self.rest().starts_with(sign);
        if there {
            self.at += sign.len();
        }
        there
    }

    /// Takes a keyword, in any case, if it stands here as a whole word.
    pub(super) fn keyword(&mut self, word: &str) -> bool {
        let before = self.at;
        if self
            .word()
            .is_some_and(|found| found.eq_ignore_ascii_case(word))
        {
            return true;
        }
        self.at = before;
        false
    }

    /// Takes a bare word.
    pub(super) fn word(&mut self) -> Option<&'a str> {
        self.skip_space();
        let rest = self.rest();
        let length = rest.find(ends_word).unwrap_or(rest.len());
        self.at += length;
        (length > 0).then(|| &rest[..length])
    }

    /// Takes a text in quotes; a doubled quote stands for one. `None` when none stands here.
    pub(super) fn quoted(&mut self) -> Result<Option<String>, ExprError> {
        self.skip_space();
        let rest = self.rest();
        let Some(quote) = rest.chars().next().filter(|c| matches!(c, '\'' | '"')) else {
            return Ok(None);
        };
        let mut out = String::new();
        let mut chars = rest.char_indices().skip(1).peekable();
        while let Some((at, c)) = chars.next() {
            if c != quote {
                out.push(c);
            } else if chars.next_if(|(_, next)| *next == quote).is_some() {
                out.push(quote);
            } else {
                self.at += at + 1;
                return Ok(Some(out));
            }
        }
        Err(self.error(
            self.at,
            format!("the text that begins here has no closing {quote}"),
        ))
    }
}
