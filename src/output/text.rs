//! Text from outside, made safe and made to fit.
//!
//! Names, arguments, error texts and log lines come from programs that may print anything.
//! Nothing of it reaches the terminal as a control: colours, titles and characters that nobody
//! sees are taken out, other control characters are shown as their pictures.

mod invisible;

use std::borrow::Cow;
use std::fmt::Write;

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

/// As [`clean_block`] for a text or a piece of one: its line ends stay as they are, also the
/// last one.
pub(crate) fn clean_text(text: &str) -> String {
    text.split('\n')
        .map(clean_line)
        .collect::<Vec<_>>()
        .join("\n")
}

/// Characters that turn the direction of text around, so that it reads as something else.
fn reorders(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{061c}')
}

/// Characters that end a line for some readers only.
fn breaks(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

/// JSON without anything a terminal would act on, and still the same value: what JSON itself
/// lets through, such as the eight-bit forms of escape sequences, is written as `\u009b`.
pub(crate) fn json(text: &str) -> Cow<'_, str> {
    let acts = |c: char| (c.is_control() && c != '\n') || reorders(c) || breaks(c);
    if !text.chars().any(|c| acts(c) || invisible::may_hide(c)) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 16);
    let mut before = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let hides = invisible::hides(c, before, rest.clone().next());
        before = Some(c);
        if acts(c) || hides {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(clean, "\\u{unit:04x}");
            }
        } else {
            clean.push(c);
        }
    }
    Cow::Owned(clean)
}

fn neutralise(text: &str, keep_tabs: bool) -> Cow<'_, str> {
    let drawn =
        |c: char| (!c.is_control() || (keep_tabs && c == '\t')) && !reorders(c) && !breaks(c);
    let harmless = |c: char| drawn(c) && !invisible::may_hide(c);
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
        rest = &rest[c.len_utf8()..];
        if !invisible::hides(c, clean.chars().next_back(), rest.chars().next()) {
            clean.push(if drawn(c) { c } else { picture(c) });
        }
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
            ("two\u{2028}lines\u{2029}", "two\u{fffd}lines\u{fffd}"),
            ("adm\u{200b}in\u{feff}\u{2060}", "admin"),
            ("\u{e0001}\u{e0041}tags", "tags"),
            ("👨\u{200d}👩 ❤\u{fe0f}", "👨\u{200d}👩 ❤\u{fe0f}"),
            ("ad\u{ad}m\u{200d}i\u{fe0f}n\u{3164}", "admin"),
        ];
        for (dirty, wanted) in cases {
            assert_eq!(clean(dirty), wanted, "{dirty:?}");
        }
        assert_eq!(clean_line("a\tb"), "a\tb");
        assert_eq!(clean("a\tb"), "a␉b");
    }

    #[test]
    fn json_says_the_same_without_controls() {
        let dirty = "{\n  \"a\": \"\u{9b}2J\u{7f}\u{202e}\u{2028}\u{e0041}ü👨\u{200d}👩\"\n}";
        let clean = json(dirty);
        assert_eq!(
            clean,
            "{\n  \"a\": \"\\u009b2J\\u007f\\u202e\\u2028\\udb40\\udc41ü👨\u{200d}👩\"\n}"
        );
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        assert_eq!(value(&clean), value(dirty));
        assert!(matches!(json("{\"a\":1}"), Cow::Borrowed(_)));
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
