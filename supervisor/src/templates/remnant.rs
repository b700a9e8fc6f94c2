//! What is left of a value in the pattern of its line, so that a secret can be hidden there, too.

use super::mask::Masked;
use super::{Settings, token};

/// Letters that must be left of a text for [`remnant`].
const LEFT: usize = 6;

/// What a pattern shows of this text where it stands in a line: `hunter<*>-of-ana` of
/// `hunter22-of-ana`. None where all of it stays, or next to nothing.
pub fn remnant(text: &str) -> Option<String> {
    let settings = Settings::default();
    let mut masked = Masked::default();
    masked.read(text, settings.max_bytes, settings.max_tokens);
    let pattern = token::pattern(&masked.text, &masked.tokens);
    let left = pattern.replace(token::VALUE, "");
    let letters = left.chars().filter(|letter| letter.is_alphanumeric());
    (left.len() < pattern.len() && letters.count() >= LEFT).then_some(pattern)
}
