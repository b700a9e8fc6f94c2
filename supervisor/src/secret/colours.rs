//! Finds known values that a terminal shows whole and a text does not: with a colour in them.

use std::ops::Range;

use super::{MASK, Secret};

/// A text with a mask in the place of each value in which an escape sequence stands.
pub(super) fn masked(text: String, secrets: &[Secret]) -> String {
    if secrets.is_empty() || !text.contains('\u{1b}') {
        return text;
    }
    let (plain, places) = without(&text);
    let mut found: Vec<Range<usize>> = Vec::new();
    for secret in secrets.iter().map(Secret::expose) {
        let stands = plain.match_indices(secret).filter(|_| !secret.is_empty());
        found.extend(stands.map(|(at, secret)| {
            let end = at + secret.len();
            places[at]..places[end - 1] + 1
        }));
    }
    found.sort_by_key(|range| (range.start, std::cmp::Reverse(range.end)));
    let mut shown = String::with_capacity(text.len());
    let mut at = 0;
    for range in found {
        if range.start >= at {
            shown.push_str(&text[at..range.start]);
            shown.push_str(MASK);
        }
        at = at.max(range.end);
    }
    shown.push_str(&text[at..]);
    shown
}

/// The text without its escape sequences, and where each byte of it was.
fn without(text: &str) -> (String, Vec<usize>) {
    let (mut plain, mut places) = (String::with_capacity(text.len()), Vec::new());
    let mut letters = text.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        if letter == '\u{1b}' && letters.next_if(|(_, next)| *next == '[').is_some() {
            let ends = |letter: char| ('\u{40}'..='\u{7e}').contains(&letter);
            while letters.next().is_some_and(|(_, next)| !ends(next)) {}
            continue;
        }
        places.extend(at..at + letter.len_utf8());
        plain.push(letter);
    }
    (plain, places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_with_a_colour_in_it_is_masked() {
        let known = ["hünter22", "hünt"].map(Secret::from);
        let text = "key hün\u{1b}[31mter22\u{1b}[0m and hünter22, \u{1b}[1mhünt\u{1b}[0m";
        assert_eq!(
            masked(text.to_owned(), &known),
            "key ***\u{1b}[0m and ***, \u{1b}[1m***\u{1b}[0m"
        );
        let other = "no \u{1b}[31mcolour\u{1b}[";
        assert_eq!(masked(other.to_owned(), &known), other);
    }
}
