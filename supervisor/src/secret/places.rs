//! Finds known values in a text: as they are, in large letters, with a colour of a terminal in
//! them, and what the pattern of a line has left of them.
//!
//! It finds what the redactor of the brain finds of these forms, so that what is shown here
//! and what a model is told agree.

use std::ops::Range;

use super::{MASK, Secret};
use crate::templates::{Pattern, Remnant};

/// Values of this length or more are found in large letters inside of other words, too.
const LONG: usize = 8;

/// A text with a mask in the place of each value.
pub(super) fn masked(text: String, secrets: &[Secret]) -> String {
    if secrets.is_empty() {
        return text;
    }
    let mut found = across_colours(&text, secrets);
    let large = text.bytes().any(|byte| byte.is_ascii_uppercase());
    let pattern = Pattern::of(&text);
    for secret in secrets.iter().map(Secret::expose) {
        as_it_is(&text, secret, &mut found);
        if large && secret.bytes().any(|byte| byte.is_ascii_lowercase()) {
            in_large_letters(&text, secret, &mut found);
        }
        if let Some(pattern) = &pattern
            && let Some(secret) = Remnant::of(secret)
        {
            found.extend(pattern.places(&secret));
        }
    }
    if found.is_empty() {
        return text;
    }
    // A longer one may hold a shorter one.
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

fn as_it_is(text: &str, secret: &str, found: &mut Vec<Range<usize>>) {
    if !secret.is_empty() {
        let stands = text.match_indices(secret);
        found.extend(stands.map(|(at, secret)| at..at + secret.len()));
    }
}

/// All of it in large letters: so programs shout, and settings are compared.
fn in_large_letters(text: &str, secret: &str, found: &mut Vec<Range<usize>>) {
    let in_word = |byte: Option<&u8>| {
        byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80)
    };
    let bytes = text.as_bytes();
    for (at, large) in text.match_indices(&secret.to_ascii_uppercase()) {
        let end = at + large.len();
        let before = at.checked_sub(1).and_then(|at| bytes.get(at));
        let inside = in_word(before) && in_word(bytes.get(at))
            || in_word(bytes.get(end)) && in_word(bytes.get(end - 1));
        // A short one is a part of many words.
        if secret.len() >= LONG || !inside {
            found.push(at..end);
        }
    }
}

/// Values in which an escape sequence stands.
fn across_colours(text: &str, secrets: &[Secret]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    if text.contains('\u{1b}') {
        let (plain, places) = without(text);
        for secret in secrets.iter().map(Secret::expose) {
            as_it_is(&plain, secret, &mut found);
            in_large_letters(&plain, secret, &mut found);
        }
        for range in &mut found {
            *range = places[range.start]..places[range.end - 1] + 1;
        }
    }
    found
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

    fn shown(text: &str, known: &[&str]) -> String {
        let known: Vec<Secret> = known.iter().map(|one| Secret::from(*one)).collect();
        masked(text.to_owned(), &known)
    }

    #[test]
    fn a_value_with_a_colour_in_it_is_masked() {
        assert_eq!(
            shown(
                "key hün\u{1b}[31mter22\u{1b}[0m and hünter22, \u{1b}[1mhünt\u{1b}[0m",
                &["hünter22", "hünt"]
            ),
            "key ***\u{1b}[0m and ***, \u{1b}[1m***\u{1b}[0m"
        );
        let other = "no \u{1b}[31mcolour\u{1b}[";
        assert_eq!(shown(other, &["hünter22"]), other);
    }

    #[test]
    fn a_value_in_large_letters_is_masked() {
        for (text, known, left) in [
            ("KEY HUNTER22-OF-ANA!", "hunter22-of-ana", "KEY ***!"),
            ("xHUNTER22y", "hunter22", "x***y"),
            ("HUN\u{1b}[1mTER22", "hunter22", "***"),
            ("PIN rose ROSE (ROSE)", "rose", "PIN *** *** (***)"),
            ("PRIMROSE ROSES Rose", "rose", "PRIMROSE ROSES Rose"),
            ("Hunter22", "hunter22", "Hunter22"),
        ] {
            assert_eq!(shown(text, &[known]), left, "{text}");
        }
    }

    #[test]
    fn what_a_pattern_has_left_of_a_value_is_masked() {
        let known = ["Zq10-orange-umbrella-77", "umbrella"];
        assert_eq!(
            shown("set to <*>-orange-umbrella-<*> umbrella <*>", &known),
            "set to *** *** <*>"
        );
    }

    #[test]
    fn values_that_hold_each_other_leave_nothing() {
        assert_eq!(shown("abcdefgh", &["abcdef", "defgh", "cd"]), "***");
        assert_eq!(shown("", &["abcd"]), "");
        assert_eq!(shown("abcd", &[""]), "abcd");
    }
}
