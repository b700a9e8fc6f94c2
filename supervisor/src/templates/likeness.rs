//! How unlike a line is to a template of its length.
//!
//! What is the same counts for the template, what is different against it. A difference
//! costs little where a value is likely: after `=`, `:` or an opening bracket, after `from`
//! or `user`, or where both sides look like names and not like words. It costs much where
//! plain words stand, for these say what has happened.

use super::token::Token;

/// Most words in which lines may differ that are joined because there are many of them.
pub(super) const MANY: u32 = 2;

/// A plain word against another one: never at the first sight, however long the line is.
const WORDS: f32 = f32::INFINITY;
/// Something like a name against a word.
const MIXED: f32 = 1.5;
/// Something like a name against another one.
const NAMES: f32 = 0.6;
/// Anything in a place where a value is expected.
const EXPECTED: f32 = 0.5;
/// The first word says most.
const FIRST: f32 = 1.5;

/// Marks and values that must be the same where no word is.
const SHAPE: u32 = 3;

/// Words after which a value is likely.
const BEFORE_VALUES: [&[u8]; 14] = [
    b"by",
    b"client",
    b"from",
    b"host",
    b"hostname",
    b"id",
    b"name",
    b"named",
    b"node",
    b"server",
    b"service",
    b"user",
    b"via",
    b"for",
];

/// Tokens, and the text they lie in.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) text: &'a [u8],
    pub(super) tokens: &'a [Token],
}

/// How a line differs from a template.
#[derive(Debug, Clone, Copy)]
pub(super) struct Difference {
    /// 0: not at all; 1: nothing is the same.
    pub(super) share: f32,
    /// The tokens that differ, one bit each.
    pub(super) places: u128,
}

/// Compares a line with a template. `None` when they differ so much that nothing follows.
pub(super) fn compare(known: Place<'_>, line: Place<'_>) -> Option<Difference> {
    let (mut same, mut cost, mut places) = (0.0, 0.0, 0u128);
    let mut alike = 0;
    for (at, (one, other)) in known.tokens.iter().zip(line.tokens).enumerate() {
        if one.hash == other.hash {
            alike += 1;
            if one.is_word() {
                same += 1.0;
            }
            continue;
        }
        if one.is_wild() {
            continue;
        }
        if one.is_mark() || other.is_mark() {
            // A bracket against a word: the line has another shape.
            return None;
        }
        places |= 1u128.checked_shl(at as u32)?;
        cost += price(known, line, at);
    }
    if same == 0.0 && alike < SHAPE {
        return None;
    }
    let share = if same == 0.0 || cost.is_infinite() {
        1.0
    } else {
        cost / (cost + same)
    };
    Some(Difference { share, places })
}

fn price(known: Place<'_>, line: Place<'_>, at: usize) -> f32 {
    let (one, other) = (known.tokens[at], line.tokens[at]);
    let names = [one, other]
        .iter()
        .filter(|token| token.is_identifier() || token.is_wild())
        .count();
    let plain = if follows_a_value_word(known, at) && follows_a_value_word(line, at) {
        EXPECTED
    } else {
        [WORDS, MIXED, NAMES][names]
    };
    if at == 0 { plain * FIRST } else { plain }
}

/// Is a value likely in this place?
fn follows_a_value_word(place: Place<'_>, at: usize) -> bool {
    let Some(before) = at.checked_sub(1) else {
        return false;
    };
    let word = place.tokens[before].text(place.text);
    match word.last() {
        Some(b'=' | b'(' | b'[' | b'{') => true,
        // In `key:value`, but not in `Failure: cannot`.
        Some(b':') => place.tokens[at].is_glued(),
        _ => BEFORE_VALUES
            .iter()
            .any(|known| word.eq_ignore_ascii_case(known)),
    }
}
