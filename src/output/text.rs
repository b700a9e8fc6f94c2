//! Text from outside, made safe and made to fit.
//!
//! Names, arguments, error texts and log lines come from programs that may print anything.
//! Nothing of it reaches the terminal as a control: colours and titles are taken out, other
//! control characters are shown as their pictures.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What stands where text was cut off.
pub(crate) const ELLIPSIS: char = '…';

/// The text without anything a terminal would act on, on one line.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    neutralise(text, false)
}

/// As [`clean`], but tabs stay: for the lines of a log.
pub(crate) fn clean_line(text: &str) -> Cow<'_, str> {
    neutralise(text, true)
}

/// As [`clean_line`] for text of several lines.
pub(crate) fn clean_block(text: &str) -> String {
    text.lines().map(clean_line).collect::<Vec<_>>().join("\n")
}

/// Characters that turn the direction of text around, so that it reads as something else.
fn reorders(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

fn neutralise(text: &str, keep_tabs: bool) -> Cow<'_, str> {
    let harmless = |c: char| (!c.is_control() || (keep_tabs && c == '\t')) && !reorders(c);
    if text.chars().all(harmless) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if c == '\u{1b}'
            && let Some(length) = escape_length(rest)
        {
            rest = &rest[length..];
            continue;
        }
        clean.push(if harmless(c) { c } else { picture(c) });
        rest = &rest[c.len_utf8()..];
    }
    Cow::Owned(clean)
}

/// The length of a complete escape sequence (colour, cursor, title) at the start of `text`.
fn escape_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    match bytes.get(1)? {
        b'[' => {
            let end = bytes[2..].iter().position(|b| !matches!(b, 0x20..=0x3f))?;
            matches!(bytes[2 + end], 0x40..=0x7e).then_some(end + 3)
        }
        b']' => {
            let end = bytes[2..].iter().position(|b| matches!(b, 0x07 | 0x1b))?;
            let bell = bytes[2 + end] == 0x07;
            Some(2 + end + if bell { 1 } else { 2 }).filter(|&length| text.is_char_boundary(length))
        }
        _ => None,
    }
}

/// The visible stand-in for a control character.
fn picture(c: char) -> char {
    match c {
        '\0'..='\u{1f}' => char::from_u32(0x2400 + c as u32).unwrap_or('\u{fffd}'),
        '\u{7f}' => '\u{2421}',
        _ => '\u{fffd}',
    }
}

/// How many columns the text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// The text in at most `limit` columns, with `…` where it was cut.
pub(crate) fn cut(text: &str, limit: usize) -> Cow<'_, str> {
    if width(text) <= limit {
        return Cow::Borrowed(text);
    }
    let mut kept = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide + 1 > limit {
            break;
        }
        used += wide;
        kept.push(c);
    }
    if limit > 0 {
        kept.push(ELLIPSIS);
    }
    Cow::Owned(kept)
}

/// The text in lines of at most `columns`, broken between words where that is possible.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(word) <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(cut(word, columns).into_owned()),
        }
    }
    lines
}

/// The text cut or filled with spaces to exactly `columns`.
pub(crate) fn pad(text: &str, columns: usize) -> String {
    let text = cut(text, columns);
    let missing = columns.saturating_sub(width(&text));
    format!("{text}{}", " ".repeat(missing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_never_sees_a_control() {
        let cases = [
            ("plain", "plain"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}x", "x"),
            ("\u{1b}]0;title\u{1b}\\x", "x"),
            ("\u{1b}]unfinished", "␛]unfinished"),
            ("\u{1b}[2", "␛[2"),
            ("a\nb\r\u{8}", "a␊b␍␈"),
            ("c1 \u{9b}31m", "c1 \u{fffd}31m"),
            ("\u{202e}drow", "\u{fffd}drow"),
            ("\u{1b}]a\u{1b}ü", "␛]a␛ü"),
        ];
        for (dirty, wanted) in cases {
            assert_eq!(clean(dirty), wanted, "{dirty:?}");
        }
        assert_eq!(clean_line("a\tb"), "a\tb");
        assert_eq!(clean("a\tb"), "a␉b");
    }

    #[test]
    fn wide_characters_count_twice() {
        assert_eq!(cut("日本語", 6), "日本語");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("abc", 0), "");
        assert_eq!(width(&pad("日本語", 4)), 4);
    }
}
