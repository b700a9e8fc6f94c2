//! Text from outside, made so that it stays where it is put.

use std::io::Write;

/// Longest value that stands in a sentence, in characters.
const VALUE: usize = 300;

/// Text for the inside of a fence: without its marks, without what terminals and readers act
/// on, and at most so many bytes. Lines stay.
pub fn fenced(text: &str, room: usize) -> String {
    let mut inside = String::with_capacity(text.len().min(room));
    for letter in text.trim_end().chars() {
        if inside.len() + letter.len_utf8() > room {
            inside.push_str("\n(cut)");
            break;
        }
        if let Some(letter) = harmless(letter) {
            inside.push(letter);
        }
    }
    inside
}

/// A value in a sentence: one line, without marks of fences. How templates print everything.
pub(super) fn one_line(text: &str, out: &mut dyn Write) -> std::io::Result<()> {
    let line: String = text
        .chars()
        .filter_map(harmless)
        .map(|letter| {
            if letter == '\n' || letter == '\t' {
                ' '
            } else {
                letter
            }
        })
        .take(VALUE)
        .collect();
    out.write_all(line.as_bytes())
}

/// None for what nobody sees and some act on.
fn harmless(letter: char) -> Option<char> {
    match letter {
        '⟦' => Some('['),
        '⟧' => Some(']'),
        '\n' | '\t' => Some(letter),
        '\r' => None,
        // Invisible, or turning the direction of text, or speaking to models only.
        '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}'
        | '\u{feff}'
        | '\u{00ad}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{e0000}'..='\u{e007f}' => None,
        letter if letter.is_control() => Some(' '),
        letter => Some(letter),
    }
}
