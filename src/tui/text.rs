//! Text from outside, fit for a cell of the screen.
//!
//! `output::text` takes out what a terminal would act on. A full screen needs more: every
//! character must take exactly the columns that we count, or a line spills over its place and
//! stays there. So tabs become spaces, and what has no width of its own goes: joiners,
//! selectors, marks of direction. Accents stay, at most two on a letter.

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar;

use crate::output::text;

/// Columns between two tab stops.
const TAB: usize = 4;
/// Accents on one letter; more of them climb into the lines above.
const ACCENTS: usize = 2;

/// The text on one line, as it may be drawn.
pub(crate) fn harmless(text: &str) -> Cow<'_, str> {
    let clean = text::clean_line(text);
    if clean.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) {
        return clean;
    }
    let mut drawn = String::with_capacity(clean.len());
    let mut column = 0;
    let mut accents = ACCENTS;
    for c in clean.chars() {
        if c == '\t' {
            let fill = TAB - column % TAB;
            drawn.extend(std::iter::repeat_n(' ', fill));
            column += fill;
            accents = ACCENTS;
            continue;
        }
        if is_invisible(c) {
            continue;
        }
        match c.width() {
            Some(0) | None if accents == ACCENTS => {}
            Some(0) | None => {
                accents += 1;
                drawn.push(c);
            }
            Some(wide) => {
                accents = 0;
                column += wide;
                drawn.push(c);
            }
        }
    }
    Cow::Owned(drawn)
}

/// Characters that are not drawn themselves but change how others are.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{1f3fb}'..='\u{1f3ff}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// The text in pieces of at most `columns`, broken after a space where there is one in the
/// second half of a piece. Never empty.
pub(crate) fn folded(text: &str, columns: usize) -> Vec<&str> {
    let columns = columns.max(2);
    let mut pieces = Vec::new();
    let mut rest = text;
    loop {
        let (mut used, mut end, mut gap) = (0, rest.len(), None);
        for (at, c) in rest.char_indices() {
            let wide = c.width().unwrap_or(0);
            if used + wide > columns {
                end = gap.unwrap_or(at);
                break;
            }
            used += wide;
            if c == ' ' && used > columns / 2 {
                gap = Some(at + 1);
            }
        }
        let (piece, tail) = rest.split_at(end);
        pieces.push(piece);
        if tail.is_empty() {
            return pieces;
        }
        rest = tail;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_takes_other_columns_than_counted() {
        let cases = [
            ("plain", "plain"),
            ("\u{1b}[2J\u{1b}]0;t\u{7}x", "x"),
            ("a\tb", "a   b"),
            ("日\tb", "日  b"),
            ("\u{202e}evil", "\u{fffd}evil"),
            ("zero\u{200b}width\u{feff}", "zerowidth"),
            ("👨\u{200d}👩", "👨👩"),
            ("👍\u{1f3fd}", "👍"),
            ("⚠\u{fe0f}!", "⚠!"),
            ("e\u{301}", "e\u{301}"),
            ("e\u{301}\u{301}\u{301}\u{301}x", "e\u{301}\u{301}x"),
            ("\u{301}x", "x"),
        ];
        for (dirty, wanted) in cases {
            assert_eq!(harmless(dirty), wanted, "{dirty:?}");
        }
    }

    proptest::proptest! {
        /// Whatever a program prints, the screen counts what the terminal counts.
        #[test]
        fn any_text_is_harmless(text in "\\PC*|.*") {
            let drawn = harmless(&text);
            let single: usize = drawn.chars().map(|c| c.width().unwrap_or(0)).sum();
            proptest::prop_assert!(drawn.chars().all(|c| !c.is_control()));
            proptest::prop_assert!(single >= text::width(&drawn));
        }

        /// Folding loses nothing and keeps the width.
        #[test]
        fn folding_keeps_all(text in "[a-z 日本]{0,60}", columns in 2_usize..30) {
            let pieces = folded(&text, columns);
            proptest::prop_assert_eq!(pieces.concat(), text.clone());
            for piece in pieces {
                proptest::prop_assert!(text::width(piece) <= columns);
            }
        }
    }

    #[test]
    fn folds_at_spaces() {
        assert_eq!(folded("one two three", 8), ["one two ", "three"]);
        assert_eq!(folded("", 8), [""]);
        assert_eq!(folded("日本語", 4), ["日本", "語"]);
    }
}
